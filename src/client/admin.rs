//! HTTP to the daemon's admin side, over its Unix socket or over TCP with the token.
//!
//! Invariant: an error says whether the call was certainly not sent, so that a caller may try another way without
//! doing anything twice. An answer of any status is an answer. It knows no command and no document.

use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// A way to the admin side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The Unix socket.
    Socket(PathBuf),
    /// A base URL, without a slash at its end.
    Url(String),
}

/// What a request does.
#[derive(Debug, Clone, Copy)]
pub enum Verb<'a> {
    /// It reads.
    Get,
    /// It sends a document.
    Post(&'a Value),
    /// It takes something away.
    Delete,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What is asked for: path and query, percent-encoded.
    pub path: &'a str,
    /// What is done there.
    pub verb: Verb<'a>,
    /// The bearer token.
    pub token: Option<&'a str>,
    /// How long it may take in all.
    pub deadline: Duration,
}

/// The daemon's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nothing was sent.
    #[error("{0}")]
    NotConnected(String),
    /// It may have arrived.
    #[error("{0}")]
    Broken(String),
}

/// Asks once.
///
/// # Errors
/// When no answer came.
pub async fn ask(way: &Way, ask: Ask<'_>) -> Result<Answer, Unanswered> {
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let (builder, base) = match way {
        Way::Socket(path) => (builder.unix_socket(path.clone()), "http://localhost"),
        Way::Url(url) => (builder, url.as_str()),
    };
    let client = builder.timeout(ask.deadline).build().map_err(|error| Unanswered::NotConnected(causes(&error)))?;
    let url = format!("{base}{}", ask.path);
    let mut request = match ask.verb {
        Verb::Get => client.get(url),
        Verb::Delete => client.delete(url),
        Verb::Post(body) => client.post(url).header("content-type", "application/json").body(body.to_string()),
    };
    if let Some(token) = ask.token {
        request = request.bearer_auth(token);
    }
    let unanswered = |error: reqwest::Error| {
        if error.is_connect() || error.is_builder() {
            Unanswered::NotConnected(causes(&error))
        } else if error.is_timeout() {
            Unanswered::Broken(format!("no answer within {} ms", ask.deadline.as_millis()))
        } else {
            Unanswered::Broken(causes(&error))
        }
    };
    let reply = request.send().await.map_err(unanswered)?;
    let status = reply.status().as_u16();
    let body = reply.text().await.map_err(unanswered)?;
    Ok(Answer { status, body })
}

/// Whether TLS can be set up on this machine: are there CA certificates?
///
/// # Errors
/// What stood in the way.
pub fn check_tls() -> Result<(), String> {
    reqwest::Client::builder().build().map(drop).map_err(|error| causes(&error))
}

/// The innermost cause, which says what happened without the URL that is known anyway.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
