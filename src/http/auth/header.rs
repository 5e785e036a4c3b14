//! The `Authorization` header of the merchant API.
//!
//! Invariant: one spelling only; a parameter that is missing, doubled, unknown or unquoted makes the header unreadable.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SCHEME: &str = "TONGDAO-HMAC-SHA256";
const HEADER_BYTES_MAX: usize = 1024;

/// What a caller says about itself, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) key_id: String,
    /// As written: the signature covers these bytes.
    pub(super) timestamp: String,
    pub(super) timestamp_s: i64,
    pub(super) nonce: String,
    pub(super) signature: Vec<u8>,
}

impl Credentials {
    pub(super) fn read(header: &str) -> Option<Self> {
        if header.len() > HEADER_BYTES_MAX {
            return None;
        }
        let (scheme, rest) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let (mut key_id, mut timestamp, mut nonce, mut signature) = (None, None, None, None);
        for parameter in rest.split(',') {
            let (name, value) = parameter.trim().split_once('=')?;
            let value = value.strip_prefix('"')?.strip_suffix('"').filter(|value| !value.contains('"'))?;
            let slot = match name {
                "key_id" => &mut key_id,
                "timestamp" => &mut timestamp,
                "nonce" => &mut nonce,
                "signature" => &mut signature,
                _ => return None,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        let timestamp = timestamp?;
        Some(Self {
            key_id: key_id?.to_owned(),
            timestamp: timestamp.to_owned(),
            timestamp_s: seconds(timestamp)?,
            nonce: nonce?.to_owned(),
            signature: STANDARD.decode(signature?).ok()?,
        })
    }
}

/// Unix seconds: digits only, so that no two spellings mean one moment.
fn seconds(text: &str) -> Option<i64> {
    let plain = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
