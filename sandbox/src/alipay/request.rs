//! What `gateway.do` checks of every call before the operation: application, method, format, time,
//! charset, signature, certificates and that `biz_content` is JSON; in the gateway's own order.
//!
//! Invariants: the signature covers the union of query and body; an error found before the
//! application is known is unsigned (protocol notes 2 to 4). Must not know: orders, HTTP.

use serde_json::{Map, Value};

use super::{answer::Refusal, sign};
use crate::{
    formats::{beijing, form::Fields, page},
    keys::AlipayKeys,
};

/// The operations this gateway offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Precreate,
    PagePay,
    WapPay,
    AppPay,
    Query,
    Close,
    Cancel,
    Refund,
    RefundQuery,
    Statement,
}

impl Method {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "alipay.trade.precreate" => Self::Precreate,
            "alipay.trade.page.pay" => Self::PagePay,
            "alipay.trade.wap.pay" => Self::WapPay,
            "alipay.trade.app.pay" => Self::AppPay,
            "alipay.trade.query" => Self::Query,
            "alipay.trade.close" => Self::Close,
            "alipay.trade.cancel" => Self::Cancel,
            "alipay.trade.refund" => Self::Refund,
            "alipay.trade.fastpay.refund.query" => Self::RefundQuery,
            "alipay.data.dataservice.bill.downloadurl.query" => Self::Statement,
            _ => return None,
        })
    }

    /// Whether a payer's browser or app opens it, rather than the merchant's server.
    pub(crate) fn is_front(self) -> bool {
        matches!(self, Self::PagePay | Self::WapPay | Self::AppPay)
    }
}

/// A call that passed the gateway's checks.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) app_id: String,
    pub(crate) method: Method,
    pub(crate) certificate_mode: bool,
    pub(crate) notify_url: Option<String>,
    pub(crate) return_url: Option<String>,
    pub(crate) biz: Map<String, Value>,
    /// The host asked, as the caller wrote it.
    pub(crate) host: String,
}

/// A call that did not pass; `signed` says whether the application was known by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) refusal: Refusal,
    pub(crate) signed: bool,
}

/// The union of the parameters in query and body; the same name twice must have the same value.
pub(crate) fn union(query: Fields, body: Fields) -> Option<Fields> {
    let mut all = query;
    for (key, value) in body {
        match all.iter().find(|(known, _)| *known == key) {
            None => all.push((key, value)),
            Some((_, known)) if *known == value => {}
            Some(_) => return None,
        }
    }
    Some(all)
}

/// A parameter that is there and not empty.
pub(crate) fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let (_, value) = fields.iter().find(|(key, _)| key == name)?;
    Some(value.as_str()).filter(|value| !value.trim().is_empty())
}

/// Checks a call; `keys` are those of the application named in it, `None` when there is none.
pub(crate) fn check(fields: &Fields, keys: Option<&AlipayKeys>) -> Result<Call, Rejected> {
    let app_id = need(fields, "app_id", "isv.missing-app-id").map_err(unsigned)?;
    let Some(keys) = keys else {
        return Err(unsigned(Refusal::invalid("isv.invalid-app-id", "无效的AppID参数")));
    };
    let name = need(fields, "method", "isv.missing-method").map_err(unsigned)?;
    for (name, sub_code) in REQUIRED {
        need(fields, name, sub_code).map_err(unsigned)?;
    }
    let method =
        Method::read(name).ok_or_else(|| Refusal::invalid("isv.invalid-method", "不存在的方法名")).map_err(signed)?;
    check_forms(fields).map_err(signed)?;
    check_signature(fields, keys).map_err(signed)?;
    let certificate_mode = check_certificates(fields, keys).map_err(signed)?;
    Ok(Call {
        app_id: app_id.to_owned(),
        method,
        certificate_mode,
        notify_url: field(fields, "notify_url").map(str::to_owned),
        return_url: field(fields, "return_url").map(str::to_owned),
        biz: read_biz(fields).map_err(signed)?,
        host: String::new(),
    })
}

const REQUIRED: [(&str, &str); 4] = [
    ("sign_type", "isv.missing-signature-type"),
    ("sign", "isv.missing-signature"),
    ("timestamp", "isv.missing-timestamp"),
    ("version", "isv.missing-version"),
];

fn check_forms(fields: &Fields) -> Result<(), Refusal> {
    let value = |name| field(fields, name).unwrap_or_default();
    if !matches!(value("format"), "" | "JSON" | "json") {
        return Err(Refusal::invalid("isv.invalid-format", "无效的数据格式"));
    }
    if value("sign_type") != "RSA2" {
        return Err(Refusal::invalid("isv.invalid-signature-type", "无效的签名类型"));
    }
    if !value("charset").eq_ignore_ascii_case("utf-8") {
        return Err(Refusal::invalid("isv.invalid-charset", "字符集错误"));
    }
    if beijing::read_dashed(value("timestamp")).is_none() {
        return Err(Refusal::invalid("isv.invalid-timestamp", "非法的时间戳参数"));
    }
    if value("version") != "1.0" {
        return Err(Refusal::invalid("isv.invalid-parameter", "参数无效: version"));
    }
    Ok(())
}

fn check_signature(fields: &Fields, keys: &AlipayKeys) -> Result<(), Refusal> {
    let text = sign::request_text(fields);
    let sign = field(fields, "sign").unwrap_or_default();
    if keys.app.verifies_base64(text.as_bytes(), sign) {
        return Ok(());
    }
    let shown = page::escape(&text);
    Err(Refusal::invalid(
        "isv.invalid-signature",
        &format!("验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配，网关生成的验签字符串为：{shown}"),
    ))
}

/// Whether the call is in certificate mode; both serial numbers must then be the right ones.
fn check_certificates(fields: &Fields, keys: &AlipayKeys) -> Result<bool, Refusal> {
    match (field(fields, "app_cert_sn"), field(fields, "alipay_root_cert_sn")) {
        (None, None) => Ok(false),
        (None, Some(_)) => Err(Refusal::missing("isv.missing-app-cert-sn", "缺少应用公钥证书SN")),
        (Some(app), root)
            if sign::cert_sn(&keys.app_cert_pem).as_deref() == Some(app)
                && root == Some(&sign::root_cert_sn(&keys.root_cert_pem)) =>
        {
            Ok(true)
        }
        (Some(_), _) => Err(Refusal::invalid("isv.invalid-parameter", "参数无效: app_cert_sn, alipay_root_cert_sn")),
    }
}

fn read_biz(fields: &Fields) -> Result<Map<String, Value>, Refusal> {
    let text = need(fields, "biz_content", "isv.missing-parameter")?;
    match serde_json::from_str(text) {
        Ok(Value::Object(biz)) => Ok(biz),
        Ok(_) | Err(_) => Err(Refusal::invalid("isv.illegal-json", "biz_content不是合法的JSON")),
    }
}

fn need<'a>(fields: &'a Fields, name: &str, sub_code: &'static str) -> Result<&'a str, Refusal> {
    field(fields, name).ok_or_else(|| Refusal::missing(sub_code, &format!("缺少参数: {name}")))
}

fn signed(refusal: Refusal) -> Rejected {
    Rejected { refusal, signed: true }
}

fn unsigned(refusal: Refusal) -> Rejected {
    Rejected { refusal, signed: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::RsaKey;

    /// Keys for a test, and the application's private half.
    fn keys() -> (AlipayKeys, RsaKey) {
        let app = RsaKey::generate().unwrap();
        let vectors: Vec<Value> = serde_json::from_str(include_str!("../../fixtures/alipay.json")).unwrap();
        let pem = |sn: &str| {
            let vector = vectors.iter().find(|vector| vector["sn"] == sn).unwrap();
            vector["pem"].as_str().unwrap().to_owned()
        };
        let keys = AlipayKeys {
            app: app.public(),
            alipay: RsaKey::generate().unwrap(),
            app_cert_pem: pem(APP_SN),
            alipay_cert_pem: pem("7513daaaa48aa3ba2e4018d84402479c"),
            root_cert_pem: pem(ROOT_SN),
        };
        (keys, app)
    }

    const APP_SN: &str = "866efef280dec9137a87d047ac446315";
    const ROOT_SN: &str = "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6";

    /// A good query, with `changes` put in before it is signed; an empty change removes the field.
    fn request(app: &RsaKey, changes: &[(&str, &str)]) -> Fields {
        let mut fields: Fields = [
            ("app_id", "2021000000000001"),
            ("method", "alipay.trade.query"),
            ("charset", "utf-8"),
            ("sign_type", "RSA2"),
            ("timestamp", "2026-01-31 08:09:10"),
            ("version", "1.0"),
            ("biz_content", r#"{"out_trade_no":"T1"}"#),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .to_vec();
        for (name, value) in changes {
            fields.retain(|(key, _)| key != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        let sign = app.sign_base64(sign::request_text(&fields).as_bytes());
        fields.push(("sign".to_owned(), sign));
        fields
    }

    #[test]
    fn a_good_call_passes_in_key_mode_and_in_certificate_mode() {
        let (keys, app) = keys();
        let call = check(&request(&app, &[("alipay_sdk", "any-1")]), Some(&keys)).unwrap();
        assert_eq!((call.method, call.certificate_mode), (Method::Query, false));
        assert_eq!(call.biz["out_trade_no"], "T1");
        let certificates = [("app_cert_sn", APP_SN), ("alipay_root_cert_sn", ROOT_SN)];
        assert!(check(&request(&app, &certificates), Some(&keys)).unwrap().certificate_mode);
    }

    #[test]
    fn faults_are_found_in_the_gateways_order() {
        let (keys, app) = keys();
        type Case = (&'static [(&'static str, &'static str)], &'static str, bool);
        let cases: &[Case] = &[
            (&[("app_id", "")], "isv.missing-app-id", false),
            (&[("method", "")], "isv.missing-method", false),
            (&[("timestamp", "")], "isv.missing-timestamp", false),
            (&[("method", "alipay.trade.unknown"), ("format", "xml")], "isv.invalid-method", true),
            (&[("format", "xml")], "isv.invalid-format", true),
            (&[("sign_type", "RSA")], "isv.invalid-signature-type", true),
            (&[("charset", "gbk")], "isv.invalid-charset", true),
            (&[("timestamp", "20260131080910")], "isv.invalid-timestamp", true),
            (&[("app_cert_sn", "zz"), ("alipay_root_cert_sn", ROOT_SN)], "isv.invalid-parameter", true),
            (&[("alipay_root_cert_sn", ROOT_SN)], "isv.missing-app-cert-sn", true),
            (&[("biz_content", "{")], "isv.illegal-json", true),
            (&[("biz_content", "[]")], "isv.illegal-json", true),
        ];
        for (changes, sub_code, signed) in cases {
            let rejected = check(&request(&app, changes), Some(&keys)).unwrap_err();
            assert_eq!((rejected.refusal.sub_code, rejected.signed), (*sub_code, *signed));
        }
        let unknown = check(&request(&app, &[]), None).unwrap_err();
        assert_eq!((unknown.refusal.sub_code, unknown.signed), ("isv.invalid-app-id", false));
    }

    #[test]
    fn a_tampered_call_is_told_the_text_the_gateway_built() {
        let (keys, app) = keys();
        let mut fields = request(&app, &[]);
        fields.push(("notify_url".to_owned(), "http://evil/".to_owned()));
        let rejected = check(&fields, Some(&keys)).unwrap_err();
        assert_eq!(rejected.refusal.sub_code, "isv.invalid-signature");
        assert!(rejected.signed);
        assert!(rejected.refusal.sub_msg.contains("&amp;charset=utf-8&amp;"), "{}", rejected.refusal.sub_msg);
    }

    #[test]
    fn a_parameter_in_query_and_body_must_agree() {
        let one = |v: &str| vec![("a".to_owned(), v.to_owned())];
        assert_eq!(union(one("1"), one("1")).unwrap().len(), 1);
        assert_eq!(union(one("1"), one("2")), None);
    }
}
