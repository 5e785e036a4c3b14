//! The figures of statements: decimals of yuan with up to five places, read by one strict grammar.
//!
//! Invariant: ASCII digits, at most one point with digits on both sides, at most one leading minus, nothing else: no
//! exponent, white space, thousands separator or full-width digit. Sums are exact, in hundred-thousandths; only a fee
//! is ever rounded, half up, and only for a line. It knows no column.

/// A decimal in hundred-thousandths: `0.01000` yuan is 1,000 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Figure(i64);

const PLACES: usize = 5;
const WHOLE: i64 = 100_000;
const OF_FEN: i64 = 1_000;

impl Figure {
    /// Reads `-12.34`, `45.0`, `0.01000`; `None` for anything else, and for what an i64 does not hold.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (minus, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, places) = match digits.split_once('.') {
            Some((whole, places)) if !places.is_empty() => (whole, places),
            Some(_) => return None,
            None => (digits, ""),
        };
        if whole.is_empty() || places.len() > PLACES {
            return None;
        }
        let value = number(whole, 0)?;
        let value = number(places, value)?;
        let missing = PLACES.checked_sub(places.len())?;
        let value = (0..missing).try_fold(value, |value, _| value.checked_mul(10))?;
        Some(Self(if minus { value.checked_neg()? } else { value }))
    }

    /// So many fen.
    pub(crate) fn from_fen(fen: i64) -> Option<Self> {
        fen.checked_mul(OF_FEN).map(Self)
    }

    /// The fen, where it is whole fen.
    pub(crate) fn fen(self) -> Option<i64> {
        (self.0.checked_rem(OF_FEN)? == 0).then(|| self.0.div_euclid(OF_FEN))
    }

    /// The fen, half a fen up, away from zero for what was given back.
    pub(crate) fn rounded_fen(self) -> Option<i64> {
        let magnitude = self.0.checked_abs()?.checked_add(OF_FEN.div_euclid(2))?.div_euclid(OF_FEN);
        Some(magnitude.saturating_mul(self.0.signum()))
    }

    /// The number, where it is a whole one: a count may be printed as `45.0`.
    pub(crate) fn count(self) -> Option<u64> {
        let whole = self.0.checked_rem(WHOLE)? == 0;
        u64::try_from(self.0.div_euclid(WHOLE)).ok().filter(|_| whole)
    }

    /// The sum.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Whether it lies below zero.
    pub(crate) const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

/// Appends decimal digits to a number.
fn number(digits: &str, first: i64) -> Option<i64> {
    digits.bytes().try_fold(first, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(i64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statements_figures_are_read_to_the_fen() {
        for (text, fen) in [("0.01", 1), ("-0.04", -4), ("45.0", 4500), ("0.01000", 1), ("7", 700), ("0", 0)] {
            assert_eq!(Figure::read(text).unwrap().fen(), Some(fen), "{text}");
        }
        assert_eq!(Figure::read("45.0").unwrap().count(), Some(45));
        for text in ["45.5", "-1"] {
            assert_eq!(Figure::read(text).unwrap().count(), None, "{text}");
        }
        assert_eq!(Figure::read("0.01001").unwrap().fen(), None);
    }

    #[test]
    fn a_fee_is_rounded_half_up_in_both_directions() {
        let rounded = |text| Figure::read(text).unwrap().rounded_fen().unwrap();
        for (text, fen) in [("0.00499", 0), ("0.00500", 1), ("-0.00500", -1), ("-0.00499", 0), ("28.608", 2861)] {
            assert_eq!(rounded(text), fen, "{text}");
        }
    }

    #[test]
    fn nothing_but_plain_decimals_is_a_figure() {
        let bad = [
            "",
            ".",
            "-",
            "1.",
            ".5",
            "--1",
            "+1",
            "1e2",
            " 1",
            "1 ",
            "1,000",
            "１２",
            "0x1",
            "NaN",
            "1.2.3",
            "0.000001",
            "1-",
            "92233720368547758",
        ];
        for text in bad {
            assert_eq!(Figure::read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_sum_of_fen_is_read_back(fen in -9_000_000_000_000i64..9_000_000_000_000) {
            let text = tongdao_core::money::Money::cny(fen).yuan();
            prop_assert_eq!(Figure::read(&text).and_then(Figure::fen), Some(fen));
            prop_assert_eq!(Figure::read(&text), Figure::from_fen(fen));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            prop_assert_eq!(Figure::read(&text), Figure::read(&text));
        }
    }
}
