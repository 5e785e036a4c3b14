//! The store's port in memory, without bytes: what is committed outlives the process, and every commit may be its last.

use crate::world::{Crash, World};
use std::collections::BTreeMap;
use std::sync::Arc;
use tongdao::ports::{
    Batch, Break, ChargePage, Due, Io, Owner, Reference, Space, Store, StoreError, StoredEvent, Urgency,
};
use tongdao_core::charge::Charge;
use tongdao_core::effect::{EffectKey, Event};
use tongdao_core::ids::{BreakId, ChannelId, ChargeId, MerchantId};
use tongdao_core::provider::LineKind;
use tongdao_core::reconcile::Entry;
use tongdao_core::time::UnixMillis;

/// Everything durable.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) charges: BTreeMap<ChargeId, Charge>,
    pub(crate) events: BTreeMap<(ChargeId, u64), Event>,
    pub(crate) owners: std::collections::HashMap<Reference, Owner>,
    pub(crate) breaks: BTreeMap<BreakId, Break>,
    pub(crate) entries: BTreeMap<(ChannelId, LineKind, String), Entry>,
    keeps: BTreeMap<String, Vec<u8>>,
    due_at: BTreeMap<(ChargeId, EffectKey), UnixMillis>,
    by_due: std::collections::BTreeSet<(UnixMillis, ChargeId, EffectKey)>,
}

impl Kept {
    /// Applies a batch whole, or says why not.
    pub(crate) fn apply(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if let Some(write) = &batch.charge {
            let stored = self.charges.get(&write.charge.id).map(|charge| charge.version);
            if stored != write.read_at_version {
                return Err(StoreError::Changed);
            }
        }
        for claim in &batch.claims {
            match self.owners.get(&claim.reference) {
                Some(owner) if *owner != claim.owner => {
                    let (reference, owner) = (Box::new(claim.reference.clone()), Box::new(owner.clone()));
                    return Err(StoreError::Taken { reference, owner });
                }
                _ => {}
            }
        }
        if let Some(write) = &batch.charge {
            for (index, event) in (0_u64..).zip(&batch.events) {
                let number = (write.charge.id, write.charge.version * 1000 + index);
                if self.events.contains_key(&number) {
                    return Err(StoreError::Changed);
                }
                self.events.insert(number, event.clone());
            }
            self.charges.insert(write.charge.id, write.charge.clone());
        }
        self.owners.extend(batch.claims.iter().map(|claim| (claim.reference.clone(), claim.owner.clone())));
        self.breaks.extend(batch.breaks.iter().map(|breach| (breach.id, breach.clone())));
        for write in &batch.entries {
            let entry = &write.entry;
            self.entries.insert((entry.channel.clone(), entry.kind, entry.number.clone()), entry.clone());
        }
        self.keeps.extend(batch.keeps.iter().cloned());
        for timer in &batch.timers {
            self.set((timer.charge, timer.key), timer.at);
        }
        Ok(())
    }

    fn set(&mut self, id: (ChargeId, EffectKey), at: Option<UnixMillis>) {
        if let Some(old) = self.due_at.remove(&id) {
            self.by_due.remove(&(old, id.0, id.1));
        }
        if let Some(at) = at {
            self.due_at.insert(id, at);
            self.by_due.insert((at, id.0, id.1));
        }
    }

    pub(crate) fn next_due(&self) -> Option<UnixMillis> {
        self.by_due.first().map(|due| due.0)
    }

    /// A charge's earliest timer.
    pub(crate) fn wakes_at(&self, charge: ChargeId) -> Option<UnixMillis> {
        let last = EffectKey::Webhook(tongdao_core::ids::EventId::from_bytes([0xff; 16]));
        self.due_at.range((charge, EffectKey::Expire)..=(charge, last)).map(|(_, at)| *at).min()
    }

    pub(crate) fn has_timer(&self, charge: ChargeId, key: EffectKey) -> bool {
        self.due_at.contains_key(&(charge, key))
    }
}

/// The port, for one life of the process.
pub(crate) struct SimStore(pub(crate) Arc<World>);

impl SimStore {
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Kept) -> T) -> Io<'_, Result<T, StoreError>>
    where
        T: Send + 'static,
    {
        let found = read(&self.0.lock().kept);
        Box::pin(async move { Ok(found) })
    }
}

impl Store for SimStore {
    fn commit(&self, batch: Batch, urgency: Urgency) -> Io<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let wait_ms = self.0.lock().dice.between(0, 12);
            self.0.pause_ms(wait_ms).await;
            let answer = {
                let mut inner = self.0.lock();
                inner.commit(&batch, urgency)
            };
            match answer {
                Crash::No(answer) => answer,
                Crash::Yes => std::future::pending().await,
            }
        })
    }
    fn charge(&self, id: ChargeId) -> Io<'_, Result<Option<Charge>, StoreError>> {
        self.read(|kept| kept.charges.get(&id).cloned())
    }
    fn find<'a>(&'a self, reference: &'a Reference) -> Io<'a, Result<Option<Owner>, StoreError>> {
        self.read(|kept| kept.owners.get(reference).cloned())
    }
    fn find_any<'a>(&'a self, _: &'a str) -> Io<'a, Result<Vec<ChargeId>, StoreError>> {
        self.read(|_| Vec::new())
    }
    fn events(&self, id: ChargeId, after: u64, limit: usize) -> Io<'_, Result<Vec<StoredEvent>, StoreError>> {
        self.read(|kept| {
            let found = kept.events.range((id, after + 1)..=(id, u64::MAX)).take(limit);
            found.map(|((_, seq), event)| StoredEvent { seq: *seq, event: event.clone() }).collect()
        })
    }
    fn charges<'a>(
        &'a self,
        _: Option<&'a MerchantId>,
        _: Option<ChargeId>,
        _: usize,
    ) -> Io<'a, Result<ChargePage, StoreError>> {
        self.read(|_| ChargePage::default())
    }
    fn find_break(&self, id: BreakId) -> Io<'_, Result<Option<Break>, StoreError>> {
        self.read(|kept| kept.breaks.get(&id).cloned())
    }
    fn breaks(&self, before: Option<BreakId>, limit: usize) -> Io<'_, Result<Vec<Break>, StoreError>> {
        self.read(|kept| {
            let older = kept.breaks.values().rev().filter(|breach| before.is_none_or(|before| breach.id < before));
            older.take(limit).cloned().collect()
        })
    }
    fn kept<'a>(&'a self, name: &'a str) -> Io<'a, Result<Option<Vec<u8>>, StoreError>> {
        self.read(|kept| kept.keeps.get(name).cloned())
    }
    fn due(&self, now: UnixMillis, limit: usize) -> Io<'_, Result<Vec<Due>, StoreError>> {
        self.read(|kept| {
            let due = kept.by_due.iter().take_while(|due| due.0 <= now).take(limit);
            due.map(|(at, charge, key)| Due { charge: *charge, key: *key, at: *at }).collect()
        })
    }
    fn next_due(&self) -> Io<'_, Result<Option<UnixMillis>, StoreError>> {
        self.read(Kept::next_due)
    }
    fn take_nonce<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: UnixMillis,
        _: UnixMillis,
    ) -> Io<'a, Result<bool, StoreError>> {
        self.read(|_| true)
    }
    fn queue_depth(&self) -> usize {
        0
    }
    fn space(&self) -> Option<Space> {
        None
    }
    fn close(&self) -> Io<'_, ()> {
        Box::pin(async {})
    }
}
