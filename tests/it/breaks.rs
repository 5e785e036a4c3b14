//! A person decides over a break: what moves, what is told first, who else must say so, and what the audit keeps.

use crate::overrides::{admin, line_after, load, sh, until_metric};
use crate::world::{Wishes, World, code_of};
use serde_json::{Value, json};
use tongdao::client::Verb;
use tongdao_sandbox::{ProviderName, RefundState, ScanRequest};

const CHANNELS: [&str; 3] = ["wechat-main", "alipay-main", "unionpay-main"];

async fn try_resolve(world: &World, id: &str, resolution: &str, actor: &str, more: Value) -> (u16, Value) {
    let mut body = json!({ "resolution": resolution, "actor": actor, "note": "looked into it" });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    admin(world, &format!("/admin/v1/breaks/{id}/resolve"), Verb::Post(&body)).await
}

async fn resolve(world: &World, id: &str, resolution: &str) -> Value {
    let (status, done) = try_resolve(world, id, resolution, "li", json!({})).await;
    assert_eq!((status, &done["status"]), (200, &json!("resolved")), "{done}");
    done
}

/// The open break of a charge.
async fn break_of(world: &World, charge: &str) -> Value {
    let page = load(world, "/admin/v1/breaks?status=open").await;
    let found = page["data"].as_array().unwrap().iter().find(|one| one["charge"] == charge);
    found.unwrap_or_else(|| panic!("no open break of {charge} in {page:#}")).clone()
}

fn id_of(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

/// A charge that a payer paid with `fen`, at attention.
async fn paid_wrong(world: &World, channel: &str, fen: i64) -> String {
    let charge = world.open(json!({ "channel": channel })).await;
    let scan = ScanRequest { amount: Some(fen), ..ScanRequest::code(code_of(&charge["attempt"])) };
    world.sandbox.scan(&scan).unwrap();
    let id = id_of(&charge).to_owned();
    world.advance_until(&id, 5, "at attention", |charge| charge["stage"] == "attention").await;
    id
}

async fn undeliverable(world: &World) -> String {
    world.merchant.answer_next(409, r#"{"status":"undeliverable","detail":"sold out"}"#);
    let charge = world.open(json!({ "channel": "wechat-main" })).await;
    world.pay(&charge);
    let id = id_of(&charge).to_owned();
    world.until(&id, "at attention", |charge| charge["stage"] == "attention").await;
    id
}

#[tokio::test]
async fn a_payment_of_another_sum_goes_back_whole_by_decision() {
    let world = World::start().await;
    for channel in CHANNELS {
        let id = paid_wrong(&world, channel, 700).await;
        let breach = break_of(&world, &id).await;
        assert_eq!((&breach["kind"], &breach["amount"]), (&json!("amount_differs"), &json!(700)));
        let done = resolve(&world, id_of(&breach), "refund").await;
        assert_eq!((&done["resolution"], &done["actor"]), (&json!("refund"), &json!("li")));
        world.advance_until(&id, 10, "refunded", |_| world.provider_net() == 0).await;
        let charge = world.charge(&id).await;
        assert_ne!(charge["stage"], "attention", "{channel}");
        assert_eq!((&charge["amount_refunded"], &charge["paid_at"]), (&json!(0), &Value::Null), "{channel}");
        let refunds = world.client.get(&format!("/v1/refunds?charge={id}")).await.unwrap().1;
        assert_eq!((&refunds["data"][0]["amount"], refunds["data"].as_array().unwrap().len()), (&json!(700), 1));
    }
    assert!(world.merchant.of("charge.paid").is_empty());
}

#[tokio::test]
async fn a_payment_of_another_sum_is_delivered_by_decision_and_can_go_back_later() {
    let world = World::start().await;
    for channel in CHANNELS {
        let id = paid_wrong(&world, channel, 1500).await;
        resolve(&world, id_of(&break_of(&world, &id).await), "deliver").await;
        let charge = world.until(&id, "completed", |charge| charge["stage"] == "completed").await;
        assert_eq!((&charge["status"], &charge["attempt"]["status"]), (&json!("paid"), &json!("succeeded")));
        let path = format!("/v1/charges/{id}/refunds");
        let (status, problem) = world.post(&path, json!({ "refund_no": format!("{id}-1"), "amount": 1501 })).await;
        assert_eq!((status, &problem["code"]), (422, &json!("amount_exceeds_refundable")), "{channel}");
        let (status, _) = world.post(&path, json!({ "refund_no": format!("{id}-2"), "amount": 1500 })).await;
        assert_eq!(status, 201, "{channel}");
        world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
    }
    assert_eq!(world.provider_net(), 0);
}

#[tokio::test]
async fn a_charge_leaves_attention_with_its_last_break_and_the_gauges_with_it() {
    let world = World::start().await;
    let open = r#"tongdao_reconciliation_open_breaks{channel="wechat-main",kind="undeliverable"}"#;
    let yuan = r#"tongdao_reconciliation_open_break_amount_yuan{kind="undeliverable"}"#;
    let id = undeliverable(&world).await;
    until_metric(&world, open, "1").await;
    until_metric(&world, yuan, "19.99").await;
    assert_eq!(load(&world, "/admin/v1/status").await["open_breaks"], 1);
    let breach = break_of(&world, &id).await;
    let seen = load(&world, &format!("/admin/v1/breaks/{}", id_of(&breach))).await;
    assert_eq!((&seen["id"], &seen["proposal"]), (&breach["id"], &Value::Null));
    resolve(&world, id_of(&breach), "deliver").await;
    let charge = world.until(&id, "completed", |charge| charge["stage"] == "completed").await;
    assert_eq!(charge["delivery"]["tries"], 2);
    until_metric(&world, open, "0").await;
    until_metric(&world, yuan, "0").await;
    until_metric(&world, "tongdao_reconciliation_oldest_open_break_timestamp_seconds{channel=\"wechat-main\"}", "0")
        .await;
    let audit = load(&world, "/admin/v1/audit").await;
    let entry = &audit["data"][0];
    assert_eq!((&entry["actor"], &entry["target"]), (&json!("li"), &breach["id"]), "{audit:#}");
    assert_eq!((&entry["action"], &entry["reason"]), (&json!("resolve deliver"), &json!("looked into it")));
    let events = load(&world, &format!("/admin/v1/charges/{id}/events")).await;
    assert!(events["data"].as_array().unwrap().iter().any(|event| event["type"] == "break_resolved"), "{events:#}");
}

#[tokio::test]
async fn goods_that_cannot_be_delivered_are_fenced_and_refunded_by_decision() {
    let world = World::start().await;
    let id = undeliverable(&world).await;
    let breach = break_of(&world, &id).await;
    let (status, told) = try_resolve(&world, id_of(&breach), "refund", "li", json!({ "dry_run": true })).await;
    assert_eq!((status, &told["dry_run"], &told["awaits_second"]), (200, &json!(true), &json!(false)), "{told}");
    let follows = told["follows"].to_string();
    assert!(follows.contains("fenced") && follows.contains("19.99 CNY of payment"), "{follows}");
    assert_eq!(world.charge(&id).await["stage"], "attention", "a dry run changes nothing");
    let asks = (0..8).map(|_| try_resolve(&world, id_of(&breach), "refund", "li", json!({})));
    for (status, answer) in futures_util::future::join_all(asks).await {
        assert!(status == 200 || answer["code"] == "request_in_progress", "{answer}");
    }
    let (status, problem) = world.post(&format!("/v1/charges/{id}/delivery"), json!({ "status": "delivered" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("invalid_state")));
    world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
    assert_eq!((world.provider_net(), world.sandbox.ledger().refunds.len()), (0, 1));
}

#[tokio::test]
async fn a_decision_that_does_not_fit_says_which_ones_do() {
    let world = World::start().await;
    let id = undeliverable(&world).await;
    let breach = break_of(&world, &id).await;
    let id = id_of(&breach);
    let (status, done) = try_resolve(&world, id, "accept", "li", json!({})).await;
    assert_eq!((status, &done["resolution"]), (200, &json!("accept")), "{done}");
    assert_eq!(try_resolve(&world, id, "accept", "li", json!({})).await.0, 200, "a repeat");
    let (status, problem) = try_resolve(&world, id, "refund", "li", json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("invalid_state")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("accept by li"), "{problem}");
    let wrong = paid_wrong(&world, "alipay-main", 700).await;
    let first = break_of(&world, &wrong).await;
    resolve(&world, id_of(&first), "deliver").await;
    for bad in [json!({ "actor": "" }), json!({ "note": null }), json!({ "resolution": "forget" }), json!({ "x": 1 })] {
        let (status, problem) = try_resolve(&world, id, "accept", "li", bad).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_request")), "{problem}");
    }
    assert_eq!(try_resolve(&world, "brk_01KCR000000000000000000000", "accept", "li", json!({})).await.0, 404);
}

#[tokio::test]
async fn above_the_configured_sum_a_second_person_says_the_same() {
    let instead = vec![("automatic = false", "automatic = false\nconfirm_above = 1000".to_owned())];
    let mut world = World::with(Wishes { instead, ..Wishes::default() }).await;
    let id = undeliverable(&world).await;
    let breach = break_of(&world, &id).await;
    let brk = id_of(&breach).to_owned();
    for _ in 0..2 {
        let (status, waiting) = try_resolve(&world, &brk, "refund", "li", json!({})).await;
        assert_eq!((status, &waiting["state"]), (202, &json!("awaiting confirmation")), "{waiting}");
        assert_eq!((&waiting["status"], &waiting["proposal"]["actor"]), (&json!("open"), &json!("li")));
    }
    let (status, other) = try_resolve(&world, &brk, "accept", "zhao", json!({})).await;
    assert_eq!((status, &other["proposal"]["resolution"]), (202, &json!("accept")), "another decision begins anew");
    assert_eq!(try_resolve(&world, &brk, "refund", "li", json!({})).await.0, 202);
    world.restart().await;
    let kept = load(&world, &format!("/admin/v1/breaks/{brk}")).await;
    assert_eq!((&kept["proposal"]["actor"], &kept["proposal"]["resolution"]), (&json!("li"), &json!("refund")));
    assert_eq!((world.charge(&id).await["stage"].as_str(), world.provider_net()), (Some("attention"), 1999));
    let (status, done) = try_resolve(&world, &brk, "refund", "wang", json!({})).await;
    assert_eq!((status, &done["actor"]), (200, &json!("li, wang")), "{done}");
    world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
    let audit = load(&world, "/admin/v1/audit").await;
    let said: Vec<&str> = audit["data"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(said, ["resolve refund", "propose refund", "propose accept", "propose refund"]);
    let small = paid_wrong(&world, "alipay-main", 700).await;
    resolve(&world, id_of(&break_of(&world, &small).await), "write_off").await;
}

#[tokio::test]
async fn money_that_bounces_days_later_is_a_break_and_goes_out_again_by_decision() {
    let world = World::start().await;
    let charge = world.open(json!({ "channel": "wechat-main" })).await;
    world.pay(&charge);
    let id = id_of(&charge).to_owned();
    world.until(&id, "completed", |charge| charge["stage"] == "completed").await;
    let path = format!("/v1/charges/{id}/refunds");
    let (status, refund) = world.post(&path, json!({ "refund_no": "R1", "amount": 1999 })).await;
    assert_eq!(status, 201);
    world.advance_until(&id, 10, "refunded", |charge| charge["status"] == "refunded").await;
    world.advance_s(3 * 24 * 3600);
    let no = refund["provider_refund_no"].as_str().unwrap();
    assert!(world.sandbox.turn_refund(ProviderName::Wechatpay, "1900000001", no, RefundState::Closed));
    let seen = world.until(&id, "at attention", |charge| charge["stage"] == "attention").await;
    assert_eq!((&seen["status"], &seen["amount_refunded"]), (&json!("refunded"), &json!(1999)), "no status goes back");
    assert_eq!(world.provider_net(), 1999);
    let breach = break_of(&world, &id).await;
    assert_eq!((&breach["kind"], &breach["amount"]), (&json!("refund_differs"), &json!(1999)));
    resolve(&world, id_of(&breach), "refund").await;
    world
        .advance_until(&id, 10, "back again", |charge| {
            charge["stage"] == "refunded"
                && world.sandbox.ledger().refunds.iter().filter(|r| r.state == RefundState::Success).count() == 1
        })
        .await;
    assert_eq!(world.provider_net(), 0);
    let refunds = world.client.get(&format!("/v1/refunds?charge={id}")).await.unwrap().1;
    let second = &refunds["data"][1];
    assert_eq!((&second["amount"], &second["refund_no"]), (&json!(1999), &Value::Null), "{refunds:#}");
    assert_ne!(second["provider_refund_no"], refund["provider_refund_no"]);
    assert_eq!(world.charge(&id).await["amount_refunded"], 1999);
}

#[tokio::test]
async fn on_call_is_led_from_the_list_to_the_decision() {
    let world = World::start().await;
    assert_eq!(sh(&world, "tongdao breaks").await, (0, "no such break\n".to_owned()));
    let id = undeliverable(&world).await;
    let brk = id_of(&break_of(&world, &id).await).to_owned();
    let (code, said) = sh(&world, "tongdao breaks").await;
    assert!(code == 0 && said.contains("undeliverable") && said.contains("19.99") && said.contains(&brk), "{said}");
    let dry = format!("tongdao break resolve {brk} --as write-off --note 'no $ lost' --dry-run");
    let (code, said) = sh(&world, &dry).await;
    assert!(code == 0 && said.contains("nobody is told") && said.contains("possible: deliver, refund"), "{said}");
    assert_eq!(world.charge(&id).await["stage"], "attention");
    let (code, said) = sh(&world, line_after(&said, "apply: ")).await;
    assert!(code == 0 && said.contains("resolved: write_off by li"), "{said}");
    assert_eq!(world.charge(&id).await["stage"], "completed");
    let (code, said) = sh(&world, &format!("tongdao break resolve {brk} --as refund --note again")).await;
    assert!(code == 4 && said.contains("write_off by li"), "{said}");
    let (code, said) = sh(&world, "tongdao --json breaks --status all").await;
    let all: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &all["data"][0]["status"]), (0, &json!("resolved")));
    assert_eq!(sh(&world, &format!("tongdao break resolve {brk} --as forget --note x")).await.0, 2);
}
