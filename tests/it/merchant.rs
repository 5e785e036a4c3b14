//! The merchant's side: a server that takes webhooks and answers as it is told.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// One webhook as it arrived, its signature checked.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub id: String,
    pub topic: String,
    pub body: Value,
}

#[derive(Default)]
struct Desk {
    arrived: Vec<Arrived>,
    answers: VecDeque<(u16, String)>,
    standing: Option<(u16, String)>,
}

/// A merchant's server.
#[derive(Clone)]
pub struct Merchant {
    desk: Arc<Mutex<Desk>>,
    secret: Arc<Vec<u8>>,
    pub addr: SocketAddr,
}

impl Merchant {
    pub async fn start(secret: Vec<u8>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let merchant = Self { desk: Arc::default(), secret: Arc::new(secret), addr };
        let router = axum::Router::new().fallback(take).with_state(merchant.clone());
        #[allow(clippy::disallowed_methods)] // The runtime of the test ends it.
        tokio::spawn(async move { axum::serve(listener, router).await });
        merchant
    }

    /// Answers the next webhook so, before the standing answer.
    pub fn answer_next(&self, status: u16, body: &str) {
        self.desk.lock().unwrap().answers.push_back((status, body.to_owned()));
    }

    /// Answers every webhook so.
    pub fn answer(&self, status: u16, body: &str) {
        self.desk.lock().unwrap().standing = Some((status, body.to_owned()));
    }

    /// Everything that arrived.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.desk.lock().unwrap().arrived.clone()
    }

    /// What arrived of a topic.
    pub fn of(&self, topic: &str) -> Vec<Arrived> {
        self.arrived().into_iter().filter(|arrived| arrived.topic == topic).collect()
    }
}

async fn take(State(merchant): State<Merchant>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (id, at, signature) = (text("webhook-id"), text("webhook-timestamp"), text("webhook-signature"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&merchant.secret).unwrap();
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(&body);
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert!(signature.split(' ').any(|one| one == wanted), "a webhook came with a bad signature");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let topic = body["type"].as_str().unwrap().to_owned();
    let mut desk = merchant.desk.lock().unwrap();
    desk.arrived.push(Arrived { id, topic, body });
    let standing = desk.standing.clone().unwrap_or((200, r#"{"status":"delivered"}"#.to_owned()));
    let (status, body) = desk.answers.pop_front().unwrap_or(standing);
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], body).into_response()
}
