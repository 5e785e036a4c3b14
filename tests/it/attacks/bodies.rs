//! What a body must not hold: each fault gets its own code, and nothing happens.

use super::{Call, books, good_charge};
use crate::world::World;
use serde_json::{Value, json};

/// A right body with one more member in front.
fn with(member: &str) -> String {
    good_charge().replacen('{', &format!("{{{member},"), 1)
}

fn amount(text: &str) -> String {
    good_charge().replacen("1999", text, 1)
}

async fn refused(world: &World, target: &str, body: Vec<u8>, status: u16, code: &str) -> Value {
    let call = Call::new(world, "POST", target, body);
    let answer = call.send(world).await;
    let shown = String::from_utf8_lossy(&call.body[..call.body.len().min(120)]).into_owned();
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{target} {shown}: {}", answer.text);
    answer.problem()
}

#[tokio::test]
async fn keys_that_are_unknown_or_stand_twice_are_refused_at_any_depth() {
    let world = World::start().await;
    let charge = world.open(json!({})).await;
    let id = charge["id"].as_str().unwrap();
    let before = books(&world).await;
    let opening = [
        (with(r#""status":"paid""#), "/status"),
        (with(r#""merchant_id":"m_other""#), "/merchant_id"),
        (with(r#""merchant":"m_other""#), "/merchant"),
        (with(r#""amount_refunded":0"#), "/amount_refunded"),
        (with(r#""paid_at":"2026-01-01T00:00:00Z""#), "/paid_at"),
        (with(r#""id":"ch_01J00000000000000000000000""#), "/id"),
        (with(r#""version":99"#), "/version"),
        (with(r#""Amount":1"#), "/Amount"),
        (with(r#""__proto__":{}"#), "/__proto__"),
        (with(r#""amount":1"#), "/amount"),
        (with(r#""\u0061mount":1"#), "/amount"),
        (with(r#""payer":{"id":"p","vip":true}"#), "/payer/vip"),
        (with(r#""payer":{"id":"p","id":"q"}"#), "/payer/id"),
        (with(r#""delivery":{"status":"delivered"}"#), "/delivery/status"),
        (with(r#""delivery":{"deadline":60,"deadline":61}"#), "/delivery/deadline"),
        (with(r#""metadata":{"k":"1","k":"2"}"#), "/metadata/k"),
        (with(r#""metadata":{"k":{"deep":1}}"#), "/metadata/k"),
    ];
    for (body, pointer) in opening {
        let problem = refused(&world, "/v1/charges", body.into(), 422, "invalid_request").await;
        let faults = problem["errors"].as_array().unwrap();
        assert!(faults.iter().any(|fault| fault["pointer"] == pointer), "{pointer}: {problem}");
    }
    let others = [
        ("attempts", r#"{"status":"succeeded"}"#),
        ("attempts", r#"{"scene":"qr","scene":"h5"}"#),
        ("refunds", r#"{"refund_no":"R1","amount":1,"status":"succeeded"}"#),
        ("refunds", r#"{"refund_no":"R1","amount":1,"amount":2}"#),
        ("delivery", r#"{"status":"delivered","paid":true}"#),
        ("delivery", r#"{"status":"delivered","status":"failed"}"#),
    ];
    for (route, body) in others {
        refused(&world, &format!("/v1/charges/{id}/{route}"), body.into(), 422, "invalid_request").await;
    }
    let batch = format!(r#"{{"charges":[{}],"charges":[]}}"#, good_charge());
    refused(&world, "/v1/charges/batch", batch.into(), 422, "invalid_request").await;
    let batch = format!(r#"{{"charges":[{},{}]}}"#, with(r#""status":"paid""#), with(r#""amount":1"#));
    let answer = Call::new(&world, "POST", "/v1/charges/batch", batch).send(&world).await;
    let outcomes = answer.json()["data"].clone();
    for outcome in outcomes.as_array().unwrap() {
        assert_eq!(outcome["problem"]["code"], "invalid_request", "{outcomes}");
    }
    assert_eq!(books(&world).await, before);
    let whole = with(r#""payer":{"id":"p"},"delivery":{"deadline":60},"metadata":{"k":"1"}"#);
    assert_eq!(Call::open(&world, whole).send(&world).await.status, 201);
}

#[tokio::test]
async fn an_amount_is_a_whole_number_of_fen_within_its_limits() {
    let world = World::start().await;
    let before = books(&world).await;
    let wrong = [
        "0",
        "-0",
        "-1",
        "0.001",
        "19.99",
        "1.0",
        "1e3",
        "1E3",
        "1e308",
        "1e999",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "99999999999999999999999999",
        "10000000001",
        "\"1999\"",
        "\"1e2\"",
        "\"１００\"",
        "\"٠.٠١\"",
        "true",
        "null",
        "[1999]",
        "{\"total\":1999}",
    ];
    for text in wrong {
        refused(&world, "/v1/charges", amount(text).into(), 422, "invalid_request").await;
    }
    for text in ["NaN", "Infinity", "１００", "01999", "0x7cf", "+1999", "1999.", ".5", "1_999", ""] {
        refused(&world, "/v1/charges", amount(text).into(), 400, "malformed_request").await;
    }
    let currencies = ["\"JPY\"", "\"USD\"", "\"cny\"", "\"\"", "156", "[\"CNY\"]"];
    for currency in currencies {
        let body = with(&format!("\"currency\":{currency}"));
        refused(&world, "/v1/charges", body.into(), 422, "invalid_request").await;
    }
    assert_eq!(books(&world).await, before);
    let answer = Call::open(&world, with("\"currency\":\"CNY\"")).send(&world).await;
    assert_eq!((answer.status, answer.json()["amount"].as_i64()), (201, Some(1999)));
}

#[tokio::test]
async fn a_body_that_is_too_large_too_deep_or_no_json_is_refused() {
    let world = World::start().await;
    let before = books(&world).await;
    let padded = |bytes: usize| {
        let mut body = good_charge().into_bytes();
        body.resize(bytes, b' ');
        body
    };
    refused(&world, "/v1/charges", padded(64 * 1024 + 1), 413, "body_too_large").await;
    refused(&world, "/v1/charges", padded(10_000_000), 413, "body_too_large").await;
    let deep = [
        "[".repeat(10_000),
        "{\"a\":".repeat(10_000),
        with(&format!("\"metadata\":{}1{}", "[".repeat(10_000), "]".repeat(10_000))),
    ];
    for body in deep {
        refused(&world, "/v1/charges", body.into(), 400, "malformed_request").await;
    }
    let no_json: [&[u8]; 9] = [
        b"{",
        b"nothing",
        b"{'amount':1}",
        b"{\"amount\":1}{}",
        b"\xef\xbb\xbf{}",
        b"{\"subject\":\"\xff\"}",
        b"\x1f\x8b",
        b"amount=1999&subject=a",
        b"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
    ];
    for body in no_json {
        refused(&world, "/v1/charges", body.to_vec(), 400, "malformed_request").await;
    }
    for body in ["[]", "null", "1", "\"\""] {
        refused(&world, "/v1/charges", body.into(), 422, "invalid_request").await;
    }
    assert_eq!(books(&world).await, before);
    assert_eq!(Call::open(&world, padded(64 * 1024)).send(&world).await.status, 201, "just the limit");
}

#[tokio::test]
async fn only_json_that_says_so_is_read() {
    let world = World::start().await;
    let before = books(&world).await;
    let kinds = [
        None,
        Some("text/json"),
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/jsonp"),
        Some("application/xml"),
        Some(""),
    ];
    for kind in kinds {
        let call = Call { content_type: kind, ..Call::open(&world, good_charge()) };
        let answer = call.send(&world).await;
        assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_media_type"), "{kind:?}");
    }
    let call = Call::open(&world, good_charge());
    let zipped = call.send_as(&world, &[("authorization", &call.authorization()), ("content-encoding", "gzip")]).await;
    assert_eq!((zipped.status, zipped.code().as_str()), (400, "malformed_request"));
    assert_eq!(books(&world).await, before);
    let call = Call { content_type: Some("Application/JSON; charset=utf-8"), ..Call::open(&world, good_charge()) };
    assert_eq!(call.send(&world).await.status, 201);
}

#[tokio::test]
async fn text_of_any_kind_stays_text() {
    let world = World::start().await;
    for text in ["a\u{0}b", "a\nb", "a\u{7f}b", "", &"长".repeat(43)] {
        let body = json!({ "merchant_order_no": "N1", "amount": 1, "subject": text }).to_string();
        refused(&world, "/v1/charges", body.into(), 422, "invalid_request").await;
    }
    for no in ["", "a b", "a/b", "../x", "a'--", "订单", &"a".repeat(65)] {
        let body = json!({ "merchant_order_no": no, "amount": 1, "subject": "a" }).to_string();
        refused(&world, "/v1/charges", body.into(), 422, "invalid_request").await;
    }
    for subject in ["'; DROP TABLE charges; --", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "a&out_trade_no=b"]
    {
        let charge = world.open(json!({ "subject": subject })).await;
        assert_eq!(charge["subject"], subject);
        let page = outside_page(&world, charge["cashier_url"].as_str().unwrap()).await;
        assert!(!page.contains("<script>alert"), "{page}");
    }
}

async fn outside_page(world: &World, url: &str) -> String {
    let path = url.find("/pay/").map(|at| &url[at..]).unwrap();
    let base = format!("http://{}", world.daemon.as_ref().unwrap().public_addr);
    let reply = super::outside().get(format!("{base}{path}")).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    reply.text().await.unwrap()
}
