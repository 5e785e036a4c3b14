//! What this folder's tests share: an account below the fixture certificates, and UnionPay's side of the wire.
//!
//! Messages are sealed here by a second, shorter reading of the protocol notes, not by the code under test: the
//! signed text is put together from sorted pairs and signed through the library directly.

use super::UnionPay;
use super::options;
use super::wire::{Fields, beijing};
use crate::contract::Golden;
use crate::shared::rsa::SigningKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tongdao_core::money::Money;
use tongdao_core::provider::{
    AttemptOrder, BuildInput, CallbackRequest, CodeLife, Environment, HttpReply, OptionFault, Payer, RefundOrder,
    Scene, Secrets,
};
use tongdao_core::secret::{Secret, SecretSource};
use tongdao_core::time::UnixMillis;

/// 2026-03-01 12:00:00 in Beijing.
pub(super) const NOW: UnixMillis = UnixMillis(1_772_337_600_000);
pub(super) const MER_ID: &str = "777290058110048";
pub(super) const ORDER_NO: &str = "01JPAY0000000000000000000A";
pub(super) const REFUND_NO: &str = "R1234567890123456789012345678901";
pub(super) const QUERY_ID: &str = "512603011200055616528";
pub(super) const SECURE_KEY: &str = "canary-secure-key";

/// Files are the fixtures; `env` names carry their own text.
pub(super) struct Fixtures;

impl Secrets for Fixtures {
    fn load(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::File(file) => {
                let path = format!("{}/unionpay/fixtures/certificates/{}", env!("CARGO_MANIFEST_DIR"), file.file);
                std::fs::read(&path).map(Secret::new).map_err(|_| format!("cannot read {}", file.file))
            }
            SecretSource::Env(env) => Ok(Secret::new(env.env.clone().into_bytes())),
            SecretSource::Inline(text) => Ok(Secret::new(text.clone().into_bytes())),
        }
    }
}

pub(super) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/unionpay/fixtures/certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

pub(super) fn vectors() -> Value {
    serde_json::from_str(include_str!("fixtures/vectors.json")).unwrap()
}

pub(super) fn fields_of(value: &Value) -> Fields {
    let pairs = value.as_object().unwrap().iter();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
}

pub(super) fn section() -> Value {
    json!({
        "front_url": "https://gateway.95516.com/gateway/api/frontTransReq.do",
        "app_url": "https://gateway.95516.com/gateway/api/appTransReq.do",
        "back_url": "https://gateway.95516.com/gateway/api/backTransReq.do",
        "query_url": "https://gateway.95516.com/gateway/api/queryTrans.do",
        "file_url": "https://filedownload.95516.com/",
        "mer_id": MER_ID,
        "sign_cert": { "file": "merchant_key_and_certificate.pem" },
        "root_cert": { "file": "root.pem" },
        "middle_cert": { "file": "middle.pem" },
    })
}

pub(super) fn keyed_section(method: &str) -> Value {
    let mut section = section();
    let table = section.as_object_mut().unwrap();
    for key in ["sign_cert", "root_cert", "middle_cert"] {
        table.remove(key);
    }
    table.insert("sign_method".into(), json!(method));
    table.insert("secure_key".into(), json!({ "env": format!("{SECURE_KEY}\n") }));
    section
}

pub(super) fn try_build(section: &Value, environment: Environment) -> Result<UnionPay, Vec<OptionFault>> {
    UnionPay::new(options::read(BuildInput { section, environment, secrets: &Fixtures })?)
}

pub(super) fn account() -> UnionPay {
    try_build(&section(), Environment::Production).unwrap()
}

pub(super) fn keyed_account(method: &str) -> UnionPay {
    try_build(&keyed_section(method), Environment::Production).unwrap()
}

/// The golden statement, for the checks that every provider passes.
pub(crate) fn golden() -> Golden {
    let file = include_bytes!("fixtures/statement.zlib").to_vec();
    let none = answer(&seal(with(frame(), "txnType=76 txnSubType=01 respCode=98")));
    Golden { provider: Box::new(account()), now: NOW, file, none }
}

pub(super) fn order(scene: Scene) -> AttemptOrder {
    AttemptOrder {
        provider_order_no: ORDER_NO.into(),
        amount: Money::cny(8888),
        subject: "月卡 A&B".into(),
        scene,
        payer: Payer::default(),
        created_at: NOW.plus_ms(400),
        life: CodeLife { code_ends_at: NOW.plus_s(300), payable_until: NOW.plus_s(300) },
        callback_url: "https://pay.example/callbacks/unionpay-main".into(),
        return_url: Some("https://shop.example/back?a=1&b=2".into()),
        provider_trade_no: None,
    }
}

pub(super) fn refund_order() -> RefundOrder {
    RefundOrder {
        provider_refund_no: REFUND_NO.into(),
        provider_order_no: ORDER_NO.into(),
        provider_trade_no: Some(QUERY_ID.into()),
        total: Money::cny(8888),
        amount: Money::cny(100),
        reason: "asked".into(),
        created_at: NOW,
        callback_url: "https://pay.example/callbacks/unionpay-main".into(),
    }
}

/// A message's fields from `key=value` words; later words replace earlier ones and `key=` removes one.
pub(super) fn with(mut fields: Fields, words: &str) -> Fields {
    for word in words.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap();
        if value.is_empty() {
            fields.remove(key)
        } else {
            fields.insert(key.into(), value.into())
        };
    }
    fields
}

/// What every answer about the order carries.
pub(super) fn frame() -> Fields {
    let frame = format!(
        "version=5.1.0 encoding=UTF-8 signMethod=01 txnType=01 txnSubType=07 bizType=000000 accessType=0 \
         merId={MER_ID} orderId={ORDER_NO} txnTime={}",
        beijing(NOW)
    );
    with(with(Fields::new(), &frame), "respMsg=成功[0000000]")
}

/// A query's answer that says paid.
pub(super) fn paid() -> Fields {
    let words = format!(
        "respCode=00 origRespCode=00 origRespMsg=成功[0000000] queryId={QUERY_ID} txnAmt=8888 currencyCode=156 \
         traceNo=561652 traceTime=0301120005 settleAmt=8888 settleCurrencyCode=156 settleDate=0301"
    );
    with(frame(), &words)
}

/// A notify of the payment.
pub(super) fn notified() -> Fields {
    with(paid(), "origRespCode= origRespMsg= respMsg=success accNo=622609******0048")
}

/// A notify of the refund.
pub(super) fn refund_notified() -> Fields {
    let words = format!(
        "txnType=04 txnSubType=00 orderId={REFUND_NO} queryId=512603021200055616528 txnAmt=100 settleAmt=100 \
         origQryId={QUERY_ID}"
    );
    with(notified(), &words)
}

/// Signs as UnionPay with its fixture certificate.
pub(super) fn seal(fields: Fields) -> Fields {
    seal_with(fields, "leaf.pem", "leaf.key")
}

pub(super) fn seal_with(mut fields: Fields, certificate: &str, key: &str) -> Fields {
    let pem = String::from_utf8(fixture(certificate)).unwrap();
    fields.insert("signPubKeyCert".into(), pem.trim_end().replace('\n', "\r\n"));
    let digest = Sha256::digest(signed_text(&fields).as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let signature = SigningKey::read(&fixture(key)).unwrap().sign_sha256(hex.as_bytes()).unwrap();
    fields.insert("signature".into(), STANDARD.encode(signature));
    fields
}

/// Signs by method 11 with `secure_key`.
pub(super) fn seal_keyed(mut fields: Fields, secure_key: &str) -> Fields {
    let hex = |text: &str| -> String { Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect() };
    fields.insert("signMethod".into(), "11".into());
    let signature = hex(&format!("{}&{}", signed_text(&fields), hex(secure_key)));
    fields.insert("signature".into(), signature);
    fields
}

pub(super) fn answer(fields: &Fields) -> HttpReply {
    let pairs: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
    HttpReply::new(200, "text/html;charset=UTF-8", pairs.join("&"))
}

pub(super) fn posted(fields: &Fields) -> CallbackRequest {
    let escape = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    let pairs: Vec<String> = fields.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
    CallbackRequest { headers: Vec::new(), query: String::new(), body: pairs.join("&").into_bytes() }
}

fn signed_text(fields: &Fields) -> String {
    let mut pairs: Vec<(&String, &String)> = fields.iter().filter(|(key, _)| *key != "signature").collect();
    pairs.sort();
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}
