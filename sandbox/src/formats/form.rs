//! `application/x-www-form-urlencoded`, read and written: order and duplicates are kept, because a
//! signature is checked over exactly what was sent.
//!
//! Invariant: `decode(encode(x)) == x`. A broken escape is refused and never guessed at.
//! Must not know: which fields exist or what they mean.

use std::fmt::Write as _;

/// Fields in the order in which they were sent, decoded.
pub(crate) type Fields = Vec<(String, String)>;

/// Reads a query string or a form body; `None` on a broken escape or on text that is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Fields> {
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            Some((unescape(key)?, unescape(value)?))
        })
        .collect()
}

/// Writes fields as a form body.
pub(crate) fn encode<K: AsRef<str>, V: AsRef<str>>(fields: &[(K, V)]) -> String {
    let parts: Vec<String> =
        fields.iter().map(|(key, value)| format!("{}={}", escape(key.as_ref()), escape(value.as_ref()))).collect();
    parts.join("&")
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let fields = [("a b", "1+1=2&é"), ("空", "点 卡/%")];
        let text = encode(&fields);
        let back = decode(&text).unwrap();
        assert_eq!(back, fields.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec());
    }

    #[test]
    fn plus_and_percent_twenty_are_both_a_space() {
        assert_eq!(
            decode("a=x+y&b=x%20y&c").unwrap(),
            vec![
                ("a".to_owned(), "x y".to_owned()),
                ("b".to_owned(), "x y".to_owned()),
                ("c".to_owned(), String::new())
            ]
        );
    }

    #[test]
    fn a_broken_escape_is_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
