//! `POST /admin/v1/routes/explain`: the decision that would be taken now, with every candidate.
//!
//! Invariant: it reserves nothing, sends nothing and counts as no decision.

use super::{BODY_MAX, Shared};
use crate::flow::Wanted;
use crate::http::body;
use crate::http::charge_document::RouteDocument;
use crate::http::problem::Problem;
use crate::http::requests::{Explaining, read_explain};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

/// A decision that was not taken.
#[derive(Serialize, ToSchema)]
#[schema(as = Explained)]
pub(super) struct ExplainedDocument {
    /// The channel that would be tried first.
    channel: Option<String>,
    #[serde(flatten)]
    route: RouteDocument,
}

/// A charge whose route is in question.
#[derive(ToSchema)]
#[allow(dead_code)] // A shape for the document: requests are read by `requests`, field by field.
pub(super) struct AskExplain {
    /// Minor units.
    #[schema(minimum = 1, maximum = 10_000_000_000_i64)]
    amount: i64,
    #[schema(default = "CNY")]
    currency: Option<String>,
    scene: Option<crate::http::words::Scene>,
    payer: Option<crate::http::openapi::OpenChargePayer>,
    /// That channel alone.
    channel: Option<String>,
}

/// The decision that would be taken now.
#[utoipa::path(
    post, path = "/admin/v1/routes/explain", tag = "admin",
    request_body = AskExplain,
    responses((status = 200, description = "The decision with every candidate", body = ExplainedDocument))
)]
pub(super) async fn handle_explain(
    State(admin): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ExplainedDocument>, Problem> {
    let bytes = body::read(&headers, body, BODY_MAX).await?;
    let Explaining { amount, scene, payer, channel } = read_explain(&bytes, &admin.flow.config())?;
    let wanted =
        Wanted { amount, scene, payer: &payer, merchant: None, pin: channel.as_ref(), provider: None, tried: &[] };
    let decision = admin.flow.decide(&wanted);
    let channel = decision.channel.as_ref().map(ToString::to_string);
    Ok(Json(ExplainedDocument { channel, route: RouteDocument::of(&decision) }))
}
