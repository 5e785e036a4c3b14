//! Keys on disk: made once, read again, of the documented names and forms.
//! A restart must find the keys the daemon was configured with, so files are compared across two openings.
//! Must not know: the servers.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::options::UnionpayAccount;

#[test]
fn keys_are_made_once_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Accounts::default();
    let first = Keys::open(dir.path(), &accounts).unwrap();
    let second = Keys::open(dir.path(), &accounts).unwrap();
    let (one, two) = (first.wechatpay("1900000001").unwrap(), second.wechatpay("1900000001").unwrap());
    assert_eq!(one.platform_serial, two.platform_serial);
    assert_eq!(one.api_v3_key, two.api_v3_key);
    assert_eq!(one.platform_serial.len(), 40);
    assert!(two.platform.public().verifies(b"x", &one.platform.sign(b"x")));
    assert!(!two.public_key.public().verifies(b"x", &one.platform.sign(b"x")));
    let mode =
        std::fs::metadata(dir.path().join("wechatpay/1900000001/merchant_key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for name in [
        "app_key.pem",
        "app_public_key.pem",
        "alipay_public_key.pem",
        "alipay_key.pem",
        "app_cert.crt",
        "alipay_cert.crt",
        "root_cert.crt",
    ] {
        assert!(dir.path().join("alipay/2021000000000001").join(name).exists(), "{name}");
    }
}

#[test]
fn the_unionpay_chain_verifies_from_leaf_to_root() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Accounts {
        wechatpay: vec![],
        alipay: vec![],
        unionpay: vec![UnionpayAccount { mer_id: "777290058110001".into() }],
    };
    let keys = Keys::open(dir.path(), &accounts).unwrap();
    let der = |name: &str| {
        rsa::der_of(&std::fs::read_to_string(dir.path().join("unionpay").join(name)).unwrap(), "CERTIFICATE").unwrap()
    };
    let (root, middle, leaf) = (der("root.cer"), der("middle.cer"), der("leaf.pem"));
    let (_, root) = x509_parser::parse_x509_certificate(&root).unwrap();
    let (_, middle) = x509_parser::parse_x509_certificate(&middle).unwrap();
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    assert!(leaf.verify_signature(Some(middle.public_key())).is_ok());
    assert!(middle.verify_signature(Some(root.public_key())).is_ok());
    let name = leaf.subject().iter_common_name().next().unwrap().as_str().unwrap();
    assert_eq!(name, "041@sandbox@00040000:SIGN@00000001");
    assert!(keys.unionpay("777290058110001").unwrap().cert_id.parse::<u64>().is_ok());
}
