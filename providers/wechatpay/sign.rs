//! The signatures and the encryption of APIv3 (README, sections 2 and 6): strings to sign, header forms,
//! AES-256-GCM. Pure functions over bytes.
//!
//! Invariant: a request is signed over the very bytes of its target and body; what arrives is verified over the
//! raw body; a probe (`WECHATPAY/SIGNTEST/…`) has no special case and simply fails. The algorithm is fixed here
//! and never taken from a message. It knows no account, no field of a body and no meaning.

use super::wire::Resource;
use crate::shared::rsa::{KeyFault, SigningKey, VerifyingKey};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tongdao_core::provider::Method;
use tongdao_core::time::UnixMillis;

/// The window around now in which a signed message counts as fresh: `|now - timestamp|` must be under it.
pub(super) const FRESH_MS: i64 = 300_000;

/// What a request's signature covers besides the key.
pub(super) struct RequestParts<'a> {
    pub(super) method: Method,
    /// Path and query exactly as sent.
    pub(super) target: &'a str,
    /// Unix seconds.
    pub(super) timestamp: i64,
    pub(super) nonce: &'a str,
    pub(super) body: &'a [u8],
}

impl RequestParts<'_> {
    /// The five lines, each ended by a line feed, the last too (README 2).
    pub(super) fn message(&self) -> Vec<u8> {
        let method = match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let head = format!("{method}\n{}\n{}\n{}\n", self.target, self.timestamp, self.nonce);
        [head.as_bytes(), self.body, b"\n"].concat()
    }

    /// The `Authorization` header's value.
    pub(super) fn authorization(&self, key: &SigningKey, mch_id: &str, serial: &str) -> Result<String, KeyFault> {
        let signature = STANDARD.encode(key.sign_sha256(&self.message())?);
        Ok(format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{mch_id}\",nonce_str=\"{}\",signature=\"{signature}\",timestamp=\"{}\",serial_no=\"{serial}\"",
            self.nonce, self.timestamp
        ))
    }
}

/// The path and query of an absolute URL: what stands behind the authority.
pub(super) fn target_of(url: &str) -> &str {
    let after_scheme = url.find("://").and_then(|at| url.get(at.saturating_add(3)..)).unwrap_or(url);
    after_scheme.find('/').and_then(|at| after_scheme.get(at..)).unwrap_or("/")
}

/// The second signature, which the payer's page or app hands to the wallet (README 1): base64 over four lines.
pub(super) fn pay_sign(key: &SigningKey, lines: [&str; 4]) -> Result<String, KeyFault> {
    let message: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    key.sign_sha256(message.as_bytes()).map(|signature| STANDARD.encode(signature))
}

/// The `Wechatpay-*` headers of a reply or a callback.
pub(super) struct Seal<'a> {
    timestamp: &'a str,
    nonce: &'a str,
    signature: Vec<u8>,
    /// The exact text that names the key.
    pub(super) serial: &'a str,
    sent_at: UnixMillis,
}

impl<'a> Seal<'a> {
    /// Reads the headers; `None` when one is missing, empty, of another algorithm or undecodable.
    pub(super) fn read(header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let filled = |name| header(name).filter(|value| !value.is_empty());
        if header("wechatpay-signature-type").is_some_and(|kind| kind != "WECHATPAY2-SHA256-RSA2048") {
            return None;
        }
        let timestamp = filled("wechatpay-timestamp")?;
        let digits = timestamp.len() <= 12 && timestamp.bytes().all(|b| b.is_ascii_digit());
        let seconds: i64 = timestamp.parse().ok().filter(|_| digits)?;
        Some(Self {
            timestamp,
            nonce: filled("wechatpay-nonce")?,
            signature: STANDARD.decode(filled("wechatpay-signature")?).ok()?,
            serial: filled("wechatpay-serial")?,
            sent_at: UnixMillis(0).plus_s(seconds),
        })
    }

    /// Whether the signature covers these three and this body (README 2).
    #[must_use]
    pub(super) fn holds(&self, key: &VerifyingKey, body: &[u8]) -> bool {
        let head = format!("{}\n{}\n", self.timestamp, self.nonce);
        key.verify_sha256(&[head.as_bytes(), body, b"\n"].concat(), &self.signature)
    }

    /// Whether it was made within 300 s of `now`, before or after.
    #[must_use]
    pub(super) fn is_fresh(&self, now: UnixMillis) -> bool {
        now.since_ms(self.sent_at).saturating_abs() < FRESH_MS
    }
}

/// Why a resource could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum OpenFault {
    /// Another algorithm, a nonce that is not 12 bytes, or no base64.
    #[error("is not an AEAD_AES_256_GCM resource")]
    Form,
    /// The tag does not hold: another merchant's APIv3 key, or altered.
    #[error("was not encrypted with this account's APIv3 key")]
    Tag,
}

/// Opens a resource with the 32 bytes of the APIv3 key. The associated data is the message's own field.
pub(super) fn open(api_v3_key: &[u8], resource: &Resource) -> Result<Vec<u8>, OpenFault> {
    if resource.algorithm != "AEAD_AES_256_GCM" {
        return Err(OpenFault::Form);
    }
    open_with(&AES_256_GCM, api_v3_key, resource)
}

fn open_with(algorithm: &'static Algorithm, key: &[u8], resource: &Resource) -> Result<Vec<u8>, OpenFault> {
    let nonce: [u8; NONCE_LEN] = resource.nonce.as_bytes().try_into().map_err(|_| OpenFault::Form)?;
    let mut sealed = STANDARD.decode(&resource.ciphertext).map_err(|_| OpenFault::Form)?;
    let key = UnboundKey::new(algorithm, key).map(LessSafeKey::new).map_err(|_| OpenFault::Form)?;
    let aad = Aad::from(resource.associated_data.as_deref().unwrap_or_default());
    let plain = key.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
    plain.map(|plain| plain.to_vec()).map_err(|_| OpenFault::Tag)
}

#[cfg(test)]
mod tests;
