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
use crate::world::World;

type Shared = State<Arc<World>>;

/// The control server's routes.
pub(crate) fn router(world: &Arc<World>) -> Router {
    Router::new()
        .route("/", get(show_page))
        .route("/scan", post(scan))
        .route(
            "/faults",
            get(list_faults).post(set_fault).delete(clear_faults),
        )
        .route("/payers", get(show_payers).post(set_payers))
        .route("/ledger", get(ledger))
        .route("/accounts", get(accounts))
        .route("/callbacks/resend", post(resend))
        .route("/refunds/end", post(end_refund))
        .with_state(world.clone())
}

async fn show_page(State(world): Shared) -> Html<String> {
    let now = world.now();
    Html(world.ledger.read(|book| page::render(book, now)))
}

async fn scan(State(world): Shared, Json(request): Json<ScanRequest>) -> Response {
    match payers::scan(&world, &request) {
        Ok(scanned) => Json(scanned).into_response(),
        Err(reason) => (
            StatusCode::CONFLICT,
            Json(Refusal {
                paid: false,
                reason,
            }),
        )
            .into_response(),
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
    Json(LedgerPage {
        book: world.ledger.read(Book::view),
        callbacks: world.callbacks.records(),
    })
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
            here && asked
                .account
                .as_ref()
                .is_none_or(|account| *account == order.key.account)
        });
        named.next().map(|order| order.key.clone())
    });
    let sent = key.is_some_and(|key: OrderKey| callbacks::resend(&world, &key));
    if sent {
        StatusCode::ACCEPTED
    } else {
        StatusCode::NOT_FOUND
    }
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
    let key = RefundKey {
        provider: asked.provider,
        account: asked.account,
        refund_no: asked.refund_no,
    };
    if refunds::finish(&world, key, asked.state) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::wechatpay::tests::merchant::Merchant;

    #[tokio::test]
    async fn people_and_tests_drive_the_sandbox_over_http() {
        let merchant = Merchant::start().await;
        let base = format!("http://{}", merchant.sandbox.addresses().control);
        let post = async |path: &str, body: Value| {
            let request = merchant.client.post(format!("{base}{path}"));
            let request = request
                .header("content-type", "application/json")
                .body(body.to_string());
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        let read = async |path: &str| {
            let response = merchant
                .client
                .get(format!("{base}{path}"))
                .send()
                .await
                .unwrap();
            response.text().await.unwrap()
        };
        let mut order = merchant.order("control-01");
        order["description"] = json!("<script>alert(1)</script>");
        let code = merchant.create("native", &order).await.json()["code_url"].clone();
        let page = read("/").await;
        assert!(page.contains("control-01") && page.contains("Scan and pay"));
        assert!(!page.contains("<script>alert(1)"));

        let fault = json!({"provider": "wechatpay", "fault": {"silent": true}});
        assert_eq!(post("/faults", fault.clone()).await.0, 204);
        assert!(read("/faults").await.contains("\"silent\":true"));
        assert_eq!(
            post("/scan", json!({"code": code})).await,
            (409, json!({"paid": false, "reason": "silent"}).to_string())
        );
        let cleared = merchant
            .client
            .delete(format!("{base}/faults"))
            .send()
            .await
            .unwrap();
        assert_eq!(
            (cleared.status().as_u16(), read("/faults").await.as_str()),
            (204, "[]")
        );
        assert_eq!(
            post(
                "/faults",
                json!({"provider": "wechatpay", "fault": {"loud": true}})
            )
            .await
            .0,
            422
        );

        let (status, paid) = post("/scan", json!({"code": code})).await;
        assert_eq!(
            (
                status,
                serde_json::from_str::<Value>(&paid).unwrap()["paid"].clone()
            ),
            (200, json!(true))
        );
        merchant.next_callback().await;
        assert_eq!(
            post(
                "/callbacks/resend",
                json!({"provider": "wechatpay", "order_no": "control-01"})
            )
            .await
            .0,
            202
        );
        merchant.next_callback().await;
        let ledger: Value = serde_json::from_str(&read("/ledger").await).unwrap();
        assert_eq!(ledger["payments"][0]["amount"], 100);
        assert_eq!(ledger["orders"][0]["state"], "paid");
        assert_eq!(post("/payers", json!({"pay_ratio": 0.5})).await.0, 204);
        assert!(read("/payers").await.contains("0.5"));
        assert!(read("/accounts").await.contains("1900000001"));
    }
}
