//! HTTP to the daemon's admin side, over its Unix socket or over TCP with the token.
//!
//! Invariant: an error says whether the call was certainly not sent, so that a caller may try another way without
//! doing anything twice. An answer of any status is an answer. It knows no command and no document.

use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

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
    /// It sends a file as it is.
    Upload(&'a Path),
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
    let reply = reply(way, ask).await?;
    let status = reply.status().as_u16();
    let body = reply.text().await.map_err(|error| unanswered(&error, ask.deadline))?;
    Ok(Answer { status, body })
}

/// Asks once for something long and hands it on as it comes; an answer that is a problem comes back whole.
///
/// # Errors
/// When no whole answer came, or `each` had enough.
pub async fn ask_long(
    way: &Way,
    ask: Ask<'_>,
    each: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
) -> Result<Option<Answer>, Unanswered> {
    let mut reply = reply(way, ask).await?;
    let status = reply.status().as_u16();
    if status >= 400 {
        let body = reply.text().await.map_err(|error| unanswered(&error, ask.deadline))?;
        return Ok(Some(Answer { status, body }));
    }
    while let Some(chunk) = reply.chunk().await.map_err(|error| unanswered(&error, ask.deadline))? {
        each(&chunk).map_err(|error| Unanswered::Broken(error.to_string()))?;
    }
    Ok(None)
}

async fn reply(way: &Way, ask: Ask<'_>) -> Result<reqwest::Response, Unanswered> {
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
        Verb::Upload(path) => {
            client.post(url).header("content-type", "application/octet-stream").body(file(path).await?)
        }
    };
    if let Some(token) = ask.token {
        request = request.bearer_auth(token);
    }
    request.send().await.map_err(|error| unanswered(&error, ask.deadline))
}

fn unanswered(error: &reqwest::Error, deadline: Duration) -> Unanswered {
    if error.is_connect() || error.is_builder() {
        Unanswered::NotConnected(causes(error))
    } else if error.is_timeout() {
        Unanswered::Broken(format!("no answer within {} ms", deadline.as_millis()))
    } else {
        Unanswered::Broken(causes(error))
    }
}

/// A file as a body that is read while it is sent.
async fn file(path: &Path) -> Result<reqwest::Body, Unanswered> {
    const CHUNK_BYTES: u64 = 64 * 1024;
    let opened = tokio::fs::File::open(path).await;
    let file = opened.map_err(|error| Unanswered::NotConnected(format!("{}: {error}", path.display())))?;
    let chunks = futures_util::stream::unfold(file, |mut file| async {
        let mut chunk = Vec::new();
        match (&mut file).take(CHUNK_BYTES).read_to_end(&mut chunk).await {
            Ok(0) => None,
            Ok(_) => Some((Ok::<_, io::Error>(Frame::data(Bytes::from(chunk))), file)),
            Err(error) => Some((Err(error), file)),
        }
    });
    // The stream is polled by one connection alone.
    Ok(reqwest::Body::wrap(StreamBody::new(Box::pin(chunks))))
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
