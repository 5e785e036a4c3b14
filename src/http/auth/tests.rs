//! Signatures as merchants write them, and every way to get one wrong.

use super::*;
use crate::config::{Env, fake};
use axum::http::Request;

const CONFIG: &str = r#"
[server]
allow_inline_secrets = true

[[merchants]]
id = "m1"
webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  [[merchants.keys]]
  id = "k1"
  secret = "a-key-of-a-merchant-1"
  [[merchants.keys]]
  id = "k2"
  secret = "a-key-of-a-merchant-1-second"

[[channels]]
id = "a"
provider = "fake"
  [channels.fake]
  account = "1"
  key = "a-key-of-a-provider"
"#;

const NOW: UnixMillis = UnixMillis(1_766_000_000_000);

fn check(method: &str, target: &str, authorization: &[&str], body: &str) -> Result<String, AuthFailure> {
    let config = Config::read("test.toml", CONFIG, &Env::new(), fake::REGISTRY).unwrap();
    let mut request = Request::builder().method(method).uri(target);
    for value in authorization {
        request = request.header(AUTHORIZATION, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    verify(&config, &parts, body.as_bytes(), NOW).map(|(_, merchant)| merchant.to_string())
}

// printf 'POST\n/v1/charges?x=%%20y\n1766000000\nnonce-0123456789_abc\n{"a":"点卡"}\n' |
//   openssl dgst -sha256 -hmac "a-key-of-a-merchant-1" -binary | base64
const POST: &str = "TONGDAO-HMAC-SHA256 key_id=\"k1\",timestamp=\"1766000000\",nonce=\"nonce-0123456789_abc\",\
                    signature=\"Oa9+zzd7NRdMuf9lS6LSb9lVyv45intwNbEAQiiXaek=\"";
// printf 'GET\n/v1/charges/ch_1\n1766000000\nAAAABBBBCCCCDDDD\n\n' |
//   openssl dgst -sha256 -hmac "a-key-of-a-merchant-1-second" -binary | base64
const GET: &str = "TONGDAO-HMAC-SHA256 key_id=\"k2\",timestamp=\"1766000000\",nonce=\"AAAABBBBCCCCDDDD\",\
                   signature=\"eawXWbWo1BbrONtmzeNMP0YQpIffOkkFd9b03qoMgrk=\"";

#[test]
fn signatures_made_by_openssl_hold() {
    assert_eq!(check("POST", "/v1/charges?x=%20y", &[POST], "{\"a\":\"点卡\"}"), Ok("m1".into()));
    assert_eq!(check("GET", "/v1/charges/ch_1", &[GET], ""), Ok("m1".into()));
}

#[test]
fn a_signature_holds_for_its_own_bytes_only() {
    let bad = Err(AuthFailure::BadSignature);
    let body = "{\"a\":\"点卡\"}";
    assert_eq!(check("PUT", "/v1/charges?x=%20y", &[POST], body), bad);
    assert_eq!(check("POST", "/v1/charges?x=+y", &[POST], body), bad);
    assert_eq!(check("POST", "/v1/charges?x=%20y&z", &[POST], body), bad);
    assert_eq!(check("POST", "/v1/charges?x=%20y", &[POST], "{\"a\": \"点卡\"}"), bad);
    assert_eq!(check("POST", "/v1/charges?x=%20y", &[&POST.replace("k1", "k2")], body), bad);
    assert_eq!(check("POST", "/v1/charges?x=%20y", &[&POST.replace("1766000000", "1766000001")], body), bad);
    assert_eq!(check("POST", "/v1/charges?x=%20y", &[&POST.replace("_abc", "_abd")], body), bad);
    assert_eq!(check("POST", "/v1/charges?x=%20y", &[&POST.replace("Oa9+", "Oa9/")], body), bad);
    assert_eq!(
        check("POST", "/v1/charges?x=%20y", &[&POST.replace("iXaek=", "iXae")], body),
        Err(AuthFailure::Malformed)
    );
}

#[test]
fn a_header_has_one_spelling() {
    let read = |header: &str| check("GET", "/v1/charges/ch_1", &[header], "");
    assert_eq!(read(&GET.replace(",", ", ")), Ok("m1".into()));
    let spoilt = [
        GET.replace("TONGDAO-HMAC-SHA256", "HMAC-SHA256"),
        GET.replace("key_id=\"k2\",", ""),
        GET.replace("key_id=\"k2\"", "key_id=k2"),
        GET.replace("key_id=\"k2\"", "key_id=\"k2\",key_id=\"k2\""),
        GET.replace("key_id=\"k2\"", "key_id=\"k2\",role=\"admin\""),
        GET.replace("1766000000", "+1766000000"),
        GET.replace("1766000000", "1766000000.0"),
        GET.replace("1766000000", ""),
        GET.replace("1766000000", "99999999999999999999"),
        GET.replace("eawX", "****"),
        format!("{GET},"),
        String::new(),
        "x".repeat(5000),
    ];
    for header in spoilt {
        assert_eq!(read(&header), Err(AuthFailure::Malformed), "{header:.80}");
    }
    assert_eq!(check("GET", "/v1/charges/ch_1", &[], ""), Err(AuthFailure::Missing));
    assert_eq!(check("GET", "/v1/charges/ch_1", &[GET, GET], ""), Err(AuthFailure::Malformed));
    assert_eq!(read(&GET.replace("k2", "k3")), Err(AuthFailure::UnknownKey));
}
