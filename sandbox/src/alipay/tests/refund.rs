//! Money back: refund, its query, cancel.
//! Guards: everything goes over real HTTP and every answer is verified before it is looked at.
//! Must not know: how the server keeps its orders.

use serde_json::json;

use super::merchant::{Merchant, text};
use crate::faults::{Fault, Operation};

#[tokio::test]
async fn refunds_are_idempotent_by_request_number_and_add_up() {
    let merchant = Merchant::new().await;
    merchant.paid("T1", 1000).await;
    merchant.bed.inbox.wait(1).await;
    let first = merchant.refund("T1", 300, "R1").await;
    assert_eq!((text(&first, "fund_change"), text(&first, "refund_fee")), ("Y", "3.00"));
    let again = merchant.refund("T1", 300, "R1").await;
    assert_eq!((text(&again, "fund_change"), text(&again, "refund_fee")), ("N", "3.00"));
    let other = merchant.refund("T1", 301, "R1").await;
    assert_eq!(text(&other, "sub_code"), "ACQ.DISCORDANT_REPEAT_REQUEST");
    assert_eq!(text(&merchant.refund("T1", 701, "R2").await, "sub_code"), "ACQ.REASON_TRADE_REFUND_FEE_ERR");

    let sent = merchant.bed.inbox.wait(2).await;
    let told = merchant.notify(&sent[1]);
    assert_eq!((told("trade_status"), told("out_biz_no"), told("refund_fee")), ("TRADE_SUCCESS", "R1", "3.00"));

    let rest = merchant.refund("T1", 700, "R2").await;
    assert_eq!((text(&rest, "fund_change"), text(&rest, "refund_fee")), ("Y", "10.00"));
    assert_eq!(text(&merchant.query("T1").await, "trade_status"), "TRADE_CLOSED");
    assert_eq!(text(&merchant.refund("T1", 1, "R3").await, "sub_code"), "ACQ.TRADE_HAS_CLOSE");

    let ask = async |request_no: &str| {
        let biz = json!({ "out_trade_no": "T1", "out_request_no": request_no });
        merchant.call("alipay.trade.fastpay.refund.query", biz).await
    };
    let known = ask("R1").await;
    assert_eq!((text(&known, "refund_status"), text(&known, "refund_amount")), ("REFUND_SUCCESS", "3.00"));
    assert_eq!(ask("R9").await, json!({ "code": "10000", "msg": "Success" }));
}

#[tokio::test]
async fn a_partial_refund_needs_a_request_number_and_an_unpaid_trade_gives_nothing_back() {
    let merchant = Merchant::new().await;
    merchant.paid("T1", 1000).await;
    let biz = json!({ "out_trade_no": "T1", "refund_amount": "1.00" });
    let refused = merchant.call("alipay.trade.refund", biz).await;
    assert_eq!(text(&refused, "sub_code"), "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL");
    assert_eq!(text(&merchant.refund("none", 1, "R1").await, "sub_code"), "ACQ.TRADE_NOT_EXIST");
    let cancelled = merchant.call("alipay.trade.cancel", json!({ "out_trade_no": "T1" })).await;
    assert_eq!((text(&cancelled, "action"), text(&cancelled, "retry_flag")), ("refund", "N"));
    assert_eq!(text(&merchant.query("T1").await, "trade_status"), "TRADE_CLOSED");
    let nothing = merchant.call("alipay.trade.cancel", json!({ "out_trade_no": "none" })).await;
    assert_eq!((text(&nothing, "code"), text(&nothing, "action")), ("10000", ""));
}

#[tokio::test]
async fn a_slow_refund_says_no_fund_change_until_a_query_says_success() {
    let merchant = Merchant::new().await;
    merchant.paid("T1", 1000).await;
    merchant.bed.inbox.wait(1).await;
    merchant.fault(Operation::Refund, Fault { refund_delay_s: Some(5), ..Fault::default() });
    assert_eq!(text(&merchant.refund("T1", 300, "R1").await, "fund_change"), "N");
    merchant.bed.inbox.wait(2).await;
    let biz = json!({ "out_trade_no": "T1", "out_request_no": "R1" });
    let asked = merchant.call("alipay.trade.fastpay.refund.query", biz).await;
    assert_eq!(text(&asked, "refund_status"), "REFUND_SUCCESS");
}
