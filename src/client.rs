//! A merchant's calls to the daemon: signed as the API asks, answered with status and JSON.
//!
//! Invariants: each call is signed afresh (timestamp and nonce are spent by the first use); the signature covers the
//! very bytes that are sent. An answer of any status is an answer; only a call that got none is an error.
//! Used by the command line, the demo and tests; it knows nothing of the daemon's insides.

mod admin;

pub use admin::{Answer, Ask, Unanswered, Verb, Way, ask, ask_long, causes, check_tls};

use crate::clock::SystemClock;
use crate::ports::{Clock as _, Rng as _};
use crate::random::SystemRng;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use std::time::Duration;
use tongdao_core::secret::Secret;

/// More than the daemon's own budget for one request.
const DEADLINE: Duration = Duration::from_secs(15);
const SCHEME: &str = "TONGDAO-HMAC-SHA256";

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// HTTP could not be set up.
    #[error("HTTP could not be set up: {0}")]
    SetUp(reqwest::Error),
    /// Nobody listens there: nothing was sent.
    #[error("cannot connect: {0}")]
    NotConnected(reqwest::Error),
    /// No answer, or half of one: the daemon may have done what was asked.
    #[error("no answer: {0}")]
    Unanswered(reqwest::Error),
    /// The answer is no JSON.
    #[error("status {0}, but the body is no JSON")]
    NotJson(u16),
}

/// An answer with what it says of its own time.
#[derive(Debug, Clone)]
pub struct TimedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The `Server-Timing` header; empty without one.
    pub server_timing: String,
    /// The JSON body.
    pub body: Value,
}

/// A merchant with one of its API keys.
#[derive(Clone, Debug)]
pub struct MerchantClient {
    /// The daemon's public address, without a slash at its end.
    pub base_url: String,
    /// The key's id.
    pub key_id: String,
    /// The key itself.
    pub secret: Secret,
    http: reqwest::Client,
    clock: SystemClock,
}

impl MerchantClient {
    /// A client of the daemon at `base_url`.
    ///
    /// # Errors
    /// When the machine's HTTP cannot be set up.
    pub fn new(base_url: impl Into<String>, key_id: impl Into<String>, secret: Secret) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = builder.timeout(DEADLINE).build().map_err(ClientError::SetUp)?;
        let base_url = base_url.into().trim_end_matches('/').to_owned();
        Ok(Self { base_url, key_id: key_id.into(), secret, http, clock: SystemClock::new() })
    }

    /// Signs by another clock, which a test moves together with the daemon's.
    #[must_use]
    pub fn with_clock(mut self, clock: SystemClock) -> Self {
        self.clock = clock;
        self
    }

    /// Reads; `path` starts with a slash and holds the query, percent-encoded.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn get(&self, path: &str) -> Result<(u16, Value), ClientError> {
        self.send(reqwest::Method::GET, path, String::new()).await
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value), ClientError> {
        self.send(reqwest::Method::POST, path, body.to_string()).await
    }

    /// Asks for something to be done, and keeps what the answer says of its own time.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn post_timed(&self, path: &str, body: &Value) -> Result<TimedAnswer, ClientError> {
        self.exchange(reqwest::Method::POST, path, body.to_string()).await
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: String) -> Result<(u16, Value), ClientError> {
        let answer = self.exchange(method, path, body).await?;
        Ok((answer.status, answer.body))
    }

    async fn exchange(&self, method: reqwest::Method, path: &str, body: String) -> Result<TimedAnswer, ClientError> {
        let timestamp = self.clock.now().as_secs().to_string();
        let nonce = format!("{:032x}", SystemRng.draw());
        let signature = signature(&self.secret, [method.as_str(), path, &timestamp, &nonce, &body]);
        let key_id = &self.key_id;
        let authorization =
            format!(r#"{SCHEME} key_id="{key_id}",timestamp="{timestamp}",nonce="{nonce}",signature="{signature}""#);
        let mut request = self.http.request(method, format!("{}{path}", self.base_url));
        request = request.header("authorization", authorization);
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body);
        }
        let unanswered = |error: reqwest::Error| match error.is_connect() {
            true => ClientError::NotConnected(error),
            false => ClientError::Unanswered(error),
        };
        let reply = request.send().await.map_err(unanswered)?;
        let status = reply.status().as_u16();
        let timing = reply.headers().get("server-timing").and_then(|value| value.to_str().ok());
        let server_timing = timing.unwrap_or_default().to_owned();
        let text = reply.text().await.map_err(unanswered)?;
        let body = match text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&text).map_err(|_| ClientError::NotJson(status))?,
        };
        Ok(TimedAnswer { status, server_timing, body })
    }
}

/// The signature over method, path with query, timestamp, nonce and body, each followed by a line feed.
fn signature(secret: &Secret, lines: [&str; 5]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.bytes()) else { return String::new() };
    for line in lines {
        mac.update(line.as_bytes());
        mac.update(b"\n");
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_five_lines_that_each_end_with_a_line_feed() {
        let secret = Secret::new(b"key".to_vec());
        let signed = signature(&secret, ["POST", "/v1/charges", "1766000000", "n", "{}"]);
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
        mac.update(b"POST\n/v1/charges\n1766000000\nn\n{}\n");
        assert_eq!(signed, STANDARD.encode(mac.finalize().into_bytes()));
    }

    #[tokio::test]
    async fn nobody_there_is_told_apart_from_no_answer() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = MerchantClient::new(format!("http://{free}/"), "k", Secret::new(b"s".to_vec())).unwrap();
        let error = client.get("/v1/charges").await.unwrap_err();
        assert!(matches!(error, ClientError::NotConnected(_)), "{error}");
        let shown = format!("{client:?}");
        assert!(shown.contains("***"), "{shown}");
    }
}
