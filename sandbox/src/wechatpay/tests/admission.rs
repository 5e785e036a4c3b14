//! Who is let in: signatures, times, names and manners.
//! Each request is good but for one bend, so a refusal can have one cause only.
//! Must not know: what an admitted request does.

use super::merchant::{Call, MCH_ID, Merchant};

#[tokio::test]
async fn whoever_does_not_sign_what_is_sent_is_refused() {
    let merchant = Merchant::start().await;
    let good = Call::post("/v3/pay/transactions/native", &merchant.order("signed-0001"));
    let body = Call { signed_body: Some(good.body.replace("100", "1")), ..good.clone() };
    let target = Call { signed_target: Some("/v3/pay/transactions/app".into()), ..good.clone() };
    let late = Call { timestamp_s: Some(merchant.now() / 1000 - 301), ..good.clone() };
    let early = Call { timestamp_s: Some(merchant.now() / 1000 + 301), ..good.clone() };
    let serial = Call { serial_no: Some("ABCD".into()), ..good.clone() };
    for (bent, message) in
        [(body, "签名错误"), (target, "签名错误"), (late, "5分钟"), (early, "5分钟"), (serial, "序列号")]
    {
        let answer = merchant.send(&bent).await;
        assert_eq!(answer.code(), "401 SIGN_ERROR", "{bent:?}");
        assert!(answer.json()["message"].as_str().unwrap().contains(message), "{}", answer.text);
        assert_eq!(answer.signed, None);
    }
    assert!(merchant.sandbox.ledger().orders.is_empty());
    let edge = Call { timestamp_s: Some(merchant.now() / 1000 - 300), ..good };
    assert_eq!(merchant.send(&edge).await.status, 200);
}

#[tokio::test]
async fn strangers_and_ill_mannered_callers_are_refused() {
    let merchant = Merchant::start().await;
    let good = Call::post("/v3/pay/transactions/native", &merchant.order("signed-0001"));
    let stranger = Call { mchid: "1900000009".into(), ..good.clone() };
    assert_eq!(merchant.send(&stranger).await.code(), "400 MCH_NOT_EXISTS");
    let silent = Call { user_agent: "", ..good.clone() };
    assert_eq!(merchant.send(&silent).await.code(), "400 INVALID_REQUEST");
    let html = Call { accept: "text/html", ..good.clone() };
    assert_eq!(merchant.send(&html).await.code(), "400 INVALID_REQUEST");
    let bare = merchant.client.post(format!("http://{}{}", merchant.sandbox.addresses().wechatpay, good.target));
    let bare = bare.header("user-agent", "x").header("accept", "*/*").send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert!(merchant.sandbox.ledger().orders.is_empty());
}

#[tokio::test]
async fn the_signed_target_is_the_one_on_the_wire() {
    let merchant = Merchant::start().await;
    merchant.native("pipe|0001").await;
    let sent = format!("/v3/pay/transactions/out-trade-no/pipe%7C0001?mchid={MCH_ID}");
    let call = Call::get(sent.clone());
    assert_eq!(merchant.send(&call).await.json()["out_trade_no"], "pipe|0001");
    let bent = Call { signed_target: Some(sent.replace("%7C", "|")), ..call };
    assert_eq!(merchant.send(&bent).await.code(), "401 SIGN_ERROR");
    let elsewhere = merchant.send(&Call::get("/v3/pay/transactions/nowhere/x")).await;
    assert_eq!((elsewhere.status, elsewhere.text.as_str()), (404, ""));
    let method = merchant.send(&Call::get("/v3/pay/transactions/native")).await;
    assert_eq!((method.status, method.text.as_str()), (405, ""));
}
