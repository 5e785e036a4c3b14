//! The platform certificate, encrypted with the merchant's APIv3 key (section 1.6), and that encryption itself.
//! Guards: only the merchant's own key opens what is answered here.
//! Must not know: callbacks.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::admit::{Family, admit};
use super::refusal::Refusal;
use crate::clock::rfc3339_beijing;
use crate::faults::{Drawn, FaultKind, Operation};
use crate::keys::certificate_life_s;
use crate::world::World;

/// Bytes of a nonce for AES-GCM.
const NONCE_BYTES: usize = 12;

pub(super) async fn list(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let admitted = match admit(&world, Family::Others, request).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let work = |drawn: &Drawn| {
        // New merchants verify with the public key and have no certificate.
        if drawn.is(FaultKind::NotFoundLag) {
            return Err(Refusal::resource_not_exists("无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥"));
        }
        let keys = admitted.keys();
        let (from_s, to_s) = certificate_life_s(&keys.platform_cert_pem).unwrap_or((0, 0));
        Ok(Some(json!({"data": [{
            "serial_no": keys.platform_serial,
            "effective_time": rfc3339_beijing(from_s.saturating_mul(1000)),
            "expire_time": rfc3339_beijing(to_s.saturating_mul(1000)),
            "encrypt_certificate": encrypted(&world, &keys.api_v3_key, "certificate", keys.platform_cert_pem.as_bytes()),
        }]})))
    };
    admitted.answer(Operation::Certificates, work).await
}

/// AES-256-GCM under the 32 bytes of an APIv3 key (section 3.1).
pub(super) fn encrypted(world: &World, api_v3_key: &str, associated: &str, plain: &[u8]) -> Value {
    let nonce = world.dice.text(NONCE_BYTES);
    let mut sealed = plain.to_vec();
    let key = UnboundKey::new(&AES_256_GCM, api_v3_key.as_bytes()).map(LessSafeKey::new);
    let unique = Nonce::try_assume_unique_for_key(nonce.as_bytes());
    let done = key.and_then(|key| key.seal_in_place_append_tag(unique?, Aad::from(associated.as_bytes()), &mut sealed));
    assert!(done.is_ok(), "an APIv3 key has 32 bytes and a nonce 12");
    json!({"algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": associated, "ciphertext": STANDARD.encode(sealed)})
}
