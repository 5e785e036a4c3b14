//! Ports that note how long they took in the request that waits for them.
//!
//! Invariant: they add nothing and change nothing; the wrapped port decides everything.

mod books;

use super::{Part, measured};
use crate::ports::{
    Batch, Break, ChargePage, Download, Downloaded, Due, Io, Operation, Outside, Owner, Reference, SendError, Space,
    Store, StoreError, StoredEvent, Urgency, WebhookAnswer, WebhookCall, WebhookError,
};
use std::sync::Arc;
use std::time::Duration;
use tongdao_core::charge::Charge;
use tongdao_core::ids::{BreakId, ChannelId, ChargeId, MerchantId};
use tongdao_core::provider::{HttpCall, HttpReply};
use tongdao_core::time::UnixMillis;

/// A store whose time is noted.
pub struct TimedStore(pub Arc<dyn Store>);

/// The network, whose time is noted.
pub struct TimedOutside(pub Arc<dyn Outside>);

fn store<'a, T: 'a>(future: Io<'a, T>) -> Io<'a, T> {
    Box::pin(measured(Part::Store, future))
}

impl Store for TimedStore {
    fn commit(&self, batch: Batch, urgency: Urgency) -> Io<'_, Result<(), StoreError>> {
        store(self.0.commit(batch, urgency))
    }

    fn charge(&self, id: ChargeId) -> Io<'_, Result<Option<Charge>, StoreError>> {
        store(self.0.charge(id))
    }

    fn find<'a>(&'a self, reference: &'a Reference) -> Io<'a, Result<Option<Owner>, StoreError>> {
        store(self.0.find(reference))
    }

    fn find_any<'a>(&'a self, number: &'a str) -> Io<'a, Result<Vec<ChargeId>, StoreError>> {
        store(self.0.find_any(number))
    }

    fn events(&self, id: ChargeId, after: u64, limit: usize) -> Io<'_, Result<Vec<StoredEvent>, StoreError>> {
        store(self.0.events(id, after, limit))
    }

    fn charges<'a>(
        &'a self,
        merchant: Option<&'a MerchantId>,
        before: Option<ChargeId>,
        limit: usize,
    ) -> Io<'a, Result<ChargePage, StoreError>> {
        store(self.0.charges(merchant, before, limit))
    }

    fn find_break(&self, id: BreakId) -> Io<'_, Result<Option<Break>, StoreError>> {
        store(self.0.find_break(id))
    }

    fn breaks(&self, before: Option<BreakId>, limit: usize) -> Io<'_, Result<Vec<Break>, StoreError>> {
        store(self.0.breaks(before, limit))
    }

    fn kept<'a>(&'a self, name: &'a str) -> Io<'a, Result<Option<Vec<u8>>, StoreError>> {
        store(self.0.kept(name))
    }

    fn due(&self, now: UnixMillis, limit: usize) -> Io<'_, Result<Vec<Due>, StoreError>> {
        store(self.0.due(now, limit))
    }

    fn next_due(&self) -> Io<'_, Result<Option<UnixMillis>, StoreError>> {
        store(self.0.next_due())
    }

    fn take_nonce<'a>(
        &'a self,
        key_id: &'a str,
        nonce: &'a str,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Io<'a, Result<bool, StoreError>> {
        store(self.0.take_nonce(key_id, nonce, until, now))
    }

    fn queue_depth(&self) -> usize {
        self.0.queue_depth()
    }

    fn space(&self) -> Option<Space> {
        self.0.space()
    }

    fn close(&self) -> Io<'_, ()> {
        self.0.close()
    }
}

impl Outside for TimedOutside {
    fn call<'a>(
        &'a self,
        channel: &'a ChannelId,
        operation: Operation,
        call: HttpCall,
        deadline: Duration,
    ) -> Io<'a, Result<HttpReply, SendError>> {
        Box::pin(measured(Part::Provider, self.0.call(channel, operation, call, deadline)))
    }

    fn download<'a>(&'a self, channel: &'a ChannelId, download: Download) -> Io<'a, Result<Downloaded, SendError>> {
        self.0.download(channel, download)
    }

    fn has_room(&self, channel: &ChannelId) -> bool {
        self.0.has_room(channel)
    }

    fn webhook(&self, call: WebhookCall) -> Io<'_, Result<WebhookAnswer, WebhookError>> {
        self.0.webhook(call)
    }
}
