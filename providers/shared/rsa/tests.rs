//! Reading of keys in every form, refusal of all others, and signatures against values made by others.

use super::*;

const PKCS8: &[u8] = include_bytes!("../fixtures/pkcs8.pem");
const PKCS1: &[u8] = include_bytes!("../fixtures/pkcs1.pem");
const PUBLIC: &[u8] = include_bytes!("../fixtures/public.pem");
const CERTIFICATE: &[u8] = include_bytes!("../fixtures/certificate.pem");

fn bare(pem: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(pem).unwrap();
    let body: Vec<&str> = text.lines().filter(|line| !line.starts_with("-----")).collect();
    body.join("\n").into_bytes()
}

#[test]
fn a_private_key_is_read_in_each_of_its_forms() {
    let by_pkcs8 = SigningKey::read(PKCS8).unwrap().sign_sha256(b"source").unwrap();
    for form in [PKCS1.to_vec(), bare(PKCS8), bare(PKCS1), [b"comment\r\n", PKCS8].concat()] {
        assert_eq!(SigningKey::read(&form).unwrap().sign_sha256(b"source").unwrap(), by_pkcs8);
    }
}

#[test]
fn a_public_key_is_read_in_each_of_its_forms() {
    let signature = SigningKey::read(PKCS8).unwrap().sign_sha256(b"source").unwrap();
    let certificate = pem_blocks(CERTIFICATE).unwrap().remove(0);
    assert_eq!(certificate.label, "CERTIFICATE");
    for key in [
        VerifyingKey::read_spki(PUBLIC).unwrap(),
        VerifyingKey::read_spki(&bare(PUBLIC)).unwrap(),
        VerifyingKey::from_certificate_der(&certificate.der).unwrap(),
        SigningKey::read(PKCS1).unwrap().verifying_key().unwrap(),
    ] {
        assert!(key.verify_sha256(b"source", &signature));
        assert!(!key.verify_sha256(b"source ", &signature));
        assert!(!key.verify_sha256(b"source", &signature[1..]));
        assert!(!key.verify_sha256(b"source", b""));
        for position in [0, 100, 255] {
            let mut bent = signature.clone();
            bent[position] ^= 1;
            assert!(!key.verify_sha256(b"source", &bent), "bit of byte {position}");
        }
    }
}

#[test]
fn a_key_under_2048_bits_is_refused() {
    let private = include_bytes!("../fixtures/short_pkcs1.pem");
    assert_eq!(SigningKey::read(private).err(), Some(KeyFault::TooShort));
    assert_eq!(VerifyingKey::read_spki(include_bytes!("../fixtures/short_public.pem")).err(), Some(KeyFault::TooShort));
}

#[test]
fn what_is_no_key_is_named_and_refused() {
    let cases: [(&[u8], KeyFault); 7] = [
        (b"", KeyFault::Encoding),
        (b"not base64!", KeyFault::Encoding),
        (b"\xff\xfe", KeyFault::Encoding),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA", KeyFault::Encoding),
        (b"AAAA", KeyFault::NotRsa),
        (include_bytes!("../fixtures/encrypted.pem"), KeyFault::Label),
        (include_bytes!("../fixtures/ec.pem"), KeyFault::NotRsa),
    ];
    for (bytes, fault) in cases {
        assert_eq!(SigningKey::read(bytes).err(), Some(fault), "{:?}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(VerifyingKey::read_spki(PKCS8).err(), Some(KeyFault::Label), "a private key is no public key");
    assert_eq!(VerifyingKey::from_certificate_der(b"x").err(), Some(KeyFault::NotCertificate));
}

#[test]
fn a_private_key_prints_as_stars() {
    assert_eq!(format!("{:?}", SigningKey::read(PKCS8).unwrap()), "SigningKey(***)");
}
