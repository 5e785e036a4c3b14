//! What a webhook says and how it is signed (Standard Webhooks).
//!
//! Invariant: the signature covers id, timestamp and the raw body with the merchant's present secrets, so a rotation
//! in the middle of a ladder needs no care.

use super::Flow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tongdao_core::charge::{Charge, Topic};
use tongdao_core::ids::EventId;

impl Flow {
    /// The body: the charge (or refund) at the time of the try.
    pub(super) fn webhook_body(&self, charge: &Charge, event: EventId, topic: Topic) -> Vec<u8> {
        let webhook = charge.webhooks.iter().find(|webhook| webhook.event == event);
        let refund = webhook.and_then(|webhook| webhook.refund).and_then(|id| charge.refund(id));
        let about = match refund {
            Some(refund) => self.documents.refund(charge, refund),
            None => self.documents.charge(charge),
        };
        let timestamp = crate::clock::rfc3339(self.clock.now());
        json!({ "type": topic.as_str(), "timestamp": timestamp, "data": about }).to_string().into_bytes()
    }
}

/// One signature a secret, separated by spaces.
pub(super) fn signatures<'a>(
    secrets: impl Iterator<Item = &'a [u8]>,
    id: &str,
    timestamp: &str,
    body: &[u8],
) -> String {
    let sign = |secret: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    };
    secrets.filter_map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector_of_standard_webhooks_holds() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = signatures([secret.as_slice()].into_iter(), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
