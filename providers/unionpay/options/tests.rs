//! The section: what is taken, what is refused, all faults at once, no secret in any message.

use super::*;
use crate::unionpay::testing::{MER_ID, NOW, account, fixture, keyed_section, section, try_build, vectors};
use crate::unionpay::{REGISTRATION, UnionPay};
use serde_json::json;
use tongdao_core::provider::{Provider as _, Scene};

/// The section with one key changed, or removed by null.
fn changed(key: &str, value: Value) -> Value {
    let mut section = section();
    let table = section.as_object_mut().unwrap();
    if value.is_null() {
        table.remove(key)
    } else {
        table.insert(key.into(), value)
    };
    section
}

fn faults(section: &Value, environment: Environment) -> Vec<String> {
    match try_build(section, environment) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.into_iter().map(|fault| format!("{} {}", fault.path, fault.message)).collect(),
    }
}

fn only_fault(section: &Value) -> String {
    let found = faults(section, Environment::Production);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

fn built(section: &Value) -> UnionPay {
    try_build(section, Environment::Production).unwrap()
}

#[test]
fn the_documented_section_is_an_account() {
    let account = account();
    assert_eq!((account.account(), account.id().as_str()), (MER_ID, "unionpay"));
    assert!(!account.capabilities().closes);
    assert_eq!(account.capabilities().scenes, [Scene::Qr, Scene::H5, Scene::Web, Scene::App]);
    assert_eq!((account.capabilities().first_query_ms)(Scene::Web), 30_000);
    assert_eq!(account.capabilities().end_margin_ms, 60_000);
    let used: Vec<&str> = account.certificates().iter().map(|end| end.used_for).collect();
    assert_eq!(used, ["root", "middle", "merchant"]);
    assert!(account.certificates().iter().all(|end| end.not_after > NOW));
    let mut bare = section();
    bare.as_object_mut().unwrap().remove("file_url");
    assert!(faults(&bare, Environment::Production).is_empty());
}

#[test]
fn all_faults_are_told_at_once() {
    let section = json!({
        "front_url": "ftp://x", "app_url": 1, "mer_id": "no-dash", "pay_timeout_minutes": 0, "refund_biz_type": "x",
        "sign_cert": { "file": "absent.pfx" }, "root_cert": { "env": " \n" }, "surprise": true,
    });
    let found = faults(&section, Environment::Production);
    let paths: Vec<&str> = found.iter().map(|fault| fault.split(' ').next().unwrap()).collect();
    let want = [
        "surprise",
        "front_url",
        "app_url",
        "back_url",
        "query_url",
        "mer_id",
        "sign_cert",
        "root_cert",
        "middle_cert",
        "pay_timeout_minutes",
        "refund_biz_type",
    ];
    assert_eq!(paths, want, "{found:#?}");
    assert_eq!(only_fault(&changed("base_url", json!("https://x.example"))).split(' ').next(), Some("base_url"));
    assert!(faults(&json!([]), Environment::Production).iter().any(|fault| fault.contains("must be a table")));
}

#[test]
fn every_file_form_of_the_merchants_key_gives_the_same_certificate_number() {
    let rows = [
        json!({ "file": "merchant.pfx", "password": { "env": "000000" } }),
        json!({ "file": "merchant.pfx", "password": { "env": "000000\r\n" } }),
        json!({ "file": "merchant_legacy.pfx", "password": { "env": "000000" } }),
        json!({ "file": "merchant_key_and_certificate.pem" }),
    ];
    for row in rows {
        let Keys::Certificate { cert_id, .. } = built(&changed("sign_cert", row.clone())).options.keys else {
            panic!()
        };
        assert_eq!(cert_id, "68759663125", "{row}");
    }
}

#[test]
fn a_key_that_cannot_sign_for_its_certificate_is_refused() {
    let rows = [
        (json!({ "file": "merchant.pfx" }), "wrong password"),
        (json!({ "file": "merchant.pfx", "password": { "env": "111111" } }), "wrong password"),
        (json!({ "file": "merchant.pfx", "password": { "env": " " } }), "sign_cert.password is blank"),
        (json!({ "file": "leaf.key" }), "PEM"),
        (json!({ "file": "leaf.pem" }), "PEM"),
        (json!({ "file": "nothing.pem" }), "cannot read"),
        (json!(7), "must be"),
    ];
    for (value, why) in rows {
        let fault = only_fault(&changed("sign_cert", value.clone()));
        let named = fault.contains(why) || (why == "PEM" && fault.starts_with("sign_cert "));
        assert!(named, "{value}: {fault}");
    }
    let mixed = String::from_utf8([fixture("leaf.key"), fixture("merchant.pem")].concat()).unwrap();
    let fault = only_fault(&changed("sign_cert", json!(mixed)));
    assert!(fault.contains("no certificate of its private key"), "{fault}");
}

#[test]
fn addresses_of_this_machine_and_of_the_test_system_are_taken_in_the_sandbox_only() {
    let rows = [
        "http://gateway.95516.com/x",
        "https://127.0.0.1:9000/x",
        "http://127.0.0.1:9000/x",
        "https://localhost/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://0.0.0.0/x",
        "https://gateway.test.95516.com/x",
    ];
    for url in rows {
        assert!(faults(&changed("back_url", json!(url)), Environment::Sandbox).is_empty(), "{url}");
        assert!(only_fault(&changed("back_url", json!(url))).starts_with("back_url "), "{url}");
    }
    for url in
        ["https://user@x.example/", "https://x.example/?a=1", "https:///x", "file:///x", "", "https://x.example/ x"]
    {
        assert_eq!(faults(&changed("query_url", json!(url)), Environment::Sandbox).len(), 1, "{url}");
    }
}

#[test]
fn test_certificates_never_stand_in_production() {
    let all = vectors();
    let anchored = |name: &str| {
        let mut section = changed("root_cert", all["anchors"][format!("{name}_root")].clone());
        section["middle_cert"] = all["anchors"][format!("{name}_middle")].clone();
        section
    };
    assert!(faults(&anchored("prod"), Environment::Production).is_empty());
    assert!(faults(&anchored("test"), Environment::Sandbox).is_empty());
    assert_eq!(faults(&anchored("test"), Environment::Production).len(), 2, "root and middle are named");
}

#[test]
fn anchors_that_do_not_belong_together_are_refused() {
    let fault = only_fault(&changed("middle_cert", json!({ "file": "evil_middle.pem" })));
    assert!(fault.contains("was not issued by root_cert"), "{fault}");
    assert!(only_fault(&changed("root_cert", json!({ "file": "leaf.key" }))).starts_with("root_cert "));
}

#[test]
fn a_method_has_its_own_keys_and_no_blank_one() {
    for method in ["11", "12"] {
        assert!(built(&keyed_section(method)).certificates().is_empty());
        for blank in ["", " \n"] {
            let mut section = keyed_section(method);
            section["secure_key"] = json!({ "env": blank });
            assert_eq!(only_fault(&section), "secure_key is blank");
        }
        let mut section = keyed_section(method);
        section.as_object_mut().unwrap().remove("secure_key");
        assert!(only_fault(&section).starts_with("secure_key is missing"));
        let mut section = keyed_section(method);
        section["sign_cert"] = json!({ "file": "merchant.pfx" });
        assert!(only_fault(&section).starts_with("sign_cert belongs"));
    }
    assert!(only_fault(&changed("secure_key", json!({ "env": "k" }))).starts_with("secure_key belongs"));
    assert!(only_fault(&changed("sign_method", json!("02"))).starts_with("sign_method must be"));
}

#[test]
fn the_timeout_is_configurable_within_bounds() {
    assert_eq!(built(&section()).options.pay_timeout_minutes, 5);
    assert_eq!(built(&changed("pay_timeout_minutes", json!(30))).options.pay_timeout_minutes, 30);
    for bad in [json!(0), json!(-5), json!(121), json!(1.5), json!("5")] {
        assert!(only_fault(&changed("pay_timeout_minutes", bad.clone())).starts_with("pay_timeout_minutes "), "{bad}");
    }
}

#[test]
fn no_secret_is_printed_by_an_account_or_a_fault() {
    let mut section = keyed_section("11");
    let printed = format!("{:?}", built(&section));
    assert!(printed.contains("***") && !printed.contains("canary"), "{printed}");
    section["mer_id"] = json!("no-dash");
    assert!(!faults(&section, Environment::Production).concat().contains("canary"));
    let fault = only_fault(&changed("sign_cert", json!({ "file": "merchant.pfx", "password": { "env": "canary" } })));
    assert!(!fault.contains("canary"), "{fault}");
}

#[test]
fn the_registration_builds_what_the_section_says() {
    let section = section();
    let input = BuildInput {
        section: &section,
        environment: Environment::Production,
        secrets: &crate::unionpay::testing::Fixtures,
    };
    let provider = (REGISTRATION.build)(input).unwrap();
    assert_eq!(provider.id().as_str(), REGISTRATION.id);
}
