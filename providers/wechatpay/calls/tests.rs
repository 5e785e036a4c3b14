//! Each pair of calls: what is written to the byte, and what each reply means.

use super::super::stage::{
    self, APP_ID, MCH_ID, NOW, ORDER_NO, PLATFORM_1, PUBLIC, REFUND_NO, SERIAL_1, TRADE_NO, account, json_reply, order,
    refund, refunded, refusal, reply, sealed, transaction,
};
use super::*;
use crate::shared::rsa::VerifyingKey;
use base64::Engine as _;
use serde_json::{Value, json};
use tongdao_core::provider::{CodeLife, Provider as _, RefundOrder, RefundOutcome};

fn nonce() -> Nonce {
    Nonce("593BEC0C930BF1AFEB40B4A08C8FB242".into())
}

fn header<'a>(call: &'a HttpCall, name: &str) -> Option<&'a str> {
    call.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn body(call: &HttpCall) -> Value {
    serde_json::from_slice(&call.body).unwrap()
}

fn create(order: &AttemptOrder) -> Result<HttpCall, Unsupported> {
    account().write_create(order, NOW, &nonce())
}

fn created(scene: Scene, answer: &Value) -> Outcome {
    account().judge_create(&order(scene), &json_reply(answer), NOW)
}

fn queried(answer: &Value) -> Outcome {
    account().judge_query(&order(Scene::Qr), &json_reply(answer), NOW)
}

fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Unknown(failure) => &failure.provider_code,
        Outcome::Pending { .. } | Outcome::Paid(_) | Outcome::Closed | Outcome::Absent | Outcome::Failed(_) => {
            panic!("{outcome:?}")
        }
    }
}

#[test]
fn a_native_create_is_written_to_the_byte() {
    let call = create(&order(Scene::Qr)).unwrap();
    assert_eq!(call.url, "https://api.mch.weixin.qq.com/v3/pay/transactions/native");
    assert_eq!(call.backup_url.as_deref(), Some("https://api2.mch.weixin.qq.com/v3/pay/transactions/native"));
    assert_eq!(
        String::from_utf8(call.body.clone()).unwrap(),
        format!(
            r#"{{"appid":"{APP_ID}","mchid":"{MCH_ID}","description":"充值卡 88.88 元","out_trade_no":"{ORDER_NO}","time_expire":"2027-01-15T16:15:00+08:00","notify_url":"https://pay.example/callbacks/wechat-main","amount":{{"total":8888,"currency":"CNY"}}}}"#
        )
    );
    assert_eq!(header(&call, "wechatpay-serial"), Some(stage::PUBLIC_ID));
    assert_eq!(header(&call, "accept"), Some("application/json"));
    assert_eq!(header(&call, "content-type"), Some("application/json"));
    assert!(header(&call, "user-agent").is_some_and(|agent| agent.starts_with("tongdao/")));
}

#[test]
fn a_call_is_signed_over_the_bytes_it_sends() {
    let key = VerifyingKey::read_spki(include_bytes!("../fixtures/merchant.public.pem")).unwrap();
    let account = account();
    let calls = [
        create(&order(Scene::Qr)).unwrap(),
        account.write_query(&order(Scene::Qr), NOW, &nonce()).unwrap(),
        account.write_certificates(NOW, &nonce()).unwrap(),
    ];
    for call in calls {
        let authorization = header(&call, "authorization").unwrap();
        let fields = authorization.strip_prefix("WECHATPAY2-SHA256-RSA2048 ").unwrap();
        let signature = fields.split("signature=\"").nth(1).unwrap().split('"').next().unwrap();
        let method = if call.method == Method::Get { "GET" } else { "POST" };
        let target = call.url.strip_prefix("https://api.mch.weixin.qq.com").unwrap();
        let head = format!("{method}\n{target}\n1800000000\n{}\n", nonce().0);
        let message = [head.as_bytes(), &call.body, b"\n"].concat();
        let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
        assert!(key.verify_sha256(&message, &signature), "{}", call.url);
        assert!(fields.contains("serial_no=\"408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB\""));
    }
}

#[test]
fn a_repeat_has_the_same_business_fields() {
    let first = create(&order(Scene::H5)).unwrap();
    let later = account().write_create(&order(Scene::H5), NOW.plus_s(77), &Nonce("other".into())).unwrap();
    assert_eq!(first.body, later.body);
    assert_ne!(header(&first, "authorization"), header(&later, "authorization"));
    let mut known = refund();
    known.provider_trade_no = None;
    let account = account();
    let write = |order: &RefundOrder| account.write_refund(order, NOW, &nonce()).unwrap().body;
    assert_eq!(write(&refund()), write(&known), "a number learnt in between changes nothing");
}

#[test]
fn each_scene_has_its_product_and_its_own_fields() {
    let h5 = create(&order(Scene::H5)).unwrap();
    assert!(h5.url.ends_with("/v3/pay/transactions/h5"));
    let scene_info = json!({ "payer_client_ip": "203.0.113.7", "h5_info": { "type": "Wap" } });
    assert_eq!(body(&h5)["scene_info"], scene_info);
    let jsapi = create(&order(Scene::Jsapi)).unwrap();
    assert!(jsapi.url.ends_with("/jsapi"));
    assert_eq!(body(&jsapi)["payer"], json!({ "openid": "oUpF8uMuAJO" }));
    let app = create(&order(Scene::App)).unwrap();
    assert!(app.url.ends_with("/app"));
    assert_eq!((&body(&app)["payer"], &body(&app)["scene_info"]), (&Value::Null, &Value::Null));
}

/// A name, a scene and a change that makes its create impossible.
type Bend = (&'static str, Scene, fn(&mut AttemptOrder));

#[test]
fn what_cannot_be_made_is_unsupported_and_nothing_is_sent() {
    let cases: [Bend; 12] = [
        ("web", Scene::Web, |_| {}),
        ("no openid", Scene::Jsapi, |o| o.payer.openid = None),
        ("empty openid", Scene::Jsapi, |o| o.payer.openid = Some(String::new())),
        ("no address", Scene::H5, |o| o.payer.client_ip = None),
        ("no such address", Scene::H5, |o| o.payer.client_ip = Some("203.0.113".into())),
        ("zero", Scene::Qr, |o| o.amount = Money::cny(0)),
        ("negative", Scene::Qr, |o| o.amount = Money::cny(-1)),
        ("yen", Scene::Qr, |o| o.amount.currency = Currency::read("JPY").unwrap()),
        ("query in the callback address", Scene::Qr, |o| o.callback_url.push_str("?a=1")),
        ("relative callback address", Scene::Qr, |o| o.callback_url = "/callbacks".into()),
        ("long callback address", Scene::Qr, |o| o.callback_url.push_str(&"x".repeat(255))),
        ("a bar in the number", Scene::Qr, |o| o.provider_order_no = "0123456|".into()),
    ];
    for (name, scene, bend) in cases {
        let mut order = order(scene);
        bend(&mut order);
        assert!(create(&order).is_err(), "{name}");
    }
}

#[test]
fn an_order_is_never_payable_past_seven_days() {
    let mut long = order(Scene::Qr);
    long.life.payable_until = NOW.plus_s(30 * 86_400);
    assert_eq!(body(&create(&long).unwrap())["time_expire"], "2027-01-22T16:00:00+08:00");
}

#[test]
fn a_code_lives_as_its_product_and_never_past_the_charge() {
    let account = account();
    let life = |scene, expires_s| account.code_life(scene, NOW, NOW.plus_s(expires_s));
    let seconds = |life: CodeLife| (life.code_ends_at.since_ms(NOW) / 1000, life.payable_until.since_ms(NOW) / 1000);
    assert_eq!(seconds(life(Scene::Qr, 900)), (900, 900));
    assert_eq!(seconds(life(Scene::H5, 900)), (300, 900));
    assert_eq!(seconds(life(Scene::Jsapi, 86_400)), (7_200, 86_400));
    assert_eq!(seconds(life(Scene::App, 30)), (60, 60), "at least a minute");
    assert_eq!(seconds(life(Scene::Qr, 30 * 86_400)), (7_200, 7 * 86_400));
    let odd = account.code_life(Scene::Qr, NOW, NOW.plus_ms(900_001));
    assert_eq!(odd.payable_until, NOW.plus_s(901), "whole seconds, rounded up");
}

#[test]
fn an_accepted_create_gives_what_to_pay_with() {
    let answer = json!({ "code_url": "weixin://wxpay/bizpayurl?pr=p4lpSuKzz" });
    let Outcome::Pending { pay: Some(pay), closable: true } = created(Scene::Qr, &answer) else { panic!() };
    assert_eq!(pay.kind, PayKind::QrCode { url: "weixin://wxpay/bizpayurl?pr=p4lpSuKzz".into() });
    assert_eq!(pay.expires_at, NOW.plus_s(900));

    let mut order = order(Scene::H5);
    order.return_url = Some("https://shop.example/done".into());
    let answer = json_reply(&json!({ "h5_url": "https://wx.tenpay.com/x?prepay_id=1&package=2" }));
    let Outcome::Pending { pay: Some(pay), .. } = account().judge_create(&order, &answer, NOW) else { panic!() };
    let url = "https://wx.tenpay.com/x?prepay_id=1&package=2&redirect_url=https%3A%2F%2Fshop.example%2Fdone";
    assert_eq!(pay.kind, PayKind::Redirect { url: url.into() });
}

#[test]
fn pages_and_apps_get_a_second_signature_that_verifies() {
    let key = VerifyingKey::read_spki(include_bytes!("../fixtures/merchant.public.pem")).unwrap();
    let answer = json!({ "prepay_id": "wx201410272009395522657a690389285100" });
    let verified = |params: &BTreeMap<String, String>, last: &str, signature: &str| {
        let message = format!("{APP_ID}\n{}\n{}\n{last}\n", params["timeStamp"], params["nonceStr"]);
        let signature = base64::engine::general_purpose::STANDARD.decode(&params[signature]).unwrap();
        key.verify_sha256(message.as_bytes(), &signature)
    };
    let Outcome::Pending { pay: Some(pay), .. } = created(Scene::Jsapi, &answer) else { panic!() };
    let PayKind::Jsapi { params } = pay.kind else { panic!() };
    assert_eq!(params["package"], "prepay_id=wx201410272009395522657a690389285100");
    assert_eq!((params["signType"].as_str(), params["nonceStr"].len(), params.len()), ("RSA", 32, 6));
    assert!(verified(&params, &params["package"], "paySign"));

    let Outcome::Pending { pay: Some(pay), .. } = created(Scene::App, &answer) else { panic!() };
    let PayKind::App { params } = pay.kind else { panic!() };
    assert_eq!((params["partnerId"].as_str(), params["packageValue"].as_str()), (MCH_ID, "Sign=WXPay"));
    assert!(verified(&params, &params["prepayId"], "sign"));
}

#[test]
fn a_create_without_its_own_products_field_is_unknown() {
    for (scene, answer) in [
        (Scene::Qr, json!({ "prepay_id": "wx1" })),
        (Scene::Qr, json!({ "code_url": "javascript:alert(1)" })),
        (Scene::H5, json!({ "h5_url": "http://wx.tenpay.com/" })),
        (Scene::Jsapi, json!({ "prepay_id": "" })),
        (Scene::Jsapi, json!({ "prepay_id": "a\nb" })),
        (Scene::App, json!({})),
    ] {
        assert_eq!(code(&created(scene, &answer)), "unreadable", "{answer}");
    }
}

#[test]
fn a_success_without_a_signature_that_holds_is_unknown_everywhere() {
    let account = account();
    let paid = transaction("SUCCESS").to_string();
    let good = reply(200, paid.clone());
    let bend = |bend: &dyn Fn(&mut HttpReply)| {
        let mut reply = good.clone();
        bend(&mut reply);
        reply
    };
    let set = |name: &'static str, value: &'static str| {
        move |reply: &mut HttpReply| {
            let found = reply.headers.iter_mut().find(|(key, _)| key == name).unwrap();
            found.1 = value.to_owned();
        }
    };
    let cases = [
        ("unsigned", "bad_signature", bend(&|reply| reply.headers.clear())),
        ("probe", "bad_signature", bend(&set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/abc=="))),
        ("body", "bad_signature", bend(&|reply| reply.body.push(b' '))),
        ("nonce", "bad_signature", bend(&set("Wechatpay-Nonce", "other"))),
        ("serial", "unknown_key", bend(&set("Wechatpay-Serial", "../../x.pem"))),
        ("other known serial", "bad_signature", bend(&set("Wechatpay-Serial", SERIAL_1))),
        (
            "old",
            "stale_signature",
            HttpReply { headers: sealed(PUBLIC, stage::PUBLIC_ID, NOW.plus_s(-300), paid.as_bytes()), ..good.clone() },
        ),
    ];
    assert!(matches!(account.judge_query(&order(Scene::Qr), &good, NOW), Outcome::Paid(_)), "the positive control");
    for (name, wanted, reply) in cases {
        assert_eq!(code(&account.judge_query(&order(Scene::Qr), &reply, NOW)), wanted, "{name}");
        assert_eq!(code(&account.judge_create(&order(Scene::Qr), &reply, NOW)), wanted, "{name}");
        assert_eq!(code(&account.judge_close(&reply, NOW)), wanted, "{name}");
        for outcome in
            [account.judge_refund(&refund(), &reply, NOW), account.judge_refund_query(&refund(), &reply, NOW)]
        {
            assert!(matches!(outcome, RefundOutcome::Unknown(f) if f.provider_code == wanted), "{name}");
        }
    }
}

#[test]
fn both_modes_verify_at_once_by_the_exact_serial() {
    let body = transaction("NOTPAY").to_string();
    let by = |key, serial| HttpReply {
        status: 200,
        headers: sealed(key, serial, NOW, body.as_bytes()),
        body: body.clone().into(),
    };
    let account = account();
    let judge = |reply| account.judge_query(&order(Scene::Qr), &reply, NOW);
    assert_eq!(judge(by(PLATFORM_1, SERIAL_1)), Outcome::Pending { pay: None, closable: true });
    assert_eq!(judge(by(PUBLIC, stage::PUBLIC_ID)), Outcome::Pending { pay: None, closable: true });
    assert_eq!(code(&judge(by(PLATFORM_1, &SERIAL_1.to_ascii_lowercase()))), "unknown_key");
}

#[test]
fn each_state_of_a_query_has_its_outcome() {
    for state in ["NOTPAY", "USERPAYING", "PAYERROR", "ACCEPT"] {
        assert_eq!(queried(&transaction(state)), Outcome::Pending { pay: None, closable: true }, "{state}");
    }
    for state in ["CLOSED", "REVOKED"] {
        assert_eq!(queried(&transaction(state)), Outcome::Closed, "{state}");
    }
    assert_eq!(code(&queried(&transaction("success"))), "unknown_state");
    let Outcome::Paid(payment) = queried(&transaction("SUCCESS")) else { panic!() };
    assert_eq!(
        payment,
        Payment {
            provider_order_no: ORDER_NO.into(),
            provider_trade_no: TRADE_NO.into(),
            amount: Money::cny(8_888),
            paid_at: Some(NOW),
            settled_on: None,
            refunded: 0,
        }
    );
    let Outcome::Paid(payment) = queried(&transaction("REFUND")) else { panic!() };
    assert_eq!(payment.refunded, 1, "the least that REFUND proves");
}

#[test]
fn an_unpaid_transaction_may_lack_every_field_that_payment_brings() {
    let bare = json!({ "appid": APP_ID, "mchid": MCH_ID, "out_trade_no": ORDER_NO, "trade_state": "NOTPAY" });
    assert_eq!(queried(&bare), Outcome::Pending { pay: None, closable: true });
}

#[test]
fn a_query_about_another_account_or_order_is_unknown() {
    for (field, value) in [("appid", "wx0"), ("mchid", "1900000000"), ("out_trade_no", "01JZOTHERORDERNUMBER000001")] {
        let mut answer = transaction("SUCCESS");
        answer[field] = json!(value);
        assert_eq!(code(&queried(&answer)), "foreign_answer", "{field}");
    }
}

#[test]
fn a_paid_answer_without_its_figures_is_unknown() {
    let cases: [fn(&mut Value); 7] = [
        |t| t["amount"] = Value::Null,
        |t| t["amount"]["total"] = Value::Null,
        |t| t["amount"]["total"] = json!(-1),
        |t| t["amount"]["total"] = json!(88.88),
        |t| t["amount"]["currency"] = json!("cny"),
        |t| t["transaction_id"] = Value::Null,
        |t| t["transaction_id"] = json!(""),
    ];
    for bend in cases {
        let mut answer = transaction("SUCCESS");
        bend(&mut answer);
        assert_eq!(code(&queried(&answer)), "unreadable", "{answer}");
    }
    let twice = transaction("SUCCESS").to_string().replacen("\"total\":8888", "\"total\":8888,\"total\":1", 1);
    assert_eq!(code(&account().judge_query(&order(Scene::Qr), &reply(200, twice), NOW)), "unreadable");
}

#[test]
fn other_sums_and_currencies_are_reported_as_stated_for_the_core_to_compare() {
    let mut answer = transaction("SUCCESS");
    answer["amount"]["total"] = json!(1);
    answer["amount"]["currency"] = json!("JPY");
    let Outcome::Paid(payment) = queried(&answer) else { panic!() };
    assert_eq!(payment.amount, Money { amount: 1, currency: Currency::read("JPY").unwrap() });
}

#[test]
fn an_accepted_close_is_pending_and_never_an_end() {
    let account = account();
    let call = account.write_close(&order(Scene::Qr), NOW, &nonce()).unwrap();
    assert!(call.url.ends_with(&format!("/v3/pay/transactions/out-trade-no/{ORDER_NO}/close")));
    assert_eq!(call.body, format!(r#"{{"mchid":"{MCH_ID}"}}"#).into_bytes());
    assert_eq!(account.judge_close(&reply(204, ""), NOW), Outcome::Pending { pay: None, closable: true });
    assert_eq!(code(&account.judge_close(&refusal(400, "ORDERPAID"), NOW)), "ORDERPAID");
}

#[test]
fn accepted_and_not_processed_is_unknown() {
    let answer = reply(202, "{}");
    assert_eq!(code(&account().judge_create(&order(Scene::Qr), &answer, NOW)), "http_202");
    assert_eq!(code(&account().judge_query(&order(Scene::Qr), &answer, NOW)), "http_202");
}

#[test]
fn a_refund_is_written_with_its_callback_address() {
    let call = account().write_refund(&refund(), NOW, &nonce()).unwrap();
    assert_eq!(
        body(&call),
        json!({
            "out_trade_no": ORDER_NO, "out_refund_no": REFUND_NO, "reason": "买家要求退款",
            "notify_url": "https://pay.example/callbacks/wechat-main",
            "amount": { "refund": 888, "total": 8_888, "currency": "CNY" },
        })
    );
    let query = account().write_refund_query(&refund(), NOW, &nonce()).unwrap();
    assert_eq!(query.url, format!("https://api.mch.weixin.qq.com/v3/refund/domestic/refunds/{REFUND_NO}"));
    let mut silent = refund();
    silent.reason = "🎁".into();
    let call = account().write_refund(&silent, NOW, &nonce()).unwrap();
    assert_eq!(body(&call).get("reason"), None);
}

#[test]
fn each_state_of_a_refund_has_its_outcome() {
    let account = account();
    for judge in [WechatPay::judge_refund, WechatPay::judge_refund_query] {
        let read = |answer: &Value| judge(&account, &refund(), &json_reply(answer), NOW);
        assert_eq!(read(&refunded("SUCCESS")), RefundOutcome::Succeeded { amount: Some(Money::cny(888)) });
        assert_eq!(read(&refunded("PROCESSING")), RefundOutcome::Pending);
        assert!(matches!(read(&refunded("ABNORMAL")), RefundOutcome::Stuck(_)));
        assert!(matches!(read(&refunded("CLOSED")), RefundOutcome::Ended(_)));
        assert!(matches!(read(&refunded("FAIL")), RefundOutcome::Unknown(_)));
        for (field, value) in [("out_refund_no", "x"), ("out_trade_no", "x"), ("transaction_id", "x")] {
            let mut answer = refunded("SUCCESS");
            answer[field] = json!(value);
            assert!(
                matches!(read(&answer), RefundOutcome::Unknown(f) if f.provider_code == "foreign_answer"),
                "{field}"
            );
        }
    }
    assert_eq!(account.judge_refund_query(&refund(), &refusal(404, "RESOURCE_NOT_EXISTS"), NOW), RefundOutcome::Absent);
}
