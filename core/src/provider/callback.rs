//! A provider's HTTP call to us and its verified content.
//!
//! Invariant: a `Notice` exists only after its signature, its account and its freshness held. `tests/tidy.rs`
//! keeps `Notice::verified` inside the providers' `callback.rs`; handlers take the type and cannot forge one.

use super::message::find;
use super::outcome::{Payment, RefundOutcome};
use crate::money::Money;

/// What arrived, raw: the signature covers these bytes.
#[derive(Clone)]
pub struct CallbackRequest {
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The query string of the request target, without `?`.
    pub query: String,
    /// The raw body.
    pub body: Vec<u8>,
}

impl CallbackRequest {
    /// The first header of that name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl std::fmt::Debug for CallbackRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallbackRequest({} bytes)", self.body.len())
    }
}

/// A verified message of this account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    kind: NoticeKind,
}

/// What a notice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeKind {
    /// A payment was taken.
    Payment(Payment),
    /// A refund moved.
    Refund(RefundNotice),
    /// Genuine but without effect (not a success status, another event type): acknowledged and counted.
    Nothing {
        /// The provider's own word for it.
        status: String,
    },
}

/// What a notice says of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundNotice {
    /// Our refund number.
    pub provider_refund_no: String,
    /// Our order number of the payment, where the message carries it.
    pub provider_order_no: Option<String>,
    /// The sum of this refund, where the message carries it.
    pub amount: Option<Money>,
    /// What it means; doubtful words are `Pending`, so that a query decides.
    pub outcome: RefundOutcome,
}

impl Notice {
    /// Wraps content whose signature, account and freshness have been verified. For providers' `callback.rs` only.
    #[must_use]
    pub const fn verified(kind: NoticeKind) -> Self {
        Self { kind }
    }

    /// The content.
    #[must_use]
    pub const fn kind(&self) -> &NoticeKind {
        &self.kind
    }
}

/// Why a callback was not believed. The label is for the log and the metric; the answer never tells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No signature, or one that does not hold.
    #[error("bad_signature")]
    BadSignature,
    /// Genuine but outside the window (WeChat Pay, 300 s): starts one query of that order.
    #[error("stale")]
    Stale {
        /// Our number in it, if the content could be read.
        provider_order_no: Option<String>,
    },
    /// Signed by a key that is not known here; fresh keys may be fetched once a minute.
    #[error("unknown_key")]
    UnknownKey,
    /// Genuine, but of another account or app.
    #[error("foreign")]
    Foreign,
    /// Not a message of this protocol.
    #[error("malformed")]
    Malformed,
}

/// What the callback's sender is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The effect is durable: stop sending.
    Accepted,
    /// Not believed.
    Refused,
    /// Believed but not stored: send it again.
    TryLater,
}
