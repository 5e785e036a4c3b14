//! One fault: what it does to requests, to callbacks and to refunds, and when it ends.
//! Guards: the default does nothing.
//! Must not know: where it applies.

use serde::{Deserialize, Serialize};

use super::statement::{StatementFault, StatementTwist};
use crate::ledger::RefundState;
use crate::wire::Twist;

/// What goes wrong. Times in ms, ratios from 0 (never) to 1 (always).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Wait before each answer.
    pub latency_ms: u64,
    /// A further wait drawn from 0 to this.
    pub jitter_ms: u64,
    /// How a failing request fails; none: only the other settings apply.
    pub kind: Option<FaultKind>,
    /// Share of requests that fail in this way.
    pub fail_ratio: f64,
    /// How long a hanging answer is held before the connection is cut.
    pub hang_ms: u64,
    /// Unix ms at which the fault ends.
    pub until: Option<i64>,
    /// Failures left before the fault ends; none: no limit.
    pub count: Option<u64>,
    /// Codes are made, nobody can pay.
    pub silent: bool,
    /// How refunds accepted now end; success when absent.
    pub refund_state: Option<RefundState>,
    /// The provider's seconds until a refund ends.
    pub refund_delay_s: Option<u64>,
    /// Callbacks: share of sendings that never arrive.
    pub lost_ratio: f64,
    /// Callbacks: each is sent twice at once.
    pub doubled: bool,
    /// Callbacks: real ms before the first sending.
    pub delay_ms: u64,
    /// Callbacks: the order is paid and called back before the reply to its creation is sent.
    pub before_reply: bool,
    /// Callbacks: another amount, correctly signed.
    pub wrong_amount: bool,
    /// Callbacks: another merchant's number, correctly signed.
    pub wrong_account: bool,
    /// Callbacks: signed by a stranger.
    pub wrong_key: bool,
    /// Callbacks: signed outside the time window.
    pub stale: bool,
    /// Callbacks: a garbage signature in every first sending (WeChat SIGNTEST).
    pub bad_signature: bool,
    /// Callbacks: a key name nobody knows.
    pub unknown_serial: bool,
    /// Statements: the day's first payment is missing.
    pub lost_line: bool,
    /// Statements: a payment nobody asked for stands at the end.
    pub extra_line: bool,
    /// Statements: the day's first payment is one fen too high.
    pub wrong_line: bool,
    /// Statements: the published hash is not the file's; Alipay and UnionPay publish none, there the sums are wrong.
    pub wrong_hash: bool,
    /// Statements: everything else, by counts.
    pub statement: StatementFault,
}

/// The ways a request fails. "Commit" is the moment the provider books what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The provider's rate-limit answer; nothing was booked.
    Congested,
    /// The provider's system error; nothing was booked.
    ServerError,
    /// The connection is cut without an answer, nothing booked; for a whole provider at ratio 1 the socket itself refuses.
    RefuseConnection,
    /// Nothing booked, no answer within `hang_ms`.
    HangBeforeCommit,
    /// Booked, no answer within `hang_ms`.
    HangAfterCommit,
    /// Booked, but the answer is the provider's system error.
    ErrorAfterCommit,
    /// Booked; the answer's signature is garbage (WeChat SIGNTEST).
    BadSignature,
    /// A proxy's 502 page; nothing was booked.
    #[serde(rename = "html_502")]
    Html502,
    /// Booked; the answer's body ends half way.
    Truncated,
    /// A query does not find what exists.
    NotFoundLag,
    /// The provider's risk control declines; nothing was booked.
    Declined,
    /// The account may not use the product; nothing was booked.
    NoAuth,
    /// The merchant's balance is too small; nothing was booked.
    NotEnough,
    /// Accepted but not handled (WeChat 202): the same call is to be made again.
    Accepted,
    /// On close: the payer pays just before.
    PaidMeanwhile,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            latency_ms: 0,
            jitter_ms: 0,
            kind: None,
            fail_ratio: 1.0,
            hang_ms: 30_000,
            until: None,
            count: None,
            silent: false,
            refund_state: None,
            refund_delay_s: None,
            lost_ratio: 0.0,
            doubled: false,
            delay_ms: 0,
            before_reply: false,
            wrong_amount: false,
            wrong_account: false,
            wrong_key: false,
            stale: false,
            bad_signature: false,
            unknown_serial: false,
            lost_line: false,
            extra_line: false,
            wrong_line: false,
            wrong_hash: false,
            statement: StatementFault::default(),
        }
    }
}

impl Fault {
    /// Every request fails in this way.
    pub fn kind(kind: FaultKind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    pub(super) fn in_force(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until) && self.count != Some(0)
    }

    /// Takes one failure from the count.
    pub(super) fn spend(&mut self) -> Option<FaultKind> {
        self.count = self.count.map(|left| left.saturating_sub(1));
        self.kind
    }

    pub(super) fn statement_twist(&self) -> StatementTwist {
        StatementTwist {
            fault: self.statement,
            lost_line: self.lost_line,
            extra_line: self.extra_line,
            wrong_line: self.wrong_line,
            wrong_hash: self.wrong_hash,
        }
    }

    pub(super) fn twist(&self) -> Twist {
        Twist {
            wrong_amount: self.wrong_amount,
            wrong_account: self.wrong_account,
            wrong_key: self.wrong_key,
            stale: self.stale,
            bad_signature: self.bad_signature,
            unknown_serial: self.unknown_serial,
        }
    }
}
