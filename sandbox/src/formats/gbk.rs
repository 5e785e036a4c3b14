//! Text in GBK, as Alipay and UnionPay write their statements.
//!
//! A statement repeats the same few Chinese words on every line, and finding a character's code is slow: words are
//! encoded once and remembered. Guards: what GBK does not hold becomes `?`, never a reference in ASCII. Must not know:
//! what is written.

use std::collections::BTreeMap;

/// Words beyond this many are encoded each time.
const KNOWN_MAX: usize = 10_000;

/// A growing text.
#[derive(Debug, Default)]
pub(crate) struct GbkText {
    bytes: Vec<u8>,
    known: BTreeMap<String, Vec<u8>>,
}

impl GbkText {
    /// Adds a text.
    pub(crate) fn push(&mut self, text: &str) {
        if text.is_ascii() {
            self.bytes.extend_from_slice(text.as_bytes());
        } else if let Some(known) = self.known.get(text) {
            self.bytes.extend_from_slice(known);
        } else {
            let encoded = encode(text);
            self.bytes.extend_from_slice(&encoded);
            if self.known.len() < KNOWN_MAX {
                self.known.insert(text.to_owned(), encoded);
            }
        }
    }

    /// Adds a text cut or filled with spaces to a width in bytes; a character is never cut in two.
    pub(crate) fn push_fixed(&mut self, text: &str, width: usize) {
        let end = self.bytes.len().saturating_add(width);
        if text.is_ascii() {
            let cut = text.as_bytes().get(..width).unwrap_or(text.as_bytes());
            self.bytes.extend_from_slice(cut);
        } else {
            for letter in text.chars() {
                let code = encode(letter.encode_utf8(&mut [0; 4]));
                if self.bytes.len().saturating_add(code.len()) > end {
                    break;
                }
                self.bytes.extend_from_slice(&code);
            }
        }
        self.bytes.resize(end, b' ');
    }

    /// The whole text.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// One text in GBK.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        let mut utf8 = [0; 4];
        let (code, _, lost) = encoding_rs::GBK.encode(letter.encode_utf8(&mut utf8));
        bytes.extend_from_slice(if lost { b"?" } else { &code });
    }
    bytes
}

/// A GBK text again as UTF-8: what a statement in the wrong encoding holds.
pub(crate) fn to_utf8(bytes: &[u8]) -> Vec<u8> {
    encoding_rs::GBK.decode_without_bom_handling(bytes).0.into_owned().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_encoded_and_what_gbk_lacks_becomes_a_question_mark() {
        let mut text = GbkText::default();
        for word in ["交易", "a", "交易", "卡🙂"] {
            text.push(word);
        }
        assert_eq!(text.into_bytes(), [b"\xbd\xbb\xd2\xd7a\xbd\xbb\xd2\xd7", encode("卡").as_slice(), b"?"].concat());
        assert_eq!(to_utf8(b"\xbd\xbb\xd2\xd7"), "交易".as_bytes());
    }

    #[test]
    fn a_fixed_width_never_cuts_a_character() {
        for (text, expected) in [("abc", &b"abc  "[..]), ("abcdefg", b"abcde"), ("交易卡", b"\xbd\xbb\xd2\xd7 ")] {
            let mut fixed = GbkText::default();
            fixed.push_fixed(text, 5);
            assert_eq!(fixed.into_bytes(), expected, "{text}");
        }
    }
}
