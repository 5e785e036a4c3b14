//! The commit thread: the only writer.
//!
//! It takes what is queued, never waiting for more, since the sync is the window in which the next group gathers.
//! Conditions are judged, what holds goes to the journal in one write and one sync, and the group passes to the
//! applying thread, which answers. So group n reaches the index while group n+1 is written.
//!
//! Invariant: nobody is answered before the journal holds what the answer rests on; refusals too pass through the
//! applying thread, since a conflict may rest on a batch of the same group. On any error here the store is
//! poisoned, and everybody still waiting learns that the outcome is unknown (their replies are dropped).

use super::index::Index;
use super::journal::Journal;
use super::mark::ask_recheck;
use super::overlay::{Overlay, holds};
use super::payload::{put_batch, put_nonces};
use super::record::Hash;
use super::shared::{Message, Reply, Request, Shared};
use crate::clock::Stopwatch;
use crate::store::engine::{CommitError, NonceTaken, Put, RawBatch, ReadError, Record};
use crate::store::nonces::Ending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

const GROUP_BATCHES_MAX: usize = 256;
const GROUP_BYTES_MAX: usize = 4 << 20;
/// How long a nonce waits for a batch to travel with.
const NONCES_WAIT: Duration = Duration::from_millis(50);

/// A group on its way to the index.
pub(super) struct Group {
    pub(super) batches: Vec<(u64, Arc<RawBatch>, Reply)>,
    pub(super) refused: Vec<(CommitError, Reply)>,
    pub(super) nonces: Vec<NonceTaken>,
    pub(super) ended: Vec<Ending>,
    pub(super) end: (u64, Hash),
    pub(super) since: Stopwatch,
}

/// The commit thread's state.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Receiver<Message>,
    pub(super) journal: Journal,
    pub(super) index: Arc<Index>,
    pub(super) apply: SyncSender<Group>,
    pub(super) overlay: Overlay,
    pub(super) closing: bool,
}

/// The store is poisoned and the thread ends.
pub(super) struct Poisoned;

impl Committer {
    /// Runs until closed and drained, or poisoned.
    pub(super) fn run(mut self) {
        while let Some(requests) = self.gather() {
            if self.commit(requests).is_err() {
                return;
            }
        }
    }

    /// The next group; waits for its first batch only. `None` once closed and drained.
    fn gather(&mut self) -> Option<Vec<Request>> {
        let mut requests = Vec::new();
        let first = if self.closing { self.queue.try_recv().ok()? } else { self.queue.recv().ok()? };
        self.note(first, &mut requests);
        if requests.is_empty() && !self.closing {
            match self.queue.recv_timeout(NONCES_WAIT) {
                Ok(message) => self.note(message, &mut requests),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.closing = true,
            }
        }
        let mut bytes: usize = requests.iter().map(|request| request.bytes).sum();
        while requests.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(message) = self.queue.try_recv() else { break };
            if let Message::Batch(request) = &message {
                bytes = bytes.saturating_add(request.bytes);
            }
            self.note(message, &mut requests);
        }
        Some(requests)
    }

    fn note(&mut self, message: Message, requests: &mut Vec<Request>) {
        match message {
            Message::Batch(request) => requests.push(request),
            Message::Nonces => {}
            Message::Close => self.closing = true,
        }
    }

    fn commit(&mut self, requests: Vec<Request>) -> Result<(), Poisoned> {
        self.shared.leave(requests.len());
        if self.shared.is_poisoned() {
            return Err(Poisoned);
        }
        self.overlay.forget_until(self.shared.applied().0);
        let mut group = self.start_group();
        for request in requests {
            self.judge(request, &mut group)?;
        }
        if self.journal.group_len() > 0 {
            self.journal.sync_group().map_err(|error| self.fail("journal", &error))?;
        }
        group.end = self.journal.last();
        self.apply.send(group).map_err(|_| Poisoned)
    }

    fn start_group(&mut self) -> Group {
        let since = Stopwatch::start();
        self.shared.nonces_announced.store(false, Ordering::SeqCst);
        let (nonces, ended) = self.shared.nonces().drain();
        if !nonces.is_empty() {
            self.journal.add(|out| put_nonces(out, &nonces));
        }
        Group { batches: Vec::new(), refused: Vec::new(), nonces, ended, end: self.journal.last(), since }
    }

    fn judge(&mut self, request: Request, group: &mut Group) -> Result<(), Poisoned> {
        let Request { batch, reply, bytes: _ } = request;
        match self.conflict(&batch) {
            Ok(Some(refusal)) => group.refused.push((refusal, reply)),
            Ok(None) => {
                let batch = Arc::new(batch);
                let seq = self.journal.add(|out| put_batch(out, &batch));
                self.overlay.add(seq, &batch);
                group.batches.push((seq, batch, reply));
            }
            Err(error) => {
                ask_recheck(&self.shared.dir);
                return Err(self.fail("index", &error));
            }
        }
        Ok(())
    }

    /// The first condition that does not hold.
    fn conflict(&self, batch: &RawBatch) -> Result<Option<CommitError>, ReadError> {
        for put in &batch.puts {
            if !self.holds(put)? {
                let found = match self.overlay.find(&put.key) {
                    Some(stored) => {
                        stored.map(|stored| Record { version: stored.version, value: stored.value.clone() })
                    }
                    None => self.index.load(&put.key)?,
                };
                return Ok(Some(CommitError::Conflict { key: put.key.clone(), found }));
            }
        }
        Ok(None)
    }

    fn holds(&self, put: &Put) -> Result<bool, ReadError> {
        match self.overlay.find(&put.key) {
            Some(stored) => Ok(holds(put, stored)),
            None => self.index.holds(put),
        }
    }

    fn fail(&self, what: &'static str, error: &dyn std::fmt::Display) -> Poisoned {
        self.shared.poison(what, error);
        Poisoned
    }
}
