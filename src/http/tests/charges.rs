//! Charges: opened, repeated, refused, retried, closed, delivered.

use super::world::{THREE, World, charge_body};
use axum::http::HeaderValue;
use serde_json::{Value, json};

fn path(charge: &Value, rest: &str) -> String {
    format!("/v1/charges/{}{rest}", charge["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_new_charge_has_every_field_of_the_contract() {
    let world = World::start().await;
    let more = json!({ "payer": { "id": "u1", "client_ip": "203.0.113.9" }, "metadata": { "k": "v" } });
    let answer = world.try_open(more).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let charge = answer.json();
    let fields = [
        "id",
        "object",
        "merchant_order_no",
        "amount",
        "currency",
        "subject",
        "scene",
        "status",
        "stage",
        "late",
        "created_at",
        "expires_at",
        "paid_at",
        "closed_at",
        "amount_refunded",
        "cashier_url",
        "attempt",
        "attempts",
        "failure",
        "delivery",
        "payer",
        "metadata",
        "version",
    ];
    for field in fields {
        assert!(charge.get(field).is_some(), "{field}");
    }
    assert_eq!(
        (&charge["status"], &charge["stage"], &charge["late"]),
        (&json!("open"), &json!("awaiting_payment"), &json!(false))
    );
    assert_eq!((&charge["amount"], &charge["currency"], &charge["scene"]), (&json!(1999), &json!("CNY"), &json!("qr")));
    assert_eq!(charge["payer"]["id"], "u1");
    assert_eq!(charge["metadata"], json!({ "k": "v" }));
    let token = charge["cashier_url"].as_str().unwrap().strip_prefix("https://pay.example/pay/").unwrap();
    assert_eq!(token.len(), 32);
    assert_eq!(charge["delivery"]["status"], "none");
    let shown = world.get(&path(&charge, "")).await;
    assert_eq!((shown.status, shown.json()), (200, charge));
}

#[tokio::test]
async fn a_new_attempt_has_every_field_of_the_contract() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    let attempt = &charge["attempt"];
    let fields = [
        "id",
        "seq",
        "channel",
        "provider",
        "provider_order_no",
        "provider_trade_no",
        "status",
        "pay",
        "route",
        "error",
        "created_at",
        "ended_at",
    ];
    for field in fields {
        assert!(attempt.get(field).is_some(), "attempt.{field}");
    }
    assert_eq!((&attempt["status"], &attempt["pay"]["type"]), (&json!("pending"), &json!("qr_code")));
    assert_eq!(attempt["pay"]["expires_at"], charge["expires_at"]);
    assert_eq!(attempt["route"]["chosen_because"], "pinned");
    assert_eq!(attempt["route"]["candidates"].as_array().unwrap().len(), 3);
    assert_eq!(charge["attempts"], json!([attempt]));
}

#[tokio::test]
async fn a_repeat_is_answered_with_the_charge_as_it_is_now() {
    let world = World::start().await;
    let body = charge_body(Value::Null);
    let first = world.post("/v1/charges", &body).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""));
    world.pay(&first.json()).await;
    let again = world.post("/v1/charges", &body).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!((&again.json()["id"], &again.json()["status"]), (&first.json()["id"], &json!("paid")));
    let mut other = body.clone();
    other["amount"] = json!(2000);
    let conflict = world.post("/v1/charges", &other).await;
    assert_eq!((conflict.status, conflict.code().as_str()), (409, "idempotency_conflict"));
    assert_eq!(world.counted("tongdao_idempotency_total{result=\"new\"}"), 1);
    assert_eq!(world.counted("tongdao_idempotency_total{result=\"replayed\"}"), 1);
    assert_eq!(world.counted("tongdao_idempotency_total{result=\"conflict\"}"), 1);
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_one_request() {
    let world = World::start().await;
    let with_key = |body: &Value, key: &'static str| {
        let mut request = world.signed("POST", "/v1/charges", &body.to_string());
        request.headers_mut().insert("idempotency-key", HeaderValue::from_static(key));
        request
    };
    let (one, other) = (charge_body(Value::Null), charge_body(Value::Null));
    assert_eq!(world.send(with_key(&one, "\"k1\"")).await.status, 201);
    assert_eq!(world.send(with_key(&one, "k1")).await.status, 200);
    let conflict = world.send(with_key(&other, "k1")).await;
    assert_eq!((conflict.status, conflict.code().as_str()), (409, "idempotency_conflict"));
    let malformed = world.send(with_key(&other, "a\"b")).await;
    assert_eq!((malformed.status, malformed.code().as_str()), (400, "malformed_request"));
}

#[tokio::test]
async fn a_charge_without_a_code_stays_open_and_the_same_request_is_a_new_try() {
    let world = World::start().await;
    let body = charge_body(json!({ "channel": "down" }));
    let answer = world.post("/v1/charges", &body).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "no_channel_available"));
    assert_eq!(answer.header("retry-after"), "5");
    let problem = answer.json();
    let charge = world.get(&format!("/v1/charges/{}", problem["charge_id"].as_str().unwrap())).await.json();
    assert_eq!((&charge["status"], &charge["failure"]["code"]), (&json!("open"), &json!("unavailable")));
    assert_eq!(charge["failure"]["advice"], problem["advice"]);
    assert_eq!(charge["attempts"][0]["error"]["provider_code"], "DOWN");
    let again = world.post("/v1/charges", &body).await;
    assert_eq!((again.status, &again.json()["charge_id"]), (503, &problem["charge_id"]));
    let refused = world.try_open(json!({ "channel": "refusing" })).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "channel_rejected"));
    assert!(refused.json()["charge_id"].as_str().unwrap().starts_with("ch_"));
}

#[tokio::test]
async fn a_refused_channel_is_followed_by_one_that_gives_a_code() {
    let world = World::start().await;
    let mut body = charge_body(Value::Null);
    body.as_object_mut().unwrap().remove("channel");
    let charge = world.post("/v1/charges", &body).await.json();
    assert_eq!(charge["attempt"]["channel"], "good", "{charge:#}");
}

#[tokio::test]
async fn a_wrong_body_lists_its_faults() {
    let world = World::start().await;
    let answer = world.post("/v1/charges", &json!({ "amount": "1", "status": "paid" })).await;
    assert_eq!((answer.status, answer.code().as_str()), (422, "invalid_request"));
    let problem = answer.json();
    let places: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
    assert_eq!(places, ["/merchant_order_no", "/amount", "/subject", "/status"]);
    assert_eq!(problem["request_id"], answer.header("request-id"));
}

#[tokio::test]
async fn another_merchants_charge_is_not_found_whatever_is_asked() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    let asks = [
        ("GET", "", ""),
        ("GET", "/events", ""),
        ("POST", "/close", ""),
        ("POST", "/sync", ""),
        ("POST", "/notify", ""),
        ("POST", "/attempts", "{}"),
        ("POST", "/delivery", r#"{"status":"delivered"}"#),
        ("POST", "/refunds", r#"{"refund_no":"R","amount":1}"#),
    ];
    let absent = json!({ "id": "ch_01KCPVWPM00000000000000000" });
    for (method, rest, body) in asks {
        let mut told = Vec::new();
        for of in [&charge, &absent] {
            let answer = world.send(world.signed_by(THREE, method, &path(of, rest), body)).await;
            let mut problem = answer.json();
            problem["request_id"] = Value::Null;
            told.push((answer.status, problem));
        }
        assert_eq!((told[0].0, told[0].1["code"].as_str()), (404, Some("not_found")), "{method} {rest}");
        assert_eq!(told[0], told[1], "foreign and absent look the same");
    }
    assert_eq!(world.get(&path(&charge, "")).await.json()["status"], "open");
}

#[tokio::test]
async fn a_new_attempt_comes_after_the_old_ones_end() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    let soon = world.post(&path(&charge, "/attempts"), &Value::Null).await;
    assert_eq!((soon.status, soon.code().as_str(), soon.header("retry-after")), (409, "request_in_progress", "3"));
    world.clock.advance_ms(4000);
    let answer = world.post(&path(&charge, "/attempts"), &json!({ "channel": "good" })).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let charge = answer.json();
    assert_eq!(charge["attempts"].as_array().unwrap().len(), 2);
    assert_eq!((&charge["attempts"][0]["status"], &charge["attempts"][0]["pay"]), (&json!("closed"), &Value::Null));
    assert_eq!(charge["attempt"]["seq"], 2);
    world.pay(&charge).await;
    let paid = world.post(&path(&charge, "/attempts"), &Value::Null).await;
    assert_eq!((paid.status, &paid.json()["status"]), (200, &json!("paid")));
}

#[tokio::test]
async fn a_charge_is_closed_and_then_takes_no_attempt() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    assert_eq!(world.post(&path(&charge, "/close"), &json!({ "a": 1 })).await.status, 422);
    let closed = world.post(&path(&charge, "/close"), &Value::Null).await;
    assert_eq!((closed.status, &closed.json()["status"]), (200, &json!("closed")));
    world.clock.advance_ms(4000);
    let late = world.post(&path(&charge, "/attempts"), &Value::Null).await;
    assert_eq!((late.status, late.code().as_str()), (409, "invalid_state"));
    let nothing = world.post(&path(&charge, "/delivery"), &json!({ "status": "delivered" })).await;
    assert_eq!((nothing.status, nothing.code().as_str()), (409, "invalid_state"));
}

#[tokio::test]
async fn a_paid_charge_is_delivered_once_and_for_all() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    assert_eq!(world.pay(&charge).await.body, "taken");
    let synced = world.post(&path(&charge, "/sync"), &Value::Null).await;
    assert_eq!((synced.status, &synced.json()["status"]), (200, &json!("paid")));
    assert_eq!(world.post(&path(&charge, "/notify"), &Value::Null).await.status, 200);
    let report = json!({ "status": "delivered", "reference": "K-1" });
    for _ in 0..2 {
        let done = world.post(&path(&charge, "/delivery"), &report).await;
        assert_eq!((done.status, &done.json()["delivery"]["status"]), (200, &json!("delivered")));
    }
    let failed = world.post(&path(&charge, "/delivery"), &json!({ "status": "failed" })).await;
    assert_eq!((failed.status, failed.code().as_str()), (409, "invalid_state"));
    let done = world.get(&path(&charge, "")).await.json();
    assert_eq!((&done["stage"], &done["delivery"]["reference"]), (&json!("completed"), &json!("K-1")));
}

#[tokio::test]
async fn a_batch_answers_each_charge_in_order() {
    let world = World::start().await;
    let good = charge_body(Value::Null);
    let charges = json!({ "charges": [good, { "amount": 0 }, charge_body(json!({ "channel": "down" })), 7] });
    let answer = world.post("/v1/charges/batch", &charges).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let outcomes = answer.json();
    let outcomes = outcomes["data"].as_array().unwrap();
    assert_eq!(outcomes[0]["charge"]["merchant_order_no"], good["merchant_order_no"]);
    assert_eq!(outcomes[1]["problem"]["code"], "invalid_request");
    assert_eq!(outcomes[1]["problem"]["errors"][1]["pointer"], "/charges/1/amount");
    assert_eq!(outcomes[2]["problem"]["code"], "no_channel_available");
    assert_eq!(outcomes[3]["problem"]["status"], 422);
    assert_eq!(outcomes.len(), 4);
}
