//! The gateway itself: placements, signatures, certificates, cashiers and faults.
//! Guards: everything goes over real HTTP and every answer is verified before it is looked at.
//! Must not know: how the server keeps its orders.

use serde_json::{Value, json};

use super::merchant::{APP_ID, Merchant, Placement, text};
use crate::{
    alipay::sign,
    faults::{Fault, FaultKind, Operation},
    formats::{form, hash::tests::holds},
    inbox::{client, key_file},
    payers::{ScanRefused, ScanRequest},
};

#[tokio::test]
async fn every_placement_of_the_parameters_is_accepted() {
    let merchant = Merchant::new().await;
    for placement in [Placement::Body, Placement::Query, Placement::QueryAndBody] {
        let fields =
            merchant.signed("alipay.trade.query", &json!({ "out_trade_no": "none" }), &[("alipay_sdk", "x-1")]);
        let body = merchant.send(&fields, placement).await;
        assert_eq!(text(&merchant.verified("alipay.trade.query", &body), "sub_code"), "ACQ.TRADE_NOT_EXIST");
    }
}

#[tokio::test]
async fn an_absolute_request_target_is_accepted() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let merchant = Merchant::new().await;
    let fields = merchant.signed("alipay.trade.query", &json!({ "out_trade_no": "none" }), &[]);
    let address = merchant.bed.sandbox.addresses().alipay;
    let head = format!(
        "GET http://openapi.example/gateway.do?{} HTTP/1.1\r\nhost: openapi.example\r\nconnection: close\r\n\r\n",
        form::encode(&fields)
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("ACQ.TRADE_NOT_EXIST"), "{answer}");
}

#[tokio::test]
async fn a_tampered_call_is_refused_and_an_unknown_application_gets_no_signature() {
    let merchant = Merchant::new().await;
    let biz = json!({ "out_trade_no": "T1", "total_amount": "1.00", "subject": "x" });
    let mut fields = merchant.signed("alipay.trade.precreate", &biz, &[]);
    for (name, value) in &mut fields {
        if name == "biz_content" {
            *value = value.replace("1.00", "0.01");
        }
    }
    let body = merchant.send(&fields, Placement::Body).await;
    let node = merchant.verified("alipay.trade.precreate", &body);
    assert_eq!((text(&node, "code"), text(&node, "sub_code")), ("40002", "isv.invalid-signature"));
    assert!(merchant.bed.sandbox.ledger().orders.is_empty());

    for (name, value) in &mut fields {
        if name == "app_id" {
            *value = "2021000000000009".to_owned();
        }
    }
    let body = merchant.send(&fields, Placement::Body).await;
    assert!(body.contains("isv.invalid-app-id") && !body.contains("\"sign\""), "{body}");
}

#[tokio::test]
async fn certificate_mode_names_alipays_certificate_in_the_answer() {
    let merchant = Merchant::new().await;
    let file = |name: &str| key_file(&format!("alipay/{APP_ID}/{name}"));
    let app_sn = sign::cert_sn(&file("app_cert.crt")).unwrap();
    let root_sn = sign::root_cert_sn(&file("root_cert.crt"));
    let alipay_sn = sign::cert_sn(&file("alipay_cert.crt")).unwrap();
    let more = [("app_cert_sn", app_sn.as_str()), ("alipay_root_cert_sn", root_sn.as_str())];
    let fields = merchant.signed("alipay.trade.query", &json!({ "out_trade_no": "none" }), &more);
    let body = merchant.send(&fields, Placement::QueryAndBody).await;
    assert!(body.contains(&format!("}},\"alipay_cert_sn\":\"{alipay_sn}\",\"sign\":\"")), "{body}");
    merchant.verified("alipay.trade.query", &body);
}

#[tokio::test]
async fn a_visited_cashier_makes_the_trade_and_its_button_pays() {
    let merchant = Merchant::new().await;
    let biz =
        json!({ "out_trade_no": "W1", "total_amount": "1.00", "subject": "<b>", "product_code": "QUICK_WAP_WAY" });
    let fields = merchant.signed("alipay.trade.wap.pay", &biz, &[("return_url", "http://shop.example/back?x=1")]);
    assert_eq!(text(&merchant.query("W1").await, "sub_code"), "ACQ.TRADE_NOT_EXIST");
    let page = merchant.send(&fields, Placement::Query).await;
    assert!(page.contains("¥ 1.00") && page.contains("&lt;b&gt;"), "{page}");
    assert_eq!(text(&merchant.query("W1").await, "trade_status"), "WAIT_BUYER_PAY");
    merchant.send(&fields, Placement::Body).await;

    let pay = format!("http://{}/cashier/pay", merchant.bed.sandbox.addresses().alipay);
    let form = form::encode(&[("app_id", APP_ID), ("out_trade_no", "W1")]);
    let back = client().post(&pay).body(form).send().await.unwrap();
    assert_eq!(back.status(), 302);
    let location = back.headers()["location"].to_str().unwrap().to_owned();
    let query = location.strip_prefix("http://shop.example/back?x=1&").unwrap();
    let returned = form::decode(query).unwrap();
    assert_eq!(merchant.notify(&returned)("method"), "alipay.trade.wap.pay.return");
    let sent = merchant.bed.inbox.wait(1).await;
    assert_eq!(merchant.notify(&sent[0])("out_trade_no"), "W1");
}

#[tokio::test]
async fn an_order_string_can_be_opened_like_a_code() {
    let merchant = Merchant::new().await;
    let biz = json!({ "out_trade_no": "A1", "total_amount": "2.00", "subject": "点卡" });
    let order_string = form::encode(&merchant.signed("alipay.trade.app.pay", &biz, &[]));
    let scanned = merchant.bed.sandbox.scan(&ScanRequest::code(order_string.clone())).unwrap();
    assert_eq!((scanned.paid, scanned.order_no.as_str()), (true, "A1"));
    assert_eq!(text(&merchant.query("A1").await, "trade_status"), "TRADE_SUCCESS");
    let tampered = order_string.replace("2.00", "1.00");
    assert_eq!(merchant.bed.sandbox.scan(&ScanRequest::code(tampered)), Err(ScanRefused::Unknown));
}

#[tokio::test]
async fn a_refused_front_call_is_a_page_in_gbk_with_the_code() {
    let merchant = Merchant::new().await;
    let biz = json!({ "out_trade_no": "P1", "total_amount": "1.00", "subject": "x" });
    let fields = merchant.signed("alipay.trade.page.pay", &biz, &[]);
    let url = format!("{}?{}", merchant.gateway(), form::encode(&fields));
    let response = client().get(url).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html;charset=GBK");
    let page = response.bytes().await.unwrap();
    let (page, _, broken) = encoding_rs::GBK.decode(&page);
    assert!(page.contains("ACQ.INVALID_PARAMETER") && !broken, "{page}");
}

#[tokio::test]
async fn faults_show_what_the_documents_say() {
    let merchant = Merchant::new().await;
    merchant.fault(Operation::Create, Fault::kind(FaultKind::Congested));
    let made = merchant.precreate("T1", 100, &[]).await;
    assert_eq!((text(&made, "code"), text(&made, "sub_code")), ("40005", "isv.app-call-limited"));
    assert!(merchant.bed.sandbox.ledger().orders.is_empty());

    merchant.fault(Operation::Create, Fault::kind(FaultKind::ErrorAfterCommit));
    assert_eq!(text(&merchant.precreate("T1", 100, &[]).await, "code"), "20000");
    assert_eq!(merchant.bed.sandbox.ledger().orders.len(), 1);

    merchant.bed.sandbox.clear_faults();
    merchant.paid("T1", 100).await;
    merchant.fault(Operation::Query, Fault::kind(FaultKind::NotFoundLag));
    assert_eq!(text(&merchant.query("T1").await, "sub_code"), "ACQ.TRADE_NOT_EXIST");

    merchant.fault(Operation::Query, Fault::kind(FaultKind::BadSignature));
    let fields = merchant.signed("alipay.trade.query", &json!({ "out_trade_no": "T1" }), &[]);
    let body = merchant.send(&fields, Placement::Body).await;
    let parsed: Value = serde_json::from_str(&body).unwrap();
    let node = &body["{\"alipay_trade_query_response\":".len()..body.find(",\"sign\"").unwrap()];
    assert!(!holds(&merchant.alipay_public_key, node.as_bytes(), parsed["sign"].as_str().unwrap()));
}

#[tokio::test]
async fn twisted_notifies_are_signed_over_what_they_say_or_by_a_stranger() {
    let merchant = Merchant::new().await;
    merchant.fault(Operation::Callback, Fault { wrong_amount: true, wrong_account: true, ..Fault::default() });
    merchant.paid("T1", 100).await;
    let sent = merchant.bed.inbox.wait(1).await;
    let told = merchant.notify(&sent[0]);
    assert_eq!((told("total_amount"), told("app_id")), ("1.01", "2021999999999999"));

    merchant.fault(Operation::Callback, Fault { wrong_key: true, ..Fault::default() });
    merchant.paid("T2", 100).await;
    let sent = merchant.bed.inbox.wait(2).await;
    let content = sign::notify_text(&sent[1]);
    let signature = &sent[1].iter().find(|(name, _)| name == "sign").unwrap().1;
    assert!(!holds(&merchant.alipay_public_key, content.as_bytes(), signature));
}
