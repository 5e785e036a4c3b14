//! `GET /admin/v1/breaks`: the differences that have a name and wait for a person.
//!
//! Invariant: a filter never hides the end of the list: pages go on until the store has no more.

use super::Shared;
use super::body::{self, Asked};
use crate::clock::rfc3339;
use crate::http::problem::Problem;
use crate::ports::{Break, BreakStatus};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tongdao_core::ids::BreakId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    status: Option<BreakStatus>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Breaks read from the store at once.
const READ_AT_ONCE: usize = 200;

pub(super) async fn handle_list(State(admin): State<Shared>, Asked(asked): Asked<Filter>) -> Result<Response, Problem> {
    let limit = body::limit(asked.limit)?;
    let mut before: Option<BreakId> = body::cursor(asked.cursor.as_deref())?;
    let mut found: Vec<Break> = Vec::new();
    loop {
        let read = admin.flow.store().breaks(before, READ_AT_ONCE).await?;
        let last = read.len() < READ_AT_ONCE;
        before = read.last().map(|one| one.id).or(before);
        found.extend(read.into_iter().filter(|one| asked.status.is_none_or(|status| one.status == status)));
        if last || found.len() > limit {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|one| one.id.to_string());
    Ok(body::page(found.iter().map(document).collect(), next))
}

fn document(one: &Break) -> Value {
    let status = match one.status {
        BreakStatus::Open => "open",
        BreakStatus::Resolved => "resolved",
        BreakStatus::Repaired => "repaired",
    };
    json!({
        "id": one.id.to_string(),
        "kind": one.kind.as_str(),
        "status": status,
        "channel": one.channel.as_ref().map(tongdao_core::ids::ChannelId::as_str),
        "charge": one.charge.map(|id| id.to_string()),
        "attempt": one.attempt.map(|id| id.to_string()),
        "merchant_order_no": one.merchant_order_no,
        "provider_order_no": one.provider_order_no,
        "provider_trade_no": one.provider_trade_no,
        "amount": one.amount.amount,
        "currency": one.amount.currency.as_str(),
        "opened_at": rfc3339(one.opened_at),
        "resolved_at": one.resolved_at.map(rfc3339),
        "resolution": one.resolution,
        "actor": one.actor,
        "evidence": one.evidence,
    })
}
