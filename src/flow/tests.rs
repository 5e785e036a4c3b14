//! Flows on a store that does something between two lines: another change, or a refusal.

use super::{AskedRefund, FlowError};
use crate::ports::{
    Batch, BookReads, Break, ChargePage, DayEntry, Download, Downloaded, Due, Io, OpenLine, Operation, Outside, Owner,
    Reconciliation, Reference, SendError, Space, Store, StoreError, StoredEvent, Stray, Urgency, WebhookAnswer,
    WebhookCall, WebhookError,
};
use crate::store::RecordStore;
use crate::store::memory::MemoryEngine;
use crate::testbed::{Bed, Nowhere};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tongdao_core::charge::{Charge, Refused, Stage};
use tongdao_core::day::Day;
use tongdao_core::delivery::Report;
use tongdao_core::effect::{BreakKind, EffectKey};
use tongdao_core::ids::{BreakId, ChannelId, ChargeId, MerchantId, ReconciliationId};
use tongdao_core::provider::{HttpCall, HttpReply, LineKind, RefundNotice, RefundOutcome};
use tongdao_core::reconcile::{BookedLine, Entry, LineKey};
use tongdao_core::time::UnixMillis;

/// A store that is interrupted.
struct Interrupted {
    inner: Arc<dyn Store>,
    /// Happens once, after a charge was read and before its reader sees it.
    after_read: Mutex<Option<Io<'static, ()>>>,
    /// So many commits are turned away.
    overloaded: AtomicUsize,
}

impl Interrupted {
    fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, after_read: Mutex::default(), overloaded: AtomicUsize::new(0) })
    }
}

impl BookReads for Interrupted {
    fn entries_named<'a>(
        &'a self,
        channel: &'a ChannelId,
        names: &'a [(LineKind, String)],
    ) -> Io<'a, Result<Vec<Option<Entry>>, StoreError>> {
        self.inner.entries_named(channel, names)
    }
    fn entries<'a>(
        &'a self,
        channel: &'a ChannelId,
        day: Day,
        after: Option<(LineKind, String)>,
        limit: usize,
    ) -> Io<'a, Result<Vec<DayEntry>, StoreError>> {
        self.inner.entries(channel, day, after, limit)
    }
    fn strays<'a>(
        &'a self,
        channel: &'a ChannelId,
        entry_day: Day,
        after: Option<(LineKind, String)>,
        limit: usize,
    ) -> Io<'a, Result<Vec<Stray>, StoreError>> {
        self.inner.strays(channel, entry_day, after, limit)
    }
    fn lines_named<'a>(
        &'a self,
        id: ReconciliationId,
        keys: &'a [LineKey],
    ) -> Io<'a, Result<Vec<Option<BookedLine>>, StoreError>> {
        self.inner.lines_named(id, keys)
    }
    fn lines(
        &self,
        id: ReconciliationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Io<'_, Result<Vec<BookedLine>, StoreError>> {
        self.inner.lines(id, after, limit)
    }
    fn open_lines(
        &self,
        id: ReconciliationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Io<'_, Result<Vec<OpenLine>, StoreError>> {
        self.inner.open_lines(id, after, limit)
    }
    fn reconciliation(&self, id: ReconciliationId) -> Io<'_, Result<Option<Reconciliation>, StoreError>> {
        self.inner.reconciliation(id)
    }
    fn reconciliations<'a>(
        &'a self,
        channel: Option<&'a ChannelId>,
        before: Option<ReconciliationId>,
        limit: usize,
    ) -> Io<'a, Result<Vec<Reconciliation>, StoreError>> {
        self.inner.reconciliations(channel, before, limit)
    }
}

impl Store for Interrupted {
    fn commit(&self, batch: Batch, urgency: Urgency) -> Io<'_, Result<(), StoreError>> {
        let turned_away = self.overloaded.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if turned_away.is_ok() {
            return Box::pin(async { Err(StoreError::Overloaded) });
        }
        self.inner.commit(batch, urgency)
    }
    fn charge(&self, id: ChargeId) -> Io<'_, Result<Option<Charge>, StoreError>> {
        Box::pin(async move {
            let read = self.inner.charge(id).await;
            let meanwhile = self.after_read.lock().unwrap().take();
            if let Some(meanwhile) = meanwhile {
                meanwhile.await;
            }
            read
        })
    }
    fn find<'a>(&'a self, reference: &'a Reference) -> Io<'a, Result<Option<Owner>, StoreError>> {
        self.inner.find(reference)
    }
    fn find_any<'a>(&'a self, number: &'a str) -> Io<'a, Result<Vec<ChargeId>, StoreError>> {
        self.inner.find_any(number)
    }
    fn events(&self, id: ChargeId, after: u64, limit: usize) -> Io<'_, Result<Vec<StoredEvent>, StoreError>> {
        self.inner.events(id, after, limit)
    }
    fn charges<'a>(
        &'a self,
        merchant: Option<&'a MerchantId>,
        before: Option<ChargeId>,
        limit: usize,
    ) -> Io<'a, Result<ChargePage, StoreError>> {
        self.inner.charges(merchant, before, limit)
    }
    fn find_break(&self, id: BreakId) -> Io<'_, Result<Option<Break>, StoreError>> {
        self.inner.find_break(id)
    }
    fn breaks(&self, before: Option<BreakId>, limit: usize) -> Io<'_, Result<Vec<Break>, StoreError>> {
        self.inner.breaks(before, limit)
    }
    fn kept<'a>(&'a self, name: &'a str) -> Io<'a, Result<Option<Vec<u8>>, StoreError>> {
        self.inner.kept(name)
    }
    fn due(&self, now: UnixMillis, limit: usize) -> Io<'_, Result<Vec<Due>, StoreError>> {
        self.inner.due(now, limit)
    }
    fn next_due(&self) -> Io<'_, Result<Option<UnixMillis>, StoreError>> {
        self.inner.next_due()
    }
    fn take_nonce<'a>(
        &'a self,
        key_id: &'a str,
        nonce: &'a str,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Io<'a, Result<bool, StoreError>> {
        self.inner.take_nonce(key_id, nonce, until, now)
    }
    fn queue_depth(&self) -> usize {
        self.inner.queue_depth()
    }
    fn space(&self) -> Option<Space> {
        self.inner.space()
    }
    fn close(&self) -> Io<'_, ()> {
        self.inner.close()
    }
}

/// A merchant that takes a webhook and never answers.
struct Silent;

impl Outside for Silent {
    fn call<'a>(
        &'a self,
        _: &'a ChannelId,
        _: Operation,
        _: HttpCall,
        _: Duration,
    ) -> Io<'a, Result<HttpReply, SendError>> {
        Box::pin(async { Err(SendError::NotSent("no network".to_owned())) })
    }
    fn download<'a>(&'a self, _: &'a ChannelId, _: Download) -> Io<'a, Result<Downloaded, SendError>> {
        Box::pin(async { Err(SendError::NotSent("no network".to_owned())) })
    }

    fn has_room(&self, _: &ChannelId) -> bool {
        true
    }
    fn webhook(&self, _: WebhookCall) -> Io<'_, Result<WebhookAnswer, WebhookError>> {
        Box::pin(async { Err(WebhookError::Timeout) })
    }
}

fn memory() -> Arc<dyn Store> {
    Arc::new(RecordStore::new(MemoryEngine::new()))
}

fn whole_refund(charge: ChargeId) -> AskedRefund {
    AskedRefund {
        charge,
        refund_no: "R1".to_owned(),
        amount: 1999,
        reason: "no goods".to_owned(),
        request_hash: "h".to_owned(),
    }
}

#[tokio::test]
async fn a_merchant_is_never_told_to_hand_over_when_the_fence_was_set_meanwhile() {
    let inner = memory();
    let store = Interrupted::new(inner.clone());
    let bed = Bed::start_on(&[], store.clone(), Arc::new(Nowhere)).await;
    let other = Bed::start_on(&[], inner, Arc::new(Nowhere)).await;
    let id = bed.paid("N1").await.id;
    let fence = async move { drop(other.flow.open_refund(whole_refund(id)).await.unwrap()) };
    *store.after_read.lock().unwrap() = Some(Box::pin(fence));
    let told = bed.flow.report_delivery(id, Report::Delivered(None)).await;
    assert_eq!(told.unwrap_err(), FlowError::Refused(Refused::DeliveryFenced));
    let charge = bed.flow.charge(id).await.unwrap();
    assert!(charge.delivery.fenced && charge.breaks.iter().any(|(kind, _)| kind.as_str() == "delivered_after_refund"));
}

#[tokio::test]
async fn a_try_that_may_have_delivered_stays_a_doubt_when_the_store_turns_its_answer_away() {
    let store = Interrupted::new(memory());
    let bed = Bed::start_on(&[], store.clone(), Arc::new(Silent)).await;
    let charge = bed.paid("N1").await;
    let event = charge.delivery.event.unwrap();
    store.overloaded.store(2, Ordering::SeqCst);
    let due = Due { charge: charge.id, key: EffectKey::Webhook(event), at: bed.flow.clock.now() };
    bed.flow.fire(due).await.unwrap();
    let charge = bed.flow.charge(charge.id).await.unwrap();
    assert!(charge.delivery.doubt && charge.delivery.tries == 1, "{:?}", charge.delivery);
}

#[tokio::test]
async fn money_that_others_sent_back_is_a_break_of_its_charge_once() {
    let bed = Bed::start(&[]).await;
    let charge = bed.paid("N1").await;
    let attempt = charge.attempts.last().unwrap();
    let channel = bed.flow.channel(&attempt.channel).unwrap();
    let notice = RefundNotice {
        provider_refund_no: "MADE-AT-THE-PROVIDER".to_owned(),
        provider_order_no: Some(attempt.provider_order_no.clone()),
        amount: None,
        outcome: RefundOutcome::Pending,
    };
    for _ in 0..2 {
        bed.flow.refund_noticed(&channel, &notice, b"{}".to_vec()).await.unwrap();
    }
    let charge = bed.flow.charge(charge.id).await.unwrap();
    assert_eq!(charge.stage(), Stage::Attention);
    let breaks = bed.flow.store().breaks(None, 10).await.unwrap();
    let kinds: Vec<_> = breaks.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [BreakKind::RefundDiffers]);
}

#[tokio::test]
async fn a_charge_that_waits_for_a_person_is_on_the_board_after_a_restart() {
    let store = memory();
    let bed = Bed::start_on(&[], store.clone(), Arc::new(Nowhere)).await;
    let charge = bed.paid("N1").await;
    bed.flow.report_delivery(charge.id, Report::Failed(None)).await.unwrap();
    let due = store.due(UnixMillis(i64::MAX), 10).await.unwrap();
    assert!(due.iter().all(|due| due.charge != charge.id), "nothing wakes it: {due:?}");
    let restarted = Bed::start_on(&[], store, Arc::new(Nowhere)).await;
    let board = restarted.flow.board();
    assert_eq!(board.oldest_undelivered(), charge.paid_at.map(|at| (at, charge.id)));
    assert_eq!(board.count(Stage::Attention), 1);
}
