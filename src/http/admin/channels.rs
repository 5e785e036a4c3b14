//! `GET /admin/v1/channels`: how every channel stands.
//!
//! Invariant: the score shown is the one that the router would give the channel now, for the smallest sum that it
//! takes in its first scene and a payer who can pay any way.

use super::Shared;
use crate::clock::rfc3339;
use crate::config::Channel;
use crate::flow::Flow;
use crate::http::dto::Page;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

pub(super) async fn handle_list(State(admin): State<Shared>) -> Json<Page<Value>> {
    Json(Page { data: documents(&admin.flow), next_cursor: None })
}

/// Every channel as the API shows it.
pub(super) fn documents(flow: &Flow) -> Vec<Value> {
    let config = flow.config();
    let now = flow.clock.now();
    let counts = config.channels.iter().map(|channel| flow.channels().view(&channel.id, now).day_count);
    let paid_today = counts.fold(0_i64, i64::saturating_add);
    config.channels.iter().map(|channel| document(flow, channel, paid_today)).collect()
}

fn document(flow: &Flow, channel: &Channel, paid_today: i64) -> Value {
    let view = flow.channels().view(&channel.id, flow.clock.now());
    let seen = flow.seen(channel);
    let latency = flow.metrics.create_latency(&channel.id);
    let limit = &channel.daily_limit;
    let errors = view.last_errors.iter().map(|(at, detail)| json!({ "at": rfc3339(*at), "detail": detail }));
    let scenes: Vec<&str> = channel.scenes.iter().map(|scene| scene.as_str()).collect();
    json!({
        "id": channel.id.as_str(),
        "provider": channel.provider_id.as_str(),
        "account": channel.provider.account(),
        "enabled": channel.enabled,
        "scenes": scenes,
        "state": flow.channel_state(&channel.id).as_str(),
        "excluded": seen.as_ref().and_then(|seen| seen.excluded).map(|reason| reason.as_str()),
        "score": seen.as_ref().map_or(0.0, |seen| seen.score),
        "health": seen.as_ref().map_or(0.0, |seen| seen.health),
        "share": ratio(view.day_count, paid_today).unwrap_or(0.0),
        "in_flight": flow.metrics.in_flight(&channel.id),
        "capacity": { "max_in_flight": channel.capacity.max_in_flight, "per_second": channel.capacity.per_second },
        "fee_bps": channel.fee_bps,
        "amount": { "min": channel.amount.min, "max": channel.amount.max },
        "latency_ms": {
            "mean": seen.as_ref().map(|seen| seen.latency_ms),
            "p50": latency.map(|latency| latency.p50_ms),
            "p99": latency.map(|latency| latency.p99_ms),
        },
        "limits": {
            "day_amount": view.day_amount,
            "day_amount_max": limit.amount,
            "day_amount_used": limit.amount.and_then(|max| ratio(view.day_amount, max)),
            "day_count": view.day_count,
            "day_count_max": limit.count,
            "day_count_used": limit.count.and_then(|max| ratio(view.day_count, max)),
        },
        "last_errors": errors.collect::<Vec<_>>(),
        "override": null,
    })
}

/// A share in ten-thousandths; nothing of nothing.
fn ratio(part: i64, whole: i64) -> Option<f64> {
    let parts = part.saturating_mul(10_000).checked_div(whole)?;
    Some(f64::from(i32::try_from(parts).unwrap_or(i32::MAX)) / 10_000.0)
}
