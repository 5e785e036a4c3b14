//! The store's port over an engine: turns batches of charges, events, claims and timers into records of bytes.
//!
//! Invariant: one engine batch per port batch, so nothing is ever half there. The engine's refusal of a key is turned
//! back into the word that the flows understand.

use super::engine::{CommitError, Engine, Expect, NonceTaken, Put, RawBatch, ReadError, Record, Timer};
use super::{booked, codec, keys};
use crate::ports::{
    Batch, Break, ChargePage, ChargeWrite, Claim, Due, EntryWrite, Io, LineWrite, Owner, Reconciliation, Reference,
    Space, Store, StoreError, StoredEvent, Stray, Urgency,
};
use std::ops::Range;
use tongdao_core::charge::Charge;
use tongdao_core::ids::{BreakId, ChargeId, MerchantId};
use tongdao_core::time::UnixMillis;

/// A store on some engine.
pub(crate) struct RecordStore<E> {
    engine: E,
}

impl<E: Engine> RecordStore<E> {
    /// Puts the port on an engine.
    pub(crate) const fn new(engine: E) -> Self {
        Self { engine }
    }

    pub(super) fn scan(
        &self,
        range: Range<Vec<u8>>,
        limit: usize,
        backwards: bool,
    ) -> Result<Vec<(Vec<u8>, Record)>, StoreError> {
        self.engine.scan(range, limit, backwards).map_err(read_error)
    }

    pub(super) fn load_raw(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        self.engine.load(key).map_err(read_error)
    }

    fn load<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        let record = self.load_raw(key)?;
        record.map(|record| codec::read(&record.value)).transpose()
    }

    fn page(
        &self,
        merchant: Option<&MerchantId>,
        before: Option<ChargeId>,
        limit: usize,
    ) -> Result<ChargePage, StoreError> {
        let list = merchant.map_or_else(|| b"o".to_vec(), keys::merchant_list);
        let end = before.map_or_else(|| keys::after(&list), |id| [list.as_slice(), &id.to_bytes()].concat());
        let mut page = ChargePage::default();
        for (key, _) in self.scan(list..end, limit.saturating_add(1), true)? {
            let Some(id) = keys::charge_of(&key) else { continue };
            if page.charges.len() == limit {
                page.next = page.charges.last().map(|charge: &Charge| charge.id);
                break;
            }
            page.charges.extend(self.load::<Charge>(&keys::charge(id))?);
        }
        Ok(page)
    }
}

impl<E: Engine> Store for RecordStore<E> {
    fn commit(&self, batch: Batch, urgency: Urgency) -> Io<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let claims = batch.claims.clone();
            let raw = raw(batch)?;
            let urgency = match urgency {
                Urgency::Sheddable => super::engine::Urgency::Sheddable,
                Urgency::Vital => super::engine::Urgency::Vital,
            };
            match self.engine.commit(raw, urgency).await {
                Ok(_) => Ok(()),
                Err(error) => Err(commit_error(error, &claims)),
            }
        })
    }

    fn charge(&self, id: ChargeId) -> Io<'_, Result<Option<Charge>, StoreError>> {
        Box::pin(async move { self.load(&keys::charge(id)) })
    }

    fn find<'a>(&'a self, reference: &'a Reference) -> Io<'a, Result<Option<Owner>, StoreError>> {
        Box::pin(async move { self.load(&keys::reference(reference)) })
    }

    fn find_any<'a>(&'a self, number: &'a str) -> Io<'a, Result<Vec<ChargeId>, StoreError>> {
        Box::pin(async move {
            let prefix = keys::any_number(number);
            let found = self.scan(prefix.clone()..keys::after(&prefix), 50, true)?;
            Ok(found.iter().filter_map(|(key, _)| keys::charge_of(key)).collect())
        })
    }

    fn events(&self, id: ChargeId, after: u64, limit: usize) -> Io<'_, Result<Vec<StoredEvent>, StoreError>> {
        Box::pin(async move {
            let range = keys::event(id, after.saturating_add(1))..keys::event(id, u64::MAX);
            let found = self.scan(range, limit, false)?;
            let read = |(key, record): (Vec<u8>, Record)| {
                Ok(StoredEvent { seq: keys::seq_of(&key).unwrap_or_default(), event: codec::read(&record.value)? })
            };
            found.into_iter().map(read).collect()
        })
    }

    fn charges<'a>(
        &'a self,
        merchant: Option<&'a MerchantId>,
        before: Option<ChargeId>,
        limit: usize,
    ) -> Io<'a, Result<ChargePage, StoreError>> {
        Box::pin(async move { self.page(merchant, before, limit) })
    }

    fn find_break(&self, id: BreakId) -> Io<'_, Result<Option<Break>, StoreError>> {
        Box::pin(async move { self.load(&keys::breach(id)) })
    }

    fn breaks(&self, before: Option<BreakId>, limit: usize) -> Io<'_, Result<Vec<Break>, StoreError>> {
        Box::pin(async move {
            let end = before.map_or_else(|| keys::after(b"b"), keys::breach);
            let found = self.scan(b"b".to_vec()..end, limit, true)?;
            found.iter().map(|(_, record)| codec::read(&record.value)).collect()
        })
    }

    fn kept<'a>(&'a self, name: &'a str) -> Io<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            let record = self.engine.load(&keys::kept(name)).map_err(read_error)?;
            Ok(record.map(|record| record.value))
        })
    }

    fn due(&self, now: UnixMillis, limit: usize) -> Io<'_, Result<Vec<Due>, StoreError>> {
        Box::pin(async move {
            let due = self.engine.due(now, limit);
            let read =
                |timer: &Timer| keys::timer_of(&timer.id).map(|(charge, key)| Due { charge, key, at: timer.due_at });
            Ok(due.iter().filter_map(read).collect())
        })
    }

    fn next_due(&self) -> Io<'_, Result<Option<UnixMillis>, StoreError>> {
        Box::pin(async move { Ok(self.engine.next_due()) })
    }

    fn take_nonce<'a>(
        &'a self,
        key_id: &'a str,
        nonce: &'a str,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Io<'a, Result<bool, StoreError>> {
        let taken = NonceTaken { key_id: key_id.to_owned(), nonce: nonce.to_owned(), until };
        Box::pin(async move { Ok(self.engine.take_nonce(taken, now)) })
    }

    fn queue_depth(&self) -> usize {
        self.engine.queue_depth()
    }

    fn space(&self) -> Option<Space> {
        self.engine.space()
    }

    fn close(&self) -> Io<'_, ()> {
        self.engine.close()
    }
}

fn raw(batch: Batch) -> Result<RawBatch, StoreError> {
    let mut raw = RawBatch { notes: batch.notes, ..RawBatch::default() };
    if let Some(write) = batch.charge {
        put_charge(&mut raw, &write)?;
        let version = write.charge.version;
        for (index, event) in (0_u64..).zip(&batch.events) {
            // A step's events are numbered by the version that they led to, so a number is never used twice.
            let seq = version.saturating_mul(1000).saturating_add(index);
            raw.puts.push(put(keys::event(write.charge.id, seq), 1, codec::write(event)?, Expect::Absent));
        }
    }
    for Claim { reference, owner } in &batch.claims {
        raw.puts.push(put(keys::reference(reference), 1, codec::write(owner)?, Expect::AbsentOrSame));
    }
    for breach in &batch.breaks {
        raw.puts.push(put(keys::breach(breach.id), 1, codec::write(breach)?, Expect::Any));
    }
    for (id, key) in &batch.gone_lines {
        raw.deletes.extend([keys::line(*id, key), keys::open_line(*id, key)]);
    }
    put_books(&mut raw, (&batch.entries, &batch.lines), &batch.strays, &batch.reconciliations)?;
    for (name, value) in batch.keeps {
        raw.puts.push(put(keys::kept(&name), 1, value, Expect::Any));
    }
    for timer in &batch.timers {
        let id = keys::timer(timer.charge, timer.key);
        match timer.at {
            Some(due_at) => raw.timers_set.push(Timer { id, due_at }),
            None => raw.timers_cleared.push(id),
        }
    }
    Ok(raw)
}

fn put_charge(raw: &mut RawBatch, write: &ChargeWrite) -> Result<(), StoreError> {
    let charge = &write.charge;
    let expect = write.read_at_version.map_or(Expect::Absent, Expect::Version);
    raw.puts.push(put(keys::charge(charge.id), charge.version, codec::write(charge)?, expect));
    if write.read_at_version.is_none() {
        let listed = keys::merchant_charge(&charge.merchant, charge.id);
        raw.puts.push(put(listed, 1, vec![1], Expect::Any));
    }
    Ok(())
}

fn put_books(
    raw: &mut RawBatch,
    (entries, lines): (&[EntryWrite], &[LineWrite]),
    strays: &[Stray],
    reconciliations: &[Reconciliation],
) -> Result<(), StoreError> {
    let any = |(key, value): booked::Pair| put(key, 1, value, Expect::Any);
    for write in entries {
        let entry = &write.entry;
        // A key both deleted and put stays, so an entry that did not move after all is safe.
        let old = write.moved_from.map(|day| keys::day_entry(&entry.channel, day, entry.kind, &entry.number));
        raw.deletes.extend(old);
        raw.puts.extend(booked::of_entry(write)?.map(any));
    }
    for write in lines {
        raw.puts.push(any(booked::of_line(write)?));
        if write.line.is_open() {
            raw.puts.push(any(booked::of_open_line(write)?));
        } else if write.was_open {
            raw.deletes.push(keys::open_line(write.reconciliation, &write.line.key));
        }
    }
    for stray in strays {
        raw.puts.push(any(booked::of_stray(stray)?));
    }
    for one in reconciliations {
        raw.puts.push(put(keys::reconciliation(one.id), 1, codec::write(one)?, Expect::Any));
    }
    Ok(())
}

const fn put(key: Vec<u8>, version: u64, value: Vec<u8>, expect: Expect) -> Put {
    Put { key, version, value, expect }
}

fn commit_error(error: CommitError, claims: &[Claim]) -> StoreError {
    match error {
        CommitError::Conflict { key, found } => {
            let claim = claims.iter().find(|claim| keys::reference(&claim.reference) == key);
            let owner = found.and_then(|record| codec::read(&record.value).ok());
            match (claim, owner) {
                (Some(claim), Some(owner)) => {
                    StoreError::Taken { reference: Box::new(claim.reference.clone()), owner: Box::new(owner) }
                }
                (_, _) => StoreError::Changed,
            }
        }
        CommitError::Overloaded => StoreError::Overloaded,
        CommitError::Unknown => StoreError::Unknown,
        CommitError::Closed => StoreError::Closed,
    }
}

fn read_error(error: ReadError) -> StoreError {
    StoreError::Unreadable(error.to_string())
}
