//! The OpenAPI 3.1 document, made from the code that answers.
//!
//! Invariant: every route of the public listener and every code of a problem is in it; the committed file is the served
//! document, which a test compares, so a change of the contract shows as a difference.

use super::problem::ProblemDocument;
use super::words;
use super::{attempts, batch, callbacks, cashier, charges, events, list, refunds};
use axum::http::header;
use axum::response::IntoResponse;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, Response, ResponseBuilder};
use utoipa::{OpenApi, ToSchema};

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi_json);

/// Statuses whose problems any signed call can meet.
const PROBLEMS: [(&str, &str); 11] = [
    ("400", "malformed_request"),
    ("401", "unauthenticated"),
    ("403", "forbidden"),
    ("404", "not_found"),
    ("409", "idempotency_conflict, invalid_state or request_in_progress"),
    ("413", "body_too_large"),
    ("415", "unsupported_media_type"),
    ("422", "invalid_request or amount_exceeds_refundable"),
    ("429", "rate_limited"),
    ("502", "channel_rejected"),
    ("503", "no_channel_available, store_unavailable or overloaded"),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tongdao",
        description = "Payment router for card platforms. Money is an integer in the minor unit; times are RFC 3339 in UTC.",
        license(name = "Apache-2.0")
    ),
    paths(
        charges::handle_open,
        list::handle_list,
        batch::handle_batch,
        charges::handle_show,
        attempts::handle_retry,
        charges::handle_close,
        charges::handle_sync,
        charges::handle_delivery,
        charges::handle_notify,
        refunds::handle_open,
        events::handle_events,
        refunds::handle_list,
        refunds::handle_show,
        callbacks::handle_callback,
        cashier::handle_page,
        handle_document,
    ),
    components(schemas(ProblemDocument))
)]
struct PublicApi;

/// The document as it is served and committed.
#[must_use]
pub fn openapi_json() -> String {
    let mut document = PublicApi::openapi();
    document.merge(super::admin::openapi::AdminApi::openapi());
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let scheme = ApiKeyValue::with_description(
        "Authorization",
        "TONGDAO-HMAC-SHA256 key_id=\"…\",timestamp=\"…\",nonce=\"…\",signature=\"<base64>\": HMAC-SHA256 over the \
         lines method, request target, timestamp, nonce and body, each ended by LF",
    );
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("signature", SecurityScheme::ApiKey(ApiKey::Header(scheme)));
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme("admin_token", token);
    for (path, item) in &mut document.paths.paths {
        let scheme = if path.starts_with("/v1/") { Some("signature") } else { None };
        let Some(scheme) = scheme.or(path.starts_with("/admin/v1/").then_some("admin_token")) else { continue };
        for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
            operation.security = Some(vec![SecurityRequirement::new(scheme, Vec::<String>::new())]);
            add_problems(&mut operation.responses.responses);
        }
    }
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn add_problems(responses: &mut BTreeMap<String, utoipa::openapi::RefOr<Response>>) {
    for (status, codes) in PROBLEMS {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new().description(codes).content("application/problem+json", problem).build();
        responses.entry(status.to_owned()).or_insert_with(|| response.into());
    }
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "document", responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(super) async fn handle_document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

/// A request for a charge.
#[derive(ToSchema)]
#[allow(dead_code)] // A shape for the document: requests are read by `requests`, field by field.
pub(super) struct OpenCharge {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`; unique per merchant for ever, the natural idempotency key.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    merchant_order_no: String,
    /// Minor units.
    #[schema(minimum = 1, maximum = 10_000_000_000_i64)]
    amount: i64,
    #[schema(default = "CNY")]
    currency: Option<String>,
    /// 1 to 127 bytes of UTF-8 without control characters.
    #[schema(min_length = 1, max_length = 127)]
    subject: String,
    scene: Option<words::Scene>,
    payer: Option<OpenChargePayer>,
    /// That channel alone, no failover.
    channel: Option<String>,
    /// Default: the merchant's configured one.
    notify_url: Option<String>,
    return_url: Option<String>,
    /// Seconds that the charge stays open for tries.
    #[schema(minimum = 60, maximum = 1800, default = 1800)]
    expires_in: Option<i64>,
    delivery: Option<OpenChargeDelivery>,
    /// Up to 16 pairs of 40 and 500 characters, handed back untouched.
    metadata: Option<BTreeMap<String, String>>,
}

/// Who pays.
#[derive(ToSchema)]
#[allow(dead_code)]
pub(super) struct OpenChargePayer {
    id: Option<String>,
    client_ip: Option<String>,
    /// Required for the scene `jsapi`.
    openid: Option<String>,
    /// Of `wechatpay`, `alipay`, `unionpay`; default all.
    methods: Option<Vec<String>>,
    preferred: Option<String>,
}

/// Until when the goods must be handed over, and what happens otherwise.
#[derive(ToSchema)]
#[allow(dead_code)]
pub(super) struct OpenChargeDelivery {
    /// Seconds from payment.
    #[schema(minimum = 1, maximum = 259_200, default = 300)]
    deadline: Option<i64>,
    /// `retry` (default) or `refund`.
    on_overdue: Option<String>,
}

/// Up to 100 charges.
#[derive(ToSchema)]
#[allow(dead_code)]
pub(super) struct OpenBatch {
    #[schema(min_items = 1, max_items = 100)]
    charges: Vec<OpenCharge>,
}

/// A request for a new attempt.
#[derive(ToSchema)]
#[allow(dead_code)]
pub(super) struct OpenAttempt {
    channel: Option<String>,
    provider: Option<String>,
    scene: Option<words::Scene>,
}

/// A request for a refund.
#[derive(ToSchema)]
#[allow(dead_code)]
pub(super) struct OpenRefund {
    /// Unique per merchant.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    refund_no: String,
    #[schema(minimum = 1)]
    amount: i64,
    #[schema(max_length = 80)]
    reason: Option<String>,
}

/// A report on a delivery.
#[derive(ToSchema)]
#[allow(dead_code)]
pub(super) struct ReportDelivery {
    /// `delivered` or `failed`.
    status: String,
    #[schema(max_length = 128)]
    reference: Option<String>,
    #[schema(max_length = 500)]
    detail: Option<String>,
}
