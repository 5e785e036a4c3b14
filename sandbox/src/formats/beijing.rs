//! Beijing time (UTC+8, no daylight saving) in the two spellings of the wire:
//! `2026-01-31 08:09:10` (Alipay) and `20260131080910` (UnionPay).
//!
//! Invariant: reading accepts only the exact spelling, digit for digit.
//! Must not know: what time it is.

use crate::clock;

const DASHED: &str = "%Y-%m-%d %H:%M:%S";
const COMPACT: &str = "%Y%m%d%H%M%S";

/// `yyyy-MM-dd HH:mm:ss` of a time in unix milliseconds.
pub(crate) fn dashed(at: i64) -> String {
    clock::beijing(at, DASHED)
}

/// `yyyyMMddHHmmss` of a time in unix milliseconds.
pub(crate) fn compact(at: i64) -> String {
    clock::beijing(at, COMPACT)
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
    const DAY_MS: i64 = 86_400_000;
    const EAST_MS: i64 = 8 * 3_600_000;
    let shifted = at.saturating_add(EAST_MS);
    (shifted.div_euclid(DAY_MS) + 1) * DAY_MS - EAST_MS
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
