//! Housekeeping: fresh keys, channel knowledge kept, gauges up to date.
//!
//! Nothing here decides about money; if it stops for a while, only knowledge ages.

use crate::flow::Flow;
use crate::tasks::Tasks;
use std::sync::Arc;

const EVERY_MS: i64 = 1000;
/// Nothing is written while nothing happens.
const SAVE_EVERY: u64 = 5;
const KEYS_EVERY: u64 = 60;

/// Runs the housekeeping until the tasks are told to stop.
pub async fn upkeep(flow: Arc<Flow>, tasks: Tasks) {
    let mut rounds: u64 = 0;
    loop {
        flow.refresh_gauges();
        if rounds.is_multiple_of(KEYS_EVERY) {
            tokio::select! {
                () = tasks.stopped() => return,
                () = flow.refresh_all_keys() => {}
            }
        }
        if rounds % SAVE_EVERY == SAVE_EVERY - 1 {
            save(&flow).await;
        }
        rounds = rounds.wrapping_add(1);
        tokio::select! {
            () = tasks.stopped() => return save(&flow).await,
            () = flow.clock.sleep_until(flow.clock.now().plus_ms(EVERY_MS)) => {}
        }
    }
}

async fn save(flow: &Flow) {
    if let Err(error) = flow.channels().save(flow.store(), flow.clock.now()).await {
        tracing::warn!(%error, "what is known of the channels could not be kept");
    }
}
