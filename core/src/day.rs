//! A day of the calendar, as statements are cut: by Beijing's clock, which has no summer time, and by the hour at
//! which a provider's day turns.
//!
//! Invariant: a moment belongs to exactly one day of a provider. It is a count of days, so neighbours are one apart.

use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;
const BEIJING_MS: i64 = 8 * 3_600_000;

/// Text that is not a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a day of the calendar: it is written 2026-12-01")]
pub struct NotADay;

/// A day in Beijing: days since 1970-01-01. Written `2026-12-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(i64);

impl Day {
    /// The day of a moment where days turn `turns_ms` after midnight (before it when negative: UnionPay's turn at
    /// 23:00 is -3,600,000).
    #[must_use]
    pub const fn of(at: UnixMillis, turns_ms: i64) -> Self {
        Self(at.0.saturating_add(BEIJING_MS).saturating_sub(turns_ms).div_euclid(DAY_MS))
    }

    /// The day with these numbers, if the calendar has it.
    #[must_use]
    pub fn new(year: i64, month: i64, day: i64) -> Option<Self> {
        let days = days_from_civil(year, month, day);
        ((1..=12).contains(&month) && (1970..=9999).contains(&year) && civil_from_days(days) == (year, month, day))
            .then_some(Self(days))
    }

    /// Midnight in Beijing at which the day begins, without regard to any provider's turn.
    #[must_use]
    pub const fn midnight(self) -> UnixMillis {
        UnixMillis(self.0.saturating_mul(DAY_MS).saturating_sub(BEIJING_MS))
    }

    /// The day `days` later (earlier when negative).
    #[must_use]
    pub const fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Year, month and day.
    #[must_use]
    pub const fn civil(self) -> (i64, i64, i64) {
        civil_from_days(self.0)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl std::str::FromStr for Day {
    type Err = NotADay;
    fn from_str(text: &str) -> Result<Self, NotADay> {
        let digits = |range: std::ops::Range<usize>| {
            let part = text.get(range).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            part.and_then(|part| part.parse().ok()).ok_or(NotADay)
        };
        if text.len() != 10 || text.get(4..5) != Some("-") || text.get(7..8) != Some("-") {
            return Err(NotADay);
        }
        Self::new(digits(0..4)?, digits(5..7)?, digits(8..10)?).ok_or(NotADay)
    }
}

impl TryFrom<String> for Day {
    type Error = NotADay;
    fn try_from(text: String) -> Result<Self, NotADay> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

/// Days since 1970-01-01 of a date in the Gregorian calendar, counted in years that begin in March.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of `days_from_civil`.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days_are_written_and_read() {
        for (text, number) in [("1970-01-01", 0), ("2000-02-29", 11_016), ("2026-12-01", 20_788)] {
            let day: Day = text.parse().unwrap();
            assert_eq!((day.number(), day.to_string().as_str()), (number, text));
        }
    }

    #[test]
    fn what_the_calendar_does_not_have_is_refused() {
        for text in
            ["2025-02-29", "2026-13-01", "2026-00-10", "2026-1-01", "26-01-01", "2026-01-32", "２０２６-01-01", ""]
        {
            assert_eq!(text.parse::<Day>(), Err(NotADay), "{text}");
        }
    }

    #[test]
    fn a_day_turns_at_beijing_midnight_or_at_the_providers_hour() {
        let midnight = "2026-12-01".parse::<Day>().unwrap().midnight();
        assert_eq!(midnight.0, 1_796_054_400_000);
        assert_eq!(Day::of(midnight, 0).to_string(), "2026-12-01");
        assert_eq!(Day::of(midnight.plus_ms(-1), 0).to_string(), "2026-11-30");
        assert_eq!(Day::of(midnight.plus_ms(-3_600_000), -3_600_000).to_string(), "2026-12-01");
        assert_eq!(Day::of(midnight.plus_ms(-3_600_001), -3_600_000).to_string(), "2026-11-30");
    }

    proptest! {
        #[test]
        fn every_day_is_read_back_from_its_text(number in 0i64..2_900_000) {
            let day = Day(number);
            prop_assert_eq!(day.to_string().parse::<Day>(), Ok(day));
            prop_assert_eq!(Day::of(day.midnight(), 0), day);
        }
    }
}
