//! Numbers that follow from what they are for, so that a repeat makes the same one.
//!
//! Invariant S8: the refund of a surplus payment has one number for ever, whoever computes it and however often.

use crate::ids::{EventId, RefundId};
use crate::time::UnixMillis;
use sha2::{Digest, Sha256};

/// 32 letters and digits that follow from the parts alone.
#[must_use]
pub fn derived_number(parts: &[&str]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(32);
    for byte in digest(parts).iter().take(16) {
        // Writing to a String cannot fail.
        if write!(text, "{byte:02x}").is_err() {
            return text;
        }
    }
    text
}

/// An event id that follows from its time and parts.
pub(crate) fn derived_event(now: UnixMillis, parts: &[&str]) -> EventId {
    EventId::new(now, bits(parts))
}

/// A refund id that follows from its time and parts.
pub(crate) fn derived_refund(now: UnixMillis, parts: &[&str]) -> RefundId {
    RefundId::new(now, bits(parts))
}

fn bits(parts: &[&str]) -> u128 {
    digest(parts).iter().take(16).fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte))
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // The length before each part keeps ("ab","c") and ("a","bc") apart.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_number_is_32_letters_and_digits_and_keeps_parts_apart() {
        let number = derived_number(&["ab", "c"]);
        assert_eq!(number.len(), 32);
        assert!(number.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(number, derived_number(&["ab", "c"]));
        assert_ne!(number, derived_number(&["a", "bc"]));
    }
}
