//! Another channel in the same request, whatever the first one does.

use crate::world::World;
use serde_json::json;
use tongdao_sandbox::{FaultKind, ProviderName};

/// A payer for whom the order of channels is no near tie.
fn wechat_first() -> serde_json::Value {
    json!({ "methods": ["wechatpay", "alipay"], "preferred": "wechatpay" })
}

async fn moves_on_from(kind: FaultKind, status: &str) {
    let world = World::start().await;
    world.break_create(ProviderName::Wechatpay, kind);
    let charge = world.open(json!({ "payer": wechat_first() })).await;
    assert_eq!(charge["attempts"][0]["channel"], "wechat-main", "{charge:#}");
    assert_eq!(charge["attempts"][0]["status"], status, "{charge:#}");
    assert_eq!(charge["attempt"]["channel"], "alipay-main");
    assert_eq!(charge["attempt"]["route"]["chosen_because"], "failover");
    world.sandbox.clear_faults();
    world.pay(&charge);
    let id = charge["id"].as_str().unwrap();
    world.until(id, "delivered", |charge| charge["stage"] == "completed").await;
    assert_eq!(world.provider_net(), 1999);
}

#[tokio::test]
async fn a_congested_channel_is_left_in_the_same_request() {
    moves_on_from(FaultKind::Congested, "failed").await;
}

#[tokio::test]
async fn a_refused_connection_is_left_in_the_same_request() {
    moves_on_from(FaultKind::RefuseConnection, "unknown").await;
}

#[tokio::test]
async fn an_account_without_permission_is_left_in_the_same_request() {
    moves_on_from(FaultKind::NoAuth, "failed").await;
}

#[tokio::test]
async fn an_answer_after_the_order_was_made_is_left_watched_and_closed() {
    moves_on_from(FaultKind::ErrorAfterCommit, "unknown").await;
}

#[tokio::test]
async fn an_answer_that_does_not_verify_is_no_code() {
    moves_on_from(FaultKind::BadSignature, "unknown").await;
}

#[tokio::test]
async fn an_order_in_doubt_is_closed_behind_the_payer() {
    let world = World::start().await;
    world.break_create(ProviderName::Wechatpay, FaultKind::ErrorAfterCommit);
    let charge = world.open(json!({ "payer": wechat_first() })).await;
    world.sandbox.clear_faults();
    let id = charge["id"].as_str().unwrap().to_owned();
    let closed = |charge: &serde_json::Value| charge["attempts"][0]["status"] == "closed";
    world.advance_until(&id, 2, "the doubtful attempt closed", closed).await;
}

#[tokio::test]
async fn when_no_channel_gives_a_code_the_charge_stays_open_and_the_same_request_tries_again() {
    let world = World::start().await;
    for provider in [ProviderName::Wechatpay, ProviderName::Alipay, ProviderName::Unionpay] {
        world.break_create(provider, FaultKind::Congested);
    }
    let ask = json!({ "merchant_order_no": "none-1" });
    let (status, problem) = world.try_open(ask.clone()).await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("no_channel_available")), "{problem}");
    let id = problem["charge_id"].as_str().unwrap().to_owned();
    let open = world.charge(&id).await;
    assert_eq!(open["status"], "open");
    assert!(open["failure"].is_object());
    world.sandbox.clear_faults();
    world.advance_s(20);
    let (status, charge) = world.try_open(ask).await;
    assert_eq!((status, charge["id"].as_str()), (201, Some(id.as_str())), "{charge}");
    assert_eq!(charge["attempt"]["status"], "pending");
    assert!(charge["failure"].is_null());
}

#[tokio::test]
async fn a_pinned_charge_goes_nowhere_else() {
    let world = World::start().await;
    world.break_create(ProviderName::Wechatpay, FaultKind::Congested);
    let (status, problem) = world.try_open(json!({ "channel": "wechat-main" })).await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("no_channel_available")));
    assert!(world.sandbox.ledger().orders.is_empty());
}
