//! How moments, spans and sums are written for people.
//!
//! Invariant: times are Beijing time (UTC+8), as payers, providers and finance write them, whatever the machine's
//! zone; sums are yuan with two decimals; spans use the largest unit that still says something.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use tongdao_core::money::Money;

const BEIJING_HOURS: i8 = 8;

/// A moment of the API (RFC 3339) as `12-17 19:33:20`; what cannot be read stays as it is.
pub(crate) fn moment(text: &str) -> String {
    written(text, "%m-%d %H:%M:%S")
}

/// A moment of the API as `19:33:20.120`.
pub(crate) fn time_of_day(text: &str) -> String {
    written(text, "%H:%M:%S%.3f")
}

/// A moment of the API as `2026-12-17`.
pub(crate) fn date(text: &str) -> String {
    written(text, "%Y-%m-%d")
}

/// A moment of the API in milliseconds.
pub(crate) fn millis_of(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// A span: `222 ms`, `3.2 s`, `4 m 10 s`, `2 h 5 m`, `3 d 4 h`.
pub(crate) fn span(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let tenths = ms.rem_euclid(1000).div_euclid(100);
    match seconds {
        ..1 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{tenths} s"),
        60..3600 => format!("{} m {} s", seconds.div_euclid(60), seconds.rem_euclid(60)),
        3600..86_400 => format!("{} h {} m", seconds.div_euclid(3600), seconds.rem_euclid(3600).div_euclid(60)),
        86_400.. => format!("{} d {} h", seconds.div_euclid(86_400), seconds.rem_euclid(86_400).div_euclid(3600)),
    }
}

/// Fen as yuan.
pub(crate) fn yuan(fen: i64) -> String {
    Money::cny(fen).yuan()
}

/// A share as `98.7 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// So many of a thing: `1 channel`, `3 channels`.
pub(crate) fn count(number: impl TryInto<u64>, thing: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// What a payer is told at a stage.
pub(crate) fn stage_zh(stage: &str) -> &'static str {
    match stage {
        "awaiting_payment" => "待支付",
        "delivering" => "权益发放中",
        "completed" => "已完成",
        "closed" => "已关闭",
        "refunded" => "已退款",
        "attention" => "处理中",
        _ => "",
    }
}

fn written(text: &str, format: &str) -> String {
    let Ok(at) = text.parse::<Timestamp>() else { return text.to_owned() };
    let zone = Offset::from_hours(BEIJING_HOURS).map(TimeZone::fixed).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_beijing_time() {
        assert_eq!(moment("2025-12-17T19:33:20.120Z"), "12-18 03:33:20");
        assert_eq!(time_of_day("2025-12-17T19:33:20.120Z"), "03:33:20.120");
        assert_eq!(date("2025-12-17T19:33:20.120Z"), "2025-12-18");
        assert_eq!(moment("soon"), "soon");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([count(0_u64, "charge"), count(1_usize, "charge")].join(", "), "0 charges, 1 charge");
    }

    #[test]
    fn spans_use_the_unit_that_fits() {
        let cases = [(0, "0 ms"), (999, "999 ms"), (3210, "3.2 s"), (250_000, "4 m 10 s"), (7_500_000, "2 h 5 m")];
        for (ms, text) in cases {
            assert_eq!(span(ms), text);
        }
        assert_eq!(span(273_600_000), "3 d 4 h");
    }
}
