//! Published messages and values of other projects (`fixtures/vectors.json` names each source), read by this
//! adapter's own rules. They were made by Alipay's own systems, so they cannot share a mistake with this code.

use super::certificates::{Certificate, root_number};
use super::sign::{self, Rule, Trust, Verified};
use super::testing::html;
use super::wire::{Answer, read_answer};
use crate::shared::form;
use crate::shared::rsa::VerifyingKey;
use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;

fn vectors(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("fixtures/vectors.json")).unwrap();
    let all = all["vectors"].as_array().unwrap().clone();
    assert_eq!(all.len(), 13, "a vector was added without a test");
    all.into_iter().filter(|vector| vector["kind"] == kind).collect()
}

fn text_of(vector: &Value, key: &str) -> String {
    vector[key].as_str().unwrap().to_owned()
}

fn trust(vector: &Value) -> Trust {
    Trust::Key(Box::new(VerifyingKey::read_spki(text_of(vector, "public_key").as_bytes()).unwrap()))
}

fn fields_of(vector: &Value) -> BTreeMap<String, String> {
    match vector.get("query") {
        Some(query) => form::decode(query.as_str().unwrap().as_bytes()).unwrap(),
        None => serde_json::from_value(vector["fields"].clone()).unwrap(),
    }
}

#[test]
fn real_notices_verify_under_their_own_rule_only() {
    let notices = vectors("notify");
    assert_eq!(notices.len(), 4);
    for vector in notices {
        let (own, other) = if vector["with_sign_type"] == true {
            (Rule::AppGateway, Rule::Trade)
        } else {
            (Rule::Trade, Rule::AppGateway)
        };
        let fields = fields_of(&vector);
        let verify =
            |rule, fields: &BTreeMap<String, String>| trust(&vector).verify(&sign::text(rule, fields), &fields["sign"]);
        assert_eq!(verify(own, &fields), Verified::Holds, "{}", vector["name"]);
        assert_eq!(verify(other, &fields), Verified::Fails, "{}", vector["name"]);
        for key in fields.keys().filter(|key| !["sign", "sign_type"].contains(&key.as_str())) {
            let mut altered = fields.clone();
            altered.get_mut(key).unwrap().push('1');
            assert_eq!(verify(own, &altered), Verified::Fails, "{}: {key}", vector["name"]);
        }
    }
}

#[test]
fn a_real_notice_survives_its_form_encoding() {
    for vector in vectors("notify") {
        let fields = fields_of(&vector);
        let body = form::encode(fields.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        assert_eq!(form::decode(body.as_bytes()), Ok(fields));
    }
}

#[test]
fn a_real_answer_verifies_over_its_exact_node() {
    let [vector] = &vectors("response")[..] else { panic!("one answer") };
    let raw = text_of(vector, "raw");
    let read = |raw: &str| read_answer(&trust(vector), "alipay.open.file.upload", &html(raw));
    let Answer::Signed(node) = read(&raw) else { panic!("the signature holds") };
    assert_eq!(node.text("file_id"), Some("CAxAToWB1JsAAAAAAAAAAAAADgSLAQBr"));
    assert!(matches!(read(&raw.replace("Success", "Succes5")), Answer::Doubtful(_)));
    assert!(matches!(read(&raw.replace(",\"msg\"", ", \"msg\"")), Answer::Doubtful(_)));
    let other = read_answer(&trust(vector), "alipay.trade.query", &html(&raw));
    assert!(matches!(other, Answer::Doubtful(_)), "an answer of another operation");
}

#[test]
fn real_contents_verify_inside_an_answer() {
    let contents = vectors("content");
    assert_eq!(contents.len(), 2);
    for vector in contents {
        let (content, sign) = (text_of(&vector, "content"), text_of(&vector, "sign"));
        for body in [
            format!("{{\"alipay_trade_query_response\":{content},\"sign\":\"{sign}\"}}"),
            format!("{{\"sign\":\"{sign}\",\"alipay_trade_query_response\": {content} }}"),
        ] {
            assert!(matches!(read_answer(&trust(&vector), "alipay.trade.query", &html(&body)), Answer::Signed(_)));
        }
    }
}

#[test]
fn a_real_request_has_the_signed_text_of_ours() {
    let [vector] = &vectors("request")[..] else { panic!("one request") };
    let fields = fields_of(vector);
    assert_eq!(trust(vector).verify(&sign::text(Rule::Request, &fields), &fields["sign"]), Verified::Holds);
}

#[test]
fn real_certificates_have_their_published_numbers() {
    let certificates = vectors("sn");
    assert_eq!(certificates.len(), 4);
    for vector in certificates {
        let read = Certificate::read_all(text_of(&vector, "pem").as_bytes()).unwrap();
        let number = if vector["root"] == true { root_number(&read) } else { read[0].number() };
        assert_eq!(number, Ok(text_of(&vector, "sn")), "{}", vector["name"]);
    }
}

/// We never ask for encryption; the vector fixes what it would be, and that an encrypted node is not believed.
#[test]
fn an_encrypted_node_is_aes_cbc_with_a_zero_iv_and_is_not_believed() {
    let [vector] = &vectors("aes")[..] else { panic!("one node") };
    let key = UnboundCipherKey::new(&AES_128, &STANDARD.decode(text_of(vector, "key")).unwrap()).unwrap();
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).unwrap();
    let mut bytes = STANDARD.decode(text_of(vector, "ciphertext")).unwrap();
    let context = DecryptionContext::Iv128(FixedLength::from([0; 16]));
    let plain = key.decrypt(&mut bytes, context).unwrap();
    assert!(plain.starts_with(text_of(vector, "starts").as_bytes()));

    let node = format!("\"{}\"", text_of(vector, "ciphertext"));
    let reply = super::testing::answer_raw("alipay.trade.query", &node);
    let trust = super::testing::account().trust;
    assert!(matches!(read_answer(&trust, "alipay.trade.query", &reply), Answer::Doubtful(_)));
}
