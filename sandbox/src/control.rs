//! The control server: for people (a page with open codes) and tests (JSON).
//! Guards: it changes the providers' world only through the same calls the Rust handle offers.
//! Must not know: wire formats.

mod page;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::callbacks::{self, CallbackView};
use crate::faults::FaultSetting;
use crate::ledger::{Book, LedgerView, OrderKey, RefundKey, RefundState};
use crate::options::ProviderName;
use crate::payers::{self, PayerHabits, ScanRequest};
use crate::refunds;
use crate::statements::Planted;
use crate::world::World;

type Shared = State<Arc<World>>;

/// The control server's routes.
pub(crate) fn router(world: &Arc<World>) -> Router {
    Router::new()
        .route("/", get(show_page))
        .route("/scan", post(scan))
        .route("/faults", get(list_faults).post(set_fault).delete(clear_faults))
        .route("/payers", get(show_payers).post(set_payers))
        .route("/ledger", get(ledger))
        .route("/accounts", get(accounts))
        .route("/callbacks/resend", post(resend))
        .route("/refunds/end", post(end_refund))
        .route("/statements", get(show_statements).post(set_statements))
        .with_state(world.clone())
}

async fn show_page(State(world): Shared) -> Html<String> {
    let now = world.now();
    Html(world.ledger.read(|book| page::render(book, now)))
}

async fn scan(State(world): Shared, Json(request): Json<ScanRequest>) -> Response {
    match payers::scan(&world, &request) {
        Ok(scanned) => Json(scanned).into_response(),
        Err(reason) => (StatusCode::CONFLICT, Json(Refusal { paid: false, reason })).into_response(),
    }
}

#[derive(Serialize)]
struct Refusal {
    paid: bool,
    reason: payers::ScanRefused,
}

async fn list_faults(State(world): Shared) -> Json<Vec<FaultSetting>> {
    Json(world.faults.list())
}

async fn set_fault(State(world): Shared, Json(setting): Json<FaultSetting>) -> StatusCode {
    world.faults.set(setting);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(world): Shared) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

async fn show_payers(State(world): Shared) -> Json<PayerHabits> {
    Json(world.payers.habits())
}

async fn set_payers(State(world): Shared, Json(habits): Json<PayerHabits>) -> StatusCode {
    world.payers.set(habits);
    StatusCode::NO_CONTENT
}

#[derive(Serialize)]
struct LedgerPage {
    #[serde(flatten)]
    book: LedgerView,
    callbacks: Vec<CallbackView>,
}

async fn ledger(State(world): Shared) -> Json<LedgerPage> {
    Json(LedgerPage { book: world.ledger.read(Book::view), callbacks: world.callbacks.records() })
}

async fn accounts(State(world): Shared) -> Response {
    Json(&world.accounts).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resend {
    provider: ProviderName,
    account: Option<String>,
    order_no: String,
}

async fn resend(State(world): Shared, Json(asked): Json<Resend>) -> StatusCode {
    let key = world.ledger.read(|book| {
        let mut named = book.orders().filter(|order| {
            let here = order.key.provider == asked.provider && order.key.order_no == asked.order_no;
            here && asked.account.as_ref().is_none_or(|account| *account == order.key.account)
        });
        named.next().map(|order| order.key.clone())
    });
    let sent = key.is_some_and(|key: OrderKey| callbacks::resend(&world, &key));
    if sent { StatusCode::ACCEPTED } else { StatusCode::NOT_FOUND }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndRefund {
    provider: ProviderName,
    account: String,
    refund_no: String,
    state: RefundState,
}

async fn end_refund(State(world): Shared, Json(asked): Json<EndRefund>) -> StatusCode {
    let key = RefundKey { provider: asked.provider, account: asked.account, refund_no: asked.refund_no };
    if refunds::finish(&world, key, asked.state) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[derive(Serialize)]
struct StatementsPage {
    ready_at_once: bool,
    planted: Vec<Planted>,
}

async fn show_statements(State(world): Shared) -> Json<StatementsPage> {
    let statements = &world.statements;
    Json(StatementsPage { ready_at_once: statements.ready_at_once(), planted: statements.planted() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetStatements {
    ready_at_once: bool,
}

async fn set_statements(State(world): Shared, Json(wish): Json<SetStatements>) -> StatusCode {
    world.statements.set_ready_at_once(wish.ready_at_once);
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests;
