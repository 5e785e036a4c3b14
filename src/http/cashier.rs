//! The page that a payer sees: plain HTML that refreshes itself.
//!
//! Invariants: whoever has the token (128 random bits) sees this one charge and nothing else of the merchant; every text
//! is escaped; nothing is fetched from anywhere; a code is shown only while it can be paid, and once paid the page says
//! so and never asks for a second payment.

mod page;
mod qr;

use super::{Api, PathPart};
use crate::ports::Reference;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use tongdao_core::charge::Charge;

const TOKEN_CHARS: usize = 32;

/// The payer's page of a charge.
#[utoipa::path(
    get, path = "/pay/{token}", tag = "payers", params(("token" = String, Path)),
    responses(
        (status = 200, description = "The page", content_type = "text/html"),
        (status = 404, description = "No such charge", content_type = "text/html"),
    )
)]
pub(super) async fn handle_page(State(api): State<Api>, PathPart(token): PathPart) -> Response {
    match find(&api, &token).await {
        Ok(Some(charge)) => {
            let config = api.flow.config();
            let merchant = config.merchant(&charge.merchant).map_or("", |merchant| merchant.name.as_str());
            dressed(StatusCode::OK, page::of_charge(&charge, merchant, api.flow.clock.now()))
        }
        Ok(None) => dressed(StatusCode::NOT_FOUND, page::of_nothing("找不到该订单")),
        Err(()) => dressed(StatusCode::SERVICE_UNAVAILABLE, page::of_nothing("系统繁忙，请稍后刷新本页")),
    }
}

async fn find(api: &Api, token: &str) -> Result<Option<Charge>, ()> {
    let sane = token.len() == TOKEN_CHARS && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !sane {
        return Ok(None);
    }
    let failed = |error: crate::flow::FlowError| tracing::warn!(%error, "a payer's page could not be read");
    let owner = api.flow.store().find(&Reference::Token(token.to_owned())).await;
    let Some(owner) = owner.map_err(|error| failed(error.into()))? else { return Ok(None) };
    api.flow.charge(owner.charge()).await.map(Some).map_err(failed)
}

fn dressed(status: StatusCode, page: String) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action https: http:; base-uri 'none'; frame-ancestors 'none'",
        page::style_hash()
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    (status, headers, Html(page)).into_response()
}
