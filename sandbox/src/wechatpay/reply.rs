//! Signed answers (section 2.2): every 2xx, also an empty 204, carries the five `Wechatpay-*` headers.
//! The key is the one the request named in its `Wechatpay-Serial`: the platform certificate or the public key.
//! Guards: the signature covers exactly the bytes sent. Must not know: what the body says.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use crate::keys::{RsaKey, WechatpayKeys};
use crate::world::World;

/// Which of WeChat Pay's keys a merchant verifies with (section 1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The platform certificate, named by its serial.
    Certificate,
    /// The public key, named `PUB_KEY_ID_…`.
    PublicKey,
}

impl Mode {
    /// The key's name in `Wechatpay-Serial`.
    pub(super) fn serial(self, keys: &WechatpayKeys) -> &str {
        match self {
            Self::Certificate => &keys.platform_serial,
            Self::PublicKey => &keys.public_key_id,
        }
    }

    pub(super) fn key(self, keys: &WechatpayKeys) -> &RsaKey {
        match self {
            Self::Certificate => &keys.platform,
            Self::PublicKey => &keys.public_key,
        }
    }

    /// As kept in the ledger, so that callbacks use the key of the order's request.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::PublicKey => "public_key",
        }
    }

    pub(super) fn named(name: &str) -> Self {
        if name == "public_key" { Self::PublicKey } else { Self::Certificate }
    }
}

/// The headers that make a body WeChat Pay's word.
pub(super) struct Seal {
    pub(super) timestamp_s: i64,
    pub(super) nonce: String,
    pub(super) serial: String,
    pub(super) signature: String,
}

impl Seal {
    /// Signs a body at this second with this key under this name.
    pub(super) fn new(world: &World, key: &RsaKey, serial: &str, timestamp_s: i64, body: &[u8]) -> Self {
        let nonce = world.dice.text(32);
        let mut message = format!("{timestamp_s}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        Self { timestamp_s, nonce, serial: serial.to_owned(), signature: key.sign_base64(&message) }
    }

    /// Replaces the signature by a probe that must fail (section 2.3).
    pub(super) fn probe(&mut self, world: &World) {
        self.signature = format!("WECHATPAY/SIGNTEST/{}", world.dice.text(300));
    }

    pub(super) fn headers(self) -> Vec<(&'static str, String)> {
        vec![
            ("Wechatpay-Timestamp", self.timestamp_s.to_string()),
            ("Wechatpay-Nonce", self.nonce),
            ("Wechatpay-Serial", self.serial),
            ("Wechatpay-Signature", self.signature),
            ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048".to_owned()),
        ]
    }
}

/// A signed answer; an empty body is sent without a content type.
pub(super) fn signed(seal: Seal, status: StatusCode, body: String, request_id: &str) -> Response<Body> {
    let empty = body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !empty {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    for (name, value) in seal.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("Request-ID", id);
    }
    response
}
