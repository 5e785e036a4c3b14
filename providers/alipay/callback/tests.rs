//! Genuine notices and every way of forging one.

use super::*;
use crate::alipay::testing::{
    ALIPAY_KEY, ALIPAY_NEXT_KEY, NOW, ORDER_NO, REFUND_NO, TRADE_NO, account, callback, certificate_account, fields,
    notice, payment_fields, signature,
};

fn read_fields(changes: &[(&str, &str)]) -> Result<NoticeKind, Rejected> {
    let mut message = payment_fields();
    message.extend(fields(changes));
    read(&account(), &notice(Rule::Trade, message)).map(|notice| notice.kind().clone())
}

fn payment() -> Payment {
    Payment {
        provider_order_no: ORDER_NO.into(),
        provider_trade_no: TRADE_NO.into(),
        amount: Money::cny(8888),
        paid_at: Some(NOW.plus_s(20)),
        settled_on: None,
        refunded: 0,
    }
}

/// The payment's notice as it travels, to be altered behind its signature.
fn signed() -> BTreeMap<String, String> {
    form::decode(&notice(Rule::Trade, payment_fields()).body).unwrap()
}

fn read_altered(message: &BTreeMap<String, String>) -> Result<Notice, Rejected> {
    read(&account(), &callback(message))
}

#[test]
fn a_genuine_payment_is_read_in_both_modes_and_again() {
    let request = notice(Rule::Trade, payment_fields());
    for options in [account(), certificate_account()] {
        for _ in 0..2 {
            assert_eq!(read(&options, &request).unwrap().kind(), &NoticeKind::Payment(payment()));
        }
    }
    assert_eq!(read_fields(&[("trade_status", "TRADE_FINISHED")]), Ok(NoticeKind::Payment(payment())));
}

#[test]
fn empty_values_may_be_signed_or_left_out() {
    let mut message = payment_fields();
    message.insert("body".into(), String::new());
    for rule in [Rule::Trade, Rule::TradeWithoutEmpties] {
        assert!(read(&account(), &notice(rule, message.clone())).is_ok(), "{rule:?}");
    }
}

#[test]
fn fields_hidden_in_a_name_are_refused_though_the_signed_text_is_the_same() {
    // The marks of a refund must not vanish into a neighbour's name: it would read as a payment.
    let mut refund = payment_fields();
    refund.extend(fields(&[("gmt_refund", "2026-01-02 03:04:05.000")]));
    let told = read(&account(), &notice(Rule::Trade, refund.clone())).unwrap();
    assert!(!matches!(told.kind(), NoticeKind::Payment(_)));
    let genuine = form::decode(&notice(Rule::Trade, refund).body).unwrap();
    let mut anew = genuine.clone();
    let (paid_at, refunded_at) = (anew.remove("gmt_payment").unwrap(), anew.remove("gmt_refund").unwrap());
    anew.insert(format!("gmt_payment={paid_at}&gmt_refund"), refunded_at);
    assert_eq!(sign::text(Rule::Trade, &anew), sign::text(Rule::Trade, &genuine));
    assert_eq!(read_altered(&anew).map(|notice| notice.kind().clone()), Err(Rejected::Malformed));
}

#[test]
fn a_notice_altered_in_any_signed_field_is_refused() {
    for key in payment_fields().keys() {
        for change in ["changed", "dropped", "one bit"] {
            let mut message = signed();
            match change {
                "changed" => message.get_mut(key).unwrap().push('0'),
                "dropped" => drop(message.remove(key)),
                _ => {
                    let mut bytes = message[key].clone().into_bytes();
                    *bytes.last_mut().unwrap() ^= 1;
                    let Ok(text) = String::from_utf8(bytes) else { continue };
                    message.insert(key.clone(), text);
                }
            }
            assert_eq!(read_altered(&message), Err(Rejected::BadSignature), "{key} {change}");
        }
    }
    let mut message = signed();
    message.insert("paid_amount".into(), "88.88".into());
    assert_eq!(read_altered(&message), Err(Rejected::BadSignature), "an unsigned field beside the signed ones");
}

#[test]
fn a_notice_without_alipays_signature_is_refused() {
    let text = sign::text(Rule::Trade, &payment_fields());
    let of_another_message = signature(ALIPAY_KEY, "app_id=1");
    let by_another_key = signature(ALIPAY_NEXT_KEY, &text);
    let cut = signed()["sign"][..340].to_owned();
    for sign in ["", " ", "!", "AAAA", &of_another_message, &by_another_key, &cut] {
        let mut message = signed();
        message.insert("sign".into(), sign.into());
        assert_eq!(read_altered(&message), Err(Rejected::BadSignature), "{sign}");
    }
    let mut message = signed();
    message.remove("sign");
    assert_eq!(read_altered(&message), Err(Rejected::BadSignature));
    assert_eq!(read_altered(&BTreeMap::new()), Err(Rejected::BadSignature));
}

#[test]
fn the_message_does_not_choose_the_algorithm() {
    for sign_type in ["RSA", "MD5", "HMAC-SHA256", "rsa2"] {
        let mut message = signed();
        message.insert("sign_type".into(), sign_type.into());
        assert_eq!(read_altered(&message), Err(Rejected::BadSignature), "{sign_type}");
    }
}

#[test]
fn no_header_and_no_query_opens_a_door() {
    let mut request = callback(&payment_fields());
    request.headers = [("host", "localhost"), ("x-forwarded-for", "110.75.143.1")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec();
    assert_eq!(read(&account(), &request), Err(Rejected::BadSignature));
    let in_query = CallbackRequest {
        query: String::from_utf8(notice(Rule::Trade, payment_fields()).body).unwrap(),
        body: Vec::new(),
        headers: Vec::new(),
    };
    assert_eq!(read(&account(), &in_query), Err(Rejected::BadSignature), "a return page is no notice");
}

#[test]
fn a_notice_of_another_app_or_payee_is_foreign() {
    for change in [("app_id", "2021000000000002"), ("app_id", ""), ("seller_id", "2088000000000002"), ("seller_id", "")]
    {
        assert_eq!(read_fields(&[change]), Err(Rejected::Foreign), "{change:?}");
    }
    let mut without = payment_fields();
    without.remove("seller_id");
    assert_eq!(read(&account(), &notice(Rule::Trade, without)), Err(Rejected::Foreign));
}

#[test]
fn another_status_or_type_is_not_a_payment() {
    for status in ["WAIT_BUYER_PAY", "TRADE_CLOSED", "TRADE_PENDING", "trade_success"] {
        let nothing = NoticeKind::Nothing { status: status.into() };
        assert_eq!(read_fields(&[("trade_status", status)]), Ok(nothing));
    }
    let nothing = NoticeKind::Nothing { status: "fund_auth_freeze".into() };
    assert_eq!(read_fields(&[("notify_type", "fund_auth_freeze")]), Ok(nothing));
    assert_eq!(read_fields(&[("trade_status", "")]), Err(Rejected::Malformed));
}

#[test]
fn a_message_of_the_app_gateway_is_acknowledged_without_effect() {
    let mut message = payment_fields();
    message.insert("notify_type".into(), "servicemarket_order_notify".into());
    message.remove("seller_id");
    let read = read(&account(), &notice(Rule::AppGateway, message)).unwrap();
    assert_eq!(read.kind(), &NoticeKind::Nothing { status: "servicemarket_order_notify".into() });
    let as_trade = notice(Rule::AppGateway, payment_fields());
    assert_eq!(super::read(&account(), &as_trade), Err(Rejected::BadSignature), "a trade is signed by its own rule");
}

#[test]
fn a_refunds_notice_is_not_a_payment() {
    let refund = NoticeKind::Refund(RefundNotice {
        provider_refund_no: REFUND_NO.into(),
        provider_order_no: Some(ORDER_NO.into()),
        amount: None,
        outcome: RefundOutcome::Pending,
    });
    let traces = [("gmt_refund", "2026-12-01 13:00:00.123"), ("refund_fee", "10.00"), ("out_biz_no", REFUND_NO)];
    assert_eq!(read_fields(&traces), Ok(refund.clone()));
    let closed = [traces[0], traces[1], traces[2], ("trade_status", "TRADE_CLOSED")];
    assert_eq!(read_fields(&closed), Ok(refund.clone()), "refunded whole");
    assert_eq!(read_fields(&traces[2..]), Ok(refund));
    for trace in [traces[0], traces[1], ("refund_fee", "many")] {
        let read = read_fields(&[trace]).unwrap();
        assert!(matches!(read, NoticeKind::Nothing { .. }), "{trace:?}: {read:?}");
    }
    assert_eq!(read_fields(&[("refund_fee", "0.00")]), Ok(NoticeKind::Payment(payment())));
}

#[test]
fn an_amount_has_one_spelling() {
    for amount in ["", "88.88 ", "+88.88", "8e1", "٨٨.٨٨", "88.888", "88,88", "8888888888888888888", "-1"] {
        assert_eq!(read_fields(&[("total_amount", amount)]), Err(Rejected::Malformed), "{amount}");
    }
    let Ok(NoticeKind::Payment(small)) = read_fields(&[("total_amount", "0.01")]) else { panic!("read as it says") };
    assert_eq!(small.amount, Money::cny(1), "the core compares it");
    let Ok(NoticeKind::Payment(yen)) = read_fields(&[("trans_currency", "JPY")]) else { panic!("read as it says") };
    assert_ne!(yen.amount.currency, Money::cny(1).currency);
    for missing in [("trade_no", ""), ("out_trade_no", "")] {
        assert_eq!(read_fields(&[missing]), Err(Rejected::Malformed), "{missing:?}");
    }
}

/// The genuine text `…subject=x&total_amount=1&zzz=&total_amount=88.88…` cut into other fields keeps its signature.
#[test]
fn fields_hidden_in_a_value_are_refused_although_the_signature_holds() {
    for (key, value) in [
        ("zzz", "&total_amount=0.01&trade_no=1"),
        ("subject", "x&out_trade_no=VICTIM"),
        ("passback_params", "a&b&total_amount=1"),
        ("subject", "a\nb"),
        ("subject", "a\u{0}b"),
    ] {
        assert_eq!(read_fields(&[(key, value)]), Err(Rejected::Malformed), "{key}={value}");
    }
    assert!(read_fields(&[("voucher_detail_list", "[{\"name\":\"A&B\"}]")]).is_ok(), "a coupon's name is harmless");
}

#[test]
fn a_body_with_two_readings_is_refused() {
    let genuine = String::from_utf8(notice(Rule::Trade, payment_fields()).body).unwrap();
    for body in [
        format!("{genuine}&total_amount=0.01"),
        format!("{genuine}&total%5Famount=0.01"),
        format!("{genuine}&money[]=1"),
        format!("{genuine}&"),
        genuine.replacen("%E6%9C%88", "%E6%9C", 1),
    ] {
        let request = CallbackRequest { headers: Vec::new(), query: String::new(), body: body.into_bytes() };
        assert_eq!(read(&account(), &request), Err(Rejected::Malformed));
    }
    assert_eq!(read_fields(&[("charset", "gbk")]), Err(Rejected::Malformed));
}

#[test]
fn answers_are_the_seven_bytes_or_a_failure() {
    let answer = |verdict| (reply(verdict).status, reply(verdict).body);
    assert_eq!(answer(Verdict::Accepted), (200, b"success".to_vec()));
    assert_eq!(answer(Verdict::Refused), (200, b"failure".to_vec()));
    assert_eq!(answer(Verdict::TryLater), (500, b"failure".to_vec()));
}
