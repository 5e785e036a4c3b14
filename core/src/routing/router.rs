//! The router: what is known of each channel, what each piece of news changes, and which channel a payment gets.
//!
//! Two clocks tell how a channel is. Its answers come within milliseconds and say whether it takes orders (`health`);
//! payments come within seconds to minutes and say whether payers can pay (`conversion`). Load balancers hear only the
//! first and routers by success rate only the second; joined by fee and waiting into one value (`score`) they decide
//! together, with the room a channel has (`limiter`), what is out (`breaker`), and a little curiosity (`explore`).
//! Invariant: pure and repeatable: now and the seed are arguments, and nothing outside the offered channels is chosen.
//! It must not know merchants, payers, providers or stores: a channel is a number here, an order too.

mod breaker;
mod change;
mod channel;
mod choose;
mod conversion;
mod delay;
mod explain;
mod explore;
mod health;
mod input;
mod limiter;
mod memory;
mod number;
mod one_cause;
mod score;
mod suspicion;

pub use breaker::{Cause, Standing};
pub use change::Change;
pub use choose::{CHANNELS_MAX, Choice, Reason};
pub use explain::{Explained, Offered};
pub use input::{Ask, Input, Terms};
pub use memory::Memory;
pub(super) use number::{float, whole};

use crate::time::UnixMillis;
use change::Changes;
use channel::{Channel, Doubt};
use delay::Delays;
use one_cause::OneCause;
use suspicion::Verdict;

/// The router of all channels.
#[derive(Debug, Clone)]
pub struct Router {
    margin: f64,
    /// Whether a few payments go where nobody looked for a while.
    explores: bool,
    channels: Vec<Channel>,
    /// How long payers take, over all channels: the shape that a channel starts with.
    delays: Delays,
    /// Tokens for second tries when nobody has room: a storm of retries must not follow an outage.
    retries: f64,
    ticked_at: UnixMillis,
    one_cause: OneCause,
    changes: Changes,
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
    /// Why it is out or was, unless it is in.
    pub cause: Option<Cause>,
    /// Its callbacks are late: orders are asked about instead.
    pub news_is_late: bool,
}

impl Router {
    /// A router that knows the contracts and nothing else; `margin` is what a paid order is worth, as a share of it.
    #[must_use]
    pub fn new(terms: Vec<Terms>, margin: f64) -> Self {
        let channels = terms.into_iter().take(CHANNELS_MAX).map(Channel::new).collect();
        Self {
            margin: margin.max(1e-6),
            explores: true,
            channels,
            delays: Delays::new(),
            retries: 100.0,
            ticked_at: UnixMillis(0),
            one_cause: OneCause::default(),
            changes: Changes::default(),
        }
    }

    /// What a paid order is worth, as a share of it, and whether a few payments explore: the configuration changed.
    pub const fn configure(&mut self, margin: f64, explores: bool) {
        self.margin = margin.max(1e-6);
        self.explores = explores;
    }

    /// Adds a channel and gives back its place, which never changes; none when there are `CHANNELS_MAX` already.
    /// A channel that left the configuration keeps its place and is simply not offered any more.
    pub fn add(&mut self, terms: Terms) -> Option<usize> {
        let place = self.channels.len();
        (place < CHANNELS_MAX).then(|| self.channels.push(Channel::new(terms)))?;
        Some(place)
    }

    /// The contract or the configuration of a channel changed; what is known of it stays.
    pub fn set_terms(&mut self, channel: usize, terms: Terms) {
        if let Some(channel) = self.channels.get_mut(channel) {
            channel.set_terms(terms);
        }
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
            cause: channel.breaker.cause(),
            news_is_late: channel.suspicion.is_late(),
        })
    }

    /// Whether all channels in use went out within seconds: the fault is likely ours, and nothing is taken out for it.
    #[must_use]
    pub fn is_it_us(&self, now: UnixMillis) -> bool {
        self.one_cause.holds(now)
    }

    /// The changes of standing since this was asked last, oldest first.
    pub fn changes(&mut self) -> Vec<Change> {
        self.changes.take()
    }

    /// Takes note of what happened.
    pub fn apply(&mut self, input: Input, now: UnixMillis) {
        match input {
            Input::Sent { channel, probe } => self.with(channel, now, |c| c.sent(probe, now)),
            Input::Accepted { channel, order, latency_ms } => {
                if latency_ms.is_some() {
                    self.one_cause.accepted();
                }
                self.with(channel, now, |c| c.accepted(order, latency_ms, now));
            }
            Input::Failed { channel, latency_ms } => {
                let doubt = self.with(channel, now, |c| c.failed(latency_ms, false, now));
                self.believe(channel, doubt, now);
            }
            Input::TimedOut { channel, latency_ms } => {
                let doubt = self.with(channel, now, |c| c.failed(latency_ms, true, now));
                self.believe(channel, doubt, now);
            }
            Input::Refused { channel } => self.with(channel, now, |c| c.refused(now)),
            Input::Void { channel } => self.with(channel, now, Channel::void),
            Input::Misconfigured { channel } => {
                let doubt = self.with(channel, now, Channel::misconfigured);
                self.believe(channel, doubt, now);
            }
            Input::Paid { channel, order, accepted_at } => self.paid(channel, order, accepted_at, now),
            Input::Expired { channel, order } => self.with(channel, now, |c| c.conversion.settled(order)),
            Input::Queried { channel, order, paid } => {
                self.with(channel, now, |c| c.queried(order, paid, now));
                self.judge(channel, now);
            }
        }
    }

    /// Moves time on, every quarter of a second: all tests run here. Gives back the orders to ask about.
    pub fn tick(&mut self, now: UnixMillis) -> Vec<(usize, u64)> {
        let passed_s = (float(now.since_ms(self.ticked_at)) / 1000.0).clamp(0.0, 10.0);
        self.retries = (self.retries + 10.0 * passed_s).min(100.0);
        self.ticked_at = now;
        let mut asked = Vec::new();
        let delays = std::mem::replace(&mut self.delays, Delays::empty());
        for place in 0..self.channels.len() {
            let orders = self.with(place, now, |channel| channel.tick(&delays, now));
            asked.extend(orders.into_iter().map(|order| (place, order)));
        }
        self.delays = delays;
        for channel in 0..self.channels.len() {
            self.judge(channel, now);
        }
        asked
    }

    /// Changes a channel and takes note when its standing changes by it.
    fn with<T: Default>(&mut self, place: usize, now: UnixMillis, change: impl FnOnce(&mut Channel) -> T) -> T {
        let Some(channel) = self.channels.get_mut(place) else { return T::default() };
        let (from, before) = (channel.breaker.phase(), channel.breaker.cause());
        let came_of_it = change(channel);
        let to = channel.breaker.phase();
        if from != to
            && let Some(cause) = channel.breaker.cause().or(before)
        {
            self.changes.note(Change { channel: place, at: now, from, to, cause });
        }
        came_of_it
    }

    fn paid(&mut self, channel: usize, order: u64, accepted_at: UnixMillis, now: UnixMillis) {
        if let Some(delay_ms) = self.with(channel, now, |c| c.paid(order, accepted_at, now)) {
            self.delays.note(delay_ms, now);
        }
    }

    /// A suspicion whose questions are answered becomes a verdict.
    fn judge(&mut self, channel: usize, now: UnixMillis) {
        self.with(channel, now, |channel| match channel.suspicion.verdict(now) {
            Some((Verdict::LateNews, _)) => channel.conversion.wait_for_news(),
            Some((Verdict::Worse, since)) if channel.conversion.believe(since, now) => {
                channel.breaker.trip(Cause::Conversion, now);
            }
            Some((Verdict::Worse, _)) | None => {}
        });
    }

    /// What failures showed: a channel is out, unless it is us; its provider's other accounts are watched closely.
    fn believe(&mut self, place: usize, doubt: Doubt, now: UnixMillis) {
        self.one_cause.failed(now);
        let cause = match doubt {
            Doubt::None => return,
            Doubt::Calls => Cause::Calls,
            Doubt::Account => Cause::Account,
        };
        if self.is_it_us(now) {
            return;
        }
        self.with(place, now, |channel| channel.breaker.trip(cause, now));
        if self.all_are_out_at_once(now) {
            self.one_cause.begin(now);
            for place in 0..self.channels.len() {
                self.with(place, now, |channel| channel.let_in(now));
            }
        } else if cause == Cause::Calls {
            let provider = self.channels.get(place).map(|channel| channel.terms.provider);
            let siblings = self.channels.iter_mut().filter(|channel| Some(channel.terms.provider) == provider);
            siblings.for_each(|channel| channel.breaker.be_wary(now));
        }
    }

    /// Every channel that was offered lately is out, and two providers' went out within the last seconds.
    fn all_are_out_at_once(&self, now: UnixMillis) -> bool {
        let lately = |channel: &&Channel| now.since_ms(channel.offered_at) <= one_cause::WINDOW_MS;
        let offered = || self.channels.iter().filter(lately);
        let mut providers = offered().filter(|c| c.breaker.tripped_since(now.plus_ms(-one_cause::WINDOW_MS)));
        let Some(one) = providers.next().map(|channel| channel.terms.provider) else { return false };
        providers.any(|channel| channel.terms.provider != one) && offered().all(|channel| channel.breaker.is_out(now))
    }
}

#[cfg(test)]
mod tests;
