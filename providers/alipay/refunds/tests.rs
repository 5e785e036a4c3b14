//! When money counts as given back.

use super::*;
use crate::alipay::testing::{
    NOW, ORDER_NO, REFUND_NO, account, answer, biz, no, ok, refund_order, sent, unsigned, with,
};
use serde_json::{Value, json};

fn refunded(node: &Value) -> RefundOutcome {
    read(&account(), &refund_order(), &answer(REFUND, node))
}

fn refund_asked(node: &Value) -> RefundOutcome {
    read_query(&account(), &refund_order(), &answer(REFUND_QUERY, node))
}

#[test]
fn a_refund_carries_our_number_and_its_own_sum() {
    let fields = sent(write(&account(), &refund_order(), NOW));
    assert_eq!(fields["method"], "alipay.trade.refund");
    assert_eq!(
        biz(&fields),
        json!({"out_trade_no": ORDER_NO, "refund_amount": "10.00", "out_request_no": REFUND_NO, "refund_reason": "未发货"})
    );
    let fields = sent(write_query(&account(), &refund_order(), NOW));
    assert_eq!(fields["method"], "alipay.trade.fastpay.refund.query");
    assert_eq!(biz(&fields), json!({"out_trade_no": ORDER_NO, "out_request_no": REFUND_NO}));
}

#[test]
fn a_refund_succeeds_only_when_money_moved() {
    let moved = ok(&json!({"fund_change": "Y", "refund_fee": "60.00"}));
    assert_eq!(refunded(&moved), RefundOutcome::Succeeded { amount: None }, "refund_fee is cumulative");
    for doubtful in [
        json!({"fund_change": "N"}),
        json!({"fund_change": null}),
        json!({"refund_fee": "9.99"}),
        json!({
            "refund_fee": "much"
        }),
    ] {
        assert_eq!(refunded(&with(moved.clone(), &doubtful)), RefundOutcome::Pending, "{doubtful}");
    }
    assert!(matches!(refunded(&with(moved.clone(), &json!({"out_trade_no": "OTHER"}))), RefundOutcome::Unknown(_)));
    let reply = unsigned(REFUND, &moved);
    assert!(matches!(read(&account(), &refund_order(), &reply), RefundOutcome::Unknown(_)));
}

#[test]
fn a_refused_refund_keeps_its_number_while_it_may_still_go_through() {
    for (code, sub_code, wanted) in [
        ("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH", "later"),
        ("40004", "ACQ.REASON_TRADE_BEEN_FREEZEN", "later"),
        ("40005", "isv.app-call-limited", "later"),
        ("40006", "isv.insufficient-isv-permissions", "later"),
        ("40004", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "refused"),
        ("40004", "ACQ.TRADE_HAS_FINISHED", "refused"),
        ("40004", "ACQ.TRADE_NOT_EXIST", "refused"),
        ("40004", "ACQ.SYSTEM_ERROR", "unknown"),
        ("40004", "ACQ.DISCORDANT_REPEAT_REQUEST", "unknown"),
        ("40004", "ACQ.TRADE_HAS_CLOSE", "unknown"),
        ("20000", "aop.ACQ.SYSTEM_ERROR", "unknown"),
    ] {
        let outcome = refunded(&no(code, sub_code));
        let is_as_wanted = match wanted {
            "later" => matches!(outcome, RefundOutcome::Later(_)),
            "refused" => matches!(outcome, RefundOutcome::Refused(_)),
            _ => matches!(outcome, RefundOutcome::Unknown(_)),
        };
        assert!(is_as_wanted, "{sub_code}: {outcome:?}");
        let reply = unsigned(REFUND, &no(code, sub_code));
        let read = read(&account(), &refund_order(), &reply);
        assert!(matches!(read, RefundOutcome::Unknown(_)), "{sub_code} without a signature");
    }
}

#[test]
fn a_refund_query_without_a_status_means_that_it_never_arrived() {
    let absent = ok(&json!({"out_request_no": REFUND_NO}));
    assert_eq!(refund_asked(&absent), RefundOutcome::Absent);
    assert_eq!(refund_asked(&no("40004", "ACQ.TRADE_NOT_EXIST")), RefundOutcome::Absent);
    let done = with(absent, &json!({"refund_status": "REFUND_SUCCESS", "refund_amount": "10.00"}));
    assert_eq!(refund_asked(&done), RefundOutcome::Succeeded { amount: Some(Money::cny(1000)) });
    let running = with(done.clone(), &json!({"refund_status": "REFUND_PROCESSING"}));
    assert_eq!(refund_asked(&running), RefundOutcome::Pending);
    for wrong in [
        json!({"out_request_no": "OTHER"}),
        json!({"out_trade_no": "OTHER"}),
        json!({
            "refund_amount": "10.00 "
        }),
    ] {
        let read = refund_asked(&with(done.clone(), &wrong));
        assert!(matches!(read, RefundOutcome::Unknown(_)), "{wrong}");
    }
}

#[test]
fn a_failed_question_about_a_refund_proves_nothing() {
    for (code, sub_code) in [("20000", "isp.unknow-error"), ("40005", "isv.app-call-limited"), ("40004", "ACQ.NEW")] {
        assert!(matches!(refund_asked(&no(code, sub_code)), RefundOutcome::Unknown(_)), "{code} {sub_code}");
    }
}
