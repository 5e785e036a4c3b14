//! Faults over the wire: what is answered, and what was booked nevertheless.
//! Answers are compared with the ledger, so that "before" and "after commit" mean what they say.
//! Must not know: how faults are drawn.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::merchant::{Call, MCH_ID, Merchant, header_of};
use crate::{
    Fault, FaultKind, FaultScope, FaultSetting, Operation, OrderState, PayerHabits, ProviderName, ScanRefused,
    ScanRequest,
};

fn state(merchant: &Merchant, order_no: &str) -> Option<OrderState> {
    merchant.sandbox.ledger().orders.iter().find(|order| order.order_no == order_no).map(|order| order.state)
}

#[tokio::test]
async fn every_fault_answers_as_named_and_books_or_not() {
    let merchant = Merchant::start().await;
    for (kind, answered, booked) in [
        (FaultKind::Congested, "429 FREQUENCY_LIMITED", false),
        (FaultKind::ServerError, "500 SYSTEM_ERROR", false),
        (FaultKind::Declined, "403 RULE_LIMIT", false),
        (FaultKind::NoAuth, "403 NO_AUTH", false),
        (FaultKind::NotEnough, "403 NOT_ENOUGH", false),
        (FaultKind::Accepted, "202 signed", false),
        (FaultKind::Html502, "502 text", false),
        (FaultKind::Truncated, "200 text", true),
        (FaultKind::ErrorAfterCommit, "500 SYSTEM_ERROR", true),
        (FaultKind::BadSignature, "200 badly signed", true),
        (FaultKind::RefuseConnection, "nothing", false),
        (FaultKind::HangBeforeCommit, "nothing", false),
        (FaultKind::HangAfterCommit, "nothing", true),
    ] {
        merchant.fails(Operation::Create, kind);
        let number = format!("fault-{kind:?}");
        let call = Call::post("/v3/pay/transactions/native", &merchant.order(&number));
        let told = match merchant.try_send(&call).await {
            Err(_) => "nothing".to_owned(),
            Ok(answer) if answer.status == 202 && answer.signed == Some(true) => "202 signed".to_owned(),
            Ok(answer) if answer.status == 200 && answer.json_or_null() != Value::Null => {
                format!("200 {}", if answer.signed == Some(false) { "badly signed" } else { "well signed" })
            }
            Ok(answer) if answer.json_or_null() == Value::Null => format!("{} text", answer.status),
            Ok(answer) => answer.code(),
        };
        assert_eq!(told, answered, "{kind:?}");
        assert_eq!(state(&merchant, &number).is_some(), booked, "{kind:?}");
    }
    merchant.sandbox.clear_faults();
    merchant.native("fault-HangAfterCommit").await;
}

#[tokio::test]
async fn a_probe_signature_says_so() {
    let merchant = Merchant::start().await;
    merchant.native("probe-0001").await;
    merchant.fails(Operation::Query, FaultKind::BadSignature);
    let answer = merchant.query("probe-0001").await;
    assert!(answer.headers["wechatpay-signature"].to_str().unwrap().starts_with("WECHATPAY/SIGNTEST/"));
    merchant.fails(Operation::Query, FaultKind::NotFoundLag);
    assert_eq!(merchant.query("probe-0001").await.code(), "404 ORDER_NOT_EXIST");
}

#[tokio::test]
async fn a_payer_may_be_faster_than_the_close() {
    let merchant = Merchant::start().await;
    merchant.native("race-00001").await;
    merchant.fails(Operation::Close, FaultKind::PaidMeanwhile);
    assert_eq!(merchant.close("race-00001").await.code(), "400 ORDERPAID");
    assert_eq!(merchant.trade_state("race-00001").await, "SUCCESS");
}

#[tokio::test]
async fn a_refusing_provider_closes_its_socket_and_opens_it_again() {
    let merchant = Merchant::start().await;
    merchant.native("refuse-001").await;
    let scope = FaultScope { provider: ProviderName::Wechatpay, account: None, operation: None };
    merchant.sandbox.set_fault(FaultSetting { scope: scope.clone(), fault: Fault::kind(FaultKind::RefuseConnection) });
    let mut refused = false;
    for _ in 0..50 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let call = Call::get(format!("/v3/pay/transactions/out-trade-no/refuse-001?mchid={MCH_ID}"));
        refused = merchant.try_send(&call).await.is_err_and(|error| error.is_connect());
        if refused {
            break;
        }
    }
    assert!(refused, "a connection is refused, not cut");
    merchant.sandbox.remove_fault(&scope);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(merchant.trade_state("refuse-001").await, "NOTPAY");
}

#[tokio::test]
async fn a_callback_is_repeated_until_acknowledged() {
    let merchant = Merchant::start().await;
    merchant.shop.status.store(500, Ordering::Relaxed);
    merchant.fault(Operation::Callback, Fault { bad_signature: true, ..Fault::default() });
    let code = merchant.native("retry-0001").await;
    merchant.sandbox.scan(&ScanRequest::code(code)).unwrap();
    let probe = merchant.shop.next().await;
    assert!(!merchant.holds(&header_of(&probe.headers), &probe.body), "the first is a probe");
    let first = merchant.next_callback().await;
    merchant.shop.status.store(200, Ordering::Relaxed);
    let second = merchant.next_callback().await;
    assert_eq!(first["id"], second["id"]);
    assert!(merchant.shop.within(400).await.is_none(), "acknowledged, so no further one");
    let records = merchant.sandbox.callbacks();
    assert_eq!(
        records.iter().map(|record| (record.sending, record.acknowledged)).collect::<Vec<_>>(),
        [(1, false), (2, false), (3, true)]
    );
}

/// Pays a new order whose callbacks carry a fault.
async fn pay_under(merchant: &Merchant, number: &str, fault: Fault) {
    merchant.fault(Operation::Callback, fault);
    let code = merchant.native(number).await;
    merchant.sandbox.scan(&ScanRequest::code(code)).unwrap();
}

#[tokio::test]
async fn callbacks_lie_as_asked_under_a_good_signature() {
    let merchant = Merchant::start().await;
    pay_under(&merchant, "lies-00001", Fault { wrong_amount: true, ..Fault::default() }).await;
    let callback = merchant.next_callback().await;
    assert_eq!(callback["plain"]["amount"]["total"], 101);
    pay_under(&merchant, "lies-00002", Fault { wrong_account: true, ..Fault::default() }).await;
    let callback = merchant.next_callback().await;
    assert_eq!(callback["plain"]["mchid"], "1999999999");
}

#[tokio::test]
async fn callbacks_are_badly_signed_as_asked() {
    let merchant = Merchant::start().await;
    pay_under(&merchant, "lies-00003", Fault { wrong_key: true, ..Fault::default() }).await;
    let posted = merchant.shop.next().await;
    assert!(!merchant.holds(&header_of(&posted.headers), &posted.body));
    pay_under(&merchant, "lies-00004", Fault { unknown_serial: true, ..Fault::default() }).await;
    let posted = merchant.shop.next().await;
    assert!(!merchant.holds(&header_of(&posted.headers), &posted.body));
    pay_under(&merchant, "lies-00005", Fault { stale: true, ..Fault::default() }).await;
    let posted = merchant.shop.next().await;
    let at: i64 = header_of(&posted.headers)("wechatpay-timestamp").parse().unwrap();
    assert!(merchant.now() / 1000 - at > 300);
}

#[tokio::test]
async fn callbacks_come_twice_or_never_as_asked() {
    let merchant = Merchant::start().await;
    pay_under(&merchant, "lies-00006", Fault { doubled: true, ..Fault::default() }).await;
    let first = merchant.next_callback().await;
    assert_eq!(first, merchant.next_callback().await);
    pay_under(&merchant, "lies-00007", Fault { lost_ratio: 1.0, ..Fault::default() }).await;
    assert!(merchant.shop.within(100).await.is_none());
}

#[tokio::test]
async fn a_callback_may_come_before_the_reply() {
    let merchant = Merchant::start().await;
    merchant.fault(Operation::Callback, Fault { before_reply: true, ..Fault::default() });
    merchant.native("before-001").await;
    assert!(merchant.shop.within(0).await.is_some(), "the callback was there before the code");
    assert_eq!(merchant.trade_state("before-001").await, "SUCCESS");
}

#[tokio::test]
async fn simulated_payers_pay_and_a_silent_provider_takes_nothing() {
    let merchant = Merchant::start().await;
    merchant.sandbox.set_payers(PayerHabits { pay_ratio: 1.0, delay_max_ms: 20, ..PayerHabits::default() });
    merchant.native("habit-0001").await;
    assert_eq!(merchant.next_callback().await["plain"]["out_trade_no"], "habit-0001");
    merchant.sandbox.set_payers(PayerHabits::default());
    merchant.fault(Operation::Create, Fault { silent: true, ..Fault::default() });
    let code = merchant.native("silent-001").await;
    assert_eq!(merchant.sandbox.scan(&ScanRequest::code(code)), Err(ScanRefused::Silent));
}
