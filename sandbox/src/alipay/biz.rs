//! `biz_content`, read field by field: unknown keys, wrong types, lengths and characters are refused
//! as `ACQ.INVALID_PARAMETER`, because the real gateway blocks undocumented keys.
//!
//! Invariant: amounts become integer fen by digits, never through a float. Times become unix ms.
//! Must not know: orders, signatures, HTTP.

use serde_json::{Map, Value};

use super::answer::Refusal;
use crate::formats::beijing;

/// `biz_content` of one call.
pub(crate) struct Biz<'a>(&'a Map<String, Value>);

impl<'a> Biz<'a> {
    /// Takes the object when it has none but the `allowed` keys.
    pub(crate) fn of(object: &'a Map<String, Value>, allowed: &[&str]) -> Result<Self, Refusal> {
        match object.keys().find(|key| !allowed.contains(&key.as_str())) {
            Some(key) => Err(wrong(key)),
            None => Ok(Self(object)),
        }
    }

    /// An optional text of at most `max` characters; empty is as good as absent.
    pub(crate) fn text(&self, name: &str, max: usize) -> Result<Option<&'a str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= max => {
                Ok(Some(text.as_str()).filter(|t| !t.is_empty()))
            }
            Some(_) => Err(wrong(name)),
        }
    }

    /// A text that must be there.
    pub(crate) fn need(&self, name: &str, max: usize) -> Result<&'a str, Refusal> {
        self.text(name, max)?.ok_or_else(|| wrong(name))
    }

    /// `out_trade_no` or `out_request_no`: letters, digits and `_`, at most 64.
    pub(crate) fn number(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let text = self.text(name, 64)?;
        let plain = |text: &&str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match text {
            Some(text) if !plain(&text) => Err(wrong(name)),
            other => Ok(other),
        }
    }

    /// An amount in yuan that must be there, as fen; a JSON number is tolerated.
    pub(crate) fn amount(&self, name: &str) -> Result<i64, Refusal> {
        let text = match self.0.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) | None => return Err(wrong(name)),
        };
        fen(&text).filter(|fen| (1..=AMOUNT_MAX).contains(fen)).ok_or_else(|| wrong(name))
    }

    /// An absolute time.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.text(name, 19)?.map(|text| beijing::read_dashed(text).ok_or_else(|| wrong(name))).transpose()
    }

    /// A life span counted from `from`: `1m` … `15d`, `1c` is the end of the day.
    pub(crate) fn life(&self, name: &str) -> Result<Option<Life>, Refusal> {
        self.text(name, 6)?.map(|text| Life::read(text).ok_or_else(|| wrong(name))).transpose()
    }

    /// Whether a list of texts names `word`.
    pub(crate) fn lists(&self, name: &str, word: &str) -> bool {
        let list = self.0.get(name).and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|one| one.as_str() == Some(word)))
    }
}

/// How long something lives from a moment still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// A fixed span.
    Ms(i64),
    /// Until the Beijing day ends.
    ToEndOfDay,
}

impl Life {
    /// When it ends if it begins at `from`.
    pub(crate) fn end(self, from: i64) -> i64 {
        match self {
            Self::Ms(span) => from.saturating_add(span),
            Self::ToEndOfDay => beijing::end_of_day(from),
        }
    }

    /// Reads `90m`, `3h`, `15d` or `1c`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text == "1c" {
            return Some(Self::ToEndOfDay);
        }
        let unit = text.chars().last()?;
        let minute_ms = 60_000;
        let unit_ms = match unit {
            'm' => minute_ms,
            'h' => 60 * minute_ms,
            'd' => DAY_MS,
            _ => return None,
        };
        let digits = text.strip_suffix(unit)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let span = digits.parse::<i64>().ok()?.checked_mul(unit_ms)?;
        (minute_ms..=15 * DAY_MS).contains(&span).then_some(Self::Ms(span))
    }
}

const DAY_MS: i64 = 86_400_000;
/// 100 000 000 yuan.
const AMOUNT_MAX: i64 = 10_000_000_000;

/// Fen as yuan with two decimals.
pub(crate) fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

/// `ACQ.INVALID_PARAMETER` that names the field.
pub(crate) fn wrong(name: &str) -> Refusal {
    Refusal::business("ACQ.INVALID_PARAMETER", &format!("参数无效: {name}"))
}

fn fen(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 {
        return None;
    }
    let cents = format!("{part:0<2}");
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_are_read_by_digits() {
        for (value, expected) in [
            (json!("88.88"), Some(8888)),
            (json!("0.01"), Some(1)),
            (json!("3"), Some(300)),
            (json!("3.5"), Some(350)),
            (json!(9.9), Some(990)),
            (json!("100000000"), Some(10_000_000_000)),
            (json!("100000000.01"), None),
            (json!("0"), None),
            (json!("0.001"), None),
            (json!("-1"), None),
            (json!("1e3"), None),
            (json!(""), None),
            (json!(null), None),
        ] {
            let object = json!({ "total_amount": value });
            let map = object.as_object().unwrap();
            let biz = Biz::of(map, &["total_amount"]).unwrap();
            assert_eq!(biz.amount("total_amount").ok(), expected, "{object}");
        }
        assert_eq!((yuan(8888), yuan(1), yuan(300)), ("88.88".into(), "0.01".into(), "3.00".into()));
    }

    #[test]
    fn life_spans_are_whole_numbers_between_a_minute_and_fifteen_days() {
        for (text, expected) in [
            ("1m", Some(Life::Ms(60_000))),
            ("90m", Some(Life::Ms(5_400_000))),
            ("15d", Some(Life::Ms(15 * DAY_MS))),
            ("1c", Some(Life::ToEndOfDay)),
            ("16d", None),
            ("0m", None),
            ("1.5h", None),
            ("5s", None),
            ("m", None),
        ] {
            assert_eq!(Life::read(text), expected, "{text}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let object = json!({ "out_trade_no": "1", "extra": 1 });
        let refused = Biz::of(object.as_object().unwrap(), &["out_trade_no"]).err().unwrap();
        assert_eq!(refused.sub_code, "ACQ.INVALID_PARAMETER");
    }
}
