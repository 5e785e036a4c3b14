//! The keys under which things lie, one prefix a kind, big-endian so that bytes sort as numbers do.
//!
//! Invariant: no two things share a key; text parts are length-prefixed, so that no merchant can craft a number that
//! reads as another's. The letters are those of the design: o charge, e event, p/x/k/r/n/c references, m merchant
//! list, b break, s named value, f search; of reconciliations i entry, d entry by day, y stray, l line, w open line, z document.

use crate::ports::Reference;
use tongdao_core::day::Day;
use tongdao_core::effect::EffectKey;
use tongdao_core::ids::{AttemptId, BreakId, ChannelId, ChargeId, EventId, MerchantId, ReconciliationId, RefundId};
use tongdao_core::provider::LineKind;
use tongdao_core::reconcile::LineKey;

/// `o`: a charge.
pub(super) fn charge(id: ChargeId) -> Vec<u8> {
    [b"o".as_slice(), &id.to_bytes()].concat()
}

/// The charge whose key this is.
pub(super) fn charge_of(key: &[u8]) -> Option<ChargeId> {
    let bytes = key.len().checked_sub(16).and_then(|start| key.get(start..))?;
    bytes.try_into().ok().map(ChargeId::from_bytes)
}

/// `e`: an event.
pub(super) fn event(id: ChargeId, seq: u64) -> Vec<u8> {
    [b"e".as_slice(), &id.to_bytes(), &seq.to_be_bytes()].concat()
}

/// The number of the event whose key this is.
pub(super) fn seq_of(key: &[u8]) -> Option<u64> {
    let bytes = key.len().checked_sub(8).and_then(|start| key.get(start..))?;
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// `m`: a merchant's charge, for its list.
pub(super) fn merchant_charge(merchant: &MerchantId, id: ChargeId) -> Vec<u8> {
    [merchant_list(merchant), id.to_bytes().to_vec()].concat()
}

/// The start of a merchant's list.
pub(super) fn merchant_list(merchant: &MerchantId) -> Vec<u8> {
    let mut key = b"m".to_vec();
    part(&mut key, merchant.as_str());
    key
}

/// `b`: a break.
pub(super) fn breach(id: BreakId) -> Vec<u8> {
    [b"b".as_slice(), &id.to_bytes()].concat()
}

/// `s`: a named value.
pub(super) fn kept(name: &str) -> Vec<u8> {
    [b"s".as_slice(), name.as_bytes()].concat()
}

/// `i`: an entry, by number.
pub(super) fn entry(channel: &ChannelId, kind: LineKind, number: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(80);
    key.push(b'i');
    part(&mut key, channel.as_str());
    name(&mut key, kind, number);
    key
}

/// `d`: an entry in the list of its day.
pub(super) fn day_entry(channel: &ChannelId, day: Day, kind: LineKind, number: &str) -> Vec<u8> {
    let mut key = day_list(channel, day);
    name(&mut key, kind, number);
    key
}

/// The start of a day's entries.
pub(super) fn day_list(channel: &ChannelId, day: Day) -> Vec<u8> {
    of_day(b'd', channel, day)
}

/// `y`: an entry that another day's file named.
pub(super) fn stray(channel: &ChannelId, day: Day, kind: LineKind, number: &str) -> Vec<u8> {
    let mut key = stray_list(channel, day);
    name(&mut key, kind, number);
    key
}

/// The start of a day's strays.
pub(super) fn stray_list(channel: &ChannelId, day: Day) -> Vec<u8> {
    of_day(b'y', channel, day)
}

/// Kind and number of what lies under a list's key, from what stands behind the list's start.
pub(super) fn name_of(rest: &[u8]) -> Option<(LineKind, String)> {
    let kind = match rest.first()? {
        b'p' => LineKind::Payment,
        b'r' => LineKind::Refund,
        _ => return None,
    };
    String::from_utf8(rest.get(5..)?.to_vec()).ok().map(|number| (kind, number))
}

/// `l`: a line of a reconciliation.
pub(super) fn line(id: ReconciliationId, line: &LineKey) -> Vec<u8> {
    let mut key = line_list(id);
    name(&mut key, line.kind, &line.number);
    key.extend(line.ordinal.to_be_bytes());
    key
}

/// The start of a reconciliation's lines.
pub(super) fn line_list(id: ReconciliationId) -> Vec<u8> {
    [b"l".as_slice(), &id.to_bytes()].concat()
}

/// The line whose key this is, from what stands behind the list's start.
pub(super) fn line_key_of(rest: &[u8]) -> Option<LineKey> {
    let split = rest.len().checked_sub(8)?;
    let (named, ordinal) = rest.split_at_checked(split)?;
    let (kind, number) = name_of(named)?;
    Some(LineKey { kind, number, ordinal: u64::from_be_bytes(ordinal.try_into().ok()?) })
}

/// `w`: a line in the list of open ones.
pub(super) fn open_line(id: ReconciliationId, line: &LineKey) -> Vec<u8> {
    let mut key = open_list(id);
    name(&mut key, line.kind, &line.number);
    key.extend(line.ordinal.to_be_bytes());
    key
}

/// The start of a reconciliation's open lines.
pub(super) fn open_list(id: ReconciliationId) -> Vec<u8> {
    [b"w".as_slice(), &id.to_bytes()].concat()
}

/// `z`: a reconciliation's document.
pub(super) fn reconciliation(id: ReconciliationId) -> Vec<u8> {
    [b"z".as_slice(), &id.to_bytes()].concat()
}

/// The first key that does not start with `prefix`, whatever stands behind it.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX).unwrap_or_default();
    let mut end = prefix.get(..=kept).unwrap_or_default().to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

fn of_day(prefix: u8, channel: &ChannelId, day: Day) -> Vec<u8> {
    let mut key = Vec::with_capacity(80);
    key.push(prefix);
    part(&mut key, channel.as_str());
    key.extend(day.number().to_be_bytes());
    key
}

fn name(key: &mut Vec<u8>, kind: LineKind, number: &str) {
    key.push(match kind {
        LineKind::Payment => b'p',
        LineKind::Refund => b'r',
    });
    part(key, number);
}

/// The start of everything found by some number.
pub(super) fn any_number(number: &str) -> Vec<u8> {
    let mut key = b"f".to_vec();
    part(&mut key, number);
    key
}

/// A name's key.
pub(super) fn reference(reference: &Reference) -> Vec<u8> {
    let (prefix, parts): (u8, Vec<&str>) = match reference {
        Reference::MerchantOrder(merchant, no) => (b'n', vec![merchant.as_str(), no]),
        Reference::Idempotency(merchant, route, key) => (b'k', vec![merchant.as_str(), route, key]),
        Reference::RefundNo(merchant, no) => (b'r', vec![merchant.as_str(), no]),
        Reference::Refund(id) => return [b"R".as_slice(), &id.to_bytes()].concat(),
        Reference::ProviderOrder(provider, account, no) => (b'p', vec![provider.as_str(), account, no]),
        Reference::ProviderRefund(provider, account, no) => (b'P', vec![provider.as_str(), account, no]),
        Reference::Credit(provider, account, no) => (b'x', vec![provider.as_str(), account, no]),
        Reference::Token(token) => (b'c', vec![token]),
        Reference::AnyNumber(number, id) => return [any_number(number), id.to_bytes().to_vec()].concat(),
    };
    let mut key = vec![prefix];
    for text in parts {
        part(&mut key, text);
    }
    key
}

/// A timer's id: its charge, then which.
pub(super) fn timer(charge: ChargeId, key: EffectKey) -> Vec<u8> {
    let (tag, id) = match key {
        EffectKey::Expire => (b'E', [0; 16]),
        EffectKey::Deadline => (b'D', [0; 16]),
        EffectKey::Attempt(id) => (b'A', id.to_bytes()),
        EffectKey::Refund(id) => (b'R', id.to_bytes()),
        EffectKey::Webhook(id) => (b'W', id.to_bytes()),
    };
    [charge.to_bytes().as_slice(), &[tag], &id].concat()
}

/// The timer whose id this is.
pub(super) fn timer_of(id: &[u8]) -> Option<(ChargeId, EffectKey)> {
    let charge = ChargeId::from_bytes(id.get(..16)?.try_into().ok()?);
    let of: [u8; 16] = id.get(17..33)?.try_into().ok()?;
    let key = match id.get(16)? {
        b'E' => EffectKey::Expire,
        b'D' => EffectKey::Deadline,
        b'A' => EffectKey::Attempt(AttemptId::from_bytes(of)),
        b'R' => EffectKey::Refund(RefundId::from_bytes(of)),
        b'W' => EffectKey::Webhook(EventId::from_bytes(of)),
        _ => return None,
    };
    Some((charge, key))
}

/// The first key behind all keys that start with `prefix`.
pub(super) fn after(prefix: &[u8]) -> Vec<u8> {
    [prefix, &[0xff; 40]].concat()
}

/// The kind of thing under a key, for people.
pub(super) fn kind(key: &[u8]) -> &'static str {
    match key.first() {
        Some(b'o') => "charge",
        Some(b'e') => "event",
        Some(b'm') => "merchant_list",
        Some(b'b') => "break",
        Some(b's') => "kept",
        Some(b'f') => "number",
        Some(b'n') => "merchant_order",
        Some(b'k') => "idempotency_key",
        Some(b'r') => "refund_no",
        Some(b'R') => "refund",
        Some(b'p') => "provider_order",
        Some(b'P') => "provider_refund",
        Some(b'x') => "credit",
        Some(b'c') => "cashier_token",
        Some(b'i') => "entry",
        Some(b'd') => "entry_of_day",
        Some(b'y') => "stray",
        Some(b'l') => "statement_line",
        Some(b'w') => "open_line",
        Some(b'z') => "reconciliation",
        Some(_) | None => "unknown",
    }
}

fn part(key: &mut Vec<u8>, text: &str) {
    key.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    key.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongdao_core::time::UnixMillis;

    #[test]
    fn a_timer_is_read_back_from_its_id() {
        let (now, charge) = (UnixMillis(1_766_000_000_000), ChargeId::new(UnixMillis(1), 2));
        let keys = [
            EffectKey::Expire,
            EffectKey::Deadline,
            EffectKey::Attempt(AttemptId::new(now, 3)),
            EffectKey::Refund(RefundId::new(now, 4)),
            EffectKey::Webhook(EventId::new(now, 5)),
        ];
        for key in keys {
            assert_eq!(timer_of(&timer(charge, key)), Some((charge, key)));
        }
    }

    #[test]
    fn parts_that_read_alike_when_joined_have_different_keys() {
        let of =
            |merchant: &str, no: &str| reference(&Reference::MerchantOrder(merchant.parse().unwrap(), no.to_owned()));
        assert_ne!(of("m1", "2x"), of("m12", "x"));
    }
}
