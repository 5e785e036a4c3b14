//! The merchant hands over the goods, or does not, and what its money does then.

use crate::world::{Wishes, World};
use serde_json::{Value, json};

async fn paid(world: &World, more: Value) -> String {
    let mut ask = json!({ "channel": "wechat-main" });
    for (key, value) in more.as_object().unwrap() {
        ask[key] = value.clone();
    }
    let charge = world.open(ask).await;
    world.pay(&charge);
    charge["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_merchant_that_is_down_is_told_until_it_answers() {
    let world = World::start().await;
    world.merchant.answer(503, "down");
    let id = paid(&world, json!({})).await;
    let tried = |charge: &Value| charge["delivery"]["tries"].as_i64() >= Some(3);
    let seen = world.advance_until(&id, 5, "tried three times", tried).await;
    assert_eq!(seen["delivery"]["last_error"], "HTTP 503");
    world.merchant.answer(200, "success");
    world.advance_until(&id, 15, "delivered", |charge| charge["stage"] == "completed").await;
    let told = world.merchant.of("charge.paid");
    assert!(told.iter().all(|one| one.id == told[0].id), "one webhook-id on every try");
}

#[tokio::test]
async fn an_accepted_delivery_is_reported_later_and_is_then_final() {
    let world = World::start().await;
    world.merchant.answer(202, "");
    let id = paid(&world, json!({})).await;
    world.until(&id, "accepted", |charge| charge["delivery"]["status"] == "accepted").await;
    let path = format!("/v1/charges/{id}/delivery");
    let (status, done) = world.post(&path, json!({ "status": "delivered", "reference": "card-77" })).await;
    assert_eq!((status, done["stage"].as_str()), (200, Some("completed")), "{done}");
    assert_eq!(world.post(&path, json!({ "status": "delivered" })).await.0, 200);
    let (status, problem) = world.post_in_turn(&path, json!({ "status": "failed" })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("invalid_state")));
}

#[tokio::test]
async fn an_overdue_delivery_is_refunded_where_asked_and_fenced_first() {
    let world = World::start().await;
    world.merchant.answer(500, "");
    let id = paid(&world, json!({ "delivery": { "deadline": 60, "on_overdue": "refund" } })).await;
    world.until(&id, "paid", |charge| charge["status"] == "paid").await;
    let refunded = |charge: &Value| charge["status"] == "refunded";
    world.advance_until(&id, 15, "refunded", refunded).await;
    assert_eq!(world.provider_net(), 0);
    let (status, problem) = world.post(&format!("/v1/charges/{id}/notify"), json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("invalid_state")), "{problem}");
    let (status, _) = world.post(&format!("/v1/charges/{id}/delivery"), json!({ "status": "delivered" })).await;
    assert_eq!(status, 409);
    assert_eq!(
        world.merchant.of("charge.delivery_overdue").first().map(|one| &one.body["data"]["id"]),
        Some(&json!(id))
    );
}

#[tokio::test]
async fn a_try_that_may_have_delivered_is_not_refunded_by_itself() {
    let world = World::start().await;
    world.merchant.answer(200, "<html>ok</html>");
    let id = paid(&world, json!({ "delivery": { "deadline": 60, "on_overdue": "refund" } })).await;
    let attention = |charge: &Value| charge["stage"] == "attention";
    let seen = world.advance_until(&id, 30, "at attention", attention).await;
    assert_eq!(seen["status"], "paid");
    assert_eq!(world.provider_net(), 1999);
    let report = json!({ "status": "failed" });
    let (status, _) = world.post_in_turn(&format!("/v1/charges/{id}/delivery"), report).await;
    assert_eq!(status, 200);
    world.advance_until(&id, 15, "refunded", |charge| charge["status"] == "refunded").await;
    assert_eq!(world.provider_net(), 0);
}

#[tokio::test]
async fn goods_that_cannot_be_delivered_are_refunded_at_once_where_asked() {
    let world = World::start().await;
    world.merchant.answer_next(409, r#"{"status":"undeliverable","detail":"sold out"}"#);
    let id = paid(&world, json!({ "delivery": { "on_overdue": "refund" } })).await;
    world.advance_until(&id, 5, "refunded", |charge| charge["status"] == "refunded").await;
    assert_eq!(world.merchant.of("charge.paid").len(), 1);
}

#[tokio::test]
async fn goods_that_cannot_be_delivered_wait_for_a_person_otherwise() {
    let world = World::start().await;
    world.merchant.answer_next(422, r#"{"status":"undeliverable","detail":"sold out"}"#);
    let id = paid(&world, json!({})).await;
    let seen = world.until(&id, "at attention", |charge| charge["stage"] == "attention").await;
    assert_eq!((seen["status"].as_str(), seen["delivery"]["last_error"].as_str()), (Some("paid"), Some("sold out")));
}

#[tokio::test]
async fn late_money_goes_back_where_the_merchant_wants_it_so() {
    let world = World::with(Wishes { merchant: "late_payment = \"refund\"", ..Wishes::default() }).await;
    let charge = world.open(json!({ "channel": "wechat-main" })).await;
    let id = charge["id"].as_str().unwrap().to_owned();
    assert_eq!(world.post_in_turn(&format!("/v1/charges/{id}/close"), json!({})).await.0, 200);
    let mut scan = tongdao_sandbox::ScanRequest::code(crate::world::code_of(&charge["attempt"]));
    scan.late = true;
    world.sandbox.scan(&scan).unwrap();
    world.until(&id, "late", |charge| charge["late"] == true).await;
    world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
    assert!(world.merchant.of("charge.paid").is_empty());
    assert_eq!(world.provider_net(), 0);
}
