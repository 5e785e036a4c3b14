//! Money back by the merchant's order.

use crate::overrides::until_metric;
use crate::world::World;
use serde_json::{Value, json};
use tongdao_sandbox::{Fault, FaultKind, Operation, ProviderName, RefundState};

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

const PROVIDERS: [(&str, ProviderName, &str); 3] = [
    ("wechat-main", ProviderName::Wechatpay, "1900000001"),
    ("alipay-main", ProviderName::Alipay, "2021000000000001"),
    ("unionpay-main", ProviderName::Unionpay, ""),
];

async fn refund(world: &World, id: &str, no: &str, amount: i64) -> Value {
    let (status, refund) =
        world.post_in_turn(&format!("/v1/charges/{id}/refunds"), json!({ "refund_no": no, "amount": amount })).await;
    assert_eq!(status, 201, "{refund}");
    refund
}

async fn refund_now(world: &World, refund: &Value) -> Value {
    world.client.get(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap())).await.unwrap().1
}

#[tokio::test]
async fn refunds_of_one_payment_keep_the_providers_distance() {
    for (channel, gap_ms) in [("wechat-main", 60_000), ("alipay-main", 3_000)] {
        let world = World::start().await;
        let id = delivered(&world, channel).await;
        for (no, amount) in [("R1", 500), ("R2", 600), ("R3", 899)] {
            refund(&world, &id, no, amount).await;
        }
        world.advance_until(&id, 2, "asked for once", |_| !world.sandbox.ledger().refunds.is_empty()).await;
        world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
        let mut at: Vec<i64> = world.sandbox.ledger().refunds.iter().map(|refund| refund.created_at).collect();
        at.sort_unstable();
        assert_eq!(at.len(), 3, "{channel}");
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= gap_ms), "{channel}: {at:?}");
        assert_eq!(world.provider_net(), 0, "{channel}");
    }
}

#[tokio::test]
async fn a_payment_takes_no_more_refunds_than_its_provider_does() {
    let world = World::start().await;
    let id = delivered(&world, "wechat-main").await;
    for n in 0..50 {
        refund(&world, &id, &format!("R{n}"), 1).await;
    }
    let path = format!("/v1/charges/{id}/refunds");
    let (status, problem) = world.post_in_turn(&path, json!({ "refund_no": "R50", "amount": 1 })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("invalid_state")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("no further refund"), "{problem}");
}

#[tokio::test]
async fn an_empty_account_keeps_the_refund_tells_a_person_and_goes_on_when_it_is_filled() {
    for (channel, provider, _) in [PROVIDERS[0], PROVIDERS[1]] {
        let world = World::start().await;
        let id = delivered(&world, channel).await;
        world.fault(provider, Operation::Refund, Fault::kind(FaultKind::NotEnough));
        let ordered = refund(&world, &id, "R1", 1999).await;
        world.advance_until(&id, 10, "at attention", |charge| charge["stage"] == "attention").await;
        let stuck = format!("tongdao_refunds_stuck{{channel=\"{channel}\"}}");
        until_metric(&world, &stuck, "1").await;
        let seen = refund_now(&world, &ordered).await;
        assert_eq!((&seen["status"], seen["error"].is_object()), (&json!("pending"), true), "{channel}: {seen}");
        let path = format!("/v1/charges/{id}/refunds");
        let (status, _) = world.post_in_turn(&path, json!({ "refund_no": "R2", "amount": 1 })).await;
        assert_eq!(status, 422, "{channel}: its sum stays reserved");
        world.sandbox.clear_faults();
        world.advance_until(&id, 60, "refunded", |charge| charge["stage"] == "refunded").await;
        until_metric(&world, &stuck, "0").await;
        let refunds = world.sandbox.ledger().refunds;
        assert_eq!((refunds.len(), world.provider_net()), (1, 0), "{channel}");
        let after = refund_now(&world, &ordered).await;
        assert_eq!(after["provider_refund_no"], ordered["provider_refund_no"], "{channel}: the number stays");
    }
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_asked_about_and_never_made_twice() {
    for (channel, provider, _) in PROVIDERS {
        for kind in [FaultKind::ErrorAfterCommit, FaultKind::Truncated, FaultKind::ServerError] {
            let world = World::start().await;
            let id = delivered(&world, channel).await;
            world.fault(provider, Operation::Refund, Fault { count: Some(1), ..Fault::kind(kind) });
            let ordered = refund(&world, &id, "R1", 700).await;
            let back = |charge: &Value| charge["amount_refunded"] == 700;
            world.advance_until(&id, 10, "refunded in part", back).await;
            let refunds = world.sandbox.ledger().refunds;
            assert_eq!((refunds.len(), world.provider_net()), (1, 1299), "{channel} {kind:?}");
            let after = refund_now(&world, &ordered).await;
            assert_eq!(after["provider_refund_no"], ordered["provider_refund_no"], "{channel} {kind:?}");
            assert_eq!(world.merchant.of("refund.succeeded").len(), 1, "{channel} {kind:?}");
        }
    }
}

#[tokio::test]
async fn refund_callbacks_that_never_come_are_replaced_by_questions() {
    let world = World::start().await;
    world.lose_callbacks();
    for (channel, _, _) in PROVIDERS {
        let charge = world.open(json!({ "channel": channel })).await;
        world.pay(&charge);
        let id = charge["id"].as_str().unwrap().to_owned();
        world.advance_until(&id, 5, "completed", |charge| charge["stage"] == "completed").await;
        refund(&world, &id, &format!("{channel}-1"), 1999).await;
        world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
    }
    assert_eq!(world.provider_net(), 0);
}

#[tokio::test]
async fn a_refund_that_the_provider_gives_up_has_failed_and_its_sum_is_free_again() {
    for (channel, provider, _) in [PROVIDERS[0], PROVIDERS[2]] {
        let world = World::start().await;
        let id = delivered(&world, channel).await;
        let gives_up = Fault { refund_state: Some(RefundState::Closed), ..Fault::default() };
        world.fault(provider, Operation::Refund, gives_up);
        let first = refund(&world, &id, "R1", 1999).await;
        let failed = |charge: &Value| {
            let _unused = charge;
            world.merchant.of("refund.failed").len() == 1
        };
        world.advance_until(&id, 10, "told that it failed", failed).await;
        let seen = refund_now(&world, &first).await;
        assert_eq!((&seen["status"], seen["error"].is_object()), (&json!("failed"), true), "{channel}: {seen}");
        assert_eq!(
            (world.charge(&id).await["status"].as_str(), world.provider_net()),
            (Some("paid"), 1999),
            "{channel}"
        );
        world.sandbox.clear_faults();
        let again = refund(&world, &id, "R2", 1999).await;
        assert_ne!(again["provider_refund_no"], first["provider_refund_no"]);
        world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
        assert_eq!(world.provider_net(), 0, "{channel}");
    }
}

#[tokio::test]
async fn an_abnormal_refund_stays_pending_with_its_sum_and_ends_when_the_provider_says_so() {
    let world = World::start().await;
    let id = delivered(&world, "wechat-main").await;
    let abnormal = Fault { refund_state: Some(RefundState::Abnormal), ..Fault::default() };
    world.fault(ProviderName::Wechatpay, Operation::Refund, abnormal);
    let ordered = refund(&world, &id, "R1", 1999).await;
    world.advance_until(&id, 10, "at attention", |charge| charge["stage"] == "attention").await;
    assert_eq!(refund_now(&world, &ordered).await["status"], "pending");
    assert!(world.merchant.of("refund.failed").is_empty());
    let no = ordered["provider_refund_no"].as_str().unwrap();
    assert!(world.sandbox.turn_refund(ProviderName::Wechatpay, PROVIDERS[0].2, no, RefundState::Success));
    world.advance_until(&id, 60, "refunded", |charge| charge["stage"] == "refunded").await;
    assert_eq!(world.sandbox.ledger().refunds.len(), 1, "the number stays");
}

#[tokio::test]
async fn sixteen_callers_with_sixteen_wishes_never_get_more_than_was_paid() {
    for (channel, _, _) in PROVIDERS {
        let world = World::start().await;
        let id = delivered(&world, channel).await;
        let path = format!("/v1/charges/{id}/refunds");
        // Two callers a number; every third pair wants a sum of its own.
        let body = |n: i64| json!({ "refund_no": format!("S{}", n / 2), "amount": 300 + 100 * ((n / 2) % 3) });
        let bodies: Vec<Value> = (0..16).map(body).collect();
        let all = futures_util::future::join_all(bodies.iter().map(|body| world.client.post(&path, body))).await;
        let (mut made, mut sum) = (0, 0);
        for answer in all {
            let (status, answer) = answer.unwrap();
            assert!(matches!(status, 200 | 201 | 409 | 422), "{channel}: {answer}");
            if status == 201 {
                made += 1;
                sum += answer["amount"].as_i64().unwrap();
            }
        }
        let page = world.client.get(&format!("/v1/refunds?charge={id}")).await.unwrap().1;
        let there = page["data"].as_array().unwrap();
        assert_eq!(there.len(), made, "{channel}: a number is one refund");
        assert!(sum <= 1999 && sum > 1999 - 300 - 500, "{channel}: {sum}");
        world.advance_until(&id, 20, "all are through", |charge| charge["amount_refunded"] == sum).await;
        assert_eq!(world.provider_net(), 1999 - sum, "{channel}");
    }
}

#[tokio::test]
async fn a_full_refund_of_what_was_not_delivered_fences_the_goods_first() {
    let world = World::start().await;
    world.merchant.answer(202, "");
    let charge = world.open(json!({ "channel": "alipay-main" })).await;
    world.pay(&charge);
    let id = charge["id"].as_str().unwrap().to_owned();
    world.until(&id, "accepted", |charge| charge["delivery"]["status"] == "accepted").await;
    refund(&world, &id, "R1", 1000).await;
    assert_eq!(world.charge(&id).await["delivery"]["status"], "accepted", "a part leaves the goods owed");
    refund(&world, &id, "R2", 999).await;
    let fenced = world.charge(&id).await;
    assert_eq!(fenced["delivery"]["status"], "failed");
    for (path, body) in [("delivery", json!({ "status": "delivered" })), ("notify", json!({}))] {
        let (status, problem) = world.post_in_turn(&format!("/v1/charges/{id}/{path}"), body).await;
        assert_eq!((status, &problem["code"]), (409, &json!("invalid_state")), "{path}: {problem}");
    }
    world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
    assert_eq!((world.provider_net(), world.merchant.of("charge.paid").len()), (0, 1));
}
