//! What each answer means, and everything that is no answer: other orders, forgeries, doubt.

use super::*;
use crate::unionpay::testing::{
    MER_ID, NOW, ORDER_NO, QUERY_ID, REFUND_NO, account, answer, frame, keyed_account, order, paid, refund_order, seal,
    seal_keyed, seal_with, with,
};
use tongdao_core::day::Day;

const QR: &str = "https://qr.95516.com/00010000/62000000000000000000000000000001";

/// The margin after the order's payTimeout.
fn end() -> UnixMillis {
    NOW.plus_s(360)
}

fn created(words: &str) -> Outcome {
    account().hear_create(&order(Scene::Qr), &answer(&seal(with(frame(), words))), NOW)
}

fn queried_at(words: &str, now: UnixMillis) -> Outcome {
    account().hear_query(&order(Scene::Qr), &answer(&seal(with(paid(), words))), now)
}

fn queried(words: &str) -> Outcome {
    queried_at(words, NOW)
}

fn refund_frame() -> Fields {
    with(frame(), &format!("txnType=04 txnSubType=00 orderId={REFUND_NO} respCode=00"))
}

fn refunded_at(words: &str, now: UnixMillis) -> RefundOutcome {
    account().hear_refund(&refund_order(), &answer(&seal(with(refund_frame(), words))), now)
}

fn refund_queried(words: &str) -> RefundOutcome {
    let found = format!(
        "origRespCode=00 queryId=512603011205000000018 origQryId={QUERY_ID} txnAmt=100 currencyCode=156 {words}"
    );
    account().hear_refund_query(&refund_order(), &answer(&seal(with(refund_frame(), &found))), NOW)
}

fn unknown(outcome: &Outcome) -> &str {
    let Outcome::Unknown(failure) = outcome else { panic!("not unknown: {outcome:?}") };
    &failure.provider_code
}

fn refund_unknown(outcome: &RefundOutcome) -> &str {
    let RefundOutcome::Unknown(failure) = outcome else { panic!("not unknown: {outcome:?}") };
    &failure.provider_code
}

fn payment() -> Payment {
    Payment {
        provider_order_no: ORDER_NO.into(),
        provider_trade_no: QUERY_ID.into(),
        amount: Money::cny(8888),
        paid_at: Some(NOW.plus_s(5)),
        settled_on: Day::new(2026, 3, 1),
        refunded: 0,
    }
}

#[test]
fn an_accepted_create_gives_its_code() {
    let pay = Pay { kind: PayKind::QrCode { url: QR.into() }, expires_at: NOW.plus_s(300) };
    let shown = Outcome::Pending { pay: Some(pay), closable: false };
    assert_eq!(created(&format!("respCode=00 qrCode={QR}")), shown);
    assert_eq!(created(&format!("respCode=12 qrCode={QR}")), shown, "a repeated create that repeats the code");
    let app = answer(&seal(with(frame(), "respCode=00 tn=202603011200001234567 txnSubType=01")));
    let Outcome::Pending { pay: Some(pay), .. } = account().hear_create(&order(Scene::App), &app, NOW) else {
        panic!()
    };
    assert_eq!(pay.kind, PayKind::App { params: BTreeMap::from([("tn".into(), "202603011200001234567".into())]) });
}

#[test]
fn a_create_without_a_usable_code_is_unknown() {
    for words in ["respCode=00", "respCode=00 tn=1", "respCode=12", "respCode=12 tn=1"] {
        assert!(matches!(created(words), Outcome::Unknown(_)), "{words}");
    }
    assert_eq!(unknown(&created(&format!("respCode=00 qrCode={QR} txnAmt=1"))), "00", "a code for another sum");
    assert_eq!(unknown(&created("respCode=12")), "12");
}

#[test]
fn a_code_of_another_order_is_never_shown() {
    for other in ["orderId=01JPAY0000000000000000000B", "txnTime=20260301120001", "merId=777290058110097", "txnType=04"]
    {
        assert_eq!(unknown(&created(&format!("respCode=00 qrCode={QR} {other}"))), "other_order", "{other}");
        assert_eq!(unknown(&created(&format!("respCode=60 {other}"))), "other_order", "{other}");
    }
    for missing in ["orderId=", "txnTime=", "merId="] {
        assert_eq!(unknown(&created(&format!("respCode=00 qrCode={QR} {missing}"))), "other_order", "{missing}");
        assert_eq!(unknown(&created(&format!("respCode=12 qrCode={QR} {missing}"))), "12", "{missing}");
    }
}

#[test]
fn refusals_of_a_create_have_their_class_and_doubt_stays_doubt() {
    let rows = [
        ("10", ErrorClass::Rejected),
        ("11", ErrorClass::Misconfigured),
        ("32", ErrorClass::Misconfigured),
        ("37", ErrorClass::Congested),
        ("38", ErrorClass::Declined),
        ("64", ErrorClass::Declined),
    ];
    for (code, class) in rows {
        let want = Outcome::Failed(Failure::new(class, code, "成功[0000000]"));
        assert_eq!(created(&format!("respCode={code}")), want);
        assert_eq!(created(&format!("respCode={code} orderId= txnTime=")), want, "a refusal may not name the order");
    }
    for code in ["01", "02", "03", "04", "05", "06", "12", "70", "74", "75", "83", "99", "97", "ZZ"] {
        assert_eq!(unknown(&created(&format!("respCode={code}"))), code);
    }
    assert_eq!(unknown(&created("respCode=")), "");
}

#[test]
fn what_is_no_genuine_answer_is_unknown_in_every_reader() {
    let genuine = seal(paid());
    let body = |text: &str| HttpReply::new(200, "text/html", text);
    let rows = [
        (HttpReply::new(500, "text/html", answer(&genuine).body), "http_500"),
        (HttpReply::new(302, "text/html", ""), "http_302"),
        (body("<html>busy</html>"), "unreadable"),
        (body(""), "unreadable"),
        (body("version=5.1.0&respCode=00"), "unverified"),
        (answer(&paid()), "unverified"),
        (answer(&with(genuine.clone(), "txnAmt=8889")), "unverified"),
        (answer(&with(genuine.clone(), "extra=1")), "unverified"),
        (answer(&seal_keyed(paid(), "")), "unverified"),
        (answer(&seal_with(paid(), "evil_leaf.pem", "evil_leaf.key")), "unverified"),
        (answer(&seal_with(paid(), "leaf.pem", "evil_leaf.key")), "unverified"),
        (answer(&seal_with(paid(), "leaf_sandbox.pem", "leaf.key")), "unverified"),
        (answer(&seal_with(paid(), "leaf_expired.pem", "leaf.key")), "unverified"),
        (answer(&seal(with(paid(), "version=5.0.0"))), "version"),
        (HttpReply::new(200, "text/html", answer(&genuine).body.repeat(2)), "unreadable"),
    ];
    let account = account();
    for (reply, why) in rows {
        assert_eq!(unknown(&account.hear_query(&order(Scene::Qr), &reply, end())), why);
        assert_eq!(unknown(&account.hear_create(&order(Scene::Qr), &reply, NOW)), why);
        assert_eq!(refund_unknown(&account.hear_refund(&refund_order(), &reply, NOW)), why);
        assert_eq!(refund_unknown(&account.hear_refund_query(&refund_order(), &reply, NOW)), why);
    }
    assert_eq!(queried(""), Outcome::Paid(payment()), "the control");
}

#[test]
fn a_query_that_finds_the_money_is_paid_with_every_figure_as_stated() {
    assert_eq!(queried("origRespCode=A6"), Outcome::Paid(payment()));
    assert_eq!(queried_at("", end()), Outcome::Paid(payment()), "also after the end");
    let other_sum = Payment { amount: Money::cny(1), ..payment() };
    assert_eq!(queried("txnAmt=1"), Outcome::Paid(other_sum), "the rules compare");
    assert_eq!(queried("traceTime="), Outcome::Paid(Payment { paid_at: None, ..payment() }));
    let Outcome::Paid(foreign) = queried("currencyCode=392") else { panic!() };
    assert_ne!(foreign.amount.currency, Currency::CNY, "never equal to what was asked");
    for unreadable in ["queryId=", "queryId=../x", "txnAmt=", "txnAmt=88.88", "txnAmt=-1", "currencyCode="] {
        assert_eq!(unknown(&queried(unreadable)), "00", "{unreadable}");
    }
}

#[test]
fn a_query_about_another_order_says_nothing() {
    for other in ["orderId=01JPAY0000000000000000000B", "txnTime=20260301120001", "merId=777290058110097"] {
        for code in ["respCode=00", "respCode=34"] {
            assert_eq!(unknown(&queried_at(&format!("{code} {other}"), end())), "other_order", "{other}");
        }
    }
    for kind in ["txnType=04", "txnType=31", "txnType="] {
        assert_eq!(unknown(&queried(kind)), "other_order", "{kind}");
    }
    assert_eq!(unknown(&queried_at("respCode=34 orderId=", end())), "34", "an end needs the order's own name");
}

#[test]
fn an_unpaid_order_is_pending_until_the_margin_after_its_end_and_closed_then() {
    let pending = Outcome::Pending { pay: None, closable: false };
    for words in
        ["respCode=34 origRespCode=", "origRespCode=64", "origRespCode=01", "origRespCode=42", "origRespCode=39"]
    {
        assert_eq!(queried_at(words, NOW), pending, "{words}");
        assert_eq!(queried_at(words, end().plus_ms(-1)), pending, "{words}");
        assert_eq!(queried_at(words, end()), Outcome::Closed, "{words}");
    }
}

#[test]
fn an_undecided_order_stays_unknown_even_after_its_end() {
    for code in ["03", "04", "05", "12", "70", "74", "75", "83", "99", "ZZ", ""] {
        assert_eq!(unknown(&queried_at(&format!("origRespCode={code}"), end())), code);
    }
}

#[test]
fn a_query_that_failed_proves_nothing() {
    for code in ["01", "02", "03", "04", "05", "06", "10", "11", "12", "13", "30", "31", "35", "36", "37", "ZZ"] {
        assert_eq!(unknown(&queried_at(&format!("respCode={code}"), end())), code);
    }
    let Outcome::Unknown(often) = queried("respCode=37") else { panic!() };
    assert_eq!(often.class, ErrorClass::Congested);
}

#[test]
fn an_accepted_refund_is_pending_and_nothing_more() {
    assert_eq!(refunded_at("", NOW), RefundOutcome::Pending);
    for other in
        ["orderId=R0000000000000000000000000000000", "txnTime=20260301120001", "merId=777290058110097", "txnType=01"]
    {
        assert_eq!(refund_unknown(&refunded_at(other, NOW)), "other_order", "{other}");
    }
    for code in ["01", "02", "03", "04", "05", "06", "12", "99", "ZZ"] {
        assert_eq!(refund_unknown(&refunded_at(&format!("respCode={code}"), NOW)), code);
    }
    assert!(matches!(refunded_at("respCode=37", NOW), RefundOutcome::Later(_)));
    for code in ["10", "34", "35", "36", "45", "64"] {
        let RefundOutcome::Refused(failure) = refunded_at(&format!("respCode={code}"), NOW) else { panic!("{code}") };
        assert_eq!(failure.provider_code, code);
    }
}

#[test]
fn a_refusal_of_an_old_refund_number_needs_a_person() {
    for (age_s, stuck) in [(299, false), (300, true), (3600, true)] {
        let outcome = refunded_at("respCode=10", NOW.plus_s(age_s));
        assert_eq!(matches!(outcome, RefundOutcome::Stuck(_)), stuck, "{age_s}");
        assert_eq!(matches!(outcome, RefundOutcome::Refused(_)), !stuck, "{age_s}");
    }
}

#[test]
fn a_refund_has_succeeded_only_when_its_query_says_so() {
    let succeeded = RefundOutcome::Succeeded { amount: Some(Money::cny(100)) };
    assert_eq!(refund_queried(""), succeeded);
    assert_eq!(refund_queried("origRespCode=A6 origQryId="), succeeded);
    assert_eq!(refund_queried("txnAmt=99"), RefundOutcome::Succeeded { amount: Some(Money::cny(99)) });
    assert_eq!(refund_queried("respCode=34"), RefundOutcome::Absent);
    assert_eq!(refund_queried("origRespCode=05"), RefundOutcome::Pending);
    for code in ["03", "04", "99", "ZZ", ""] {
        assert_eq!(refund_unknown(&refund_queried(&format!("origRespCode={code}"))), code);
    }
    assert!(matches!(refund_queried("origRespCode=30"), RefundOutcome::Ended(_)));
    for other in
        ["txnType=01", "txnType=", "origQryId=512603011200000000001", "orderId=R0000000000000000000000000000000"]
    {
        assert_eq!(refund_unknown(&refund_queried(other)), "other_order", "{other}");
    }
    assert_eq!(refund_unknown(&refund_queried("txnAmt=1.00")), "00");
    assert_eq!(refund_unknown(&refund_queried("respCode=34 orderId=")), "34");
}

#[test]
fn the_keyed_method_reads_the_same_answers() {
    let account = keyed_account("11");
    let key = crate::unionpay::testing::SECURE_KEY;
    let hear = |fields: &Fields| account.hear_query(&order(Scene::Qr), &answer(fields), NOW);
    assert_eq!(hear(&seal_keyed(paid(), key)), Outcome::Paid(payment()));
    assert_eq!(unknown(&hear(&with(seal_keyed(paid(), key), "txnAmt=1"))), "unverified");
    assert_eq!(unknown(&hear(&seal_keyed(paid(), &format!("{key}\n")))), "unverified");
    assert_eq!(unknown(&hear(&seal(paid()))), "unverified");
    assert_eq!(account.options.mer_id, MER_ID);
}
