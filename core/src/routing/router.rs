//! The router: what is known of each channel, what each piece of news changes, and which channel a payment gets.
//!
//! Two clocks tell how a channel is. Its answers come within milliseconds and say whether it takes orders (`health`);
//! payments come within seconds to minutes and say whether payers can pay (`conversion`). Load balancers hear only the
//! first and routers by success rate only the second; joined by fee and waiting into one value (`score`) they decide
//! together, with the room a channel has (`limiter`), what is out (`breaker`), and a little curiosity (`explore`).
//! Invariant: pure and repeatable: now and the seed are arguments, and nothing outside the offered channels is chosen.
//! It must not know merchants, payers, providers or stores: a channel is a number here, an order too.

mod breaker;
mod choose;
mod conversion;
mod delay;
mod explore;
mod health;
mod limiter;
mod number;
mod score;
mod suspicion;

pub use breaker::Standing;
pub use choose::{Choice, Reason};
pub(super) use number::{float, whole};

use crate::time::UnixMillis;
use breaker::{Breaker, Cause};
use conversion::{Alarm, Conversion};
use delay::Delays;
use health::Health;
use limiter::Limiter;
use serde::{Deserialize, Serialize};
use suspicion::{Suspicion, Verdict};

/// What the contract of a channel says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Fee in hundredths of a percent.
    pub fee_bps: f64,
    /// Fee per payment in minor units.
    pub fee_fixed: f64,
    /// Calls per second that were agreed on.
    pub contract_per_s: Option<f64>,
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

/// What is known of one channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Channel {
    terms: Terms,
    health: Health,
    limiter: Limiter,
    breaker: Breaker,
    conversion: Conversion,
    suspicion: Suspicion,
    misconfigured: u32,
}

/// The router of all channels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Router {
    margin: f64,
    channels: Vec<Channel>,
    /// How long payers take, over all channels: the shape that a channel starts with.
    delays: Delays,
    /// Tokens for second tries when nobody has room: a storm of retries must not follow an outage.
    retries: f64,
    ticked_at: UnixMillis,
}

/// How a channel is judged, for people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Share of calls accepted.
    pub accepts: f64,
    /// Share of orders paid.
    pub converts: f64,
    /// Mean wait.
    pub latency_ms: f64,
    /// Whether it is in, out, or coming back.
    pub standing: Standing,
}

impl Router {
    /// A router that knows the contracts and nothing else; `margin` is what a paid order is worth, as a share of it.
    #[must_use]
    pub fn new(terms: Vec<Terms>, margin: f64) -> Self {
        let channels = terms.into_iter().map(Channel::new).collect();
        Self { margin: margin.max(1e-6), channels, delays: Delays::new(), retries: 100.0, ticked_at: UnixMillis(0) }
    }

    /// How a channel is judged now.
    #[must_use]
    pub fn view(&self, channel: usize, now: UnixMillis) -> Option<View> {
        let channel = self.channels.get(channel)?;
        Some(View {
            accepts: channel.health.accepts(now),
            converts: channel.conversion.share(),
            latency_ms: channel.health.latency_ms(),
            standing: channel.breaker.standing(now),
        })
    }

    /// Takes note of what happened.
    pub fn apply(&mut self, input: Input, now: UnixMillis) {
        match input {
            Input::Sent { channel, probe } => self.with(channel, |c| {
                c.limiter.sent(now);
                if probe {
                    c.breaker.probed(now);
                }
            }),
            Input::Accepted { channel, order, latency_ms } => {
                self.with(channel, |c| c.accepted(order, latency_ms, now))
            }
            Input::Failed { channel, latency_ms } => self.with(channel, |c| c.failed(latency_ms, false, now)),
            Input::TimedOut { channel, latency_ms } => self.with(channel, |c| c.failed(latency_ms, true, now)),
            Input::Refused { channel } => self.with(channel, |c| {
                c.limiter.refused(now);
                c.breaker.unanswered();
            }),
            Input::Misconfigured { channel } => self.with(channel, |c| c.misconfigured(now)),
            Input::Paid { channel, order, accepted_at } => self.paid(channel, order, accepted_at, now),
            Input::Expired { channel, order } => self.with(channel, |c| c.conversion.settled(order)),
            Input::Queried { channel, order, paid } => self.with(channel, |c| {
                c.suspicion.answered(paid);
                if paid && let Some(at) = c.conversion.accepted_at(order) {
                    c.conversion.paid(order, at);
                    c.suspicion.told_by_query(now);
                    c.come_back(at, now);
                }
            }),
        }
        if let Input::Queried { channel, .. } = input {
            self.judge(channel, now);
        }
    }

    /// Moves time on, every quarter of a second: all tests run here. Gives back the orders to ask about.
    pub fn tick(&mut self, now: UnixMillis) -> Vec<(usize, u64)> {
        let passed_s = (float(now.since_ms(self.ticked_at)) / 1000.0).clamp(0.0, 10.0);
        self.retries = (self.retries + 10.0 * passed_s).min(100.0);
        self.ticked_at = now;
        let mut asked = Vec::new();
        for (place, channel) in self.channels.iter_mut().enumerate() {
            let orders = channel.tick(&self.delays, now);
            asked.extend(orders.into_iter().map(|order| (place, order)));
        }
        for channel in 0..self.channels.len() {
            self.judge(channel, now);
        }
        asked
    }

    fn with(&mut self, channel: usize, change: impl FnOnce(&mut Channel)) {
        if let Some(channel) = self.channels.get_mut(channel) {
            change(channel);
        }
    }

    fn paid(&mut self, channel: usize, order: u64, accepted_at: UnixMillis, now: UnixMillis) {
        let Some(channel) = self.channels.get_mut(channel) else { return };
        if !channel.conversion.paid(order, accepted_at) {
            return;
        }
        channel.suspicion.told_by_callback(now);
        channel.come_back(accepted_at, now);
        if !channel.suspicion.is_late() {
            let delay_ms = now.since_ms(accepted_at);
            channel.conversion.delayed(delay_ms, now);
            self.delays.note(delay_ms, now);
        }
    }

    /// A suspicion whose questions are answered becomes a verdict.
    fn judge(&mut self, channel: usize, now: UnixMillis) {
        let Some(channel) = self.channels.get_mut(channel) else { return };
        let Some((verdict, since)) = channel.suspicion.verdict(now) else { return };
        match verdict {
            Verdict::LateNews => channel.conversion.wait_for_news(),
            Verdict::Worse => {
                if channel.conversion.believe(since, now) {
                    channel.breaker.trip(Cause::Conversion, now);
                }
            }
        }
    }
}

impl Channel {
    fn new(terms: Terms) -> Self {
        Self {
            terms,
            health: Health::new(),
            limiter: Limiter::new(terms.contract_per_s),
            breaker: Breaker::new(),
            conversion: Conversion::new(),
            suspicion: Suspicion::default(),
            misconfigured: 0,
        }
    }

    fn accepted(&mut self, order: u64, latency_ms: Option<i64>, now: UnixMillis) {
        self.conversion.accepted(order, now);
        let Some(latency_ms) = latency_ms else { return };
        self.misconfigured = 0;
        self.health.accepted(latency_ms, now);
        self.limiter.answered(now);
        if self.breaker.accepted(now.plus_ms(latency_ms.saturating_neg()), now) {
            self.health.forgive(now);
        }
    }

    fn failed(&mut self, latency_ms: i64, hung: bool, now: UnixMillis) {
        self.limiter.failed();
        let sure = self.health.failed(latency_ms, self.breaker.caution(now), now);
        let sent_at = now.plus_ms(latency_ms.saturating_neg());
        self.breaker.failed(sent_at, hung);
        if sure {
            self.breaker.trip(Cause::Calls, now);
        }
    }

    /// An order was paid: a channel that was out because nobody could pay may be back.
    fn come_back(&mut self, accepted_at: UnixMillis, now: UnixMillis) {
        if self.breaker.paid(accepted_at, now) {
            self.health.forgive(now);
            self.conversion.restart(accepted_at, now);
        }
    }

    fn misconfigured(&mut self, now: UnixMillis) {
        self.limiter.failed();
        self.misconfigured = self.misconfigured.saturating_add(1);
        if self.misconfigured >= 3 {
            self.breaker.trip(Cause::Account, now);
        }
    }

    fn tick(&mut self, all: &Delays, now: UnixMillis) -> Vec<u64> {
        self.limiter.tick(self.health.is_congested(), now);
        if self.breaker.tick(now) {
            self.health.forgive(now);
            self.conversion.restart(now, now);
        }
        self.suspicion.tick(now);
        if self.suspicion.is_over() {
            self.conversion.news_is_prompt();
        }
        let caution = self.breaker.caution(now);
        let alarm = self.conversion.tick(all, (caution, self.breaker.is_out(now)), now);
        let mut asked = Vec::new();
        if let Some(Alarm { since }) = alarm
            && !self.breaker.is_out(now)
            && !self.suspicion.is_open()
        {
            let (orders, expected) = self.conversion.unpaid_since(since, now);
            self.suspicion.open(since, orders.len(), expected, now);
            asked = orders;
        }
        if self.suspicion.is_late() {
            asked.extend(self.conversion.due_for_news(now));
        }
        asked
    }
}

#[cfg(test)]
mod tests;
