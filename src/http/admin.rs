//! The admin listener: what on-call, the command line and Prometheus ask.
//!
//! Invariants: over TCP nothing under `/admin/v1` is answered without the token, compared in constant time; whoever may
//! open the Unix socket (mode 0600) needs none. Health and metrics tell no merchant's secret and are open. Handlers
//! read, or call a flow; they decide nothing about money.

mod audit;
mod auth;
mod breaks;
mod channels;
mod charges;
pub(crate) mod openapi;
mod overrides;
mod reconciliations;
mod reload;
mod routes;
mod status;

#[cfg(test)]
mod tests;

use crate::flow::Flow;
use crate::http::front;
use crate::http::problem::Problem;
use crate::metrics::Route;
use crate::reload::Reloader;
use crate::tasks::Tasks;
use axum::Router;
use axum::http::header;
use axum::middleware;
use axum::response::{Html, IntoResponse};
use axum::routing::{delete, get, post};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::oneshot;

/// How callers of a listener are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// With the admin token.
    Token,
    /// By having opened the socket.
    Open,
}

/// The routes of this listener, as they stand in metrics.
pub const ROUTES: &[Route] = &[
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/admin/v1/status"),
    ("GET", "/admin/v1/metrics"),
    ("GET", "/admin/v1/channels"),
    ("POST", "/admin/v1/routes/explain"),
    ("GET", "/admin/v1/charges"),
    ("GET", "/admin/v1/charges/{id}"),
    ("GET", "/admin/v1/charges/{id}/events"),
    ("POST", "/admin/v1/charges/{id}/sync"),
    ("POST", "/admin/v1/charges/{id}/redeliver"),
    ("GET", "/admin/v1/breaks"),
    ("GET", "/admin/v1/reconciliations"),
    ("POST", "/admin/v1/reconciliations"),
    ("POST", "/admin/v1/reconciliations/import"),
    ("GET", "/admin/v1/reconciliations/{id}"),
    ("GET", "/admin/v1/reconciliations/{id}/export.csv"),
    ("GET", "/admin/v1/breaks/{id}"),
    ("POST", "/admin/v1/breaks/{id}/resolve"),
    ("GET", "/admin/v1/overrides"),
    ("POST", "/admin/v1/overrides"),
    ("DELETE", "/admin/v1/overrides/{id}"),
    ("GET", "/admin/v1/audit"),
    ("POST", "/admin/v1/config/reload"),
];

/// What the handlers share.
pub(crate) struct Admin {
    flow: Arc<Flow>,
    reloader: Arc<Reloader>,
    tasks: Tasks,
    readiness: status::Readiness,
}

type Shared = Arc<Admin>;

/// No body of this API is larger.
const BODY_MAX: usize = 16 * 1024;

impl Admin {
    /// Runs work to its end, also when the caller hangs up.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let (tell, told) = oneshot::channel();
        self.tasks.spawn("admin", async move {
            if tell.send(work.await).is_err() {
                tracing::debug!("the caller hung up before the answer");
            }
        });
        told.await.unwrap_or(Err(Problem::StoreUnavailable))
    }
}

/// The admin listener's router.
pub fn router(reloader: Arc<Reloader>, flow: Arc<Flow>, tasks: Tasks, entrance: Entrance) -> Router {
    let admin = Arc::new(Admin { flow: flow.clone(), reloader, tasks, readiness: status::Readiness::default() });
    let guarded = Router::new()
        .route("/admin/v1/status", get(status::handle_status))
        .route("/admin/v1/metrics", get(status::handle_described))
        .route("/admin/v1/channels", get(channels::handle_list))
        .route("/admin/v1/routes/explain", post(routes::handle_explain))
        .route("/admin/v1/charges", get(charges::handle_find))
        .route("/admin/v1/charges/{id}", get(charges::handle_show))
        .route("/admin/v1/charges/{id}/events", get(charges::handle_events))
        .route("/admin/v1/charges/{id}/sync", post(charges::handle_sync))
        .route("/admin/v1/charges/{id}/redeliver", post(charges::handle_redeliver))
        .route("/admin/v1/breaks", get(breaks::handle_list))
        .route("/admin/v1/reconciliations", get(reconciliations::handle_list).post(reconciliations::handle_ask))
        .route("/admin/v1/reconciliations/import", post(reconciliations::handle_import))
        .route("/admin/v1/reconciliations/{id}", get(reconciliations::handle_show))
        .route("/admin/v1/reconciliations/{id}/export.csv", get(reconciliations::handle_export))
        .route("/admin/v1/breaks/{id}", get(breaks::handle_show))
        .route("/admin/v1/breaks/{id}/resolve", post(breaks::handle_resolve))
        .route("/admin/v1/overrides", get(overrides::handle_list).post(overrides::handle_place))
        .route("/admin/v1/overrides/{id}", delete(overrides::handle_restore))
        .route("/admin/v1/audit", get(audit::handle_list))
        .route("/admin/v1/config/reload", post(reload::handle_reload));
    let guarded = match entrance {
        Entrance::Token => guarded.route_layer(middleware::from_fn_with_state(admin.clone(), auth::handle_token)),
        Entrance::Open => guarded,
    };
    Router::new()
        .route("/", get(handle_index))
        .route("/healthz", get(status::handle_alive))
        .route("/readyz", get(status::handle_ready))
        .route("/metrics", get(status::handle_metrics))
        .merge(guarded)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .fallback(async || Problem::NotFound)
        .layer(middleware::from_fn_with_state(flow, front::handle_front))
        .with_state(admin)
}

/// What is here, for whoever opens the address in a browser.
#[utoipa::path(
    get, path = "/", tag = "admin",
    responses((status = 200, description = "A page"))
)]
async fn handle_index() -> impl IntoResponse {
    let rows: String = ROUTES.iter().map(|(method, path)| row(method, path)).collect();
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>tongdao admin</title>\
         <style>body{{font:16px/1.5 system-ui;margin:2rem;max-width:48rem}}td{{padding-right:1rem}}</style>\
         <h1>Tongdao 通道 {}</h1><p>The admin listener. <code>/admin/v1</code> wants the header \
         <code>Authorization: Bearer</code> with the admin token; on this machine <code>tongdao status</code> needs \
         none.</p><table>{rows}</table></html>",
        env!("CARGO_PKG_VERSION")
    );
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page))
}

fn row(method: &str, path: &str) -> String {
    let linked = method == "GET" && !path.contains('{');
    let path = if linked { format!("<a href=\"{path}\">{path}</a>") } else { path.to_owned() };
    format!("<tr><td>{method}<td>{path}")
}
