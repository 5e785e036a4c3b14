//! What a router is asked, what it is told, and what the contracts say.
//!
//! Invariant: plain values, nothing is decided here. A channel is a place in the router's list, an order a number of the
//! caller's; who stands behind them is not known.

use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// What the contract of a channel says, and the configuration of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Fee in hundredths of a percent.
    pub fee_bps: f64,
    /// Fee per payment in minor units.
    pub fee_fixed: f64,
    /// Calls per second that were agreed on.
    pub contract_per_s: Option<f64>,
    /// A number for the provider: what befalls one of its accounts may befall the others.
    pub provider: u16,
    /// The place in the configured order, 0 first: it decides where channels without room are alike. It decides no more:
    /// going by it while little is known earned less than going by fee and doubt (0.4 of net value on thin traffic).
    pub rank: u16,
}

/// A payment that wants a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ask {
    /// Minor units.
    pub amount: i64,
    /// The channels that may be chosen, a bit each.
    pub open: u64,
    /// Those of them that the payer would rather use, a bit each.
    pub preferred: u64,
    /// Those of them that the payer paid with last time, a bit each.
    pub last_used: u64,
    /// The call itself takes the money: a time-out leaves it unknown whether it did.
    pub direct: bool,
    /// No other channel was tried for this payment yet.
    pub first: bool,
}

/// What happened to a call or an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A call leaves for a channel. Counted now and not at its answer, so that many at once see each other.
    Sent {
        /// The channel.
        channel: usize,
        /// It was chosen to show whether the channel is well again.
        probe: bool,
    },
    /// The order exists at the provider and can be paid.
    Accepted {
        /// The channel.
        channel: usize,
        /// A number for the order.
        order: u64,
        /// How long the call took; none when there was no call or a query found the order.
        latency_ms: Option<i64>,
    },
    /// A definite failure: nothing happened there.
    Failed {
        /// The channel.
        channel: usize,
        /// How long the call took.
        latency_ms: i64,
    },
    /// No answer in time.
    TimedOut {
        /// The channel.
        channel: usize,
        /// How long was waited.
        latency_ms: i64,
    },
    /// Too many calls.
    Refused {
        /// The channel.
        channel: usize,
    },
    /// Our account there is wrong.
    Misconfigured {
        /// The channel.
        channel: usize,
    },
    /// The call ended, or was never made, and says nothing about the channel: the fault is ours or the payer's.
    Void {
        /// The channel.
        channel: usize,
    },
    /// The order was paid, as a callback or a regular query says.
    Paid {
        /// The channel.
        channel: usize,
        /// The order.
        order: u64,
        /// When the order was accepted.
        accepted_at: UnixMillis,
    },
    /// The order will not be paid.
    Expired {
        /// The channel.
        channel: usize,
        /// The order.
        order: u64,
    },
    /// The answer to a question that `tick` asked.
    Queried {
        /// The channel.
        channel: usize,
        /// The order.
        order: u64,
        /// Whether it is paid.
        paid: bool,
    },
}
