//! Whose certificate is believed: the published ones, an own chain, and its forged and unfit siblings.

use super::*;
use crate::unionpay::testing::{NOW, fixture, vectors};

fn anchors(environment: Environment) -> Trust {
    let der = |name: &str| single_certificate(&fixture(name)).unwrap();
    Trust::new(der("root.pem"), der("middle.pem"), environment).unwrap()
}

fn published(root: &str, environment: Environment) -> Trust {
    let all = vectors();
    let der = |part: &str| {
        let name = format!("{root}_{part}");
        single_certificate(all["anchors"][&name].as_str().unwrap().as_bytes()).unwrap()
    };
    Trust::new(der("root"), der("middle"), environment).unwrap()
}

fn published_certificate(name: &str, inside: &str) -> String {
    let all = vectors();
    let found = all["vectors"].as_array().unwrap().iter().find(|vector| vector["name"] == name).unwrap().clone();
    found.pointer(inside).unwrap().as_str().unwrap().to_owned()
}

fn pem(name: &str) -> String {
    String::from_utf8(fixture(name)).unwrap()
}

/// Midnight UTC of a first of January.
fn january(year: i64) -> UnixMillis {
    UnixMillis((year - 1970) * 31_556_952_000)
}

#[test]
fn only_unionpays_own_certificate_below_the_anchors_is_believed() {
    let rows = [
        ("leaf.pem", Ok(()), "the control"),
        ("leaf_sha1.pem", Ok(()), "CFCA signs with SHA-1"),
        ("leaf_sha512.pem", Err(Untrusted::Chain), "an algorithm that CFCA does not use"),
        ("leaf_sandbox.pem", Err(Untrusted::Holder), "the test name in production"),
        ("merchant.pem", Err(Untrusted::Holder), "a merchant's certificate of the same issuer"),
        ("leaf_crafty.pem", Err(Untrusted::Holder), "the name in other places"),
        ("leaf_expired.pem", Err(Untrusted::Dates), "expired"),
        ("evil_leaf.pem", Err(Untrusted::Chain), "a whole chain with the same names"),
        ("evil_selfsigned.pem", Err(Untrusted::Chain), "signed by itself"),
        ("evil_issued_by_merchant.pem", Err(Untrusted::Chain), "issued by a merchant's certificate"),
        ("middle.pem", Err(Untrusted::Chain), "the issuer itself"),
        ("root.pem", Err(Untrusted::Chain), "the root itself"),
    ];
    let trust = anchors(Environment::Production);
    for (name, want, why) in rows {
        assert_eq!(trust.key_in(&pem(name), NOW).map(|_| ()), want, "{name}: {why}");
        assert_eq!(trust.key_in(&pem(name), NOW).map(|_| ()), want, "{name} again: {why}");
    }
}

#[test]
fn the_test_name_is_taken_in_the_sandbox_only_and_the_production_name_in_both() {
    let sandbox = anchors(Environment::Sandbox);
    assert!(sandbox.key_in(&pem("leaf_sandbox.pem"), NOW).is_ok());
    assert!(sandbox.key_in(&pem("leaf.pem"), NOW).is_ok());
    assert_eq!(sandbox.key_in(&pem("merchant.pem"), NOW).unwrap_err(), Untrusted::Holder);
}

#[test]
fn the_published_production_certificate_holds_while_it_was_valid() {
    let leaf = published_certificate("PRODUCTION signing certificate 2015-2020, chain and CN", "/cert");
    for environment in [Environment::Production, Environment::Sandbox] {
        let trust = published("prod", environment);
        assert_eq!(trust.key_in(&leaf, january(2015)).unwrap_err(), Untrusted::Dates);
        assert!(trust.key_in(&leaf, january(2018)).is_ok());
        assert_eq!(trust.key_in(&leaf, january(2021)).unwrap_err(), Untrusted::Dates, "also when it is remembered");
        assert_eq!(published("test", environment).key_in(&leaf, january(2018)).unwrap_err(), Untrusted::Chain);
    }
    let (_, parsed) = x509_parser::parse_x509_certificate(&single_certificate(leaf.as_bytes()).unwrap())
        .map(|(rest, certificate)| (rest.len(), holder_of(&certificate).unwrap().to_vec()))
        .unwrap();
    assert_eq!(parsed, "中国银联股份有限公司".as_bytes());
}

#[test]
fn the_published_test_certificates_follow_the_same_rules() {
    let test_name = published_certificate("front notify with token data", "/fields/signPubKeyCert");
    let production_name = published_certificate("back notify", "/fields/signPubKeyCert");
    let merchant = published_certificate("merchant request, signMethod 01", "/cert");
    let (sandbox, production) = (published("test", Environment::Sandbox), published("test", Environment::Production));
    assert!(sandbox.key_in(&test_name, january(2017)).is_ok(), "its name is a T61 string");
    assert_eq!(production.key_in(&test_name, january(2017)).unwrap_err(), Untrusted::Holder);
    assert!(sandbox.key_in(&production_name, january(2022)).is_ok());
    assert_eq!(sandbox.key_in(&merchant, january(2022)).unwrap_err(), Untrusted::Holder);
    let der = single_certificate(merchant.as_bytes()).unwrap();
    assert_eq!(decimal_serial(&der).unwrap(), "69903319369");
    let holder = holder_of(&parsed(&der).unwrap()).unwrap().to_vec();
    assert_eq!(holder, b"700000000000001:SIGN", "a T61 string is read as bytes");
}

#[test]
fn what_is_not_exactly_one_certificate_is_refused() {
    let two = format!("{}{}", pem("leaf.pem"), pem("evil_leaf.pem"));
    let key = pem("leaf.key");
    let junk = [
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://evil.example/c.pem",
        "-----BEGIN CERTIFICATE-----",
        &two,
        &key,
    ];
    for text in junk {
        let refused = anchors(Environment::Production).key_in(text, NOW).unwrap_err();
        assert_eq!(refused, Untrusted::NotCertificate, "{text}");
    }
    let der = single_certificate(&fixture("root.pem")).unwrap();
    assert_eq!(single_certificate(&der), Ok(der.clone()), "a .cer may be bare DER");
    assert_eq!(single_certificate(&[der, vec![0]].concat()), Err(Untrusted::NotCertificate));
}

#[test]
fn carriage_returns_and_a_missing_last_line_end_do_not_matter() {
    let trust = anchors(Environment::Production);
    let crlf = pem("leaf.pem").replace('\n', "\r\n");
    assert!(trust.key_in(&crlf, NOW).is_ok());
    assert!(trust.key_in(crlf.trim_end(), NOW).is_ok());
    assert_eq!(trust.believed().len(), 1, "one certificate, whatever its line ends");
}

#[test]
fn strangers_are_not_remembered_and_the_memory_is_bounded() {
    let trust = anchors(Environment::Production);
    assert!(trust.key_in(&pem("leaf.pem"), NOW).is_ok());
    for _ in 0..40 {
        assert!(trust.key_in(&pem("evil_leaf.pem"), NOW).is_err());
        assert!(trust.key_in(&pem("merchant.pem"), NOW).is_err());
    }
    assert_eq!(trust.believed().len(), 1);
    for byte in 0..40 {
        let key = VerifyingKey::from_certificate_der(&single_certificate(&fixture("leaf.pem")).unwrap()).unwrap();
        trust.remember(Believed { fingerprint: [byte; 32], key, holds: trust.anchors_hold });
    }
    assert_eq!(trust.believed().len(), BELIEVED_MAX);
}

#[test]
fn anchors_that_do_not_belong_together_are_refused() {
    let der = |name: &str| single_certificate(&fixture(name)).unwrap();
    let rows = [
        ("root.pem", "evil_middle.pem", "a middle of another root with the same name"),
        ("evil_root.pem", "middle.pem", "the other way round"),
        ("middle.pem", "leaf.pem", "not a root"),
        ("root.pem", "leaf.pem", "not an issuer"),
        ("root.pem", "merchant.pem", "not an issuer"),
        ("evil_selfsigned.pem", "middle.pem", "signs itself but is no issuer"),
    ];
    for (root, middle, why) in rows {
        let refused = Trust::new(der(root), der(middle), Environment::Sandbox).map(|_| ());
        assert_eq!(refused, Err(Untrusted::Chain), "{why}");
    }
    assert!(Trust::new(der("evil_root.pem"), der("evil_middle.pem"), Environment::Sandbox).is_ok());
}

#[test]
fn the_ends_of_all_certificates_in_use_are_told() {
    let trust = anchors(Environment::Production);
    let words = |trust: &Trust| trust.ends().iter().map(|end| end.used_for).collect::<Vec<_>>();
    assert_eq!(words(&trust), ["root", "middle"]);
    assert!(trust.key_in(&pem("leaf.pem"), NOW).is_ok());
    assert_eq!(words(&trust), ["root", "middle", "platform"]);
    assert!(trust.ends().iter().all(|end| end.not_after > january(2119)));
    assert!(is_of_test_hierarchy(&published("test", Environment::Sandbox).root));
    assert!(!is_of_test_hierarchy(&published("prod", Environment::Sandbox).root));
}
