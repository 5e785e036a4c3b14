//! The embedded engine: a journal that is the truth, and sled as an index that can be made anew from it.
//!
//! Invariant: a commit is acknowledged only when one fdatasync has put it into the journal and the index shows it.
//! Any error of a write or sync poisons the engine: it takes nothing any more, says so on `poisoned()`, and the
//! process must end; the next opening recovers. A failed sync is never repeated.
//!
//! Threads: one commits (the single writer), one applies and answers, one takes checkpoints, one fills the next
//! segment with zeros, and after an opening one reads what the opening left unread. Files: `lock`, `checkpoint`,
//! `journal/NNNNNNNN.log`, `index/` (sled), `quarantine-<time>/`. It must not know what records mean.

mod apply;
mod audit;
mod bytes;
mod commit;
mod error;
mod index;
mod journal;
mod lock;
mod mark;
mod offline;
mod options;
mod overlay;
mod payload;
mod record;
mod recover;
mod replay;
mod segment;
mod shared;
#[cfg(test)]
mod tests;
mod value;
mod walk;

use self::apply::{Applier, run_checkpoints};
use self::commit::Committer;
use self::index::Index;
use self::journal::Journal;
use self::recover::{Recovered, journal_dir, recover};
use self::shared::{Message, QUEUE_MAX, Request, Shared};
use super::engine::{CommitError, Committed, Engine, NonceTaken, RawBatch, ReadError, Record, Timer, Urgency};
use crate::ports::{Io, Space};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};
use tongdao_core::time::UnixMillis;

// The command line and the daemon take these.
#[allow(unused_imports)]
pub(crate) use self::{
    error::{Damage, IndexError, OpenError, RebuildError, VerifyError},
    offline::{DiskSpace, JournalRecord, RebuildReport, VerifyReport, disk_space, read_journal, rebuild, verify},
    options::EmbeddedOptions,
    payload::Payload,
    record::Hash,
    recover::OpenReport,
    segment::{JournalFile, WrapFile},
};

/// A batch larger than this is a defect of its maker.
const BATCH_BYTES_MAX: usize = 1 << 30;
/// Groups that may wait for the index while the next one is written.
const GROUPS_AHEAD_MAX: usize = 2;

/// A store in a directory.
pub(crate) struct EmbeddedEngine {
    shared: Arc<Shared>,
    queue: SyncSender<Message>,
    finished: watch::Receiver<bool>,
    report: OpenReport,
    threads: Mutex<Vec<JoinHandle<()>>>,
    index: Arc<Index>,
    /// Let go of last.
    _lock: File,
}

/// Bytes that the store takes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreSize {
    /// The journal's segments, at their full length.
    pub(crate) journal_bytes: u64,
    /// The index.
    pub(crate) index_bytes: u64,
}

impl EmbeddedEngine {
    /// Opens the store in a directory, which is created when it is not there. Recovers whatever a crash left.
    pub(crate) fn open(dir: &Path, options: EmbeddedOptions) -> Result<Self, OpenError> {
        std::fs::create_dir_all(dir).map_err(error::at(dir))?;
        let lock = lock::lock(dir)?;
        let recovered = recover(dir, &options)?;
        start(dir, lock, recovered, options).map_err(error::at(dir))
    }

    /// What opening found and did.
    pub(crate) fn report(&self) -> &OpenReport {
        &self.report
    }

    /// Turns true when the store failed: the process must then end with an error.
    pub(crate) fn poisoned(&self) -> watch::Receiver<bool> {
        self.shared.poisoned()
    }

    /// The last journal record that is acknowledged.
    #[cfg(test)]
    pub(crate) fn last_seq(&self) -> u64 {
        self.shared.applied().0
    }

    /// Bytes on disk.
    pub(crate) fn size(&self) -> io::Result<StoreSize> {
        let mut journal_bytes = 0_u64;
        for entry in std::fs::read_dir(journal_dir(&self.shared.dir))? {
            journal_bytes = journal_bytes.saturating_add(entry?.metadata()?.len());
        }
        Ok(StoreSize { journal_bytes, index_bytes: self.index.size_on_disk().unwrap_or_default() })
    }

    fn submit(
        &self,
        batch: RawBatch,
        urgency: Urgency,
    ) -> Result<oneshot::Receiver<Result<Committed, CommitError>>, CommitError> {
        let bytes = payload::batch_len_max(&batch);
        assert!(bytes <= BATCH_BYTES_MAX, "a batch of {bytes} bytes is a defect of its maker");
        self.shared.enter(urgency)?;
        let (reply, answer) = oneshot::channel();
        match self.queue.try_send(Message::Batch(Request { batch, bytes, reply })) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => {
                self.shared.leave(1);
                Err(CommitError::Overloaded)
            }
            Err(TrySendError::Disconnected(_)) => {
                self.shared.leave(1);
                Err(CommitError::Closed)
            }
        }
    }

    fn begin_close(&self) {
        let first = !self.shared.closing.swap(true, Ordering::SeqCst);
        if first && self.queue.try_send(Message::Close).is_err() {
            tracing::debug!("the commit thread had ended before the store was closed");
        }
    }
}

impl Engine for EmbeddedEngine {
    fn commit(&self, batch: RawBatch, urgency: Urgency) -> Io<'_, Result<Committed, CommitError>> {
        Box::pin(async move {
            // A reply that is dropped unanswered: the store failed while this batch was with it.
            self.submit(batch, urgency)?.await.unwrap_or(Err(CommitError::Unknown))
        })
    }

    fn load(&self, key: &[u8]) -> Result<Option<Record>, ReadError> {
        self.index.load(key).inspect_err(|error| report_damage(&self.shared, error))
    }

    fn scan(&self, keys: Range<Vec<u8>>, limit: usize, backwards: bool) -> Result<Vec<(Vec<u8>, Record)>, ReadError> {
        self.index.scan(keys, limit, backwards).inspect_err(|error| report_damage(&self.shared, error))
    }

    fn due(&self, now: UnixMillis, limit: usize) -> Vec<Timer> {
        self.shared.timers().due(now, limit)
    }

    fn next_due(&self) -> Option<UnixMillis> {
        self.shared.timers().next_due()
    }

    fn take_nonce(&self, nonce: NonceTaken, now: UnixMillis) -> bool {
        let taken = self.shared.nonces().take(nonce, now);
        let announce = taken && !self.shared.nonces_announced.swap(true, Ordering::SeqCst);
        if announce && self.queue.try_send(Message::Nonces).is_err() {
            tracing::debug!("nonces travel with the next group");
        }
        taken
    }

    fn space(&self) -> Option<Space> {
        let (disk, size) = (disk_space(&self.shared.dir).ok()?, self.size().ok()?);
        let store_bytes = size.journal_bytes.saturating_add(size.index_bytes);
        Some(Space { free_bytes: disk.free_bytes, total_bytes: disk.total_bytes, store_bytes })
    }

    fn queue_depth(&self) -> usize {
        self.shared.depth()
    }

    fn close(&self) -> Io<'_, ()> {
        Box::pin(async move {
            self.begin_close();
            let mut finished = self.finished.clone();
            if finished.wait_for(|finished| *finished).await.is_err() {
                tracing::debug!("the checkpoint thread ended without a word");
            }
        })
    }
}

impl Drop for EmbeddedEngine {
    fn drop(&mut self) {
        self.begin_close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a store thread panicked");
            }
        }
    }
}

/// A record that cannot be read is still in the journal: the next start makes the index anew.
fn report_damage(shared: &Shared, error: &ReadError) {
    match error {
        ReadError::Damaged => {
            tracing::error!("a record in the index is damaged; the next start makes the index anew");
            mark::ask_recheck(&shared.dir);
        }
        ReadError::Io(kind) => tracing::error!(%kind, "the index could not be read"),
    }
}

fn start(dir: &Path, lock: File, recovered: Recovered, options: EmbeddedOptions) -> io::Result<EmbeddedEngine> {
    let Recovered { index, applied, timers, nonces, end, report, unwalked, counted } = recovered;
    let shared =
        Arc::new(Shared::new(dir.to_path_buf(), options.observer, (applied.seq, applied.hash), timers, nonces));
    let journal = Journal::resume(&journal_dir(dir), options.segment_bytes, options.wrap_file, end)?;
    // Room for every batch that may enter, the nonces' call and the closing.
    let (queue, waiting) = sync_channel(QUEUE_MAX.saturating_add(8));
    let (apply, groups) = sync_channel(GROUPS_AHEAD_MAX);
    let (alive, ended) = sync_channel(1);
    let (finish, finished) = watch::channel(false);
    let committer = Committer {
        shared: Arc::clone(&shared),
        queue: waiting,
        journal,
        index: Arc::clone(&index),
        apply,
        overlay: overlay::Overlay::default(),
        closing: false,
    };
    let applier = Applier { shared: Arc::clone(&shared), index: Arc::clone(&index), applied, groups, alive };
    let mut threads = vec![
        thread("store-commit", &shared, move || committer.run())?,
        thread("store-apply", &shared, move || applier.run())?,
    ];
    let (own, own_index, every) = (Arc::clone(&shared), Arc::clone(&index), options.checkpoint_every);
    threads.push(thread("store-checkpoint", &shared, move || {
        run_checkpoints(&own, &own_index, &ended, every);
        finish.send_replace(true);
    })?);
    if !unwalked.is_empty() || !counted {
        let (own, own_index) = (Arc::clone(&shared), Arc::clone(&index));
        threads.push(thread("store-audit", &shared, move || audit::audit(&own, &own_index, &unwalked, counted))?);
    }
    Ok(EmbeddedEngine { shared, queue, finished, report, threads: Mutex::new(threads), index, _lock: lock })
}

/// A thread whose panic poisons the store.
fn thread(name: &'static str, shared: &Arc<Shared>, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name(name.into()).spawn(move || {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            shared.poison(name, &"a thread of the store panicked");
        }
    })
}
