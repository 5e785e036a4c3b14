//! One charge's whole way, at each provider and in each scene; numbers, repeats and other people's ids.

use crate::world::{World, client, code_of};
use serde_json::{Value, json};

async fn goes_all_the_way(channel: &str, scene: &str, payer: Value) {
    let world = World::start().await;
    let charge = world.open(json!({ "channel": channel, "scene": scene, "payer": payer })).await;
    assert_eq!(charge["status"], "open");
    assert_eq!(charge["stage"], "awaiting_payment");
    assert_eq!(charge["attempt"]["status"], "pending", "{charge:#}");
    assert_eq!(charge["attempt"]["channel"], channel);
    assert_eq!(charge["attempt"]["route"]["chosen_because"], "pinned");
    world.pay(&charge);
    let id = charge["id"].as_str().unwrap();
    let done = world.until(id, "delivered", |charge| charge["delivery"]["status"] == "delivered").await;
    assert_eq!(done["status"], "paid");
    assert_eq!(done["stage"], "completed");
    assert_eq!(done["attempt"]["status"], "succeeded");
    let told = world.merchant.of("charge.paid");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].body["data"]["id"], charge["id"]);
    assert_eq!(told[0].body["data"]["amount"], 1999);
    assert!(told[0].id.starts_with("evt_"));
}

#[tokio::test]
async fn a_wechat_code_is_paid_and_delivered() {
    goes_all_the_way("wechat-main", "qr", json!({})).await;
}

#[tokio::test]
async fn a_wechat_h5_page_is_paid_and_delivered() {
    goes_all_the_way("wechat-main", "h5", json!({ "client_ip": "203.0.113.9" })).await;
}

#[tokio::test]
async fn an_alipay_code_is_paid_and_delivered() {
    goes_all_the_way("alipay-main", "qr", json!({})).await;
}

#[tokio::test]
async fn an_alipay_page_is_paid_and_delivered() {
    goes_all_the_way("alipay-main", "web", json!({})).await;
}

#[tokio::test]
async fn an_alipay_app_string_is_paid_and_delivered() {
    goes_all_the_way("alipay-main", "app", json!({})).await;
}

#[tokio::test]
async fn a_unionpay_code_is_paid_and_delivered() {
    goes_all_the_way("unionpay-main", "qr", json!({})).await;
}

#[tokio::test]
async fn a_unionpay_app_number_is_paid_and_delivered() {
    goes_all_the_way("unionpay-main", "app", json!({})).await;
}

#[tokio::test]
async fn the_same_request_again_is_answered_with_the_same_charge_and_another_is_a_conflict() {
    let world = World::start().await;
    let ask = json!({ "merchant_order_no": "same-1", "amount": 500 });
    let first = world.open(ask.clone()).await;
    let (status, again) = world.try_open(ask).await;
    assert_eq!((status, &again["id"]), (200, &first["id"]));
    let (status, problem) = world.try_open(json!({ "merchant_order_no": "same-1", "amount": 501 })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("idempotency_conflict")));
    assert_eq!(world.sandbox.ledger().orders.len(), 1);
}

#[tokio::test]
async fn another_merchants_charge_is_not_found() {
    let world = World::start().await;
    let charge = world.open(json!({})).await;
    let key = "another key of at least 32 bytes, for tests";
    let other = client(world.daemon.as_ref().unwrap(), "key_other", key, &world.clock);
    let id = charge["id"].as_str().unwrap();
    for path in ["", "/close", "/sync", "/notify"] {
        let path = format!("/v1/charges/{id}{path}");
        let (status, problem) = if path.ends_with(id) {
            other.get(&path).await.unwrap()
        } else {
            other.post(&path, &json!({})).await.unwrap()
        };
        assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")), "{path}");
    }
}

#[tokio::test]
async fn an_unpaid_charge_closes_at_its_end_and_its_code_is_dead() {
    let world = World::start().await;
    let charge = world.open(json!({ "channel": "wechat-main", "expires_in": 60 })).await;
    let id = charge["id"].as_str().unwrap().to_owned();
    let closed = world.advance_until(&id, 20, "closed", |charge| charge["status"] == "closed").await;
    assert_eq!(closed["attempt"]["status"], "closed");
    assert!(world.scan(&code_of(&charge["attempt"])).is_err());
    world.until(&id, "announced", |_| world.merchant.of("charge.closed").len() == 1).await;
}

#[tokio::test]
async fn an_unscanned_alipay_code_ends_only_after_its_own_time() {
    let world = World::start().await;
    let charge = world.open(json!({ "channel": "alipay-main", "expires_in": 60 })).await;
    let id = charge["id"].as_str().unwrap().to_owned();
    world.advance_s(61);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(world.charge(&id).await["status"], "open");
    let closed = world.advance_until(&id, 20, "closed", |charge| charge["status"] == "closed").await;
    assert_eq!(closed["attempt"]["status"], "closed");
}

#[tokio::test]
async fn a_merchant_closes_an_open_charge_at_once() {
    let world = World::start().await;
    let charge = world.open(json!({ "channel": "wechat-main" })).await;
    let (status, closed) =
        world.post_in_turn(&format!("/v1/charges/{}/close", charge["id"].as_str().unwrap()), json!({})).await;
    assert_eq!((status, closed["status"].as_str()), (200, Some("closed")), "{closed}");
}
