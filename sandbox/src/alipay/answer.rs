//! The answers of `gateway.do`: one node named after the method, signed over its exact text.
//!
//! Invariants: the signed text is the text that is sent (`/` escaped as `\/`, order of fields kept);
//! an error found before the application is known carries no `sign`; `alipay_cert_sn` stands between
//! node and sign when the request came in certificate mode. Must not know: orders, HTTP.

use serde_json::Value;

use crate::keys::RsaKey;

/// The fields of an answer node, in the order in which they are written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node(Vec<(&'static str, Value)>);

impl Node {
    /// A node of a call that succeeded.
    pub(crate) fn success() -> Self {
        Self(vec![("code", "10000".into()), ("msg", "Success".into())])
    }

    /// Adds a field; an empty text is left out, as the gateway never sends one.
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if value.as_str() != Some("") {
            self.0.push((key, value));
        }
        self
    }

    /// The node as it is sent.
    pub(crate) fn text(&self) -> String {
        let fields: Vec<String> = self.0.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        // A slash occurs in strings only, so this escapes exactly those.
        format!("{{{}}}", fields.join(",")).replace('/', "\\/")
    }
}

/// Why a call failed, in the words of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) msg: &'static str,
    pub(crate) sub_code: &'static str,
    pub(crate) sub_msg: String,
}

impl Refusal {
    /// 40001: an argument of the gateway is missing.
    pub(crate) fn missing(sub_code: &'static str, sub_msg: &str) -> Self {
        Self::of(("40001", "Missing Required Arguments"), sub_code, sub_msg)
    }

    /// 40002: an argument of the gateway is wrong.
    pub(crate) fn invalid(sub_code: &'static str, sub_msg: &str) -> Self {
        Self::of(("40002", "Invalid Arguments"), sub_code, sub_msg)
    }

    /// 40004: the operation itself failed (`ACQ.*`).
    pub(crate) fn business(sub_code: &'static str, sub_msg: &str) -> Self {
        Self::of(("40004", "Business Failed"), sub_code, sub_msg)
    }

    /// 40005: too many calls; nothing was executed.
    pub(crate) fn congested() -> Self {
        Self::of(("40005", "Call Limited"), "isv.app-call-limited", "应用调用次数超限")
    }

    /// 20000: nobody knows whether something was executed.
    pub(crate) fn unknown() -> Self {
        Self::of(("20000", "Service Currently Unavailable"), "isp.unknow-error", "系统繁忙")
    }

    /// The answer node.
    pub(crate) fn node(&self) -> Node {
        Node(vec![
            ("code", self.code.into()),
            ("msg", self.msg.into()),
            ("sub_code", self.sub_code.into()),
            ("sub_msg", self.sub_msg.as_str().into()),
        ])
    }

    fn of((code, msg): (&'static str, &'static str), sub_code: &'static str, sub_msg: &str) -> Self {
        Self { code, msg, sub_code, sub_msg: sub_msg.to_owned() }
    }
}

/// The whole body of an unsigned answer.
pub(crate) fn unsigned(method: &str, node: &Node) -> String {
    format!("{{\"{}\":{}}}", node_name(method), node.text())
}

/// The whole body of a signed answer; `cert_sn` in certificate mode only.
pub(crate) fn signed(method: &str, node: &Node, key: &RsaKey, cert_sn: Option<&str>) -> String {
    let text = node.text();
    let sign = key.sign_base64(text.as_bytes());
    with_sign(method, &text, &sign, cert_sn)
}

/// A signed answer whose signature belongs to another text: what a client must refuse.
pub(crate) fn badly_signed(method: &str, node: &Node, key: &RsaKey, cert_sn: Option<&str>) -> String {
    let sign = key.sign_base64(b"another text");
    with_sign(method, &node.text(), &sign, cert_sn)
}

fn with_sign(method: &str, text: &str, sign: &str, cert_sn: Option<&str>) -> String {
    let certificate = cert_sn.map(|sn| format!(",\"alipay_cert_sn\":\"{sn}\"")).unwrap_or_default();
    format!("{{\"{}\":{text}{certificate},\"sign\":\"{sign}\"}}", node_name(method))
}

fn node_name(method: &str) -> String {
    let plain = method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_');
    if method.is_empty() || !plain {
        return "error_response".to_owned();
    }
    format!("{}_response", method.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_text_is_the_node_as_sent_with_slashes_escaped() {
        let key = RsaKey::generate().unwrap();
        let public = key.public();
        let node = Node::success()
            .with("out_trade_no", "T1")
            .with("qr_code", "https://qr.alipay.com/bax1")
            .with("store_id", "");
        let body = signed("alipay.trade.precreate", &node, &key, None);
        let text = r#"{"code":"10000","msg":"Success","out_trade_no":"T1","qr_code":"https:\/\/qr.alipay.com\/bax1"}"#;
        let sign = body
            .strip_prefix(&format!("{{\"alipay_trade_precreate_response\":{text},\"sign\":\""))
            .unwrap()
            .strip_suffix("\"}")
            .unwrap();
        assert!(public.verifies_base64(text.as_bytes(), sign));
        let parsed: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(parsed["alipay_trade_precreate_response"]["qr_code"], "https://qr.alipay.com/bax1");
    }

    #[test]
    fn certificate_mode_puts_the_serial_number_before_the_sign() {
        let key = RsaKey::generate().unwrap();
        let body = signed("alipay.trade.query", &Node::success(), &key, Some("ab12"));
        assert!(body.contains("},\"alipay_cert_sn\":\"ab12\",\"sign\":\""), "{body}");
    }

    #[test]
    fn an_unsigned_answer_has_no_sign() {
        let node = Refusal::invalid("isv.invalid-app-id", "无效的AppID参数").node();
        assert_eq!(
            unsigned("alipay.trade.query", &node),
            r#"{"alipay_trade_query_response":{"code":"40002","msg":"Invalid Arguments","sub_code":"isv.invalid-app-id","sub_msg":"无效的AppID参数"}}"#
        );
    }

    #[test]
    fn a_method_that_cannot_name_a_node_is_answered_as_error_response() {
        let body = unsigned("a\"b", &Node::success());
        assert!(body.starts_with("{\"error_response\":"), "{body}");
        assert!(unsigned("", &Node::success()).starts_with("{\"error_response\":"));
    }

    #[test]
    fn a_bad_signature_does_not_hold() {
        let key = RsaKey::generate().unwrap();
        let public = key.public();
        let body = badly_signed("alipay.trade.query", &Node::success(), &key, None);
        let parsed: Value = serde_json::from_str(&body).unwrap();
        let sign = parsed["sign"].as_str().unwrap();
        assert!(!public.verifies_base64(Node::success().text().as_bytes(), sign));
    }
}
