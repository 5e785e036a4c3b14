//! Beijing's wall clock as statements print it, read without a calendar library: there is one for every line.
//!
//! Invariant: what the calendar or the clock does not have is no moment. Beijing has no summer time, so a civil time
//! is exactly one moment.

use tongdao_core::day::Day;
use tongdao_core::time::UnixMillis;

/// Reads `2026-12-01 09:08:07`.
pub(crate) fn beijing(text: &str) -> Option<UnixMillis> {
    let bytes: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', rest @ ..] = bytes else { return None };
    let [h1, h2, b':', n1, n2, b':', s1, s2] = rest else { return None };
    let year = digits(&[*y1, *y2, *y3, *y4])?;
    let day = Day::new(year, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?)?;
    at(day, digits(&[*h1, *h2])?, digits(&[*n1, *n2])?, digits(&[*s1, *s2])?)
}

/// Reads `MMDDhhmmss`, in the year that puts it nearest to `near`.
pub(crate) fn beijing_near(text: &str, near: Day) -> Option<UnixMillis> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    let [m1, m2, d1, d2, h1, h2, n1, n2, s1, s2] = bytes;
    let (month, day) = (digits(&[*m1, *m2])?, digits(&[*d1, *d2])?);
    let (year, _, _) = near.civil();
    let years = [year.checked_sub(1)?, year, year.checked_add(1)?];
    let days = years.into_iter().filter_map(|year| Day::new(year, month, day));
    let day = days.min_by_key(|day| day.number().abs_diff(near.number()))?;
    at(day, digits(&[*h1, *h2])?, digits(&[*n1, *n2])?, digits(&[*s1, *s2])?)
}

fn at(day: Day, hour: i64, minute: i64, second: i64) -> Option<UnixMillis> {
    let holds = hour < 24 && minute < 60 && second < 60;
    let seconds = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    holds.then(|| day.midnight().plus_s(seconds))
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0_i64, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(i64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wall_clocks_are_read_strictly() {
        assert_eq!(beijing("2026-12-01 00:00:00"), Some(UnixMillis(1_796_054_400_000)));
        assert_eq!(beijing("2026-12-01 23:59:59"), Some(UnixMillis(1_796_140_799_000)));
        let bad = [
            "",
            "2026-12-01",
            "2026-12-01T00:00:00",
            "2026-02-30 00:00:00",
            "2026-12-01 24:00:00",
            "2026-12-01 00:60:00",
            "2026-12-01 00:00:60",
            "2026-12-0a 00:00:00",
            "2026-12-01 00：00:0",
        ];
        for text in bad {
            assert_eq!(beijing(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_without_a_year_is_the_nearest_one() {
        let near: Day = "2027-01-01".parse().unwrap();
        let text = |text: &str| beijing_near(text, near).map(|at| Day::of(at, 0).to_string());
        assert_eq!(text("1231235959").as_deref(), Some("2026-12-31"));
        assert_eq!(text("0102000000").as_deref(), Some("2027-01-02"));
        assert_eq!(text("0230000000"), None);
        assert_eq!(text("010200000"), None);
        assert_eq!(beijing_near("0229000000", "2026-03-01".parse().unwrap()), None, "no leap year is next to 2026");
    }

    proptest! {
        #[test]
        fn the_calendar_library_agrees(seconds in 0i64..4_000_000_000) {
            let stamp = jiff::Timestamp::from_second(seconds).unwrap();
            let civil = jiff::tz::Offset::constant(8).to_datetime(stamp);
            let text = civil.strftime("%Y-%m-%d %H:%M:%S").to_string();
            prop_assert_eq!(beijing(&text), Some(UnixMillis(seconds * 1000)));
        }
    }
}
