//! The applying thread: brings each durable group into the index, then answers; and the checkpoint thread, which
//! makes the index durable now and then.
//!
//! Invariant: a group is answered only when it is in the journal and in the index, so an acknowledged write is seen
//! by every later read. A checkpoint names only what was in the index before its sync began.

use super::commit::Group;
use super::index::{Applied, Changes, Index};
use super::mark::{Checkpoint, ask_recheck};
use super::shared::{Reply, Shared};
use crate::store::engine::{CommitError, Committed};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

/// The applying thread's state.
pub(super) struct Applier {
    pub(super) shared: Arc<Shared>,
    pub(super) index: Arc<Index>,
    pub(super) applied: Applied,
    pub(super) groups: Receiver<Group>,
    /// Held for its end: dropping it tells the checkpoint thread to finish.
    pub(super) alive: SyncSender<()>,
}

impl Applier {
    /// Runs until the commit thread ends, or the index fails.
    pub(super) fn run(mut self) {
        while let Ok(group) = self.groups.recv() {
            if let Err(error) = self.apply(&group) {
                // The journal has it; the next start makes the index anew.
                ask_recheck(&self.shared.dir);
                self.shared.poison("index", &error);
                break;
            }
            self.answer(group);
        }
        drop(self.alive);
    }

    fn apply(&mut self, group: &Group) -> Result<(), super::error::IndexError> {
        if !group.batches.is_empty() || !group.nonces.is_empty() || !group.ended.is_empty() {
            let mut changes = Changes::default();
            changes.ended(&group.ended);
            changes.nonces(&group.nonces);
            for (_, batch, _) in &group.batches {
                changes.batch(batch);
            }
            self.index.apply(&changes, &mut self.applied, group.end)?;
        }
        let mut timers = self.shared.timers();
        for (_, batch, _) in &group.batches {
            timers.apply(batch);
        }
        drop(timers);
        self.shared.set_applied(group.end);
        Ok(())
    }

    fn answer(&self, group: Group) {
        let batch_size = group.batches.len();
        for (seq, _, reply) in group.batches {
            send(reply, Ok(Committed { seq }));
        }
        for (refusal, reply) in group.refused {
            send(reply, Err(refusal));
        }
        if batch_size > 0 {
            self.shared.observer().committed(batch_size, group.since.elapsed());
        }
    }
}

fn send(reply: Reply, answer: Result<Committed, CommitError>) {
    if reply.send(answer).is_err() {
        tracing::debug!("a commit was answered after its caller had left");
    }
}

/// Syncs the index every so often, and once more at the end.
pub(super) fn run_checkpoints(shared: &Shared, index: &Index, ended: &Receiver<()>, every: Duration) {
    let mut last_seq = 0;
    loop {
        let last_round = match ended.recv_timeout(every) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        if shared.is_poisoned() {
            return;
        }
        let (seq, hash) = shared.applied();
        if seq != last_seq {
            let checkpoint = Checkpoint { seq, hash };
            // sled may panic where it should fail.
            match catch_unwind(AssertUnwindSafe(|| take_checkpoint(shared, index, &checkpoint))) {
                Ok(Ok(())) => last_seq = seq,
                Ok(Err(error)) => shared.poison("checkpoint", &error),
                Err(_) => shared.poison("checkpoint", &super::error::IndexError::Panicked),
            }
        }
        if last_round {
            return;
        }
    }
}

fn take_checkpoint(shared: &Shared, index: &Index, checkpoint: &Checkpoint) -> Result<(), super::error::IndexError> {
    index.sync()?;
    checkpoint.write(&shared.dir).map_err(sled::Error::from)?;
    Ok(())
}
