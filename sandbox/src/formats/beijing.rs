//! Beijing time (UTC+8, no daylight saving) in the two spellings of the wire:
//! `2026-01-31 08:09:10` (Alipay) and `20260131080910` (UnionPay).
//!
//! Invariant: reading accepts only the exact spelling, digit for digit.
//! Must not know: what time it is.

use crate::clock;

const DASHED: &str = "%Y-%m-%d %H:%M:%S";
const COMPACT: &str = "%Y%m%d%H%M%S";

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const EAST_MS: i64 = 8 * HOUR_MS;

/// `yyyy-MM-dd HH:mm:ss` of a time in unix milliseconds.
pub(crate) fn dashed(at: i64) -> String {
    let Civil { year, month, day, hour, minute, second } = Civil::of(at);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `yyyyMMddHHmmss` of a time in unix milliseconds.
pub(crate) fn compact(at: i64) -> String {
    let Civil { year, month, day, hour, minute, second } = Civil::of(at);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// `yyyyMMdd` of a time in unix milliseconds.
pub(crate) fn compact_day(at: i64) -> String {
    let Civil { year, month, day, .. } = Civil::of(at);
    format!("{year:04}{month:02}{day:02}")
}

/// `yyyy-MM-dd` of a time in unix milliseconds.
pub(crate) fn dashed_day(at: i64) -> String {
    let Civil { year, month, day, .. } = Civil::of(at);
    format!("{year:04}-{month:02}-{day:02}")
}

/// When the day `yyyy-MM-dd` begins.
pub(crate) fn read_day(text: &str) -> Option<i64> {
    read_dashed(&format!("{text} 00:00:00"))
}

/// Reads `yyyy-MM-dd HH:mm:ss` into unix milliseconds.
pub(crate) fn read_dashed(text: &str) -> Option<i64> {
    read(text, DASHED, dashed)
}

/// Reads `yyyyMMddHHmmss` into unix milliseconds.
pub(crate) fn read_compact(text: &str) -> Option<i64> {
    read(text, COMPACT, compact)
}

/// The end (24:00) of the Beijing day in which `at` lies.
pub(crate) fn end_of_day(at: i64) -> i64 {
    let shifted = at.saturating_add(EAST_MS);
    (shifted.div_euclid(DAY_MS) + 1) * DAY_MS - EAST_MS
}

/// A day and a time of day. By arithmetic, because a statement writes it some hundred thousand times.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Civil {
    fn of(at: i64) -> Self {
        let shifted = at.saturating_add(EAST_MS);
        let second = shifted.rem_euclid(DAY_MS) / 1000;
        // Days since 0000-03-01; years that begin in March end with the leap day.
        let days = shifted.div_euclid(DAY_MS) + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * years + years / 4 - years / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: years + 400 * era + i64::from(month <= 2),
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

fn read(text: &str, format: &str, write: fn(i64) -> String) -> Option<i64> {
    clock::read_beijing(format, text).filter(|at| write(*at) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_769_818_150_000; // 2026-01-31 00:09:10 UTC

    #[test]
    fn both_spellings_read_back() {
        assert_eq!(dashed(AT), "2026-01-31 08:09:10");
        assert_eq!(compact(AT), "20260131080910");
        assert_eq!(read_dashed("2026-01-31 08:09:10"), Some(AT));
        assert_eq!(read_compact("20260131080910"), Some(AT));
    }

    #[test]
    fn the_arithmetic_agrees_with_the_calendar() {
        for day in 0..20_000 {
            let at = day * DAY_MS + day * 4321 - 40 * 365 * DAY_MS / 10;
            assert_eq!(dashed(at), clock::beijing(at, DASHED));
            assert_eq!(compact(at), clock::beijing(at, COMPACT));
        }
        assert_eq!((dashed_day(AT), compact_day(AT)), ("2026-01-31".to_owned(), "20260131".to_owned()));
        assert_eq!(read_day("2026-01-31"), Some(AT - 29_350_000));
    }

    #[test]
    fn another_spelling_is_refused() {
        for text in ["2026-1-31 08:09:10", "2026-02-30 00:00:00", "2026-01-31", "", "2026-01-31 08:09:10 "] {
            assert_eq!(read_dashed(text), None, "{text}");
        }
        for text in ["2026013108091", "20260131 80910", "20261331080910"] {
            assert_eq!(read_compact(text), None, "{text}");
        }
    }

    #[test]
    fn the_day_ends_at_midnight_in_beijing() {
        assert_eq!(dashed(end_of_day(AT)), "2026-02-01 00:00:00");
    }
}
