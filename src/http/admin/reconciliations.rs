//! `/admin/v1/reconciliations`: the day's end of each channel, asked for, watched, and taken home as a table.
//!
//! Invariants: an order is durable before it is answered with 202; a file that comes in goes to the disk as it comes and
//! no further than its limit. It shows what the store holds and judges nothing.

mod export;
mod upload;

pub(super) use export::{__path_handle_export, handle_export};
pub(super) use upload::{__path_handle_import, handle_import};

use super::{BODY_MAX, Shared};
use crate::clock::rfc3339;
use crate::flow::{AskedDay, Flow, ReconcileRefused};
use crate::http::body;
use crate::http::dto::Page;
use crate::http::problem::{FieldFault, Problem};
use crate::http::query::{Query, parsed};
use crate::http::requests::read_reconciliation;
use crate::ports::{Reconciliation, reconciliation_id};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tongdao_core::day::Day;
use tongdao_core::ids::{ChannelId, ReconciliationId};
use tongdao_core::provider::Tally;
use utoipa::ToSchema;

/// A channel's day.
#[derive(Serialize, ToSchema)]
#[schema(as = Reconciliation)]
pub(super) struct ReconciliationDocument {
    /// `rec_` and a ULID; a channel's day has one for ever.
    id: String,
    channel: String,
    /// The statement's day, in Beijing.
    date: String,
    /// `queued`, `running`, `done` or `failed`.
    status: &'static str,
    started_at: String,
    finished_at: Option<String>,
    /// Our payments less refunds that belong to the day.
    ours: TallyDocument,
    /// The statement's.
    theirs: TallyDocument,
    /// Lines on which both sides agree.
    matched: u64,
    /// Lines whose other side stands on a neighbouring day, or may still come.
    carried_over: u64,
    /// Differences that settled themselves since.
    repaired: u64,
    /// Differences with a name.
    breaks: u64,
    /// The same by kind, with finance's names.
    breaks_by_kind: Vec<KindDocument>,
    /// Theirs less ours, in fen.
    difference: i64,
    /// Why the last run ended early.
    failure: Option<String>,
    /// How far the run is, while it runs.
    progress: Option<ProgressDocument>,
}

/// The differences of one kind.
#[derive(Serialize, ToSchema)]
#[schema(as = ReconciliationBreaks)]
struct KindDocument {
    kind: &'static str,
    /// What finance calls it.
    name_zh: &'static str,
    count: u64,
    /// Theirs less ours, in fen.
    difference: i64,
}

/// A count and a sum.
#[derive(Serialize, ToSchema)]
#[schema(as = Tally)]
struct TallyDocument {
    count: u64,
    /// Fen; refunds are negative.
    amount: i64,
}

/// How far a run is.
#[derive(Serialize, ToSchema)]
#[schema(as = ReconciliationProgress)]
struct ProgressDocument {
    lines: u64,
    of: u64,
}

/// A day to be reconciled.
#[derive(ToSchema)]
#[allow(dead_code)] // A shape for the document: requests are read by `requests`, field by field.
pub(super) struct AskReconciliation {
    channel: String,
    /// The statement's day: `2026-12-01`.
    date: String,
    /// Who asks, for the audit.
    #[schema(max_length = 64)]
    actor: Option<String>,
}

impl ReconciliationDocument {
    fn of(flow: &Flow, one: &Reconciliation) -> Self {
        let books = &one.books;
        let tally = |tally: Tally| TallyDocument { count: tally.count, amount: tally.amount };
        let by_kind = books.breaks.iter().map(|(kind, sides)| KindDocument {
            kind: kind.as_str(),
            name_zh: finance_name(kind.as_str()),
            count: sides.theirs.count.max(sides.ours.count),
            difference: sides.theirs.amount.saturating_sub(sides.ours.amount),
        });
        Self {
            id: one.id.to_string(),
            channel: one.channel.to_string(),
            date: one.day.to_string(),
            status: one.status.as_str(),
            started_at: rfc3339(one.started_at),
            finished_at: one.finished_at.map(rfc3339),
            ours: tally(books.whole.ours),
            theirs: tally(books.whole.theirs),
            matched: books.matched.theirs.count,
            carried_over: books.carried_over.theirs.count.saturating_add(books.carried_over.ours.count),
            repaired: books.repaired,
            breaks: books.broken(),
            breaks_by_kind: by_kind.filter(|one| one.count > 0).collect(),
            difference: books.difference(),
            failure: one.failure.clone(),
            progress: flow.reconciliation_progress(one).map(|(lines, of)| ProgressDocument { lines, of }),
        }
    }
}

/// Reconciliations, the newest day first.
#[utoipa::path(
    get, path = "/admin/v1/reconciliations", tag = "admin",
    params(
        ("channel" = Option<String>, Query, description = "of this channel only"),
        ("date" = Option<String>, Query, description = "this day of the channel only"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 by default"),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of reconciliations", body = Page<ReconciliationDocument>))
)]
pub(super) async fn handle_list(
    State(admin): State<Shared>,
    uri: Uri,
) -> Result<Json<Page<ReconciliationDocument>>, Problem> {
    let mut query = Query::read(&uri)?;
    let channel = query.optional("channel", parsed::<ChannelId>("a channel's id"));
    let day = query.optional("date", parsed::<Day>("a day such as 2026-12-01"));
    let limit = query.limit();
    let before = query.optional("cursor", parsed::<ReconciliationId>("a cursor of this list"));
    query.finish()?;
    let flow = &admin.flow;
    if let (Some(channel), Some(day)) = (&channel, day) {
        let one = flow.store().reconciliation(reconciliation_id(channel, day)).await?;
        let data = one.iter().map(|one| ReconciliationDocument::of(flow, one)).collect();
        return Ok(Json(Page { data, next_cursor: None }));
    }
    if day.is_some() {
        return Err(Problem::InvalidRequest(vec![FieldFault::new("?date", "needs a channel beside it")]));
    }
    let mut found = flow.store().reconciliations(channel.as_ref(), before, limit.saturating_add(1)).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|one| one.id.to_string());
    Ok(Json(Page { data: found.iter().map(|one| ReconciliationDocument::of(flow, one)).collect(), next_cursor }))
}

/// One reconciliation.
#[utoipa::path(
    get, path = "/admin/v1/reconciliations/{id}", tag = "admin",
    params(("id" = String, Path)),
    responses((status = 200, description = "The reconciliation", body = ReconciliationDocument))
)]
pub(super) async fn handle_show(
    State(admin): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<ReconciliationDocument>, Problem> {
    let one = admin.flow.reconciliation(id_of(&id)?).await?;
    Ok(Json(ReconciliationDocument::of(&admin.flow, &one)))
}

/// Reconciles a channel's day now, with the provider's file.
#[utoipa::path(
    post, path = "/admin/v1/reconciliations", tag = "admin",
    request_body = AskReconciliation,
    responses((status = 202, description = "It is queued", body = ReconciliationDocument))
)]
pub(super) async fn handle_ask(
    State(admin): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let asked = read_reconciliation(&body::read(&headers, body, BODY_MAX).await?)?;
    let actor = asked.actor.unwrap_or_else(|| "admin API".to_owned());
    ask(&admin, AskedDay { channel: asked.channel, day: asked.day, actor, file: None }).await
}

async fn ask(admin: &Shared, asked: AskedDay) -> Result<Response, Problem> {
    let flow = admin.flow.clone();
    let work = async move { flow.ask_reconciliation(asked).await.map_err(refused) };
    let one = admin.to_the_end(work).await?;
    Ok((StatusCode::ACCEPTED, Json(ReconciliationDocument::of(&admin.flow, &one))).into_response())
}

/// What finance calls a difference.
fn finance_name(kind: &str) -> &'static str {
    match kind {
        "missing_here" => "平台漏单",
        "missing_there" => "渠道漏单",
        "amount_differs" => "金额不符",
        "fee_differs" => "手续费差异",
        "status_differs" => "状态不符",
        "duplicate" => "重复支付",
        "undelivered" | "undeliverable" => "已付未发放",
        "refund_differs" => "退款不符",
        "delivered_after_refund" => "退款后发放",
        _ => "其他差异",
    }
}

fn id_of(text: &str) -> Result<ReconciliationId, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}

fn refused(why: ReconcileRefused) -> Problem {
    let pointer = match &why {
        ReconcileRefused::UnknownChannel | ReconcileRefused::NoStatements => "/channel",
        ReconcileRefused::NotOver => "/date",
        ReconcileRefused::Store(error) => return error.clone().into(),
    };
    Problem::InvalidRequest(vec![FieldFault::new(pointer, why.to_string())])
}
