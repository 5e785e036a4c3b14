//! Who is let in, how much may be sent, and what everybody else is told.

use super::world::{ONE, TWO, World, authorization, charge_body};
use crate::ports::Clock as _;
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use serde_json::{Value, json};

/// A signed GET whose parts can be spoilt.
struct Spoilt {
    key: (&'static str, &'static str),
    ago_s: i64,
    nonce: String,
    target: &'static str,
    signed_target: &'static str,
    method: &'static str,
    body: &'static str,
    signed_body: &'static str,
}

fn sound(nonce: &str) -> Spoilt {
    Spoilt {
        key: ONE,
        ago_s: 0,
        nonce: nonce.to_owned(),
        target: "/v1/charges",
        signed_target: "/v1/charges",
        method: "GET",
        body: "",
        signed_body: "",
    }
}

fn request(world: &World, spoilt: &Spoilt) -> Request<Body> {
    let timestamp = (world.clock.now().as_secs() - spoilt.ago_s).to_string();
    let lines = [spoilt.method, spoilt.signed_target, &timestamp, &spoilt.nonce, spoilt.signed_body];
    let request = Request::builder().method(spoilt.method).uri(spoilt.target);
    request.header(header::AUTHORIZATION, authorization(spoilt.key, lines)).body(Body::from(spoilt.body)).unwrap()
}

#[tokio::test]
async fn every_failure_is_the_same_401_and_its_own_count() {
    let world = World::start().await;
    let n = |tail: &str| format!("nonce-of-a-test-{tail}");
    let spoilt = [
        (Spoilt { key: ("key_nobody", "x"), ..sound(&n("a")) }, "unknown_key"),
        (Spoilt { key: ("key_one", "another key"), ..sound(&n("b")) }, "bad_signature"),
        (Spoilt { key: ("key_two", ONE.1), ..sound(&n("c")) }, "bad_signature"),
        (Spoilt { ago_s: 301, ..sound(&n("d")) }, "stale"),
        (Spoilt { ago_s: -301, ..sound(&n("e")) }, "stale"),
        (sound("short"), "bad_nonce"),
        (sound("with spaces and more"), "bad_nonce"),
        (sound(&"x".repeat(65)), "bad_nonce"),
        (Spoilt { target: "/v1/charges?limit=1", ..sound(&n("f")) }, "bad_signature"),
        (Spoilt { signed_target: "/v1/charges?", ..sound(&n("g")) }, "bad_signature"),
        (Spoilt { body: "{}", ..sound(&n("h")) }, "bad_signature"),
    ];
    let mut answers = Vec::new();
    for (spoilt, reason) in &spoilt {
        let series = format!("tongdao_auth_failures_total{{reason=\"{reason}\"}}");
        let before = world.counted(&series);
        let answer = world.send(request(&world, spoilt)).await;
        assert_eq!(answer.status, 401, "{reason}: {answer:?}");
        assert_eq!(world.counted(&series), before + 1, "{reason}");
        answers.push(answer);
    }
    for authorization in ["", "Bearer x", "TONGDAO-HMAC-SHA256 key_id=\"a\"", "TONGDAO-HMAC-SHA256"] {
        let request = Request::get("/v1/charges").header(header::AUTHORIZATION, authorization);
        answers.push(world.send(request.body(Body::empty()).unwrap()).await);
    }
    answers.push(world.send(Request::get("/v1/charges").body(Body::empty()).unwrap()).await);
    let told = |answer: &super::world::Answer| {
        let mut problem = answer.json();
        problem["request_id"] = json!("");
        (answer.status, problem, answer.header("www-authenticate").to_owned())
    };
    let first = told(&answers[0]);
    assert_eq!((first.0, first.1["code"].as_str()), (401, Some("unauthenticated")));
    assert!(answers.iter().all(|answer| told(answer) == first), "one of them tells more than the others");
    assert_eq!(world.counted("tongdao_auth_failures_total{reason=\"missing\"}"), 1);
    assert_eq!(world.counted("tongdao_auth_failures_total{reason=\"malformed\"}"), 4);
}

#[tokio::test]
async fn any_live_key_and_any_time_inside_the_window_is_taken() {
    let world = World::start().await;
    let new = ("key_one_new", "the second key of merchant one");
    for (at, key, ago_s) in [("1", ONE, 299), ("2", ONE, -299), ("3", new, 0)] {
        let spoilt = Spoilt { key, ago_s, ..sound(&format!("nonce-of-a-test-{at}")) };
        assert_eq!(world.send(request(&world, &spoilt)).await.status, 200, "{at}");
    }
}

#[tokio::test]
async fn a_nonce_counts_once() {
    let world = World::start().await;
    let sound = sound("nonce-of-a-test-0");
    assert_eq!(world.send(request(&world, &sound)).await.status, 200);
    assert_eq!(world.send(request(&world, &sound)).await.status, 401);
    assert_eq!(world.counted("tongdao_auth_failures_total{reason=\"nonce_seen\"}"), 1);
    // Another key's nonces are its own.
    let other = Spoilt { key: TWO, ..sound };
    assert_eq!(world.send(request(&world, &other)).await.status, 200);
}

#[tokio::test]
async fn a_merchant_over_its_budget_is_told_when_to_come_back() {
    let world = World::start().await;
    for _ in 0..5 {
        assert_eq!(world.send(world.signed_by(TWO, "GET", "/v1/charges", "")).await.status, 200);
    }
    let over = world.send(world.signed_by(TWO, "GET", "/v1/charges", "")).await;
    assert_eq!((over.status, over.code().as_str()), (429, "rate_limited"));
    assert_eq!(over.header("retry-after"), "1");
    assert_eq!(over.header("ratelimit-policy"), "\"merchant\";q=5;w=5");
    assert_eq!(over.header("ratelimit"), "\"merchant\";r=0;t=1");
    assert_eq!(world.get("/v1/charges").await.status, 200, "the other merchant has its own budget");
    assert_eq!(world.counted("tongdao_rate_limited_total{policy=\"merchant\"}"), 1);
    // Who cannot sign uses up nobody's budget.
    let forged = Spoilt { key: ("key_one", "x"), ..sound("nonce-of-a-test-9") };
    for _ in 0..500 {
        assert_eq!(world.send(request(&world, &forged)).await.status, 401);
    }
    assert_eq!(world.get("/v1/charges").await.status, 200);
}

#[tokio::test]
async fn a_batch_costs_as_much_as_its_charges() {
    let world = World::start().await;
    let charges: Vec<Value> = (0..6).map(|_| charge_body(Value::Null)).collect();
    let body = json!({ "charges": charges }).to_string();
    let first = world.send(world.signed_by(TWO, "POST", "/v1/charges/batch", &body)).await;
    assert_eq!(first.status, 429, "{first:?}");
}

#[tokio::test]
async fn a_large_or_strange_body_is_refused() {
    let world = World::start().await;
    let large = format!("{{\"subject\":\"{}\"}}", "x".repeat(70_000));
    let answer = world.send(world.signed("POST", "/v1/charges", &large)).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    let mut stated = world.signed("POST", "/v1/charges", "{}");
    stated.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("10000000"));
    assert_eq!(world.send(stated).await.status, 413);

    let mut typed = world.signed("POST", "/v1/charges", "{}");
    typed.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let answer = world.send(typed).await;
    assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_media_type"));
    let mut charset = world.signed("POST", "/v1/charges", "{}");
    charset.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("Application/JSON; charset=utf-8"));
    assert_eq!(world.send(charset).await.status, 422);

    for malformed in ["{", "\u{1}", &"[".repeat(10_000), "{\"amount\":NaN}"] {
        let answer = world.send(world.signed("POST", "/v1/charges", malformed)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed_request"), "{malformed:.20}");
    }
    let mut zipped = world.signed("POST", "/v1/charges", "\u{1f}\u{8b}");
    zipped.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert_eq!(world.send(zipped).await.status, 400);
}

#[tokio::test]
async fn every_answer_has_its_id_and_its_timing() {
    let world = World::start().await;
    let mut asked = world.signed("GET", "/v1/charges", "");
    asked.headers_mut().insert("request-id", HeaderValue::from_static("mine-1"));
    let answer = world.send(asked).await;
    assert_eq!(answer.header("request-id"), "mine-1");
    for part in ["route;dur=", "provider;dur=", "store;dur=", "total;dur="] {
        assert!(answer.header("server-timing").contains(part), "{part}");
    }
    let lost = world.send(Request::get("/v2/charges").body(Body::empty()).unwrap()).await;
    assert_eq!((lost.status, lost.code().as_str()), (404, "not_found"));
    assert!(lost.header("request-id").starts_with("req_"));
    assert_eq!(lost.json()["request_id"], lost.header("request-id"));
    let wrong = world.send(Request::delete("/v1/charges").body(Body::empty()).unwrap()).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (405, "method_not_allowed"));
    assert!(wrong.header("allow").contains("POST"), "{wrong:?}");
    let answered = "tongdao_http_requests_total{code=\"200\",method=\"GET\",route=\"/v1/charges\"}";
    assert_eq!(world.counted(answered), 1);
}
