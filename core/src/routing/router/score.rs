//! What a payment is worth on a channel, in one unit: the share of its margin that is left.
//!
//! Why one unit: accepting, converting, waiting and fee pull in different directions, and a weight on each would have
//! to be guessed anew for every platform. A failure that is definite costs its delay and not the payment, because the
//! next channel may take it: a channel that fails one call in ten but converts better is still worth trying first.
//! Left out: the fee 0.5 of net value (6 where fees differ), the waiting 0.1 and the slowest hundredth.

use super::number::float;
use super::{Ask, Channel, Terms};
use crate::time::UnixMillis;

const LEAVING_PER_MS: f64 = 0.08 / 1_000.0;
const PATIENCE_MS: f64 = 500.0;
const FAILOVER_SHARE: f64 = 0.98;
const FAILOVER_COST: f64 = 0.005;

/// The value of one channel for one payment, and what it is made of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Value {
    pub(super) accepts: f64,
    /// If the call is accepted.
    pub(super) accepted: f64,
    /// All in all.
    pub(super) total: f64,
    failover: f64,
}

impl Terms {
    /// The fee of a payment as a share of its margin.
    pub(super) fn fee_share(&self, amount: i64, margin: f64) -> f64 {
        (self.fee_bps * 1e-4 + self.fee_fixed / float(amount).max(1.0)) / margin
    }
}

/// The value before second tries are thought of.
pub(super) fn of_first_try(channel: &Channel, margin: f64, ask: &Ask, now: UnixMillis) -> Value {
    let accepts = channel.health.accepts(now);
    let over_ms = (channel.health.latency_ms() - PATIENCE_MS).max(0.0);
    let stays = if over_ms > 0.0 { (-LEAVING_PER_MS * over_ms).exp() } else { 1.0 };
    let accepted = channel.conversion.share() * stays * (1.0 - channel.terms.fee_share(ask.amount, margin));
    let failover = FAILOVER_SHARE * (-LEAVING_PER_MS * channel.health.failure_ms()).exp();
    Value { accepts, accepted, total: accepts * accepted, failover }
}

/// Adds what a failure there would still be worth elsewhere.
pub(super) fn with_second_try(value: &mut Value, best_elsewhere: f64) {
    value.total += (1.0 - value.accepts) * (value.failover * best_elsewhere - FAILOVER_COST).max(0.0);
}
