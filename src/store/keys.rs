//! The keys under which things lie, one prefix a kind, big-endian so that bytes sort as numbers do.
//!
//! Invariant: no two things share a key; text parts are length-prefixed, so that no merchant can craft a number that
//! reads as another's. The letters are those of the design: o charge, e event, p/x/k/r/n/c references, m merchant
//! list, b break, s named value, f search.

use crate::ports::Reference;
use tongdao_core::effect::EffectKey;
use tongdao_core::ids::{AttemptId, BreakId, ChargeId, EventId, MerchantId, RefundId};

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
