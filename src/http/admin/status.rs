//! Is it alive, is it ready, how does it stand: for machines, for Prometheus and for `tongdao status`.
//!
//! Invariant: ready means that the store made something durable just now, not that nobody complained yet; the probe
//! costs one small write a second at most, however often it is asked.

use super::Shared;
use super::channels::{self, ChannelDocument};
use crate::clock::rfc3339;
use crate::flow::Flow;
use crate::http::dto::Page;
use crate::http::problem::Problem;
use crate::metrics::Described;
use crate::ports::{Batch, Urgency};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tongdao_core::charge::Stage;
use tongdao_core::time::UnixMillis;
use utoipa::ToSchema;

const PROBE_EVERY_MS: i64 = 1000;
const PROBE_MAX: Duration = Duration::from_secs(2);

/// The last probe of the store, and what stood in the way.
#[derive(Default)]
pub(super) struct Readiness(Mutex<Option<(UnixMillis, Option<String>)>>);

impl Readiness {
    /// What keeps the daemon from taking charges; nothing when it is ready.
    async fn trouble(&self, flow: &Flow) -> Option<String> {
        let mut last = self.0.lock().await;
        let now = flow.clock.now();
        if let Some((at, trouble)) = last.as_ref()
            && (0..PROBE_EVERY_MS).contains(&now.since_ms(*at))
        {
            return trouble.clone();
        }
        let trouble = probe(flow).await;
        *last = Some((now, trouble.clone()));
        trouble
    }
}

async fn probe(flow: &Flow) -> Option<String> {
    let written = flow.store().commit(Batch::default(), Urgency::Vital);
    match tokio::time::timeout(PROBE_MAX, written).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the store did not answer in 2 s".to_owned()),
    }
}

/// The process is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "admin",
    responses((status = 200, description = "The process is alive", body = String))
)]
pub(super) async fn handle_alive() -> &'static str {
    "alive\n"
}

/// Charges can be taken.
#[utoipa::path(
    get, path = "/readyz", tag = "admin",
    responses((status = 200, description = "Ready; 503 with the reason otherwise", body = String))
)]
pub(super) async fn handle_ready(State(admin): State<Shared>) -> Response {
    match admin.readiness.trouble(&admin.flow).await {
        None => "ready\n".into_response(),
        Some(why) => {
            let retry = [(header::RETRY_AFTER, "1")];
            (StatusCode::SERVICE_UNAVAILABLE, retry, format!("not ready: {why}\n")).into_response()
        }
    }
}

/// Prometheus' page.
#[utoipa::path(
    get, path = "/metrics", tag = "admin",
    responses((status = 200, description = "Prometheus' text format", body = String))
)]
pub(super) async fn handle_metrics(State(admin): State<Shared>) -> impl IntoResponse {
    admin.flow.refresh_gauges();
    let page = admin.flow.metrics.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page)
}

/// One metric of the page.
#[derive(Serialize, ToSchema)]
#[schema(as = Metric)]
pub(super) struct MetricDocument {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    help: String,
    labels: Vec<String>,
    /// Series that exist now.
    series: usize,
}

/// Every metric with its help.
#[utoipa::path(
    get, path = "/admin/v1/metrics", tag = "admin",
    responses((status = 200, description = "Every metric", body = Page<MetricDocument>))
)]
pub(super) async fn handle_described(State(admin): State<Shared>) -> Json<Page<MetricDocument>> {
    let metric = |Described { name, kind, help, labels, series }| MetricDocument { name, kind, help, labels, series };
    Json(Page { data: admin.flow.metrics.describe().into_iter().map(metric).collect(), next_cursor: None })
}

/// How the daemon stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Status)]
pub(super) struct StatusDocument {
    version: &'static str,
    now: String,
    started_at: String,
    ready: bool,
    /// What keeps it from taking charges.
    not_ready: Vec<String>,
    /// The configuration in force.
    configuration: String,
    /// Writes that wait.
    store_queue_depth: usize,
    /// Charges that are not over, by stage.
    charges: BTreeMap<&'static str, i64>,
    /// The charge that waits longest for its goods.
    oldest_undelivered: Option<OldestDocument>,
    open_breaks: usize,
    channels: Vec<ChannelDocument>,
}

/// A charge that is paid and not delivered.
#[derive(Serialize, ToSchema)]
#[schema(as = Undelivered)]
struct OldestDocument {
    charge: String,
    paid_at: String,
}

/// The board of `tongdao status`.
#[utoipa::path(
    get, path = "/admin/v1/status", tag = "admin",
    responses((status = 200, description = "How it stands", body = StatusDocument))
)]
pub(super) async fn handle_status(State(admin): State<Shared>) -> Result<Json<StatusDocument>, Problem> {
    let flow = &admin.flow;
    let not_ready: Vec<String> = admin.readiness.trouble(flow).await.into_iter().collect();
    let board = flow.board();
    let oldest = board.oldest_undelivered();
    Ok(Json(StatusDocument {
        version: env!("CARGO_PKG_VERSION"),
        now: rfc3339(flow.clock.now()),
        started_at: rfc3339(flow.booted_at),
        ready: not_ready.is_empty(),
        not_ready,
        configuration: flow.config().name.clone(),
        store_queue_depth: flow.store().queue_depth(),
        charges: Stage::ALL.iter().map(|stage| (stage.as_str(), board.count(*stage))).collect(),
        oldest_undelivered: oldest
            .map(|(at, charge)| OldestDocument { charge: charge.to_string(), paid_at: rfc3339(at) }),
        open_breaks: board.open_breaks().count(),
        channels: channels::documents(flow),
    }))
}
