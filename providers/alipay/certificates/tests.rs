//! Which certificates get a say, one attempt to sneak one in after another.

use super::*;
use crate::alipay::testing::{ALIPAY_CERT, APP_CERT, NOW, ROOT_CERT};

const NEXT: &str = include_str!("../fixtures/keys/alipay_next_cert.crt");
/// Numbers that openssl and md5sum gave the fixtures.
const NUMBERS: &str = include_str!("../fixtures/keys/numbers.txt");

fn number_by_openssl(file: &str) -> &'static str {
    let row = NUMBERS.lines().find(|row| row.starts_with(&format!("{file} "))).unwrap();
    row.split_whitespace().nth(1).unwrap()
}

fn first(pem: &str) -> Certificate {
    Certificate::read_all(pem.as_bytes()).unwrap().remove(0)
}

fn platform() -> PlatformCertificates {
    let read = |pem: &str| Certificate::read_all(pem.as_bytes()).unwrap();
    PlatformCertificates::new(read(ALIPAY_CERT), read(ROOT_CERT)).unwrap()
}

fn adopt_wanted(pem: &str, now: UnixMillis) -> Result<usize, CertificateFault> {
    let platform = platform();
    assert!(platform.keys(Some(&first(pem).number().unwrap())).is_none(), "it is not known before");
    platform.adopt(pem.as_bytes(), now)
}

#[test]
fn numbers_are_those_of_an_independent_reckoning() {
    assert_eq!(first(APP_CERT).number().unwrap(), number_by_openssl("app_cert.crt"));
    assert_eq!(first(ALIPAY_CERT).number().unwrap(), number_by_openssl("alipay.crt"));
    assert_eq!(first(NEXT).number().unwrap(), number_by_openssl("next.crt"));
    let roots = Certificate::read_all(ROOT_CERT.as_bytes()).unwrap();
    assert_eq!(roots.len(), 2);
    assert_eq!(root_number(&roots).unwrap(), number_by_openssl("root.crt"), "the elliptic root is left out");
    assert_eq!(root_number(&roots[..1]), Err(CertificateFault::NoRsaRoot));
}

#[test]
fn a_renewed_certificate_is_fetched_once_a_minute_and_adopted() {
    let platform = platform();
    let number = number_by_openssl("next.crt");
    assert_eq!(platform.due(NOW), None, "nothing is fetched before a message names it");
    assert!(platform.keys(Some(number)).is_none());
    assert_eq!(platform.due(NOW).as_deref(), Some(number));
    for _ in 0..10_000 {
        assert!(platform.keys(Some(number)).is_none());
    }
    assert_eq!(platform.due(NOW.plus_s(59)), None);
    assert_eq!(platform.due(NOW.plus_s(60)).as_deref(), Some(number));
    assert_eq!(platform.adopt(NEXT.as_bytes(), NOW), Ok(2));
    assert_eq!(platform.keys(Some(number)).unwrap().len(), 1);
    assert_eq!(platform.keys(None).unwrap().len(), 2, "a notice does not name its certificate");
    assert_eq!(platform.due(NOW.plus_s(600)), None);
    assert_eq!(platform.ends().iter().filter(|end| end.used_for == "platform").count(), 2);
}

#[test]
fn a_number_in_a_message_is_only_looked_up() {
    let platform = platform();
    for number in ["../../x.pem", "https://evil.example/cert", "", &"0".repeat(31), &"g".repeat(32)] {
        assert!(platform.keys(Some(number)).is_none(), "{number}");
        assert_eq!(platform.due(NOW), None, "{number}");
    }
}

#[test]
fn a_certificate_that_does_not_prove_itself_is_not_adopted() {
    let cases = [
        ("merchant_cert", include_str!("../fixtures/keys/merchant_cert.crt"), CertificateFault::Holder),
        ("strange_root", include_str!("../fixtures/keys/strange_root_cert.crt"), CertificateFault::Chain),
        ("leaf_issued", include_str!("../fixtures/keys/leaf_issued_cert.crt"), CertificateFault::Chain),
        ("sha1", include_str!("../fixtures/keys/sha1_cert.crt"), CertificateFault::Chain),
    ];
    for (name, pem, fault) in cases {
        assert_eq!(adopt_wanted(pem, NOW), Err(fault), "{name}");
    }
    let (years_before, years_after) = (UnixMillis(1_600_000_000_000), UnixMillis(4_000_000_000_000));
    assert_eq!(adopt_wanted(NEXT, years_before), Err(CertificateFault::Chain));
    assert_eq!(adopt_wanted(NEXT, years_after), Err(CertificateFault::Chain));
    assert_eq!(platform().adopt(NEXT.as_bytes(), NOW), Err(CertificateFault::NotAsked));
    assert_eq!(platform().adopt(b"no certificate", NOW), Err(CertificateFault::Unreadable));
}

#[test]
fn a_chain_without_its_middle_does_not_reach_the_root() {
    let leaf = NEXT.split_inclusive("-----END CERTIFICATE-----").next().unwrap();
    let read = |pem: &str| Certificate::read_all(pem.as_bytes()).unwrap();
    let pinned_leaf_only = read(ALIPAY_CERT)[..1].to_vec();
    let bare = PlatformCertificates::new(pinned_leaf_only, read(ROOT_CERT)).unwrap();
    assert!(bare.keys(Some(number_by_openssl("next.crt"))).is_none());
    assert_eq!(bare.adopt(leaf.as_bytes(), NOW), Err(CertificateFault::Chain));
    assert_eq!(adopt_wanted(leaf, NOW), Ok(2), "the configured file brings the middle");
}

#[test]
fn names_are_escaped_as_rfc_2253_has_it() {
    assert_eq!(escaped("a, b+c\"d\\e<f>g;h=i"), "a\\, b\\+c\\\"d\\\\e\\<f\\>g\\;h=i");
}
