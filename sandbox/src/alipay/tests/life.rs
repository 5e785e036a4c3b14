//! An order from its code to its end: scan, payment, close, expiry.
//! Guards: everything goes over real HTTP and every answer is verified before it is looked at.
//! Must not know: how the server keeps its orders.

use serde_json::json;

use super::merchant::{APP_ID, Merchant, text};
use crate::{
    faults::{Fault, FaultKind, Operation},
    formats::beijing,
    options::ProviderName,
    payers::{ScanRefused, ScanRequest},
};

const SELLER_ID: &str = "2088000000000001";

#[tokio::test]
async fn a_scanned_and_paid_code_is_notified_and_found_paid() {
    let merchant = Merchant::new().await;
    let made = merchant.precreate("T1", 8888, &[("passback_params", "a%3Db")]).await;
    assert_eq!((text(&made, "code"), text(&made, "out_trade_no")), ("10000", "T1"));
    assert!(text(&made, "qr_code").starts_with("https://qr.alipay.com/bax"));
    assert_eq!(text(&merchant.query("T1").await, "sub_code"), "ACQ.TRADE_NOT_EXIST");

    let code = text(&made, "qr_code");
    let look = ScanRequest { pay: false, ..ScanRequest::code(code) };
    assert!(!merchant.bed.sandbox.scan(&look).unwrap().paid);
    let waiting = merchant.query("T1").await;
    assert_eq!(text(&waiting, "trade_status"), "WAIT_BUYER_PAY");
    assert_eq!(text(&waiting, "trade_no").len(), 28);

    merchant.bed.inbox.answer(&["fail", "success\n"]);
    let scanned = merchant.bed.sandbox.scan(&ScanRequest::code(code)).unwrap();
    assert_eq!(scanned.trade_no.as_deref(), waiting["trade_no"].as_str());
    let sent = merchant.bed.inbox.wait(3).await;
    let told = merchant.notify(&sent[2]);
    let expected = [
        ("app_id", APP_ID),
        ("seller_id", SELLER_ID),
        ("out_trade_no", "T1"),
        ("total_amount", "88.88"),
        ("trade_status", "TRADE_SUCCESS"),
        ("notify_type", "trade_status_sync"),
        ("passback_params", "a%3Db"),
        ("refund_fee", ""),
    ];
    for (name, value) in expected {
        assert_eq!(told(name), value, "{name}");
    }
    assert_eq!(merchant.notify(&sent[0])("notify_id"), told("notify_id"));
    let paid = merchant.query("T1").await;
    assert_eq!((text(&paid, "trade_status"), text(&paid, "total_amount")), ("TRADE_SUCCESS", "88.88"));
    assert_eq!(text(&paid, "trade_no"), told("trade_no"));
}

#[tokio::test]
async fn one_number_is_one_order() {
    let merchant = Merchant::new().await;
    let first = merchant.precreate("T1", 100, &[]).await;
    assert_eq!(first, merchant.precreate("T1", 100, &[]).await);
    assert_eq!(text(&merchant.precreate("T1", 101, &[]).await, "sub_code"), "ACQ.CONTEXT_INCONSISTENT");
    merchant.bed.sandbox.scan(&ScanRequest::code(text(&first, "qr_code"))).unwrap();
    assert_eq!(text(&merchant.precreate("T1", 100, &[]).await, "sub_code"), "ACQ.TRADE_HAS_SUCCESS");
    let slash = merchant.precreate("T2", 100, &[("subject", "a/b")]).await;
    assert_eq!(text(&slash, "sub_code"), "ACQ.INVALID_PARAMETER");
    let unknown_key = merchant.precreate("T2", 100, &[("surprise", "x")]).await;
    assert_eq!(text(&unknown_key, "sub_code"), "ACQ.INVALID_PARAMETER");
}

#[tokio::test]
async fn close_ends_an_unpaid_trade_only() {
    let merchant = Merchant::new().await;
    let close = async |order_no: &str| merchant.call("alipay.trade.close", json!({ "out_trade_no": order_no })).await;
    let made = merchant.precreate("T1", 100, &[]).await;
    assert_eq!(text(&close("T1").await, "sub_code"), "ACQ.TRADE_NOT_EXIST");

    let look = ScanRequest { pay: false, ..ScanRequest::code(text(&made, "qr_code")) };
    merchant.bed.sandbox.scan(&look).unwrap();
    assert_eq!(text(&close("T1").await, "code"), "10000");
    assert_eq!(text(&merchant.query("T1").await, "trade_status"), "TRADE_CLOSED");
    let refused = merchant.bed.sandbox.scan(&ScanRequest::code(text(&made, "qr_code")));
    assert_eq!(refused, Err(ScanRefused::Closed));
    assert_eq!(text(&close("T1").await, "sub_code"), "ACQ.REASON_TRADE_STATUS_INVALID");

    merchant.paid("T2", 100).await;
    assert_eq!(text(&close("T2").await, "sub_code"), "ACQ.TRADE_STATUS_ERROR");
}

#[tokio::test]
async fn the_payer_may_pay_just_before_the_close() {
    let merchant = Merchant::new().await;
    let made = merchant.precreate("T1", 100, &[]).await;
    let look = ScanRequest { pay: false, ..ScanRequest::code(text(&made, "qr_code")) };
    merchant.bed.sandbox.scan(&look).unwrap();
    merchant.fault(Operation::Close, Fault::kind(FaultKind::PaidMeanwhile));
    let closed = merchant.call("alipay.trade.close", json!({ "out_trade_no": "T1" })).await;
    assert_eq!(text(&closed, "sub_code"), "ACQ.TRADE_STATUS_ERROR");
    assert_eq!(text(&merchant.query("T1").await, "trade_status"), "TRADE_SUCCESS");
}

#[tokio::test]
async fn a_code_and_a_trade_end_at_their_own_times() {
    let merchant = Merchant::new().await;
    let end = beijing::dashed(merchant.bed.now() + 600_000);
    let times = [("time_expire", end.as_str()), ("qr_code_timeout_express", "5m")];
    let first = merchant.precreate("T1", 100, &times).await;
    let second = merchant.precreate("T2", 100, &times).await;
    let look = ScanRequest { pay: false, ..ScanRequest::code(text(&second, "qr_code")) };
    merchant.bed.sandbox.scan(&look).unwrap();

    merchant.bed.pass(300_000);
    let refused = merchant.bed.sandbox.scan(&ScanRequest::code(text(&first, "qr_code")));
    assert_eq!(refused, Err(ScanRefused::Expired));
    assert_eq!(text(&merchant.query("T2").await, "trade_status"), "WAIT_BUYER_PAY");
    let again = merchant.precreate("T1", 100, &times).await;
    assert_eq!(text(&again, "sub_code"), "ACQ.APPLY_PC_MERCHANT_CODE_ERROR");

    merchant.bed.pass(300_000);
    assert_eq!(text(&merchant.query("T2").await, "trade_status"), "TRADE_CLOSED");
    let refused = merchant.bed.sandbox.scan(&ScanRequest::order(ProviderName::Alipay, APP_ID, "T2"));
    assert_eq!(refused, Err(ScanRefused::Expired));
    assert_eq!(text(&merchant.query("T1").await, "sub_code"), "ACQ.TRADE_NOT_EXIST");
    let late = merchant.precreate("T3", 100, &times).await;
    assert_eq!(text(&late, "sub_code"), "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR");
}

#[tokio::test]
async fn a_relative_life_begins_at_the_scan() {
    let merchant = Merchant::new().await;
    let made = merchant.precreate("T1", 100, &[("timeout_express", "5m")]).await;
    merchant.bed.pass(3_600_000);
    let look = ScanRequest { pay: false, ..ScanRequest::code(text(&made, "qr_code")) };
    merchant.bed.sandbox.scan(&look).unwrap();
    merchant.bed.pass(299_999);
    assert_eq!(text(&merchant.query("T1").await, "trade_status"), "WAIT_BUYER_PAY");
    merchant.bed.pass(1);
    assert_eq!(text(&merchant.query("T1").await, "trade_status"), "TRADE_CLOSED");
}
