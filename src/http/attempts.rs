//! A payer tries again, perhaps another way.
//!
//! Invariant: a new attempt is 201, an unchanged charge 200; whether one may open is the flow's business.

use super::auth::Signed;
use super::charge_document::ChargeDocument;
use super::problem::Problem;
use super::requests::{idempotency_key, read_attempt};
use super::{Api, PathPart};
use crate::flow::Retried;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

/// Opens a new attempt once the earlier one's end is proved, or as the merchant's policy says.
#[utoipa::path(
    post, path = "/v1/charges/{id}/attempts", tag = "charges", params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Without one, a second call within 3 s is 409"),
    ),
    request_body = super::openapi::OpenAttempt,
    responses(
        (status = 201, description = "The charge with a new attempt", body = ChargeDocument),
        (status = 200, description = "No new attempt: it is paid, or this call was made before", body = ChargeDocument),
    )
)]
pub(super) async fn handle_retry(
    State(api): State<Api>,
    PathPart(id): PathPart,
    headers: HeaderMap,
    signed: Signed,
) -> Result<(StatusCode, Json<ChargeDocument>), Problem> {
    let charge = api.own_charge(&signed.merchant, &id).await?;
    let ask = read_attempt(&signed.body, charge.id, idempotency_key(&headers)?, &api.flow.config())?;
    let flow = api.flow.clone();
    let retried = api.finish("retry", async move { flow.retry(charge.id, ask).await }).await?;
    let (status, charge) = match &retried {
        Retried::Opened(charge) => (StatusCode::CREATED, charge),
        Retried::Unchanged(charge) => (StatusCode::OK, charge),
    };
    Ok((status, super::charges::shown(&api, charge)))
}
