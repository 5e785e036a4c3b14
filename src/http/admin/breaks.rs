//! `GET /admin/v1/breaks`: the differences that have a name and wait for a person.
//!
//! Invariant: a filter never hides the end of the list: pages go on until the store has no more.

use super::Shared;
use crate::clock::rfc3339;
use crate::http::dto::Page;
use crate::http::problem::Problem;
use crate::http::query::{Query, one_of, parsed};
use crate::ports::{Break, BreakStatus};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use tongdao_core::ids::BreakId;
use utoipa::ToSchema;

/// A difference that was found.
#[derive(Serialize, ToSchema)]
#[schema(as = Break)]
pub(super) struct BreakDocument {
    id: String,
    kind: &'static str,
    status: &'static str,
    channel: Option<String>,
    charge: Option<String>,
    attempt: Option<String>,
    merchant_order_no: Option<String>,
    provider_order_no: Option<String>,
    provider_trade_no: Option<String>,
    amount: i64,
    currency: String,
    opened_at: String,
    resolved_at: Option<String>,
    resolution: Option<String>,
    actor: Option<String>,
    evidence: String,
}

/// Breaks read from the store at once.
const READ_AT_ONCE: usize = 200;

const STATUSES: &[(&str, BreakStatus)] =
    &[("open", BreakStatus::Open), ("resolved", BreakStatus::Resolved), ("repaired", BreakStatus::Repaired)];

/// Breaks, newest first.
#[utoipa::path(
    get, path = "/admin/v1/breaks", tag = "admin",
    params(
        ("status" = Option<String>, Query, description = "`open`, `resolved` or `repaired`"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 by default"),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of breaks", body = Page<BreakDocument>))
)]
pub(super) async fn handle_list(State(admin): State<Shared>, uri: Uri) -> Result<Json<Page<BreakDocument>>, Problem> {
    let mut query = Query::read(&uri)?;
    let status = query.optional("status", one_of(STATUSES));
    let limit = query.limit();
    let mut before = query.optional("cursor", parsed::<BreakId>("a cursor of this list"));
    query.finish()?;
    let mut found: Vec<Break> = Vec::new();
    loop {
        let read = admin.flow.store().breaks(before, READ_AT_ONCE).await?;
        let last = read.len() < READ_AT_ONCE;
        before = read.last().map(|one| one.id).or(before);
        found.extend(read.into_iter().filter(|one| status.is_none_or(|status| one.status == status)));
        if last || found.len() > limit {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|one| one.id.to_string());
    Ok(Json(Page { data: found.into_iter().map(document).collect(), next_cursor }))
}

fn document(one: Break) -> BreakDocument {
    let status = STATUSES.iter().find(|(_, status)| *status == one.status).map_or("open", |(word, _)| *word);
    BreakDocument {
        id: one.id.to_string(),
        kind: one.kind.as_str(),
        status,
        channel: one.channel.map(|id| id.to_string()),
        charge: one.charge.map(|id| id.to_string()),
        attempt: one.attempt.map(|id| id.to_string()),
        merchant_order_no: one.merchant_order_no,
        provider_order_no: one.provider_order_no,
        provider_trade_no: one.provider_trade_no,
        amount: one.amount.amount,
        currency: one.amount.currency.to_string(),
        opened_at: rfc3339(one.opened_at),
        resolved_at: one.resolved_at.map(rfc3339),
        resolution: one.resolution,
        actor: one.actor,
        evidence: one.evidence,
    }
}
