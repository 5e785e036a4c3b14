//! The merchant hands over the goods, or does not, and what its money does then.

use crate::overrides::{admin, load, until_metric};
use crate::world::{Wishes, World};
use serde_json::{Value, json};
use tongdao::client::Verb;

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

#[tokio::test]
async fn an_overdue_delivery_goes_on_where_the_merchant_wants_it_and_is_seen_until_it_is_done() {
    let world = World::start().await;
    world.merchant.answer(500, "");
    let id = paid(&world, json!({ "delivery": { "deadline": 60 } })).await;
    world.until(&id, "paid", |charge| charge["status"] == "paid").await;
    let overdue = |charge: &Value| charge["delivery"]["overdue"] == true;
    let seen = world.advance_until(&id, 15, "overdue", overdue).await;
    assert_eq!((seen["status"].as_str(), seen["stage"].as_str()), (Some("paid"), Some("delivering")));
    world.advance_until(&id, 5, "told", |_| !world.merchant.of("charge.delivery_overdue").is_empty()).await;
    let oldest = "tongdao_oldest_undelivered_paid_charge_timestamp_seconds";
    let (_, text) = admin(&world, "/metrics", Verb::Get).await;
    let line = text.as_str().unwrap().lines().find(|line| line.starts_with(oldest)).unwrap().to_owned();
    assert!(!line.ends_with(" 0"), "{line}");
    world.advance_until(&id, 60, "at attention", |charge| charge["stage"] == "attention").await;
    let breaks = load(&world, "/admin/v1/breaks?status=open").await;
    assert_eq!(breaks["data"][0]["kind"], "undelivered", "ten minutes after the deadline");
    let tries = world.charge(&id).await["delivery"]["tries"].as_i64().unwrap();
    world.merchant.answer(200, "success");
    let done = world.advance_until(&id, 300, "completed", |charge| charge["stage"] == "completed").await;
    assert_eq!(done["delivery"]["tries"].as_i64(), Some(tries + 1), "the tries went on after the break");
    assert_eq!(load(&world, "/admin/v1/breaks?status=repaired").await["data"][0]["kind"], "undelivered");
    until_metric(&world, r#"tongdao_repairs_total{kind="redelivered"}"#, "1").await;
    until_metric(&world, oldest, "0").await;
    assert_eq!((world.provider_net(), world.sandbox.ledger().refunds.len()), (1999, 0));
}

#[tokio::test]
async fn what_was_delivered_is_never_refunded_by_itself() {
    let world = World::start().await;
    let id = paid(&world, json!({ "delivery": { "deadline": 60, "on_overdue": "refund" } })).await;
    world.until(&id, "completed", |charge| charge["stage"] == "completed").await;
    for _ in 0..10 {
        world.advance_s(120);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let after = world.charge(&id).await;
    assert_eq!((after["stage"].as_str(), after["delivery"]["overdue"].as_bool()), (Some("completed"), Some(false)));
    assert!(world.sandbox.ledger().refunds.is_empty() && world.merchant.of("charge.delivery_overdue").is_empty());
}

#[tokio::test]
async fn an_overdue_refund_is_made_once_and_counted() {
    let mut world = World::start().await;
    world.merchant.answer(302, "");
    let id = paid(&world, json!({ "delivery": { "deadline": 60, "on_overdue": "refund" } })).await;
    world.until(&id, "tried", |charge| charge["delivery"]["tries"].as_i64() >= Some(1)).await;
    world.advance_until(&id, 15, "on its way back", |charge| charge["delivery"]["status"] == "failed").await;
    world.restart().await;
    world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
    world.advance_s(3600);
    assert_eq!((world.sandbox.ledger().refunds.len(), world.provider_net()), (1, 0));
    let told = world.merchant.of("charge.delivery_overdue");
    assert!(told.iter().all(|one| one.id == told[0].id), "one event, however often it is told");
}

#[tokio::test]
async fn a_merchant_that_comes_back_gets_everything_it_missed() {
    let world = World::start().await;
    world.merchant.answer(503, "down");
    let mut ids = Vec::new();
    for _ in 0..6 {
        let id = paid(&world, json!({})).await;
        world.until(&id, "tried", |charge| charge["delivery"]["tries"].as_i64() >= Some(1)).await;
        ids.push(id);
    }
    let closed = world.open(json!({ "channel": "wechat-main" })).await["id"].as_str().unwrap().to_owned();
    assert_eq!(world.post_in_turn(&format!("/v1/charges/{closed}/close"), json!({})).await.0, 200);
    world.advance_s(900);
    world.merchant.answer(200, "success");
    for id in &ids {
        world.advance_until(id, 60, "completed", |charge| charge["stage"] == "completed").await;
    }
    let told = |topic: &str, id: &str| {
        let all = world.merchant.of(topic);
        all.into_iter().filter(|one| one.body["data"]["id"] == id).map(|one| one.id).collect::<Vec<_>>()
    };
    for id in &ids {
        let webhooks = told("charge.paid", id);
        assert!(webhooks.len() >= 2 && webhooks.iter().all(|one| *one == webhooks[0]), "{webhooks:?}");
    }
    world.advance_until(&closed, 60, "told of the close", |_| told("charge.closed", &closed).len() >= 2).await;
}

#[tokio::test]
async fn notify_sends_it_again_now_and_is_answered_after_delivery_too() {
    let world = World::start().await;
    world.merchant.answer(503, "down");
    let id = paid(&world, json!({})).await;
    let tried = |charge: &Value| charge["delivery"]["tries"].as_i64() >= Some(2);
    world.advance_until(&id, 5, "tried", tried).await;
    world.merchant.answer(200, "success");
    let (status, _) = world.post_in_turn(&format!("/v1/charges/{id}/notify"), json!({})).await;
    assert_eq!(status, 200);
    world.until(&id, "completed without waiting", |charge| charge["stage"] == "completed").await;
    let before = world.merchant.of("charge.paid").len();
    world.merchant.answer_next(409, r#"{"status":"undeliverable","detail":"lost it"}"#);
    let (status, _) = world.post_in_turn(&format!("/v1/charges/{id}/notify"), json!({})).await;
    assert_eq!(status, 200);
    let told = |_: &Value| world.merchant.of("charge.paid").len() == before + 1;
    let seen = world.until(&id, "told again", told).await;
    assert_eq!(seen["stage"], "completed", "delivered is final");
    let all = world.merchant.of("charge.paid");
    assert!(all.iter().all(|one| one.id == all[0].id));
    let refund = json!({ "refund_no": "whole", "amount": seen["amount"], "reason": "sent back" });
    let (status, _) = world.post_in_turn(&format!("/v1/charges/{id}/refunds"), refund).await;
    assert!(matches!(status, 200..=202), "{status}");
    let (status, _) = world.post_in_turn(&format!("/v1/charges/{id}/notify"), json!({})).await;
    assert_eq!(status, 409, "nothing of the money is left");
}

#[tokio::test]
async fn a_report_of_delivery_after_the_fence_is_refused_and_is_a_break() {
    let world = World::start().await;
    world.merchant.answer_next(409, r#"{"status":"undeliverable","detail":"sold out"}"#);
    let id = paid(&world, json!({ "delivery": { "on_overdue": "refund" } })).await;
    world.advance_until(&id, 5, "refunded", |charge| charge["status"] == "refunded").await;
    let report = json!({ "status": "delivered" });
    assert_eq!(world.post_in_turn(&format!("/v1/charges/{id}/delivery"), report).await.0, 409);
    assert_eq!(world.charge(&id).await["stage"], "attention");
    let breaks = load(&world, "/admin/v1/breaks?status=open").await;
    assert_eq!(breaks["data"][0]["kind"], "delivered_after_refund");
}

#[tokio::test]
async fn a_merchant_finds_what_needs_it_page_by_page() {
    let world = World::start().await;
    let mut wanted = Vec::new();
    for n in 0..7 {
        if n % 2 == 0 {
            world.merchant.answer_next(422, r#"{"status":"undeliverable","detail":"sold out"}"#);
        }
        let id = paid(&world, json!({})).await;
        let stage = if n % 2 == 0 { "attention" } else { "completed" };
        world.until(&id, stage, |charge| charge["stage"] == stage).await;
        if n % 2 == 0 {
            wanted.insert(0, id);
        }
    }
    let (mut found, mut target) = (Vec::new(), "/v1/charges?status=paid&stage=attention&limit=3".to_owned());
    loop {
        let (status, page) = world.client.get(&target).await.unwrap();
        assert_eq!(status, 200, "{page}");
        found.extend(page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        target = format!("/v1/charges?status=paid&stage=attention&limit=3&cursor={cursor}");
    }
    assert_eq!(found, wanted);
}
