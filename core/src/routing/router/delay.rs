//! How long payers take: the share of eventual payments that is known by an age.
//!
//! Why it is measured: an order that is ten seconds old and unpaid says little, one that is two minutes old says much.
//! This curve is the exchange rate between the two, so that conversion needs no waiting for orders to expire.
//! Invariant: the curve never falls with age and ends at 1. News that is known to be late must not be fed to it.

use super::number::{faded, float, whole};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

const BINS: usize = 40;
const FIRST_MS: f64 = 250.0;
const GROWTH: f64 = 1.28;
const HALF_LIFE_MS: f64 = 600_000.0;
const SHAPE_WEIGHT: f64 = 30.0;
/// Ages are looked up in steps of a quarter of a second, up to ten minutes.
pub(super) const STEP_MS: i64 = 250;
const STEPS: i64 = 2_400;

/// Observed times from an accepted order to the news that it is paid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Delays {
    bins: Vec<f64>,
    seen: f64,
    noted_at: UnixMillis,
}

/// The share of payments known by each age.
#[derive(Debug, Clone, Default)]
pub(super) struct Curve {
    known: Vec<f64>,
}

impl Delays {
    /// Before anybody has paid: a guess of half a minute, soon outweighed.
    pub(super) fn new() -> Self {
        Self { bins: vec![0.0; BINS], seen: 0.0, noted_at: UnixMillis(0) }
    }

    /// In the place of one that is lent for a moment.
    pub(super) const fn empty() -> Self {
        Self { bins: Vec::new(), seen: 0.0, noted_at: UnixMillis(0) }
    }

    /// Adds what was observed elsewhere, before a restart or on another channel.
    pub(super) fn add(&mut self, other: &Self, now: UnixMillis) {
        let sane = other.bins.len() == BINS && other.bins.iter().all(|bin| bin.is_finite() && *bin >= 0.0);
        if !sane {
            return;
        }
        let left = faded(now.since_ms(other.noted_at), HALF_LIFE_MS);
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            *bin += more * left;
        }
        self.seen = self.bins.iter().sum();
        self.noted_at = now;
    }

    /// How many were observed, older ones counting less.
    pub(super) const fn seen(&self) -> f64 {
        self.seen
    }

    pub(super) fn note(&mut self, delay_ms: i64, now: UnixMillis) {
        let passed_ms = now.since_ms(self.noted_at);
        if passed_ms >= 1_000 {
            let left = faded(passed_ms, HALF_LIFE_MS);
            self.bins.iter_mut().for_each(|bin| *bin *= left);
            self.seen *= left;
            self.noted_at = now;
        }
        if let Some(bin) = self.bins.get_mut(bin_of(float(delay_ms))) {
            *bin += 1.0;
            self.seen += 1.0;
        }
    }

    /// The curve of these delays, leaning on the shape of all channels while few are seen.
    pub(super) fn curve(&self, all: &Self) -> Curve {
        let guess = |bin: usize| {
            let (from, to) = (edge(bin), edge(bin + 1));
            (-from / 20_000.0).exp() - (-to / 20_000.0).exp()
        };
        let shape = |bin: usize| {
            let seen = all.bins.get(bin).copied().unwrap_or(0.0);
            (seen + 5.0 * guess(bin)) / (all.seen + 5.0)
        };
        let total = self.seen + SHAPE_WEIGHT;
        let share = |bin| (self.bins.get(bin).copied().unwrap_or(0.0) + SHAPE_WEIGHT * shape(bin)) / total;
        let mut known = Vec::with_capacity(usize::try_from(STEPS).unwrap_or(0));
        let (mut bin, mut before, mut here) = (0, 0.0, share(0));
        for step in 0..STEPS {
            let age = float(step * STEP_MS);
            while bin + 1 < BINS && age >= edge(bin + 1) {
                before += here;
                bin += 1;
                here = share(bin);
            }
            let within = ((age - edge(bin)) / (edge(bin + 1) - edge(bin))).clamp(0.0, 1.0);
            known.push((before + here * within).clamp(0.0, 1.0));
        }
        Curve { known }
    }
}

impl Curve {
    /// The share known by an age.
    pub(super) fn at(&self, age_ms: i64) -> f64 {
        let step = usize::try_from(age_ms.max(0) / STEP_MS).unwrap_or(usize::MAX);
        self.known.get(step).or(self.known.last()).copied().unwrap_or(1.0)
    }

    /// The age by which a share is known.
    pub(super) fn age_of(&self, share: f64) -> i64 {
        let step = self.known.partition_point(|known| *known < share);
        i64::try_from(step).unwrap_or(STEPS).saturating_mul(STEP_MS)
    }

    /// The curve of news that is only heard by asking at three ages.
    pub(super) fn of_polls(&self, polls: &[(i64, f64)]) -> Self {
        let heard = |step: i64| {
            let age_ms = step * STEP_MS;
            polls.iter().rev().find(|(at_ms, _)| age_ms >= *at_ms).map_or(0.0, |(_, share)| *share)
        };
        Self { known: (0..STEPS).map(heard).collect() }
    }
}

/// Where a bin begins.
fn edge(bin: usize) -> f64 {
    if bin == 0 { 0.0 } else { FIRST_MS * GROWTH.powi(i32::try_from(bin - 1).unwrap_or(0)) }
}

fn bin_of(delay_ms: f64) -> usize {
    if delay_ms < FIRST_MS {
        return 0;
    }
    let bin = ((delay_ms / FIRST_MS).ln() / GROWTH.ln()).floor() + 1.0;
    usize::try_from(whole(bin)).unwrap_or(0).min(BINS - 1)
}
