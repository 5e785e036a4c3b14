//! `GET /admin/v1/channels`: how every channel stands.
//!
//! Invariant: the score shown is the one that the router would give the channel now, for the smallest sum that it
//! takes in its first scene and a payer who can pay any way.

use super::Shared;
use super::overrides::OverrideDocument;
use crate::clock::rfc3339;
use crate::config::Channel;
use crate::flow::{ChannelView, Flow};
use crate::http::dto::Page;
use crate::http::words;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tongdao_core::routing::{Exclusion, Standing};
use utoipa::ToSchema;

/// A configured account at a provider, as it stands now.
#[derive(Serialize, ToSchema)]
#[schema(as = Channel)]
pub(super) struct ChannelDocument {
    id: String,
    provider: String,
    /// The account's number at the provider.
    account: String,
    /// Whether it takes new charges; callbacks, queries and refunds it always takes.
    enabled: bool,
    scenes: Vec<&'static str>,
    /// `open`, `probing`, `ejected`, `drained` or `disabled`.
    state: &'static str,
    /// Why it could not be chosen now.
    excluded: Option<&'static str>,
    /// What a try there is worth, as a share of the order's margin; 0 when it could not be chosen.
    score: f64,
    /// The share of calls that it accepts, 0 to 1.
    health: f64,
    /// The share of its orders that end paid, 0 to 1.
    converts: Option<f64>,
    /// Whether the router has it in, out, due for a probe, or coming back by degrees.
    #[schema(value_type = Option<words::Standing>)]
    standing: Option<&'static str>,
    /// Its callbacks are late: its orders are asked about instead.
    news_is_late: bool,
    /// Calls that may go to it at once; null when nothing limits it.
    tokens: Option<i64>,
    /// The share of today's payments that came through it, 0 to 1.
    share: f64,
    /// Calls that wait for their answer.
    in_flight: Option<i64>,
    capacity: CapacityDocument,
    /// Hundredths of a percent.
    fee_bps: u32,
    amount: AmountDocument,
    latency_ms: LatencyDocument,
    limits: LimitsDocument,
    /// Newest last.
    last_errors: Vec<ChannelErrorDocument>,
    /// The operator's order that decides over it, its own or its provider's.
    #[serde(rename = "override")]
    ordered: Option<OverrideDocument>,
}

/// What may be sent to a channel.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelCapacity)]
struct CapacityDocument {
    max_in_flight: u32,
    per_second: u32,
}

/// Sums that a channel takes, both ends included.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelAmount)]
struct AmountDocument {
    min: i64,
    max: i64,
}

/// How fast a channel makes codes.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelLatency)]
struct LatencyDocument {
    /// A mean that forgets.
    mean: Option<i64>,
    /// Half of the creates since the start were at least as fast.
    p50: Option<i64>,
    /// 99 of 100 were.
    p99: Option<i64>,
}

/// What a channel took today (in Beijing), and what it may.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelLimits)]
struct LimitsDocument {
    day_amount: i64,
    day_amount_max: Option<i64>,
    /// 0 to 1; null where there is no limit.
    day_amount_used: Option<f64>,
    day_count: i64,
    day_count_max: Option<i64>,
    day_count_used: Option<f64>,
}

/// A call that did not do what was asked.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelError)]
struct ChannelErrorDocument {
    at: String,
    detail: String,
}

/// All channels.
#[utoipa::path(
    get, path = "/admin/v1/channels", tag = "admin",
    responses((status = 200, description = "Every channel", body = Page<ChannelDocument>))
)]
pub(super) async fn handle_list(State(admin): State<Shared>) -> Json<Page<ChannelDocument>> {
    Json(Page { data: documents(&admin.flow), next_cursor: None })
}

/// Every channel as the API shows it.
pub(super) fn documents(flow: &Flow) -> Vec<ChannelDocument> {
    let config = flow.config();
    let now = flow.clock.now();
    let counts = config.channels.iter().map(|channel| flow.channels().view(&channel.id, now).day_count);
    let paid_today = counts.fold(0_i64, i64::saturating_add);
    config.channels.iter().map(|channel| document(flow, channel, paid_today)).collect()
}

fn document(flow: &Flow, channel: &Channel, paid_today: i64) -> ChannelDocument {
    let view = flow.channels().view(&channel.id, flow.clock.now());
    let seen = flow.seen(channel);
    let latency = flow.metrics.create_latency(&channel.id);
    let error = |(at, detail): &(_, String)| ChannelErrorDocument { at: rfc3339(*at), detail: detail.clone() };
    ChannelDocument {
        id: channel.id.to_string(),
        provider: channel.provider_id.to_string(),
        account: channel.provider.account().to_owned(),
        enabled: channel.enabled,
        scenes: channel.scenes.iter().map(|scene| scene.as_str()).collect(),
        state: flow.channel_state(&channel.id).as_str(),
        excluded: seen.as_ref().and_then(|seen| seen.excluded).map(Exclusion::as_str),
        score: seen.as_ref().map_or(0.0, |seen| seen.score),
        health: seen.as_ref().map_or(0.0, |seen| seen.health),
        converts: seen.as_ref().and_then(|seen| seen.converts),
        standing: seen.as_ref().and_then(|seen| seen.standing).map(Standing::as_str),
        news_is_late: flow.channels().judged(&channel.id, flow.clock.now()).is_some_and(|view| view.news_is_late),
        tokens: seen.as_ref().and_then(|seen| seen.tokens),
        share: ratio(view.day_count, paid_today).unwrap_or(0.0),
        in_flight: flow.metrics.in_flight(&channel.id),
        capacity: CapacityDocument {
            max_in_flight: channel.capacity.max_in_flight,
            per_second: channel.capacity.per_second,
        },
        fee_bps: channel.fee_bps,
        amount: AmountDocument { min: channel.amount.min, max: channel.amount.max },
        latency_ms: LatencyDocument {
            mean: seen.as_ref().map(|seen| seen.latency_ms),
            p50: latency.map(|latency| latency.p50_ms),
            p99: latency.map(|latency| latency.p99_ms),
        },
        limits: limits(channel, &view),
        last_errors: view.last_errors.iter().map(error).collect(),
        ordered: flow.override_of(channel).map(OverrideDocument::of),
    }
}

fn limits(channel: &Channel, view: &ChannelView) -> LimitsDocument {
    let limit = &channel.daily_limit;
    LimitsDocument {
        day_amount: view.day_amount,
        day_amount_max: limit.amount,
        day_amount_used: limit.amount.and_then(|max| ratio(view.day_amount, max)),
        day_count: view.day_count,
        day_count_max: limit.count,
        day_count_used: limit.count.and_then(|max| ratio(view.day_count, max)),
    }
}

/// A share in ten-thousandths; nothing of nothing.
fn ratio(part: i64, whole: i64) -> Option<f64> {
    let parts = part.saturating_mul(10_000).checked_div(whole)?;
    Some(f64::from(i32::try_from(parts).unwrap_or(i32::MAX)) / 10_000.0)
}
