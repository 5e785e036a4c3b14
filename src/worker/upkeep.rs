//! Housekeeping: fresh keys, channel knowledge kept, gauges up to date.
//!
//! Nothing here decides about money; if it stops for a while, only knowledge ages.

use crate::flow::Flow;
use crate::metrics::Limit;
use crate::tasks::Tasks;
use std::sync::Arc;
use tongdao_core::charge::Stage;

const EVERY_MS: i64 = 1000;
const SAVE_EVERY: u64 = 10;
const KEYS_EVERY: u64 = 60;

/// Runs the housekeeping until the tasks are told to stop.
pub async fn upkeep(flow: Arc<Flow>, tasks: Tasks) {
    let mut rounds: u64 = 0;
    loop {
        refresh_gauges(&flow);
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
    if let Err(error) = flow.channels().save(flow.store()).await {
        tracing::warn!(%error, "what is known of the channels could not be kept");
    }
}

/// Brings the gauges up to date; the metrics page calls it too.
pub fn refresh_gauges(flow: &Flow) {
    let (metrics, board, now) = (&flow.metrics, flow.board(), flow.clock.now());
    metrics.oldest_undelivered(board.oldest_undelivered().map(|(at, _)| at));
    for stage in Stage::ALL {
        metrics.charges_open(stage, u64::try_from(board.count(stage)).unwrap_or(0));
    }
    for channel in &flow.config().channels {
        let view = flow.channels().view(&channel.id, now);
        metrics.channel_state(&channel.id, flow.channel_state(&channel.id));
        metrics.oldest_unknown_attempt(&channel.id, board.oldest_unknown(&channel.id));
        if let Some(max) = channel.daily_limit.amount {
            metrics.limit_used(&channel.id, Limit::DayAmount, ratio(view.day_amount, max));
        }
        if let Some(max) = channel.daily_limit.count {
            metrics.limit_used(&channel.id, Limit::DayCount, ratio(view.day_count, max));
        }
    }
}

/// The used share in ten-thousandths, which is as exact as a gauge needs to be.
fn ratio(used: i64, max: i64) -> f64 {
    let parts = used.saturating_mul(10_000).checked_div(max).unwrap_or(10_000);
    f64::from(i32::try_from(parts).unwrap_or(i32::MAX)) / 10_000.0
}
