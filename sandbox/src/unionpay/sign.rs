//! The signature of version 5.1.0: the link string of the sorted fields, hashed to lower hex and that
//! text signed again with SHA-256 (method 01), or hashed with the hash of the secure key (method 11).
//!
//! Invariant: every field but `signature` is covered, unknown ones and `signPubKeyCert` included
//! (protocol notes 4). Must not know: orders, operations, HTTP.

use std::collections::BTreeMap;

use crate::{
    formats::hash::sha256_hex,
    keys::{PublicKey, RsaKey},
};

/// The fields of a message; a map because the link string sorts them anyway.
pub(crate) type Fields = BTreeMap<String, String>;

/// What a message is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignMethod {
    /// `01`: RSA with a certificate.
    Rsa,
    /// `11`: SHA-256 with a shared key.
    Keyed,
}

impl SignMethod {
    /// Reads `signMethod`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text {
            "01" => Some(Self::Rsa),
            "11" => Some(Self::Keyed),
            _ => None,
        }
    }
}

/// The sorted, unencoded `k=v&k=v` of everything but `signature`.
pub(crate) fn link(fields: &Fields) -> String {
    let parts: Vec<String> = fields
        .iter()
        .filter(|(key, _)| key.as_str() != "signature")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    parts.join("&")
}

/// The signature of method 01.
pub(crate) fn sign_rsa(fields: &Fields, key: &RsaKey) -> String {
    key.sign_base64(hashed(fields).as_bytes())
}

/// Whether `signature` holds by method 01 under a public key.
pub(crate) fn holds_rsa(fields: &Fields, public_key: &PublicKey) -> bool {
    let signature = fields.get("signature").map_or("", String::as_str);
    public_key.verifies_base64(hashed(fields).as_bytes(), signature)
}

/// The signature of method 11.
pub(crate) fn sign_keyed(fields: &Fields, secure_key: &str) -> String {
    let key = sha256_hex(secure_key.as_bytes());
    sha256_hex(format!("{}&{key}", link(fields)).as_bytes())
}

fn hashed(fields: &Fields) -> String {
    sha256_hex(link(fields).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::hash::tests::holds;
    use serde_json::Value;
    use x509_parser::pem::Pem;

    fn vectors(kind: &str) -> Vec<Value> {
        let all: Vec<Value> = serde_json::from_str(include_str!("../../fixtures/unionpay.json")).unwrap();
        let found: Vec<Value> = all.into_iter().filter(|one| one["kind"] == kind).collect();
        assert!(!found.is_empty());
        found
    }

    fn fields(vector: &Value) -> Fields {
        let map = vector["fields"].as_object().unwrap();
        map.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn real_messages_hold_and_changed_ones_do_not() {
        for vector in vectors("rsa") {
            let fields = fields(&vector);
            let pem = vector["cert"].as_str().or(vector["fields"]["signPubKeyCert"].as_str()).unwrap();
            let pem = Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap();
            let certificate = pem.parse_x509().unwrap();
            let public = certificate.public_key().raw;
            let held = holds(public, hashed(&fields).as_bytes(), &fields["signature"]);
            assert_eq!(held, vector["valid"] == true, "{}", vector["name"]);
            if let Some(expected) = vector["sha256_of_link"].as_str() {
                assert_eq!(hashed(&fields), expected);
                assert_eq!(fields["certId"], certificate.serial.to_string());
            }
        }
    }

    #[test]
    fn the_keyed_vector_is_reproduced() {
        for vector in vectors("keyed") {
            let fields = fields(&vector);
            assert_eq!(sign_keyed(&fields, vector["secret"].as_str().unwrap()), fields["signature"]);
        }
    }

    #[test]
    fn a_signed_message_verifies_and_the_signature_is_not_part_of_the_link() {
        let key = RsaKey::generate().unwrap();
        let public = key.public();
        let mut fields = Fields::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1 +=".to_owned())]);
        assert_eq!(link(&fields), "a=1 +=&b=2");
        let signature = sign_rsa(&fields, &key);
        fields.insert("signature".to_owned(), signature);
        assert!(holds_rsa(&fields, &public));
        fields.insert("b".to_owned(), "3".to_owned());
        assert!(!holds_rsa(&fields, &public));
    }
}
