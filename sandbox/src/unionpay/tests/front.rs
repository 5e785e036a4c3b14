//! Orders a payer opens: the front form and the app's `tn`.
//! Guards: everything goes over real HTTP and every answer is verified before it is looked at.
//! Must not know: how the server keeps its orders.

use super::merchant::{MER_ID, Merchant, is};
use crate::{formats::form, inbox::client, payers::ScanRequest};

#[tokio::test]
async fn a_front_order_exists_once_its_form_was_posted() {
    let merchant = Merchant::new().await;
    let (form, time) = (merchant.front_form("Front0001"), merchant.time());
    is(&merchant.query("Front0001", &time).await, &[("respCode", "34")]);
    let page = merchant.post("frontTransReq.do", &form).await;
    assert!(page.contains("银联在线支付") && page.contains("¥ 10.00"), "{page}");
    is(&merchant.query("Front0001", &time).await, &[("respCode", "00"), ("origRespCode", "05")]);
    assert!(merchant.post("frontTransReq.do", &form).await.contains("¥ 10.00"), "a reload shows it again");

    let pay = format!("http://{}/cashier/pay", merchant.bed.sandbox.addresses().unionpay);
    let button = form::encode(&[("merId", MER_ID), ("orderId", "Front0001")]);
    let back = client().post(pay).body(button).send().await.unwrap().text().await.unwrap();
    assert!(back.contains("action=\"http://shop.example/back\"") && back.contains("signPubKeyCert"), "{back}");
    is(&merchant.query("Front0001", &time).await, &[("origRespCode", "00")]);
    assert!(merchant.post("frontTransReq.do", &form).await.contains("12 重复交易"));
}

#[tokio::test]
async fn a_front_form_opens_later_than_five_minutes_in_vain() {
    let merchant = Merchant::new().await;
    let form = merchant.front_form("Front0001");
    merchant.bed.pass(301_000);
    assert!(merchant.post("frontTransReq.do", &form).await.contains("txnTime"));
    assert!(merchant.bed.sandbox.ledger().orders.is_empty());
}

#[tokio::test]
async fn a_front_form_can_be_opened_like_a_code() {
    let merchant = Merchant::new().await;
    let pairs: Vec<_> = merchant.front_form("Front0001").into_iter().collect();
    let scanned = merchant.bed.sandbox.scan(&ScanRequest::code(form::encode(&pairs))).unwrap();
    assert_eq!((scanned.paid, scanned.order_no.as_str()), (true, "Front0001"));
}

#[tokio::test]
async fn an_app_order_is_unknown_until_the_payer_opens_it() {
    let merchant = Merchant::new().await;
    let time = merchant.time();
    let more = [("txnSubType", "01"), ("bizType", "000201"), ("orderId", "App000001"), ("txnAmt", "1000")];
    let made = merchant.call("appTransReq.do", &more).await;
    assert_eq!(made["tn"].len(), 21);
    is(&merchant.query("App000001", &time).await, &[("respCode", "34")]);
    let look = ScanRequest { pay: false, ..ScanRequest::code(&made["tn"]) };
    merchant.bed.sandbox.scan(&look).unwrap();
    is(&merchant.query("App000001", &time).await, &[("respCode", "00"), ("origRespCode", "05")]);
    merchant.bed.sandbox.scan(&ScanRequest::code(&made["tn"])).unwrap();
    is(&merchant.query("App000001", &time).await, &[("origRespCode", "00")]);
}
