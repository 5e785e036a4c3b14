//! `GET /admin/v1/audit`: every operator's order and every change of the configuration.
//!
//! Invariant: an entry is never changed and never missing; what is here holds, or held until it ended.

use super::Shared;
use crate::clock::rfc3339;
use crate::flow::AuditEntry;
use crate::http::dto::Page;
use crate::http::problem::Problem;
use crate::http::query::{Query, parsed};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

/// Who changed what, when, why and until when.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct AuditDocument {
    /// Rises by one with each entry.
    number: u64,
    at: String,
    actor: String,
    /// `drain`, `force`, `restore`, `reload`, or `propose` and `resolve` with the decision over a break.
    action: String,
    /// A channel or provider; for a reload the configuration's name; for a decision the break.
    target: String,
    reason: String,
    /// Null for what has no end.
    until: Option<String>,
    #[serde(rename = "override")]
    override_id: Option<String>,
    /// What it came to.
    detail: String,
}

/// The audit, newest first.
#[utoipa::path(
    get, path = "/admin/v1/audit", tag = "admin",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 by default"),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of entries", body = Page<AuditDocument>))
)]
pub(super) async fn handle_list(State(admin): State<Shared>, uri: Uri) -> Result<Json<Page<AuditDocument>>, Problem> {
    let mut query = Query::read(&uri)?;
    let limit = query.limit();
    let before = query.optional("cursor", parsed::<u64>("a cursor of this list"));
    query.finish()?;
    let newest = before.map(|before| before.saturating_sub(1));
    let page = admin.flow.audit_page(newest, limit).await?;
    let next_cursor = page.entries.last().filter(|_| page.more).map(|(number, _)| number.to_string());
    let documents = page.entries.into_iter().map(|(number, entry)| document(number, entry));
    Ok(Json(Page { data: documents.collect(), next_cursor }))
}

fn document(number: u64, entry: AuditEntry) -> AuditDocument {
    AuditDocument {
        number,
        at: rfc3339(entry.at),
        actor: entry.actor,
        action: entry.action,
        target: entry.target,
        reason: entry.reason,
        until: entry.until.map(rfc3339),
        override_id: entry.override_id.map(|id| id.to_string()),
        detail: entry.detail,
    }
}
