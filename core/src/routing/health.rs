//! How well a channel answers: a decaying share of answered calls, a mean latency, and a pause after trouble.
//!
//! Why a decaying count and not a window of calls: a window has no time scale, so a quiet channel would stay sick for
//! hours. Why congestion does not touch the share: a channel that says "too many" is well, it only wants less; it gets
//! a short pause that doubles. After a pause one charge at a time shows whether the trouble is over.

use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

const HALF_LIFE_MS: f64 = 20_000.0;
const PRIOR_WEIGHT: f64 = 5.0;
const PRIOR_SHARE: f64 = 0.98;
const LATENCY_WEIGHT: f64 = 0.2;
const FAILURES_MAX: u32 = 3;
const PAUSE_MAX_MS: i64 = 15_000;

/// What a call to a channel showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It answered and did what was asked.
    Answered {
        /// How long that took.
        latency_ms: i64,
    },
    /// It is down, overloaded or silent.
    Failed {
        /// How long that took.
        latency_ms: i64,
    },
    /// Too many calls.
    Congested,
    /// Our account there is wrong.
    Misconfigured,
}

/// The health of one channel, shared by all merchants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Health {
    answered: f64,
    called: f64,
    latency_ms: f64,
    updated_at: UnixMillis,
    failures: u32,
    pauses: u32,
    paused_until: UnixMillis,
    probing_until: UnixMillis,
}

impl Health {
    /// A channel about which nothing is known yet.
    #[must_use]
    pub const fn new(now: UnixMillis) -> Self {
        Self {
            answered: 0.0,
            called: 0.0,
            latency_ms: 200.0,
            updated_at: now,
            failures: 0,
            pauses: 0,
            paused_until: UnixMillis(0),
            probing_until: UnixMillis(0),
        }
    }

    /// Takes note of one call.
    #[must_use]
    pub fn noted(mut self, signal: Signal, now: UnixMillis) -> Self {
        let fade = fade(now.since_ms(self.updated_at));
        self.answered *= fade;
        self.called *= fade;
        self.updated_at = now;
        self.probing_until = UnixMillis(0);
        match signal {
            Signal::Answered { latency_ms } => {
                self.answered += 1.0;
                self.called += 1.0;
                self.latency_ms += LATENCY_WEIGHT * (float(latency_ms) - self.latency_ms);
                self.failures = 0;
                self.pauses = 0;
            }
            Signal::Failed { latency_ms } => {
                self.called += 1.0;
                self.latency_ms += LATENCY_WEIGHT * (float(latency_ms) - self.latency_ms);
                self.failures = self.failures.saturating_add(1);
                if self.failures >= FAILURES_MAX || self.pauses > 0 {
                    self = self.paused(1000, now);
                }
            }
            Signal::Congested => self = self.paused(500, now),
            Signal::Misconfigured => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= FAILURES_MAX || self.pauses > 0 {
                    self = self.paused(15_000, now);
                }
            }
        }
        self
    }

    /// Takes note that a probe was sent, so that no second one is before its answer (or 5 s).
    #[must_use]
    pub fn probed(mut self, now: UnixMillis) -> Self {
        self.probing_until = now.plus_s(5);
        self
    }

    /// The share of calls it answers now, 0 to 1.
    #[must_use]
    pub fn share(&self, now: UnixMillis) -> f64 {
        let fade = fade(now.since_ms(self.updated_at));
        (self.answered * fade + PRIOR_SHARE * PRIOR_WEIGHT) / (self.called * fade + PRIOR_WEIGHT)
    }

    /// Its mean answer time.
    #[must_use]
    pub fn latency_ms(&self) -> f64 {
        self.latency_ms
    }

    /// Whether it is out for the moment.
    #[must_use]
    pub fn is_ejected(&self, now: UnixMillis) -> bool {
        now < self.paused_until || (self.pauses > 0 && now < self.probing_until)
    }

    /// Whether its pause is over and one charge may show whether it is well.
    #[must_use]
    pub fn is_probe_due(&self, now: UnixMillis) -> bool {
        self.pauses > 0 && !self.is_ejected(now)
    }

    /// The pause doubles with each probe that fails. A charge that had nowhere else to go, or calls that were on their
    /// way when the trouble began, say nothing new: counted as probes they would keep a well channel out for long.
    fn paused(mut self, base_ms: i64, now: UnixMillis) -> Self {
        if now < self.paused_until {
            return self;
        }
        let doubled = base_ms.saturating_mul(1_i64.checked_shl(self.pauses.min(5)).unwrap_or(32));
        self.pauses = self.pauses.saturating_add(1);
        self.paused_until = now.plus_ms(doubled.min(PAUSE_MAX_MS));
        self
    }
}

fn fade(elapsed_ms: i64) -> f64 {
    0.5_f64.powf(float(elapsed_ms.max(0)) / HALF_LIFE_MS)
}

/// Exact for every latency and age that occurs here (below 2^31 ms).
fn float(ms: i64) -> f64 {
    f64::from(i32::try_from(ms).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixMillis = UnixMillis(1_766_000_000_000);

    #[test]
    fn three_failures_in_a_row_eject_and_a_probe_brings_back() {
        let mut health = Health::new(T0);
        for n in 0..3 {
            assert!(!health.is_ejected(T0), "ejected after {n}");
            health = health.noted(Signal::Failed { latency_ms: 10 }, T0);
        }
        assert!(health.is_ejected(T0.plus_ms(999)));
        let due = T0.plus_ms(1000);
        assert!(health.is_probe_due(due));
        assert!(health.probed(due).is_ejected(due), "one probe at a time");
        let well = health.noted(Signal::Answered { latency_ms: 10 }, due);
        assert!(!well.is_ejected(due) && !well.is_probe_due(due));
    }

    #[test]
    fn a_failed_probe_doubles_the_pause() {
        let mut health = Health::new(T0).noted(Signal::Congested, T0);
        assert!(health.is_probe_due(T0.plus_ms(500)));
        health = health.noted(Signal::Congested, T0.plus_ms(500));
        assert!(health.is_ejected(T0.plus_ms(1499)) && !health.is_ejected(T0.plus_ms(1500)));
    }

    #[test]
    fn refusals_within_a_pause_do_not_prolong_it() {
        let mut health = Health::new(T0);
        for ms in 0..10 {
            health = health.noted(Signal::Congested, T0.plus_ms(ms));
        }
        assert!(health.is_ejected(T0.plus_ms(499)) && !health.is_ejected(T0.plus_ms(500)));
    }

    #[test]
    fn congestion_does_not_touch_the_share() {
        let health = Health::new(T0);
        assert!((health.noted(Signal::Congested, T0).share(T0) - health.share(T0)).abs() < 1e-9);
    }

    #[test]
    fn old_failures_fade() {
        let mut health = Health::new(T0);
        for _ in 0..50 {
            health = health.noted(Signal::Failed { latency_ms: 10 }, T0);
        }
        assert!(health.share(T0) < 0.1);
        assert!(health.share(T0.plus_s(200)) > 0.9);
    }
}
