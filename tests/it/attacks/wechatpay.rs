//! Forged WeChat Pay callbacks, made of genuine ones; some are signed with WeChat Pay's own key and are wrong inside.

use super::fields::bent;
use super::forging::{Forger, Letter, key_file, signed_with};
use super::{breaks, count};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tongdao_sandbox::ProviderName;

type Forged = (String, Option<&'static str>, Letter);

const PLATFORM: &str = "wechatpay/1900000001/platform_key.pem";
const HEADERS: [&str; 4] = ["wechatpay-timestamp", "wechatpay-nonce", "wechatpay-serial", "wechatpay-signature"];

async fn forger() -> Forger {
    Forger::start("wechat-main", ProviderName::Wechatpay).await
}

fn api_v3_key() -> Vec<u8> {
    key_file("wechatpay/1900000001/api_v3_key").trim().as_bytes().to_vec()
}

/// The letter with another body or time, signed by a key.
fn resigned(letter: &Letter, key: &str, timestamp: &str, body: &[u8]) -> Letter {
    let head = format!("{timestamp}\n{}\n", letter.header("wechatpay-nonce"));
    let signature = signed_with(key, &[head.as_bytes(), body, b"\n"].concat());
    letter.with_header("wechatpay-timestamp", timestamp).with_header("wechatpay-signature", &signature).with_body(body)
}

/// What WeChat Pay itself would have signed.
fn genuine(letter: &Letter, body: &[u8]) -> Letter {
    resigned(letter, PLATFORM, &letter.header("wechatpay-timestamp"), body)
}

fn envelope(letter: &Letter) -> Value {
    serde_json::from_slice(&letter.body).unwrap()
}

/// The text inside the resource.
fn opened(letter: &Letter) -> String {
    let resource = envelope(letter)["resource"].clone();
    let text = |name: &str| resource[name].as_str().unwrap().to_owned();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &api_v3_key()).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(text("nonce").as_bytes()).unwrap();
    let mut sealed = STANDARD.decode(text("ciphertext")).unwrap();
    let plain = key.open_in_place(nonce, Aad::from(text("associated_data").as_bytes()), &mut sealed).unwrap();
    String::from_utf8(plain.to_vec()).unwrap()
}

/// The letter with another text inside, encrypted with `key` and rightly signed.
fn resealed(letter: &Letter, key: &[u8], plain: &str) -> Letter {
    let mut body = envelope(letter);
    let nonce = body["resource"]["nonce"].as_str().unwrap().to_owned();
    let aad = body["resource"]["associated_data"].as_str().unwrap().to_owned();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let mut sealed = plain.as_bytes().to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).unwrap();
    key.seal_in_place_append_tag(nonce, Aad::from(aad.as_bytes()), &mut sealed).unwrap();
    body["resource"]["ciphertext"] = json!(STANDARD.encode(sealed));
    genuine(letter, body.to_string().as_bytes())
}

fn saying(letter: &Letter, change: impl Fn(&mut Value)) -> Letter {
    let mut plain: Value = serde_json::from_str(&opened(letter)).unwrap();
    change(&mut plain);
    resealed(letter, &api_v3_key(), &plain.to_string())
}

fn with_envelope(letter: &Letter, change: impl Fn(&mut Value)) -> Letter {
    let mut body = envelope(letter);
    change(&mut body);
    genuine(letter, body.to_string().as_bytes())
}

fn spoilt_headers(letter: &Letter) -> Vec<Forged> {
    let mut forged: Vec<Forged> = Vec::new();
    for name in HEADERS {
        forged.push((format!("without {name}"), Some("bad_signature"), letter.without_header(name)));
        forged.push((format!("{name} empty"), Some("bad_signature"), letter.with_header(name, "")));
        forged.push((format!("{name} of one bit"), None, letter.with_header(name, &bent(&letter.header(name)))));
    }
    let serials =
        ["../../x.pem", "http://127.0.0.1/x.pem", "file:///etc/passwd", "0", "PUB_KEY_ID_0", "%00", "' OR 1=1"];
    let serials = serials.iter().map(|serial| (*serial).to_owned());
    for serial in serials.chain([letter.header("wechatpay-serial").to_lowercase() + "0"]) {
        forged.push((format!("serial {serial}"), Some("unknown_key"), letter.with_header("wechatpay-serial", &serial)));
    }
    let signature = letter.header("wechatpay-signature");
    for other in
        [format!("WECHATPAY/SIGNTEST/{signature}"), "AAAA".into(), "*".into(), signature[..342].to_owned() + "A="]
    {
        let letter = letter.with_header("wechatpay-signature", &other);
        forged.push((format!("signature {other:.30}"), Some("bad_signature"), letter));
    }
    for kind in ["WECHATPAY2-SM2-WITH-SM3", "HMAC-SHA256", "MD5", "none", ""] {
        let letter = letter.with_header("wechatpay-signature-type", kind);
        forged.push((format!("algorithm {kind:?}"), Some("bad_signature"), letter));
    }
    let time = letter.header("wechatpay-timestamp");
    for other in [format!("+{time}"), format!("0{time}"), format!("{time}.0"), format!("{time}0000"), "0".into()] {
        let letter = letter.with_header("wechatpay-timestamp", &other);
        forged.push((format!("time {other}"), Some("bad_signature"), letter));
    }
    let mut bare = letter.clone();
    bare.headers.retain(|(name, _)| !name.starts_with("wechatpay"));
    let local = bare.with_header("host", "localhost").with_header("x-forwarded-for", "127.0.0.1");
    forged.push(("from localhost".into(), Some("bad_signature"), local));
    forged
}

fn spoilt_bodies(letter: &Letter, other: &Letter) -> Vec<Forged> {
    let mut forged: Vec<Forged> = Vec::new();
    for at in (0..letter.body.len()).step_by(37) {
        let mut body = letter.body.clone();
        body[at] ^= 1;
        forged.push((format!("bit of byte {at}"), Some("bad_signature"), letter.with_body(body)));
    }
    forged.push(("another's body".into(), Some("bad_signature"), letter.with_body(other.body.clone())));
    forged.push(("no body".into(), Some("bad_signature"), letter.with_body("")));
    forged.push(("half a body".into(), Some("bad_signature"), letter.with_body(&letter.body[..letter.body.len() / 2])));
    forged.push(("a line behind".into(), Some("bad_signature"), letter.with_body([&letter.body[..], b"\n"].concat())));
    let text = String::from_utf8(letter.body.clone()).unwrap();
    let unsigned = text.replacen('{', r#"{"paid_amount":1,"#, 1);
    forged.push(("an unsigned field".into(), Some("bad_signature"), letter.with_body(unsigned)));
    let time = letter.header("wechatpay-timestamp");
    for key in
        ["wechatpay/1900000001/merchant_key.pem", "alipay/2021000000000001/alipay_key.pem", "unionpay/leaf_key.pem"]
    {
        let letter = resigned(letter, key, &time, &letter.body);
        forged.push((format!("signed with {key}"), Some("bad_signature"), letter));
    }
    let message = [format!("{time}\n{}\n", letter.header("wechatpay-nonce")).as_bytes(), &letter.body, b"\n"].concat();
    let public = key_file("wechatpay/1900000001/platform_cert.pem").into_bytes();
    for (what, key) in [("the certificate", public), ("the APIv3 key", api_v3_key()), ("nothing", Vec::new())] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(&message);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let letter = letter.with_header("wechatpay-signature", &signature);
        forged.push((format!("an HMAC with {what}"), Some("bad_signature"), letter));
    }
    forged
}

#[tokio::test]
async fn a_callback_that_wechat_pay_did_not_sign_is_refused() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let (_, other) = forger.paid().await;
    forger.refuses(&spoilt_headers(&letter)).await;
    forger.refuses(&spoilt_bodies(&letter, &other)).await;
    forger.takes(&charge, &letter).await;
}

#[tokio::test]
async fn a_signed_callback_that_is_wrong_inside_is_refused() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let resource =
        |name: &'static str, value: Value| with_envelope(&letter, move |body| body["resource"][name] = value.clone());
    let bent_text = |name: &str| json!(bent(envelope(&letter)["resource"][name].as_str().unwrap()));
    let ciphertext = envelope(&letter)["resource"]["ciphertext"].as_str().unwrap().to_owned();
    let flipped = format!("{}{}", if ciphertext.starts_with('A') { 'B' } else { 'A' }, &ciphertext[1..]);
    let text = String::from_utf8(letter.body.clone()).unwrap();
    let plain = opened(&letter);
    let twice = plain.replacen("\"total\":", "\"total\":1,\"total\":", 1);
    assert_ne!(twice, plain);
    let event_twice = text.replacen('{', r#"{"event_type":"REFUND.SUCCESS","#, 1);
    let now: i64 = letter.header("wechatpay-timestamp").parse().unwrap();
    let at = |moment: i64| resigned(&letter, PLATFORM, &moment.to_string(), &letter.body);
    let key = api_v3_key();
    let rows: Vec<(&str, Option<&'static str>, Letter)> = vec![
        ("another algorithm", Some("malformed"), resource("algorithm", json!("AEAD_AES_128_GCM"))),
        ("no encryption", Some("malformed"), resource("algorithm", json!("none"))),
        ("SM4", Some("malformed"), resource("algorithm", json!("AEAD_SM4_GCM"))),
        ("a nonce of 11 bytes", Some("malformed"), resource("nonce", json!("01234567890"))),
        ("another nonce", Some("foreign"), resource("nonce", bent_text("nonce"))),
        ("another additional text", Some("foreign"), resource("associated_data", json!("refund"))),
        ("a wrong tag", Some("foreign"), resource("ciphertext", json!(flipped))),
        ("no text", None, resource("ciphertext", json!(""))),
        ("another merchant's APIv3 key", Some("foreign"), resealed(&letter, &[b'k'; 32], &plain)),
        ("an amount twice", Some("malformed"), resealed(&letter, &key, &twice)),
        ("an event twice", Some("malformed"), genuine(&letter, event_twice.as_bytes())),
        ("no JSON inside", Some("malformed"), resealed(&letter, &key, "total=1999")),
        ("a plain resource", Some("malformed"), with_envelope(&letter, |body| body["resource"] = json!(plain))),
        ("another mchid", Some("foreign"), saying(&letter, |said| said["mchid"] = json!("1999999999"))),
        ("another appid", Some("foreign"), saying(&letter, |said| said["appid"] = json!("wx0000000000000000"))),
        ("no mchid", Some("malformed"), saying(&letter, |said| said["mchid"] = Value::Null)),
        ("an amount as text", Some("malformed"), saying(&letter, |said| said["amount"]["total"] = json!("1999"))),
        ("a broken amount", Some("malformed"), saying(&letter, |said| said["amount"]["total"] = json!(1999.5))),
        ("no amount", Some("malformed"), saying(&letter, |said| said["amount"] = Value::Null)),
        (
            "a payment as a refund",
            Some("malformed"),
            with_envelope(&letter, |body| body["event_type"] = json!("REFUND.SUCCESS")),
        ),
        (
            "a refund as a payment",
            Some("malformed"),
            with_envelope(&letter, |body| body["resource"]["original_type"] = json!("refund")),
        ),
        ("301 s old", Some("stale"), at(now - 310)),
        ("from the future", Some("stale"), at(now + 900)),
    ];
    let rows: Vec<Forged> = rows.into_iter().map(|(what, reason, letter)| (what.to_owned(), reason, letter)).collect();
    forger.refuses(&rows).await;
    // Beside the encrypted resource nothing is believed.
    let beside = with_envelope(&letter, |body| {
        body["amount"] = json!({"total": 1});
        body["out_trade_no"] = json!("another");
        body["resource"]["paid_amount"] = json!(1);
    });
    forger.takes(&charge, &beside).await;
}

#[tokio::test]
async fn a_signed_callback_that_means_no_payment_pays_nothing() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let victim = forger.open().await;
    let victims_no = victim["attempt"]["provider_order_no"].clone();
    let before = forger.state().await;
    for state in ["NOTPAY", "CLOSED", "USERPAYING", "PAYERROR", "REVOKED", "success", ""] {
        let answer = forger.post(&saying(&letter, |said| said["trade_state"] = json!(state))).await;
        assert_eq!(answer.status, 204, "{state}: genuine, and without effect");
        assert_eq!(forger.state().await, before, "{state}");
    }
    let other_event = with_envelope(&letter, |body| body["event_type"] = json!("PAYSCORE.USER_PAID"));
    assert_eq!(forger.post(&other_event).await.status, 204);
    assert_eq!(forger.state().await, before);
    forger.takes(&charge, &letter).await;
    // The same trade for a second order, which the provider cannot mean: never a second payment.
    for _ in 0..2 {
        forger.post(&saying(&letter, |said| said["out_trade_no"] = victims_no.clone())).await;
    }
    let named = breaks(&forger.world).await;
    assert_eq!(named.as_array().map(Vec::len), Some(1), "one break, however often it is said: {named}");
    assert_eq!((&named[0]["kind"], &named[0]["charge"]), (&json!("duplicate"), &victim["id"]));
    let victim = forger.world.charge(victim["id"].as_str().unwrap()).await;
    assert_eq!((victim["status"].as_str(), victim["delivery"]["status"].as_str()), (Some("open"), Some("none")));
}

#[tokio::test]
async fn a_flood_of_unknown_keys_and_old_letters_asks_the_provider_hardly_ever() {
    let forger = forger().await;
    let (charge, letter) = forger.paid().await;
    let now: i64 = letter.header("wechatpay-timestamp").parse().unwrap();
    let stale = resigned(&letter, PLATFORM, &(now - 600).to_string(), &letter.body);
    let keys_before = calls(&forger, "keys").await;
    for n in 0..100 {
        let unknown = letter.with_header("wechatpay-serial", &format!("{n:040X}"));
        assert_eq!((forger.post(&unknown).await.status, forger.post(&stale).await.status), (401, 401));
    }
    assert_eq!((forger.verdicts("unknown_key").await, forger.verdicts("stale").await), (100, 100));
    let (keys, queries) = (calls(&forger, "keys").await - keys_before, calls(&forger, "query").await);
    assert!((1..=2).contains(&keys), "{keys} questions for keys");
    // The ladder asks too, a few times if this machine is slow.
    assert!((1..=8).contains(&queries), "{queries} queries");
    forger.takes(&charge, &letter).await;
}

/// How often the provider was asked.
async fn calls(forger: &Forger, operation: &str) -> u64 {
    let family = "tongdao_provider_call_duration_seconds_count";
    count(&forger.world, &format!("{family}{{channel=\"wechat-main\",operation=\"{operation}\"}}")).await
}
