//! What is asked and what answers are taken to mean.

use super::*;
use crate::alipay::testing::{
    NOW, ORDER_NO, SELLER_ID, TRADE_NO, account, answer, biz, html, no, ok, order, sent, unsigned, with,
};
use crate::shared::form;
use proptest::prelude::*;
use serde_json::{Value, json};

fn pay_of(outcome: &Outcome) -> &Pay {
    let Outcome::Pending { pay: Some(pay), closable: false } = outcome else { panic!("{outcome:?}") };
    pay
}

fn created(node: &Value) -> Outcome {
    read_create(&account(), &order(Scene::Qr), &answer(PRECREATE, node))
}

fn queried_at(node: &Value, now: UnixMillis) -> Outcome {
    read_query(&account(), &order(Scene::Qr), &answer(QUERY, node), now)
}

fn queried(node: &Value) -> Outcome {
    queried_at(node, NOW)
}

fn closed(node: &Value) -> Outcome {
    read_close(&account(), &order(Scene::Qr), &answer(CLOSE, node))
}

#[test]
fn precreate_asks_for_an_order_code_with_both_ends() {
    let fields = sent(create(&account(), &order(Scene::Qr), NOW).unwrap());
    assert_eq!(fields["method"], "alipay.trade.precreate");
    assert_eq!(fields["notify_url"], "https://pay.example/callbacks/alipay-main");
    assert!(!fields.contains_key("return_url"));
    assert_eq!(
        biz(&fields),
        json!({
            "out_trade_no": ORDER_NO, "total_amount": "88.88", "subject": "月卡 ／ a＝b ＆ c",
            "product_code": "QR_CODE_OFFLINE", "time_expire": "2026-12-01 12:45:00",
            "qr_code_timeout_express": "5m", "seller_id": SELLER_ID,
        })
    );
}

#[test]
fn a_repeated_create_is_the_same_in_its_business_fields() {
    let mut order = order(Scene::Qr);
    order.created_at = NOW.plus_ms(1_234);
    order.life = code_life(7, Scene::Qr, order.created_at, NOW.plus_s(1800));
    let first = sent(create(&account(), &order, order.created_at).unwrap());
    let mut reconfigured = account();
    reconfigured.qr_minutes = 90;
    let later = sent(create(&reconfigured, &order, NOW.plus_s(200)).unwrap());
    assert_eq!(first["biz_content"], later["biz_content"]);
    assert_eq!(first["notify_url"], later["notify_url"]);
    assert_ne!(first["timestamp"], later["timestamp"]);
    assert_eq!(biz(&first)["qr_code_timeout_express"], "7m");
}

#[test]
fn a_create_after_its_codes_end_sends_nothing_and_claims_nothing() {
    let Ok(Next::Done(Outcome::Unknown(failure))) = create(&account(), &order(Scene::Qr), NOW.plus_s(300)) else {
        panic!("a code made now would outlive the proof of its end")
    };
    assert_eq!(failure.provider_code, "code_ended");
}

#[test]
fn pages_are_signed_addresses_and_nothing_is_sent() {
    for (scene, method, product) in [
        (Scene::Web, "alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
        (Scene::H5, "alipay.trade.wap.pay", "QUICK_WAP_WAY"),
    ] {
        let Ok(Next::Done(outcome)) = create(&account(), &order(scene), NOW) else { panic!("{scene:?}") };
        let pay = pay_of(&outcome);
        assert_eq!(pay.expires_at, NOW.plus_s(300));
        let PayKind::Redirect { url } = &pay.kind else { panic!("{scene:?}") };
        let query = url.strip_prefix("https://openapi.alipay.com/gateway.do?").unwrap();
        let fields = form::decode(query.as_bytes()).unwrap();
        assert_eq!(fields["method"], method);
        assert_eq!(fields["return_url"], "https://shop.example/back?x=1&y=2");
        assert_eq!(fields["notify_url"], "https://pay.example/callbacks/alipay-main");
        let biz = biz(&fields);
        assert_eq!(biz["product_code"], product);
        assert_eq!(biz["time_expire"], "2026-12-01 12:45:00");
        assert_eq!(biz.get("quit_url").is_some(), scene == Scene::H5);
        assert!(biz.get("qr_code_timeout_express").is_none());
    }
}

#[test]
fn the_app_is_given_an_order_string() {
    let Ok(Next::Done(outcome)) = create(&account(), &order(Scene::App), NOW) else { panic!("nothing is sent") };
    let PayKind::App { params } = &pay_of(&outcome).kind else { panic!("{outcome:?}") };
    let fields = form::decode(params["order_string"].as_bytes()).unwrap();
    assert_eq!(fields["method"], "alipay.trade.app.pay");
    assert_eq!(biz(&fields)["product_code"], "QUICK_MSECURITY_PAY");
    assert!(fields.contains_key("sign") && !fields.contains_key("return_url"));
}

#[test]
fn what_alipay_cannot_do_is_unsupported() {
    assert!(create(&account(), &order(Scene::Jsapi), NOW).is_err());
    for amount in [
        Money::cny(0),
        Money::cny(-1),
        Money::cny(TOTAL_FEN_MAX + 1),
        Money { amount: 100, currency: Currency::read("JPY").unwrap() },
    ] {
        let mut order = order(Scene::Qr);
        order.amount = amount;
        assert!(create(&account(), &order, NOW).is_err(), "{amount:?}");
    }
}

#[test]
fn a_subject_is_cleaned_and_cut_at_a_character() {
    assert_eq!(clean(" a/b=c&d,\r\ne ", "x"), "a／b＝c＆d，  e");
    assert_eq!(clean(" \n", "商品"), "商品");
    let cut = clean(&"通".repeat(200), "x");
    assert_eq!(cut, "通".repeat(85));
    assert_eq!(clean(&"a".repeat(300), "x").len(), 256);
}

#[test]
fn only_a_signed_code_for_this_order_is_shown() {
    let code = json!({"code": "10000", "out_trade_no": ORDER_NO, "qr_code": "https://qr.alipay.com/bax03431"});
    let outcome = created(&code);
    assert_eq!(pay_of(&outcome).kind, PayKind::QrCode { url: "https://qr.alipay.com/bax03431".into() });
    for wrong in [
        json!({"out_trade_no": "OTHER"}),
        json!({"qr_code": ""}),
        json!({"qr_code": null}),
        json!({
            "qr_code": "a b"
        }),
    ] {
        assert!(matches!(created(&with(code.clone(), &wrong)), Outcome::Unknown(_)), "{wrong}");
    }
    let read = |reply: &HttpReply| read_create(&account(), &order(Scene::Qr), reply);
    assert!(matches!(read(&unsigned(PRECREATE, &code)), Outcome::Unknown(_)));
    assert!(matches!(read(&answer(QUERY, &code)), Outcome::Unknown(_)), "another operation's answer");
}

#[test]
fn a_refused_create_lets_another_channel_try() {
    let class = |outcome| {
        let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        failure.class
    };
    assert_eq!(class(created(&no("40005", "isv.app-call-limited"))), ErrorClass::Congested);
    assert_eq!(class(created(&no("40002", "isv.invalid-signature"))), ErrorClass::Misconfigured);
    assert_eq!(class(created(&no("40004", "ACQ.TOTAL_FEE_EXCEED"))), ErrorClass::Declined);
    let read = |reply: &HttpReply| read_create(&account(), &order(Scene::Qr), reply);
    let config = no("40002", "isv.invalid-app-id");
    assert_eq!(class(read(&unsigned(PRECREATE, &config))), ErrorClass::Misconfigured);
    assert_eq!(class(read(&HttpReply::new(429, "text/html", ""))), ErrorClass::Congested);
    let wrapped = html(&format!("{{\"error_response\":{config}}}"));
    assert_eq!(class(read(&wrapped)), ErrorClass::Misconfigured);
}

#[test]
fn a_create_in_doubt_is_unknown() {
    for sub_code in ["ACQ.SYSTEM_ERROR", "ACQ.TRADE_HAS_SUCCESS", "ACQ.CONTEXT_INCONSISTENT", "ACQ.NEW"] {
        assert!(matches!(created(&no("40004", sub_code)), Outcome::Unknown(_)), "{sub_code}");
    }
    let read = |reply: &HttpReply| read_create(&account(), &order(Scene::Qr), reply);
    for reply in [
        unsigned(PRECREATE, &no("40004", "ACQ.TOTAL_FEE_EXCEED")),
        unsigned(PRECREATE, &no("40005", "isv.app-call-limited")),
        HttpReply::new(502, "text/html", ""),
        html("<html>"),
    ] {
        assert!(matches!(read(&reply), Outcome::Unknown(_)), "{}", String::from_utf8_lossy(&reply.body));
    }
}

#[test]
fn a_paid_trade_is_paid_with_every_figure() {
    for status in ["TRADE_SUCCESS", "TRADE_FINISHED"] {
        let more = json!({"trade_status": status, "total_amount": "88.88", "receipt_amount": "80.00",
            "send_pay_date": "2026-12-01 12:40:20"});
        assert_eq!(
            queried(&ok(&more)),
            Outcome::Paid(Payment {
                provider_order_no: ORDER_NO.into(),
                provider_trade_no: TRADE_NO.into(),
                amount: Money::cny(8888),
                paid_at: Some(NOW.plus_s(20)),
                settled_on: None,
                refunded: 0,
            })
        );
    }
}

#[test]
fn a_paid_answer_that_does_not_fit_is_unknown() {
    let paid = ok(&json!({"trade_status": "TRADE_SUCCESS", "total_amount": "88.88"}));
    for wrong in [
        json!({"out_trade_no": "VICTIM"}),
        json!({"out_trade_no": null}),
        json!({"trade_no": ""}),
        json!({"total_amount": null}),
        json!({"total_amount": 88.88}),
        json!({"total_amount": "88.88 "}),
        json!({"total_amount": "1e2"}),
        json!({"total_amount": "٨٨.٨٨"}),
        json!({"total_amount": "88.888"}),
        json!({"trade_status": "TRADE_PENDING"}),
        json!({"trade_status": null}),
        json!({"trans_currency": "yuan"}),
    ] {
        assert!(matches!(queried(&with(paid.clone(), &wrong)), Outcome::Unknown(_)), "{wrong}");
    }
    let Outcome::Paid(payment) = queried(&with(paid.clone(), &json!({"trans_currency": "JPY"}))) else {
        panic!("another currency is for the core to refuse")
    };
    assert_ne!(payment.amount, Money::cny(8888));
    let reply = unsigned(QUERY, &paid);
    assert!(matches!(read_query(&account(), &order(Scene::Qr), &reply, NOW), Outcome::Unknown(_)));
}

#[test]
fn a_closed_trade_is_over_unless_it_bears_money() {
    let closed = json!({"trade_status": "TRADE_CLOSED", "total_amount": "88.88", "receipt_amount": "0.00"});
    assert_eq!(queried(&ok(&closed)), Outcome::Closed);
    for trace in [
        json!({"send_pay_date": "2026-12-01 12:40:20"}),
        json!({"receipt_amount": "88.88"}),
        json!({
            "buyer_pay_amount": "0.01"
        }),
    ] {
        let Outcome::Paid(payment) = queried(&with(ok(&closed), &trace)) else { panic!("{trace}") };
        assert_eq!((payment.amount, payment.refunded), (Money::cny(8888), 8888), "{trace}");
    }
}

#[test]
fn an_unpaid_trade_can_be_closed() {
    let waiting = ok(&json!({"trade_status": "WAIT_BUYER_PAY", "total_amount": "88.88"}));
    assert_eq!(queried_at(&waiting, NOW.plus_s(9_000)), Outcome::Pending { pay: None, closable: true });
}

#[test]
fn a_missing_trade_is_an_end_only_after_both_ends_and_a_margin() {
    let missing = no("40004", "ACQ.TRADE_NOT_EXIST");
    let pending = Outcome::Pending { pay: None, closable: false };
    assert_eq!(queried_at(&missing, NOW), pending);
    assert_eq!(queried_at(&missing, NOW.plus_ms(329_999)), pending);
    assert_eq!(queried_at(&missing, NOW.plus_ms(330_000)), Outcome::Closed);

    let mut order = order(Scene::Qr);
    order.created_at = NOW.plus_ms(30_000);
    order.life = CodeLife { code_ends_at: NOW.plus_ms(300_001), payable_until: NOW.plus_ms(300_001) };
    let at = |ms| read_query(&account(), &order, &answer(QUERY, &missing), NOW.plus_ms(ms));
    assert_eq!(at(389_999), pending, "time_expire and the code's minutes were rounded up");
    assert_eq!(at(390_000), Outcome::Closed);

    let reply = unsigned(QUERY, &missing);
    let read = read_query(&account(), &order, &reply, NOW.plus_s(86_400));
    assert!(matches!(read, Outcome::Unknown(_)), "an unsigned word ends nothing");
}

#[test]
fn a_failed_question_proves_nothing() {
    for (code, sub_code) in [
        ("20000", "isp.unknow-error"),
        ("40001", "isv.missing-method"),
        ("40005", "isv.app-call-limited"),
        ("40004", "ACQ.INVALID_PARAMETER"),
        ("40004", "ACQ.SYSTEM_ERROR"),
        ("10003", ""),
    ] {
        let node = no(code, sub_code);
        assert!(matches!(queried(&node), Outcome::Unknown(_)), "{code} {sub_code}");
        assert!(matches!(closed(&node), Outcome::Unknown(_)), "{code} {sub_code}");
    }
}

#[test]
fn a_close_is_never_an_end() {
    assert_eq!(closed(&ok(&json!({}))), Outcome::Pending { pay: None, closable: true });
    assert_eq!(closed(&no("40004", "ACQ.TRADE_NOT_EXIST")), Outcome::Pending { pay: None, closable: false });
    assert!(matches!(closed(&no("40004", "ACQ.TRADE_STATUS_ERROR")), Outcome::Unknown(_)));
    assert!(matches!(closed(&ok(&json!({"out_trade_no": "OTHER"}))), Outcome::Unknown(_)));
    let fields = sent(close(&account(), &order(Scene::Qr), NOW));
    assert_eq!(fields["method"], "alipay.trade.close");
    assert_eq!(biz(&fields), json!({"out_trade_no": ORDER_NO}));
    let fields = sent(query(&account(), &order(Scene::Qr), NOW));
    assert_eq!(fields["method"], "alipay.trade.query");
    assert_eq!(biz(&fields), json!({"out_trade_no": ORDER_NO}));
    assert!(!fields.contains_key("notify_url"));
}

#[test]
fn failures_name_the_code_and_nothing_of_the_message() {
    let node = json!({"code": "40002", "sub_code": "isv.invalid-signature", "sub_msg": "待签名字符串 app_id=canary"});
    let Outcome::Failed(failure) = created(&node) else { panic!("misconfigured") };
    assert_eq!(failure.provider_code, "isv.invalid-signature");
    assert!(!failure.detail.contains("canary"));
}

proptest! {
    #[test]
    fn a_code_ends_in_time_and_its_order_says_the_same(
        qr_minutes in 1_i64..=120, now_ms in 0_i64..120_000, open_ms in 0_i64..1_800_000, at in 0_usize..3,
    ) {
        let scene = [Scene::Qr, Scene::H5, Scene::App][at];
        let now = NOW.plus_ms(now_ms);
        let expires_at = now.plus_ms(open_ms);
        let life = code_life(qr_minutes, scene, now, expires_at);
        prop_assert!(now <= life.code_ends_at && life.code_ends_at <= life.payable_until);
        prop_assert!(life.payable_until <= expires_at.plus_ms(60_000), "a minute late at most");
        let mut order = order(scene);
        (order.created_at, order.life) = (now, life);
        prop_assert_eq!(last_end(&order), life.payable_until, "what is asked for ends when it was said to");
        if scene == Scene::Qr {
            prop_assert!(life.code_ends_at <= now.plus_s(qr_minutes * 60));
        } else {
            prop_assert!(life.code_ends_at >= expires_at);
        }
    }
}
