//! Who is calling: the merchant's HMAC signature over method, target, time, nonce and body.
//!
//! Invariants: the signature covers the raw request target and the raw body; it is compared in constant time, also when
//! the key is not known; a nonce counts once inside its window; every failure is the same 401 to the caller, and its
//! reason goes to the log and the metric only. Nothing here has a way around the signature.

mod header;

#[cfg(test)]
mod tests;

use self::header::Credentials;
use super::Api;
use super::body;
use super::problem::Problem;
use crate::config::Config;
use crate::metrics::{AuthFailure, RatePolicy};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, request};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tongdao_core::ids::MerchantId;
use tongdao_core::time::UnixMillis;

/// How far a signature's time may be from ours.
const WINDOW_S: i64 = 300;
/// The largest body of the merchant API.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// A request whose signature held, and its raw body.
pub(crate) struct Signed {
    pub(crate) merchant: MerchantId,
    pub(crate) body: Bytes,
}

impl FromRequest<Api> for Signed {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = body::read(&parts.headers, body, BODY_BYTES_MAX).await?;
        let config = api.flow.config();
        let merchant = match authenticate(api, &config, &parts, &body).await? {
            Ok(merchant) => merchant,
            Err(reason) => {
                api.flow.metrics.auth_failed(reason);
                tracing::warn!(
                    request_id = crate::request_scope::current_id(),
                    reason = reason.as_str(),
                    "a request was not let in"
                );
                return Err(Problem::Unauthenticated);
            }
        };
        check_type(&parts.headers, &body)?;
        Ok(Self { merchant, body })
    }
}

async fn authenticate(
    api: &Api,
    config: &Config,
    parts: &request::Parts,
    body: &[u8],
) -> Result<Result<MerchantId, AuthFailure>, Problem> {
    let now = api.flow.clock.now();
    let (credentials, merchant) = match verify(config, parts, body, now) {
        Ok(verified) => verified,
        Err(reason) => return Ok(Err(reason)),
    };
    // The budget is the merchant's: only its own calls use it up.
    if let Some(limit) = config.merchant(&merchant).map(|merchant| merchant.rate_limit) {
        api.limits.take(&merchant, limit, 1).map_err(|over| {
            api.flow.metrics.rate_limited(RatePolicy::Merchant);
            Problem::RateLimited(over)
        })?;
    }
    // The last moment at which this signature would still be taken.
    let until = UnixMillis(credentials.timestamp_s.saturating_mul(1000)).plus_s(WINDOW_S.saturating_add(1));
    let fresh = api.flow.store().take_nonce(&credentials.key_id, &credentials.nonce, until, now).await?;
    Ok(if fresh { Ok(merchant) } else { Err(AuthFailure::NonceSeen) })
}

/// Everything that needs no store: header, time, nonce's grammar, key, signature.
fn verify(
    config: &Config,
    parts: &request::Parts,
    body: &[u8],
    now: UnixMillis,
) -> Result<(Credentials, MerchantId), AuthFailure> {
    let mut all = parts.headers.get_all(AUTHORIZATION).iter();
    let header = match (all.next(), all.next()) {
        (Some(one), None) => one.to_str().map_err(|_| AuthFailure::Malformed)?,
        (None, _) => return Err(AuthFailure::Missing),
        (Some(_), Some(_)) => return Err(AuthFailure::Malformed),
    };
    let credentials = Credentials::read(header).ok_or(AuthFailure::Malformed)?;
    let found = config.merchant_key(&credentials.key_id);
    let secret = found.map_or(b"no such key".as_slice(), |(_, key)| key.secret.bytes());
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let holds = signature_holds(secret, parts.method.as_str(), target, &credentials, body);
    let (merchant, _) = found.ok_or(AuthFailure::UnknownKey)?;
    if !holds {
        return Err(AuthFailure::BadSignature);
    }
    if credentials.timestamp_s.abs_diff(now.as_secs()) > WINDOW_S.unsigned_abs() {
        return Err(AuthFailure::Stale);
    }
    if !nonce_is_sane(&credentials.nonce) {
        return Err(AuthFailure::BadNonce);
    }
    Ok((credentials, merchant.id.clone()))
}

fn signature_holds(secret: &[u8], method: &str, target: &str, credentials: &Credentials, body: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
    for line in [method, target, &credentials.timestamp, &credentials.nonce] {
        mac.update(line.as_bytes());
        mac.update(b"\n");
    }
    mac.update(body);
    mac.update(b"\n");
    mac.verify_slice(&credentials.signature).is_ok()
}

fn nonce_is_sane(nonce: &str) -> bool {
    (16..=64).contains(&nonce.len()) && nonce.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A body must be JSON and say so; none needs no type.
fn check_type(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Problem::MalformedRequest("A body with a Content-Encoding is not taken.".to_owned()));
    }
    if body.is_empty() {
        return Ok(());
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::UnsupportedMediaType("The body must be application/json.".to_owned()))
}
