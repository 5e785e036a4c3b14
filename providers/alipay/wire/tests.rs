//! The envelope both ways: what is signed, what is cut out, what is not believed.

use super::*;
use crate::alipay::sign::Rule;
use crate::alipay::testing::{
    ALIPAY_KEY, ALIPAY_NEXT_KEY, APP_ID, APP_PUBLIC_KEY, NOW, account, answer, answer_raw, certificate_account, html,
    parameters, signature, unsigned,
};
use crate::shared::rsa::VerifyingKey;
use proptest::prelude::*;
use serde_json::json;

const QUERY: &str = "alipay.trade.query";

fn request(return_url: Option<&str>) -> Request<'_> {
    Request { method: QUERY, biz_content: "{\"out_trade_no\":\"T 1&2+3中\"}".into(), notify_url: None, return_url }
}

fn is_signed_by_us(fields: &BTreeMap<String, String>) -> bool {
    let trust = Trust::Key(Box::new(VerifyingKey::read_spki(APP_PUBLIC_KEY.as_bytes()).unwrap()));
    trust.verify(&sign::text(Rule::Request, fields), &fields["sign"]) == Verified::Holds
}

fn reads_as(reply: &HttpReply) -> &'static str {
    match read_answer(&account().trust, QUERY, reply) {
        Answer::Signed(_) => "signed",
        Answer::Unsigned(_) => "unsigned",
        Answer::Doubtful(failure) if failure.provider_code == "bad_signature" => "bad_signature",
        Answer::Doubtful(_) => "doubtful",
    }
}

#[test]
fn a_request_carries_the_common_parameters_and_their_signature() {
    let call = call(&account(), &request(None), NOW).unwrap();
    let fields = parameters(&call);
    assert!(is_signed_by_us(&fields));
    assert_eq!(fields["sign"].len(), 344);
    let shown: Vec<_> = fields.iter().filter(|(key, _)| *key != "sign").map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        shown,
        [
            format!("app_id={APP_ID}"),
            "biz_content={\"out_trade_no\":\"T 1&2+3中\"}".into(),
            "charset=utf-8".into(),
            "format=JSON".into(),
            "method=alipay.trade.query".into(),
            "sign_type=RSA2".into(),
            "timestamp=2026-12-01 12:40:00".into(),
            "version=1.0".into(),
        ]
    );
    assert!(call.body.starts_with(b"biz_content=%7B") && !call.url.contains("biz_content"));
    assert_eq!(call.header_of_type(), Some("application/x-www-form-urlencoded;charset=utf-8"));
}

trait HeaderOfType {
    fn header_of_type(&self) -> Option<&str>;
}

impl HeaderOfType for HttpCall {
    fn header_of_type(&self) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == "content-type").map(|(_, value)| value.as_str())
    }
}

#[test]
fn certificate_mode_adds_both_numbers_and_signs_them() {
    let fields = parameters(&call(&certificate_account(), &request(None), NOW).unwrap());
    assert!(is_signed_by_us(&fields));
    assert_eq!(fields["app_cert_sn"], "1787e2123b1d9bee7b0eaacaa1da3414");
    assert_eq!(fields["alipay_root_cert_sn"], "62c8222fb975048447a1bddf17febaab");
}

#[test]
fn a_page_and_an_order_string_carry_everything_signed() {
    let options = account();
    let url = page_url(&options, &request(Some("https://shop.example/?a=b&c=d")), NOW).unwrap();
    let (gateway, query) = url.split_once('?').unwrap();
    assert_eq!(gateway, options.gateway_url);
    let fields = form::decode(query.as_bytes()).unwrap();
    assert!(is_signed_by_us(&fields));
    assert_eq!(fields["return_url"], "https://shop.example/?a=b&c=d");
    let order = order_string(&options, &request(None), NOW).unwrap();
    assert!(is_signed_by_us(&form::decode(order.as_bytes()).unwrap()));
}

#[test]
fn an_answer_is_believed_by_its_exact_text_wherever_the_signature_stands() {
    let node = r#"{ "code":"10000", "qr_code":"https:\/\/qr.alipay.com\/a}b", "s":"\"}{\\" }"#;
    assert_eq!(reads_as(&answer_raw(QUERY, node)), "signed");
    let sign = signature(ALIPAY_KEY, node);
    let first = format!("{{\"sign\" : \"{sign}\" ,\n\"alipay_trade_query_response\" : {node} }}");
    assert_eq!(reads_as(&html(&first)), "signed");
    let escaped = format!("{{\"alipay_trade_query_response\":{node},\"sign\":\"{}\"}}", sign.replace('/', "\\/"));
    assert_eq!(reads_as(&html(&escaped)), "signed");
    let in_certificate_mode =
        format!("{{\"alipay_trade_query_response\":{node},\"alipay_cert_sn\":\"x\",\"sign\":\"{sign}\"}}");
    assert_eq!(reads_as(&html(&in_certificate_mode)), "signed", "key mode does not read the certificate's number");
}

#[test]
fn a_node_signed_before_its_slashes_were_escaped_is_believed() {
    let sign = signature(ALIPAY_KEY, r#"{"code":"10000","url":"https://a/b"}"#);
    let body =
        format!(r#"{{"alipay_trade_query_response":{{"code":"10000","url":"https:\/\/a\/b"}},"sign":"{sign}"}}"#);
    assert_eq!(reads_as(&html(&body)), "signed");
}

#[test]
fn an_answer_that_is_not_believed_is_never_signed() {
    let node = json!({"code": "10000", "trade_status": "TRADE_SUCCESS"});
    let raw = node.to_string();
    let signed = String::from_utf8(answer(QUERY, &node).body).unwrap();
    let by_another_key = signature(ALIPAY_NEXT_KEY, &raw);
    let cases = [
        (signed.replace("SUCCESS", "SUCCES5"), "bad_signature"),
        (format!("{{\"alipay_trade_query_response\":{raw},\"sign\":\"{by_another_key}\"}}"), "bad_signature"),
        (format!("{{\"alipay_trade_query_response\":{raw},\"sign\":\"!!!\"}}"), "bad_signature"),
        (format!("{{\"alipay_trade_query_response\":{raw},\"sign\":\"\"}}"), "unsigned"),
        (format!("{{\"alipay_trade_query_response\":{raw},\"sign\":null}}"), "unsigned"),
        (format!("{{\"alipay_trade_query_response\":{raw}}}"), "unsigned"),
        (signed.replace("trade_query", "trade_close"), "doubtful"),
        (signed.replacen('{', "{\"error_response\":{\"code\":\"40002\"},", 1), "doubtful"),
        (signed.replacen('{', "{\"sign\":\"x\",", 1), "doubtful"),
        (signed.replacen("{\"code\"", "{\"code\":\"40004\",\"code\"", 1), "doubtful"),
        (format!("{signed}{signed}"), "doubtful"),
        (String::new(), "doubtful"),
        ("<html>busy</html>".into(), "doubtful"),
        ("{\"alipay_trade_query_response\":\"text\",\"sign\":\"x\"}".into(), "doubtful"),
        (format!("{{\"alipay_trade_query_response\":{}", "[".repeat(10_000)), "doubtful"),
    ];
    for (body, wanted) in cases {
        assert_eq!(reads_as(&html(&body)), wanted, "{body}");
    }
    assert_eq!(reads_as(&unsigned(QUERY, &node)), "unsigned");
    let mut not_ok = answer(QUERY, &node);
    for (status, class) in [(429, ErrorClass::Congested), (502, ErrorClass::Unavailable), (302, ErrorClass::Unknown)] {
        not_ok.status = status;
        let Answer::Doubtful(failure) = read_answer(&account().trust, QUERY, &not_ok) else { panic!("{status}") };
        assert_eq!(failure.class, class, "{status}");
    }
}

#[test]
fn an_error_node_is_signed_or_not_like_any_other() {
    let node = r#"{"code":"40002","msg":"Invalid Arguments","sub_code":"isv.invalid-signature"}"#;
    assert_eq!(reads_as(&html(&format!("{{\"error_response\":{node}}}"))), "unsigned");
    let sign = signature(ALIPAY_KEY, node);
    assert_eq!(reads_as(&html(&format!("{{\"error_response\":{node},\"sign\":\"{sign}\"}}"))), "signed");
}

#[test]
fn times_are_beijings() {
    assert_eq!(beijing(UnixMillis(1_565_855_784_999)), "2019-08-15 15:56:24");
    assert_eq!(read_beijing("2019-08-15 15:56:24"), Some(UnixMillis(1_565_855_784_000)));
    assert_eq!(read_beijing("2019-08-15 15:56:24.517"), Some(UnixMillis(1_565_855_784_000)));
    for bad in ["", "2019-08-15", "2019-13-15 15:56:24", "yesterday"] {
        assert_eq!(read_beijing(bad), None, "{bad}");
    }
}

/// Any JSON, with texts full of what could mislead a cutter.
fn any_json() -> impl Strategy<Value = Value> {
    let text = proptest::string::string_regex(r#"[a-z{}\[\]":,\\/ \n中😀]{0,12}"#).unwrap().boxed();
    let leaf = prop_oneof![text.clone().prop_map(Value::from), any::<i32>().prop_map(Value::from), Just(Value::Null)];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text.clone(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_node_is_cut_out_exactly(
        members in proptest::collection::btree_map("[a-z_]{1,8}", any_json(), 0..5),
        beside in any_json(),
        space in "[ \t\n\r]{0,3}",
        escapes in any::<bool>(),
        sign_first in any::<bool>(),
    ) {
        let plain = serde_json::to_string_pretty(&members).unwrap();
        let node = if escapes { plain.replace('/', "\\/") } else { plain };
        let sign = format!("\"sign\"{space}:\"{}\"", signature(ALIPAY_KEY, &node));
        let node = format!("\"alipay_trade_query_response\":{space}{node}{space}");
        let (first, last) = if sign_first { (&sign, &node) } else { (&node, &sign) };
        let body = format!("{space}{{{first},\"beside\":{beside},{last}}}{space}");
        let read = read_answer(&account().trust, QUERY, &html(&body));
        let Answer::Signed(node) = read else { return Err(TestCaseError::fail(body)) };
        prop_assert_eq!(node.0, members);
    }

    #[test]
    fn no_body_makes_it_panic_or_believe(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let reply = HttpReply::new(200, "text/html", body);
        prop_assert!(!matches!(read_answer(&account().trust, QUERY, &reply), Answer::Signed(_)));
    }
}
