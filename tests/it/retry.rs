//! A payer tries again, and sometimes pays twice.

use crate::world::{Wishes, World, code_of};
use serde_json::{Value, json};

async fn again(world: &World, id: &str, ask: Value) -> (u16, Value) {
    world.advance_s(4);
    world.post(&format!("/v1/charges/{id}/attempts"), ask).await
}

/// The same, where the answer is not to be `request_in_progress`.
async fn again_in_turn(world: &World, id: &str, ask: Value) -> (u16, Value) {
    world.advance_s(4);
    world.post_in_turn(&format!("/v1/charges/{id}/attempts"), ask).await
}

#[tokio::test]
async fn a_wechat_code_is_closed_before_the_next_one_opens() {
    let world = World::start().await;
    let charge = world.open(json!({ "channel": "wechat-main" })).await;
    let id = charge["id"].as_str().unwrap().to_owned();
    let (status, after) = again_in_turn(&world, &id, json!({ "channel": "alipay-main" })).await;
    assert_eq!(status, 201, "{after}");
    assert_eq!(after["attempts"][0]["status"], "closed");
    assert_eq!(after["attempt"]["channel"], "alipay-main");
    assert!(world.scan(&code_of(&charge["attempt"])).is_err(), "the old code is dead");
    world.pay(&after);
    world.until(&id, "completed", |charge| charge["stage"] == "completed").await;
}

#[tokio::test]
async fn a_charge_that_was_paid_meanwhile_opens_no_attempt() {
    let world = World::start().await;
    world.lose_callbacks();
    let charge = world.open(json!({ "channel": "wechat-main" })).await;
    world.pay(&charge);
    let id = charge["id"].as_str().unwrap().to_owned();
    let (status, after) = again_in_turn(&world, &id, json!({})).await;
    assert_eq!((status, after["status"].as_str()), (200, Some("paid")), "{after}");
    assert_eq!(after["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_pays_both_codes_gets_the_second_payment_back_by_itself() {
    for first in ["alipay-main", "unionpay-main"] {
        let world = World::start().await;
        let charge = world.open(json!({ "channel": first })).await;
        let id = charge["id"].as_str().unwrap().to_owned();
        let (status, after) = again_in_turn(&world, &id, json!({ "channel": "wechat-main" })).await;
        assert_eq!(status, 201, "{after}");
        assert_eq!(after["attempts"][0]["status"], "pending", "{first}: {after:#}");
        world.scan(&code_of(&after["attempts"][0])).unwrap();
        world.scan(&code_of(&after["attempts"][1])).unwrap();
        let both = |charge: &Value| {
            let statuses: Vec<_> = charge["attempts"].as_array().unwrap().iter().map(|a| a["status"].clone()).collect();
            statuses.contains(&json!("succeeded")) && statuses.contains(&json!("duplicate"))
        };
        let seen = world.advance_until(&id, 3, "one counts, one is a duplicate", both).await;
        assert_eq!(seen["amount_refunded"], 0);
        for _ in 0..40 {
            if world.provider_net() == 1999 {
                break;
            }
            world.advance_s(10);
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        assert_eq!(world.provider_net(), 1999, "{first}");
        assert_eq!(world.sandbox.ledger().refunds.len(), 1);
        world.until(&id, "told of the refund", |_| world.merchant.of("refund.succeeded").len() == 1).await;
        assert_eq!(world.merchant.of("charge.paid").len(), 1);
    }
}

#[tokio::test]
async fn a_merchant_that_waits_gets_no_second_payable_code() {
    let world = World::with(Wishes { merchant: "unprovable_end = \"wait\"", ..Wishes::default() }).await;
    let charge = world.open(json!({ "channel": "alipay-main" })).await;
    let id = charge["id"].as_str().unwrap().to_owned();
    let (status, problem) = again(&world, &id, json!({ "channel": "wechat-main" })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("request_in_progress")), "{problem}");
    assert_eq!(world.charge(&id).await["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_third_payable_code_is_refused() {
    let world = World::start().await;
    let charge = world.open(json!({ "channel": "alipay-main" })).await;
    let id = charge["id"].as_str().unwrap().to_owned();
    let (status, _) = again_in_turn(&world, &id, json!({ "channel": "unionpay-main" })).await;
    assert_eq!(status, 201);
    let (status, problem) = again(&world, &id, json!({ "channel": "wechat-main" })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("request_in_progress")), "{problem}");
}

#[tokio::test]
async fn a_clients_own_retry_opens_no_second_code() {
    let world = World::start().await;
    let charge = world.open(json!({ "channel": "wechat-main" })).await;
    let path = format!("/v1/charges/{}/attempts", charge["id"].as_str().unwrap());
    let (status, problem) = world.post(&path, json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("request_in_progress")), "{problem}");
}
