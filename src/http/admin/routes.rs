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

/// A decision that was not taken.
#[derive(Serialize)]
pub(super) struct ExplainedDocument {
    /// The channel that would be tried first.
    channel: Option<String>,
    #[serde(flatten)]
    route: RouteDocument,
}

pub(super) async fn handle_explain(
    State(admin): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ExplainedDocument>, Problem> {
    let bytes = body::read(&headers, body, BODY_MAX).await?;
    let Explaining { amount, scene, payer, channel } = read_explain(&bytes, &admin.flow.config())?;
    let wanted = Wanted { amount, scene, payer: &payer, pin: channel.as_ref(), provider: None, tried: &[] };
    let decision = admin.flow.decide(&wanted);
    let channel = decision.channel.as_ref().map(ToString::to_string);
    Ok(Json(ExplainedDocument { channel, route: RouteDocument::of(&decision) }))
}
