//! The daemon's HTTP: the public listener for merchants, providers and payers.
//!
//! Invariants: a merchant sees only what is its own; every refusal is a problem document; work that moves money goes
//! on to its end when the caller hangs up. Handlers know `flow` and wire types; they decide nothing about money and know
//! no adapter of the store or the network.

pub mod admin;
mod attempts;
mod auth;
mod batch;
mod body;
mod callbacks;
mod cashier;
mod charge_document;
mod charges;
mod dto;
mod event_document;
mod events;
pub(crate) mod front;
mod json;
mod limits;
mod list;
mod openapi;
pub(crate) mod problem;
mod query;
mod refunds;
mod requests;
pub mod server;
mod words;

#[cfg(test)]
mod tests;

pub use dto::ApiDocuments;
pub use openapi::openapi_json;
pub use server::{serve, serve_unix};

use crate::flow::{Flow, FlowError};
use crate::metrics::Route;
use crate::request_scope::RequestScope;
use crate::tasks::Tasks;
use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::routing::{get, post};
use limits::Limits;
use problem::Problem;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot};
use tongdao_core::charge::Charge;
use tongdao_core::ids::{ChargeId, MerchantId};

/// Live event streams at once, of all merchants.
const STREAMS_MAX: usize = 256;

/// The routes of the public listener, as they stand in metrics.
pub const ROUTES: &[Route] = &[
    ("POST", "/v1/charges"),
    ("GET", "/v1/charges"),
    ("POST", "/v1/charges/batch"),
    ("GET", "/v1/charges/{id}"),
    ("POST", "/v1/charges/{id}/attempts"),
    ("POST", "/v1/charges/{id}/close"),
    ("POST", "/v1/charges/{id}/sync"),
    ("POST", "/v1/charges/{id}/delivery"),
    ("POST", "/v1/charges/{id}/notify"),
    ("POST", "/v1/charges/{id}/refunds"),
    ("GET", "/v1/charges/{id}/events"),
    ("GET", "/v1/refunds"),
    ("GET", "/v1/refunds/{id}"),
    ("POST", "/callbacks/{channel}"),
    ("GET", "/pay/{token}"),
    ("GET", "/openapi.json"),
];

/// What the handlers share; cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub(crate) flow: Arc<Flow>,
    limits: Arc<Limits>,
    streams: Arc<Semaphore>,
    tasks: Tasks,
}

/// The public listener's router.
pub fn router(api: Api) -> Router {
    let front = axum::middleware::from_fn_with_state(api.flow.clone(), front::handle_front);
    Router::new()
        .route("/v1/charges", post(charges::handle_open).get(list::handle_list))
        .route("/v1/charges/batch", post(batch::handle_batch))
        .route("/v1/charges/{id}", get(charges::handle_show))
        .route("/v1/charges/{id}/attempts", post(attempts::handle_retry))
        .route("/v1/charges/{id}/close", post(charges::handle_close))
        .route("/v1/charges/{id}/sync", post(charges::handle_sync))
        .route("/v1/charges/{id}/delivery", post(charges::handle_delivery))
        .route("/v1/charges/{id}/notify", post(charges::handle_notify))
        .route("/v1/charges/{id}/refunds", post(refunds::handle_open))
        .route("/v1/charges/{id}/events", get(events::handle_events))
        .route("/v1/refunds", get(refunds::handle_list))
        .route("/v1/refunds/{id}", get(refunds::handle_show))
        .route("/callbacks/{channel}", post(callbacks::handle_callback))
        .route("/pay/{token}", get(cashier::handle_page))
        .route("/openapi.json", get(openapi::handle_document))
        .fallback(handle_unknown)
        .method_not_allowed_fallback(handle_wrong_method)
        .layer(front)
        .with_state(api)
}

async fn handle_unknown() -> Problem {
    Problem::NotFound
}

async fn handle_wrong_method() -> Problem {
    Problem::MethodNotAllowed
}

impl Api {
    /// What handlers need; streams and work in flight are tasks of the given set.
    #[must_use]
    pub fn new(flow: Arc<Flow>, tasks: Tasks) -> Self {
        Self { flow, limits: Arc::default(), streams: Arc::new(Semaphore::new(STREAMS_MAX)), tasks }
    }

    /// A merchant's own charge; another's is not found.
    async fn own_charge(&self, merchant: &MerchantId, id: &str) -> Result<Charge, Problem> {
        let id: ChargeId = id.parse().map_err(|_| Problem::NotFound)?;
        let charge = self.flow.charge(id).await?;
        if charge.merchant == *merchant { Ok(charge) } else { Err(Problem::NotFound) }
    }

    /// Does work to its end, also when the caller hangs up meanwhile.
    async fn finish<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, FlowError>> + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let scope = RequestScope::current();
        self.tasks.spawn(name, async move {
            let outcome = match scope {
                Some(scope) => scope.run(work).await,
                None => work.await,
            };
            if answer.send(outcome).is_err() {
                tracing::info!(work = name, "the caller hung up before the work was done");
            }
        });
        // The work died without an answer: nobody can say what it did.
        answered.await.map_err(|_| Problem::StoreUnavailable)?.map_err(Problem::from)
    }

    fn public_url(&self) -> String {
        self.flow.config().server.public_url.clone()
    }
}

/// The one variable part of a path, as text.
struct PathPart(String);

impl<S: Send + Sync> FromRequestParts<S> for PathPart {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        // What is no UTF-8 is nobody's id.
        let part = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(part.map_or_else(|_| String::new(), |Path(part)| part)))
    }
}
