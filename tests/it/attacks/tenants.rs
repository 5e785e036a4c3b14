//! A merchant sees only its own: another's id is answered exactly as one that does not exist.

use super::{Call, OTHER_KEY, books};
use crate::world::World;
use serde_json::{Value, json};

const ABSENT_CHARGE: &str = "ch_01J00000000000000000000000";
const ABSENT_REFUND: &str = "rf_01J00000000000000000000000";

/// Every route that names an object.
fn routes(charge: &str, refund: &str) -> Vec<(&'static str, String, &'static str)> {
    let of = |tail: &str| format!("/v1/charges/{charge}{tail}");
    vec![
        ("GET", of(""), ""),
        ("GET", of("/events"), ""),
        ("POST", of("/attempts"), "{}"),
        ("POST", of("/close"), "{}"),
        ("POST", of("/sync"), "{}"),
        ("POST", of("/notify"), "{}"),
        ("POST", of("/delivery"), r#"{"status":"failed"}"#),
        ("POST", of("/refunds"), r#"{"refund_no":"STOLEN","amount":1}"#),
        ("GET", format!("/v1/refunds/{refund}"), ""),
        ("GET", format!("/v1/refunds?charge={charge}"), ""),
    ]
}

fn as_other(call: Call) -> Call {
    Call { key_id: "key_other".into(), key: OTHER_KEY.into(), ..call }
}

#[tokio::test]
async fn anothers_objects_are_as_if_they_did_not_exist() {
    let world = World::start().await;
    let open = world.open(json!({})).await;
    let paid = world.open(json!({})).await;
    world.pay(&paid);
    let paid_id = paid["id"].as_str().unwrap();
    let paid = world.until(paid_id, "completed", |charge| charge["stage"] == "completed").await;
    let refunds = format!("/v1/charges/{paid_id}/refunds");
    let (status, refund) = world.post(&refunds, json!({ "refund_no": "R1", "amount": 5 })).await;
    assert_eq!(status, 201, "{refund}");
    let refund = refund["id"].as_str().unwrap();
    world.until(paid_id, "refunded", |charge| charge["amount_refunded"] == 5).await;
    let (before, webhooks) = (books(&world).await, world.merchant.arrived().len());
    for charge in [open["id"].as_str().unwrap(), paid_id] {
        let absent = routes(ABSENT_CHARGE, ABSENT_REFUND);
        for ((method, theirs, body), (_, absent, _)) in routes(charge, refund).into_iter().zip(absent) {
            let stolen = as_other(Call::new(&world, method, &theirs, body)).send(&world).await;
            let nothing = as_other(Call::new(&world, method, &absent, body)).send(&world).await;
            assert_eq!((stolen.status, stolen.code().as_str()), (404, "not_found"), "{method} {theirs}");
            assert_eq!((stolen.status, stolen.problem()), (nothing.status, nothing.problem()), "{method} {theirs}");
        }
    }
    assert_eq!(books(&world).await, before);
    assert_eq!(world.merchant.arrived().len(), webhooks, "nobody was told anything");
    // The owner is answered on every one of them.
    for (method, target, body) in routes(paid_id, refund) {
        let body = body.replace("STOLEN", "R2").replace("failed", "delivered");
        let answer = Call::new(&world, method, &target, body).send(&world).await;
        assert_ne!(answer.status, 404, "{method} {target}: {}", answer.text);
    }
    assert_eq!(paid["status"], "paid");
}

#[tokio::test]
async fn lists_searches_and_cursors_show_only_ones_own() {
    let world = World::start().await;
    for _ in 0..3 {
        world.open(json!({})).await;
    }
    let page = Call::new(&world, "GET", "/v1/charges?limit=1", "").send(&world).await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let no = page["data"][0]["merchant_order_no"].as_str().unwrap();
    let targets = [
        "/v1/charges".to_owned(),
        format!("/v1/charges?merchant_order_no={no}"),
        format!("/v1/charges?cursor={cursor}"),
        "/v1/charges?status=open&limit=200".to_owned(),
    ];
    for target in &targets {
        let own = Call::new(&world, "GET", target, "").send(&world).await;
        assert!(!own.json()["data"].as_array().unwrap().is_empty(), "{target}: {}", own.text);
        let others = as_other(Call::new(&world, "GET", target, "")).send(&world).await;
        assert_eq!((others.status, &others.json()["data"]), (200, &json!([])), "{target}: {}", others.text);
    }
    for target in ["/v1/charges?merchant=m_test", "/v1/charges?merchant_id=m_test", "/v1/charges?limit=1&limit=200"] {
        let answer = as_other(Call::new(&world, "GET", target, "")).send(&world).await;
        assert!((400..500).contains(&answer.status), "{target}: {}", answer.text);
    }
    // The same order number of another merchant is another order.
    let body = json!({ "merchant_order_no": no, "amount": 7, "subject": "另一家" }).to_string();
    let theirs = as_other(Call::open(&world, body)).send(&world).await;
    assert_eq!((theirs.status, theirs.json()["amount"].as_i64()), (201, Some(7)));
    let mine = Call::new(&world, "GET", &targets[1], "").send(&world).await.json();
    assert_eq!(mine["data"].as_array().unwrap().len(), 1);
    assert_eq!(mine["data"][0]["amount"], Value::from(1999));
}
