//! The published values of others (documents, wechatpay-go, wechatpay-java, axios plugin), byte for byte.

use super::super::stage::{text, vectors};
use super::*;
use crate::shared::rsa::pem_blocks;
use aws_lc_rs::aead::AES_128_GCM;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

fn doc_key(vectors: &Value) -> SigningKey {
    SigningKey::read(text(vectors, "/doc_key_pkcs8").as_bytes()).unwrap()
}

fn sealed_as(vector: &Value) -> Resource {
    Resource {
        algorithm: "AEAD_AES_256_GCM".into(),
        ciphertext: text(vector, "/ct").into(),
        nonce: text(vector, "/nonce").into(),
        associated_data: Some(text(vector, "/aad").into()),
        original_type: None,
    }
}

#[test]
fn requests_are_signed_as_the_documents_print_them() {
    let vectors = vectors();
    for name in ["post_jsapi", "refund_query"] {
        let request = vectors.pointer(&format!("/doc/{name}")).unwrap();
        let parts = RequestParts {
            method: if text(request, "/method") == "GET" { Method::Get } else { Method::Post },
            target: text(request, "/url"),
            timestamp: text(&vectors, "/doc/timestamp").parse().unwrap(),
            nonce: text(&vectors, "/doc/nonce"),
            body: text(request, "/body").as_bytes(),
        };
        let signature = STANDARD.encode(doc_key(&vectors).sign_sha256(&parts.message()).unwrap());
        assert_eq!(signature, text(request, "/sig"), "{name}");
        let header = parts.authorization(&doc_key(&vectors), text(&vectors, "/doc/mchid"), "408B").unwrap();
        assert_eq!(
            header,
            format!(
                "WECHATPAY2-SHA256-RSA2048 mchid=\"1900007291\",nonce_str=\"593BEC0C930BF1AFEB40B4A08C8FB242\",\
                 signature=\"{signature}\",timestamp=\"1554208460\",serial_no=\"408B\""
            )
        );
    }
}

#[test]
fn the_string_to_sign_has_five_lines_whatever_the_body() {
    let parts = |body| RequestParts { method: Method::Get, target: "/v3/x?mchid=1", timestamp: 1, nonce: "N", body };
    assert_eq!(parts(b"").message(), b"GET\n/v3/x?mchid=1\n1\nN\n\n");
    assert_eq!(parts(b"{}\n").message(), b"GET\n/v3/x?mchid=1\n1\nN\n{}\n\n");
}

#[test]
fn the_second_signature_is_the_documents_for_jsapi_and_app() {
    let vectors = vectors();
    let key = doc_key(&vectors);
    let [app_id, timestamp, nonce, id] =
        ["appid", "timestamp", "nonce", "prepay_id"].map(|name| text(&vectors, &format!("/paysign/{name}")));
    let package = format!("prepay_id={id}");
    assert_eq!(pay_sign(&key, [app_id, timestamp, nonce, &package]).unwrap(), text(&vectors, "/paysign/jsapi"));
    assert_eq!(pay_sign(&key, [app_id, timestamp, nonce, id]).unwrap(), text(&vectors, "/paysign/app"));
}

fn seal_of<'a>(vector: &'a Value, serial: &'a str) -> Option<Seal<'a>> {
    Seal::read(|name| match name {
        "wechatpay-timestamp" => Some(text(vector, "/timestamp")),
        "wechatpay-nonce" => Some(text(vector, "/nonce")),
        "wechatpay-signature" => Some(text(vector, "/sig")),
        "wechatpay-serial" => Some(serial),
        _ => None,
    })
}

#[test]
fn a_published_response_verifies_and_one_space_more_does_not() {
    let vectors = vectors();
    let response = vectors.pointer("/response").unwrap();
    let key = VerifyingKey::read_spki(text(response, "/spki").as_bytes()).unwrap();
    let seal = seal_of(response, PUBLIC_NAME).unwrap();
    let body = text(response, "/body");
    assert!(seal.holds(&key, body.as_bytes()));
    assert!(!seal.holds(&key, format!("{body} ").as_bytes()));
    let sent_at = UnixMillis(1_722_850_421_000);
    for (shift_ms, fresh) in [(0, true), (299_999, true), (-299_999, true), (300_000, false), (-300_000, false)] {
        assert_eq!(seal.is_fresh(sent_at.plus_ms(shift_ms)), fresh, "{shift_ms}");
    }
}

const PUBLIC_NAME: &str = "PUB_KEY_ID_1";

#[test]
fn a_published_callback_verifies_and_opens() {
    let vectors = vectors();
    let notify = vectors.pointer("/go_notify").unwrap();
    let certificate = STANDARD.decode(text(notify, "/cert_der")).unwrap();
    let key = VerifyingKey::from_certificate_der(&certificate).unwrap();
    let body = text(notify, "/body");
    assert!(seal_of(notify, text(notify, "/serial")).unwrap().holds(&key, body.as_bytes()));
    let envelope: super::super::wire::Envelope = super::super::wire::read(body.as_bytes()).unwrap();
    // The library's own test uses a key of 16 bytes, which an account here never has.
    let short = text(notify, "/apiv3_key_16").as_bytes();
    assert_eq!(open_with(&AES_128_GCM, short, &envelope.resource).unwrap(), text(notify, "/plain").as_bytes());
    assert_eq!(open(short, &envelope.resource), Err(OpenFault::Form));
}

#[test]
fn published_ciphertexts_open_and_sixteen_byte_nonces_do_not() {
    let vectors = vectors();
    for vector in vectors.pointer("/aead").and_then(Value::as_array).unwrap() {
        let key = text(vector, "/key").as_bytes();
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let opened = open_with(algorithm, key, &sealed_as(vector));
        if text(vector, "/nonce").len() == NONCE_LEN {
            assert_eq!(opened.unwrap(), text(vector, "/plain").as_bytes());
        } else {
            assert_eq!(opened, Err(OpenFault::Form), "WeChat Pay's nonces have 12 bytes");
        }
    }
}

/// A name and a change.
type Bend = (&'static str, fn(&mut Resource));

#[test]
fn an_altered_resource_does_not_open() {
    let vectors = vectors();
    let vector = vectors.pointer("/aead/0").unwrap();
    let key = text(vector, "/key").as_bytes();
    assert!(open(key, &sealed_as(vector)).is_ok());
    let altered: [Bend; 7] = [
        ("algorithm", |r| r.algorithm = "AEAD_AES_128_GCM".into()),
        ("short nonce", |r| r.nonce.truncate(11)),
        ("other nonce", |r| r.nonce = "uluk4a9R25RX".into()),
        ("associated data", |r| r.associated_data = Some("associatedDatb".into())),
        ("no associated data", |r| r.associated_data = None),
        ("ciphertext", |r| r.ciphertext.replace_range(0..1, "v")),
        ("no base64", |r| r.ciphertext.push('%')),
    ];
    for (name, alter) in altered {
        let mut resource = sealed_as(vector);
        alter(&mut resource);
        assert!(open(key, &resource).is_err(), "{name}");
    }
}

#[test]
fn a_published_certificate_download_opens_to_its_pem() {
    let vectors = vectors();
    let download = vectors.pointer("/java_cert_download").unwrap();
    let pem = open(text(download, "/key").as_bytes(), &sealed_as(download)).unwrap();
    let digest: String = Sha256::digest(&pem).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, text(download, "/plain_sha256"));
    assert!(VerifyingKey::from_certificate_der(&pem_blocks(&pem).unwrap()[0].der).is_ok());
}

#[test]
fn published_plain_signatures_hold() {
    let vectors = vectors();
    let key = SigningKey::read(text(&vectors, "/go_key_pkcs8").as_bytes()).unwrap();
    let signature = key.sign_sha256(text(&vectors, "/go_sign/message").as_bytes()).unwrap();
    assert_eq!(STANDARD.encode(signature), text(&vectors, "/go_sign/sig"));
    let java = vectors.pointer("/java_rsa").unwrap();
    let certificate = pem_blocks(text(java, "/cert_pem").as_bytes()).unwrap().remove(0);
    let key = VerifyingKey::from_certificate_der(&certificate.der).unwrap();
    let signature = STANDARD.decode(text(java, "/sig")).unwrap();
    assert!(key.verify_sha256(text(java, "/message").as_bytes(), &signature));
}

#[test]
fn a_seal_that_lacks_or_bends_a_header_is_not_read() {
    let good = [
        ("wechatpay-timestamp", "1722850421"),
        ("wechatpay-nonce", "n"),
        ("wechatpay-signature", "AAAA"),
        ("wechatpay-serial", "S"),
        ("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048"),
    ];
    let read = |bent: &[(&str, &'static str)]| {
        let found = |name: &str| bent.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        Seal::read(found).is_some()
    };
    assert!(read(&good));
    assert!(read(&good[..4]), "the type is optional");
    for place in 0..4 {
        let mut bent = good;
        bent[place].1 = "";
        assert!(!read(&bent), "empty {}", bent[place].0);
        assert!(!read(&[&good[..place], &good[place + 1..]].concat()), "no {}", good[place].0);
    }
    for (place, value) in [
        (0, "-1722850421"),
        (0, "17228504210000"),
        (0, "1722850421.0"),
        (0, "+1722850421"),
        (2, "WECHATPAY/SIGNTEST/xyz"),
        (2, "AAA"),
        (4, "WECHATPAY2-SM2-WITH-SM3"),
        (4, ""),
    ] {
        let mut bent = good;
        bent[place].1 = value;
        assert!(!read(&bent), "{value}");
    }
}

#[test]
fn a_target_is_what_stands_behind_the_host() {
    for (url, target) in [
        ("https://api.mch.weixin.qq.com/v3/x?a=1", "/v3/x?a=1"),
        ("http://127.0.0.1:9000/base/v3/x", "/base/v3/x"),
        ("https://api.mch.weixin.qq.com", "/"),
    ] {
        assert_eq!(target_of(url), target);
    }
}
