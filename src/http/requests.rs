//! What merchants ask for, read strictly: every limit of the API is checked here and nowhere else.
//!
//! Invariants: what leaves this module is complete, within its limits and has its defaults filled in; all faults of a
//! request are listed at once; the hash of a request covers what it means, not how it is written. An amount is an
//! integer from the first byte to the last.

mod admin;
mod open_charge;
mod short;

#[cfg(test)]
mod tests;

pub(crate) use admin::{
    ACTOR_CHARS_MAX, Explaining, OverrideAsk, REASON_CHARS_MAX, Reloading, ResolveAsk, read_explain, read_override,
    read_reconciliation, read_reload, read_resolve,
};
pub(crate) use open_charge::{Asker, read_charge};
pub(crate) use short::{read_attempt, read_batch, read_delivery, read_nothing, read_refund};

use super::problem::Problem;
use axum::http::HeaderMap;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

const KEY_BYTES_MAX: usize = 255;

/// The caller's `Idempotency-Key`, quoted or bare.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let wrong = || Problem::MalformedRequest("Idempotency-Key must be 1 to 255 printable characters, once.".to_owned());
    let mut all = headers.get_all("idempotency-key").iter();
    let (Some(first), None) = (all.next(), all.next()) else {
        return if headers.contains_key("idempotency-key") { Err(wrong()) } else { Ok(None) };
    };
    let text = first.to_str().map_err(|_| wrong())?.trim();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let plain = inner.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"');
    if plain && (1..=KEY_BYTES_MAX).contains(&inner.len()) { Ok(Some(inner.to_owned())) } else { Err(wrong()) }
}

/// SHA-256 over a request in one fixed form, as hex.
fn hash(route: &str, canonical: &impl Serialize) -> String {
    // The forms are structs of text and integers: they always serialize, and in the order of their fields.
    let bytes = serde_json::to_vec(canonical).unwrap_or_default();
    let digest = Sha256::new().chain_update(route).chain_update([0]).chain_update(bytes).finalize();
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        if write!(hex, "{byte:02x}").is_err() {
            hex.clear();
        }
        hex
    })
}
