//! Seeded chance: faults, payers' habits, nonces and number tails are drawn here, so a run can be repeated by its seed
//! and its clock.
//! Guards: the sequence depends on the seed alone.
//! Not for keys: those come from the system's randomness (`keys`).

use std::sync::atomic::{AtomicU64, Ordering};

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A splitmix64 sequence shared by all tasks.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next 64 random bits.
    pub(crate) fn roll(&self) -> u64 {
        let state = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; 0 when the bound is 0.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.roll().checked_rem(bound).unwrap_or(0)
    }

    /// True in the given share of draws (0 never, 1 always).
    pub(crate) fn chance(&self, ratio: f64) -> bool {
        let drawn = u32::try_from(self.roll() >> 32).unwrap_or(0);
        f64::from(drawn) < ratio * 4_294_967_296.0
    }

    /// A text of the given length over `0-9A-Za-z`.
    pub(crate) fn text(&self, length: usize) -> String {
        std::iter::repeat_with(|| self.letter()).take(length).collect()
    }

    /// A text of decimal digits of the given length.
    pub(crate) fn digits(&self, length: usize) -> String {
        std::iter::repeat_with(|| char::from(b'0'.saturating_add(u8::try_from(self.below(10)).unwrap_or(0))))
            .take(length)
            .collect()
    }

    fn letter(&self) -> char {
        let index = usize::try_from(self.below(62)).unwrap_or(0);
        ALPHANUMERIC.get(index).copied().map_or('0', char::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (first, second) = (Dice::new(7), Dice::new(7));
        assert_eq!(first.text(32), second.text(32));
        assert_eq!(first.digits(9).len(), 9);
        assert!(first.chance(1.0));
        assert!(!first.chance(0.0));
        assert_ne!(Dice::new(8).roll(), Dice::new(7).roll());
    }
}
