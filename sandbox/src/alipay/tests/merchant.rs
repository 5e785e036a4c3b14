//! A merchant that signs its calls and checks answers and notifies by hand.
//!
//! Must not know: the code under test, but for the spelling of amounts and times.

use serde_json::{Value, json};

use crate::alipay::biz::yuan;
use crate::{
    faults::{Fault, FaultScope, FaultSetting, Operation},
    formats::{beijing, form, form::Fields, hash::tests::holds},
    inbox::{Bed, client, key_file},
    keys::RsaKey,
    options::ProviderName,
    payers::ScanRequest,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

pub(super) const APP_ID: &str = "2021000000000001";

/// How a call is sent: SDKs differ.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Placement {
    Body,
    QueryAndBody,
    Query,
}

pub(super) struct Merchant {
    pub(super) bed: Bed,
    app_key: RsaKey,
    pub(super) alipay_public_key: Vec<u8>,
}

impl Merchant {
    pub(super) async fn new() -> Self {
        let bed = Bed::new().await;
        let file = |name: &str| key_file(&format!("alipay/{APP_ID}/{name}"));
        let pem = file("alipay_public_key.pem");
        let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        Self {
            bed,
            app_key: RsaKey::from_pem(&file("app_key.pem")).unwrap(),
            alipay_public_key: STANDARD.decode(der).unwrap(),
        }
    }

    pub(super) fn gateway(&self) -> String {
        format!("http://{}/gateway.do", self.bed.sandbox.addresses().alipay)
    }

    /// The signed parameters of a call.
    pub(super) fn signed(&self, method: &str, biz: &Value, more: &[(&str, &str)]) -> Fields {
        let timestamp = beijing::dashed(self.bed.now());
        let biz = biz.to_string();
        let mut fields: Fields = [
            ("app_id", APP_ID),
            ("method", method),
            ("charset", "utf-8"),
            ("sign_type", "RSA2"),
            ("timestamp", &timestamp),
            ("version", "1.0"),
            ("notify_url", &self.bed.inbox.url),
            ("biz_content", &biz),
        ]
        .iter()
        .chain(more)
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
        let mut sorted = fields.clone();
        sorted.sort();
        let text: Vec<String> = sorted.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let sign = self.app_key.sign_base64(text.join("&").as_bytes());
        fields.push(("sign".to_owned(), sign));
        fields
    }

    pub(super) async fn send(&self, fields: &Fields, placement: Placement) -> String {
        let (query, body): (Fields, Fields) = match placement {
            Placement::Body => (Vec::new(), fields.clone()),
            Placement::Query => (fields.clone(), Vec::new()),
            Placement::QueryAndBody => fields.iter().cloned().partition(|(name, _)| name != "biz_content"),
        };
        let url = format!("{}?{}", self.gateway(), form::encode(&query));
        let request = match placement {
            Placement::Query => client().get(url),
            Placement::Body | Placement::QueryAndBody => client()
                .post(url)
                .header("content-type", "application/x-www-form-urlencoded;charset=utf-8")
                .body(form::encode(&body)),
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/html;charset=utf-8");
        response.text().await.unwrap()
    }

    /// Calls and returns the node of a properly signed answer.
    pub(super) async fn call(&self, method: &str, biz: Value) -> Value {
        let body = self.send(&self.signed(method, &biz, &[]), Placement::QueryAndBody).await;
        self.verified(method, &body)
    }

    /// The node, after its signature was checked over the text as received.
    pub(super) fn verified(&self, method: &str, body: &str) -> Value {
        let name = format!("\"{}_response\":", method.replace('.', "_"));
        let node = &body[body.find(&name).expect(body) + name.len()..];
        let end = node.find(",\"alipay_cert_sn\"").or(node.find(",\"sign\":")).expect(body);
        let parsed: Value = serde_json::from_str(body).unwrap();
        let sign = parsed["sign"].as_str().expect(body);
        assert!(holds(&self.alipay_public_key, &node.as_bytes()[..end], sign), "{body}");
        serde_json::from_str(&node[..end]).unwrap()
    }

    pub(super) async fn precreate(&self, order_no: &str, fen: i64, more: &[(&str, &str)]) -> Value {
        let mut biz = json!({ "out_trade_no": order_no, "total_amount": yuan(fen), "subject": "点卡" });
        for (name, value) in more {
            biz[name] = json!(value);
        }
        self.call("alipay.trade.precreate", biz).await
    }

    pub(super) async fn query(&self, order_no: &str) -> Value {
        self.call("alipay.trade.query", json!({ "out_trade_no": order_no })).await
    }

    pub(super) async fn refund(&self, order_no: &str, fen: i64, request_no: &str) -> Value {
        let biz = json!({ "out_trade_no": order_no, "refund_amount": yuan(fen), "out_request_no": request_no });
        self.call("alipay.trade.refund", biz).await
    }

    pub(super) async fn paid(&self, order_no: &str, fen: i64) {
        let made = self.precreate(order_no, fen, &[]).await;
        self.bed.sandbox.scan(&ScanRequest::code(text(&made, "qr_code"))).unwrap();
    }

    /// Checks a notify as the documents say and returns a look-up.
    pub(super) fn notify<'a>(&self, fields: &'a Fields) -> impl Fn(&str) -> &'a str + use<'a> {
        let value =
            |fields: &'a Fields, name: &str| fields.iter().find(|(k, _)| k == name).map_or("", |(_, v)| v.as_str());
        let mut kept: Vec<_> = fields.iter().filter(|(k, _)| k != "sign" && k != "sign_type").collect();
        kept.sort();
        assert!(kept.iter().all(|(_, v)| !v.is_empty()), "no empty value is sent");
        let content: Vec<String> = kept.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert!(holds(&self.alipay_public_key, content.join("&").as_bytes(), value(fields, "sign")));
        move |name| value(fields, name)
    }

    pub(super) fn fault(&self, operation: Operation, fault: Fault) {
        let scope = FaultScope { provider: ProviderName::Alipay, account: None, operation: Some(operation) };
        self.bed.sandbox.set_fault(FaultSetting { scope, fault });
    }
}

pub(super) fn text<'a>(node: &'a Value, name: &str) -> &'a str {
    node[name].as_str().unwrap_or_default()
}
