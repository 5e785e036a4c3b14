//! Forged Alipay notices, made of genuine ones; some are signed with Alipay's own key and are wrong inside.

use super::fields::{Form, bent, escaped};
use super::forging::{Forger, Letter, key_file, pem_body, signed_with};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use tongdao_sandbox::ProviderName;

type Forged = (String, Option<&'static str>, Letter);

const ALIPAY: &str = "alipay/2021000000000001/alipay_key.pem";
/// What the signature of a trade notice does not cover.
const UNCOVERED: [&str; 2] = ["sign", "sign_type"];

async fn forger() -> Forger {
    Forger::start("alipay-main", ProviderName::Alipay).await
}

fn signed_by(form: &Form, key: &str) -> Form {
    form.with("sign", signed_with(key, form.link(&UNCOVERED).as_bytes()))
}

fn letter_of(letter: &Letter, form: &Form) -> Letter {
    letter.with_body(form.body())
}

fn spoilt(letter: &Letter, other: &Letter) -> Vec<Forged> {
    let form = Form::of(letter);
    let mut forged: Vec<Forged> = Vec::new();
    let mut add = |what: String, reason, form: Form| forged.push((what, reason, letter_of(letter, &form)));
    for (name, value) in &form.0 {
        add(format!("{name} of one bit"), None, form.with(name, bent(value)));
        add(format!("{name} with a space"), None, form.with(name, format!("{value} ")));
        add(format!("{name} twice"), Some("malformed"), form.doubled(name, value));
        add(format!("{name} as a list"), Some("malformed"), form.doubled(&format!("{name}[]"), value));
        if name != "sign_type" {
            add(format!("{name} left out"), Some("bad_signature"), form.without(name));
            add(format!("{name} empty"), Some("bad_signature"), form.with(name, ""));
        }
    }
    for sign in ["AAAA", "***", "0"] {
        add(format!("sign {sign}"), Some("bad_signature"), form.with("sign", sign));
    }
    for kind in ["RSA", "MD5", "HMAC-SHA256", "none", "rsa2"] {
        add(format!("sign_type {kind}"), Some("bad_signature"), form.with("sign_type", kind));
    }
    for (name, value) in
        [("total_amount", "19.9"), ("total_amount", "0.01"), ("trans_currency", "JPY"), ("refund_fee", "0.01")]
    {
        add(format!("{name}={value}"), Some("bad_signature"), form.with(name, value));
    }
    add("another's sign".into(), Some("bad_signature"), form.with("sign", Form::of(other).value("sign")));
    add(
        "another's order".into(),
        Some("bad_signature"),
        form.with("out_trade_no", Form::of(other).value("out_trade_no")),
    );
    let strangers =
        ["alipay/2021000000000001/app_key.pem", "wechatpay/1900000001/platform_key.pem", "unionpay/leaf_key.pem"];
    for key in strangers {
        add(format!("signed with {key}"), Some("bad_signature"), signed_by(&form, key));
    }
    let public = pem_body(&key_file("alipay/2021000000000001/alipay_public_key.pem"), "PUBLIC KEY");
    for (what, key) in [("the public key", public.into_bytes()), ("nothing", Vec::new())] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(form.link(&UNCOVERED).as_bytes());
        let sign = STANDARD.encode(mac.finalize().into_bytes());
        add(format!("an HMAC with {what}"), Some("bad_signature"), form.with("sign", sign));
    }
    forged
}

#[tokio::test]
async fn a_notice_that_alipay_did_not_sign_is_refused() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let (_, other) = forger.paid().await;
    forger.refuses(&spoilt(&letter, &other)).await;
    let raw = String::from_utf8(letter.body.clone()).unwrap();
    let bodies = [
        ("no body", String::new(), None),
        ("JSON", json!({ "out_trade_no": Form::of(&letter).value("out_trade_no") }).to_string(), None),
        ("a broken escape", format!("{raw}%"), None),
        ("a pair without a name", format!("{raw}&=1"), Some("malformed")),
        ("not UTF-8", raw.replace("charset=utf-8", "charset=%FF"), Some("malformed")),
        ("doubly escaped", escaped(&raw), None),
        ("300 fields", (0..300).map(|n| format!("a{n}=1&")).collect::<String>() + &raw, Some("malformed")),
    ];
    let bodies = bodies.map(|(what, body, reason)| (what.to_owned(), reason, letter.with_body(body)));
    forger.refuses(&bodies).await;
    forger.takes(&charge, &letter).await;
}

#[tokio::test]
async fn a_notice_taken_apart_and_put_together_anew_is_refused() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let form = Form::of(&letter);
    let mut forged: Vec<Forged> = Vec::new();
    for at in 0..form.0.len() {
        let anew = [("in a name", form.merged(&UNCOVERED, at)), ("in a value", form.swallowed(&UNCOVERED, at))];
        for (where_to, anew) in anew {
            let Some(anew) = anew else { continue };
            // The signed text is the same byte for byte: only the reading differs.
            forged.push((format!("two fields {where_to}, at {at}"), None, letter_of(&letter, &anew)));
        }
    }
    assert!(forged.len() > 20, "{}", forged.len());
    forger.refuses(&forged).await;
    forger.takes(&charge, &letter).await;
}

#[tokio::test]
async fn a_signed_notice_that_is_wrong_inside_is_refused() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let form = Form::of(&letter);
    let mut forged: Vec<Forged> = Vec::new();
    let mut add = |name: &str, value: &str, reason| {
        let wrong = signed_by(&form.with(name, value), ALIPAY);
        forged.push((format!("{name}={value}"), Some(reason), letter_of(&letter, &wrong)));
    };
    add("app_id", "2021999999999999", "foreign");
    add("app_id", "", "foreign");
    add("seller_id", "2088999999999999", "foreign");
    add("seller_id", "", "foreign");
    for sum in [
        "19.99 ",
        " 19.99",
        "+19.99",
        "-19.99",
        "1e2",
        "19,99",
        "19.999",
        "19.9900",
        "0x13",
        "１９.99",
        "٠.٠١",
        "NaN",
        "",
        ".",
        "1999999999999999999999",
    ] {
        add("total_amount", sum, "malformed");
    }
    add("charset", "gbk", "malformed");
    add("trade_no", "", "malformed");
    add("out_trade_no", "", "malformed");
    add("trade_status", "", "malformed");
    add("subject", "a&total_amount=0.01", "malformed");
    add("subject", "a\nb", "malformed");
    add("trans_currency", "12", "malformed");
    forger.refuses(&forged).await;
    forger.takes(&charge, &letter).await;
}

#[tokio::test]
async fn a_signed_notice_that_means_no_payment_pays_nothing() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let victim = forger.open().await;
    let form = Form::of(&letter);
    let before = forger.state().await;
    let rows = [
        ("trade_status", "WAIT_BUYER_PAY"),
        ("trade_status", "TRADE_CLOSED"),
        ("trade_status", "trade_success"),
        ("notify_type", "something_else"),
        ("gmt_refund", "2026-01-01 00:00:00.000"),
        ("refund_fee", "0.01"),
        ("out_biz_no", "R1"),
    ];
    for (name, value) in rows {
        let answer = forger.post(&letter_of(&letter, &signed_by(&form.with(name, value), ALIPAY))).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "success"), "{name}={value}: genuine, without effect");
        assert_eq!(forger.state().await, before, "{name}={value}");
    }
    forger.takes(&charge, &letter).await;
    let victims_no = victim["attempt"]["provider_order_no"].as_str().unwrap();
    forger.post(&letter_of(&letter, &signed_by(&form.with("out_trade_no", victims_no), ALIPAY))).await;
    let victim = forger.world.charge(victim["id"].as_str().unwrap()).await;
    assert_eq!((victim["status"].as_str(), victim["delivery"]["status"].as_str()), (Some("open"), Some("none")));
}
