//! Requests as merchants write them: what is taken, and where a fault is pointed at.

use super::*;
use crate::config::{Config, fake};
use crate::http::json::parse;
use tongdao_core::charge::NewCharge;
use tongdao_core::delivery::Report;
use tongdao_core::ids::ChargeId;
use tongdao_core::provider::Scene;
use tongdao_core::time::UnixMillis;

const CONFIG: &str = r#"
[server]
allow_inline_secrets = true
public_url = "https://pay.example"

[[merchants]]
id = "m1"
notify_url = "https://shop.example/n"
webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  [[merchants.keys]]
  id = "k1"
  secret = "a-key-of-a-merchant-1"

[[merchants]]
id = "m2"
webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
late_payment = "refund"
unprovable_end = "wait"
  [[merchants.keys]]
  id = "k2"
  secret = "a-key-of-a-merchant-2"

[[channels]]
id = "a"
provider = "fake"
  [channels.fake]
  account = "1900000001"
  key = "a-key-of-a-provider"
"#;

fn config() -> Config {
    Config::read("test.toml", CONFIG, &crate::config::Env::new(), fake::REGISTRY).unwrap()
}

fn charge_id() -> ChargeId {
    ChargeId::new(UnixMillis(1_766_000_000_000), 7)
}

fn read(body: &str) -> Result<(NewCharge, String), Problem> {
    read_as("m1", body)
}

fn read_as(merchant: &str, body: &str) -> Result<(NewCharge, String), Problem> {
    let config = config();
    let merchant = config.merchant(&merchant.parse().unwrap()).unwrap();
    let asker = Asker { config: &config, merchant, id: charge_id(), token: "t".into() };
    read_charge(parse(body.as_bytes())?, "", asker)
}

/// The smallest request with one more field, or one field replaced.
fn with(field: &str, value: &str) -> String {
    let mut fields = vec![("merchant_order_no", "\"N-1\""), ("amount", "1999"), ("subject", "\"点卡\"")];
    fields.retain(|(name, _)| *name != field);
    fields.push((field, value));
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", pairs.join(","))
}

fn places(outcome: Result<(NewCharge, String), Problem>) -> Vec<String> {
    match outcome {
        Ok(_) => Vec::new(),
        Err(Problem::InvalidRequest(list)) => list.into_iter().map(|fault| fault.pointer).collect(),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_small_request_gets_the_defaults() {
    let (new, _) = read(&with("amount", "1999")).unwrap();
    assert_eq!((new.amount.amount, new.amount.currency.as_str()), (1999, "CNY"));
    assert_eq!((new.scene, new.expires_in_s, new.delivery_deadline_s), (Scene::Qr, 1800, 300));
    assert_eq!(new.notify_url, "https://shop.example/n");
    assert_eq!((new.return_url, new.pin, new.payer), (None, None, tongdao_core::provider::Payer::default()));
    assert!(!new.policy.refund_overdue && !new.policy.refund_late && !new.policy.wait_for_end);
    assert_eq!(new.subject, "点卡");
}

#[test]
fn an_amount_is_an_integer_of_fen_within_its_limits() {
    for good in ["1", "1999", "10000000000"] {
        assert!(read(&with("amount", good)).is_ok(), "{good}");
    }
    let bad = [
        "0",
        "-1",
        "-0",
        "0.001",
        "1.0",
        "1e3",
        "1E2",
        "1e308",
        "1e999",
        "\"100\"",
        "\"NaN\"",
        "\"１００\"",
        "null",
        "true",
        "[]",
        "{}",
        "[1]",
        "9223372036854775807",
        "9223372036854775808",
        "10000000001",
        "99999999999999999999999999",
    ];
    for value in bad {
        assert_eq!(places(read(&with("amount", value))), ["/amount"], "{value}");
    }
    for malformed in ["NaN", "Infinity", "01", "+1", "1.", "0x10", "１００", "1_000"] {
        assert!(matches!(read(&with("amount", malformed)), Err(Problem::MalformedRequest(_))), "{malformed}");
    }
}

#[test]
fn every_limit_of_the_api_is_checked() {
    let bad = [
        ("merchant_order_no", "\"\"", "/merchant_order_no"),
        ("merchant_order_no", "\"a b\"", "/merchant_order_no"),
        ("merchant_order_no", "\"单号\"", "/merchant_order_no"),
        ("merchant_order_no", "7", "/merchant_order_no"),
        ("currency", "\"JPY\"", "/currency"),
        ("currency", "\"cny\"", "/currency"),
        ("subject", "\"\"", "/subject"),
        ("subject", "\"a\\u0000b\"", "/subject"),
        ("subject", "\"a\\nb\"", "/subject"),
        ("subject", "\"\\u0085\"", "/subject"),
        ("subject", "\"\\ud800\"", "/subject"),
        ("scene", "\"QR\"", "/scene"),
        ("scene", "\"jsapi\"", "/payer/openid"),
        ("payer", "[]", "/payer"),
        ("payer", r#"{"methods":[]}"#, "/payer/methods"),
        ("payer", r#"{"methods":["paypal"]}"#, "/payer/methods"),
        ("payer", r#"{"methods":"fake"}"#, "/payer/methods"),
        ("payer", r#"{"preferred":"paypal"}"#, "/payer/preferred"),
        ("payer", r#"{"client_ip":"1.2.3"}"#, "/payer/client_ip"),
        ("payer", r#"{"card":"4"}"#, "/payer/card"),
        ("payer", r#"{"id":"a","id":"b"}"#, "/payer/id"),
        ("channel", "\"b\"", "/channel"),
        ("channel", "\"../a\"", "/channel"),
        ("notify_url", "\"http://shop.example/n\"", "/notify_url"),
        ("notify_url", "\"https://127.0.0.1/n\"", "/notify_url"),
        ("notify_url", "\"https://169.254.169.254/\"", "/notify_url"),
        ("notify_url", "\"https://u:p@shop.example/\"", "/notify_url"),
        ("notify_url", "\"file:///etc/passwd\"", "/notify_url"),
        ("return_url", "\"javascript:alert(1)\"", "/return_url"),
        ("expires_in", "59", "/expires_in"),
        ("expires_in", "1801", "/expires_in"),
        ("expires_in", "60.0", "/expires_in"),
        ("delivery", r#"{"deadline":0}"#, "/delivery/deadline"),
        ("delivery", r#"{"on_overdue":"keep"}"#, "/delivery/on_overdue"),
        ("delivery", r#"{"status":"delivered"}"#, "/delivery/status"),
        ("metadata", r#"{"a":1}"#, "/metadata/a"),
        ("metadata", r#"{"a":"1","a":"2"}"#, "/metadata/a"),
        ("metadata", r#"{"":"1"}"#, "/metadata/"),
        ("metadata", "[]", "/metadata"),
        ("status", "\"paid\"", "/status"),
        ("merchant_id", "\"m2\"", "/merchant_id"),
        ("paid_amount", "1", "/paid_amount"),
    ];
    for (field, value, place) in bad {
        assert_eq!(places(read(&with(field, value))), [place], "{field}: {value}");
    }
    for (field, chars, ok) in [("subject", 127, true), ("subject", 128, false), ("merchant_order_no", 65, false)] {
        let value = format!("\"{}\"", "x".repeat(chars));
        assert_eq!(read(&with(field, &value)).is_ok(), ok, "{field} of {chars}");
    }
    let pairs: Vec<String> = (0..17).map(|n| format!("\"k{n}\":\"v\"")).collect();
    assert_eq!(places(read(&with("metadata", &format!("{{{}}}", pairs.join(","))))), ["/metadata"]);
    assert_eq!(places(read(&with("metadata", &format!("{{\"k\":\"{}\"}}", "字".repeat(501))))), ["/metadata/k"]);
    assert!(read(&with("metadata", &format!("{{\"{}\":\"{}\"}}", "键".repeat(40), "字".repeat(500)))).is_ok());
}

#[test]
fn all_faults_are_listed_at_once() {
    let body = r#"{"amount":"1","amount":2,"subject":"","colour":1,"delivery":{"deadline":1.5},"metadata":{"k":null}}"#;
    let expected =
        ["/amount", "/merchant_order_no", "/amount", "/subject", "/delivery/deadline", "/metadata/k", "/colour"];
    assert_eq!(places(read(body)), expected);
    assert_eq!(places(read("[]")), [""]);
    assert_eq!(places(read_as("m2", &with("amount", "1"))), ["/notify_url"]);
}

#[test]
fn equal_requests_have_one_hash_however_they_are_written() {
    let hash_of = |body: &str| read(body).unwrap().1;
    let plain = hash_of(&with("amount", "1999"));
    assert_eq!(plain.len(), 64);
    let same = [
        r#" {"subject" : "\u70b9\u5361", "merchant_order_no":"N-1","amount":1999} "#.to_owned(),
        with("currency", "\"CNY\""),
        with("expires_in", "1800"),
        with("notify_url", "\"https://shop.example/n\""),
        with("payer", "{}"),
        with("return_url", "null"),
        with("delivery", r#"{"deadline":300,"on_overdue":"retry"}"#),
    ];
    for body in same {
        assert_eq!(hash_of(&body), plain, "{body}");
    }
    let other = [
        with("amount", "2000"),
        with("subject", "\"点卡2\""),
        with("scene", "\"h5\""),
        with("payer", r#"{"id":"u1"}"#),
        with("channel", "\"a\""),
        with("return_url", "\"https://shop.example/#/done\""),
        with("expires_in", "60"),
        with("delivery", r#"{"on_overdue":"refund"}"#),
        with("metadata", r#"{"k":"v"}"#),
    ];
    for body in other {
        assert_ne!(hash_of(&body), plain, "{body}");
    }
    let methods = |list: &str| hash_of(&with("payer", &format!("{{\"methods\":{list}}}")));
    assert_eq!(methods(r#"["wechatpay","alipay"]"#), methods(r#"["alipay","wechatpay","alipay"]"#));
}

#[test]
fn the_merchant_decides_what_the_request_leaves_open() {
    let (new, _) = read_as("m2", &with("notify_url", "\"https://shop.example/n\"")).unwrap();
    assert!(new.policy.refund_late && new.policy.wait_for_end);
}

#[test]
fn a_refund_is_read_strictly() {
    let asked = read_refund(br#"{"refund_no":"R-1","amount":60}"#, charge_id()).unwrap();
    assert_eq!((asked.refund_no.as_str(), asked.amount, asked.reason.as_str()), ("R-1", 60, ""));
    let other = read_refund(br#"{"refund_no":"R-1","amount":61}"#, charge_id()).unwrap();
    assert_ne!(asked.request_hash, other.request_hash);
    let bad = [
        r#"{"refund_no":"R-1"}"#,
        r#"{"refund_no":"R-1","amount":0}"#,
        r#"{"refund_no":"R-1","amount":1.5}"#,
        r#"{"refund_no":"","amount":1}"#,
        r#"{"refund_no":"R-1","amount":1,"currency":"USD"}"#,
        r#"{"refund_no":"R-1","amount":1,"attempt":"at_1"}"#,
    ];
    for body in bad {
        assert!(matches!(read_refund(body.as_bytes(), charge_id()), Err(Problem::InvalidRequest(_))), "{body}");
    }
}

#[test]
fn short_requests_take_what_they_know_and_nothing_else() {
    assert_eq!(read_delivery(br#"{"status":"delivered","reference":"K1"}"#), Ok(Report::Delivered(Some("K1".into()))));
    assert_eq!(read_delivery(br#"{"status":"failed"}"#), Ok(Report::Failed(None)));
    assert!(read_delivery(br#"{"status":"maybe"}"#).is_err() && read_delivery(b"").is_err());
    let config = config();
    assert_eq!(read_attempt(b"", charge_id(), None, &config).unwrap().channel, None);
    let ask = read_attempt(br#"{"channel":"a","scene":"h5"}"#, charge_id(), Some("k".into()), &config).unwrap();
    assert_eq!((ask.channel.unwrap().as_str(), ask.scene), ("a", Some(Scene::H5)));
    assert!(ask.idempotency_key.is_some());
    assert!(read_attempt(br#"{"amount":1}"#, charge_id(), None, &config).is_err());
    assert!(read_nothing(b"").is_ok() && read_nothing(b" {} ").is_ok());
    assert!(read_nothing(b"{\"a\":1}").is_err() && read_nothing(b"[]").is_err());
    assert_eq!(read_batch(br#"{"charges":[{},1]}"#).unwrap().len(), 2);
    let many = format!("{{\"charges\":[{}1]}}", "1,".repeat(100));
    assert!(read_batch(many.as_bytes()).is_err() && read_batch(b"{\"charges\":[]}").is_err());
}

#[test]
fn an_idempotency_key_is_quoted_or_bare() {
    let key = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("idempotency-key", axum::http::HeaderValue::from_str(value).unwrap());
        }
        idempotency_key(&headers)
    };
    assert_eq!(key(&[]), Ok(None));
    assert_eq!(key(&["abc 1"]), Ok(Some("abc 1".into())));
    assert_eq!(key(&["\"abc 1\""]), key(&["abc 1"]));
    for bad in [&[""][..], &["\"\""], &["a\"b"], &["\"a"], &["a", "a"], &[&"x".repeat(256)]] {
        assert!(key(bad).is_err(), "{bad:?}");
    }
}
