//! The timers of a store, in memory: by id, and by due time.
//!
//! Invariant: an id has one due time; both maps always hold the same timers. An engine changes them only after the
//! batch that set or cleared them is durable, so nobody acts on a timer that a crash would take back.
//! It must not know what a timer is for.

use super::engine::{RawBatch, Timer};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tongdao_core::time::UnixMillis;

/// All timers that are set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due_by_id: HashMap<Arc<[u8]>, UnixMillis>,
    by_due: BTreeSet<(UnixMillis, Arc<[u8]>)>,
}

impl Timers {
    /// Does what a batch says: clears first, then sets, so that a timer both cleared and set stays.
    pub(crate) fn apply(&mut self, batch: &RawBatch) {
        for id in &batch.timers_cleared {
            self.clear(id);
        }
        for timer in &batch.timers_set {
            self.set(&timer.id, timer.due_at);
        }
    }

    /// Sets a timer, or moves it.
    pub(crate) fn set(&mut self, id: &[u8], due_at: UnixMillis) {
        self.clear(id);
        let id: Arc<[u8]> = id.into();
        self.due_by_id.insert(Arc::clone(&id), due_at);
        self.by_due.insert((due_at, id));
    }

    /// Forgets a timer; an absent one is fine.
    pub(crate) fn clear(&mut self, id: &[u8]) {
        if let Some((id, due_at)) = self.due_by_id.remove_entry(id) {
            self.by_due.remove(&(due_at, id));
        }
    }

    /// Those due at or before `now`, earliest first.
    pub(crate) fn due(&self, now: UnixMillis, limit: usize) -> Vec<Timer> {
        let due = self.by_due.iter().take_while(|(due_at, _)| *due_at <= now).take(limit);
        due.map(|(due_at, id)| Timer { id: id.to_vec(), due_at: *due_at }).collect()
    }

    /// The earliest due time.
    pub(crate) fn next_due(&self) -> Option<UnixMillis> {
        self.by_due.first().map(|(due_at, _)| *due_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_moves_is_due_once() {
        let mut timers = Timers::default();
        timers.set(b"a", UnixMillis(10));
        timers.set(b"a", UnixMillis(30));
        timers.set(b"b", UnixMillis(20));
        assert_eq!(timers.next_due(), Some(UnixMillis(20)));
        let ids: Vec<_> = timers.due(UnixMillis(30), 10).into_iter().map(|timer| timer.id).collect();
        assert_eq!(ids, [b"b".to_vec(), b"a".to_vec()]);
        timers.clear(b"b");
        assert_eq!(timers.due(UnixMillis(30), 10).len(), 1);
    }
}
