//! Is it alive, is it ready, how does it stand: for machines, for Prometheus and for `tongdao status`.
//!
//! Invariant: ready means that the store made something durable just now, not that nobody complained yet; the probe
//! costs one small write a second at most, however often it is asked.

use super::{Shared, channels};
use crate::clock::rfc3339;
use crate::flow::{Flow, FlowError};
use crate::metrics::Described;
use crate::ports::{Batch, BreakStatus, StoreError, Urgency};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::Mutex;
use tongdao_core::charge::Stage;
use tongdao_core::time::UnixMillis;

const PROBE_EVERY_MS: i64 = 1000;
const PROBE_MAX: Duration = Duration::from_secs(2);
/// Breaks looked through when the open ones are counted.
const BREAKS_MAX: usize = 1000;

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
pub(super) async fn handle_alive() -> &'static str {
    "alive\n"
}

/// Charges can be taken.
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
pub(super) async fn handle_metrics(State(admin): State<Shared>) -> impl IntoResponse {
    admin.flow.refresh_gauges();
    let page = admin.flow.metrics.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page)
}

/// Every metric with its help.
pub(super) async fn handle_described(State(admin): State<Shared>) -> Json<Value> {
    let described = admin.flow.metrics.describe();
    let metric = |metric: Described| {
        let Described { name, kind, help, labels, series } = metric;
        json!({ "name": name, "type": kind, "help": help, "labels": labels, "series": series })
    };
    Json(json!({ "data": described.into_iter().map(metric).collect::<Vec<_>>(), "next_cursor": null }))
}

/// The board of `tongdao status`.
pub(super) async fn handle_status(State(admin): State<Shared>) -> Result<Json<Value>, crate::http::problem::Problem> {
    let flow = &admin.flow;
    let not_ready: Vec<String> = admin.readiness.trouble(flow).await.into_iter().collect();
    let board = flow.board();
    let charges: serde_json::Map<String, Value> =
        Stage::ALL.iter().map(|stage| (stage.as_str().to_owned(), json!(board.count(*stage)))).collect();
    let oldest = board.oldest_undelivered();
    let oldest = oldest.map(|(at, charge)| json!({ "charge": charge.to_string(), "paid_at": rfc3339(at) }));
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": rfc3339(flow.clock.now()),
        "started_at": rfc3339(flow.booted_at),
        "ready": not_ready.is_empty(),
        "not_ready": not_ready,
        "configuration": flow.config().name,
        "store_queue_depth": flow.store().queue_depth(),
        "charges": charges,
        "oldest_undelivered": oldest,
        "open_breaks": count_open_breaks(flow).await.map_err(FlowError::from)?,
        "channels": channels::documents(flow),
    })))
}

async fn count_open_breaks(flow: &Flow) -> Result<usize, StoreError> {
    let breaks = flow.store().breaks(None, BREAKS_MAX).await?;
    Ok(breaks.iter().filter(|one| one.status == BreakStatus::Open).count())
}
