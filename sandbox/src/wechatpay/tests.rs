//! The WeChat Pay server over real HTTP, driven by a merchant that shares no code with it.
//! Here are the lives of orders; admission, parameters, refunds, statements and faults have files of their own.
//! Must not know: the server's signing or checking code.

pub(crate) mod merchant;

mod admission;
mod faults;
mod parameters;
mod refunds;
mod statements;

use serde_json::json;

use crate::{OrderState, ProviderName, ScanRefused, ScanRequest};
use merchant::{Call, MCH_ID, Merchant};

#[tokio::test]
async fn an_order_is_created_scanned_called_back_and_found_paid() {
    let merchant = Merchant::start().await;
    let code_url = merchant.native("order-0001").await;
    assert!(code_url.starts_with("weixin://wxpay/bizpayurl?pr=") && code_url.len() <= 64, "{code_url}");
    let unpaid = merchant.query("order-0001").await.json();
    assert_eq!(unpaid["trade_state"], "NOTPAY");
    assert!(unpaid.get("transaction_id").is_none() && unpaid.get("amount").is_none());

    let scanned = merchant.sandbox.scan(&ScanRequest::code(code_url.as_str())).unwrap();
    let trade_no = scanned.trade_no.unwrap();
    assert_eq!(trade_no.len(), 28);
    let callback = merchant.next_callback().await;
    assert_eq!(callback["event_type"], "TRANSACTION.SUCCESS");
    assert_eq!(callback["plain"]["transaction_id"], trade_no.as_str());
    assert_eq!(callback["plain"]["amount"]["total"], 100);
    assert_eq!(callback["plain"]["attach"], "自定义数据");

    let paid = merchant.query("order-0001").await.json();
    assert_eq!((&paid["trade_state"], &paid["trade_type"]), (&json!("SUCCESS"), &json!("NATIVE")));
    let by_id = merchant.send(&Call::get(format!("/v3/pay/transactions/id/{trade_no}?mchid={MCH_ID}"))).await;
    assert_eq!(by_id.json(), paid);
    assert_eq!(merchant.sandbox.scan(&ScanRequest::code(code_url)), Err(ScanRefused::AlreadyPaid));
    let payments = merchant.sandbox.ledger().payments;
    assert_eq!((payments.len(), payments[0].amount), (1, 100));
}

#[tokio::test]
async fn every_product_answers_its_own_code_and_trade_type() {
    let merchant = Merchant::start().await;
    let scene = json!({"payer_client_ip": "14.23.150.211", "h5_info": {"type": "Wap"}});
    for (product, more, answer, trade_type) in [
        ("h5", ("scene_info", scene), "h5_url", "MWEB"),
        ("jsapi", ("payer", json!({"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"})), "prepay_id", "JSAPI"),
        ("app", ("goods_tag", json!("WXG")), "prepay_id", "APP"),
    ] {
        let number = format!("product-{product}");
        let mut order = merchant.order(&number);
        order[more.0] = more.1;
        let created = merchant.create(product, &order).await;
        assert_eq!(created.status, 200, "{}", created.text);
        let mut code = created.json()[answer].as_str().unwrap().to_owned();
        if product == "h5" {
            code.push_str("&redirect_url=https%3A%2F%2Fshop.example");
        }
        merchant.sandbox.scan(&ScanRequest::code(code)).unwrap();
        let paid = merchant.next_callback().await["plain"].clone();
        assert_eq!(paid["trade_type"], trade_type);
        if product == "jsapi" {
            assert_eq!(paid["payer"]["openid"], "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o");
        }
    }
}

#[tokio::test]
async fn ordering_again_gives_a_new_code_or_the_documented_refusal() {
    let merchant = Merchant::start().await;
    let first = merchant.native("again-0001").await;
    let second = merchant.native("again-0001").await;
    assert_ne!(first, second);
    assert_eq!(merchant.sandbox.scan(&ScanRequest::code(first)), Err(ScanRefused::Expired), "the old code is void");

    let mut other = merchant.order("again-0001");
    other["amount"]["total"] = json!(101);
    assert_eq!(merchant.create("native", &other).await.code(), "403 OUT_TRADE_NO_USED");
    assert_eq!(merchant.create("app", &merchant.order("again-0001")).await.code(), "403 OUT_TRADE_NO_USED");

    merchant.sandbox.scan(&ScanRequest::code(second)).unwrap();
    let paid = merchant.create("native", &merchant.order("again-0001")).await;
    assert_eq!((paid.code().as_str(), paid.signed), ("400 ORDERPAID", None));
    merchant.native("again-0002").await;
    assert_eq!(merchant.close("again-0002").await.status, 204);
    assert_eq!(merchant.create("native", &merchant.order("again-0002")).await.code(), "400 ORDER_CLOSED");
}

#[tokio::test]
async fn a_query_must_name_the_merchant_and_finds_only_its_orders() {
    let merchant = Merchant::start().await;
    merchant.native("query-0001").await;
    for (query, field) in
        [("", "/query/mchid"), ("?mchid=1900000002", "/query/mchid"), ("?mchid=1900000001&x=1", "/query/x")]
    {
        let answer = merchant.send(&Call::get(format!("/v3/pay/transactions/out-trade-no/query-0001{query}"))).await;
        assert_eq!(answer.code(), "400 PARAM_ERROR");
        assert_eq!(answer.json()["detail"]["field"], field);
        assert_eq!(answer.json()["detail"]["location"], "query");
    }
    let unknown = merchant.query("query-0002").await;
    assert_eq!((unknown.code().as_str(), unknown.signed), ("404 ORDER_NOT_EXIST", None));
    let by_id =
        merchant.send(&Call::get(format!("/v3/pay/transactions/id/4200000000202601010000000000?mchid={MCH_ID}"))).await;
    assert_eq!(by_id.code(), "404 ORDER_NOT_EXIST");
}

#[tokio::test]
async fn close_is_204_and_signed_unless_paid() {
    let merchant = Merchant::start().await;
    let code = merchant.native("close-0001").await;
    for number in ["close-0001", "close-0001", "never-made"] {
        let closed = merchant.close(number).await;
        assert_eq!((closed.status, closed.text.as_str(), closed.signed), (204, "", Some(true)));
    }
    assert_eq!(merchant.trade_state("close-0001").await, "CLOSED");
    assert_eq!(merchant.sandbox.scan(&ScanRequest::code(code.as_str())), Err(ScanRefused::Closed));

    let late = ScanRequest { late: true, ..ScanRequest::code(code) };
    assert!(merchant.sandbox.scan(&late).unwrap().paid, "the race a merchant must survive");
    assert_eq!(merchant.trade_state("close-0001").await, "SUCCESS");
    assert_eq!(merchant.close("close-0001").await.code(), "400 ORDERPAID");
    let foreign = Call::post("/v3/pay/transactions/out-trade-no/close-0001/close", &json!({"mchid": "1900000002"}));
    assert_eq!(merchant.send(&foreign).await.json()["detail"]["field"], "/body/mchid");
}

#[tokio::test]
async fn an_expired_order_cannot_be_paid_but_stays_open_until_closed() {
    let merchant = Merchant::start().await;
    let mut order = merchant.order("expire-0001");
    order["time_expire"] = json!(crate::clock::rfc3339_beijing(merchant.now() + 10_000));
    let code = merchant.create("native", &order).await.json()["code_url"].as_str().unwrap().to_owned();
    merchant.advance(59_000);
    let request = ScanRequest::code(code.as_str());
    let look = ScanRequest { pay: false, ..request.clone() };
    assert!(!merchant.sandbox.scan(&look).unwrap().paid, "an end nearer than a minute is raised to one");
    merchant.advance(1_000);
    assert_eq!(merchant.sandbox.scan(&request), Err(ScanRefused::Expired));
    assert_eq!(merchant.trade_state("expire-0001").await, "NOTPAY");
    merchant.advance(7 * 24 * 3_600_000);
    assert_eq!(merchant.trade_state("expire-0001").await, "CLOSED");
}

#[tokio::test]
async fn a_code_outlives_neither_its_two_hours_nor_the_order() {
    let merchant = Merchant::start().await;
    let code = merchant.native("twohours-1").await;
    merchant.advance(2 * 3_600_000);
    assert_eq!(merchant.sandbox.scan(&ScanRequest::code(code)), Err(ScanRefused::Expired));
    let fresh = merchant.native("twohours-1").await;
    assert!(merchant.sandbox.scan(&ScanRequest::code(fresh)).unwrap().paid);
    let orders = merchant.sandbox.ledger().orders;
    assert_eq!((orders.len(), orders[0].state), (1, OrderState::Paid));
}

#[tokio::test]
async fn both_verification_modes_sign_with_the_key_the_request_names() {
    let merchant = Merchant::start().await;
    let call = Call::get("/v3/certificates");
    let answer = merchant.send(&call).await;
    assert_eq!((answer.status, answer.signed), (200, Some(true)));
    let entry = answer.json()["data"][0].clone();
    assert_eq!(entry["serial_no"].as_str().unwrap(), answer.headers["wechatpay-serial"].to_str().unwrap());
    assert_eq!(merchant.decrypt(&entry["encrypt_certificate"]), merchant.file("platform_cert.pem"));

    let id = merchant.file("public_key_id");
    let mut create = Call::post("/v3/pay/transactions/native", &merchant.order("modes-0001"));
    create.wechatpay_serial = Some(id.clone());
    let created = merchant.send(&create).await;
    assert_eq!((created.headers["wechatpay-serial"].to_str().unwrap(), created.signed), (id.as_str(), Some(true)));
    merchant.sandbox.scan(&ScanRequest::order(ProviderName::Wechatpay, MCH_ID, "modes-0001")).unwrap();
    let posted = merchant.shop.next().await;
    assert_eq!(
        posted.headers["wechatpay-serial"].to_str().unwrap(),
        id,
        "callbacks use the key of the order's request"
    );
    assert!(merchant.holds(&merchant::header_of(&posted.headers), &posted.body));

    create.wechatpay_serial = Some("PUB_KEY_ID_0".into());
    assert_eq!(merchant.send(&create).await.code(), "400 INVALID_REQUEST");
}
