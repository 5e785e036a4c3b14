//! Notifies: what is believed, and the attacks against them, each with its positive control.

use super::*;
use crate::unionpay::testing::{
    NOW, ORDER_NO, QUERY_ID, REFUND_NO, SECURE_KEY, account, keyed_account, notified, posted, refund_notified, seal,
    seal_keyed, seal_with, section, try_build, vectors, with,
};
use serde_json::json;
use tongdao_core::money::{Currency, Money};
use tongdao_core::provider::Environment;

fn heard(fields: &Fields) -> Result<NoticeKind, Rejected> {
    account().hear_callback(&posted(fields), NOW).map(|notice| notice.kind().clone())
}

fn the_payment() -> Payment {
    Payment {
        provider_order_no: ORDER_NO.into(),
        provider_trade_no: QUERY_ID.into(),
        amount: Money::cny(8888),
        paid_at: Some(NOW.plus_s(5)),
        settled_on: Some("2026-03-01".parse().unwrap()),
        refunded: 0,
    }
}

#[test]
fn a_genuine_notify_is_a_payment() {
    assert_eq!(heard(&seal(notified())), Ok(NoticeKind::Payment(the_payment())));
    assert_eq!(heard(&seal(with(notified(), "respCode=A6"))), Ok(NoticeKind::Payment(the_payment())));
    let keyed = keyed_account("11").hear_callback(&posted(&seal_keyed(notified(), SECURE_KEY)), NOW).unwrap();
    assert_eq!(keyed.kind(), &NoticeKind::Payment(the_payment()));
}

#[test]
fn the_published_notify_is_read() {
    let all = vectors();
    let published = all["vectors"].as_array().unwrap().iter().find(|v| v["name"] == "back notify").unwrap();
    let fields = crate::unionpay::testing::fields_of(&published["fields"]);
    let mut section = section();
    section["mer_id"] = json!("777290058167151");
    section["root_cert"] = json!(all["anchors"]["test_root"]);
    section["middle_cert"] = json!(all["anchors"]["test_middle"]);
    let account = try_build(&section, Environment::Sandbox).unwrap();
    let at = read_txn_time("20220908132206").unwrap();
    let notice = account.hear_callback(&posted(&fields), at).unwrap();
    let NoticeKind::Payment(payment) = notice.kind() else { panic!() };
    assert_eq!(payment.provider_order_no, "yansongda20220908132206");
    assert_eq!(payment.provider_trade_no, "782209081322060674028");
    assert_eq!((payment.amount, payment.paid_at), (Money::cny(1), Some(at)));
}

#[test]
fn a_notify_changed_in_any_signed_field_is_refused() {
    let sealed = seal(notified());
    for (name, value) in sealed.iter().filter(|(name, _)| *name != "signature") {
        let changed = with(sealed.clone(), &format!("{name}={}", value.replace(['\r', '\n', ' '], "") + "1"));
        assert!(heard(&changed).is_err(), "{name} changed");
        assert!(heard(&with(sealed.clone(), &format!("{name}="))).is_err(), "{name} removed");
    }
    assert_eq!(heard(&with(sealed.clone(), "orderId=01JPAY0000000000000000000B")), Err(Rejected::BadSignature));
    assert_eq!(heard(&with(sealed, "discount=1")), Err(Rejected::BadSignature), "a field added");
}

#[test]
fn a_notify_signed_by_anyone_else_is_refused() {
    let rows = [
        ("evil_leaf.pem", "evil_leaf.key", "a chain of the attacker's own, with UnionPay's names"),
        ("evil_selfsigned.pem", "evil_leaf.key", "signed by itself"),
        ("evil_issued_by_merchant.pem", "evil_leaf.key", "issued by a merchant's certificate"),
        ("leaf.pem", "evil_leaf.key", "UnionPay's certificate with another key"),
        ("leaf_sandbox.pem", "leaf.key", "the test name in production"),
        ("leaf_crafty.pem", "leaf.key", "the name in other places"),
        ("leaf_expired.pem", "leaf.key", "expired"),
        ("leaf_sha512.pem", "leaf.key", "another algorithm in the chain"),
    ];
    for (certificate, key, why) in rows {
        assert_eq!(heard(&seal_with(notified(), certificate, key)), Err(Rejected::BadSignature), "{why}");
    }
    assert!(heard(&seal_with(notified(), "leaf_sha1.pem", "leaf.key")).is_ok(), "the control");
}

#[test]
fn a_merchants_own_key_signs_no_notify() {
    let sealed = seal_with(notified(), "merchant.pem", "merchant_key_and_certificate.pem");
    assert_eq!(heard(&sealed), Err(Rejected::BadSignature));
}

#[test]
fn a_certificate_field_that_is_a_path_or_an_address_is_never_followed() {
    let path = format!("{}/unionpay/fixtures/certificates/leaf.pem", env!("CARGO_MANIFEST_DIR"));
    for elsewhere in [path.as_str(), "https://evil.example/leaf.pem", "../leaf.pem"] {
        let changed = with(seal(notified()), &format!("signPubKeyCert={elsewhere}"));
        assert_eq!(heard(&changed), Err(Rejected::BadSignature), "{elsewhere}");
    }
}

#[test]
fn the_test_name_is_taken_in_the_sandbox_only() {
    let sealed = posted(&seal_with(notified(), "leaf_sandbox.pem", "leaf.key"));
    let sandbox = try_build(&section(), Environment::Sandbox).unwrap();
    assert!(sandbox.hear_callback(&sealed, NOW).is_ok());
    assert_eq!(account().hear_callback(&sealed, NOW), Err(Rejected::BadSignature));
}

#[test]
fn the_method_comes_from_the_configuration_and_never_from_the_message() {
    for key in ["", " ", SECURE_KEY] {
        assert_eq!(heard(&seal_keyed(notified(), key)), Err(Rejected::BadSignature), "01 and a keyed notify");
    }
    let keyed = keyed_account("11");
    assert_eq!(keyed.hear_callback(&posted(&seal(notified())), NOW), Err(Rejected::BadSignature));
    assert_eq!(keyed.hear_callback(&posted(&seal_keyed(notified(), "")), NOW), Err(Rejected::BadSignature));
    let sm3 = keyed_account("12");
    assert_eq!(sm3.hear_callback(&posted(&seal_keyed(notified(), SECURE_KEY)), NOW), Err(Rejected::BadSignature));
    assert_eq!(heard(&seal(with(notified(), "version=5.0.0"))), Err(Rejected::Malformed));
    assert_eq!(heard(&seal(with(notified(), "encoding=GBK"))), Err(Rejected::Malformed));
}

#[test]
fn another_merchants_notify_is_foreign() {
    assert_eq!(heard(&seal(with(notified(), "merId=777290058110097"))), Err(Rejected::Foreign));
}

#[test]
fn a_refund_notify_is_a_refund_and_never_a_payment() {
    let amount = Some(Money::cny(100));
    let mut want = RefundNotice {
        provider_refund_no: REFUND_NO.into(),
        provider_order_no: None,
        amount,
        outcome: RefundOutcome::Succeeded { amount },
    };
    assert_eq!(heard(&seal(refund_notified())), Ok(NoticeKind::Refund(want.clone())));
    want.provider_order_no = Some(ORDER_NO.into());
    let named = with(refund_notified(), &format!("origOrderId={ORDER_NO}"));
    assert_eq!(heard(&seal(named)), Ok(NoticeKind::Refund(want)));
}

#[test]
fn everything_else_that_is_genuine_has_no_effect() {
    for words in ["txnType=31", "txnType=99", "txnType=00", "txnType=79", "respCode=01", "respCode=05", "respCode=42"] {
        let kind = heard(&seal(with(notified(), words)));
        assert!(matches!(kind, Ok(NoticeKind::Nothing { .. })), "{words}: {kind:?}");
    }
    for words in ["respCode=30", "respCode=05"] {
        assert!(matches!(heard(&seal(with(refund_notified(), words))), Ok(NoticeKind::Nothing { .. })), "{words}");
    }
    let Ok(NoticeKind::Nothing { status }) = heard(&seal(with(notified(), "txnType=31"))) else { panic!() };
    assert_eq!(status, "txnType 31 respCode 00");
}

#[test]
fn sums_are_stated_exactly_or_the_notify_is_malformed() {
    for words in
        ["txnAmt=88.88", "txnAmt=-1", "txnAmt=1e2", "txnAmt=", "currencyCode=", "queryId=", "orderId=", "txnTime="]
    {
        assert_eq!(heard(&seal(with(notified(), words))), Err(Rejected::Malformed), "{words}");
    }
    let Ok(NoticeKind::Payment(yen)) = heard(&seal(with(notified(), "currencyCode=392"))) else { panic!() };
    assert_ne!(yen.amount.currency, Currency::CNY);
    let Ok(NoticeKind::Payment(small)) = heard(&seal(with(notified(), "txnAmt=1"))) else { panic!() };
    assert_eq!(small.amount, Money::cny(1), "as stated: the rules compare");
}

#[test]
fn a_genuine_message_cannot_be_cut_into_other_fields() {
    let text = "{token=1&txnAmt=1&trId=2}";
    let mut with_token = notified();
    with_token.insert("tokenPayData".into(), text.into());
    let sealed = seal(with_token);
    assert!(heard(&sealed).is_ok(), "the control");
    let mut cut = with(sealed.clone(), "tokenPayData={token=1 trId=2}");
    cut.insert("txnAmt".into(), "1".into());
    assert_eq!(heard(&cut), Err(Rejected::Malformed));
    let mut merged = sealed;
    let hidden = format!("{}&txnSubType={}", merged["txnAmt"], merged["txnSubType"]);
    merged.remove("txnSubType");
    merged.insert("txnAmt".into(), hidden);
    assert_eq!(heard(&merged), Err(Rejected::Malformed));
}

#[test]
fn a_repeated_field_or_a_field_in_the_address_is_nobodys_word() {
    let account = account();
    let mut request = posted(&seal(notified()));
    request.query = "txnAmt=1&orderId=VICTIM00&channel=x".into();
    let notice = account.hear_callback(&request, NOW).unwrap();
    assert_eq!(notice.kind(), &NoticeKind::Payment(the_payment()));
    request.body.extend_from_slice(b"&txnAmt=8888");
    assert_eq!(account.hear_callback(&request, NOW), Err(Rejected::Malformed));
}

#[test]
fn what_is_no_form_is_malformed_and_what_is_not_signed_is_refused() {
    let account = account();
    let body = |body: &[u8]| {
        account.hear_callback(&CallbackRequest { headers: Vec::new(), query: String::new(), body: body.to_vec() }, NOW)
    };
    for junk in [&b""[..], b"{}", b"<xml/>", b"\xff\xfe", b"a=%zz", b"version=5.1.0", &[b'a'; 70_000]] {
        assert_eq!(body(junk), Err(Rejected::Malformed));
    }
    assert_eq!(heard(&notified()), Err(Rejected::BadSignature));
    let mut empty = seal(notified());
    empty.insert("signature".into(), String::new());
    assert_eq!(heard(&empty), Err(Rejected::BadSignature));
}

#[test]
fn a_host_or_address_header_opens_no_door() {
    let mut request = posted(&notified());
    request.headers = vec![("host".into(), "localhost".into()), ("x-forwarded-for".into(), "127.0.0.1".into())];
    assert_eq!(account().hear_callback(&request, NOW), Err(Rejected::BadSignature));
}

#[test]
fn the_answers_are_ok_or_another_status() {
    let said = |verdict| (reply(verdict).status, reply(verdict).body);
    assert_eq!(said(Verdict::Accepted), (200, b"ok".to_vec()));
    assert_eq!(said(Verdict::Refused).0, 400);
    assert_eq!(said(Verdict::TryLater).0, 503);
}
