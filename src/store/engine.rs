//! The engine under the store: versioned records, unique claims, timers and nonces, changed by one atomic batch at a
//! time. It knows bytes only; what they mean is the codec's business.
//!
//! Invariant: a batch is applied whole or not at all, and is durable (fdatasync) before `commit` returns `Ok`.
//! `Unknown` is an answer: after a failed sync nobody may say whether the batch is there; the process must end.
//! The shape maps onto PostgreSQL one to one: records(key, version, value), timers(id, due), nonces(key, until).

use crate::ports::{Io, Space};
use std::ops::Range;
use std::time::Duration;
use tongdao_core::time::UnixMillis;

/// All changes that must become durable together. Conditions look at the state before the batch; then deletes come
/// before puts and clearing before setting, so what is both removed and written stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RawBatch {
    /// Records to write, each under its condition.
    pub(crate) puts: Vec<Put>,
    /// Records to remove.
    pub(crate) deletes: Vec<Vec<u8>>,
    /// Timers to set; an id that is already set moves.
    pub(crate) timers_set: Vec<Timer>,
    /// Timers to clear; clearing an absent one is fine.
    pub(crate) timers_cleared: Vec<Vec<u8>>,
    /// Kept in the journal only, for the audit trail (raw callback bodies).
    pub(crate) notes: Vec<Vec<u8>>,
}

/// One record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Put {
    /// Key bytes; keys sort as bytes.
    pub(crate) key: Vec<u8>,
    /// The version that this write gives the record.
    pub(crate) version: u64,
    /// The value; the engine splits it where its index wants small values.
    pub(crate) value: Vec<u8>,
    /// What must hold for the batch to be applied.
    pub(crate) expect: Expect,
}

/// A condition on the record now stored under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Anything.
    Any,
    /// Nothing stored yet.
    Absent,
    /// Nothing stored yet, or exactly this value already (a unique claim made twice by the same owner).
    AbsentOrSame,
    /// Stored with this version.
    Version(u64),
}

/// A record as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The version that its last write gave.
    pub(crate) version: u64,
    /// Its value.
    pub(crate) value: Vec<u8>,
}

/// A timer: its id is unique, its due time orders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timer {
    /// The id's bytes.
    pub(crate) id: Vec<u8>,
    /// When it is due.
    pub(crate) due_at: UnixMillis,
}

/// A nonce to be taken once for its key until a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NonceTaken {
    /// The merchant key's id.
    pub(crate) key_id: String,
    /// The nonce.
    pub(crate) nonce: String,
    /// When it may be forgotten.
    pub(crate) until: UnixMillis,
}

/// Who asks, which decides who is turned away first when the queue fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// New work: refused from three quarters of the queue on.
    Sheddable,
    /// Callbacks and everything that follows from money: refused only when the queue is full.
    Vital,
}

/// Why a batch was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitError {
    /// A condition did not hold; nothing was changed. The first such key.
    #[error("a record was changed by somebody else")]
    Conflict {
        /// The key whose condition failed.
        key: Vec<u8>,
        /// What is stored there now.
        found: Option<Record>,
    },
    /// The queue is too full for this urgency; nothing was changed.
    #[error("the commit queue is full")]
    Overloaded,
    /// The disk failed: the batch may or may not be there. The store takes nothing any more.
    #[error("the store failed; the outcome is unknown")]
    Unknown,
    /// The store is closed or was poisoned earlier; nothing was changed.
    #[error("the store is closed")]
    Closed,
}

/// A read that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// The index could not be read.
    #[error("the store could not be read: {0}")]
    Io(std::io::ErrorKind),
    /// A record does not match its checksum or key.
    #[error("a record is damaged")]
    Damaged,
}

/// What was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The journal's sequence number of the batch, counted from 1.
    pub(crate) seq: u64,
}

/// A store of bytes.
pub(crate) trait Engine: Send + Sync {
    /// Applies a batch whole, durable on return. A caller that stops waiting does not take its batch back.
    fn commit(&self, batch: RawBatch, urgency: Urgency) -> Io<'_, Result<Committed, CommitError>>;
    /// Reads one record.
    fn load(&self, key: &[u8]) -> Result<Option<Record>, ReadError>;
    /// Reads records whose keys lie in the range, in key order (or backwards), at most `limit`.
    fn scan(&self, keys: Range<Vec<u8>>, limit: usize, backwards: bool) -> Result<Vec<(Vec<u8>, Record)>, ReadError>;
    /// The timers due at or before `now`, earliest first, at most `limit`.
    fn due(&self, now: UnixMillis, limit: usize) -> Vec<Timer>;
    /// The earliest due time of all timers.
    fn next_due(&self) -> Option<UnixMillis>;
    /// Takes a nonce at once, in memory, and writes it with the next batch (or alone within 50 ms). False when it was
    /// already taken for this key and has not run out.
    fn take_nonce(&self, nonce: NonceTaken, now: UnixMillis) -> bool;
    /// Batches waiting to be written.
    fn queue_depth(&self) -> usize;
    /// Room on the disk, where there is one.
    fn space(&self) -> Option<Space>;
    /// Stops taking batches, writes what is queued, checkpoints. Reads still work.
    fn close(&self) -> Io<'_, ()>;
}

/// Hears of each group of batches, for the metrics.
pub(crate) trait CommitObserver: Send + Sync {
    /// A group of `batch_size` batches became durable and visible, `took` after the first was taken from the queue.
    fn committed(&self, batch_size: usize, took: Duration);
    /// The store was poisoned and takes nothing any more.
    fn failed(&self);
}

/// Hears and forgets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoObserver;

impl CommitObserver for NoObserver {
    fn committed(&self, _batch_size: usize, _took: Duration) {}
    fn failed(&self) {}
}
