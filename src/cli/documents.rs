//! The API's documents as far as the command line reads them.
//!
//! Invariant: unknown fields are ignored and absent ones have an empty default, so that an older command line reads a
//! newer daemon.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A charge.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ChargeDoc {
    pub(crate) id: String,
    pub(crate) merchant: String,
    pub(crate) merchant_order_no: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) subject: String,
    pub(crate) scene: String,
    pub(crate) status: String,
    pub(crate) stage: String,
    pub(crate) late: bool,
    pub(crate) created_at: String,
    pub(crate) expires_at: String,
    pub(crate) paid_at: Option<String>,
    pub(crate) closed_at: Option<String>,
    pub(crate) amount_refunded: i64,
    pub(crate) cashier_url: Option<String>,
    pub(crate) attempt: Option<AttemptDoc>,
    pub(crate) attempts: Vec<AttemptDoc>,
    pub(crate) failure: Option<FailureDoc>,
    pub(crate) delivery: DeliveryDoc,
    pub(crate) notify_url: Option<String>,
    pub(crate) refunds: Vec<RefundDoc>,
    pub(crate) open_breaks: Vec<String>,
}

/// An attempt.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AttemptDoc {
    pub(crate) id: String,
    pub(crate) seq: u32,
    pub(crate) channel: String,
    pub(crate) provider_order_no: String,
    pub(crate) provider_trade_no: Option<String>,
    pub(crate) status: String,
    pub(crate) pay: Option<Value>,
    pub(crate) route: DecisionDoc,
    pub(crate) error: Option<FailureDoc>,
}

/// Why something failed: of a charge, of an attempt, of a refund, or inside an event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FailureDoc {
    pub(crate) class: String,
    pub(crate) code: String,
    pub(crate) provider_code: String,
    pub(crate) detail: String,
}

/// What the goods do.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DeliveryDoc {
    pub(crate) status: String,
    pub(crate) overdue: bool,
    pub(crate) tries: u32,
    pub(crate) last_error: Option<String>,
    pub(crate) deadline_at: Option<String>,
    pub(crate) delivered_at: Option<String>,
}

/// A refund.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RefundDoc {
    pub(crate) id: String,
    pub(crate) refund_no: Option<String>,
    pub(crate) amount: i64,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) created_at: String,
}

/// A decision of the router.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DecisionDoc {
    pub(crate) channel: Option<String>,
    pub(crate) chosen_because: String,
    pub(crate) reason: Option<String>,
    pub(crate) candidates: Vec<CandidateDoc>,
}

/// A candidate of a decision.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CandidateDoc {
    pub(crate) channel: String,
    pub(crate) score: f64,
    pub(crate) health: f64,
    pub(crate) converts: Option<f64>,
    pub(crate) standing: Option<String>,
    pub(crate) tokens: Option<i64>,
    pub(crate) latency_ms: i64,
    pub(crate) fee_bps: i64,
    pub(crate) excluded: Option<String>,
}

/// A step in a charge's history.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct EventDoc {
    pub(crate) at: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// What belongs to its kind.
    pub(crate) data: BTreeMap<String, Value>,
}

/// A channel as the admin API shows it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ChannelDoc {
    pub(crate) id: String,
    pub(crate) provider: String,
    pub(crate) state: String,
    pub(crate) score: f64,
    pub(crate) health: f64,
    pub(crate) converts: Option<f64>,
    pub(crate) standing: Option<String>,
    pub(crate) news_is_late: bool,
    pub(crate) tokens: Option<i64>,
    pub(crate) share: f64,
    pub(crate) in_flight: Option<i64>,
    pub(crate) capacity: CapacityDoc,
    pub(crate) fee_bps: i64,
    pub(crate) latency_ms: LatencyDoc,
    pub(crate) limits: LimitsDoc,
    pub(crate) last_errors: Vec<ErrorDoc>,
    pub(crate) enabled: bool,
    pub(crate) account: String,
    pub(crate) scenes: Vec<String>,
    pub(crate) excluded: Option<String>,
    #[serde(rename = "override")]
    pub(crate) ordered: Option<OverrideDoc>,
}

/// An operator's order.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OverrideDoc {
    pub(crate) id: String,
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) reason: String,
    pub(crate) actor: String,
    pub(crate) created_at: String,
    pub(crate) ends_at: String,
    pub(crate) version: u64,
    pub(crate) restored_at: String,
    pub(crate) now_at_version: u64,
    pub(crate) refused: Option<String>,
    pub(crate) consequence: ConsequenceDoc,
}

/// All orders in force.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OverridesDoc {
    pub(crate) data: Vec<OverrideDoc>,
    pub(crate) version: u64,
}

/// What an order comes to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ConsequenceDoc {
    pub(crate) charges_in_flight: i64,
    pub(crate) channels: Vec<StandingDoc>,
    pub(crate) elsewhere: Vec<StandingDoc>,
    pub(crate) stranded: Vec<String>,
    pub(crate) replaces: Option<String>,
}

/// A channel as far as an order concerns it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StandingDoc {
    pub(crate) id: String,
    pub(crate) provider: String,
    pub(crate) charges_in_flight: i64,
    pub(crate) max_in_flight: i64,
    pub(crate) per_second: i64,
    pub(crate) day_amount_left: Option<i64>,
    pub(crate) day_count_left: Option<i64>,
}

/// An entry of the audit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AuditDoc {
    pub(crate) at: String,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) reason: String,
    pub(crate) until: Option<String>,
    pub(crate) detail: String,
}

/// What may be sent to a channel.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CapacityDoc {
    pub(crate) max_in_flight: i64,
}

/// How fast a channel answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LatencyDoc {
    pub(crate) mean: Option<i64>,
    pub(crate) p50: Option<i64>,
    pub(crate) p99: Option<i64>,
}

/// What of a day's limits is used, 0 to 1; `null` where there is none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LimitsDoc {
    pub(crate) day_amount_used: Option<f64>,
    pub(crate) day_count_used: Option<f64>,
}

/// An error of a channel.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorDoc {
    pub(crate) at: String,
    pub(crate) detail: String,
}

/// The daemon's state in one document.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StatusDoc {
    pub(crate) version: String,
    pub(crate) now: String,
    pub(crate) started_at: String,
    pub(crate) ready: bool,
    pub(crate) not_ready: Vec<String>,
    pub(crate) configuration: String,
    pub(crate) store_queue_depth: u64,
    pub(crate) charges: BTreeMap<String, i64>,
    pub(crate) oldest_undelivered: Option<OldestDoc>,
    pub(crate) open_breaks: u64,
    pub(crate) channels: Vec<ChannelDoc>,
}

/// The charge that waits longest for its goods.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OldestDoc {
    pub(crate) charge: String,
    pub(crate) paid_at: String,
}

/// One metric.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct MetricDoc {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) labels: Vec<String>,
    pub(crate) series: u64,
}

/// A reconciliation, as far as commands show it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReconciliationDoc {
    pub(crate) id: String,
    pub(crate) channel: String,
    pub(crate) date: String,
    pub(crate) status: String,
    pub(crate) ours: TallyDoc,
    pub(crate) theirs: TallyDoc,
    pub(crate) matched: u64,
    pub(crate) carried_over: u64,
    pub(crate) repaired: u64,
    pub(crate) breaks: u64,
    #[serde(default)]
    pub(crate) breaks_by_kind: Vec<BreaksDoc>,
    pub(crate) difference: i64,
    pub(crate) failure: Option<String>,
    pub(crate) progress: Option<ProgressDoc>,
}

/// A count and a sum.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct TallyDoc {
    pub(crate) count: u64,
    pub(crate) amount: i64,
}

/// The differences of one kind.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BreaksDoc {
    pub(crate) kind: String,
    pub(crate) name_zh: String,
    pub(crate) count: u64,
    pub(crate) difference: i64,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct ProgressDoc {
    pub(crate) lines: u64,
    pub(crate) of: u64,
}

/// A break.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BreakDoc {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) channel: Option<String>,
    pub(crate) charge: Option<String>,
    pub(crate) provider_trade_no: Option<String>,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) opened_at: String,
    pub(crate) resolution: Option<String>,
    pub(crate) actor: Option<String>,
    pub(crate) evidence: String,
    /// `awaiting confirmation` where a second person is waited for.
    pub(crate) state: String,
}

/// What would come of a decision over a break.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ForetoldDoc {
    #[serde(rename = "break")]
    pub(crate) of: BreakDoc,
    pub(crate) resolution: String,
    pub(crate) follows: Vec<String>,
    pub(crate) fitting: Vec<String>,
    pub(crate) awaits_second: bool,
    pub(crate) proposal: Option<ProposalDoc>,
}

/// A decision that waits for a second person.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProposalDoc {
    pub(crate) resolution: String,
    pub(crate) actor: String,
    pub(crate) note: String,
}

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PageDoc<T> {
    pub(crate) data: Vec<T>,
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}
