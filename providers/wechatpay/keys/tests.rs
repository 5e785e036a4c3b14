//! Downloads of certificates: the bootstrap, rotation, and everything that is not adopted.

use super::super::WechatPay;
use super::super::stage::{
    API_V3_KEY, CERTIFICATE_1, CERTIFICATE_2, NOW, PLATFORM_1, PLATFORM_2, PUBLIC, PUBLIC_ID, SERIAL_1, SERIAL_2,
    built, refusal, resource, sealed, section_without, text, vectors,
};
use super::*;
use serde_json::{Value, json};
use tongdao_core::provider::{Nonce, Provider as _};

fn item(serial: &str, pem: &str) -> Value {
    json!({
        "serial_no": serial, "effective_time": "2026-11-30T00:00:00+08:00", "expire_time": "2036-11-27T00:00:00+08:00",
        "encrypt_certificate": resource(API_V3_KEY, "", "certificate", pem.as_bytes()),
    })
}

fn list(items: &[Value], key: &[u8], serial: &str) -> HttpReply {
    let body = json!({ "data": items }).to_string().into_bytes();
    HttpReply { status: 200, headers: sealed(key, serial, NOW, &body), body }
}

fn certificates_only(configured: &Value) -> WechatPay {
    let mut section = section_without(&["public_key_id", "public_key"]);
    section["platform_certificates"] = configured.clone();
    built(&section, Environment::Production).unwrap()
}

fn asks(account: &WechatPay, at: UnixMillis, asked: bool) -> bool {
    account.fetch_keys(at, Nonce("n".into()), asked).is_some()
}

#[test]
fn the_first_answer_is_verified_by_the_certificate_inside_it() {
    let account = certificates_only(&json!([]));
    assert_eq!(account.keys.preferred(NOW), None);
    let call = account.fetch_keys(NOW, Nonce("n".into()), false).unwrap();
    assert_eq!(call.url, "https://api.mch.weixin.qq.com/v3/certificates");
    assert!(call.headers.iter().all(|(name, _)| name != "wechatpay-serial"));
    let answer = list(&[item(SERIAL_1, CERTIFICATE_1)], PLATFORM_1, SERIAL_1);
    assert_eq!(account.read_keys(&answer, NOW), Ok(1));
    assert!(account.keys.find(SERIAL_1, NOW).is_some());
    assert_eq!(account.keys.preferred(NOW).as_deref(), Some(SERIAL_1));
    assert_eq!(account.certificates().len(), 1);
}

#[test]
fn rotation_keeps_the_old_certificate_beside_the_new() {
    let account = certificates_only(&json!([{ "file": "certificate1" }]));
    let answer = list(&[item(SERIAL_2, CERTIFICATE_2)], PLATFORM_1, SERIAL_1);
    assert_eq!(account.read_keys(&answer, NOW), Ok(2));
    assert!(account.keys.find(SERIAL_1, NOW).is_some() && account.keys.find(SERIAL_2, NOW).is_some());
    assert_eq!(account.keys.preferred(NOW).as_deref(), Some(SERIAL_2), "the one that ends last");
    let ended = NOW.plus_s(11 * 366 * 86_400);
    assert_eq!(account.keys.preferred(ended), None);
    assert!(account.keys.find(SERIAL_1, ended).is_none());
    assert!(account.keys.find(SERIAL_1, UnixMillis(0)).is_none(), "nor before its beginning");
}

#[test]
fn a_download_that_does_not_hold_is_not_adopted() {
    let good = || item(SERIAL_2, CERTIFICATE_2);
    let mut old = list(&[good()], PLATFORM_1, SERIAL_1);
    old.headers = sealed(PLATFORM_1, SERIAL_1, NOW.plus_s(-301), &old.body);
    let mut unsigned = list(&[good()], PLATFORM_1, SERIAL_1);
    unsigned.headers.clear();
    let mut other_key = good();
    other_key["encrypt_certificate"] =
        resource("another7cde1ZJB1kG2e7VfTs3jQzaWi", "", "certificate", CERTIFICATE_2.as_bytes());
    let foreign = include_str!("../../shared/fixtures/certificate.pem");
    let not_named = "the certificate list is not signed by a known or enclosed certificate, or not now";
    let cases = [
        (old, not_named),
        (unsigned, not_named),
        (list(&[good()], PLATFORM_2, SERIAL_1), not_named),
        (list(&[good()], PLATFORM_1, "AA"), not_named),
        (list(&[other_key], PLATFORM_1, SERIAL_1), "a certificate was not encrypted with this account's APIv3 key"),
        (
            list(&[item(SERIAL_1, CERTIFICATE_2)], PLATFORM_1, SERIAL_1),
            "a certificate's serial number is not the one it is listed under",
        ),
        (
            list(&[item(SERIAL_2, foreign)], PLATFORM_1, SERIAL_1),
            "a downloaded certificate was not issued by Tenpay.com",
        ),
        (
            list(&[item(SERIAL_2, "nothing")], PLATFORM_1, SERIAL_1),
            "a downloaded certificate is neither PEM nor base64 of DER",
        ),
        (list(&vec![good(); 17], PLATFORM_1, SERIAL_1), "the certificate list is unreadable"),
        (refusal(401, "SIGN_ERROR"), "the certificate list was answered with HTTP 401"),
        (refusal(404, "RESOURCE_NOT_EXISTS"), "the certificate list was answered with HTTP 404"),
    ];
    let account = certificates_only(&json!([{ "file": "certificate1" }]));
    for (answer, wanted) in cases {
        assert_eq!(account.read_keys(&answer, NOW), Err(wanted.to_owned()));
        assert_eq!(account.certificates().len(), 1, "{wanted}");
    }
}

#[test]
fn downloads_are_due_before_twelve_hours_and_after_an_unknown_serial() {
    let account = certificates_only(&json!([{ "file": "certificate1" }]));
    assert!(asks(&account, NOW, false), "at the start");
    assert!(!asks(&account, NOW.plus_s(59), false), "a try is under way or failed: a minute's rest");
    assert!(asks(&account, NOW.plus_s(60), false));
    assert_eq!(account.read_keys(&list(&[item(SERIAL_1, CERTIFICATE_1)], PLATFORM_1, SERIAL_1), NOW.plus_s(61)), Ok(1));
    assert!(!asks(&account, NOW.plus_s(9 * 3_600), false));
    assert!(asks(&account, NOW.plus_s(9 * 3_600), true), "when asked");
    for _ in 0..10_000 {
        assert!(account.keys.find("UNKNOWN", NOW).is_none());
    }
    assert!(!asks(&account, NOW.plus_s(9 * 3_600 + 1), false), "ten thousand unknown serials: not within a minute");
    assert!(asks(&account, NOW.plus_s(9 * 3_600 + 60), false));
    assert!(!asks(&account, NOW.plus_s(9 * 3_600 + 120), false), "one download for all of them");
    assert!(asks(&account, NOW.plus_s(11 * 3_600), false), "under 12 h after the last adopted one");
}

#[test]
fn the_public_key_mode_downloads_only_when_a_serial_is_unknown() {
    let account = built(&section_without(&["platform_certificates"]), Environment::Production).unwrap();
    assert!(!asks(&account, NOW, false));
    assert!(account.keys.find(SERIAL_1, NOW).is_none());
    assert!(asks(&account, NOW, false), "a migrating merchant still gets certificates' signatures");
    assert_eq!(account.read_keys(&refusal(404, "RESOURCE_NOT_EXISTS"), NOW), Ok(1), "such a merchant has none");
    assert_eq!(account.read_keys(&list(&[], PUBLIC, PUBLIC_ID), NOW), Ok(1), "nor here");
    assert_eq!(account.read_keys(&list(&[item(SERIAL_1, CERTIFICATE_1)], PUBLIC, PUBLIC_ID), NOW), Ok(2));
    assert_eq!(account.keys.preferred(NOW).as_deref(), Some(PUBLIC_ID));
}

#[test]
fn a_real_tenpay_certificate_is_read_and_named_by_its_serial() {
    let vectors = vectors();
    let download = vectors.pointer("/java_cert_download").unwrap();
    let sealed = wire::read::<super::super::wire::Resource>(
        json!({
            "algorithm": "AEAD_AES_256_GCM", "ciphertext": text(download, "/ct"), "nonce": text(download, "/nonce"),
            "associated_data": text(download, "/aad"),
        })
        .to_string()
        .as_bytes(),
    );
    let pem = sign::open(text(download, "/key").as_bytes(), &sealed.unwrap()).unwrap();
    let der = certificates_of(&pem).unwrap().remove(0);
    let certificate = Certificate::read(&der, Environment::Production).unwrap();
    assert_eq!(certificate.serial, text(download, "/serial"));
    assert!(certificate.holds_at(NOW) && !certificate.holds_at(UnixMillis(1_900_000_000_000)));
}

#[test]
fn a_serial_is_hex_without_the_sign_byte() {
    let vectors = vectors();
    use base64::Engine as _;
    let der = base64::engine::general_purpose::STANDARD.decode(text(&vectors, "/go_notify/cert_der")).unwrap();
    let certificate = Certificate::read(&der, Environment::Sandbox).unwrap();
    assert_eq!(certificate.serial, "D7CE59D1F522D701");
    assert_eq!(Certificate::read(&der, Environment::Production).err(), Some(CertificateFault::Issuer));
}
