//! The section: what is taken, what is refused, all faults at once, no secret in any message.

use super::super::stage::{Drawer, built, section, section_without};
use super::*;
use serde_json::json;
use tongdao_core::provider::BuildInput;

fn faults(section: &Value, environment: Environment) -> Vec<(String, String)> {
    let read = read(BuildInput { section, environment, secrets: &Drawer });
    read.err().unwrap_or_default().into_iter().map(|fault| (fault.path, fault.message)).collect()
}

fn with(key: &str, value: Value) -> Value {
    let mut section = section();
    section[key] = value;
    section
}

#[test]
fn a_full_section_is_taken_in_each_mode() {
    for without in [&[][..], &["backup_base_url"], &["platform_certificates"], &["public_key_id", "public_key"]] {
        assert_eq!(faults(&section_without(without), Environment::Production), [], "{without:?}");
    }
    let account = built(&section(), Environment::Production).unwrap();
    assert_eq!(account.options.backup_base_url.as_deref(), Some("https://api2.mch.weixin.qq.com"));
    assert_eq!(account.options.merchant_serial, "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB");
    assert_eq!(account.options.api_v3_key.bytes().len(), 32, "the file's line feed is no part of the key");
}

#[test]
fn an_empty_list_of_certificates_chooses_the_download() {
    let mut section = section_without(&["public_key_id", "public_key"]);
    section["platform_certificates"] = json!([]);
    assert_eq!(faults(&section, Environment::Production), []);
}

#[test]
fn all_faults_are_listed_at_once() {
    let section = json!({
        "base_url": "ftp://x", "mch_id": 1900, "merchant_serial": "xyz", "colour": 1,
        "merchant_private_key": { "file": "short.key" }, "api_v3_key": { "file": "blank" },
    });
    let found = faults(&section, Environment::Production);
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "colour",
            "base_url",
            "app_id",
            "mch_id",
            "merchant_serial",
            "merchant_private_key",
            "api_v3_key",
            "public_key"
        ]
    );
    assert_eq!(found[6].1, "is blank", "and not only too short");
    assert_eq!(faults(&json!([]), Environment::Production)[0].1, "must be a table");
}

#[test]
fn each_fault_is_named_where_it_stands() {
    let rows = [
        (with("app_id", json!("wx 1")), "app_id"),
        (with("app_id", json!("")), "app_id"),
        (with("mch_id", json!("19a")), "mch_id"),
        (with("merchant_private_key", json!({ "file": "public" })), "merchant_private_key"),
        (with("merchant_private_key", json!({ "file": "nowhere" })), "merchant_private_key"),
        (with("merchant_private_key", json!({ "file": "merchant.key", "mode": 1 })), "merchant_private_key"),
        (with("api_v3_key", json!({ "file": "public" })), "api_v3_key"),
        (with("api_v3_key", json!("canary-31-bytes-long-and-too-sho")), ""),
        (with("api_v3_key", json!("canary-too-short")), "api_v3_key"),
        (with("api_v3_key", json!("canary-33-bytes-long-and-too-long")), "api_v3_key"),
        (with("public_key_id", json!("5DEA10EF")), "public_key_id"),
        (with("public_key_id", json!("PUB_KEY_ID_")), "public_key_id"),
        (section_without(&["public_key_id"]), "public_key_id"),
        (section_without(&["public_key"]), "public_key"),
        (with("public_key", json!({ "file": "merchant.key" })), "public_key"),
        (with("platform_certificates", json!({})), "platform_certificates"),
        (with("platform_certificates", json!([{ "file": "public" }])), "platform_certificates[0]"),
        (with("platform_certificates", json!([{ "file": "foreign-certificate" }])), "platform_certificates[0]"),
        (with("backup_base_url", json!("https://api2.mch.weixin.qq.com/other")), "backup_base_url"),
    ];
    for (section, path) in rows {
        let found = faults(&section, Environment::Production);
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        let wanted: &[&str] = if path.is_empty() { &[] } else { &[path] };
        assert_eq!(paths, wanted, "{found:?}");
        assert!(found.iter().all(|(_, message)| !message.contains("canary")), "{found:?}");
    }
}

#[test]
fn the_merchants_own_public_key_is_not_wechats() {
    let found = faults(&with("public_key", json!({ "file": "merchant-public" })), Environment::Production);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, "is the merchant's own public key; WeChat Pay's is wanted");
}

#[test]
fn this_machine_and_plain_http_are_for_the_sandbox_only() {
    let local = [
        "http://127.0.0.1:9000",
        "https://127.0.0.1",
        "https://localhost:1",
        "https://a.localhost",
        "https://[::1]:9",
        "https://0.0.0.0",
        "https://[::ffff:127.0.0.1]",
        "http://api.mch.weixin.qq.com",
    ];
    for url in local {
        let section = {
            let mut s = section_without(&["backup_base_url"]);
            s["base_url"] = json!(url);
            s
        };
        assert_eq!(faults(&section, Environment::Production).len(), 1, "{url}");
        assert_eq!(faults(&section, Environment::Sandbox), [], "{url}");
    }
    let odd = ["https://", "https://u@h", "https://h?a=1", "https://h/#x", "api.mch.weixin.qq.com", "https://h/a b"];
    for url in odd {
        let section = with("base_url", json!(url));
        assert!(faults(&section, Environment::Sandbox).iter().any(|(path, _)| path == "base_url"), "{url}");
    }
}

#[test]
fn a_certificate_of_another_issuer_is_taken_in_the_sandbox_only() {
    let section = with("platform_certificates", json!([{ "file": "foreign-certificate" }]));
    assert_eq!(faults(&section, Environment::Sandbox), []);
    assert_eq!(faults(&section, Environment::Production)[0].1, "was not issued by Tenpay.com");
}

#[test]
fn nothing_secret_is_printed() {
    let account = built(&section(), Environment::Production).unwrap();
    assert_eq!(format!("{account:?}"), "WechatPay(mch_id 1900007291, app_id wxd678efh567hg6787)");
}
