//! Many charges in one call.
//!
//! Invariant: each charge has its own outcome, in the order of the request, and none depends on another; a batch costs a
//! merchant as much of its budget as its charges one by one.

use super::Api;
use super::auth::Signed;
use super::charge_document::ChargeDocument;
use super::charges::{open, read_one};
use super::dto::{BatchDocument, BatchOutcome};
use super::problem::Problem;
use super::requests::read_batch;
use crate::flow::OpenCharge;
use crate::metrics::RatePolicy;
use crate::request_scope::current_id;
use axum::Json;
use axum::extract::State;
use futures_util::{StreamExt as _, stream};

/// Charges that are opened at once.
const AT_ONCE: usize = 8;

/// Opens up to 100 charges.
#[utoipa::path(
    post, path = "/v1/charges/batch", tag = "charges", request_body = super::openapi::OpenBatch,
    responses((status = 200, description = "What came of each, in order", body = BatchDocument))
)]
pub(super) async fn handle_batch(State(api): State<Api>, signed: Signed) -> Result<Json<BatchDocument>, Problem> {
    let charges = read_batch(&signed.body)?;
    take_budget(&api, &signed, charges.len())?;
    let asked: Vec<Result<OpenCharge, Problem>> = charges
        .iter()
        .enumerate()
        .map(|(index, raw)| read_one(&api, &signed.merchant, raw, &format!("/charges/{index}")))
        .collect();
    let outcomes = stream::iter(asked).map(|asked| outcome(&api, asked)).buffered(AT_ONCE);
    Ok(Json(BatchDocument { data: outcomes.collect().await }))
}

async fn outcome(api: &Api, asked: Result<OpenCharge, Problem>) -> BatchOutcome {
    let opened = match asked {
        Ok(asked) => open(api, asked).await,
        Err(problem) => Err(problem),
    };
    match opened {
        Ok(opened) => BatchOutcome::Charge(Box::new(ChargeDocument::of(&opened.charge, &api.public_url()))),
        Err(problem) => BatchOutcome::Problem(Box::new(problem.document(&current_id()))),
    }
}

/// The first charge was paid for when the call was let in.
fn take_budget(api: &Api, signed: &Signed, charges: usize) -> Result<(), Problem> {
    let config = api.flow.config();
    let limit = config.merchant(&signed.merchant).map(|merchant| merchant.rate_limit);
    let more = u32::try_from(charges.saturating_sub(1)).unwrap_or(u32::MAX);
    let Some(limit) = limit else { return Ok(()) };
    api.limits.take(&signed.merchant, limit, more).map_err(|over| {
        api.flow.metrics.rate_limited(RatePolicy::Merchant);
        Problem::RateLimited(over)
    })
}
