//! `application/x-www-form-urlencoded`: written with everything but unreserved characters escaped, read strictly.
//!
//! Invariant: what is read is exactly what was signed: values are decoded once and kept as they are (no trimming,
//! `%2B` stays `+`), and a body that two readers could take for two messages is refused: a key twice, an array or
//! nested key, a broken escape, bytes that are not UTF-8. It knows no field's meaning.

use std::collections::BTreeMap;

/// Why a body is not a form that may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormFault {
    /// An empty pair, a pair without a key, or a broken escape.
    #[error("is not form encoding")]
    Encoding,
    /// Bytes that are not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// The same key twice.
    #[error("has a key twice")]
    Duplicate,
    /// A key with brackets.
    #[error("has an array key")]
    Array,
    /// More pairs than any message has.
    #[error("has too many pairs")]
    TooMany,
}

/// Writes pairs in the order given.
pub(crate) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        escape_into(&mut text, key);
        text.push('=');
        escape_into(&mut text, value);
    }
    text
}

/// Reads a body or a query string. A pair without `=` has an empty value.
pub(crate) fn decode(body: &[u8]) -> Result<BTreeMap<String, String>, FormFault> {
    let mut fields = BTreeMap::new();
    if body.is_empty() {
        return Ok(fields);
    }
    for pair in body.split(|byte| *byte == b'&') {
        if fields.len() >= PAIRS_MAX {
            return Err(FormFault::TooMany);
        }
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let key = unescape(halves.next().unwrap_or_default())?;
        let value = unescape(halves.next().unwrap_or_default())?;
        if key.is_empty() {
            return Err(FormFault::Encoding);
        }
        if key.contains(['[', ']']) {
            return Err(FormFault::Array);
        }
        if fields.insert(key, value).is_some() {
            return Err(FormFault::Duplicate);
        }
    }
    Ok(fields)
}

const PAIRS_MAX: usize = 200;

fn escape_into(text: &mut String, raw: &str) {
    for byte in raw.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
}

fn unescape(escaped: &[u8]) -> Result<String, FormFault> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => nibble(rest.next())? << 4 | nibble(rest.next())?,
            plain => plain,
        });
    }
    String::from_utf8(bytes).map_err(|_| FormFault::NotUtf8)
}

fn nibble(digit: Option<u8>) -> Result<u8, FormFault> {
    let value = digit.and_then(|digit| char::from(digit).to_digit(16)).ok_or(FormFault::Encoding)?;
    u8::try_from(value).map_err(|_| FormFault::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plus_is_a_space_and_an_escaped_plus_stays() {
        let fields = decode(b"a=1+2&b=1%2b2&c&d=%E4%B8%AD").unwrap();
        let read: Vec<_> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(read, [("a", "1 2"), ("b", "1+2"), ("c", ""), ("d", "中")]);
    }

    #[test]
    fn a_body_with_two_readings_is_refused() {
        let refused: [(&[u8], FormFault); 9] = [
            (b"a=1&a=2", FormFault::Duplicate),
            (b"a=1&%61=2", FormFault::Duplicate),
            (b"money[]=1", FormFault::Array),
            (b"money%5B0%5D=1", FormFault::Array),
            (b"a=1&", FormFault::Encoding),
            (b"=1", FormFault::Encoding),
            (b"a=%4", FormFault::Encoding),
            (b"a=%zz", FormFault::Encoding),
            (b"a=%ff", FormFault::NotUtf8),
        ];
        for (body, fault) in refused {
            assert_eq!(decode(body), Err(fault), "{}", String::from_utf8_lossy(body));
        }
        let many = (0..=PAIRS_MAX).map(|n| format!("k{n}=")).collect::<Vec<_>>().join("&");
        assert_eq!(decode(many.as_bytes()), Err(FormFault::TooMany));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(fields in proptest::collection::btree_map("[a-z_]{1,12}", any::<String>(), 0..12)) {
            let body = encode(fields.iter().map(|(key, value)| (key.as_str(), value.as_str())));
            prop_assert_eq!(decode(body.as_bytes()), Ok(fields));
        }

        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&body).is_ok(), decode(&body).is_ok());
        }
    }
}
