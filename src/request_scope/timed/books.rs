//! The reads of reconciliations, timed as every other read of the store.
//!
//! Invariant: they add nothing and change nothing; the wrapped store decides everything.

use super::{TimedStore, store};
use crate::ports::{BookReads, DayEntry, Io, OpenLine, Reconciliation, StoreError, Stray};
use tongdao_core::day::Day;
use tongdao_core::ids::{ChannelId, ReconciliationId};
use tongdao_core::provider::LineKind;
use tongdao_core::reconcile::{BookedLine, Entry, LineKey};

impl BookReads for TimedStore {
    fn entries_named<'a>(
        &'a self,
        channel: &'a ChannelId,
        names: &'a [(LineKind, String)],
    ) -> Io<'a, Result<Vec<Option<Entry>>, StoreError>> {
        store(self.0.entries_named(channel, names))
    }

    fn entries<'a>(
        &'a self,
        channel: &'a ChannelId,
        day: Day,
        after: Option<(LineKind, String)>,
        limit: usize,
    ) -> Io<'a, Result<Vec<DayEntry>, StoreError>> {
        store(self.0.entries(channel, day, after, limit))
    }

    fn strays<'a>(
        &'a self,
        channel: &'a ChannelId,
        entry_day: Day,
        after: Option<(LineKind, String)>,
        limit: usize,
    ) -> Io<'a, Result<Vec<Stray>, StoreError>> {
        store(self.0.strays(channel, entry_day, after, limit))
    }

    fn lines_named<'a>(
        &'a self,
        id: ReconciliationId,
        keys: &'a [LineKey],
    ) -> Io<'a, Result<Vec<Option<BookedLine>>, StoreError>> {
        store(self.0.lines_named(id, keys))
    }

    fn lines(
        &self,
        id: ReconciliationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Io<'_, Result<Vec<BookedLine>, StoreError>> {
        store(self.0.lines(id, after, limit))
    }

    fn open_lines(
        &self,
        id: ReconciliationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Io<'_, Result<Vec<OpenLine>, StoreError>> {
        store(self.0.open_lines(id, after, limit))
    }

    fn reconciliation(&self, id: ReconciliationId) -> Io<'_, Result<Option<Reconciliation>, StoreError>> {
        store(self.0.reconciliation(id))
    }

    fn reconciliations<'a>(
        &'a self,
        channel: Option<&'a ChannelId>,
        before: Option<ReconciliationId>,
        limit: usize,
    ) -> Io<'a, Result<Vec<Reconciliation>, StoreError>> {
        store(self.0.reconciliations(channel, before, limit))
    }
}
