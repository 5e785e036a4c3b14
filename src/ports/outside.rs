//! The ports to time, randomness and the network.
//!
//! Invariant: a sender says whether a call was certainly not sent; everything else may have arrived. It never
//! follows a redirect, never retries and never lasts longer than its deadline.

use super::Io;
use std::path::PathBuf;
use std::time::Duration;
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::{HttpCall, HttpReply};
use tongdao_core::time::UnixMillis;

/// The time.
pub trait Clock: Send + Sync {
    /// The moment now.
    fn now(&self) -> UnixMillis;
    /// Completes at that moment (at once when it is past).
    fn sleep_until(&self, at: UnixMillis) -> Io<'_, ()>;
}

/// Randomness.
pub trait Rng: Send + Sync {
    /// 128 random bits.
    fn draw(&self) -> u128;
}

/// What a call to a provider is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Make an order.
    Create,
    /// Ask about an order.
    Query,
    /// End an unpaid order.
    Close,
    /// Give money back.
    Refund,
    /// Ask about a refund.
    RefundQuery,
    /// Fetch a statement.
    Statement,
    /// Fetch verification keys.
    Keys,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 7] =
        [Self::Create, Self::Query, Self::Close, Self::Refund, Self::RefundQuery, Self::Statement, Self::Keys];

    /// The word used in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Query => "query",
            Self::Close => "close",
            Self::Refund => "refund",
            Self::RefundQuery => "refund_query",
            Self::Statement => "statement",
            Self::Keys => "keys",
        }
    }
}

/// Why a call to a provider has no reply. The text never holds a body, a header or a query string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Our own in-flight or per-second limit: nothing was sent.
    #[error("our own limit for this channel is reached")]
    Limited,
    /// Nothing was sent: no connection.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have arrived.
    #[error("no answer: {0}")]
    MaybeSent(String),
}

/// A file to be fetched from a provider, straight to the disk.
#[derive(Debug, Clone)]
pub struct Download {
    /// The call; its URL may be a secret.
    pub call: HttpCall,
    /// Where the file goes; it must not exist. Nothing is left there unless it came whole.
    pub to: PathBuf,
    /// The most bytes that are taken.
    pub bytes_max: u64,
    /// How long it may take in all.
    pub deadline: Duration,
}

/// What came of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downloaded {
    /// The whole answer lies in the file.
    Whole {
        /// Its length.
        bytes: u64,
    },
    /// The answer was no file: any status but 200.
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// There is more than may be taken, or the disk did not take it.
    Unfit(String),
}

/// A webhook, signed and ready.
#[derive(Debug, Clone)]
pub struct WebhookCall {
    /// Where to.
    pub url: String,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long it may take in all.
    pub deadline: Duration,
}

/// A merchant's whole answer to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`, if any.
    pub content_type: Option<String>,
    /// `Location`, if any.
    pub location: Option<String>,
    /// At most 64 KiB of the body.
    pub body: Vec<u8>,
}

/// Why a webhook has no whole answer, in words for the merchant's developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The address may not be called.
    #[error("blocked: {0}")]
    Blocked(String),
    /// No connection was made: it was certainly not sent.
    #[error("could not connect: {0}")]
    Connect(String),
    /// TLS failed before anything was sent.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// No whole answer in time; it may have arrived.
    #[error("no answer within the deadline")]
    Timeout,
    /// The connection broke after sending began; it may have arrived.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// HTTP to the outside.
pub trait Outside: Send + Sync {
    /// Sends a call to a provider within the channel's limits and the deadline.
    fn call<'a>(
        &'a self,
        channel: &'a ChannelId,
        operation: Operation,
        call: HttpCall,
        deadline: Duration,
    ) -> Io<'a, Result<HttpReply, SendError>>;

    /// Fetches a file from a provider within the channel's limits, straight to the disk.
    fn download<'a>(&'a self, channel: &'a ChannelId, download: Download) -> Io<'a, Result<Downloaded, SendError>>;

    /// Whether the channel would take another call now (in flight and per second), without using it up.
    fn has_room(&self, channel: &ChannelId) -> bool;

    /// Sends a webhook to a merchant.
    fn webhook(&self, call: WebhookCall) -> Io<'_, Result<WebhookAnswer, WebhookError>>;
}
