//! How much a channel can take: a token bucket whose rate follows its refusals, and a limit on calls in flight that
//! follows its latency.
//!
//! Why both: a quota refuses, a slow server only grows slow. Why not health: a channel that refuses is well, and less
//! traffic cures it at once. The contract is where the rate starts and the most it comes back to; the real quota may
//! be far below it. Left out, a promotion sends a quarter of all calls into refusals (0.4 of net value).

use super::number::float;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

const SLOT_MS: i64 = 100;
const SLOTS: usize = 10;
const IN_FLIGHT_START: f64 = 100.0;
const IN_FLIGHT_MAX: f64 = 2_000.0;

#[derive(Debug, Clone)]
pub(super) struct Limiter {
    /// Calls a second; none when nothing limits it.
    rate: Option<f64>,
    contract: Option<f64>,
    tokens: f64,
    filled_at: UnixMillis,
    in_flight: u32,
    in_flight_max: f64,
    narrowed_at: UnixMillis,
    refused_at: UnixMillis,
    cut_at: UnixMillis,
    refused_rate: f64,
    served: Recent,
    sent: Recent,
}

/// What was found of a channel's quota.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Found {
    rate: Option<f64>,
    refused_rate: f64,
}

/// Events of the last second.
#[derive(Debug, Clone, Default)]
struct Recent {
    slots: [u32; SLOTS],
    slot: i64,
}

impl Limiter {
    pub(super) fn new(contract: Option<f64>) -> Self {
        Self {
            rate: contract,
            contract,
            tokens: contract.map_or(0.0, burst),
            filled_at: UnixMillis(0),
            in_flight: 0,
            in_flight_max: IN_FLIGHT_START,
            narrowed_at: UnixMillis(0),
            refused_at: UnixMillis(0),
            cut_at: UnixMillis(0),
            refused_rate: 0.0,
            served: Recent::default(),
            sent: Recent::default(),
        }
    }

    /// What should be kept over a restart.
    pub(super) const fn found(&self) -> Found {
        Found { rate: self.rate, refused_rate: self.refused_rate }
    }

    /// Takes up what was found before a restart; a contract that became smaller since is the most.
    pub(super) fn recall(&mut self, found: Found, now: UnixMillis) {
        let sane = |rate: f64| rate.is_finite() && rate >= 1.0;
        if !sane(found.refused_rate) {
            return;
        }
        let Some(rate) = found.rate.filter(|rate| sane(*rate)) else { return };
        let rate = self.contract.map_or(rate, |contract| rate.min(contract));
        (self.rate, self.refused_rate) = (Some(rate), found.refused_rate);
        (self.tokens, self.filled_at, self.refused_at) = (burst(rate), now, now);
    }

    /// Another contract: the rate starts from it anew.
    pub(super) fn set_contract(&mut self, contract: Option<f64>) {
        (self.contract, self.rate, self.refused_rate) = (contract, contract, 0.0);
        self.tokens = contract.map_or(0.0, burst);
    }

    /// Calls a second; none when nothing limits it.
    pub(super) const fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Calls that may go now; none when nothing limits it.
    pub(super) fn tokens(&self, now: UnixMillis) -> Option<f64> {
        self.rate.map(|rate| self.tokens_at(rate, now))
    }

    /// Calls on their way, and how many may be.
    pub(super) const fn in_flight(&self) -> (u32, f64) {
        (self.in_flight, self.in_flight_max)
    }

    /// Whether one more call may go.
    pub(super) fn has_room(&self, now: UnixMillis) -> bool {
        if f64::from(self.in_flight) + 1.0 > self.in_flight_max {
            return false;
        }
        self.rate.is_none_or(|rate| self.tokens_at(rate, now) >= 1.0)
    }

    /// How much room there is, to compare channels of which none has enough.
    pub(super) fn room(&self, now: UnixMillis) -> f64 {
        self.rate.map_or(0.0, |rate| self.tokens_at(rate, now)) - f64::from(self.in_flight) / self.in_flight_max
    }

    pub(super) fn sent(&mut self, now: UnixMillis) {
        self.in_flight = self.in_flight.saturating_add(1);
        self.sent.note(now);
        if let Some(rate) = self.rate {
            self.tokens = (self.tokens_at(rate, now) - 1.0).max(-burst(rate));
            self.filled_at = now;
        }
    }

    pub(super) fn answered(&mut self, now: UnixMillis) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.served.note(now);
    }

    pub(super) fn failed(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Too many: the rate is what was served in the last second, a little less.
    pub(super) fn refused(&mut self, now: UnixMillis) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.refused_at = now;
        if now.since_ms(self.cut_at) < 500 {
            return;
        }
        let served = f64::from(self.served.sum(now)).max(1.0);
        let rate = self.rate.unwrap_or(served).min(served) * 0.97;
        (self.rate, self.refused_rate) = (Some(rate.max(1.0)), rate.max(1.0));
        (self.tokens, self.filled_at, self.cut_at) = (0.0, now, now);
    }

    pub(super) fn tick(&mut self, congested: bool, now: UnixMillis) {
        self.grow(now);
        if now.since_ms(self.narrowed_at) < 200 {
            return;
        }
        self.narrowed_at = now;
        let flying = f64::from(self.in_flight);
        if congested && self.in_flight > 4 {
            self.in_flight_max = (0.9 * flying).max(4.0);
        } else {
            self.in_flight_max = (self.in_flight_max + 0.5 * self.in_flight_max.sqrt()).min(IN_FLIGHT_MAX);
        }
    }

    fn grow(&mut self, now: UnixMillis) {
        let Some(rate) = self.rate else { return };
        let clean_ms = now.since_ms(self.refused_at);
        if clean_ms < 2_000 || self.refused_rate <= 0.0 {
            return;
        }
        let busy = f64::from(self.sent.sum(now)) > 0.7 * rate;
        let near = (0.92..1.15).contains(&(rate / self.refused_rate)) && clean_ms < 60_000;
        let factor = match (busy, near) {
            (true, true) => 1.004,
            (true, false) => 1.02,
            (false, _) if clean_ms > 20_000 => 1.01,
            (false, _) => 1.0,
        };
        let grown = rate * factor;
        self.tokens = self.tokens_at(rate, now);
        self.filled_at = now;
        // Without a contract, a rate that nothing has refused for long is no limit any more.
        self.rate = match self.contract {
            Some(contract) => Some(grown.min(contract)),
            None => (grown < 20.0 * self.refused_rate).then_some(grown),
        };
    }

    fn tokens_at(&self, rate: f64, now: UnixMillis) -> f64 {
        let passed_s = float(now.since_ms(self.filled_at).max(0)) / 1000.0;
        (self.tokens + rate * passed_s).min(burst(rate))
    }
}

impl Recent {
    fn note(&mut self, now: UnixMillis) {
        self.forget(now);
        let place = usize::try_from(self.slot.rem_euclid(10)).unwrap_or(0);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = slot.saturating_add(1);
        }
    }

    fn sum(&self, now: UnixMillis) -> u32 {
        let mut copy = self.clone();
        copy.forget(now);
        copy.slots.iter().sum()
    }

    fn forget(&mut self, now: UnixMillis) {
        let slot = now.0.div_euclid(SLOT_MS);
        let passed = (slot - self.slot).clamp(0, 10);
        for old in 1..=passed {
            let place = usize::try_from((slot - passed + old).rem_euclid(10)).unwrap_or(0);
            if let Some(slot) = self.slots.get_mut(place) {
                *slot = 0;
            }
        }
        self.slot = self.slot.max(slot);
    }
}

fn burst(rate: f64) -> f64 {
    (0.2 * rate).max(2.0)
}
