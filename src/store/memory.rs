//! The memory engine: the same promises without a disk, for tests and for trying things out.
//!
//! Invariant: it passes the contract suite that the embedded engine passes; only durability is missing.

use super::engine::{
    CommitError, Committed, Engine, Expect, NonceTaken, Put, RawBatch, ReadError, Record, Timer, Urgency,
};
use super::nonces::Nonces;
use super::timers::Timers;
use crate::ports::{Io, Space};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tongdao_core::time::UnixMillis;

/// A store that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct MemoryEngine {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<Vec<u8>, Record>,
    timers: Timers,
    nonces: Nonces,
    last_seq: u64,
    closed: bool,
}

impl MemoryEngine {
    /// An empty store.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for MemoryEngine {
    fn commit(&self, batch: RawBatch, _urgency: Urgency) -> Io<'_, Result<Committed, CommitError>> {
        Box::pin(async move { self.state().commit(batch) })
    }

    fn load(&self, key: &[u8]) -> Result<Option<Record>, ReadError> {
        Ok(self.state().records.get(key).cloned())
    }

    fn scan(&self, keys: Range<Vec<u8>>, limit: usize, backwards: bool) -> Result<Vec<(Vec<u8>, Record)>, ReadError> {
        if keys.start >= keys.end {
            return Ok(Vec::new());
        }
        let state = self.state();
        let found = state.records.range(keys).map(|(key, record)| (key.clone(), record.clone()));
        Ok(if backwards { found.rev().take(limit).collect() } else { found.take(limit).collect() })
    }

    fn due(&self, now: UnixMillis, limit: usize) -> Vec<Timer> {
        self.state().timers.due(now, limit)
    }

    fn next_due(&self) -> Option<UnixMillis> {
        self.state().timers.next_due()
    }

    fn take_nonce(&self, nonce: NonceTaken, now: UnixMillis) -> bool {
        let mut state = self.state();
        let taken = state.nonces.take(nonce, now);
        // There is no disk to write them to or to remove them from.
        drop(state.nonces.drain());
        taken
    }

    fn space(&self) -> Option<Space> {
        None
    }

    fn queue_depth(&self) -> usize {
        0
    }

    fn close(&self) -> Io<'_, ()> {
        Box::pin(async move { self.state().closed = true })
    }
}

impl State {
    fn commit(&mut self, batch: RawBatch) -> Result<Committed, CommitError> {
        if self.closed {
            return Err(CommitError::Closed);
        }
        if let Some(put) = batch.puts.iter().find(|put| !self.holds(put)) {
            return Err(CommitError::Conflict { key: put.key.clone(), found: self.records.get(&put.key).cloned() });
        }
        self.timers.apply(&batch);
        for key in &batch.deletes {
            self.records.remove(key);
        }
        for Put { key, version, value, expect: _ } in batch.puts {
            self.records.insert(key, Record { version, value });
        }
        self.last_seq = self.last_seq.saturating_add(1);
        Ok(Committed { seq: self.last_seq })
    }

    fn holds(&self, put: &Put) -> bool {
        let stored = self.records.get(&put.key);
        match put.expect {
            Expect::Any => true,
            Expect::Absent => stored.is_none(),
            Expect::AbsentOrSame => stored.is_none_or(|record| record.value == put.value),
            Expect::Version(version) => stored.is_some_and(|record| record.version == version),
        }
    }
}
