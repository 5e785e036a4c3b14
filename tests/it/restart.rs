//! The daemon stops and starts again; what was acknowledged goes on.

use crate::world::World;
use serde_json::{Value, json};

#[tokio::test]
async fn a_payment_made_while_the_daemon_was_down_is_found_and_delivered() {
    let mut world = World::start().await;
    world.lose_callbacks();
    let charge = world.open(json!({ "channel": "wechat-main" })).await;
    let id = charge["id"].as_str().unwrap().to_owned();
    world.pay(&charge);
    world.restart().await;
    let after = world.charge(&id).await;
    assert_eq!(after["attempt"]["provider_order_no"], charge["attempt"]["provider_order_no"]);
    world.advance_until(&id, 5, "completed", |charge| charge["stage"] == "completed").await;
}

#[tokio::test]
async fn a_delivery_goes_on_after_a_restart() {
    let mut world = World::start().await;
    world.merchant.answer(500, "");
    let charge = world.open(json!({ "channel": "alipay-main" })).await;
    let id = charge["id"].as_str().unwrap().to_owned();
    world.pay(&charge);
    world.until(&id, "tried", |charge: &Value| charge["delivery"]["tries"].as_i64() >= Some(1)).await;
    world.restart().await;
    world.merchant.answer(200, "success");
    world.advance_until(&id, 20, "completed", |charge| charge["stage"] == "completed").await;
}

#[tokio::test]
async fn numbers_and_nonces_are_remembered_across_a_restart() {
    let mut world = World::start().await;
    let ask = json!({ "merchant_order_no": "kept-1" });
    let first = world.open(ask.clone()).await;
    world.restart().await;
    let (status, again) = world.try_open(ask).await;
    assert_eq!((status, &again["id"]), (200, &first["id"]));
}

#[tokio::test]
async fn an_orderly_stop_leaves_no_doubt_about_a_try_that_was_answered() {
    let mut world = World::start().await;
    world.merchant.answer(500, "");
    let ask = json!({ "channel": "wechat-main", "delivery": { "deadline": 60, "on_overdue": "refund" } });
    let charge = world.open(ask).await;
    let id = charge["id"].as_str().unwrap().to_owned();
    world.pay(&charge);
    world.until(&id, "tried", |charge: &Value| charge["delivery"]["tries"].as_i64() >= Some(1)).await;
    world.restart().await;
    world.advance_until(&id, 15, "refunded", |charge| charge["status"] == "refunded").await;
    assert_eq!(world.provider_net(), 0);
}
