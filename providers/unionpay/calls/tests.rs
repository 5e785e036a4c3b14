//! What is written, field by field, and what is not written at all.

use super::*;
use crate::shared::rsa::VerifyingKey;
use crate::unionpay::certificates::single_certificate;
use crate::unionpay::testing::{
    MER_ID, NOW, ORDER_NO, QUERY_ID, REFUND_NO, account, fixture, keyed_account, order, refund_order,
};
use crate::unionpay::wire::{link, read_form};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tongdao_core::provider::{Nonce, Provider as _};

fn sent(next: Result<Next<Outcome>, Unsupported>) -> HttpCall {
    match next {
        Ok(Next::Call(call)) => call,
        other => panic!("not a call: {other:?}"),
    }
}

/// The form that is shown, and its end.
fn shown(next: Result<Next<Outcome>, Unsupported>) -> (String, Fields, UnixMillis) {
    match next {
        Ok(Next::Done(Outcome::Pending {
            pay: Some(Pay { kind: PayKind::Form { action, fields }, expires_at }),
            ..
        })) => (action, fields, expires_at),
        other => panic!("not a form: {other:?}"),
    }
}

fn signature_holds(fields: &Fields) -> bool {
    let der = single_certificate(&fixture("merchant.pem")).unwrap();
    let hex: String = Sha256::digest(link(fields).as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let signature = STANDARD.decode(&fields["signature"]).unwrap();
    VerifyingKey::from_certificate_der(&der).unwrap().verify_sha256(hex.as_bytes(), &signature)
}

/// Everything but the signature, which is checked, as lines.
fn plain(fields: &Fields) -> String {
    assert!(signature_holds(fields));
    let shown = fields.iter().filter(|(key, _)| *key != "signature");
    shown.map(|(key, value)| format!("{key}={value}\n")).collect()
}

fn expected(own: &str) -> String {
    let mut lines: Vec<String> = format!(
        "accessType=0\nbackUrl=https://pay.example/callbacks/unionpay-main\ncertId=68759663125\ncurrencyCode=156\n\
         encoding=UTF-8\nmerId={MER_ID}\norderId={ORDER_NO}\npayTimeout=20260301120500\nsignMethod=01\ntxnAmt=8888\n\
         txnTime=20260301120000\ntxnType=01\nversion=5.1.0\n{own}"
    )
    .lines()
    .map(|line| format!("{line}\n"))
    .collect();
    lines.sort_by_key(|line| line.split('=').next().unwrap().to_owned());
    lines.concat()
}

#[test]
fn a_qr_create_has_the_documented_fields() {
    let call = sent(account().write_create(&order(Scene::Qr), NOW));
    assert_eq!(call.url, "https://gateway.95516.com/gateway/api/backTransReq.do");
    assert_eq!(call.method, Method::Post);
    assert_eq!(call.headers, [("content-type".into(), "application/x-www-form-urlencoded;charset=UTF-8".into())]);
    let fields = read_form(&call.body).unwrap();
    assert_eq!(plain(&fields), expected("bizType=000000\nchannelType=08\ntxnSubType=07"));
}

#[test]
fn an_app_create_describes_the_order() {
    let call = sent(account().write_create(&order(Scene::App), NOW));
    assert_eq!(call.url, "https://gateway.95516.com/gateway/api/appTransReq.do");
    let own = "bizType=000201\nchannelType=08\norderDesc=月卡 A＆B\ntxnSubType=01";
    assert_eq!(plain(&read_form(&call.body).unwrap()), expected(own));
}

#[test]
fn a_browser_form_is_shown_and_nothing_is_sent() {
    for (scene, channel_type) in [(Scene::Web, "07"), (Scene::H5, "08")] {
        let (action, fields, expires_at) = shown(account().write_create(&order(scene), NOW));
        assert_eq!(action, "https://gateway.95516.com/gateway/api/frontTransReq.do");
        let own = format!(
            "bizType=000201\nchannelType={channel_type}\nfrontUrl=https://shop.example/back?a=1&b=2\n\
             riskRateInfo={{commodityName=月卡 A＆B}}\ntxnSubType=01"
        );
        assert_eq!(plain(&fields), expected(&own));
        assert_eq!(expires_at, NOW.plus_s(300));
    }
    let mut bare = order(Scene::Web);
    (bare.return_url, bare.subject) = (None, " ".into());
    let (_, fields, _) = shown(account().write_create(&bare, NOW));
    assert!(!fields.contains_key("frontUrl") && !fields.contains_key("riskRateInfo"), "empty fields are not sent");
}

#[test]
fn a_form_ends_with_its_txn_time_even_when_the_order_lives_longer() {
    let mut long = order(Scene::Web);
    long.life = CodeLife { code_ends_at: NOW.plus_s(1800), payable_until: NOW.plus_s(1800) };
    let (_, fields, expires_at) = shown(account().write_create(&long, NOW.plus_s(200)));
    assert_eq!(fields["payTimeout"], "20260301123000");
    assert_eq!(expires_at, NOW.plus_s(300));
}

#[test]
fn a_repeated_create_is_identical_in_every_field() {
    for account in [account(), keyed_account("11"), keyed_account("12")] {
        for scene in [Scene::Qr, Scene::App] {
            let first = sent(account.create(&order(scene), NOW, Nonce("a".into())));
            let again = sent(account.create(&order(scene), NOW.plus_s(250), Nonce("b".into())));
            assert_eq!(first, again);
        }
        let first = shown(account.create(&order(Scene::H5), NOW, Nonce("a".into())));
        assert_eq!(first, shown(account.create(&order(Scene::H5), NOW.plus_s(299), Nonce("b".into()))));
    }
}

#[test]
fn a_create_is_written_only_while_its_txn_time_is_young() {
    let mut long = order(Scene::Qr);
    long.life.payable_until = NOW.plus_s(3600);
    for scene in [Scene::Qr, Scene::App, Scene::Web, Scene::H5] {
        let long = AttemptOrder { scene, ..long.clone() };
        assert!(account().write_create(&long, NOW.plus_ms(299_999)).is_ok());
        assert!(account().write_create(&long, NOW.plus_ms(300_000)).is_err());
    }
    let mut short = order(Scene::Qr);
    short.life.payable_until = NOW.plus_s(60);
    assert!(account().write_create(&short, NOW.plus_s(59)).is_ok());
    assert!(account().write_create(&short, NOW.plus_s(60)).is_err());
}

#[test]
fn what_the_gateway_would_refuse_is_not_written() {
    let bad: [fn(&mut AttemptOrder); 8] = [
        |order| order.scene = Scene::Jsapi,
        |order| order.amount = Money::cny(0),
        |order| order.amount = Money::cny(-1),
        |order| order.amount = Money::cny(1_000_000_000_000),
        |order| order.amount.currency = Currency::read("JPY").unwrap(),
        |order| order.provider_order_no = "a-b_c1234567".into(),
        |order| order.provider_order_no = "short".into(),
        |order| order.callback_url = format!("https://pay.example/{}", "x".repeat(256)),
    ];
    for (place, change) in bad.iter().enumerate() {
        let mut order = order(Scene::Qr);
        change(&mut order);
        assert!(account().write_create(&order, NOW).is_err(), "row {place}");
    }
    assert!(account().write_create(&order(Scene::Qr), NOW).is_ok(), "the control");
}

#[test]
fn a_code_ends_after_the_configured_minutes_or_with_the_charge() {
    let now = NOW.plus_ms(400);
    let account = account();
    let life = |scene, expires_at| account.code_life(scene, now, expires_at);
    let hour = NOW.plus_s(3600);
    let five = NOW.plus_s(301);
    assert_eq!(life(Scene::Qr, hour), CodeLife { code_ends_at: five, payable_until: five });
    assert_eq!(life(Scene::Web, hour), CodeLife { code_ends_at: NOW.plus_s(300), payable_until: five });
    let soon = CodeLife { code_ends_at: NOW.plus_s(61), payable_until: NOW.plus_s(61) };
    assert_eq!(life(Scene::Qr, NOW.plus_ms(60_001)), soon, "rounded up to the second");
    assert_eq!(life(Scene::H5, NOW.plus_ms(60_001)), soon);
    assert_eq!(life(Scene::Qr, NOW.plus_s(60)).payable_until, NOW.plus_s(60));
}

#[test]
fn a_query_names_the_order_by_number_and_time() {
    let call = sent(account().query(&order(Scene::Web), NOW.plus_s(9000), Nonce("a".into())));
    assert_eq!(call.url, "https://gateway.95516.com/gateway/api/queryTrans.do");
    let want = format!(
        "accessType=0\nbizType=000000\ncertId=68759663125\nencoding=UTF-8\nmerId={MER_ID}\norderId={ORDER_NO}\n\
         signMethod=01\ntxnSubType=00\ntxnTime=20260301120000\ntxnType=00\nversion=5.1.0\n"
    );
    assert_eq!(plain(&read_form(&call.body).unwrap()), want);
    assert!(account().close(&order(Scene::Qr), NOW, Nonce("a".into())).is_err());
}

#[test]
fn a_refund_has_its_own_number_and_time_and_names_the_payment() {
    let account = account();
    let Ok(Next::Call(call)) = account.refund(&refund_order(), NOW, Nonce("a".into())) else { panic!() };
    assert_eq!(call.url, "https://gateway.95516.com/gateway/api/backTransReq.do");
    let want = format!(
        "accessType=0\nbackUrl=https://pay.example/callbacks/unionpay-main\nbizType=000000\ncertId=68759663125\n\
         channelType=07\ncurrencyCode=156\nencoding=UTF-8\nmerId={MER_ID}\norderId={REFUND_NO}\norigQryId={QUERY_ID}\n\
         signMethod=01\ntxnAmt=100\ntxnSubType=00\ntxnTime=20260301120000\ntxnType=04\nversion=5.1.0\n"
    );
    assert_eq!(plain(&read_form(&call.body).unwrap()), want);
    let Ok(Next::Call(again)) = account.refund(&refund_order(), NOW.plus_s(90_000), Nonce("b".into())) else {
        panic!()
    };
    assert_eq!(call, again, "a retry keeps number, time and amount");
    let nameless = RefundOrder { provider_trade_no: None, ..refund_order() };
    assert!(account.refund(&nameless, NOW, Nonce("a".into())).is_err());
    let nothing = RefundOrder { amount: Money::cny(0), ..refund_order() };
    assert!(account.refund(&nothing, NOW, Nonce("a".into())).is_err());
    let Ok(Next::Call(query)) = account.refund_query(&refund_order(), NOW, Nonce("a".into())) else { panic!() };
    let fields = read_form(&query.body).unwrap();
    assert_eq!((fields["orderId"].as_str(), fields["txnTime"].as_str()), (REFUND_NO, "20260301120000"));
}

#[test]
fn a_keyed_request_carries_no_certificate() {
    let call = sent(keyed_account("11").write_create(&order(Scene::Qr), NOW));
    let fields = read_form(&call.body).unwrap();
    assert_eq!(fields["signMethod"], "11");
    assert!(!fields.contains_key("certId"));
    assert_eq!(fields["signature"].len(), 64);
    assert!(!String::from_utf8(call.body).unwrap().contains("canary"));
}
