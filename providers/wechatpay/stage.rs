//! The other side of the wire for this folder's tests: throw-away keys, signed replies, sealed callbacks.
//!
//! It writes what WeChat Pay would write, from the documents and not from the adapter's own writers.

use super::WechatPay;
use crate::contract::Golden;
use crate::shared::rsa::SigningKey;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce as GcmNonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tongdao_core::money::Money;
use tongdao_core::provider::{
    AttemptOrder, BuildInput, CallbackRequest, CodeLife, Environment, HttpReply, OptionFault, Payer, RefundOrder,
    Scene, Secrets,
};
use tongdao_core::secret::{Secret, SecretSource};
use tongdao_core::time::UnixMillis;

pub(super) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub(super) const APP_ID: &str = "wxd678efh567hg6787";
pub(super) const MCH_ID: &str = "1900007291";
pub(super) const ORDER_NO: &str = "01JZTESTORDERNUMBER0000001";
pub(super) const REFUND_NO: &str = "01JZTESTREFUNDNUMBER000000000001";
pub(super) const TRADE_NO: &str = "4200000000202701150000000001";
pub(super) const API_V3_KEY: &str = "canary7cde1ZJB1kG2e7VfTs3jQzaWi2";
pub(super) const PUBLIC_ID: &str = "PUB_KEY_ID_0000000000000024101100397200000006";
pub(super) const SERIAL_1: &str = "D1A510EF55877E3CF6C33255C2E7DEFFF7E427E1";
pub(super) const SERIAL_2: &str = "5DEA10EF55877E3CF6C33255C2E7DEFFF7E42702";

pub(super) const PLATFORM_1: &[u8] = include_bytes!("fixtures/platform1.key.pem");
pub(super) const PLATFORM_2: &[u8] = include_bytes!("fixtures/platform2.key.pem");
pub(super) const PUBLIC: &[u8] = include_bytes!("fixtures/public.key.pem");
pub(super) const CERTIFICATE_1: &str = include_str!("fixtures/platform1.cert.pem");
pub(super) const CERTIFICATE_2: &str = include_str!("fixtures/platform2.cert.pem");

/// The published values of others.
pub(super) fn vectors() -> Value {
    serde_json::from_str(include_str!("fixtures/vectors.json")).unwrap()
}

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}"))
}

/// Secrets by a file's name.
pub(super) struct Drawer;

impl Secrets for Drawer {
    fn load(&self, source: &SecretSource) -> Result<Secret, String> {
        let name = match source {
            SecretSource::File(file) => file.file.as_str(),
            SecretSource::Env(env) => env.env.as_str(),
            SecretSource::Inline(text) => return Ok(Secret::new(text.clone().into_bytes())),
        };
        let bytes: &[u8] = match name {
            "merchant.key" => include_bytes!("fixtures/merchant.key.pem"),
            "merchant-public" => include_bytes!("fixtures/merchant.public.pem"),
            "public" => include_bytes!("fixtures/public.pem"),
            "certificate1" => CERTIFICATE_1.as_bytes(),
            "foreign-certificate" => include_bytes!("../shared/fixtures/certificate.pem"),
            "short.key" => include_bytes!("../shared/fixtures/short_pkcs1.pem"),
            "api_v3_key" => b"canary7cde1ZJB1kG2e7VfTs3jQzaWi2\n",
            "blank" => b" \n",
            _ => return Err(format!("{source:?} cannot be read")),
        };
        Ok(Secret::new(bytes.to_vec()))
    }
}

/// A section with both modes of verification.
pub(super) fn section() -> Value {
    json!({
        "base_url": "https://api.mch.weixin.qq.com",
        "backup_base_url": "https://api2.mch.weixin.qq.com/",
        "app_id": APP_ID,
        "mch_id": MCH_ID,
        "merchant_serial": "408b07e79b8269fec3d5d3e6ab8ed163a6a380db",
        "merchant_private_key": { "file": "merchant.key" },
        "api_v3_key": { "file": "api_v3_key" },
        "public_key_id": PUBLIC_ID,
        "public_key": { "file": "public" },
        "platform_certificates": [{ "file": "certificate1" }],
    })
}

/// The section without some keys.
pub(super) fn section_without(keys: &[&str]) -> Value {
    let mut section = section();
    let object = section.as_object_mut().unwrap();
    object.retain(|key, _| !keys.contains(&key.as_str()));
    section
}

pub(super) fn built(section: &Value, environment: Environment) -> Result<WechatPay, Vec<OptionFault>> {
    WechatPay::read(BuildInput { section, environment, secrets: &Drawer })
}

pub(super) fn account() -> WechatPay {
    built(&section(), Environment::Production).unwrap()
}

/// The golden statement, for the checks that every provider passes.
pub(crate) fn golden() -> Golden {
    let file = include_bytes!("fixtures/statement.csv").to_vec();
    let none = refusal(400, "NO_STATEMENT_EXIST");
    Golden { provider: Box::new(account()), now: NOW, file, none }
}

pub(super) fn order(scene: Scene) -> AttemptOrder {
    AttemptOrder {
        provider_order_no: ORDER_NO.into(),
        amount: Money::cny(8_888),
        subject: "充值卡 88.88 元".into(),
        scene,
        payer: Payer { client_ip: Some("203.0.113.7".into()), openid: Some("oUpF8uMuAJO".into()), ..Payer::default() },
        created_at: NOW,
        life: CodeLife { code_ends_at: NOW.plus_s(900), payable_until: NOW.plus_s(900) },
        callback_url: "https://pay.example/callbacks/wechat-main".into(),
        return_url: None,
        provider_trade_no: None,
    }
}

pub(super) fn refund() -> RefundOrder {
    RefundOrder {
        provider_refund_no: REFUND_NO.into(),
        provider_order_no: ORDER_NO.into(),
        provider_trade_no: Some(TRADE_NO.into()),
        total: Money::cny(8_888),
        amount: Money::cny(888),
        reason: "买家要求退款".into(),
        created_at: NOW,
        callback_url: "https://pay.example/callbacks/wechat-main".into(),
    }
}

/// A transaction as the documents print it.
pub(super) fn transaction(state: &str) -> Value {
    json!({
        "appid": APP_ID, "mchid": MCH_ID, "out_trade_no": ORDER_NO, "transaction_id": TRADE_NO,
        "trade_type": "NATIVE", "trade_state": state, "trade_state_desc": "…", "bank_type": "CMC",
        "success_time": "2027-01-15T16:00:00+08:00", "payer": { "openid": "oUpF8uMuAJO" },
        "amount": { "total": 8_888, "payer_total": 8_000, "currency": "CNY", "payer_currency": "CNY" },
        "promotion_detail": [],
    })
}

/// A refund as a refund and its query answer it.
pub(super) fn refunded(status: &str) -> Value {
    json!({
        "refund_id": "50200207182018070300011301001", "out_refund_no": REFUND_NO, "transaction_id": TRADE_NO,
        "out_trade_no": ORDER_NO, "channel": "ORIGINAL", "status": status, "create_time": "2027-01-15T16:00:00+08:00",
        "amount": { "total": 8_888, "refund": 888, "payer_total": 8_888, "payer_refund": 888, "currency": "CNY" },
    })
}

/// The plain content of a refund callback.
pub(super) fn refund_event(status: &str) -> Value {
    json!({
        "mchid": MCH_ID, "transaction_id": TRADE_NO, "out_trade_no": ORDER_NO, "refund_id": "502002071820180703",
        "out_refund_no": REFUND_NO, "refund_status": status, "user_received_account": "招商银行信用卡0403",
        "amount": { "total": 8_888, "refund": 888, "payer_total": 8_888, "payer_refund": 888 },
    })
}

/// The headers of a signed message.
pub(super) fn sealed(key: &[u8], serial: &str, sent_at: UnixMillis, body: &[u8]) -> Vec<(String, String)> {
    let timestamp = sent_at.as_secs().to_string();
    let message = [timestamp.as_bytes(), b"\nfreshnonce\n", body, b"\n"].concat();
    let signature = STANDARD.encode(SigningKey::read(key).unwrap().sign_sha256(&message).unwrap());
    [
        ("Wechatpay-Timestamp", timestamp.as_str()),
        ("Wechatpay-Nonce", "freshnonce"),
        ("Wechatpay-Serial", serial),
        ("Wechatpay-Signature", &signature),
        ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// A reply signed with the public-key mode's key.
pub(super) fn reply(status: u16, body: impl Into<Vec<u8>>) -> HttpReply {
    let body = body.into();
    HttpReply { status, headers: sealed(PUBLIC, PUBLIC_ID, NOW, &body), body }
}

pub(super) fn json_reply(body: &Value) -> HttpReply {
    reply(200, body.to_string())
}

/// An error answer, which is not signed.
pub(super) fn refusal(status: u16, code: &str) -> HttpReply {
    HttpReply::new(status, "application/json", json!({ "code": code, "message": "…" }).to_string())
}

/// An encrypted resource.
pub(super) fn resource(key: &str, original_type: &str, aad: &str, plain: &[u8]) -> Value {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_bytes()).unwrap());
    let mut sealed = plain.to_vec();
    let nonce = GcmNonce::assume_unique_for_key(*b"fdasfjihihih");
    cipher.seal_in_place_append_tag(nonce, Aad::from(aad.as_bytes()), &mut sealed).unwrap();
    json!({
        "algorithm": "AEAD_AES_256_GCM", "ciphertext": STANDARD.encode(sealed), "nonce": "fdasfjihihih",
        "associated_data": aad, "original_type": original_type,
    })
}

pub(super) fn envelope(event_type: &str, resource: &Value) -> Value {
    json!({
        "id": "EV-2018022511223320873", "create_time": "2027-01-15T16:00:00+08:00", "event_type": event_type,
        "resource_type": "encrypt-resource", "summary": "支付成功", "resource": resource,
    })
}

/// A callback signed with the public key, now.
pub(super) fn callback(body: impl Into<Vec<u8>>) -> CallbackRequest {
    let body = body.into();
    CallbackRequest { headers: sealed(PUBLIC, PUBLIC_ID, NOW, &body), query: String::new(), body }
}

/// A genuine payment callback with this content.
pub(super) fn payment_callback(plain: &Value) -> CallbackRequest {
    let resource = resource(API_V3_KEY, "transaction", "transaction", plain.to_string().as_bytes());
    callback(envelope("TRANSACTION.SUCCESS", &resource).to_string())
}

/// A genuine refund callback with this event and content.
pub(super) fn refund_callback(event_type: &str, plain: &Value) -> CallbackRequest {
    let resource = resource(API_V3_KEY, "refund", "refund", plain.to_string().as_bytes());
    callback(envelope(event_type, &resource).to_string())
}
