//! One charge: open it, look at it, end it, ask about it, report on its delivery.
//!
//! Invariant: whoever asks has signed, and the charge is its own, before a flow hears of it.

use super::auth::Signed;
use super::charge_document::ChargeDocument;
use super::problem::{Code, Problem};
use super::requests::{Asker, idempotency_key, read_charge, read_delivery, read_nothing};
use super::{Api, PathPart, json};
use crate::flow::{FlowError, OpenCharge, Opened};
use crate::metrics::Idempotency;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use std::future::Future;
use std::sync::Arc;
use tongdao_core::charge::Charge;
use tongdao_core::ids::{ChargeId, MerchantId};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Opens a charge, or answers a repeat with the charge as it is now.
#[utoipa::path(
    post, path = "/v1/charges", tag = "charges", request_body = super::openapi::OpenCharge,
    params(("Idempotency-Key" = Option<String>, Header, description = "Quoted or bare, at most 255 characters")),
    responses(
        (status = 201, description = "A new charge", body = ChargeDocument),
        (status = 200, description = "A repeat; Idempotent-Replayed is true", body = ChargeDocument),
    )
)]
pub(super) async fn handle_open(
    State(api): State<Api>,
    headers: HeaderMap,
    signed: Signed,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let asked = read_one(&api, &signed.merchant, json::parse(&signed.body)?, "")?;
    let opened = open(&api, OpenCharge { idempotency_key: key, ..asked }).await?;
    Ok(created(&ChargeDocument::of(&opened.charge, &api.public_url()), opened.replayed))
}

/// A charge.
#[utoipa::path(
    get, path = "/v1/charges/{id}", tag = "charges", params(("id" = String, Path)),
    responses((status = 200, description = "The charge", body = ChargeDocument))
)]
pub(super) async fn handle_show(
    State(api): State<Api>,
    PathPart(id): PathPart,
    signed: Signed,
) -> Result<Json<ChargeDocument>, Problem> {
    let charge = api.own_charge(&signed.merchant, &id).await?;
    Ok(shown(&api, &charge))
}

/// Ends an unpaid charge.
#[utoipa::path(
    post, path = "/v1/charges/{id}/close", tag = "charges", params(("id" = String, Path)),
    responses((status = 200, description = "Closed, or paid if the money was already in", body = ChargeDocument))
)]
pub(super) async fn handle_close(
    State(api): State<Api>,
    PathPart(id): PathPart,
    signed: Signed,
) -> Result<Json<ChargeDocument>, Problem> {
    read_nothing(&signed.body)?;
    let charge = api.own_charge(&signed.merchant, &id).await?;
    let flow = api.flow.clone();
    changed(&api, "close", async move { flow.close(charge.id).await }).await
}

/// Asks the providers about a charge now.
#[utoipa::path(
    post, path = "/v1/charges/{id}/sync", tag = "charges", params(("id" = String, Path)),
    responses((status = 200, description = "The charge after its providers were asked", body = ChargeDocument))
)]
pub(super) async fn handle_sync(
    State(api): State<Api>,
    PathPart(id): PathPart,
    signed: Signed,
) -> Result<Json<ChargeDocument>, Problem> {
    read_nothing(&signed.body)?;
    let charge = api.own_charge(&signed.merchant, &id).await?;
    let flow = api.flow.clone();
    changed(&api, "sync", async move { flow.sync(charge.id).await }).await
}

/// Reports that the goods were handed over, or cannot be.
#[utoipa::path(
    post, path = "/v1/charges/{id}/delivery", tag = "charges", params(("id" = String, Path)),
    request_body = super::openapi::ReportDelivery,
    responses((status = 200, description = "The charge", body = ChargeDocument))
)]
pub(super) async fn handle_delivery(
    State(api): State<Api>,
    PathPart(id): PathPart,
    signed: Signed,
) -> Result<Json<ChargeDocument>, Problem> {
    let charge = api.own_charge(&signed.merchant, &id).await?;
    let report = read_delivery(&signed.body)?;
    let flow = api.flow.clone();
    changed(&api, "delivery report", async move { flow.report_delivery(charge.id, report).await }).await
}

/// Sends `charge.paid` again now.
#[utoipa::path(
    post, path = "/v1/charges/{id}/notify", tag = "charges", params(("id" = String, Path)),
    responses((status = 200, description = "The charge; the webhook is on its way", body = ChargeDocument))
)]
pub(super) async fn handle_notify(
    State(api): State<Api>,
    PathPart(id): PathPart,
    signed: Signed,
) -> Result<Json<ChargeDocument>, Problem> {
    read_nothing(&signed.body)?;
    let charge = api.own_charge(&signed.merchant, &id).await?;
    let flow = api.flow.clone();
    changed(&api, "notify", async move { flow.notify(charge.id).await }).await
}

/// Reads one charge of a body and gives it its id and token.
pub(super) fn read_one(api: &Api, merchant: &MerchantId, raw: &RawValue, at: &str) -> Result<OpenCharge, Problem> {
    let config = api.flow.config();
    // A reload may have taken the merchant away since the signature was checked.
    let merchant = config.merchant(merchant).ok_or(Problem::Unauthenticated)?;
    let id = ChargeId::new(api.flow.clock.now(), api.flow.rng.draw());
    let token = format!("{:032x}", api.flow.rng.draw());
    let (new, request_hash) = read_charge(raw, at, Asker { config: &config, merchant, id, token })?;
    Ok(OpenCharge { new, request_hash, idempotency_key: None })
}

/// Opens a charge and counts what it turned out to be.
pub(super) async fn open(api: &Api, asked: OpenCharge) -> Result<Opened, Problem> {
    let flow: Arc<_> = api.flow.clone();
    let outcome = api.finish("open charge", async move { flow.open_charge(asked).await }).await;
    count(api, outcome.as_ref().map(|opened| opened.replayed));
    outcome
}

/// Counts a creating request.
pub(super) fn count(api: &Api, outcome: Result<bool, &Problem>) {
    let result = match outcome.map_err(Problem::code) {
        Ok(true) => Idempotency::Replayed,
        Ok(false) | Err(Code::NoChannelAvailable | Code::ChannelRejected) => Idempotency::New,
        Err(Code::IdempotencyConflict) => Idempotency::Conflict,
        Err(Code::RequestInProgress) => Idempotency::InProgress,
        // Refused for another reason: it was never looked up.
        Err(_) => return,
    };
    api.flow.metrics.idempotency(result);
}

/// 201, or 200 with the mark of a repeat.
pub(super) fn created(document: &impl serde::Serialize, replayed: bool) -> Response {
    let status = if replayed { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = (status, Json(document)).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn shown(api: &Api, charge: &Charge) -> Json<ChargeDocument> {
    Json(ChargeDocument::of(charge, &api.public_url()))
}

async fn changed(
    api: &Api,
    name: &'static str,
    work: impl Future<Output = Result<Charge, FlowError>> + Send + 'static,
) -> Result<Json<ChargeDocument>, Problem> {
    let charge = api.finish(name, work).await?;
    Ok(shown(api, &charge))
}
