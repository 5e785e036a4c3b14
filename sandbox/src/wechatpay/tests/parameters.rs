//! Bodies the server refuses, a row each.
//! A case is a line: what is changed in a good order, and the pointer the refusal must name.
//! Must not know: the server's tables.

use serde_json::{Value, json};

use super::merchant::{Call, Merchant};

/// A pointer, the value put there ("-" removes it), and where the refusal must point.
const ROWS: [(&str, &str, &str); 20] = [
    ("/amount/total", "0", "/body/amount/total"),
    ("/amount/total", "1.5", "/body/amount/total"),
    ("/amount/total", "\"1\"", "/body/amount/total"),
    ("/amount/currency", "\"USD\"", "/body/amount/currency"),
    ("/amount", "-", "/body/amount"),
    ("/description", "\"\"", "/body/description"),
    ("/description", "null", "/body/description"),
    ("/description", "\"礼物🎁\"", "/body/description"),
    ("/out_trade_no", "\"short\"", "/body/out_trade_no"),
    ("/out_trade_no", "\"with space\"", "/body/out_trade_no"),
    ("/out_trade_no", "\"123456789012345678901234567890123\"", "/body/out_trade_no"),
    ("/notify_url", "\"https://shop.example/a?b=c\"", "/body/notify_url"),
    ("/notify_url", "\"shop.example\"", "/body/notify_url"),
    ("/mchid", "\"1900000002\"", "/body/mchid"),
    ("/colour", "\"red\"", "/body/colour"),
    ("/payer", "{\"openid\":\"o\"}", "/body/payer"),
    ("/time_expire", "\"tomorrow\"", "/body/time_expire"),
    ("/time_expire", "\"2025-12-31T23:59:59+08:00\"", "/body/time_expire"),
    ("/time_expire", "\"2026-02-01T08:00:00+08:00\"", "/body/time_expire"),
    ("/scene_info", "{\"payer_client_ip\":\"here\"}", "/body/scene_info/payer_client_ip"),
];

#[tokio::test]
async fn a_bad_parameter_is_refused_by_name() {
    let merchant = Merchant::start().await;
    for (pointer, value, field) in ROWS {
        let mut order = merchant.order("params-0001");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let place = order.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            "-" => place.remove(key),
            value => place.insert(key.into(), serde_json::from_str(value).unwrap()),
        };
        let answer = merchant.create("native", &order).await;
        assert_eq!(answer.code(), "400 PARAM_ERROR", "{pointer} {value}");
        assert_eq!(answer.json()["detail"]["field"], field, "{pointer} {value}");
        assert_eq!(answer.signed, None);
    }
    assert!(merchant.sandbox.ledger().orders.is_empty());
}

#[tokio::test]
async fn a_foreign_application_and_broken_json_are_refused() {
    let merchant = Merchant::start().await;
    let mut order = merchant.order("params-0001");
    order["appid"] = json!("wx0000000000000000");
    assert_eq!(merchant.create("native", &order).await.code(), "400 APPID_MCHID_NOT_MATCH");
    let mut call = Call::post("/v3/pay/transactions/native", &Value::Null);
    call.body = "{\"appid\":".into();
    assert_eq!(merchant.send(&call).await.code(), "400 PARAM_ERROR");
    assert!(merchant.sandbox.ledger().orders.is_empty());
}
