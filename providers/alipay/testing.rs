//! What this folder's tests share: an account over fixture keys, the gateway's side of the signature, an order.
//!
//! The keys and certificates under `fixtures/keys` exist for tests only; the root's private key is not kept.

use super::options::{self, Options};
use super::sign::{self, Rule};
use crate::contract::Golden;
use crate::shared::form;
use crate::shared::rsa::SigningKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tongdao_core::money::Money;
use tongdao_core::provider::{
    AttemptOrder, BuildInput, CallbackRequest, CodeLife, Environment, HttpCall, HttpReply, Next, OptionFault, Payer,
    RefundOrder, Scene, Secrets,
};
use tongdao_core::secret::{Secret, SecretSource};
use tongdao_core::time::UnixMillis;

/// 2026-12-01 12:40:00 in Beijing: inside the life of the fixture certificates, at a whole minute.
pub(super) const NOW: UnixMillis = UnixMillis(1_796_100_000_000);
pub(super) const APP_ID: &str = "2021000000000001";
pub(super) const SELLER_ID: &str = "2088000000000001";
pub(super) const ORDER_NO: &str = "01KBCDEFGHJKMNPQRSTVWXYZ12";
pub(super) const TRADE_NO: &str = "2026120122001499160501589436";
pub(super) const REFUND_NO: &str = "R1KBCDEFGHJKMNPQRSTVWXYZ12345678";

pub(super) const APP_KEY: &str = include_str!("fixtures/keys/app_key.pem");
pub(super) const APP_PUBLIC_KEY: &str = include_str!("fixtures/keys/app_public_key.pem");
pub(super) const ALIPAY_KEY: &str = include_str!("fixtures/keys/alipay_key.pem");
pub(super) const ALIPAY_NEXT_KEY: &str = include_str!("fixtures/keys/alipay_next_key.pem");
pub(super) const ALIPAY_PUBLIC_KEY: &str = include_str!("fixtures/keys/alipay_public_key.pem");
pub(super) const APP_CERT: &str = include_str!("fixtures/keys/app_cert.crt");
pub(super) const ALIPAY_CERT: &str = include_str!("fixtures/keys/alipay_cert.crt");
pub(super) const ROOT_CERT: &str = include_str!("fixtures/keys/alipay_root_cert.crt");

/// Takes inline secrets and nothing else.
pub(super) struct Inline;

impl Secrets for Inline {
    fn load(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Inline(text) => Ok(Secret::new(text.clone().into_bytes())),
            SecretSource::File(file) => Err(format!("cannot read {}", file.file)),
            SecretSource::Env(env) => Err(format!("{} is not set", env.env)),
        }
    }
}

pub(super) fn key_section() -> Value {
    json!({
        "gateway_url": "https://openapi.alipay.com/gateway.do",
        "app_id": APP_ID,
        "seller_id": SELLER_ID,
        "app_private_key": APP_KEY,
        "alipay_public_key": ALIPAY_PUBLIC_KEY,
    })
}

pub(super) fn certificate_section() -> Value {
    let mut section = key_section();
    let keys = section.as_object_mut().unwrap();
    keys.remove("alipay_public_key");
    for (key, pem) in [("app_cert", APP_CERT), ("alipay_cert", ALIPAY_CERT), ("alipay_root_cert", ROOT_CERT)] {
        keys.insert(key.into(), pem.into());
    }
    section
}

pub(super) fn read_options(section: &Value, environment: Environment) -> Result<Options, Vec<OptionFault>> {
    options::read(BuildInput { section, environment, secrets: &Inline })
}

/// The account in public-key mode.
pub(super) fn account() -> Options {
    read_options(&key_section(), Environment::Production).unwrap()
}

/// The account in certificate mode.
pub(super) fn certificate_account() -> Options {
    read_options(&certificate_section(), Environment::Production).unwrap()
}

/// The golden statement, for the checks that every provider passes.
pub(crate) fn golden() -> Golden {
    let file = include_bytes!("fixtures/statement.zip").to_vec();
    let none = answer("alipay.data.dataservice.bill.downloadurl.query", &no("40004", "isp.bill_not_exist"));
    let section = key_section();
    let input = BuildInput { section: &section, environment: Environment::Production, secrets: &Inline };
    Golden { provider: (super::REGISTRATION.build)(input).ok().unwrap(), now: NOW, file, none }
}

pub(super) fn order(scene: Scene) -> AttemptOrder {
    AttemptOrder {
        provider_order_no: ORDER_NO.into(),
        amount: Money::cny(8888),
        subject: "月卡 / a=b & c".into(),
        scene,
        payer: Payer::default(),
        created_at: NOW,
        life: CodeLife { code_ends_at: NOW.plus_s(300), payable_until: NOW.plus_s(300) },
        callback_url: "https://pay.example/callbacks/alipay-main".into(),
        return_url: Some("https://shop.example/back?x=1&y=2".into()),
        provider_trade_no: None,
    }
}

pub(super) fn refund_order() -> RefundOrder {
    RefundOrder {
        provider_refund_no: REFUND_NO.into(),
        provider_order_no: ORDER_NO.into(),
        provider_trade_no: Some(TRADE_NO.into()),
        total: Money::cny(8888),
        amount: Money::cny(1000),
        reason: "未发货".into(),
        created_at: NOW,
        callback_url: "https://pay.example/callbacks/alipay-main".into(),
    }
}

/// Alipay's base64 signature over `text`, by the key in `pem`.
pub(super) fn signature(pem: &str, text: &str) -> String {
    STANDARD.encode(SigningKey::read(pem.as_bytes()).unwrap().sign_sha256(text.as_bytes()).unwrap())
}

/// A signed answer around a node's exact text.
pub(super) fn answer_raw(method: &str, node: &str) -> HttpReply {
    let name = method.replace('.', "_");
    let sign = signature(ALIPAY_KEY, node);
    html(&format!("{{\"{name}_response\":{node},\"sign\":\"{sign}\"}}"))
}

/// A signed answer.
pub(super) fn answer(method: &str, node: &Value) -> HttpReply {
    answer_raw(method, &node.to_string())
}

/// The same node without a signature.
pub(super) fn unsigned(method: &str, node: &Value) -> HttpReply {
    html(&format!("{{\"{}_response\":{node}}}", method.replace('.', "_")))
}

pub(super) fn html(body: &str) -> HttpReply {
    HttpReply::new(200, "text/html;charset=utf-8", body)
}

pub(super) fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A payment's notice, unsigned.
pub(super) fn payment_fields() -> BTreeMap<String, String> {
    fields(&[
        ("gmt_create", "2026-12-01 12:40:10"),
        ("charset", "utf-8"),
        ("gmt_payment", "2026-12-01 12:40:20"),
        ("notify_time", "2026-12-01 12:40:21"),
        ("subject", "月卡 ／ a＝b ＆ c+d"),
        ("buyer_id", "2088722003899169"),
        ("invoice_amount", "88.88"),
        ("version", "1.0"),
        ("notify_id", "2026120101222162644199160501632046"),
        ("fund_bill_list", "[{\"amount\":\"88.88\",\"fundChannel\":\"ALIPAYACCOUNT\"}]"),
        ("notify_type", "trade_status_sync"),
        ("out_trade_no", ORDER_NO),
        ("total_amount", "88.88"),
        ("trade_status", "TRADE_SUCCESS"),
        ("trade_no", TRADE_NO),
        ("auth_app_id", APP_ID),
        ("receipt_amount", "88.88"),
        ("point_amount", "0.00"),
        ("app_id", APP_ID),
        ("buyer_pay_amount", "88.88"),
        ("seller_id", SELLER_ID),
    ])
}

/// A callback with these fields, signed under a rule by Alipay's key.
pub(super) fn notice(rule: Rule, mut fields: BTreeMap<String, String>) -> CallbackRequest {
    fields.insert("sign_type".into(), "RSA2".into());
    fields.insert("sign".into(), signature(ALIPAY_KEY, &sign::text(rule, &fields)));
    callback(&fields)
}

/// A callback with exactly these fields.
pub(super) fn callback(fields: &BTreeMap<String, String>) -> CallbackRequest {
    let body = form::encode(fields.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    CallbackRequest { headers: Vec::new(), query: String::new(), body: body.into_bytes() }
}

/// All parameters of a call, from its query and its body, as the gateway sees them.
pub(super) fn parameters(call: &HttpCall) -> BTreeMap<String, String> {
    let (_, query) = call.url.split_once('?').unwrap();
    let mut fields = form::decode(query.as_bytes()).unwrap();
    fields.extend(form::decode(&call.body).unwrap());
    fields
}

/// `biz_content` as JSON.
pub(super) fn biz(fields: &BTreeMap<String, String>) -> Value {
    serde_json::from_str(&fields["biz_content"]).unwrap()
}

/// The parameters of a call that must be sent.
pub(super) fn sent<T: std::fmt::Debug>(next: Next<T>) -> BTreeMap<String, String> {
    let Next::Call(call) = next else { panic!("nothing is sent: {next:?}") };
    parameters(&call)
}

/// A node with other members.
pub(super) fn with(mut node: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        node[key] = value.clone();
    }
    node
}

/// A success about our order.
pub(super) fn ok(more: &Value) -> Value {
    with(json!({"code": "10000", "msg": "Success", "out_trade_no": ORDER_NO, "trade_no": TRADE_NO}), more)
}

/// A failure.
pub(super) fn no(code: &str, sub_code: &str) -> Value {
    json!({"code": code, "msg": "…", "sub_code": sub_code, "sub_msg": "…"})
}
