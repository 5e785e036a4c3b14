//! Writes that are in the journal, or about to be, but not yet in the index.
//!
//! Invariant: for a key in here the overlay is right and the index is behind; for any other key the index is right.
//! It belongs to the commit thread alone, so conditions are judged one after another: single writer, no races.

use crate::store::engine::{Expect, Put, RawBatch};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The last write to each key that the index may lack.
#[derive(Default)]
pub(super) struct Overlay {
    writes: HashMap<Vec<u8>, Write>,
    batches: VecDeque<(u64, Arc<RawBatch>)>,
}

struct Write {
    seq: u64,
    batch: Arc<RawBatch>,
    /// Which put of the batch; none for a delete.
    put: Option<usize>,
}

impl Overlay {
    /// Adds a batch that was given this number.
    pub(super) fn add(&mut self, seq: u64, batch: &Arc<RawBatch>) {
        for key in &batch.deletes {
            self.writes.insert(key.clone(), Write { seq, batch: Arc::clone(batch), put: None });
        }
        for (at, put) in batch.puts.iter().enumerate() {
            self.writes.insert(put.key.clone(), Write { seq, batch: Arc::clone(batch), put: Some(at) });
        }
        self.batches.push_back((seq, Arc::clone(batch)));
    }

    /// Forgets what the index has by now.
    pub(super) fn forget_until(&mut self, applied_seq: u64) {
        while let Some((seq, batch)) = self.batches.pop_front_if(|(seq, _)| *seq <= applied_seq) {
            let keys = batch.deletes.iter().chain(batch.puts.iter().map(|put| &put.key));
            for key in keys {
                if self.writes.get(key).is_some_and(|write| write.seq == seq) {
                    self.writes.remove(key);
                }
            }
        }
    }

    /// What is stored under a key: `None` when only the index knows, `Some(None)` when it was deleted.
    pub(super) fn find(&self, key: &[u8]) -> Option<Option<&Put>> {
        let write = self.writes.get(key)?;
        Some(write.put.and_then(|at| write.batch.puts.get(at)))
    }
}

/// Whether a put's condition holds against what the overlay found.
pub(super) fn holds(put: &Put, stored: Option<&Put>) -> bool {
    match put.expect {
        Expect::Any => true,
        Expect::Absent => stored.is_none(),
        Expect::AbsentOrSame => stored.is_none_or(|stored| stored.value == put.value),
        Expect::Version(version) => stored.is_some_and(|stored| stored.version == version),
    }
}
