//! What the engine's threads and its callers share.
//!
//! Invariant: once poisoned, always poisoned: the store takes nothing any more and the process must end. The depth
//! counts every batch that was accepted and not yet taken from the queue, so the queue never overflows.

use super::record::Hash;
use crate::store::engine::{CommitError, CommitObserver, Committed, RawBatch, Urgency};
use crate::store::nonces::Nonces;
use crate::store::timers::Timers;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};

/// Batches that may wait.
pub(super) const QUEUE_MAX: usize = 4096;
/// From here on new work is refused.
const SHED_FROM: usize = QUEUE_MAX / 4 * 3;

/// How a batch is answered. Dropping it unanswered means that the outcome is unknown.
pub(super) type Reply = oneshot::Sender<Result<Committed, CommitError>>;

/// What travels through the queue.
pub(super) enum Message {
    /// A batch to commit.
    Batch(Request),
    /// Nonces wait to be written.
    Nonces,
    /// Finish the queue and end.
    Close,
}

/// A batch and who waits for it.
pub(super) struct Request {
    pub(super) batch: RawBatch,
    pub(super) bytes: usize,
    pub(super) reply: Reply,
}

/// Shared state.
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) closing: AtomicBool,
    pub(super) nonces_announced: AtomicBool,
    depth: AtomicUsize,
    poisoned: watch::Sender<bool>,
    observer: Arc<dyn CommitObserver>,
    applied: Mutex<(u64, Hash)>,
    timers: Mutex<Timers>,
    nonces: Mutex<Nonces>,
}

impl Shared {
    pub(super) fn new(
        dir: PathBuf,
        observer: Arc<dyn CommitObserver>,
        applied: (u64, Hash),
        timers: Timers,
        nonces: Nonces,
    ) -> Self {
        Self {
            dir,
            closing: AtomicBool::new(false),
            nonces_announced: AtomicBool::new(false),
            depth: AtomicUsize::new(0),
            poisoned: watch::Sender::new(false),
            observer,
            applied: Mutex::new(applied),
            timers: Mutex::new(timers),
            nonces: Mutex::new(nonces),
        }
    }

    /// The store failed. The first reason is logged.
    pub(super) fn poison(&self, what: &'static str, error: &dyn Display) {
        if !self.poisoned.send_replace(true) {
            tracing::error!(%error, what, "the store failed: it takes nothing any more and the process must end");
            self.observer.failed();
        }
    }

    pub(super) fn is_poisoned(&self) -> bool {
        *self.poisoned.borrow()
    }

    pub(super) fn poisoned(&self) -> watch::Receiver<bool> {
        self.poisoned.subscribe()
    }

    pub(super) fn observer(&self) -> &dyn CommitObserver {
        &*self.observer
    }

    /// Takes a place in the queue.
    pub(super) fn enter(&self, urgency: Urgency) -> Result<(), CommitError> {
        if self.closing.load(Ordering::SeqCst) || self.is_poisoned() {
            return Err(CommitError::Closed);
        }
        let limit = match urgency {
            Urgency::Sheddable => SHED_FROM,
            Urgency::Vital => QUEUE_MAX,
        };
        let room = |depth: usize| (depth < limit).then(|| depth.saturating_add(1));
        let entered = self.depth.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room);
        entered.map(|_| ()).map_err(|_| CommitError::Overloaded)
    }

    /// Gives back places in the queue.
    pub(super) fn leave(&self, batches: usize) {
        self.depth.fetch_sub(batches, Ordering::SeqCst);
    }

    pub(super) fn depth(&self) -> usize {
        self.depth.load(Ordering::SeqCst)
    }

    pub(super) fn applied(&self) -> (u64, Hash) {
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_applied(&self, end: (u64, Hash)) {
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    pub(super) fn timers(&self) -> MutexGuard<'_, Timers> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn nonces(&self) -> MutexGuard<'_, Nonces> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
