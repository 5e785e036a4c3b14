//! Refunds: accepted, settled, refused.
//! Guards: everything goes over real HTTP and every answer is verified before it is looked at.
//! Must not know: how the server keeps its orders.

use super::merchant::{Fields, MER_ID, Merchant, is, verify};
use crate::{
    faults::{Fault, Operation},
    ledger::RefundState,
    options::ProviderName,
    payers::ScanRequest,
};

#[tokio::test]
async fn a_refund_is_accepted_then_settled_and_notified() {
    let merchant = Merchant::new().await;
    let time = merchant.time();
    let made = merchant.apply("Order0001", "1000", &[]).await;
    let paid = merchant.bed.sandbox.scan(&ScanRequest::code(&made["qrCode"])).unwrap();
    let query_id = paid.trade_no.unwrap();
    merchant.bed.inbox.wait(1).await;
    merchant.fault(Operation::Refund, Fault { refund_state: Some(RefundState::Pending), ..Fault::default() });
    is(&merchant.refund("Refund001", &query_id, "400").await, &[("respCode", "00"), ("txnType", "04")]);
    is(&merchant.query("Refund001", &time).await, &[("respCode", "00"), ("origRespCode", "05"), ("txnType", "04")]);
    assert!(merchant.bed.sandbox.end_refund(ProviderName::Unionpay, MER_ID, "Refund001", RefundState::Success));

    let told: Fields = merchant.bed.inbox.wait(2).await.remove(1).into_iter().collect();
    verify(&told);
    is(
        &told,
        &[("respCode", "00"), ("txnType", "04"), ("orderId", "Refund001"), ("origQryId", &query_id), ("txnAmt", "400")],
    );
    is(&merchant.query("Refund001", &time).await, &[("origRespCode", "00"), ("txnAmt", "400")]);
}

#[tokio::test]
async fn refunds_stay_within_the_payment_and_under_their_own_numbers() {
    let merchant = Merchant::new().await;
    let made = merchant.apply("Order0001", "1000", &[]).await;
    let paid = merchant.bed.sandbox.scan(&ScanRequest::code(&made["qrCode"])).unwrap();
    let query_id = paid.trade_no.unwrap();
    is(&merchant.refund("Refund001", &query_id, "400").await, &[("respCode", "00")]);
    is(&merchant.refund("Refund001", &query_id, "400").await, &[("respCode", "12")]);
    is(&merchant.refund("Refund002", &query_id, "601").await, &[("respCode", "36")]);
    is(&merchant.refund("Refund003", "511111111111111111118", "1").await, &[("respCode", "34")]);
    is(&merchant.refund("Refund004", &query_id, "600").await, &[("respCode", "00")]);
    is(&merchant.refund("Refund005", &query_id, "1").await, &[("respCode", "45")]);
    merchant.bed.inbox.wait(3).await;
}

#[tokio::test]
async fn an_accepted_refund_may_fail_and_is_then_not_notified() {
    let merchant = Merchant::new().await;
    let time = merchant.time();
    let made = merchant.apply("Order0001", "1000", &[]).await;
    let paid = merchant.bed.sandbox.scan(&ScanRequest::code(&made["qrCode"])).unwrap();
    merchant.bed.inbox.wait(1).await;
    merchant.fault(
        Operation::Refund,
        Fault { refund_state: Some(RefundState::Closed), refund_delay_s: Some(0), ..Fault::default() },
    );
    is(&merchant.refund("Refund001", &paid.trade_no.unwrap(), "400").await, &[("respCode", "00")]);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    is(&merchant.query("Refund001", &time).await, &[("respCode", "00"), ("origRespCode", "30")]);
    assert_eq!(merchant.bed.inbox.count(), 1);
    assert_eq!(merchant.bed.sandbox.ledger().payments[0].refunded, 0);
}
