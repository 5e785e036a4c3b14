//! Callbacks: what is believed, and the catalogue of attacks against them, each with its positive control.

use super::super::stage::{
    API_V3_KEY, APP_ID, MCH_ID, NOW, ORDER_NO, PLATFORM_1, PLATFORM_2, PUBLIC, PUBLIC_ID, REFUND_NO, SERIAL_1,
    SERIAL_2, TRADE_NO, account, callback, envelope, payment_callback, refund_callback, refund_event, resource, sealed,
    transaction,
};
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tongdao_core::money::Money;
use tongdao_core::provider::Payment;

fn read(request: &CallbackRequest) -> Result<NoticeKind, Rejected> {
    account().judge_callback(request, NOW).map(|notice| notice.kind().clone())
}

fn paid() -> CallbackRequest {
    payment_callback(&transaction("SUCCESS"))
}

fn set(request: &mut CallbackRequest, name: &str, value: &str) {
    let found = request.headers.iter_mut().find(|(key, _)| key == name).unwrap();
    value.clone_into(&mut found.1);
}

#[test]
fn a_genuine_payment_is_a_notice() {
    let payment = Payment {
        provider_order_no: ORDER_NO.into(),
        provider_trade_no: TRADE_NO.into(),
        amount: Money::cny(8_888),
        paid_at: Some(NOW),
        settled_on: None,
        refunded: 0,
    };
    assert_eq!(read(&paid()), Ok(NoticeKind::Payment(payment.clone())));
    assert_eq!(read(&paid()), Ok(NoticeKind::Payment(payment)), "once more says the same: effects are the core's");
}

#[test]
fn a_callback_signed_in_the_other_mode_is_believed_too() {
    let mut request = paid();
    request.headers = sealed(PLATFORM_1, SERIAL_1, NOW, &request.body);
    assert!(read(&request).is_ok());
    for (name, _) in &mut request.headers {
        name.make_ascii_lowercase();
    }
    assert!(read(&request).is_ok(), "header names have no case");
}

#[test]
fn each_refund_event_is_a_notice() {
    let outcome = |event: &str, status: &str| match read(&refund_callback(event, &refund_event(status))) {
        Ok(NoticeKind::Refund(notice)) => {
            assert_eq!(notice.provider_refund_no, REFUND_NO);
            assert_eq!(notice.provider_order_no.as_deref(), Some(ORDER_NO));
            assert_eq!(notice.amount, Some(Money::cny(888)));
            notice.outcome
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(outcome("REFUND.SUCCESS", "SUCCESS"), RefundOutcome::Succeeded { amount: Some(Money::cny(888)) });
    assert!(matches!(outcome("REFUND.ABNORMAL", "ABNORMAL"), RefundOutcome::Stuck(_)));
    assert!(matches!(outcome("REFUND.CLOSED", "CLOSED"), RefundOutcome::Ended(_)));
    // a name that contradicts the content, or a word nobody documents: a query decides
    for (event, status) in [("REFUND.SUCCESS", "CLOSED"), ("REFUND.CLOSED", "SUCCESS"), ("REFUND.SUCCESS", "FAIL")] {
        assert_eq!(outcome(event, status), RefundOutcome::Pending, "{event} {status}");
    }
}

#[test]
fn attacks_1_to_4_unsigned_or_altered_messages_are_refused() {
    let unsigned = CallbackRequest { headers: Vec::new(), ..paid() };
    assert_eq!(read(&unsigned), Err(Rejected::BadSignature));
    for name in ["Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature"] {
        let mut request = paid();
        set(&mut request, name, "");
        assert_eq!(read(&request), Err(Rejected::BadSignature), "empty {name}");
        let mut request = paid();
        request.headers.retain(|(key, _)| key != name);
        assert_eq!(read(&request), Err(Rejected::BadSignature), "no {name}");
    }
    let other = payment_callback(&transaction("REFUND"));
    assert_eq!(read(&CallbackRequest { headers: other.headers, ..paid() }), Err(Rejected::BadSignature));
    for (name, value) in
        [("Wechatpay-Timestamp", "1800000001"), ("Wechatpay-Nonce", "freshnoncf"), ("Wechatpay-Signature", "AAAA")]
    {
        let mut request = paid();
        set(&mut request, name, value);
        assert_eq!(read(&request), Err(Rejected::BadSignature), "{name}");
    }
}

#[test]
fn a_signature_probe_simply_fails() {
    for probe in ["WECHATPAY/SIGNTEST/abc", "WECHATPAY/SIGNTEST/AAAA", "%%%", "ＡＡＡＡ"] {
        let mut request = paid();
        set(&mut request, "Wechatpay-Signature", probe);
        assert_eq!(read(&request), Err(Rejected::BadSignature), "{probe}");
    }
}

#[test]
fn attacks_5_to_8_amounts_are_reported_as_stated_and_compared_by_the_core() {
    let mut cheap = transaction("SUCCESS");
    cheap["amount"]["total"] = json!(1);
    cheap["amount"]["currency"] = json!("JPY");
    let Ok(NoticeKind::Payment(payment)) = read(&payment_callback(&cheap)) else { panic!() };
    assert_eq!((payment.amount.amount, payment.amount.currency.as_str()), (1, "JPY"));
    for total in [json!(-1), json!(1.5), json!("8888"), Value::Null] {
        cheap["amount"]["total"] = total;
        assert_eq!(read(&payment_callback(&cheap)), Err(Rejected::Malformed), "{cheap}");
    }
}

#[test]
fn attack_9_a_genuine_message_of_another_account_is_foreign() {
    for (field, value) in [("appid", "wx0000000000000000"), ("mchid", "1900000001")] {
        let mut other = transaction("SUCCESS");
        other[field] = json!(value);
        assert_eq!(read(&payment_callback(&other)), Err(Rejected::Foreign), "{field}");
        let mut other = refund_event("SUCCESS");
        other[field] = json!(value);
        assert_eq!(read(&refund_callback("REFUND.SUCCESS", &other)), Err(Rejected::Foreign), "{field}");
    }
    let plain = transaction("SUCCESS").to_string();
    let other_key = resource("another7cde1ZJB1kG2e7VfTs3jQzaWi", "transaction", "transaction", plain.as_bytes());
    let sealed_for_another = callback(envelope("TRANSACTION.SUCCESS", &other_key).to_string());
    assert_eq!(read(&sealed_for_another), Err(Rejected::Foreign));
}

#[test]
fn attacks_12_and_13_only_a_genuine_old_message_is_stale() {
    let at = |sent_s: i64| {
        let mut request = paid();
        request.headers = sealed(PUBLIC, PUBLIC_ID, NOW.plus_s(sent_s), &request.body);
        request
    };
    for sent_s in [-299, 0, 299] {
        assert!(read(&at(sent_s)).is_ok(), "{sent_s}");
    }
    for sent_s in [-300, 300, -86_400, 86_400] {
        let stale = Rejected::Stale { provider_order_no: Some(ORDER_NO.into()) };
        assert_eq!(read(&at(sent_s)), Err(stale), "{sent_s}");
        let mut forged = at(sent_s);
        forged.body.push(b' ');
        assert_eq!(read(&forged), Err(Rejected::BadSignature), "staleness is not told to forgers");
    }
    let mut foreign = transaction("SUCCESS");
    foreign["mchid"] = json!("1900000001");
    let mut request = payment_callback(&foreign);
    request.headers = sealed(PUBLIC, PUBLIC_ID, NOW.plus_s(-900), &request.body);
    assert_eq!(read(&request), Err(Rejected::Foreign), "no query for another account's order");
}

#[test]
fn attacks_14_and_15_no_header_bypasses_the_signature() {
    let mut request = CallbackRequest { headers: Vec::new(), ..paid() };
    for (name, value) in [("Host", "localhost"), ("X-Forwarded-For", "101.226.103.1"), ("X-Real-IP", "127.0.0.1")] {
        request.headers.push((name.into(), value.into()));
    }
    assert_eq!(read(&request), Err(Rejected::BadSignature));
}

#[test]
fn attacks_19_and_20_status_and_event_decide_together() {
    for state in ["NOTPAY", "CLOSED", "success", ""] {
        let nothing = NoticeKind::Nothing { status: state.into() };
        assert_eq!(read(&payment_callback(&transaction(state))), Ok(nothing), "{state}");
    }
    // a refund's content under a payment's name, and the other way round
    assert_eq!(read(&payment_callback(&refund_event("SUCCESS"))), Err(Rejected::Malformed));
    assert_eq!(read(&refund_callback("REFUND.SUCCESS", &transaction("SUCCESS"))), Err(Rejected::Malformed));
    assert_eq!(read(&refund_callback("TRANSACTION.SUCCESS", &transaction("SUCCESS"))), Err(Rejected::Malformed));
    let other = refund_callback("PAYSCORE.USER_OPEN_SERVICE", &json!({ "mchid": MCH_ID, "appid": APP_ID }));
    assert_eq!(read(&other), Ok(NoticeKind::Nothing { status: "PAYSCORE.USER_OPEN_SERVICE".into() }));
    let other = refund_callback("PAYSCORE.USER_OPEN_SERVICE", &json!({ "mchid": "1900000001" }));
    assert_eq!(read(&other), Err(Rejected::Foreign));
}

#[test]
fn attacks_21_and_22_a_serial_is_looked_up_and_nothing_else() {
    let account = account();
    for serial in ["../../x.pem", "https://evil.example/key.pem", "/etc/passwd", SERIAL_2, "PUB_KEY_ID_1"] {
        let mut request = paid();
        set(&mut request, "Wechatpay-Serial", serial);
        assert_eq!(account.judge_callback(&request, NOW), Err(Rejected::UnknownKey), "{serial}");
    }
    let lower = SERIAL_1.to_ascii_lowercase();
    let mut request = paid();
    request.headers = sealed(PLATFORM_1, &lower, NOW, &request.body);
    assert_eq!(read(&request), Err(Rejected::UnknownKey), "the exact text only");
}

#[test]
fn attack_24_a_key_signs_under_its_own_name_only() {
    let mut request = paid();
    request.headers = sealed(PLATFORM_2, SERIAL_1, NOW, &request.body);
    assert_eq!(read(&request), Err(Rejected::BadSignature));
    let merchant = include_bytes!("../fixtures/merchant.key.pem");
    request.headers = sealed(merchant, PUBLIC_ID, NOW, &request.body);
    assert_eq!(read(&request), Err(Rejected::BadSignature), "our own key is not theirs");
}

#[test]
fn attack_25_an_ended_certificate_verifies_nothing() {
    let late = NOW.plus_s(11 * 366 * 86_400);
    let mut request = paid();
    request.headers = sealed(PLATFORM_1, SERIAL_1, late, &request.body);
    assert_eq!(account().judge_callback(&request, late), Err(Rejected::UnknownKey));
    request.headers = sealed(PUBLIC, PUBLIC_ID, late, &request.body);
    assert!(account().judge_callback(&request, late).is_ok(), "the public key has no end");
}

/// A name, a change and the refusal it earns.
type Bend = (&'static str, fn(&mut Value), Rejected);

#[test]
fn attack_26_an_altered_resource_is_refused_even_when_signed() {
    let good = resource(API_V3_KEY, "transaction", "transaction", transaction("SUCCESS").to_string().as_bytes());
    let cases: [Bend; 8] = [
        ("algorithm", |r| r["algorithm"] = json!("AEAD_AES_128_GCM"), Rejected::Malformed),
        ("no algorithm", |r| r["algorithm"] = Value::Null, Rejected::Malformed),
        ("11-byte nonce", |r| r["nonce"] = json!("fdasfjihihi"), Rejected::Malformed),
        ("other nonce", |r| r["nonce"] = json!("fdasfjihihii"), Rejected::Foreign),
        ("associated data", |r| r["associated_data"] = json!("refund"), Rejected::Foreign),
        ("ciphertext", |r| r["ciphertext"] = json!("AAAA"), Rejected::Foreign),
        ("no base64", |r| r["ciphertext"] = json!("%"), Rejected::Malformed),
        ("original type", |r| r["original_type"] = json!("refund"), Rejected::Malformed),
    ];
    let read_with = |resource: &Value| read(&callback(envelope("TRANSACTION.SUCCESS", resource).to_string()));
    assert!(read_with(&good).is_ok());
    for (name, bend, wanted) in cases {
        let mut bent = good.clone();
        bend(&mut bent);
        assert_eq!(read_with(&bent), Err(wanted), "{name}");
    }
}

#[test]
fn associated_data_is_read_and_may_be_absent() {
    let plain = transaction("SUCCESS").to_string();
    for aad in ["", "transaction", "anything"] {
        let mut resource = resource(API_V3_KEY, "transaction", aad, plain.as_bytes());
        if aad.is_empty() {
            resource.as_object_mut().unwrap().retain(|key, _| key != "associated_data" && key != "original_type");
        }
        assert!(read(&callback(envelope("TRANSACTION.SUCCESS", &resource).to_string())).is_ok(), "{aad}");
    }
}

#[test]
fn attack_27_double_keys_are_refused_inside_and_outside() {
    let doubled = transaction("SUCCESS").to_string().replacen("\"total\":8888", "\"total\":1,\"total\":8888", 1);
    let inside = resource(API_V3_KEY, "transaction", "transaction", doubled.as_bytes());
    assert_eq!(read(&callback(envelope("TRANSACTION.SUCCESS", &inside).to_string())), Err(Rejected::Malformed));
    let outer = String::from_utf8(paid().body).unwrap();
    let twice = outer.replacen('{', "{\"event_type\":\"REFUND.SUCCESS\",", 1);
    assert_eq!(read(&callback(twice)), Err(Rejected::Malformed));
    let unread = outer.replacen('{', "{\"x\":1,\"x\":2,", 1);
    assert_eq!(read(&callback(unread)), Err(Rejected::Malformed), "keys that nobody reads as well");
}

#[test]
fn attacks_28_and_29_only_the_resource_is_read() {
    let resource = resource(API_V3_KEY, "transaction", "transaction", transaction("SUCCESS").to_string().as_bytes());
    let mut outer = envelope("TRANSACTION.SUCCESS", &resource);
    outer["amount"] = json!({ "total": 1 });
    outer["out_trade_no"] = json!("01JZOTHERORDERNUMBER000001");
    let mut request = callback(outer.to_string());
    request.query = "out_trade_no=other&amount=1".into();
    let Ok(NoticeKind::Payment(payment)) = read(&request) else { panic!() };
    assert_eq!((payment.amount, payment.provider_order_no.as_str()), (Money::cny(8_888), ORDER_NO));
}

#[test]
fn attack_30_the_algorithm_is_not_the_messages_to_choose() {
    for kind in ["WECHATPAY2-SM2-WITH-SM3", "HMAC-SHA256", "MD5", ""] {
        let mut request = paid();
        set(&mut request, "Wechatpay-Signature-Type", kind);
        assert_eq!(read(&request), Err(Rejected::BadSignature), "{kind}");
    }
}

#[test]
fn a_v2_refund_callback_is_refused_without_harm() {
    let xml = b"<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><xml><return_code>SUCCESS</return_code></xml>";
    let request = CallbackRequest { headers: Vec::new(), query: String::new(), body: xml.to_vec() };
    assert_eq!(read(&request), Err(Rejected::BadSignature));
    assert_eq!(read(&callback(xml.to_vec())), Err(Rejected::Malformed), "signed nonsense too");
}

#[test]
fn answers_have_the_documented_form_and_do_not_tell_causes_apart() {
    let account = account();
    use tongdao_core::provider::Provider as _;
    let accepted = account.callback_reply(Verdict::Accepted);
    assert_eq!((accepted.status, accepted.body.len()), (204, 0));
    for (verdict, status) in [(Verdict::Refused, 401), (Verdict::TryLater, 503)] {
        let answer = account.callback_reply(verdict);
        assert_eq!(answer.status, status);
        assert_eq!(answer.body, r#"{"code":"FAIL","message":"失败"}"#.as_bytes());
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_changed_bit_of_body_or_signature_is_believed(place: prop::sample::Index, bit in 0..8_u8, in_body: bool) {
        let mut request = paid();
        if in_body {
            let at = place.index(request.body.len());
            request.body[at] ^= 1 << bit;
        } else {
            let value = &mut request.headers[3].1;
            let at = place.index(value.len());
            let changed = if value.as_bytes()[at] == b'A' { "B" } else { "A" };
            value.replace_range(at..=at, changed);
        }
        prop_assert_eq!(read(&request), Err(Rejected::BadSignature));
    }

    #[test]
    fn signed_nonsense_never_panics_and_is_never_a_payment(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(read(&callback(body)), Err(Rejected::Malformed));
    }
}
