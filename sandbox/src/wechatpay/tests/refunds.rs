//! Refunds over the wire.
//! The merchant checks every signature on the way; sums are compared with the ledger.
//! Must not know: how refunds settle.

use serde_json::{Value, json};

use super::merchant::{Call, MCH_ID, Merchant};
use crate::{Fault, Operation, ProviderName, RefundState, ScanRequest};

async fn paid(merchant: &Merchant, out_trade_no: &str) {
    let code = merchant.native(out_trade_no).await;
    merchant.sandbox.scan(&ScanRequest::code(code)).unwrap();
    assert_eq!(merchant.next_callback().await["event_type"], "TRANSACTION.SUCCESS");
}

fn asked(merchant: &Merchant, out_refund_no: &str, fen: i64) -> Value {
    json!({
        "out_trade_no": "refund-0001", "out_refund_no": out_refund_no, "notify_url": merchant.shop.url,
        "amount": {"refund": fen, "total": 100, "currency": "CNY"}, "reason": "商品已售完",
    })
}

#[tokio::test]
async fn a_refund_is_accepted_settles_and_calls_back_once_per_number() {
    let merchant = Merchant::start().await;
    paid(&merchant, "refund-0001").await;
    let accepted = merchant.refund(&asked(&merchant, "r-1", 40)).await;
    assert_eq!((accepted.status, accepted.signed), (200, Some(true)), "{}", accepted.text);
    assert_eq!(accepted.json()["status"], "PROCESSING");
    assert_eq!(merchant.trade_state("refund-0001").await, "REFUND", "also a partial refund turns the state");
    let callback = merchant.next_callback().await;
    assert_eq!(callback["event_type"], "REFUND.SUCCESS");
    assert_eq!(callback["plain"]["refund_status"], "SUCCESS");
    assert_eq!(callback["plain"]["amount"]["refund"], 40);
    assert!(callback["plain"].get("status").is_none());

    let again = merchant.refund(&asked(&merchant, "r-1", 40)).await.json();
    assert_eq!((&again["status"], &again["refund_id"]), (&json!("SUCCESS"), &accepted.json()["refund_id"]));
    let found = merchant.send(&Call::get("/v3/refund/domestic/refunds/r-1")).await.json();
    assert_eq!(found, again);
    assert_eq!(merchant.refund(&asked(&merchant, "r-1", 41)).await.code(), "400 INVALID_REQUEST");
    assert_eq!(merchant.refund(&asked(&merchant, "r-2", 61)).await.code(), "400 INVALID_REQUEST");
    assert_eq!(merchant.refund(&asked(&merchant, "r-3", 60)).await.status, 200);
    assert_eq!(merchant.sandbox.ledger().payments[0].refunded, 100);
}

#[tokio::test]
async fn a_refund_that_cannot_be_is_refused() {
    let merchant = Merchant::start().await;
    merchant.native("refund-0001").await;
    assert_eq!(merchant.refund(&asked(&merchant, "r-1", 40)).await.code(), "404 RESOURCE_NOT_EXISTS");
    merchant.sandbox.scan(&ScanRequest::order(ProviderName::Wechatpay, MCH_ID, "refund-0001")).unwrap();
    let mut total = asked(&merchant, "r-1", 40);
    total["amount"]["total"] = json!(99);
    assert_eq!(merchant.refund(&total).await.code(), "400 REFUND_FEE_MISMATCH");
    let mut both = asked(&merchant, "r-1", 40);
    both["transaction_id"] = json!("4200000000202601010000000000");
    assert_eq!(merchant.refund(&both).await.code(), "400 PARAM_ERROR");
    assert_eq!(merchant.refund(&asked(&merchant, "r-1", 101)).await.json()["detail"]["field"], "/body/amount/refund");
    let unknown = merchant.send(&Call::get("/v3/refund/domestic/refunds/r-1")).await;
    assert_eq!(unknown.code(), "404 RESOURCE_NOT_EXISTS");
    merchant.advance(366 * 24 * 3_600_000);
    assert_eq!(merchant.refund(&asked(&merchant, "r-1", 40)).await.code(), "400 TRADE_OVERDUE");
    assert!(merchant.sandbox.ledger().refunds.is_empty());
}

#[tokio::test]
async fn a_refund_may_end_abnormal_or_closed_and_a_closed_one_frees_its_sum() {
    let merchant = Merchant::start().await;
    paid(&merchant, "refund-0001").await;
    merchant.fault(Operation::Refund, Fault { refund_state: Some(RefundState::Abnormal), ..Fault::default() });
    merchant.refund(&asked(&merchant, "r-1", 30)).await;
    assert_eq!(merchant.next_callback().await["plain"]["refund_status"], "ABNORMAL");
    merchant.fault(Operation::Refund, Fault { refund_state: Some(RefundState::Pending), ..Fault::default() });
    merchant.refund(&asked(&merchant, "r-2", 70)).await;
    assert_eq!(merchant.refund(&asked(&merchant, "r-3", 70)).await.code(), "400 INVALID_REQUEST");
    assert!(merchant.sandbox.end_refund(ProviderName::Wechatpay, MCH_ID, "r-2", RefundState::Closed));
    assert_eq!(merchant.next_callback().await["event_type"], "REFUND.CLOSED");
    assert_eq!(merchant.refund(&asked(&merchant, "r-3", 70)).await.status, 200);
}
