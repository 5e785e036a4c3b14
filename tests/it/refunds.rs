//! Money back by the merchant's order.

use crate::world::World;
use serde_json::{Value, json};

async fn delivered(world: &World, channel: &str) -> String {
    let charge = world.open(json!({ "channel": channel })).await;
    world.pay(&charge);
    let id = charge["id"].as_str().unwrap().to_owned();
    world.until(&id, "completed", |charge| charge["stage"] == "completed").await;
    id
}

#[tokio::test]
async fn parts_are_refunded_and_never_more_than_was_paid() {
    for channel in ["wechat-main", "alipay-main", "unionpay-main"] {
        let world = World::start().await;
        let id = delivered(&world, channel).await;
        let path = format!("/v1/charges/{id}/refunds");
        let (status, refund) = world.post(&path, json!({ "refund_no": "R1", "amount": 999 })).await;
        assert_eq!(status, 201, "{channel}: {refund}");
        let (status, again) = world.post(&path, json!({ "refund_no": "R1", "amount": 999 })).await;
        assert_eq!((status, &again["id"]), (200, &refund["id"]), "{channel}");
        let (status, problem) = world.post(&path, json!({ "refund_no": "R1", "amount": 998 })).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("idempotency_conflict")), "{channel}");
        let (status, problem) = world.post(&path, json!({ "refund_no": "R2", "amount": 1001 })).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("amount_exceeds_refundable")), "{channel}");
        let part = |charge: &Value| charge["status"] == "partially_refunded" && charge["amount_refunded"] == 999;
        world.advance_until(&id, 10, "partially refunded", part).await;
        let (status, _) = world.post(&path, json!({ "refund_no": "R3", "amount": 1000 })).await;
        assert_eq!(status, 201, "{channel}");
        world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
        assert_eq!(world.provider_net(), 0, "{channel}");
    }
}

#[tokio::test]
async fn sixteen_callers_at_once_never_refund_more_than_was_paid() {
    let world = World::start().await;
    let id = delivered(&world, "wechat-main").await;
    let path = format!("/v1/charges/{id}/refunds");
    let bodies: Vec<Value> = (0..16).map(|n| json!({ "refund_no": format!("P{n}"), "amount": 600 })).collect();
    let all = futures_util::future::join_all(bodies.iter().map(|body| world.client.post(&path, body))).await;
    let made = all.iter().filter(|answer| matches!(answer, Ok((201, _)))).count();
    assert_eq!(made, 3, "{all:?}");
}

#[tokio::test]
async fn an_unpaid_charge_has_nothing_to_refund() {
    let world = World::start().await;
    let charge = world.open(json!({})).await;
    let path = format!("/v1/charges/{}/refunds", charge["id"].as_str().unwrap());
    let (status, problem) = world.post(&path, json!({ "refund_no": "R1", "amount": 1 })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("invalid_state")), "{problem}");
}
