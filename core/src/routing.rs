//! Which channel a charge is tried on, and why, in the words that people and machines read.
//!
//! Invariant: a decision names every channel with the numbers that were looked at, and never one that its facts exclude.
//! What a channel is worth is `router`'s business; who may be a candidate at all is decided by the facts that the caller
//! gathers. Nothing here knows a store, a clock or a provider.

pub mod replay;
pub mod router;

pub use router::{Reason, Standing};

use crate::ids::ChannelId;
use router::{Offered, View, whole};
use serde::{Deserialize, Serialize};

/// Why the chosen channel was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It had the best score.
    Score,
    /// The charge names it.
    Pinned,
    /// An operator forces it.
    Forced,
    /// An earlier channel of this charge did not give a code.
    Failover,
    /// It is sick and gets one charge to show whether it is well again.
    Probe,
    /// It was the only one left.
    OnlyOne,
}

impl Because {
    /// All reasons.
    pub const ALL: [Self; 6] = [Self::Score, Self::Pinned, Self::Forced, Self::Failover, Self::Probe, Self::OnlyOne];

    /// The word used in the API and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Pinned => "pinned",
            Self::Forced => "forced",
            Self::Failover => "failover",
            Self::Probe => "probe",
            Self::OnlyOne => "only_one",
        }
    }
}

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
    /// It has no room: our own in-flight or per-second limit, or what its refusals and its waits say that it takes.
    Capacity,
    /// It did not do well; it waits for its probe, or for its part of the traffic while it comes back.
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

/// One candidate as it was seen when the decision was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The channel.
    pub channel: ChannelId,
    /// What a try there is worth, as a share of the payment's margin, higher is better; 0 when excluded.
    pub score: f64,
    /// The share of calls that it accepts, 0 to 1.
    pub health: f64,
    /// The share of its orders that end paid, 0 to 1; payments that come faster than usual may make it look like more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converts: Option<f64>,
    /// Its mean answer time.
    pub latency_ms: i64,
    /// Its fee in hundredths of a percent.
    pub fee_bps: i64,
    /// Whether it is in, out, or coming back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Calls that may go to it now; none when nothing limits it, or when it was not offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i64>,
    /// Why it could not be chosen.
    pub excluded: Option<Exclusion>,
}

impl Seen {
    /// A channel that the router was offered.
    #[must_use]
    pub fn offered(channel: ChannelId, fee_bps: i64, offered: &Offered, is_chosen: bool) -> Self {
        let excluded = match (is_chosen, offered.admitted, offered.has_room) {
            (true, _, _) | (false, true, true) => None,
            (false, false, _) => Some(Exclusion::Ejected),
            (false, true, false) => Some(Exclusion::Capacity),
        };
        Self {
            channel,
            score: if excluded.is_some() { 0.0 } else { rounded(offered.utility) },
            health: rounded(offered.accepts),
            converts: Some(rounded(offered.converts.min(1.0))),
            latency_ms: whole(offered.latency_ms),
            fee_bps,
            standing: Some(offered.standing),
            tokens: offered.tokens.map(whole),
            excluded,
        }
    }

    /// A channel that cannot take this charge, whatever it is worth.
    #[must_use]
    pub fn left_out(channel: ChannelId, fee_bps: i64, view: Option<&View>, excluded: Exclusion) -> Self {
        Self {
            channel,
            score: 0.0,
            health: view.map_or(0.0, |view| rounded(view.accepts)),
            converts: view.map(|view| rounded(view.converts.min(1.0))),
            latency_ms: view.map_or(0, |view| whole(view.latency_ms)),
            fee_bps,
            standing: view.map(|view| view.standing),
            tokens: None,
            excluded: Some(excluded),
        }
    }
}

/// A decision with everything that led to it; stored with the attempt and printed as `route`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The channel, or none when all are excluded.
    pub channel: Option<ChannelId>,
    /// Why.
    pub chosen_because: Because,
    /// How the router came to it, among those that were left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Every candidate.
    pub candidates: Vec<Seen>,
}

/// Four decimals are as exact as any of these numbers is, and keep the stored decision short.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;
    use router::{Ask, Router, Terms};

    fn offers(now: UnixMillis) -> Vec<Offered> {
        let terms =
            |fee_bps, provider| Terms { fee_bps, fee_fixed: 0.0, contract_per_s: None, provider, rank: provider };
        let mut router = Router::new(vec![terms(38.0, 0), terms(60.0, 1)], 0.1);
        router.decide(&Ask { amount: 1999, open: 3, first: true, ..Ask::default() }, 7, now).offers
    }

    #[test]
    fn what_is_chosen_is_never_shown_as_excluded_and_what_is_out_says_why() {
        let offered = offers(UnixMillis(1_766_000_000_000));
        let first = offered.first().copied().unwrap();
        let shown = |admitted, has_room, chosen| {
            let offered = Offered { admitted, has_room, ..first };
            Seen::offered("a".parse().unwrap(), 38, &offered, chosen).excluded
        };
        assert_eq!(shown(true, true, false), None);
        assert_eq!(shown(false, true, false), Some(Exclusion::Ejected));
        assert_eq!(shown(true, false, false), Some(Exclusion::Capacity));
        assert_eq!(shown(false, false, true), None, "a probe, or the one with the most room");
    }

    #[test]
    fn a_decision_of_an_older_release_is_still_read() {
        let old = r#"{"channel":"a","chosen_because":"score","candidates":[{"channel":"a","score":0.93,"health":0.98,
            "latency_ms":210,"fee_bps":60,"excluded":null}]}"#;
        let decision: Decision = serde_json::from_str(old).unwrap();
        let seen = decision.candidates.first().unwrap();
        assert_eq!((decision.reason, seen.converts, seen.standing, seen.tokens), (None, None, None, None));
    }
}
