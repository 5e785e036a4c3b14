//! The loops that turn due timers into flow calls, and the daemon's housekeeping.
//!
//! Invariants: each timer has one task at a time; a timer that fails stays due and is tried again after a pause, so
//! no error spins and none is forgotten (L4). Work in flight is bounded. It knows flows and the clock, no adapter.

mod pulse;
mod reconciler;
mod upkeep;

pub use pulse::pulse;
pub use reconciler::run_reconciliations;
pub use upkeep::upkeep;

use crate::flow::{Flow, FlowError};
use crate::ports::{Due, StoreError};
use crate::tasks::Tasks;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, Semaphore};
use tongdao_core::effect::EffectKey;
use tongdao_core::ids::ChargeId;
use tongdao_core::time::UnixMillis;

/// Timers at work at once; most of the time they wait for a provider or a merchant.
const AT_ONCE_MAX: usize = 256;
/// Timers read at once, beside those that are at work or rest: a slow merchant's queue hides nobody else's.
const LOOK_AHEAD: usize = 1024;
/// A timer whose flow failed rests for so long, and a millisecond more for each that is at work or rests.
const PAUSE_MS: i64 = 1000;
/// Never sleep longer without a look: a clock may have been stepped.
const LOOK_EVERY_MS: i64 = 1000;

type TimerId = (ChargeId, EffectKey);

/// What is at work (`None`) or resting until a moment.
#[derive(Default)]
struct Engaged(Mutex<BTreeMap<TimerId, Option<UnixMillis>>>);

/// Runs due timers until the tasks are told to stop; timers at work are then left to finish.
pub async fn run_timers(flow: Arc<Flow>, tasks: Tasks) {
    let worker = Worker {
        flow,
        engaged: Arc::default(),
        room: Arc::new(Semaphore::new(AT_ONCE_MAX)),
        finished: Arc::new(Notify::new()),
        tasks: tasks.clone(),
    };
    loop {
        // In order, not by lot: a run that is repeated takes the same course.
        tokio::select! {
            biased;
            () = tasks.stopped() => return,
            () = worker.round() => {}
        }
    }
}

struct Worker {
    flow: Arc<Flow>,
    engaged: Arc<Engaged>,
    room: Arc<Semaphore>,
    finished: Arc<Notify>,
    tasks: Tasks,
}

impl Worker {
    /// Starts what is due, then waits for the next moment at which something may be.
    async fn round(&self) {
        let now = self.flow.clock.now();
        let due = match self.flow.store.due(now, LOOK_AHEAD.saturating_add(self.engaged.count())).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "the due timers could not be read");
                Vec::new()
            }
        };
        let webhooks = due.iter().filter(|due| matches!(due.key, EffectKey::Webhook(_))).count();
        self.flow.metrics.webhook_queue_depth(u64::try_from(webhooks).unwrap_or(u64::MAX));
        self.engaged.sweep(&due);
        let breath_ms = breath_ms(due.len());
        for timer in due {
            self.engage(timer, now).await;
        }
        self.flow.clock.sleep_until(self.flow.clock.now().plus_ms(breath_ms)).await;
        let next = self.flow.store.next_due().await.ok().flatten();
        // What is due and not engaged rests; a look each second finds it again.
        let wake_at = next.filter(|at| *at > now).unwrap_or(now.plus_ms(LOOK_EVERY_MS)).min(now.plus_ms(LOOK_EVERY_MS));
        tokio::select! {
            biased;
            () = self.flow.timers_moved() => {}
            () = self.finished.notified() => {}
            () = self.flow.clock.sleep_until(wake_at) => {}
        }
    }

    async fn engage(&self, due: Due, now: UnixMillis) {
        let id = (due.charge, due.key);
        if !self.engaged.take(id, now) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { return };
        let (flow, engaged, finished) = (self.flow.clone(), self.engaged.clone(), self.finished.clone());
        self.tasks.spawn("timer", async move {
            // A flow that panics leaves this in place: it rests as one that failed does.
            let until = Mutex::new(Some(now.plus_ms(PAUSE_MS)));
            let release = Release { engaged: &engaged, id, finished: &finished, until };
            match flow.fire(due).await {
                Ok(()) => release.rest_until(None),
                Err(error) => {
                    report(&error, due);
                    release.rest_until(Some(flow.clock.now().plus_ms(pause_ms(engaged.count()))));
                }
            }
            drop(permit);
        });
    }
}

/// Ten thousand webhooks that wait for one slow merchant are tried a thousand times a second together, not each.
fn pause_ms(engaged: usize) -> i64 {
    PAUSE_MS.saturating_add(i64::try_from(engaged).unwrap_or(i64::MAX))
}

/// Reading a long queue takes a while; the breath behind it keeps that a small share of a processor.
fn breath_ms(due: usize) -> i64 {
    if due < LOOK_AHEAD { 0 } else { i64::try_from(due.div_euclid(100)).unwrap_or(i64::MAX) }
}

fn report(error: &FlowError, due: Due) {
    match error {
        FlowError::InProgress { .. } => {
            tracing::debug!(charge_id = %due.charge, key = ?due.key, "a timer waits for what is in progress");
        }
        FlowError::Store(StoreError::Closed) => {}
        FlowError::NotFound
        | FlowError::Refused(_)
        | FlowError::Conflict
        | FlowError::NoChannel(_)
        | FlowError::ChannelRejected(_)
        | FlowError::Store(_) => {
            tracing::error!(charge_id = %due.charge, key = ?due.key, %error, "a timer's work failed; it is tried again");
        }
    }
}

impl Engaged {
    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Forgets what rests and is not due any more.
    fn sweep(&self, due: &[Due]) {
        let due: BTreeSet<TimerId> = due.iter().map(|due| (due.charge, due.key)).collect();
        let mut engaged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        engaged.retain(|id, rests| rests.is_none() || due.contains(id));
    }

    /// Takes a timer unless it is at work or resting.
    fn take(&self, id: TimerId, now: UnixMillis) -> bool {
        let mut engaged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match engaged.get(&id) {
            Some(None) => false,
            Some(Some(until)) if now < *until => false,
            Some(Some(_)) | None => {
                engaged.insert(id, None);
                true
            }
        }
    }
}

/// Frees a timer however its task ends; one that failed or panicked rests first.
struct Release<'a> {
    engaged: &'a Engaged,
    id: TimerId,
    finished: &'a Notify,
    until: Mutex<Option<UnixMillis>>,
}

impl Release<'_> {
    fn rest_until(&self, at: Option<UnixMillis>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let mut engaged = self.engaged.0.lock().unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(_) => {
                engaged.insert(self.id, until);
            }
            None => {
                engaged.remove(&self.id);
                self.finished.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{
        Download, Downloaded, Io, Operation, Outside, SendError, WebhookAnswer, WebhookCall, WebhookError,
    };
    use crate::store::RecordStore;
    use crate::store::memory::MemoryEngine;
    use crate::testbed::Bed;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tongdao_core::ids::ChannelId;
    use tongdao_core::provider::{HttpCall, HttpReply};

    /// A network whose code has a defect.
    #[derive(Default)]
    struct Defective(AtomicUsize);

    impl Outside for Defective {
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
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("a defect, for the test")
        }
    }

    #[tokio::test]
    async fn a_timer_whose_flow_panics_rests_before_it_is_tried_again() {
        let outside = Arc::new(Defective::default());
        let store = Arc::new(RecordStore::new(MemoryEngine::new()));
        let bed = Bed::start_on(&[], store, outside.clone()).await;
        bed.paid("N1").await;
        let tasks = Tasks::new();
        tasks.spawn("timers", run_timers(bed.flow.clone(), tasks.clone()));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(tasks.stop(Duration::from_secs(1)).await);
        assert_eq!(outside.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_crowd_of_timers_is_tried_a_thousand_times_a_second_however_large_it_is() {
        for crowd in [0_usize, 256, 10_000, 1_000_000] {
            let tries_a_second = i64::try_from(crowd).unwrap() * 1000 / pause_ms(crowd);
            assert!(tries_a_second <= 1000, "{crowd}: {tries_a_second}");
        }
    }

    #[test]
    fn a_short_queue_is_looked_at_without_a_breath_and_a_long_one_with_its_share() {
        assert_eq!((breath_ms(0), breath_ms(LOOK_AHEAD - 1)), (0, 0));
        assert_eq!((breath_ms(LOOK_AHEAD), breath_ms(100_000)), (10, 1000));
    }
}
