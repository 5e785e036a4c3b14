//! The loop that gives every channel's day its turn: by the providers' hours, and when a person asks.
//!
//! Invariants: a day whose run fails is put down again by the flow or found again by the next look; a stop drops the
//! runs where they stand, because they are begun again from what is stored. It knows flows and the clock.

use crate::flow::Flow;
use crate::tasks::Tasks;
use std::sync::Arc;

/// Between two looks for days that became due.
const LOOK_EVERY_MS: i64 = 30_000;
/// Until the store answers again.
const PAUSE_MS: i64 = 1_000;

/// Runs reconciliations until the tasks are told to stop.
pub async fn run_reconciliations(flow: Arc<Flow>, tasks: Tasks) {
    while let Err(error) = flow.resume_reconciliations().await {
        tracing::error!(%error, "the reconciliations that were begun could not be read");
        tokio::select! {
            () = tasks.stopped() => return,
            () = flow.clock.sleep_until(flow.clock.now().plus_ms(PAUSE_MS)) => {}
        }
    }
    loop {
        if let Err(error) = flow.plan_reconciliations().await {
            tracing::error!(%error, "the days to reconcile could not be looked up");
        }
        start_due(&flow, &tasks);
        let look_at = flow.clock.now().plus_ms(LOOK_EVERY_MS);
        let wake_at = flow.next_reconciliation_at().map_or(look_at, |at| at.min(look_at));
        tokio::select! {
            () = tasks.stopped() => return,
            () = flow.reconciliations_moved() => {}
            () = flow.clock.sleep_until(wake_at) => {}
        }
    }
}

fn start_due(flow: &Arc<Flow>, tasks: &Tasks) {
    while let Some(turn) = flow.take_reconciliation() {
        let (flow, stopping) = (flow.clone(), tasks.clone());
        tasks.spawn("reconciliation", async move {
            tokio::select! {
                () = stopping.stopped() => {}
                () = flow.reconcile(turn) => {}
            }
        });
    }
}
