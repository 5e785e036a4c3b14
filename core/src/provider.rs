//! The provider port: what a payment firm's protocol must be able to write and read, and the words in which it
//! answers. Adapters live in the providers crate; they are sans-IO (no client, clock or async).
//!
//! Invariant: a provider only *reports*. An `Outcome` says what its message means; the lives in this crate judge
//! it, comparing amount, currency and number each time. Doubt is a value (`Outcome::Unknown`), never an error.
//! An end that is not proved by the provider's own rule is never reported as `Closed`.

mod build;
mod callback;
mod message;
mod order;
mod outcome;
mod statement;

pub use build::{Build, BuildInput, Environment, OptionFault, Registration, Secrets};
pub use callback::{CallbackRequest, Notice, NoticeKind, RefundNotice, Rejected, Verdict};
pub use message::{HttpCall, HttpReply, Method, Next, Nonce};
pub use order::{AttemptOrder, CodeLife, Payer, RefundOrder, RefundRules, Scene};
pub use outcome::{ErrorClass, Failure, Outcome, Pay, PayKind, Payment, RefundOutcome};

pub use statement::{
    LineKind, LineStatus, Seal, StatementBytes, StatementFault, StatementLine, StatementOutcome, StatementTerms,
    StatementTotals, Tally,
};

use crate::day::Day;
use crate::ids::ProviderId;
use crate::time::UnixMillis;

/// What a provider's protocol can do, fixed by the protocol and not by an account.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// The scenes for which it can make something to pay with.
    pub scenes: &'static [Scene],
    /// Whether an unpaid order can be closed (WeChat Pay, Alipay) or only ends by itself (UnionPay).
    pub closes: bool,
    /// Whether a query finds the order before the payer has scanned or visited anything.
    pub findable_before_scan: bool,
    /// The first query after a create, in milliseconds, per scene: UnionPay's front trades want 30 s.
    pub first_query_ms: fn(Scene) -> i64,
    /// How long after the code's end the provider's word on an unpaid order is final, in milliseconds.
    pub end_margin_ms: i64,
}

/// The requested thing does not exist in this protocol or for this account; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub &'static str);

/// When a certificate in use ends, for the metric and `tongdao check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateEnd {
    /// What it is used for, a fixed word (`platform`, `merchant`, `root`, …).
    pub used_for: &'static str,
    /// Its last moment.
    pub not_after: UnixMillis,
}

/// One configured account of a provider: its keys, its numbers, its protocol. Object-safe and sans-IO.
///
/// Each pair writes a request and reads its reply. `read_*` may answer `Next::Call` when one more call is needed
/// before there is an answer.
pub trait Provider: Send + Sync {
    /// The protocol's fixed abilities.
    fn capabilities(&self) -> &Capabilities;
    /// The provider's name (`wechatpay`).
    fn id(&self) -> &ProviderId;
    /// The account that its messages carry and that no two channels may share (mch_id, app_id, mer_id).
    fn account(&self) -> &str;

    /// When a code made now ends for a charge that expires at `expires_at`, rounded up to what the provider takes.
    fn code_life(&self, scene: Scene, now: UnixMillis, expires_at: UnixMillis) -> CodeLife;
    /// Writes a create. `Done(Pending{pay})` when nothing needs to be sent (forms, app strings).
    ///
    /// # Errors
    /// `Unsupported` when this scene cannot be made here or a field that it needs (an openid) is absent.
    fn create(&self, order: &AttemptOrder, now: UnixMillis, nonce: Nonce) -> Result<Next<Outcome>, Unsupported>;
    /// Reads a create's reply.
    fn read_create(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Next<Outcome>;
    /// Writes a query of one order by our number.
    ///
    /// # Errors
    /// `Unsupported` when the protocol has no query for it.
    fn query(&self, order: &AttemptOrder, now: UnixMillis, nonce: Nonce) -> Result<Next<Outcome>, Unsupported>;
    /// Reads a query's reply. `Closed` only where the provider's own rule proves the end at `now`.
    fn read_query(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Next<Outcome>;
    /// Writes a close.
    ///
    /// # Errors
    /// `Unsupported` where the protocol has none (UnionPay).
    fn close(&self, order: &AttemptOrder, now: UnixMillis, nonce: Nonce) -> Result<Next<Outcome>, Unsupported>;
    /// Reads a close's reply. Never `Closed`: an accepted close is `Pending`, and a query proves the end.
    fn read_close(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Next<Outcome>;
    /// How refunds of one payment are to be spaced, and how many it takes.
    fn refund_rules(&self) -> RefundRules {
        RefundRules::default()
    }
    /// Writes a refund under the number in `order`; the same number again never pays twice.
    ///
    /// # Errors
    /// `Unsupported` when a needed number is absent.
    fn refund(&self, order: &RefundOrder, now: UnixMillis, nonce: Nonce) -> Result<Next<RefundOutcome>, Unsupported>;
    /// Reads a refund's reply. Acceptance alone is `Pending`.
    fn read_refund(&self, asked: &RefundOrder, reply: &HttpReply, now: UnixMillis) -> Next<RefundOutcome>;
    /// Writes a query of one refund by our number.
    ///
    /// # Errors
    /// `Unsupported` when the protocol has none.
    fn refund_query(
        &self,
        order: &RefundOrder,
        now: UnixMillis,
        nonce: Nonce,
    ) -> Result<Next<RefundOutcome>, Unsupported>;
    /// Reads a refund query's reply.
    fn read_refund_query(&self, asked: &RefundOrder, reply: &HttpReply, now: UnixMillis) -> Next<RefundOutcome>;

    /// When the statements of this protocol are cut and there; `None` where it has none.
    fn statement_terms(&self) -> Option<StatementTerms> {
        None
    }
    /// Writes a request for the statement of a day.
    ///
    /// # Errors
    /// `Unsupported` where the protocol has none.
    fn statement(&self, day: Day, now: UnixMillis, nonce: Nonce) -> Result<HttpCall, Unsupported> {
        let _unused = (day, now, nonce);
        Err(Unsupported("this protocol has no statements"))
    }
    /// Reads the answer; `nonce` signs the download that may follow.
    fn read_statement(&self, day: Day, reply: &HttpReply, now: UnixMillis, nonce: Nonce) -> StatementOutcome {
        let _unused = (day, reply, now, nonce);
        StatementOutcome::Absent
    }
    /// Reads a whole file and gives each line to `each`, in constant memory, then checks the seal and the file's own
    /// totals. A caller that books lines reads it twice: nothing may be booked from a file that ends in a fault.
    ///
    /// # Errors
    /// The first fault found, with its line; or whatever `each` answers.
    fn read_statement_file(
        &self,
        day: Day,
        file: &mut dyn StatementBytes,
        seal: Option<&Seal>,
        each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
    ) -> Result<StatementTotals, StatementFault> {
        let _unused = (day, file, seal, each);
        Err(StatementFault::File("this protocol has no statements".to_owned()))
    }

    /// Verifies and reads a callback of this account. Only here can a `Notice` come from.
    ///
    /// # Errors
    /// `Rejected` says why it was not believed; the caller of the callback is never told.
    fn read_callback(&self, request: &CallbackRequest, now: UnixMillis) -> Result<Notice, Rejected>;
    /// The answer to a callback in the provider's own format.
    fn callback_reply(&self, verdict: Verdict) -> HttpReply;

    /// Writes the call that fetches fresh verification keys, where the protocol has one and it is due or `asked`.
    fn fetch_keys(&self, now: UnixMillis, nonce: Nonce, asked: bool) -> Option<HttpCall> {
        let _unused = (now, nonce, asked);
        None
    }
    /// Reads and adopts fetched keys (they are authenticated first); answers how many are in use.
    ///
    /// # Errors
    /// A sentence without secrets that says why nothing was adopted.
    fn read_keys(&self, reply: &HttpReply, now: UnixMillis) -> Result<usize, String> {
        let _unused = (reply, now);
        Ok(0)
    }
    /// The ends of the certificates in use.
    fn certificates(&self) -> Vec<CertificateEnd> {
        Vec::new()
    }
}
