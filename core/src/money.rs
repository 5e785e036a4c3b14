//! Money: an integer of minor units (fen) and its currency, with checked arithmetic only.
//!
//! Invariant S16: no float ever touches an amount, no sum wraps, two currencies are never added. Providers that
//! write yuan as decimals are read by one strict grammar; nothing is rounded anywhere.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic)]

use serde::{Deserialize, Serialize};

/// An ISO 4217 code: three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The yuan, the only currency that charges are made in.
    pub const CNY: Self = Self(*b"CNY");

    /// Reads an ISO 4217 code.
    ///
    /// # Errors
    /// Anything that is not three upper-case ASCII letters.
    pub fn read(text: &str) -> Result<Self, NotMoney> {
        match text.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(|l| l.is_ascii_uppercase()) => Ok(Self([*a, *b, *c])),
            _ => Err(NotMoney::Currency),
        }
    }

    /// The code's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl std::fmt::Debug for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl TryFrom<String> for Currency {
    type Error = NotMoney;
    fn try_from(text: String) -> Result<Self, NotMoney> {
        Self::read(&text)
    }
}

/// A sum: `amount` minor units (fen for CNY) of `currency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units; fen for CNY.
    pub amount: i64,
    /// The currency of the amount.
    pub currency: Currency,
}

/// Why something is not a sum of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotMoney {
    /// Not an ISO 4217 code.
    #[error("not a currency code")]
    Currency,
    /// Not a plain decimal with at most two digits after the point.
    #[error("not a plain decimal amount with at most two decimals")]
    Grammar,
    /// Larger than an i64 of minor units.
    #[error("amount too large")]
    TooLarge,
}

impl Money {
    /// `amount` fen.
    #[must_use]
    pub const fn cny(amount: i64) -> Self {
        Self { amount, currency: Currency::CNY }
    }

    /// The sum of two amounts of one currency; `None` on overflow or two currencies.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.with(other, i64::checked_add)
    }

    /// The difference of two amounts of one currency; `None` on overflow or two currencies.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.with(other, i64::checked_sub)
    }

    /// Reads yuan as a plain decimal (`"88.88"`, `"1"`, `"0.5"`): ASCII digits, at most one point with one or two
    /// digits behind it, no sign, exponent, white space or thousands separator.
    ///
    /// # Errors
    /// `Grammar` for anything else, `TooLarge` past an i64 of fen.
    pub fn read_yuan(text: &str) -> Result<Self, NotMoney> {
        let (whole, decimals) = match text.split_once('.') {
            Some((whole, decimals)) if (1..=2).contains(&decimals.len()) => (whole, decimals),
            Some(_) => return Err(NotMoney::Grammar),
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) {
            return Err(NotMoney::Grammar);
        }
        let mut fen_text = String::with_capacity(text.len());
        fen_text.push_str(whole);
        fen_text.push_str(decimals);
        for _ in decimals.len()..2 {
            fen_text.push('0');
        }
        fen_text.parse().map(Self::cny).map_err(|_| NotMoney::TooLarge)
    }

    /// Yuan with two decimals (`"88.88"`), the form Alipay and people read.
    #[must_use]
    pub fn yuan(self) -> String {
        let fen = self.amount.unsigned_abs();
        let sign = if self.amount < 0 { "-" } else { "" };
        format!("{sign}{}.{:02}", fen.div_euclid(100), fen.rem_euclid(100))
    }

    fn with(self, other: Self, op: impl Fn(i64, i64) -> Option<i64>) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        op(self.amount, other.amount).map(|amount| Self { amount, currency: self.currency })
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn yuan_is_read_by_a_strict_grammar() {
        for (text, fen) in [("0.01", 1), ("1", 100), ("88.8", 8880), ("88.88", 8888), ("007", 700)] {
            assert_eq!(Money::read_yuan(text), Ok(Money::cny(fen)), "{text}");
        }
        let bad = [
            "", ".", ".1", "1.", "1.234", "1.00 ", " 1", "1e2", "-1", "+1", "1,000", "٠.٠١", "１", "NaN", "0x1",
            "1.0.0",
        ];
        for text in bad {
            assert_eq!(Money::read_yuan(text), Err(NotMoney::Grammar), "{text}");
        }
        assert_eq!(Money::read_yuan("92233720368547758.08"), Err(NotMoney::TooLarge));
    }

    #[test]
    fn two_currencies_are_never_added() {
        let yen = Money { amount: 1, currency: Currency(*b"JPY") };
        assert_eq!(Money::cny(1).plus(yen), None);
        assert!(Currency::read("cny").is_err() && Currency::read("CN").is_err());
    }

    proptest! {
        #[test]
        fn yuan_text_and_fen_are_two_forms_of_one_amount(fen in 0..i64::MAX) {
            prop_assert_eq!(Money::read_yuan(&Money::cny(fen).yuan()), Ok(Money::cny(fen)));
        }

        #[test]
        fn sums_are_exact_or_refused(a in any::<i64>(), b in any::<i64>()) {
            let sum = Money::cny(a).plus(Money::cny(b));
            prop_assert_eq!(sum.map(|m| i128::from(m.amount)),
                i64::try_from(i128::from(a) + i128::from(b)).ok().map(i128::from));
            if let Some(sum) = sum {
                prop_assert_eq!(sum.minus(Money::cny(b)), Some(Money::cny(a)));
            }
        }
    }
}
