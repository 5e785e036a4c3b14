//! Which channel a charge is tried on, and why: a pure choice over candidates, explained in full.
//!
//! Invariant: the same candidates, seed and moment give the same decision, and nothing outside the candidates is ever
//! chosen. What a channel's health is made of is `health`'s business; who may be a candidate at all is decided by the
//! facts that the caller passes in. Nothing here knows a store, a clock or a provider.

mod choose;
mod health;
pub mod replay;
pub mod router;

pub use choose::{Candidate, Exclusion, Weights, choose};
pub use health::{Health, Signal};

use crate::ids::ChannelId;
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

/// One candidate as it was seen when the decision was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The channel.
    pub channel: ChannelId,
    /// Its score, higher is better; 0 when excluded.
    pub score: f64,
    /// The share of calls it answers, 0 to 1.
    pub health: f64,
    /// Its mean answer time.
    pub latency_ms: i64,
    /// Its fee in hundredths of a percent.
    pub fee_bps: i64,
    /// Why it could not be chosen.
    pub excluded: Option<Exclusion>,
}

/// A decision with everything that led to it; stored with the attempt and printed as `route`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The channel, or none when all are excluded.
    pub channel: Option<ChannelId>,
    /// Why.
    pub chosen_because: Because,
    /// Every candidate.
    pub candidates: Vec<Seen>,
}
