//! The listener's router with everything behind it in memory, and callers that sign.

use super::paper;
use crate::clock::SystemClock;
use crate::config::{Config, Env};
use crate::flow::{Flow, Parts};
use crate::http::{Api, ApiDocuments, ROUTES, router};
use crate::metrics::Metrics;
use crate::ports::{
    Clock as _, Download, Downloaded, Io, Operation, Outside, Rng as _, SendError, WebhookAnswer, WebhookCall,
    WebhookError,
};
use crate::random::SystemRng;
use crate::store::RecordStore;
use crate::store::memory::MemoryEngine;
use crate::tasks::Tasks;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::{HttpCall, HttpReply};
use tower::ServiceExt as _;

pub(super) const CONFIG: &str = r#"
[server]
allow_inline_secrets = true
public_url = "https://pay.example"

[[merchants]]
id = "m_one"
name = "一号店 <b>"
notify_url = "https://shop.example/n"
webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  [[merchants.keys]]
  id = "key_one"
  secret = "the first key of merchant one"
  [[merchants.keys]]
  id = "key_one_new"
  secret = "the second key of merchant one"

[[merchants]]
id = "m_two"
notify_url = "https://other.example/n"
webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
rate_limit = { per_second = 1, burst = 5 }
  [[merchants.keys]]
  id = "key_two"
  secret = "the only key of merchant two"

[[merchants]]
id = "m_three"
notify_url = "https://third.example/n"
webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  [[merchants.keys]]
  id = "key_three"
  secret = "the only key of merchant three"

[[channels]]
id = "good"
provider = "paper"
  [channels.paper]
  account = "A1"
  mode = "good"

[[channels]]
id = "refusing"
provider = "paper"
  [channels.paper]
  account = "A2"
  mode = "refuse"

[[channels]]
id = "down"
provider = "paper"
  [channels.paper]
  account = "A3"
  mode = "down"
"#;

pub(super) struct World {
    pub(super) router: Router,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: SystemClock,
    pub(super) tasks: Tasks,
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Nothing is ever sent.
struct Nowhere;

impl Outside for Nowhere {
    fn call<'a>(
        &'a self,
        _: &'a ChannelId,
        _: Operation,
        _: HttpCall,
        _: Duration,
    ) -> Io<'a, Result<HttpReply, SendError>> {
        Box::pin(async { Err(SendError::NotSent("nowhere".into())) })
    }
    fn download<'a>(&'a self, _: &'a ChannelId, _: Download) -> Io<'a, Result<Downloaded, SendError>> {
        Box::pin(async { Err(SendError::NotSent("no network".to_owned())) })
    }

    fn has_room(&self, _: &ChannelId) -> bool {
        true
    }
    fn webhook(&self, _: WebhookCall) -> Io<'_, Result<WebhookAnswer, WebhookError>> {
        Box::pin(async { Err(WebhookError::Connect("nowhere".into())) })
    }
}

impl World {
    pub(super) async fn start() -> Self {
        let config = Config::read("test.toml", CONFIG, &Env::new(), paper::REGISTRY);
        let config = Arc::new(config.unwrap_or_else(|faults| panic!("{faults}")));
        let metrics = Arc::new(Metrics::new(ROUTES).unwrap());
        metrics.set_channels(config.channels.iter().map(|channel| (channel.id.clone(), channel.provider_id.clone())));
        let clock = SystemClock::new();
        let parts = Parts {
            store: Arc::new(RecordStore::new(MemoryEngine::new())),
            outside: Arc::new(Nowhere),
            clock: Arc::new(clock.clone()),
            rng: Arc::new(SystemRng),
            documents: Arc::new(ApiDocuments::new(config.server.public_url.clone())),
            config,
            metrics: metrics.clone(),
        };
        let flow = Arc::new(Flow::start(parts).await.unwrap());
        let tasks = Tasks::new();
        let router = router(Api::new(flow, tasks.clone()));
        Self { router, metrics, clock, tasks }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// A request of merchant one, signed.
    pub(super) fn signed(&self, method: &str, target: &str, body: &str) -> Request<Body> {
        self.signed_by(ONE, method, target, body)
    }

    pub(super) fn signed_by(&self, key: (&str, &str), method: &str, target: &str, body: &str) -> Request<Body> {
        let timestamp = self.clock.now().as_secs().to_string();
        let nonce = format!("{:032x}", SystemRng.draw());
        let authorization = authorization(key, [method, target, &timestamp, &nonce, body]);
        let request = Request::builder().method(method).uri(target).header(header::AUTHORIZATION, authorization);
        let typed = if body.is_empty() { request } else { request.header(header::CONTENT_TYPE, "application/json") };
        typed.body(Body::from(body.to_owned())).unwrap()
    }

    pub(super) async fn get(&self, target: &str) -> Answer {
        self.send(self.signed("GET", target, "")).await
    }

    pub(super) async fn post(&self, target: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(self.signed("POST", target, &body)).await
    }

    /// Opens a charge of 19.99; `more` is merged in.
    pub(super) async fn try_open(&self, more: Value) -> Answer {
        self.post("/v1/charges", &charge_body(more)).await
    }

    pub(super) async fn open(&self, more: Value) -> Value {
        let answer = self.try_open(more).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    /// The provider says that the charge's present attempt was paid.
    pub(super) async fn pay(&self, charge: &Value) -> Answer {
        let order_no = charge["attempt"]["provider_order_no"].as_str().unwrap();
        let body = format!("{order_no} {}", charge["amount"]);
        let request = Request::post("/callbacks/good?believe=me").body(Body::from(body)).unwrap();
        self.send(request).await
    }

    /// How often a series was counted.
    pub(super) fn counted(&self, series: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("no series {series}"))
    }
}

pub(super) const ONE: (&str, &str) = ("key_one", "the first key of merchant one");
/// Has a small budget of calls.
pub(super) const TWO: (&str, &str) = ("key_two", "the only key of merchant two");
pub(super) const THREE: (&str, &str) = ("key_three", "the only key of merchant three");

pub(super) fn charge_body(more: Value) -> Value {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let n = COUNT.fetch_add(1, Ordering::SeqCst);
    let mut body =
        json!({ "merchant_order_no": format!("N{n}"), "amount": 1999, "subject": "点卡", "channel": "good" });
    if let Value::Object(more) = more {
        for (key, value) in more {
            body[&key] = value;
        }
    }
    body
}

pub(super) fn authorization(key: (&str, &str), lines: [&str; 5]) -> String {
    let [_, _, timestamp, nonce, _] = lines;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.1.as_bytes()).unwrap();
    for line in lines {
        mac.update(line.as_bytes());
        mac.update(b"\n");
    }
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    format!(
        "TONGDAO-HMAC-SHA256 key_id=\"{}\",timestamp=\"{timestamp}\",nonce=\"{nonce}\",signature=\"{signature}\"",
        key.0
    )
}
