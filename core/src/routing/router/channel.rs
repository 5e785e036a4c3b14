//! One channel: what each piece of news does to what is known of it.
//!
//! Invariant: each signal feeds only the parts it speaks of: a refusal the limiter, an answer the health, a payment the
//! conversion. What all channels together show is not known here.

use super::breaker::Breaker;
use super::conversion::{Alarm, Conversion};
use super::delay::Delays;
use super::health::Health;
use super::input::Terms;
use super::limiter::Limiter;
use super::one_cause::WINDOW_MS;
use super::suspicion::Suspicion;
use crate::time::UnixMillis;

/// Accounts that answer "misconfigured" this often in a row are out.
const MISCONFIGURED_MAX: u32 = 3;

/// What is known of one channel.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) terms: Terms,
    pub(super) health: Health,
    pub(super) limiter: Limiter,
    pub(super) breaker: Breaker,
    pub(super) conversion: Conversion,
    pub(super) suspicion: Suspicion,
    pub(super) misconfigured: u32,
    /// When it was among the channels of a choice.
    pub(super) offered_at: UnixMillis,
}

/// What a failure shows beyond doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Doubt {
    /// Nothing yet.
    #[default]
    None,
    /// Its calls fail.
    Calls,
    /// Our account there is wrong.
    Account,
}

impl Channel {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            health: Health::new(),
            limiter: Limiter::new(terms.contract_per_s),
            breaker: Breaker::new(),
            conversion: Conversion::new(),
            suspicion: Suspicion::default(),
            misconfigured: 0,
            offered_at: UnixMillis(0),
        }
    }

    pub(super) fn set_terms(&mut self, terms: Terms) {
        if self.terms.contract_per_s != terms.contract_per_s {
            self.limiter.set_contract(terms.contract_per_s);
        }
        self.terms = terms;
    }

    pub(super) fn sent(&mut self, probe: bool, now: UnixMillis) {
        self.limiter.sent(now);
        if probe {
            self.breaker.probed(now);
        }
    }

    pub(super) fn refused(&mut self, now: UnixMillis) {
        self.limiter.refused(now);
        self.breaker.unanswered();
    }

    /// A call that shows nothing: it is on its way no more, and another may be the probe.
    pub(super) fn void(&mut self) {
        self.limiter.failed();
        self.breaker.unanswered();
    }

    pub(super) fn accepted(&mut self, order: u64, latency_ms: Option<i64>, now: UnixMillis) {
        self.conversion.accepted(order, now);
        let Some(latency_ms) = latency_ms else { return };
        self.misconfigured = 0;
        self.health.accepted(latency_ms, now);
        self.limiter.answered(now);
        if self.breaker.accepted(now.plus_ms(latency_ms.saturating_neg()), now) {
            self.health.forgive(now);
        }
    }

    pub(super) fn failed(&mut self, latency_ms: i64, hung: bool, now: UnixMillis) -> Doubt {
        self.limiter.failed();
        let sure = self.health.failed(latency_ms, self.breaker.caution(now), now);
        let sent_at = now.plus_ms(latency_ms.saturating_neg());
        self.breaker.failed(sent_at, hung);
        if sure { Doubt::Calls } else { Doubt::None }
    }

    /// It was taken out for a fault of ours.
    pub(super) fn let_in(&mut self, now: UnixMillis) {
        if self.breaker.let_in(now.plus_ms(-WINDOW_MS)) {
            self.health.forgive(now);
        }
    }

    /// An order was paid; how long the payer took, unless the news was late.
    pub(super) fn paid(&mut self, order: u64, accepted_at: UnixMillis, now: UnixMillis) -> Option<i64> {
        if !self.conversion.paid(order, accepted_at) {
            return None;
        }
        self.suspicion.told_by_callback(now);
        self.come_back(accepted_at, now);
        let delay_ms = now.since_ms(accepted_at);
        (!self.suspicion.is_late()).then(|| self.conversion.delayed(delay_ms, now))?;
        Some(delay_ms)
    }

    pub(super) fn queried(&mut self, order: u64, paid: bool, now: UnixMillis) {
        self.suspicion.answered(paid);
        if paid && let Some(at) = self.conversion.accepted_at(order) {
            self.conversion.paid(order, at);
            self.suspicion.told_by_query(now);
            self.come_back(at, now);
        }
    }

    /// An order was paid: a channel that was out because nobody could pay may be back.
    pub(super) fn come_back(&mut self, accepted_at: UnixMillis, now: UnixMillis) {
        if self.breaker.paid(accepted_at, now) {
            self.health.forgive(now);
            self.conversion.restart(accepted_at, now);
        }
    }

    pub(super) fn misconfigured(&mut self) -> Doubt {
        self.limiter.failed();
        self.misconfigured = self.misconfigured.saturating_add(1);
        if self.misconfigured >= MISCONFIGURED_MAX { Doubt::Account } else { Doubt::None }
    }

    pub(super) fn tick(&mut self, all: &Delays, now: UnixMillis) -> Vec<u64> {
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
