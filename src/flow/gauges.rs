//! Brings the gauges up to date: what Prometheus and the console read of the present moment.
//!
//! Nothing here decides anything; it copies what the board and the channels know.

use super::{Flow, Wanted};
use crate::config::Channel;
use crate::metrics::Limit;
use std::sync::atomic::Ordering;
use tongdao_core::charge::Stage;
use tongdao_core::effect::BreakKind;
use tongdao_core::money::Money;
use tongdao_core::provider::{Payer, Scene};
use tongdao_core::routing::Seen;

impl Flow {
    /// Brings the gauges up to date.
    pub fn refresh_gauges(&self) {
        let (metrics, board, now) = (&self.metrics, self.board(), self.clock.now());
        metrics.oldest_undelivered(board.oldest_undelivered().map(|(at, _)| at));
        for stage in Stage::ALL {
            metrics.charges_open(stage, u64::try_from(board.count(stage)).unwrap_or(0));
        }
        self.refresh_breaks();
        self.refresh_space();
        let config = self.config();
        self.refresh_overrides(&config);
        for channel in &config.channels {
            let view = self.channels().view(&channel.id, now);
            metrics.channel_state(&channel.id, self.channel_state(&channel.id));
            metrics.refunds_stuck(&channel.id, board.stuck_refunds(&channel.id));
            metrics.open_breaks(
                &channel.id,
                &board.open_breaks().count_of(&channel.id),
                board.open_breaks().oldest_of(&channel.id),
            );
            metrics.oldest_unknown_attempt(&channel.id, board.oldest_unknown(&channel.id));
            if let Some(seen) = self.seen(channel) {
                metrics.channel_fitness(&channel.id, seen.score, seen.health);
            }
            if let Some(max) = channel.daily_limit.amount {
                metrics.limit_used(&channel.id, Limit::DayAmount, ratio(view.day_amount, max));
            }
            if let Some(max) = channel.daily_limit.count {
                metrics.limit_used(&channel.id, Limit::DayCount, ratio(view.day_count, max));
            }
        }
    }

    fn refresh_breaks(&self) {
        let amounts = self.board().open_breaks().amounts();
        for kind in BreakKind::ALL {
            self.metrics.open_break_amount(kind, amounts.get(&kind).copied().unwrap_or_default());
        }
    }

    fn refresh_space(&self) {
        let Some(space) = self.store.space() else { return };
        self.metrics.disk_free(space.free_bytes);
        self.metrics.store_size(space.store_bytes);
        let was = self.disk_scarce.swap(space.is_scarce(), Ordering::Relaxed);
        if space.is_scarce() && !was {
            tracing::error!(free_bytes = space.free_bytes, "the disk is nearly full: new charges are refused");
        }
    }

    /// A channel as the router sees it now, for the smallest sum that it takes in its first scene and a payer who can
    /// pay any way.
    #[must_use]
    pub fn seen(&self, channel: &Channel) -> Option<Seen> {
        let wanted = Wanted {
            amount: Money::cny(channel.amount.min),
            scene: channel.scenes.first().copied().unwrap_or(Scene::Qr),
            payer: &Payer::default(),
            merchant: None,
            pin: None,
            provider: None,
            tried: &[],
        };
        self.decide(&wanted).candidates.into_iter().find(|seen| seen.channel == channel.id)
    }
}

/// The used share in ten-thousandths, which is as exact as a gauge needs to be.
fn ratio(used: i64, max: i64) -> f64 {
    let parts = used.saturating_mul(10_000).checked_div(max).unwrap_or(10_000);
    f64::from(i32::try_from(parts).unwrap_or(i32::MAX)) / 10_000.0
}
