//! Text and time as APIv3 takes them: lengths in bytes, no 4-byte characters, Beijing time.
//!
//! Invariant: a subject never makes a payment fail; what is refused is replaced and what is too long is cut at a
//! character. It knows no field's meaning.

use tongdao_core::time::UnixMillis;

const DESCRIPTION_BYTES_MAX: usize = 127;
const REASON_BYTES_MAX: usize = 80;

/// The goods text: never empty, because it is a required field.
pub(super) fn description(subject: &str) -> String {
    let text = plain(subject, DESCRIPTION_BYTES_MAX);
    if text.is_empty() { "商品".to_owned() } else { text }
}

/// A refund's reason; may be empty, and is then left out.
pub(super) fn reason(text: &str) -> String {
    plain(text, REASON_BYTES_MAX)
}

/// RFC 3339 at +08:00, whole seconds, rounded down: the provider's end is never after ours.
pub(super) fn beijing(moment: UnixMillis) -> Option<String> {
    let timestamp = jiff::Timestamp::from_second(moment.as_secs()).ok()?;
    let local = jiff::tz::Offset::constant(8).to_datetime(timestamp);
    Some(local.strftime("%Y-%m-%dT%H:%M:%S+08:00").to_string())
}

/// Reads RFC 3339, with or without milliseconds.
pub(super) fn moment(text: &str) -> Option<UnixMillis> {
    text.parse::<jiff::Timestamp>().ok().map(|timestamp| UnixMillis(timestamp.as_millisecond()))
}

/// An H5 page's address with the one parameter that may be appended (README 1).
pub(super) fn with_return(page: String, return_url: Option<&str>) -> String {
    let Some(return_url) = return_url else { return page };
    let joint = if page.contains('?') { '&' } else { '?' };
    let escaped: String = return_url.bytes().map(escape).collect();
    format!("{page}{joint}redirect_url={escaped}")
}

fn escape(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

fn plain(text: &str, bytes_max: usize) -> String {
    let mut kept = String::new();
    let replaced = text.trim().chars().map(|c| if c.len_utf8() == 4 || c.is_control() { ' ' } else { c });
    for c in replaced {
        if kept.len().saturating_add(c.len_utf8()) > bytes_max {
            break;
        }
        kept.push(c);
    }
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_beijing_and_whole_seconds() {
        let at = moment("2018-06-08T10:34:56+08:00").unwrap();
        assert_eq!(beijing(at.plus_ms(999)).unwrap(), "2018-06-08T10:34:56+08:00");
        assert_eq!(moment("2018-06-08T02:34:56.120Z").unwrap(), at.plus_ms(120));
        assert_eq!(moment("2018-06-08 10:34:56"), None);
        assert_eq!(beijing(UnixMillis(i64::MAX)), None);
    }

    #[test]
    fn a_return_address_is_appended_escaped() {
        let page = "https://wx.tenpay.com/x?prepay_id=1".to_owned();
        let with = with_return(page.clone(), Some("https://shop.example/回?a=1&b=2"));
        assert_eq!(with, format!("{page}&redirect_url=https%3A%2F%2Fshop.example%2F%E5%9B%9E%3Fa%3D1%26b%3D2"));
        assert_eq!(with_return(page.clone(), None), page);
    }

    #[test]
    fn a_subject_is_cut_at_a_character_and_never_refused() {
        assert_eq!(description("充值卡 100 元"), "充值卡 100 元");
        assert_eq!(description("🎁礼品卡🎁"), "礼品卡");
        assert_eq!(description(""), "商品");
        assert_eq!(description(&"卡".repeat(60)).len(), 126);
    }

    proptest! {
        #[test]
        fn every_subject_fits(subject in ".*") {
            let text = description(&subject);
            prop_assert!((1..=127).contains(&text.len()));
            prop_assert!(text.chars().all(|c| c.len_utf8() < 4 && !c.is_control()));
            prop_assert!(reason(&subject).len() <= 80);
        }
    }
}
