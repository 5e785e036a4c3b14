//! Whether a request went out: the one question on which failover hangs.
//!
//! A request's body carries a mark that the connection sets when it begins to write. hyper buffers the head, asks for
//! the body and only then writes to the socket, so an untouched mark proves that nothing was sent; a request that is
//! given up closes the mark, so that it cannot begin afterwards. A request without a body (a query) has no mark and
//! is taken as sent unless the connection failed, which costs nothing: it changes nothing at the provider.

use crate::ports::SendError;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

/// Why a call has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Our own in-flight or per-second limit; nothing was sent.
    #[error("our own limit for this channel is reached")]
    Limited,
    /// Nothing was sent.
    #[error("{0}")]
    NotSent(NotSent),
    /// It may have arrived.
    #[error("{0}")]
    MaybeSent(MaybeSent),
}

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The configuration has no such channel.
    #[error("there is no such channel")]
    UnknownChannel,
    /// The URL cannot be sent byte for byte.
    #[error("the URL cannot be sent as it is written")]
    BadUrl,
    /// A header's name or value cannot be sent.
    #[error("a header cannot be sent as it is written")]
    BadHeader,
    /// The host's name has no address.
    #[error("the host's name has no address")]
    Name,
    /// The address may not be called.
    #[error("the host's name leads into a private network")]
    Private,
    /// The connection was refused.
    #[error("the connection was refused")]
    Refused,
    /// No connection could be made.
    #[error("no connection could be made")]
    Connect,
    /// The other side's certificate or TLS was not accepted.
    #[error("TLS could not be agreed on")]
    Tls,
    /// The deadline passed before sending began.
    #[error("there was no connection within the deadline")]
    Late,
}

/// Why there is no whole reply to something that may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaybeSent {
    /// The deadline passed.
    #[error("there was no whole reply within the deadline")]
    Late,
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke before the reply was whole")]
    Broken,
    /// The reply is larger than any genuine one.
    #[error("the reply is too large")]
    TooLarge,
}

impl From<TransportError> for SendError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Limited => Self::Limited,
            TransportError::NotSent(reason) => Self::NotSent(reason.to_string()),
            TransportError::MaybeSent(reason) => Self::MaybeSent(reason.to_string()),
        }
    }
}

const IDLE: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Tells whether sending has begun.
#[derive(Clone)]
pub(super) struct Mark(Option<Arc<AtomicU8>>);

impl Mark {
    /// Gives the request up if it has not begun; true when nothing was sent and nothing will be.
    pub(super) fn give_up(&self) -> bool {
        let Some(state) = &self.0 else { return false };
        let found = state.compare_exchange(IDLE, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst);
        !matches!(found, Err(BEGUN))
    }

    fn begin(&self) -> bool {
        let Some(state) = &self.0 else { return true };
        !matches!(state.compare_exchange(IDLE, BEGUN, Ordering::SeqCst, Ordering::SeqCst), Err(GIVEN_UP))
    }
}

/// A body with its mark.
pub(super) fn marked(body: Vec<u8>) -> (Option<reqwest::Body>, Mark) {
    if body.is_empty() {
        return (None, Mark(None));
    }
    let mark = Mark(Some(Arc::new(AtomicU8::new(IDLE))));
    let body = MarkedBody { bytes: Some(body.into()), mark: mark.clone() };
    (Some(reqwest::Body::wrap(body)), mark)
}

struct MarkedBody {
    bytes: Option<Bytes>,
    mark: Mark,
}

impl Body for MarkedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.mark.begin() {
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut))));
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
    }
}

/// What a client's error means, given the mark of the request.
pub(super) fn classify(error: &reqwest::Error, mark: &Mark) -> TransportError {
    if error.is_builder() {
        return TransportError::NotSent(NotSent::BadUrl);
    }
    if error.is_connect() || mark.give_up() {
        return TransportError::NotSent(connect_reason(error));
    }
    TransportError::MaybeSent(if error.is_timeout() { MaybeSent::Late } else { MaybeSent::Broken })
}

fn connect_reason(error: &reqwest::Error) -> NotSent {
    let mut source = error.source();
    let mut reason = NotSent::Connect;
    while let Some(cause) = source {
        if cause.is::<super::resolve::PrivateOnly>() {
            return NotSent::Private;
        }
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            reason = reason_of(innermost(cause).kind());
        }
        source = cause.source();
    }
    if error.is_dns() { NotSent::Name } else { reason }
}

/// An I/O error can carry another one, which its `source` skips.
fn innermost(error: &io::Error) -> &io::Error {
    let mut error = error;
    while let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
        error = inner;
    }
    error
}

/// rustls' own errors travel as `InvalidData`; a peer that hangs up within the handshake is no TLS peer either.
fn reason_of(kind: io::ErrorKind) -> NotSent {
    if kind == io::ErrorKind::ConnectionRefused {
        return NotSent::Refused;
    }
    let tls = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof].contains(&kind);
    if tls { NotSent::Tls } else { NotSent::Connect }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_was_given_up_cannot_begin_and_one_that_began_cannot_be_given_up() {
        let (_, mark) = marked(b"x".to_vec());
        assert!(mark.give_up() && mark.give_up() && !mark.begin());
        let (_, mark) = marked(b"x".to_vec());
        assert!(mark.begin() && mark.begin() && !mark.give_up());
        let (body, mark) = marked(Vec::new());
        assert!(body.is_none() && !mark.give_up());
    }
}
