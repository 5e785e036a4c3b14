//! Statements: how a provider's list of a day is asked for, and what a line of it says.
//!
//! Invariant: a file is read whole and its hash or totals are checked before any line of it is believed, and memory
//! does not grow with it. A line never moves money: it opens a break and asks the provider, whose verified answer
//! does (a file can be forged).

use super::{Failure, HttpCall};
use crate::money::Money;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::io::{Read, Seek};

/// When a provider's day turns, when its statement is there, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementTerms {
    /// The day turns this long after midnight in Beijing; negative before it.
    pub turns_ms: i64,
    /// A day's statement is asked for from this long after that day's midnight (34 h: ten the next morning).
    pub ready_ms: i64,
    /// Between two asks while it is being made.
    pub again_ms: i64,
    /// How many days back the provider keeps statements.
    pub kept_days: i64,
    /// A line may stand in the file of a day this far from the one that we expect.
    pub strays_days: i64,
}

/// What shows that a file is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum Seal {
    /// SHA-1 in hex, said by the provider over a signed answer (WeChat Pay).
    Sha1(String),
}

/// What the answer to a request for a statement means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementOutcome {
    /// The file is behind this call; it goes to disk as it comes.
    Download {
        /// The call, to be sent soon: addresses live seconds to minutes. Its URL can be a secret.
        call: HttpCall,
        /// What shows that the file is whole, where the provider says it.
        seal: Option<Seal>,
    },
    /// The answer held the file (UnionPay), still packed.
    File(Vec<u8>),
    /// It is being made: ask again later.
    NotReady,
    /// The provider says that there is none. Some say so too while it is being made.
    Absent,
    /// A no, or no definite answer.
    Failed(Failure),
}

/// A file that can be read and wound back.
pub trait StatementBytes: Read + Seek + Send {}
impl<T: Read + Seek + Send> StatementBytes for T {}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// A payment.
    Payment,
    /// A refund.
    Refund,
}

/// How far what a line is about had come when the file was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineStatus {
    /// The money moved.
    Done,
    /// Taken on, not through (WeChat Pay's refund `PROCESSING`).
    Pending,
    /// It did not go through.
    Failed,
}

/// One line of a statement, in our words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    /// Its place in the file, 1 for the first, for people.
    pub line: u64,
    /// Payment or refund.
    pub kind: LineKind,
    /// How far it had come.
    pub status: LineStatus,
    /// Our number of the payment; of a UnionPay refund row too where the file names the original's.
    pub provider_order_no: Option<String>,
    /// The provider's number of the payment.
    pub provider_trade_no: Option<String>,
    /// Our number of the refund.
    pub provider_refund_no: Option<String>,
    /// The sum, positive for refunds too.
    pub amount: Money,
    /// The provider's fee in minor units, rounded half up: positive when taken, negative when given back.
    pub fee: Option<i64>,
    /// When the money moved, where the line says it.
    pub at: Option<UnixMillis>,
}

/// A count and a sum in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their sum in minor units.
    pub amount: i64,
}

/// What a whole file adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StatementTotals {
    /// Payments.
    pub payments: Tally,
    /// Refunds, whatever their status.
    pub refunds: Tally,
    /// Fees taken less fees given back, in minor units.
    pub fee: i64,
}

/// Why a statement is not believed, with the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    /// A line is wrong.
    #[error("line {line}: {reason}")]
    Line {
        /// Its place in the file, 1 for the first.
        line: u64,
        /// What is wrong; never payer data.
        reason: String,
    },
    /// The file as a whole is wrong (hash, totals, container, truncated, too large, another account's or day's).
    #[error("{0}")]
    File(String),
    /// It could not be read from the disk, or the reader of its lines stopped.
    #[error("reading stopped: {0}")]
    Stopped(String),
}
