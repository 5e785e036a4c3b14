//! What Alipay signs: the sorted parameters of a request (with `sign_type`), the fields of a notify
//! (without it), and the node of an answer exactly as it is sent. Serial numbers of certificate mode.
//!
//! Invariant: the text is raw, never url-encoded, and drops empty values (protocol notes 3 to 6).
//! Must not know: orders, methods, HTTP.

use x509_parser::{certificate::X509Certificate, pem::Pem, x509::X509Name};

use super::md5;
use crate::{
    formats::{form::Fields, hash::hex},
    keys::RsaKey,
};

/// The text under the signature of a request: everything but `sign` and what is blank.
pub(crate) fn request_text(fields: &Fields) -> String {
    sorted(fields, &["sign"])
}

/// The text under the signature of a notify or a return address: `sign_type` is left out too.
pub(crate) fn notify_text(fields: &Fields) -> String {
    sorted(fields, &["sign", "sign_type"])
}

/// Adds `sign_type` and `sign` to the fields of a notify or a return address.
pub(crate) fn sign_notify(mut fields: Fields, key: &RsaKey) -> Fields {
    let sign = key.sign_base64(notify_text(&fields).as_bytes());
    fields.push(("sign_type".to_owned(), "RSA2".to_owned()));
    fields.push(("sign".to_owned(), sign));
    fields
}

/// The SN of the first certificate of a PEM file.
pub(crate) fn cert_sn(pem: &str) -> Option<String> {
    let first = Pem::iter_from_buffer(pem.as_bytes()).next()?.ok()?;
    sn_of(&first.parse_x509().ok()?)
}

/// The SNs of the RSA-signed certificates of a root file, joined by `_`.
pub(crate) fn root_cert_sn(pem: &str) -> String {
    const PKCS1: &str = "1.2.840.113549.1.1";
    let mut found = Vec::new();
    for pem in Pem::iter_from_buffer(pem.as_bytes()).flatten() {
        let Ok(certificate) = pem.parse_x509() else {
            continue;
        };
        if certificate.signature_algorithm.algorithm.to_id_string().starts_with(PKCS1) {
            found.extend(sn_of(&certificate));
        }
    }
    found.join("_")
}

fn sorted(fields: &Fields, left_out: &[&str]) -> String {
    let mut kept: Vec<&(String, String)> =
        fields.iter().filter(|(key, value)| !left_out.contains(&key.as_str()) && !value.trim().is_empty()).collect();
    kept.sort();
    let parts: Vec<String> = kept.iter().map(|(key, value)| format!("{key}={value}")).collect();
    parts.join("&")
}

fn sn_of(certificate: &X509Certificate<'_>) -> Option<String> {
    let text = format!("{}{}", issuer_text(certificate.issuer())?, certificate.serial);
    Some(hex(&md5::digest(text.as_bytes())))
}

/// `CN=..,OU=..,O=..,C=..`: the parts in reverse order of the encoding.
fn issuer_text(name: &X509Name<'_>) -> Option<String> {
    let mut parts = Vec::new();
    for attribute in name.iter_attributes() {
        let oid = attribute.attr_type().to_id_string();
        let key = match oid.as_str() {
            "2.5.4.3" => "CN",
            "2.5.4.6" => "C",
            "2.5.4.7" => "L",
            "2.5.4.8" => "ST",
            "2.5.4.10" => "O",
            "2.5.4.11" => "OU",
            _ => return None,
        };
        parts.push(format!("{key}={}", attribute.as_str().ok()?));
    }
    parts.reverse();
    Some(parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::hash::tests::holds;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::Value;

    fn vectors(kind: &str) -> Vec<Value> {
        let all: Vec<Value> = serde_json::from_str(include_str!("../../fixtures/alipay.json")).unwrap();
        let found: Vec<Value> = all.into_iter().filter(|one| one["kind"] == kind).collect();
        assert!(!found.is_empty());
        found
    }

    fn public_key(vector: &Value) -> Vec<u8> {
        STANDARD.decode(vector["public_key"].as_str().unwrap()).unwrap()
    }

    fn fields(vector: &Value) -> Fields {
        let map = vector["fields"].as_object().unwrap();
        map.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect()
    }

    fn sign_of(fields: &Fields) -> &str {
        &fields.iter().find(|(key, _)| key == "sign").unwrap().1
    }

    #[test]
    fn real_notifies_hold_without_sign_type() {
        for vector in vectors("notify") {
            let fields = fields(&vector);
            let text = notify_text(&fields);
            assert!(holds(&public_key(&vector), text.as_bytes(), sign_of(&fields)));
            assert!(!holds(&public_key(&vector), request_text(&fields).as_bytes(), sign_of(&fields)));
        }
    }

    #[test]
    fn a_real_request_holds_with_sign_type() {
        for vector in vectors("request") {
            let fields = fields(&vector);
            let text = request_text(&fields);
            assert!(holds(&public_key(&vector), text.as_bytes(), sign_of(&fields)));
        }
    }

    #[test]
    fn real_answer_nodes_hold_as_they_were_sent() {
        for vector in vectors("content") {
            let text = vector["content"].as_str().unwrap();
            assert!(holds(&public_key(&vector), text.as_bytes(), vector["sign"].as_str().unwrap()));
        }
    }

    #[test]
    fn serial_numbers_of_real_certificates_are_reproduced() {
        for vector in vectors("sn") {
            let pem = vector["pem"].as_str().unwrap();
            let expected = vector["sn"].as_str().unwrap();
            if vector["root"] == true {
                assert_eq!(root_cert_sn(pem), expected);
            } else {
                assert_eq!(cert_sn(pem).unwrap(), expected);
            }
        }
    }

    #[test]
    fn blank_values_are_not_signed() {
        let fields: Fields =
            [("b", "2"), ("a", " "), ("c", ""), ("sign", "x")].map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        assert_eq!(request_text(&fields), "b=2");
    }
}
