//! Our side of the statements in memory. No day is reconciled in the simulated world, so there are entries, and lists
//! of lines and days stay empty.

use crate::store::SimStore;
use tongdao::ports::{BookReads, DayEntry, Io, OpenLine, Reconciliation, StoreError, Stray};
use tongdao_core::day::Day;
use tongdao_core::ids::{ChannelId, ReconciliationId};
use tongdao_core::provider::LineKind;
use tongdao_core::reconcile::{BookedLine, Entry, LineKey};

impl BookReads for SimStore {
    fn entries_named<'a>(
        &'a self,
        channel: &'a ChannelId,
        names: &'a [(LineKind, String)],
    ) -> Io<'a, Result<Vec<Option<Entry>>, StoreError>> {
        self.read(|kept| {
            let key = |(kind, number): &(LineKind, String)| (channel.clone(), *kind, number.clone());
            names.iter().map(|name| kept.entries.get(&key(name)).cloned()).collect()
        })
    }
    fn entries<'a>(
        &'a self,
        channel: &'a ChannelId,
        day: Day,
        after: Option<(LineKind, String)>,
        limit: usize,
    ) -> Io<'a, Result<Vec<DayEntry>, StoreError>> {
        self.read(|kept| {
            let on_day = kept.entries.values().filter(|entry| entry.channel == *channel && entry.day == day);
            let of = |entry: &Entry| (entry.kind, entry.number.clone());
            let behind = on_day.filter(|entry| after.as_ref().is_none_or(|after| of(entry) > *after)).take(limit);
            let listed = |entry: &Entry| DayEntry {
                kind: entry.kind,
                number: entry.number.clone(),
                amount: entry.amount.amount,
                status: entry.status,
            };
            behind.map(listed).collect()
        })
    }
    fn strays<'a>(
        &'a self,
        _: &'a ChannelId,
        _: Day,
        _: Option<(LineKind, String)>,
        _: usize,
    ) -> Io<'a, Result<Vec<Stray>, StoreError>> {
        self.read(|_| Vec::new())
    }
    fn lines_named<'a>(
        &'a self,
        _: ReconciliationId,
        keys: &'a [LineKey],
    ) -> Io<'a, Result<Vec<Option<BookedLine>>, StoreError>> {
        self.read(|_| keys.iter().map(|_| None).collect())
    }
    fn lines(&self, _: ReconciliationId, _: Option<LineKey>, _: usize) -> Io<'_, Result<Vec<BookedLine>, StoreError>> {
        self.read(|_| Vec::new())
    }
    fn open_lines(
        &self,
        _: ReconciliationId,
        _: Option<LineKey>,
        _: usize,
    ) -> Io<'_, Result<Vec<OpenLine>, StoreError>> {
        self.read(|_| Vec::new())
    }
    fn reconciliation(&self, _: ReconciliationId) -> Io<'_, Result<Option<Reconciliation>, StoreError>> {
        self.read(|_| None)
    }
    fn reconciliations<'a>(
        &'a self,
        _: Option<&'a ChannelId>,
        _: Option<ReconciliationId>,
        _: usize,
    ) -> Io<'a, Result<Vec<Reconciliation>, StoreError>> {
        self.read(|_| Vec::new())
    }
}
