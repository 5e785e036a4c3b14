//! The differences that have a name and wait for a person, and what a person decides about them.
//!
//! Invariants: a filter never hides the end of the list: pages go on until the store has no more. A decision is read
//! strictly and carried out by a flow; a dry run changes nothing and says what would follow.

use super::{BODY_MAX, Shared};
use crate::clock::rfc3339;
use crate::flow::{Foretold, Proposal, Resolved};
use crate::http::body;
use crate::http::dto::Page;
use crate::http::problem::Problem;
use crate::http::query::{Query, one_of, parsed};
use crate::http::requests::{ResolveAsk, read_resolve};
use crate::ports::{Break, BreakStatus};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
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

/// A decision that waits for a second person.
#[derive(Serialize, ToSchema)]
#[schema(as = Proposal)]
struct ProposalDocument {
    resolution: &'static str,
    actor: String,
    note: String,
    at: String,
}

/// A break with what was proposed about it.
#[derive(Serialize, ToSchema)]
#[schema(as = BreakInDetail)]
pub(super) struct DetailDocument {
    #[serde(flatten)]
    breach: BreakDocument,
    /// A decision that waits for a second person.
    proposal: Option<ProposalDocument>,
}

/// A decision that was taken down and waits for a second person.
#[derive(Serialize, ToSchema)]
#[schema(as = AwaitingBreak)]
pub(super) struct AwaitingDocument {
    #[serde(flatten)]
    breach: BreakDocument,
    /// Always `awaiting confirmation`.
    state: &'static str,
    proposal: ProposalDocument,
}

/// What would come of a decision.
#[derive(Serialize, ToSchema)]
#[schema(as = ResolveDryRun)]
pub(super) struct ForetoldDocument {
    /// Always true.
    dry_run: bool,
    #[serde(rename = "break")]
    breach: BreakDocument,
    resolution: &'static str,
    /// What would happen, a sentence each.
    follows: Vec<String>,
    /// The decisions that are possible now.
    fitting: Vec<&'static str>,
    /// Whether it would wait for a second person.
    awaits_second: bool,
    proposal: Option<ProposalDocument>,
}

/// A decision.
#[derive(ToSchema)]
#[allow(dead_code)] // A shape for the document: requests are read by `requests`, field by field.
pub(super) struct ResolveBreak {
    /// `deliver`, `refund`, `accept` or `write_off`.
    resolution: String,
    #[schema(max_length = 64)]
    actor: String,
    #[schema(max_length = 200)]
    note: String,
    /// Answer with what would follow and change nothing.
    #[schema(default = false)]
    dry_run: Option<bool>,
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

/// A break.
#[utoipa::path(
    get, path = "/admin/v1/breaks/{id}", tag = "admin",
    params(("id" = String, Path)),
    responses((status = 200, description = "The break", body = DetailDocument))
)]
pub(super) async fn handle_show(
    State(admin): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<DetailDocument>, Problem> {
    let id: BreakId = id.parse().map_err(|_| Problem::NotFound)?;
    let breach = admin.flow.store().find_break(id).await?.ok_or(Problem::NotFound)?;
    let proposal = admin.flow.proposal(&breach).await?.map(proposed);
    Ok(Json(DetailDocument { breach: document(breach), proposal }))
}

/// Decides over a break: the goods go out, the money goes back, or the matter is closed.
#[utoipa::path(
    post, path = "/admin/v1/breaks/{id}/resolve", tag = "admin",
    params(("id" = String, Path)),
    request_body = ResolveBreak,
    responses(
        (status = 200, description = "It was carried out; a repeat answers the same", body = BreakDocument),
        (status = 202, description = "Much is at stake: a second person has to say the same", body = AwaitingDocument),
    )
)]
pub(super) async fn handle_resolve(
    State(admin): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let id: BreakId = id.parse().map_err(|_| Problem::NotFound)?;
    let ResolveAsk { decision, dry_run } = read_resolve(&body::read(&headers, body, BODY_MAX).await?, id)?;
    if dry_run {
        let foretold = admin.flow.foretell(&decision).await?;
        return Ok(Json(told(foretold, decision.resolution.as_str())).into_response());
    }
    let flow = admin.flow.clone();
    let resolved = admin.to_the_end(async move { Ok(flow.resolve_break(decision).await?) }).await?;
    Ok(match resolved {
        Resolved::Done(breach) => Json(document(breach)).into_response(),
        Resolved::Awaiting(breach, proposal) => {
            let state = "awaiting confirmation";
            let waiting = AwaitingDocument { breach: document(breach), state, proposal: proposed(proposal) };
            (StatusCode::ACCEPTED, Json(waiting)).into_response()
        }
    })
}

fn told(foretold: Foretold, resolution: &'static str) -> ForetoldDocument {
    ForetoldDocument {
        dry_run: true,
        breach: document(foretold.breach),
        resolution,
        follows: foretold.follows,
        fitting: foretold.fitting.iter().map(|fits| fits.as_str()).collect(),
        awaits_second: foretold.awaits_second,
        proposal: foretold.proposal.map(proposed),
    }
}

fn proposed(proposal: Proposal) -> ProposalDocument {
    let Proposal { resolution, actor, note, at } = proposal;
    ProposalDocument { resolution: resolution.as_str(), actor, note, at: rfc3339(at) }
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
