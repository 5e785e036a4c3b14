//! Money back, on the merchant's order.
//!
//! Invariant: a refund is shown to the merchant of its charge and to nobody else.

use super::auth::Signed;
use super::charges::{count, created};
use super::dto::{Page, RefundDocument};
use super::problem::Problem;
use super::query::{Query, parsed};
use super::requests::read_refund;
use super::{Api, PathPart};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use tongdao_core::charge::Charge;
use tongdao_core::ids::{ChargeId, RefundId};

/// Orders a refund of the payment that counts.
#[utoipa::path(
    post, path = "/v1/charges/{id}/refunds", tag = "refunds", params(("id" = String, Path)),
    request_body = super::openapi::OpenRefund,
    responses(
        (status = 201, description = "A new refund", body = RefundDocument),
        (status = 200, description = "A repeat; Idempotent-Replayed is true", body = RefundDocument),
    )
)]
pub(super) async fn handle_open(
    State(api): State<Api>,
    PathPart(id): PathPart,
    signed: Signed,
) -> Result<Response, Problem> {
    let charge = api.own_charge(&signed.merchant, &id).await?;
    let asked = read_refund(&signed.body, charge.id)?;
    let flow = api.flow.clone();
    let outcome = api.finish("open refund", async move { flow.open_refund(asked).await }).await;
    count(&api, outcome.as_ref().map(|opened| opened.replayed));
    let opened = outcome?;
    Ok(created(&document(&opened.charge, opened.refund)?, opened.replayed))
}

/// A refund.
#[utoipa::path(
    get, path = "/v1/refunds/{id}", tag = "refunds", params(("id" = String, Path)),
    responses((status = 200, description = "The refund", body = RefundDocument))
)]
pub(super) async fn handle_show(
    State(api): State<Api>,
    PathPart(id): PathPart,
    signed: Signed,
) -> Result<Json<RefundDocument>, Problem> {
    let id: RefundId = id.parse().map_err(|_| Problem::NotFound)?;
    let charge = api.flow.charge_of_refund(id).await?;
    if charge.merchant != signed.merchant {
        return Err(Problem::NotFound);
    }
    document(&charge, id).map(Json)
}

/// The refunds of a charge, oldest first.
#[utoipa::path(
    get, path = "/v1/refunds", tag = "refunds",
    params(("charge" = String, Query), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "One page", body = Page<RefundDocument>))
)]
pub(super) async fn handle_list(
    State(api): State<Api>,
    uri: Uri,
    signed: Signed,
) -> Result<Json<Page<RefundDocument>>, Problem> {
    let mut query = Query::read(&uri)?;
    let id = query.required("charge", parsed::<ChargeId>("a charge's id"));
    let cursor = query.optional("cursor", parsed::<RefundId>("a cursor of this list"));
    let limit = query.limit();
    query.finish()?;
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    let charge = api.own_charge(&signed.merchant, &id).await?;
    Ok(Json(page(&charge, cursor, limit)))
}

fn page(charge: &Charge, cursor: Option<RefundId>, limit: usize) -> Page<RefundDocument> {
    let seen = cursor.and_then(|cursor| charge.refunds.iter().position(|refund| refund.id == cursor));
    let rest = charge.refunds.iter().skip(seen.map_or(0, |seen| seen.saturating_add(1)));
    let shown: Vec<_> = rest.clone().take(limit).collect();
    let more = rest.count() > limit;
    Page {
        data: shown.iter().map(|refund| RefundDocument::of(charge, refund)).collect(),
        next_cursor: shown.last().filter(|_| more).map(|refund| refund.id.to_string()),
    }
}

fn document(charge: &Charge, id: RefundId) -> Result<RefundDocument, Problem> {
    charge.refund(id).map(|refund| RefundDocument::of(charge, refund)).ok_or(Problem::NotFound)
}
