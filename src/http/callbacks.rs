//! Providers call back.
//!
//! Invariant: headers, query and body reach the provider's reader as they came, since the signature covers them; the
//! answer is the provider's own; nothing about the caller (address, host, forwarding headers) is ever believed.

use super::problem::Problem;
use super::{Api, PathPart, body};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::{CallbackRequest, HttpReply};

/// Larger than any notification of any provider.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Takes a payment or refund notification in the provider's format and answers in it.
#[utoipa::path(
    post, path = "/callbacks/{channel}", tag = "providers", params(("channel" = String, Path)),
    responses((status = 200, description = "The provider's own format, also for failure"))
)]
pub(super) async fn handle_callback(
    State(api): State<Api>,
    PathPart(channel): PathPart,
    request: Request,
) -> Result<Response, Problem> {
    let channel: ChannelId = channel.parse().map_err(|_| Problem::NotFound)?;
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.headers, body, BODY_BYTES_MAX).await?;
    let request = CallbackRequest {
        headers: pairs(&parts.headers),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: body.to_vec(),
    };
    let flow = api.flow.clone();
    let reply = api.finish("callback", async move { Ok(flow.callback(&channel, request).await) }).await?;
    reply.map(answer).ok_or(Problem::NotFound)
}

/// A value that is not text can be no part of a signature here.
fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
    headers.iter().filter_map(text).collect()
}

fn answer(reply: HttpReply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Body::from(reply.body)).into_response();
    response.headers_mut().clear();
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
