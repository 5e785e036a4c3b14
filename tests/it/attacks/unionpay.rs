//! Forged UnionPay notifies, made of genuine ones; some are signed with UnionPay's own key and are wrong inside.

use super::fields::{Form, bent};
use super::forging::{Forger, Letter, key_file, signed_with};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tongdao_sandbox::ProviderName;

type Forged = (String, Option<&'static str>, Letter);

const LEAF: &str = "unionpay/leaf_key.pem";

async fn forger() -> Forger {
    Forger::start("unionpay-main", ProviderName::Unionpay).await
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signed_by(form: &Form, key: &str) -> Form {
    form.with("signature", signed_with(key, hex(form.link(&["signature"]).as_bytes()).as_bytes()))
}

fn letter_of(letter: &Letter, form: &Form) -> Letter {
    letter.with_body(form.body())
}

/// The certificate block of a file of the sandbox's keys.
fn certificate(name: &str) -> String {
    let text = key_file(name);
    let at = text.find("-----BEGIN CERTIFICATE-----").unwrap();
    text[at..].to_owned()
}

fn spoilt(letter: &Letter, other: &Letter) -> Vec<Forged> {
    let form = Form::of(letter);
    let mut forged: Vec<Forged> = Vec::new();
    let mut add = |what: String, reason, form: Form| forged.push((what, reason, letter_of(letter, &form)));
    for (name, value) in &form.0 {
        add(format!("{name} of one bit"), None, form.with(name, bent(value)));
        add(format!("{name} twice"), Some("malformed"), form.doubled(name, value));
        add(format!("{name} as a list"), Some("malformed"), form.doubled(&format!("{name}[]"), value));
        add(format!("{name} left out"), None, form.without(name));
        add(format!("{name} empty"), None, form.with(name, ""));
    }
    for at in 0..form.0.len() {
        for anew in [form.merged(&["signature"], at), form.swallowed(&["signature"], at)].into_iter().flatten() {
            // The signed text is the same byte for byte: only the reading differs.
            add(format!("two fields as one, at {at}"), Some("malformed"), anew);
        }
    }
    for (name, value) in
        [("txnAmt", "1"), ("currencyCode", "392"), ("queryId", "1"), ("paidAmount", "1"), ("respCode", "A6")]
    {
        add(format!("{name}={value}"), Some("bad_signature"), form.with(name, value));
    }
    let theirs = Form::of(other);
    add("another's signature".into(), Some("bad_signature"), form.with("signature", theirs.value("signature")));
    add("another's order".into(), Some("bad_signature"), form.with("orderId", theirs.value("orderId")));
    forged
}

/// Self-consistent messages: the signature holds under the certificate that they bring along.
fn with_own_certificates(letter: &Letter) -> Vec<Forged> {
    let form = Form::of(letter);
    let rows = [
        (
            "a stranger's chain",
            certificate("alipay/2021000000000001/alipay_cert.crt"),
            "alipay/2021000000000001/alipay_key.pem",
        ),
        (
            "another provider's",
            certificate("wechatpay/1900000001/platform_cert.pem"),
            "wechatpay/1900000001/platform_key.pem",
        ),
        ("a merchant's own", certificate("unionpay/777290058110001/sign.pem"), "unionpay/777290058110001/sign.pem"),
        ("the right one, another key", certificate("unionpay/leaf.pem"), "wechatpay/1900000001/platform_key.pem"),
        (
            "two of them",
            certificate("unionpay/leaf.pem") + &certificate("alipay/2021000000000001/alipay_cert.crt"),
            "alipay/2021000000000001/alipay_key.pem",
        ),
        ("the middle one", certificate("unionpay/middle.cer"), LEAF),
        ("a path", env!("CARGO_TARGET_TMPDIR").to_owned() + "/it-keys/unionpay/leaf.pem", LEAF),
        ("a file's address", format!("file://{}/it-keys/unionpay/leaf.pem", env!("CARGO_TARGET_TMPDIR")), LEAF),
        ("an address", "http://127.0.0.1/leaf.pem".to_owned(), LEAF),
        ("no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), LEAF),
    ];
    let forged = |(what, pem, key): (&str, String, &str)| {
        let form = signed_by(&form.with("signPubKeyCert", pem), key);
        (format!("certificate: {what}"), Some("bad_signature"), letter_of(letter, &form))
    };
    rows.map(forged).to_vec()
}

/// The keyed method with a key that is public, where certificates are configured.
fn downgraded(letter: &Letter) -> Vec<Forged> {
    let form = Form::of(letter);
    let keys = [
        ("the certificate", form.value("signPubKeyCert").to_owned()),
        ("nothing", String::new()),
        ("the merchant's number", form.value("merId").to_owned()),
    ];
    let mut forged: Vec<Forged> = Vec::new();
    for method in ["11", "12", "1", "00", "", " 01"] {
        let named = form.with("signMethod", method);
        for (what, key) in &keys {
            let text = format!("{}&{}", named.link(&["signature"]), hex(key.as_bytes()));
            let form = named.with("signature", hex(text.as_bytes()));
            forged.push((format!("method {method:?} with {what}"), Some("bad_signature"), letter_of(letter, &form)));
        }
        let form = signed_by(&named, LEAF);
        forged.push((format!("method {method:?}, rightly signed"), Some("bad_signature"), letter_of(letter, &form)));
    }
    forged
}

#[tokio::test]
async fn a_notify_that_unionpay_did_not_sign_is_refused() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let (_, other) = forger.paid().await;
    forger.refuses(&spoilt(&letter, &other)).await;
    forger.refuses(&with_own_certificates(&letter)).await;
    forger.refuses(&downgraded(&letter)).await;
    // The same things done right.
    let again = signed_by(&Form::of(&letter), LEAF);
    forger.takes(&charge, &letter_of(&letter, &again)).await;
}

#[tokio::test]
async fn a_signed_notify_that_is_wrong_inside_is_refused() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let form = Form::of(&letter);
    let mut forged: Vec<Forged> = Vec::new();
    let mut add = |name: &str, value: &str, reason| {
        let wrong = signed_by(&form.with(name, value), LEAF);
        forged.push((format!("{name}={value:?}"), Some(reason), letter_of(&letter, &wrong)));
    };
    add("merId", "777290058199999", "foreign");
    add("merId", "", "foreign");
    for sum in ["19.99", " 1999", "1999 ", "+1999", "-1999", "1e3", "0x7cf", "１９９９", "", "9999999999999"] {
        add("txnAmt", sum, "malformed");
    }
    add("version", "5.0.0", "malformed");
    add("version", "", "malformed");
    add("encoding", "GBK", "malformed");
    add("orderId", "short", "malformed");
    add("orderId", "../../../etc/passwd", "malformed");
    add("queryId", "", "malformed");
    add("queryId", "1' OR '1'='1", "malformed");
    add("txnTime", "now", "malformed");
    add("reserved", "a&txnAmt=1", "malformed");
    add("reserved", "{a", "malformed");
    forger.refuses(&forged).await;
    forger.takes(&charge, &letter).await;
}

#[tokio::test]
async fn a_signed_notify_that_means_no_payment_pays_nothing() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let victim = forger.open().await;
    let form = Form::of(&letter);
    let before = forger.state().await;
    let rows = [
        ("respCode", "05"),
        ("respCode", "34"),
        ("respCode", ""),
        ("txnType", "31"),
        ("txnType", "99"),
        ("txnType", "00"),
        ("txnType", "04"),
    ];
    for (name, value) in rows {
        let answer = forger.post(&letter_of(&letter, &signed_by(&form.with(name, value), LEAF))).await;
        assert_eq!(answer.status, 200, "{name}={value}: genuine, and without effect");
        assert_eq!(forger.state().await, before, "{name}={value}");
    }
    forger.takes(&charge, &letter).await;
    let victims_no = victim["attempt"]["provider_order_no"].as_str().unwrap();
    forger.post(&letter_of(&letter, &signed_by(&form.with("orderId", victims_no), LEAF))).await;
    let victim = forger.world.charge(victim["id"].as_str().unwrap()).await;
    assert_eq!((&victim["status"], &victim["delivery"]["status"]), (&json!("open"), &json!("none")));
}
