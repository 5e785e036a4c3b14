//! The published messages, requests and digests, and what breaks a signature.

use super::*;
use crate::shared::rsa::VerifyingKey;
use crate::unionpay::certificates::single_certificate;
use crate::unionpay::testing::{NOW, fields_of, fixture, frame, seal, seal_keyed, vectors, with};
use crate::unionpay::wire::{beijing, read_txn_time};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use proptest::prelude::*;
use serde_json::Value;
use std::io::Read as _;
use tongdao_core::provider::Environment;

fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key].as_str().unwrap_or_default()
}

/// Vectors of one kind; `from` of them, so that a lost one is noticed.
fn of_kind(kind: &str, count: usize) -> Vec<Value> {
    let all = vectors()["vectors"].as_array().unwrap().clone();
    let found: Vec<Value> = all.into_iter().filter(|vector| text(vector, "kind") == kind).collect();
    assert_eq!(found.len(), count, "{kind}");
    found
}

fn test_anchors(environment: Environment) -> Trust {
    let all = vectors();
    let der = |name: &str| single_certificate(all["anchors"][name].as_str().unwrap().as_bytes()).unwrap();
    Trust::new(der("test_root"), der("test_middle"), environment).unwrap()
}

fn certificate_keys(trust: Trust) -> Keys {
    let key = SigningKey::read(&fixture("merchant_key_and_certificate.pem")).unwrap();
    Keys::Certificate { key, cert_id: "68759663125".into(), not_after: None, trust }
}

fn fixture_keys() -> Keys {
    let der = |name: &str| single_certificate(&fixture(name)).unwrap();
    certificate_keys(Trust::new(der("root.pem"), der("middle.pem"), Environment::Production).unwrap())
}

#[test]
fn published_messages_verify_below_the_published_test_root() {
    let keys = certificate_keys(test_anchors(Environment::Sandbox));
    let mut seen = 0;
    for vector in of_kind("rsa", 6) {
        let fields = fields_of(&vector["fields"]);
        if !fields.contains_key("signPubKeyCert") {
            continue;
        }
        let at = read_txn_time(&fields["txnTime"]).unwrap();
        assert_eq!(keys.verify(&fields, at), Ok(()), "{}", text(&vector, "name"));
        let tampered = with(fields.clone(), "merId=777290058000000");
        assert_eq!(keys.verify(&tampered, at), Err(Forged::Signature), "{}", text(&vector, "name"));
        let later = at.plus_s(20 * 365 * 86_400);
        assert_eq!(keys.verify(&fields, later), Err(Forged::Certificate(Untrusted::Dates)), "{}", beijing(later));
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn published_requests_have_the_signed_text_and_the_signature_of_this_reading() {
    let mut seen = 0;
    for vector in of_kind("rsa", 6) {
        let fields = fields_of(&vector["fields"]);
        if fields.contains_key("signPubKeyCert") {
            continue;
        }
        let der = single_certificate(text(&vector, "cert").as_bytes()).unwrap();
        let digest = link_digest(&fields);
        let wanted = text(&vector, "sha256_of_link");
        assert!(wanted.is_empty() || wanted == digest, "{}", text(&vector, "name"));
        let signature = STANDARD.decode(&fields["signature"]).unwrap();
        let holds = VerifyingKey::from_certificate_der(&der).unwrap().verify_sha256(digest.as_bytes(), &signature);
        assert_eq!(holds, vector["valid"].as_bool().unwrap(), "{}", text(&vector, "name"));
        let serial = super::super::certificates::decimal_serial(&der).unwrap();
        assert_eq!(serial, fields["certId"]);
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn a_genuine_signature_of_version_5_0_0_is_no_signature_here() {
    for vector in of_kind("rsa_sha1", 1) {
        let fields = fields_of(&vector["fields"]);
        let der = single_certificate(text(&vector, "cert").as_bytes()).unwrap();
        let signature = STANDARD.decode(&fields["signature"]).unwrap();
        let hex: String = digest(&SHA1_FOR_LEGACY_USE_ONLY, link(&fields).as_bytes())
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        let spki = parsed.public_key().subject_public_key.data.to_vec();
        let old = UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, spki);
        assert!(old.verify(hex.as_bytes(), &signature).is_ok(), "the vector is genuine under the old rules");
        let key = VerifyingKey::from_certificate_der(&der).unwrap();
        assert!(!key.verify_sha256(link_digest(&fields).as_bytes(), &signature));
    }
}

#[test]
fn published_keyed_signatures_are_reproduced() {
    for vector in of_kind("keyed", 2) {
        let fields = fields_of(&vector["fields"]);
        let digest = if fields["signMethod"] == "11" { Keyed::Sha256 } else { Keyed::Sm3 };
        assert_eq!(keyed_digest(digest, &fields, text(&vector, "secret").as_bytes()), fields["signature"]);
    }
    for vector in of_kind("sm3", 1) {
        assert_eq!(hex_digest::<Sm3>(text(&vector, "plain").as_bytes()), text(&vector, "digest"));
    }
}

#[test]
fn the_published_file_encoding_is_base64_of_zlib() {
    for vector in of_kind("deflate", 1) {
        let packed = STANDARD.decode(text(&vector, "encoded")).unwrap();
        let mut plain = String::new();
        flate2::read::ZlibDecoder::new(packed.as_slice()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, text(&vector, "plain"));
    }
}

#[test]
fn what_is_signed_by_certificate_verifies_with_it_and_carries_the_decimal_serial() {
    let fields = with(frame(), "certId= signMethod=").into_iter().chain([("empty".into(), String::new())]).collect();
    let signed = fixture_keys().sign(fields).unwrap();
    assert_eq!((signed["certId"].as_str(), signed["signMethod"].as_str()), ("68759663125", "01"));
    assert!(!signed.contains_key("empty"), "empty fields are not sent");
    let der = single_certificate(&fixture("merchant.pem")).unwrap();
    let signature = STANDARD.decode(&signed["signature"]).unwrap();
    let key = VerifyingKey::from_certificate_der(&der).unwrap();
    assert!(key.verify_sha256(link_digest(&signed).as_bytes(), &signature));
    assert!(!key.verify_sha256(link(&signed).as_bytes(), &signature), "it is hashed twice");
}

#[test]
fn another_method_than_the_configured_one_is_refused_whatever_its_signature() {
    let by_certificate = fixture_keys();
    let keyed = Keys::Keyed { digest: Keyed::Sha256, secure_key: Secret::new(b"k".to_vec()) };
    let (sealed, sealed_keyed) = (seal(frame()), seal_keyed(frame(), "k"));
    assert_eq!(by_certificate.verify(&sealed, NOW), Ok(()));
    assert_eq!(keyed.verify(&sealed_keyed, NOW), Ok(()));
    assert_eq!(by_certificate.verify(&sealed_keyed, NOW), Err(Forged::Method));
    assert_eq!(keyed.verify(&sealed, NOW), Err(Forged::Method));
    for empty_key in ["", " "] {
        assert_eq!(by_certificate.verify(&seal_keyed(frame(), empty_key), NOW), Err(Forged::Method));
        assert_eq!(keyed.verify(&seal_keyed(frame(), empty_key), NOW), Err(Forged::Signature));
    }
}

#[test]
fn a_message_without_a_signature_or_certificate_is_refused() {
    let keys = fixture_keys();
    let sealed = seal(frame());
    for missing in ["signature", "signMethod", "signPubKeyCert"] {
        assert_eq!(keys.verify(&with(sealed.clone(), &format!("{missing}=")), NOW), Err(Forged::Unsigned), "{missing}");
        let mut empty = sealed.clone();
        empty.insert(missing.into(), String::new());
        assert_eq!(keys.verify(&empty, NOW), Err(Forged::Unsigned), "{missing}");
    }
    for junk in ["AAAA", "****", "%2B", &"A".repeat(344)] {
        let forged = with(sealed.clone(), &format!("signature={junk}"));
        assert_eq!(keys.verify(&forged, NOW), Err(Forged::Signature), "{junk}");
    }
}

#[test]
fn neither_key_nor_secret_is_printed() {
    let keyed = Keys::Keyed { digest: Keyed::Sm3, secure_key: Secret::new(b"canary".to_vec()) };
    assert!(!format!("{keyed:?}").contains("canary"));
    let printed = format!("{:?}", fixture_keys());
    assert!(printed.contains("***") && !printed.contains("MII"), "{printed}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_change_of_a_signed_field_breaks_both_kinds_of_signature(
        place in any::<prop::sample::Index>(), letter in "[a-zA-Z0-9]", added in any::<bool>()
    ) {
        let keyed = Keys::Keyed { digest: Keyed::Sha256, secure_key: Secret::new(b"k".to_vec()) };
        for (keys, sealed) in [(&fixture_keys(), seal(frame())), (&keyed, seal_keyed(frame(), "k"))] {
            let names: Vec<&String> = sealed.keys().filter(|name| *name != "signature").collect();
            let name = names[place.index(names.len())].clone();
            let mut changed = sealed.clone();
            if added {
                changed.insert(format!("x{letter}"), letter.clone());
            } else {
                changed.entry(name).and_modify(|value| value.push_str(&letter));
            }
            prop_assert_eq!(keys.verify(&sealed, NOW), Ok(()));
            prop_assert!(keys.verify(&changed, NOW).is_err());
        }
    }
}
