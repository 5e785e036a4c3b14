//! The choice: score what is eligible, prefer the best, share near-ties, let one charge probe what was sick.
//!
//! Why near-ties share: a channel that never gets traffic is never known to be well. Why fee counts little against
//! health: one lost payment costs the merchant's whole margin, a few basis points do not.
//! This file is to be replaced as a whole; its callers know `choose` and nothing else.

use super::{Because, Decision, Health, Seen};
use crate::ids::ChannelId;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// Why a channel cannot take this charge now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// The configuration switched it off for new charges.
    Disabled,
    /// An operator took it out.
    Drained,
    /// It cannot serve this scene.
    Scene,
    /// This payer cannot use its method.
    Method,
    /// The sum is outside its range.
    Amount,
    /// Its limit of the day is used up.
    DailyLimit,
    /// Our own in-flight or per-second limit is reached.
    Capacity,
    /// It did not answer well; it waits for its probe.
    Ejected,
    /// It was tried for this charge already.
    Tried,
    /// The charge is pinned to another channel.
    NotPinned,
}

impl Exclusion {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::Disabled,
        Self::Drained,
        Self::Scene,
        Self::Method,
        Self::Amount,
        Self::DailyLimit,
        Self::Capacity,
        Self::Ejected,
        Self::Tried,
        Self::NotPinned,
    ];

    /// The word used in the API and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Drained => "drained",
            Self::Scene => "scene",
            Self::Method => "method",
            Self::Amount => "amount",
            Self::DailyLimit => "daily_limit",
            Self::Capacity => "capacity",
            Self::Ejected => "ejected",
            Self::Tried => "tried",
            Self::NotPinned => "not_pinned",
        }
    }
}

/// One channel as the choice sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The channel.
    pub channel: ChannelId,
    /// Its fee in hundredths of a percent.
    pub fee_bps: i64,
    /// Its health.
    pub health: Health,
    /// Whether the payer would rather pay this way.
    pub preferred: bool,
    /// Whether it was forced by an operator.
    pub forced: bool,
    /// Why it cannot be chosen, as far as the caller knows.
    pub excluded: Option<Exclusion>,
}

/// What the parts of the score weigh.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// Points for a channel that answers every call.
    pub health: f64,
    /// Points lost per second of latency beyond half a second.
    pub latency_per_s: f64,
    /// Points lost per basis point of fee.
    pub fee_per_bps: f64,
    /// Points for the payer's preferred method.
    pub preferred: f64,
    /// Channels closer than this share the traffic.
    pub near_tie: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { health: 1.0, latency_per_s: 0.08, fee_per_bps: 0.0005, preferred: 0.05, near_tie: 0.004 }
    }
}

/// Chooses one of the candidates. `seed` decides among near-ties; `failover` says that this is not the charge's first
/// channel; `pinned` that the caller allowed one only.
#[must_use]
pub fn choose(candidates: &[Candidate], weights: &Weights, first: Because, seed: u64, now: UnixMillis) -> Decision {
    let mut seen: Vec<(Seen, &Candidate)> = candidates.iter().map(|c| (look(c, weights, now), c)).collect();
    if !seen.iter().any(|(s, _)| s.excluded.is_none()) {
        // Better a sick channel than none: what is only ejected may be tried when nothing else is left.
        for (seen, _) in &mut seen {
            if seen.excluded == Some(Exclusion::Ejected) {
                seen.excluded = None;
            }
        }
    }
    let open: Vec<&(Seen, &Candidate)> = seen.iter().filter(|(s, _)| s.excluded.is_none()).collect();
    let (channel, because) = match open.as_slice() {
        [] => (None, first),
        [(one, _)] => (Some(one.channel.clone()), if first == Because::Score { Because::OnlyOne } else { first }),
        several => pick(several, weights, first, seed, now),
    };
    Decision { channel, chosen_because: because, candidates: seen.into_iter().map(|(s, _)| s).collect() }
}

fn look(candidate: &Candidate, weights: &Weights, now: UnixMillis) -> Seen {
    let health = candidate.health.share(now);
    let ejected = candidate.health.is_ejected(now).then_some(Exclusion::Ejected);
    let excluded = candidate.excluded.or(ejected);
    let latency_ms = candidate.health.latency_ms();
    let slow_s = (latency_ms - 500.0).max(0.0) / 1000.0;
    let fee = f64::from(i32::try_from(candidate.fee_bps).unwrap_or(i32::MAX));
    let preferred = if candidate.preferred { weights.preferred } else { 0.0 };
    let score = weights.health * health - weights.latency_per_s * slow_s - weights.fee_per_bps * fee + preferred;
    Seen {
        channel: candidate.channel.clone(),
        score: if excluded.is_some() { 0.0 } else { round(score) },
        health: round(health),
        latency_ms: whole(latency_ms),
        fee_bps: candidate.fee_bps,
        excluded,
    }
}

fn pick(
    open: &[&(Seen, &Candidate)],
    weights: &Weights,
    first: Because,
    seed: u64,
    now: UnixMillis,
) -> (Option<ChannelId>, Because) {
    if let Some((seen, _)) = open.iter().find(|(_, c)| c.forced) {
        return (Some(seen.channel.clone()), Because::Forced);
    }
    if let Some((seen, _)) = open.iter().find(|(_, c)| c.health.is_probe_due(now)) {
        return (Some(seen.channel.clone()), Because::Probe);
    }
    let best = open.iter().map(|(s, _)| s.score).fold(f64::MIN, f64::max);
    let weight = |score: f64| ((score - best) / weights.near_tie.max(1e-6)).exp();
    let total: f64 = open.iter().map(|(s, _)| weight(s.score)).sum();
    let mut left = unit(seed) * total;
    for (seen, _) in open {
        left -= weight(seen.score);
        if left < 0.0 {
            return (Some(seen.channel.clone()), first);
        }
    }
    (open.last().map(|(s, _)| s.channel.clone()), first)
}

/// A number in [0, 1) from 32 of the seed's bits.
fn unit(seed: u64) -> f64 {
    let high = u32::try_from(seed >> 32).unwrap_or(u32::MAX);
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[allow(clippy::as_conversions)] // A float has no checked conversion; the value is clamped first.
fn whole(ms: f64) -> i64 {
    ms.clamp(0.0, 86_400_000.0).round() as i64
}

#[cfg(test)]
mod tests;
