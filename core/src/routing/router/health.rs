//! Does it take orders, and how fast: the share of calls accepted, the wait, and a test that knows an outage at once.
//!
//! Why three measures of one thing: the share (half-life 20 s) weighs a channel that fails now and then; the outage test
//! (a likelihood ratio of failing 9 in 10 against 1 in 4) sees five failures in a row long before a share moves; the
//! change test makes the share forget its good past when a fifth of calls begins to fail. Refusals for their number
//! are no failures: a channel that says "too many" is well. Left out, calls go on to dead channels six times as often,
//! and the slowest hundredth waits longer (0.1 of net value).

use super::number::{faded, float, weight};
use crate::time::UnixMillis;

const HALF_LIFE_MS: f64 = 20_000.0;
const PRIOR_SHARE: f64 = 0.98;
const PRIOR_WEIGHT: f64 = 5.0;
const LATENCY_START_MS: f64 = 250.0;
const OUTAGE_PER_FAILURE: f64 = 1.28;
const OUTAGE_PER_SUCCESS: f64 = 2.01;
const OUTAGE_MAX: f64 = 5.8;
const CHANGE_MAX: f64 = 16.0;
const FAILURE_MEMORY: f64 = 0.15;

#[derive(Debug, Clone)]
pub(super) struct Health {
    successes: f64,
    calls: f64,
    noted_at: UnixMillis,
    outage: f64,
    change: f64,
    recent_failures: f64,
    wait_ms: f64,
    short_ms: f64,
    baseline_ms: f64,
    failure_ms: f64,
    waited_at: UnixMillis,
}

impl Health {
    pub(super) const fn new() -> Self {
        Self {
            successes: 0.0,
            calls: 0.0,
            noted_at: UnixMillis(0),
            outage: 0.0,
            change: 0.0,
            recent_failures: 0.0,
            wait_ms: LATENCY_START_MS,
            short_ms: LATENCY_START_MS,
            baseline_ms: LATENCY_START_MS,
            failure_ms: 100.0,
            waited_at: UnixMillis(0),
        }
    }

    /// The share of calls that are accepted now.
    pub(super) fn accepts(&self, now: UnixMillis) -> f64 {
        let left = faded(now.since_ms(self.noted_at), HALF_LIFE_MS);
        (self.successes * left + PRIOR_SHARE * PRIOR_WEIGHT) / (self.calls * left + PRIOR_WEIGHT)
    }

    /// The mean wait for an answer, time-outs included.
    pub(super) const fn latency_ms(&self) -> f64 {
        self.wait_ms
    }

    /// How long a failure takes to be known.
    pub(super) const fn failure_ms(&self) -> f64 {
        self.failure_ms
    }

    /// Whether answers take longer than they used to: too many calls may be in flight.
    pub(super) fn is_congested(&self) -> bool {
        self.short_ms > 1.6 * self.baseline_ms
    }

    pub(super) fn accepted(&mut self, latency_ms: i64, now: UnixMillis) {
        self.fade(now);
        self.successes += 1.0;
        self.waited(latency_ms, now);
        self.outage = (self.outage - OUTAGE_PER_SUCCESS).max(0.0);
        self.note_change(false);
    }

    /// Takes note of a failure; true when there can be no doubt that the channel is out. `caution` below 1 asks for
    /// less evidence: the channel was out a moment ago.
    pub(super) fn failed(&mut self, latency_ms: i64, caution: f64, now: UnixMillis) -> bool {
        self.fade(now);
        self.waited(latency_ms, now);
        self.failure_ms += 0.2 * (float(latency_ms) - self.failure_ms);
        self.outage += OUTAGE_PER_FAILURE;
        self.note_change(true);
        let sure = self.outage >= OUTAGE_MAX * caution;
        if sure {
            self.outage = 0.0;
        }
        sure
    }

    /// It answers again: what was counted in its outage says nothing about it now.
    pub(super) fn forgive(&mut self, now: UnixMillis) {
        (self.successes, self.calls, self.noted_at) = (0.0, 0.0, now);
        (self.outage, self.change, self.recent_failures) = (0.0, 0.0, 0.0);
        (self.wait_ms, self.short_ms) = (self.baseline_ms, self.baseline_ms);
    }

    fn fade(&mut self, now: UnixMillis) {
        let left = faded(now.since_ms(self.noted_at), HALF_LIFE_MS);
        (self.successes, self.calls) = (self.successes * left, self.calls * left + 1.0);
        self.noted_at = now;
    }

    fn waited(&mut self, latency_ms: i64, now: UnixMillis) {
        let passed_ms = now.since_ms(self.waited_at).clamp(1, 2_000);
        let latency = float(latency_ms);
        self.wait_ms += weight(passed_ms, 10_000.0) * (latency - self.wait_ms);
        self.short_ms += weight(passed_ms, 1_000.0) * (latency - self.short_ms);
        let memory_ms = if self.short_ms > self.baseline_ms { 60_000.0 } else { 5_000.0 };
        self.baseline_ms += weight(passed_ms, memory_ms) * (self.short_ms - self.baseline_ms);
        self.waited_at = now;
    }

    /// A likelihood ratio of "every second call fails" against what was usual.
    fn note_change(&mut self, failed: bool) {
        let usual = (1.0 - self.successes / self.calls.max(1.0)).clamp(0.005, 0.35);
        let seen = if failed { usual } else { 1.0 - usual };
        self.change = (self.change + (0.5 / seen).ln()).max(0.0);
        let outcome = if failed { 1.0 } else { 0.0 };
        self.recent_failures += FAILURE_MEMORY * (outcome - self.recent_failures);
        if self.change > CHANGE_MAX {
            self.change = 0.0;
            (self.calls, self.successes) = (8.0, 8.0 * (1.0 - self.recent_failures));
        }
    }
}
