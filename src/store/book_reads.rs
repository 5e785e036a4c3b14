//! Reading what reconciliations need: entries and lines by name in bulk, and the lists of a day.
//!
//! Invariant: one call reads one chunk, so that a million lines cost no million futures; nothing is written here.

use super::engine::Engine;
use super::records::RecordStore;
use super::{booked, codec, keys};
use crate::ports::{BookReads, DayEntry, Io, OpenLine, Reconciliation, StoreError, Stray};
use tongdao_core::day::Day;
use tongdao_core::ids::{ChannelId, ReconciliationId};
use tongdao_core::provider::LineKind;
use tongdao_core::reconcile::{BookedLine, Entry, LineKey};

/// Reads a record from what its key has behind the list's start, and its value.
type Reader<'a, T> = dyn Fn(&[u8], &[u8]) -> Result<T, StoreError> + 'a;

impl<E: Engine> RecordStore<E> {
    /// The records under a prefix behind a name, each with what its key has behind the prefix.
    fn listed<T>(
        &self,
        list: &[u8],
        after: Option<Vec<u8>>,
        limit: usize,
        read: &Reader<'_, T>,
    ) -> Result<Vec<T>, StoreError> {
        // The first key behind a key is that key with a zero behind it.
        let start = after.map_or_else(|| list.to_vec(), |last| [last.as_slice(), &[0]].concat());
        let found = self.scan(start..keys::end_of(list), limit, false)?;
        found.iter().map(|(key, record)| read(key.get(list.len()..).unwrap_or_default(), &record.value)).collect()
    }

    fn reconciliations_of(
        &self,
        channel: Option<&ChannelId>,
        mut before: Option<ReconciliationId>,
        limit: usize,
    ) -> Result<Vec<Reconciliation>, StoreError> {
        let mut found: Vec<Reconciliation> = Vec::new();
        loop {
            let end = before.map_or_else(|| keys::after(b"z"), keys::reconciliation);
            let page = self.scan(b"z".to_vec()..end, limit.max(1), true)?;
            for (_, record) in &page {
                let one: Reconciliation = codec::read(&record.value)?;
                before = Some(one.id);
                if found.len() < limit && channel.is_none_or(|channel| one.channel == *channel) {
                    found.push(one);
                }
            }
            if found.len() >= limit || page.len() < limit.max(1) {
                return Ok(found);
            }
        }
    }
}

impl<E: Engine> BookReads for RecordStore<E> {
    fn entries_named<'a>(
        &'a self,
        channel: &'a ChannelId,
        names: &'a [(LineKind, String)],
    ) -> Io<'a, Result<Vec<Option<Entry>>, StoreError>> {
        let one = |name: &(LineKind, String)| {
            let record = self.load_raw(&keys::entry(channel, name.0, &name.1))?;
            record.map(|record| booked::entry(channel, name, &record.value)).transpose()
        };
        Box::pin(async move { names.iter().map(one).collect() })
    }

    fn entries<'a>(
        &'a self,
        channel: &'a ChannelId,
        day: Day,
        after: Option<(LineKind, String)>,
        limit: usize,
    ) -> Io<'a, Result<Vec<DayEntry>, StoreError>> {
        Box::pin(async move {
            let after = after.map(|(kind, number)| keys::day_entry(channel, day, kind, &number));
            self.listed(&keys::day_list(channel, day), after, limit, &booked::day_entry)
        })
    }

    fn strays<'a>(
        &'a self,
        channel: &'a ChannelId,
        entry_day: Day,
        after: Option<(LineKind, String)>,
        limit: usize,
    ) -> Io<'a, Result<Vec<Stray>, StoreError>> {
        Box::pin(async move {
            let after = after.map(|(kind, number)| keys::stray(channel, entry_day, kind, &number));
            let read = |rest: &[u8], value: &[u8]| booked::stray(channel, entry_day, rest, value);
            self.listed(&keys::stray_list(channel, entry_day), after, limit, &read)
        })
    }

    fn lines_named<'a>(
        &'a self,
        id: ReconciliationId,
        keys: &'a [LineKey],
    ) -> Io<'a, Result<Vec<Option<BookedLine>>, StoreError>> {
        let one = move |key: &LineKey| {
            let record = self.load_raw(&keys::line(id, key))?;
            record.map(|record| booked::line(key.clone(), &record.value)).transpose()
        };
        Box::pin(async move { keys.iter().map(one).collect() })
    }

    fn lines(
        &self,
        id: ReconciliationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Io<'_, Result<Vec<BookedLine>, StoreError>> {
        Box::pin(async move {
            let read =
                |rest: &[u8], value: &[u8]| booked::line(keys::line_key_of(rest).ok_or_else(booked::bad_key)?, value);
            self.listed(&keys::line_list(id), after.map(|key| keys::line(id, &key)), limit, &read)
        })
    }

    fn open_lines(
        &self,
        id: ReconciliationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Io<'_, Result<Vec<OpenLine>, StoreError>> {
        let after = after.map(|key| keys::open_line(id, &key));
        Box::pin(async move { self.listed(&keys::open_list(id), after, limit, &booked::open_line) })
    }

    fn reconciliation(&self, id: ReconciliationId) -> Io<'_, Result<Option<Reconciliation>, StoreError>> {
        Box::pin(async move {
            let record = self.load_raw(&keys::reconciliation(id))?;
            record.map(|record| codec::read(&record.value)).transpose()
        })
    }

    fn reconciliations<'a>(
        &'a self,
        channel: Option<&'a ChannelId>,
        before: Option<ReconciliationId>,
        limit: usize,
    ) -> Io<'a, Result<Vec<Reconciliation>, StoreError>> {
        Box::pin(async move { self.reconciliations_of(channel, before, limit) })
    }
}
