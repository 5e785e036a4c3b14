//! Sections as rows: what is changed and which faults it gives.

use super::*;
use crate::alipay::testing::{
    ALIPAY_PUBLIC_KEY, APP_KEY, APP_PUBLIC_KEY, certificate_section, key_section, read_options,
};
use serde_json::json;
use tongdao_core::provider::Environment;

fn faults(section: &Value, environment: Environment) -> Vec<OptionFault> {
    read_options(section, environment).err().unwrap_or_default()
}

fn changed(mut section: Value, key: &str, value: Value) -> Value {
    section[key] = value;
    section
}

fn without(mut section: Value, key: &str) -> Value {
    section.as_object_mut().unwrap().remove(key);
    section
}

fn paths(section: &Value) -> Vec<String> {
    faults(section, Environment::Production).into_iter().map(|fault| fault.path).collect()
}

#[test]
fn both_modes_are_read() {
    let by_key = read_options(&key_section(), Environment::Production).unwrap();
    assert!(matches!(by_key.trust, Trust::Key(_)) && by_key.certificate_numbers.is_none());
    assert_eq!(by_key.qr_minutes, 5);
    let by_certificate = read_options(&certificate_section(), Environment::Production).unwrap();
    assert!(matches!(by_certificate.trust, Trust::Certificates(_)));
    assert!(by_certificate.certificate_numbers.is_some() && by_certificate.app_certificate_end.is_some());
    let longer = changed(key_section(), "qr_minutes", json!(30));
    assert_eq!(read_options(&longer, Environment::Production).unwrap().qr_minutes, 30);
}

#[test]
fn keys_come_in_armour_or_bare() {
    let bare = |pem: &str| pem.lines().filter(|line| !line.starts_with("--")).collect::<String>();
    let section = changed(key_section(), "app_private_key", bare(APP_KEY).into());
    let section = changed(section, "alipay_public_key", (bare(ALIPAY_PUBLIC_KEY) + "\n").into());
    assert_eq!(faults(&section, Environment::Production), []);
}

#[test]
fn every_fault_is_listed_at_once() {
    let section = json!({"gateway_url": "ftp://x", "app_id": 5, "seller_id": "2099", "qr_minutes": 0, "colour": "red"});
    assert_eq!(
        paths(&section),
        ["colour", "gateway_url", "app_id", "seller_id", "qr_minutes", "app_private_key", "alipay_public_key"]
    );
    assert_eq!(paths(&json!([])), [""]);
}

#[test]
fn a_wrong_value_is_named() {
    let rows: [(&str, Value); 12] = [
        ("app_id", "".into()),
        ("app_id", "wx5a2d0c4e1f8b7a63".into()),
        ("seller_id", "208800000000000x".into()),
        ("qr_minutes", json!(121)),
        ("qr_minutes", json!(2.5)),
        ("qr_minutes", json!("5m")),
        ("app_private_key", " \n".into()),
        ("app_private_key", "canary".into()),
        ("app_private_key", json!({"file": "a", "colour": "red"})),
        ("app_private_key", json!({"env": "NOWHERE"})),
        ("alipay_public_key", "\t".into()),
        ("alipay_public_key", APP_PUBLIC_KEY.into()),
    ];
    for (key, value) in rows {
        let section = changed(key_section(), key, value.clone());
        assert_eq!(paths(&section), [key], "{key} = {value}");
    }
}

#[test]
fn a_short_key_is_refused() {
    let short = include_str!("../../shared/fixtures/short_pkcs1.pem");
    assert_eq!(paths(&changed(key_section(), "app_private_key", short.into())), ["app_private_key"]);
}

#[test]
fn the_certificate_mode_is_whole_or_refused() {
    for key in CERTIFICATE_KEYS {
        assert_eq!(paths(&without(certificate_section(), key)), [key]);
        assert_eq!(paths(&changed(certificate_section(), key, "canary".into())), [key]);
    }
    let both = changed(certificate_section(), "alipay_public_key", ALIPAY_PUBLIC_KEY.into());
    assert_eq!(paths(&both), ["alipay_public_key"]);
    let foreign = include_str!("../fixtures/keys/merchant_cert.crt");
    assert_eq!(paths(&changed(certificate_section(), "app_cert", foreign.into())), ["app_cert"]);
}

#[test]
fn plain_and_loopback_gateways_are_for_the_sandbox_only() {
    for (url, in_production, in_sandbox) in [
        ("https://openapi.alipay.com/gateway.do", true, true),
        ("https://openapi-sandbox.dl.alipaydev.com/gateway.do", true, true),
        ("http://openapi.alipay.com/gateway.do", false, true),
        ("http://127.0.0.1:9000/gateway.do", false, true),
        ("https://127.0.0.1:9000/gateway.do", false, true),
        ("https://LOCALHOST/gateway.do", false, true),
        ("https://[::1]:9000/gateway.do", false, true),
        ("https://openapi.alipay.com/gateway.do?x=1", false, false),
        ("https://user@openapi.alipay.com/gateway.do", false, false),
        ("https://openapi.alipay.com/a b", false, false),
        ("https://", false, false),
        ("openapi.alipay.com", false, false),
    ] {
        let section = changed(key_section(), "gateway_url", url.into());
        assert_eq!(faults(&section, Environment::Production).is_empty(), in_production, "{url}");
        assert_eq!(faults(&section, Environment::Sandbox).is_empty(), in_sandbox, "{url}");
    }
}

#[test]
fn no_secret_is_in_debug_or_in_a_fault() {
    let key_line = APP_KEY.lines().nth(1).unwrap();
    let broken = APP_KEY.replace("PRIVATE", "PRIVATF");
    let section = changed(key_section(), "app_private_key", broken.into());
    let shown = format!("{:?}", faults(&section, Environment::Production));
    assert!(shown.contains("app_private_key") && !shown.contains(key_line), "{shown}");
    let options = read_options(&key_section(), Environment::Production).unwrap();
    let shown = format!("{options:?} {:?}", options.app_key);
    assert!(!shown.contains(key_line) && shown.contains("app_id"), "{shown}");
}
