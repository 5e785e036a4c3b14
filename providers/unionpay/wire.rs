//! The two forms in which UnionPay's fields travel, and the one text that is signed over them.
//!
//! Invariant: whatever is read here has each key once, and no value that could be split into other fields with
//! the same signed text: `&` stands only between a bracket and its first closer, and no bracket stays open
//! (protocol notes, 2 and 4). Amounts are plain digits of fen; times are Beijing time without a zone.
//! It knows no field's meaning and no key.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::collections::BTreeMap;
use tongdao_core::day::Day;
use tongdao_core::time::UnixMillis;

/// A message: field names and decoded values, in the order in which they are signed.
pub(crate) type Fields = BTreeMap<String, String>;

/// The body is not a message of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// Not UTF-8, or a broken percent escape.
    #[error("not UTF-8 text")]
    Text,
    /// Not `key=value` with a key of letters, digits and `_`.
    #[error("not key=value")]
    Pair,
    /// One key twice.
    #[error("a field stands twice")]
    Twice,
    /// A bracket that never closes, or a bare `&` inside a value.
    #[error("a value is not whole")]
    Open,
    /// More fields than any message has.
    #[error("too many fields")]
    TooMany,
}

/// The text that is signed: every field but `signature`, sorted by key, unencoded.
pub(crate) fn link(fields: &Fields) -> String {
    let mut text = String::new();
    for (key, value) in fields.iter().filter(|(key, _)| key.as_str() != "signature") {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(key);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// Reads a synchronous answer: `k=v&k=v` that is *not* URL-encoded; a form decoder would corrupt its base64.
pub(crate) fn read_answer(body: &[u8]) -> Result<Fields, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::Text)?;
    let mut fields = Fields::new();
    for pair in split_outside_brackets(text)? {
        let (key, value) = pair.split_once('=').ok_or(Unreadable::Pair)?;
        put(&mut fields, key.to_owned(), value.to_owned())?;
    }
    Ok(fields)
}

/// Reads an URL-encoded form: what a notify is.
pub(crate) fn read_form(body: &[u8]) -> Result<Fields, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::Text)?;
    let mut fields = Fields::new();
    for pair in text.split('&') {
        let (key, value) = pair.split_once('=').ok_or(Unreadable::Pair)?;
        let value = decoded(value)?;
        // Without this, parts of a genuine message could be merged or split and still give the same signed text.
        if split_outside_brackets(&value)?.len() != 1 {
            return Err(Unreadable::Open);
        }
        put(&mut fields, decoded(key)?, value)?;
    }
    Ok(fields)
}

/// Writes an URL-encoded form body; each value encoded once.
pub(crate) fn write_form(fields: &Fields) -> Vec<u8> {
    let mut body = String::new();
    for (key, value) in fields {
        if !body.is_empty() {
            body.push('&');
        }
        encode_into(&mut body, key);
        body.push('=');
        encode_into(&mut body, value);
    }
    body.into_bytes()
}

/// `YYYYMMDDhhmmss` in Beijing time, cut to the second.
pub(crate) fn beijing(moment: UnixMillis) -> String {
    beijing_civil(moment).strftime("%Y%m%d%H%M%S").to_string()
}

/// Reads `txnTime` (`YYYYMMDDhhmmss`, Beijing time).
pub(crate) fn read_txn_time(text: &str) -> Option<UnixMillis> {
    if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let civil = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    Some(UnixMillis(BEIJING.to_timestamp(civil).ok()?.as_millisecond()))
}

/// Reads `traceTime` (`MMDDhhmmss`, no year) of a trade whose `txnTime` is `after`: the first such moment that
/// is not over a day before it.
pub(crate) fn read_trace_time(text: &str, after: UnixMillis) -> Option<UnixMillis> {
    if text.len() != 10 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let year = i32::from(beijing_civil(after).year());
    [year, year.checked_add(1)?].into_iter().find_map(|year| {
        let moment = read_txn_time(&format!("{year:04}{text}"))?;
        (moment.since_ms(after) > -DAY_MS).then_some(moment)
    })
}

/// Reads `settleDate` (`MMDD`, no year) of a trade whose `txnTime` is `after`: the first such day that is not over a
/// day before it, if it is near at all.
pub(crate) fn read_settle_day(text: &str, after: UnixMillis) -> Option<Day> {
    if text.len() != 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (month, day) = (text.get(..2)?.parse().ok()?, text.get(2..)?.parse().ok()?);
    let made_on = Day::of(after, 0);
    let year = made_on.civil().0;
    [year, year.checked_add(1)?].into_iter().find_map(|year| {
        let day = Day::new(year, month, day)?;
        (-1..=SETTLES_WITHIN_DAYS).contains(&day.number().checked_sub(made_on.number())?).then_some(day)
    })
}

/// A payment settles days after its order was made at most; a settlement date far from it is not one.
const SETTLES_WITHIN_DAYS: i64 = 60;

/// Digits of fen, at most twelve.
pub(crate) fn read_fen(text: &str) -> Option<i64> {
    let plain = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Text that may stand in a field: what the protocol's own syntax uses is made full-width, what it cannot show
/// becomes a space, and it ends before `bytes_max` (a character outside ASCII counts two).
pub(crate) fn plain_text(text: &str, bytes_max: usize) -> String {
    let mut left = bytes_max;
    let fits = move |c: &char| match left.checked_sub(if c.is_ascii() { 1 } else { 2 }) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    text.trim().chars().map(plain_char).take_while(fits).collect::<String>().trim().to_owned()
}

const BEIJING: Offset = Offset::constant(8);
const DAY_MS: i64 = 86_400_000;
const FIELDS_MAX: usize = 128;
const KEY_BYTES_MAX: usize = 64;

fn beijing_civil(moment: UnixMillis) -> DateTime {
    BEIJING.to_datetime(Timestamp::from_millisecond(moment.0).unwrap_or_default())
}

fn plain_char(c: char) -> char {
    match c {
        '&' => '＆',
        '=' => '＝',
        '{' => '｛',
        '}' => '｝',
        '[' => '［',
        ']' => '］',
        '"' => '＂',
        '\'' => '＇',
        '<' => '＜',
        '>' => '＞',
        _ if c.is_control() || c > '\u{ffff}' => ' ',
        _ => c,
    }
}

/// Splits at each `&` that is not between `{` or `[` and the first matching closer; nesting has no depth.
fn split_outside_brackets(text: &str) -> Result<Vec<&str>, Unreadable> {
    let mut closer = None;
    let pairs = text
        .split(|c: char| {
            match (closer, c) {
                (None, '{') => closer = Some('}'),
                (None, '[') => closer = Some(']'),
                (Some(end), c) if end == c => closer = None,
                (None | Some(_), _) => {}
            }
            c == '&' && closer.is_none()
        })
        .collect();
    if closer.is_some() { Err(Unreadable::Open) } else { Ok(pairs) }
}

fn put(fields: &mut Fields, key: String, value: String) -> Result<(), Unreadable> {
    let plain = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !plain {
        return Err(Unreadable::Pair);
    }
    if fields.len() >= FIELDS_MAX {
        return Err(Unreadable::TooMany);
    }
    match fields.insert(key, value) {
        None => Ok(()),
        Some(_) => Err(Unreadable::Twice),
    }
}

fn encode_into(body: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => body.push(char::from(byte)),
            b' ' => body.push('+'),
            _ => body.push_str(&format!("%{byte:02X}")),
        }
    }
}

fn decoded(text: &str) -> Result<String, Unreadable> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (nibble(rest.next())?, nibble(rest.next())?);
                high << 4 | low
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Unreadable::Text)
}

fn nibble(byte: Option<u8>) -> Result<u8, Unreadable> {
    let digit = byte.and_then(|b| char::from(b).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
    digit.ok_or(Unreadable::Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_answer_keeps_its_base64_and_what_brackets_hold() {
        let read = read_answer(b"signature=a+b/c==&tokenPayData={token=1&trId=2}&respMsg=ok[0&1]&empty=").unwrap();
        let want = [("signature", "a+b/c=="), ("tokenPayData", "{token=1&trId=2}"), ("respMsg", "ok[0&1]")];
        assert_eq!(read, fields(&[want.as_slice(), &[("empty", "")]].concat()));
    }

    #[test]
    fn brackets_close_at_the_first_closer_without_depth() {
        assert_eq!(read_answer(b"a={{x}&b=1").unwrap(), fields(&[("a", "{{x}"), ("b", "1")]));
        assert_eq!(read_answer(b"a={[}&b=]").unwrap(), fields(&[("a", "{[}"), ("b", "]")]));
    }

    #[test]
    fn a_body_that_is_no_message_is_refused() {
        for (body, why) in [
            (&b"a=1&a=2"[..], Unreadable::Twice),
            (b"", Unreadable::Pair),
            (b"a=1&", Unreadable::Pair),
            (b"=1", Unreadable::Pair),
            (b"a", Unreadable::Pair),
            (b"a b=1", Unreadable::Pair),
            (b"<html>hello=1", Unreadable::Pair),
            (b"a={1&b=2", Unreadable::Open),
            (b"a=\xff", Unreadable::Text),
        ] {
            assert_eq!(read_answer(body), Err(why), "{}", String::from_utf8_lossy(body));
        }
        let many: Vec<String> = (0..200).map(|n| format!("k{n}=1")).collect();
        assert_eq!(read_answer(many.join("&").as_bytes()), Err(Unreadable::TooMany));
    }

    #[test]
    fn a_form_value_can_not_hide_other_fields() {
        assert_eq!(read_form(b"a=1%262").unwrap_err(), Unreadable::Open);
        assert_eq!(read_form(b"traceTime=0908%26txnAmt%3D1").unwrap_err(), Unreadable::Open);
        assert_eq!(read_form(b"a=%7B1&b=2%7D").unwrap_err(), Unreadable::Open);
        assert_eq!(read_form(b"a%3D1=2").unwrap_err(), Unreadable::Pair);
        assert_eq!(read_form(b"a=1&a=1").unwrap_err(), Unreadable::Twice);
        assert_eq!(read_form(b"a%5B%5D=1").unwrap_err(), Unreadable::Pair);
        assert_eq!(read_form(b"a=%F").unwrap_err(), Unreadable::Text);
        assert_eq!(read_form(b"a=%+1").unwrap_err(), Unreadable::Text);
        assert_eq!(read_form(b"a=%7B1%262%7D+%E4%B8%AD").unwrap(), fields(&[("a", "{1&2} 中")]));
    }

    #[test]
    fn the_signed_text_is_sorted_and_leaves_the_signature_out() {
        assert_eq!(
            link(&fields(&[("b", "{x=1&y=2}"), ("signature", "s"), ("B", ""), ("a", "1")])),
            "B=&a=1&b={x=1&y=2}"
        );
    }

    #[test]
    fn a_settlement_day_gets_the_year_of_its_trade_or_the_next() {
        let eve = Day::new(2026, 12, 31).unwrap().midnight().plus_ms(86_000_000);
        let day = |year, month, day| Day::new(year, month, day);
        assert_eq!(read_settle_day("0101", eve), day(2027, 1, 1));
        assert_eq!(read_settle_day("1231", eve), day(2026, 12, 31));
        assert_eq!(read_settle_day("1230", eve), day(2026, 12, 30));
        for far_or_bad in ["1229", "0601", "1301", "0230", "", "101", "01011", "１２"] {
            assert_eq!(read_settle_day(far_or_bad, eve), None, "{far_or_bad}");
        }
    }

    #[test]
    fn times_are_beijing_time() {
        let moment = UnixMillis(1_662_840_999_999);
        assert_eq!(beijing(moment), "20220911041639");
        assert_eq!(read_trace_time("0911041639", moment), Some(UnixMillis(1_662_840_999_000)));
        let eve = UnixMillis(1_672_502_399_000);
        assert_eq!(beijing(eve), "20221231235959");
        assert_eq!(read_trace_time("0101000001", eve), Some(UnixMillis(1_672_502_401_000)));
        for bad in ["", "0230000000", "09110416470", "+911041647"] {
            assert_eq!(read_trace_time(bad, moment), None, "{bad}");
        }
    }

    #[test]
    fn fen_are_digits_alone() {
        assert_eq!(read_fen("1000"), Some(1000));
        for bad in ["", "1.00", "-1", "+1", "1e2", " 1", "１", "1000000000000"] {
            assert_eq!(read_fen(bad), None, "{bad}");
        }
    }

    #[test]
    fn text_is_made_harmless_and_cut_at_a_character() {
        assert_eq!(plain_text(" a&b={1}[\"x'] \u{1f600}\n", 64), "a＆b＝｛1｝［＂x＇］");
        assert_eq!(plain_text("月卡月卡", 5), "月卡");
        assert_eq!(plain_text("abc", 2), "ab");
        assert_eq!(plain_text(" \u{1f600} ", 32), "");
    }

    proptest! {
        #[test]
        fn what_is_written_as_an_answer_is_read_back(
            wanted in prop::collection::btree_map("[A-Za-z0-9_]{1,12}", "[^&{}\\[\\]]{0,8}(\\{[^}]{0,8}\\}|\\[[^\\]]{0,8}\\])?[^&{}\\[\\]]{0,8}", 1..12)
        ) {
            let body: Vec<String> = wanted.iter().map(|(key, value)| format!("{key}={value}")).collect();
            prop_assert_eq!(read_answer(body.join("&").as_bytes()), Ok(wanted.clone()));
            prop_assert_eq!(read_form(&write_form(&wanted)), Ok(wanted));
        }

        #[test]
        fn any_bytes_are_read_or_refused_and_an_answer_that_is_read_is_its_own_text(body in any::<Vec<u8>>()) {
            let _form = read_form(&body);
            if let Ok(fields) = read_answer(&body) {
                let mut sorted: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
                sorted.sort_unstable();
                let text = String::from_utf8(body).unwrap();
                let length: usize = sorted.iter().map(String::len).sum::<usize>() + sorted.len() - 1;
                prop_assert_eq!(length, text.len());
            }
        }

        #[test]
        fn messages_of_the_protocols_own_characters_never_confuse_the_reader(text in "[ab=&{}\\[\\]+%]{0,40}") {
            if let Ok(fields) = read_answer(text.as_bytes()) {
                let again: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
                prop_assert_eq!(read_answer(again.join("&").as_bytes()), Ok(fields));
            }
        }
    }
}
