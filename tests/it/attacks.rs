//! Bad input through the real listeners: each gets the answer that the contract names and leaves no trace but a count,
//! and beside each the same thing done right is taken.

mod alipay;
mod bodies;
mod canary;
mod configuration;
mod fields;
mod forging;
mod provider_faults;
mod signatures;
mod targets;
mod tenants;
mod unionpay;
mod wechatpay;
mod wire;

use crate::world::{KEY, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use std::sync::atomic::{AtomicU64, Ordering};
use tongdao::ports::Clock as _;

/// An answer as the caller sees it.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(reply: reqwest::Response) -> Self {
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        Self { status, headers, text: reply.text().await.unwrap() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// A problem without what differs from answer to answer by nature.
    pub fn problem(&self) -> Value {
        let mut problem = self.json();
        assert_eq!(self.headers["content-type"], "application/problem+json", "{problem}");
        assert!(problem["request_id"].is_string(), "{problem}");
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    }

    pub fn code(&self) -> String {
        self.problem()["code"].as_str().unwrap().to_owned()
    }
}

/// One call of the merchant API, to be signed rightly and then spoilt.
#[derive(Clone)]
pub struct Call {
    pub method: &'static str,
    pub target: String,
    pub body: Vec<u8>,
    pub key_id: String,
    pub key: Vec<u8>,
    pub timestamp: String,
    pub nonce: String,
    pub content_type: Option<&'static str>,
}

impl Call {
    pub fn new(world: &World, method: &'static str, target: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            method,
            target: target.to_owned(),
            key_id: "key_test".to_owned(),
            key: KEY.as_bytes().to_vec(),
            timestamp: world.clock.now().as_secs().to_string(),
            nonce: nonce(),
            content_type: (!body.is_empty()).then_some("application/json"),
            body,
        }
    }

    pub fn open(world: &World, body: impl Into<Vec<u8>>) -> Self {
        Self::new(world, "POST", "/v1/charges", body)
    }

    pub fn authorization(&self) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).unwrap();
        mac.update(format!("{}\n{}\n{}\n{}\n", self.method, self.target, self.timestamp, self.nonce).as_bytes());
        mac.update(&self.body);
        mac.update(b"\n");
        self.authorization_with(&STANDARD.encode(mac.finalize().into_bytes()))
    }

    pub fn authorization_with(&self, signature: &str) -> String {
        let Self { key_id, timestamp, nonce, .. } = self;
        format!(
            r#"TONGDAO-HMAC-SHA256 key_id="{key_id}",timestamp="{timestamp}",nonce="{nonce}",signature="{signature}""#
        )
    }

    pub async fn send(&self, world: &World) -> Answer {
        self.send_as(world, &[("authorization", &self.authorization())]).await
    }

    /// Sends the call with other headers than its own signature.
    pub async fn send_as(&self, world: &World, headers: &[(&str, &str)]) -> Answer {
        let url = format!("http://{}{}", world.daemon.as_ref().unwrap().public_addr, self.target);
        let mut request = outside().request(self.method.parse().unwrap(), url).body(self.body.clone());
        if let Some(kind) = self.content_type {
            request = request.header("content-type", kind);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await
    }
}

/// Somebody out there.
pub fn outside() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.pool_max_idle_per_host(0).build().unwrap()
}

pub fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("attack-nonce-{:012}", COUNT.fetch_add(1, Ordering::SeqCst))
}

/// A body that is right in every way.
pub fn good_charge() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let no = COUNT.fetch_add(1, Ordering::SeqCst);
    format!(r#"{{"merchant_order_no":"A{no}","amount":1999,"subject":"点卡"}}"#)
}

pub async fn metrics(world: &World) -> String {
    let url = format!("http://{}/metrics", world.daemon.as_ref().unwrap().admin_addr);
    outside().get(url).send().await.unwrap().text().await.unwrap()
}

/// The sum of the series that begin so.
pub fn counted(metrics: &str, series: &str) -> u64 {
    let values = metrics.lines().filter(|line| line.starts_with(series)).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<u64>().unwrap()).sum()
}

pub async fn count(world: &World, series: &str) -> u64 {
    counted(&metrics(world).await, series)
}

/// All that the two merchants and on-call can see of money.
pub async fn books(world: &World) -> Value {
    let other = crate::world::client(world.daemon.as_ref().unwrap(), "key_other", OTHER_KEY, &world.clock);
    let mine = world.client.get("/v1/charges?limit=200").await.unwrap();
    let theirs = other.get("/v1/charges?limit=200").await.unwrap();
    assert_eq!((mine.0, theirs.0), (200, 200));
    Value::Array(vec![mine.1, theirs.1, breaks(world).await])
}

pub async fn breaks(world: &World) -> Value {
    let url = format!("http://{}/admin/v1/breaks?status=open", world.daemon.as_ref().unwrap().admin_addr);
    let reply = outside().get(url).bearer_auth("test-admin-token").send().await.unwrap();
    let answer = Answer::of(reply).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["data"].clone()
}

pub const OTHER_KEY: &str = "another key of at least 32 bytes, for tests";
