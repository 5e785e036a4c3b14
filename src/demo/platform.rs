//! A card platform as a merchant would write one: takes webhooks, checks their signature, ships, answers.
//!
//! Invariants: nothing ships without a valid signature; goods go out once for each `webhook-id`, as Standard Webhooks
//! asks of a receiver, so that a daemon that gave one payment two ids would be caught by the books. It verifies with
//! its own code: two readings of the standard meet here. It does not know the daemon.

use super::books::Shipped;
use crate::clock::SystemClock;
use crate::ports::Clock as _;
use crate::tasks::Tasks;
use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tongdao_core::secret::Secret;

/// A webhook older or newer than this is refused (Standard Webhooks: five minutes).
const TOLERANCE_S: i64 = 300;
/// Connections that are open when the shop closes may finish for so long.
const CLOSING: Duration = Duration::from_millis(300);

/// The shop: its goods book, and its door.
#[derive(Clone)]
pub(crate) struct Platform {
    shop: Arc<Shop>,
    at: SocketAddr,
    door: Tasks,
}

struct Shop {
    secret: Secret,
    counter: Mutex<Counter>,
}

#[derive(Debug, Default)]
struct Counter {
    shipped: BTreeMap<String, Shipped>,
    seen: BTreeSet<String>,
    repeats: u64,
    forged: u64,
}

/// What the shop counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Orders shipped.
    pub(crate) shipped: usize,
    /// Webhooks that came again and shipped nothing.
    pub(crate) repeats: u64,
    /// Webhooks whose signature did not hold.
    pub(crate) forged: u64,
}

impl Platform {
    /// A shop with its `whsec_` secret, still closed.
    pub(crate) fn new(at: SocketAddr, secret: &Secret) -> anyhow::Result<Self> {
        let encoded = secret.text().and_then(|text| text.strip_prefix("whsec_")).context("no whsec_ secret")?;
        let secret = Secret::new(STANDARD.decode(encoded).context("the webhook secret is no base64")?);
        let shop = Arc::new(Shop { secret, counter: Mutex::default() });
        Ok(Self { shop, at, door: Tasks::new() })
    }

    /// Opens the door.
    pub(crate) async fn open(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.at).await.with_context(|| format!("cannot listen on {}", self.at))?;
        self.door = Tasks::new();
        let door = self.door.clone();
        let router = Router::new().route("/notify", post(notified)).with_state(self.shop.clone());
        self.door.spawn("platform", async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(async move { door.stopped().await });
            if let Err(error) = served.await {
                tracing::error!(%error, "the demo's platform stopped");
            }
        });
        Ok(())
    }

    /// Closes it: connections are refused from now on.
    pub(crate) async fn close(&self) {
        self.door.stop(CLOSING).await;
    }

    pub(crate) fn counts(&self) -> Counts {
        let counter = self.shop.counter();
        Counts { shipped: counter.shipped.len(), repeats: counter.repeats, forged: counter.forged }
    }

    pub(crate) fn shipped(&self) -> Vec<Shipped> {
        self.shop.counter().shipped.values().cloned().collect()
    }
}

impl Shop {
    fn counter(&self) -> std::sync::MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_genuine(&self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let (id, timestamp) = (text("webhook-id")?, text("webhook-timestamp")?);
        let age_s = SystemClock::new().now().as_secs().saturating_sub(timestamp.parse().ok()?);
        let holds = |signature: &str| {
            let expected = signature.strip_prefix("v1,").and_then(|encoded| STANDARD.decode(encoded).ok());
            let mac = Hmac::<Sha256>::new_from_slice(self.secret.bytes());
            let (Some(expected), Ok(mut mac)) = (expected, mac) else { return false };
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            mac.verify_slice(&expected).is_ok()
        };
        let signed = text("webhook-signature")?.split(' ').any(holds);
        (signed && age_s.abs() <= TOLERANCE_S).then(|| id.to_owned())
    }
}

impl Counter {
    fn ship(&mut self, id: String, charge: &Value) -> Option<()> {
        let merchant_order_no = charge.get("merchant_order_no")?.as_str()?.to_owned();
        let amount = charge.get("amount")?.as_i64()?;
        let is_paid = |attempt: &&Value| attempt.get("status").and_then(Value::as_str) == Some("succeeded");
        let paid = charge.get("attempts")?.as_array()?.iter().find(is_paid)?;
        let channel = paid.get("channel")?.as_str()?.to_owned();
        if !self.seen.insert(id) {
            self.repeats = self.repeats.saturating_add(1);
            return Some(());
        }
        let entry = self.shipped.entry(merchant_order_no.clone());
        let shipped = entry.or_insert(Shipped { channel, merchant_order_no, amount, times: 0 });
        shipped.times = shipped.times.saturating_add(1);
        Some(())
    }
}

async fn notified(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut counter = shop.counter();
    let Some(id) = shop.is_genuine(&headers, &body) else {
        counter.forged = counter.forged.saturating_add(1);
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let Ok(event) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if event.get("type").and_then(Value::as_str) != Some("charge.paid") {
        return StatusCode::NO_CONTENT.into_response();
    }
    match event.get("data").and_then(|charge| counter.ship(id, charge)) {
        Some(()) => axum::Json(json!({ "status": "delivered" })).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"type":"charge.paid","timestamp":"t","data":{"merchant_order_no":"o1","amount":1999,
        "attempts":[{"status":"failed","channel":"a"},{"status":"succeeded","channel":"b"}]}}"#;

    async fn send(at: SocketAddr, id: &str, signed_id: &str) -> (u16, String) {
        let timestamp = SystemClock::new().now().as_secs().to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789").unwrap();
        mac.update(format!("{signed_id}.{timestamp}.{BODY}").as_bytes());
        let signature = format!("v1,AAAA v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(format!("http://{at}/notify")).header("webhook-id", id).body(BODY);
        let request = request.header("webhook-timestamp", timestamp).header("webhook-signature", signature);
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    #[tokio::test]
    async fn goods_go_out_once_for_a_webhook_and_never_for_a_forged_one() {
        let at = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let secret = Secret::new(format!("whsec_{}", STANDARD.encode("0123456789")).into_bytes());
        let mut platform = Platform::new(at, &secret).unwrap();
        platform.open().await.unwrap();
        assert_eq!(send(at, "evt_1", "evt_1").await, (200, r#"{"status":"delivered"}"#.to_owned()));
        assert_eq!(send(at, "evt_1", "evt_1").await.0, 200);
        assert_eq!(send(at, "evt_1", "evt_2").await.0, 401);
        assert_eq!(platform.counts(), Counts { shipped: 1, repeats: 1, forged: 1 });
        let shipped = platform.shipped();
        assert_eq!((shipped[0].channel.as_str(), shipped[0].amount, shipped[0].times), ("b", 1999, 1));
        platform.close().await;
        assert!(tokio::net::TcpStream::connect(at).await.is_err());
        platform.open().await.unwrap();
        assert_eq!(send(at, "evt_2", "evt_2").await.0, 200);
        assert_eq!(platform.shipped()[0].times, 2);
        platform.close().await;
    }
}
