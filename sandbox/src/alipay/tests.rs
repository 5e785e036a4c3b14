//! The Alipay server driven over real HTTP by a merchant that signs by hand.

use serde_json::{Value, json};

use super::{biz::yuan, sign};
use crate::{
    faults::{Fault, FaultKind, FaultScope, FaultSetting, Operation},
    formats::{beijing, form, form::Fields, hash::tests::holds},
    inbox::{Bed, client, key_file},
    keys::RsaKey,
    options::ProviderName,
    payers::{ScanRefused, ScanRequest},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

const APP_ID: &str = "2021000000000001";
const SELLER_ID: &str = "2088000000000001";

/// How a call is sent: SDKs differ.
#[derive(Clone, Copy, PartialEq)]
enum Placement {
    Body,
    QueryAndBody,
    Query,
}

struct Merchant {
    bed: Bed,
    app_key: RsaKey,
    alipay_public_key: Vec<u8>,
}

impl Merchant {
    async fn new() -> Self {
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

    fn gateway(&self) -> String {
        format!("http://{}/gateway.do", self.bed.sandbox.addresses().alipay)
    }

    /// The signed parameters of a call.
    fn signed(&self, method: &str, biz: &Value, more: &[(&str, &str)]) -> Fields {
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

    async fn send(&self, fields: &Fields, placement: Placement) -> String {
        let (query, body): (Fields, Fields) = match placement {
            Placement::Body => (Vec::new(), fields.clone()),
            Placement::Query => (fields.clone(), Vec::new()),
            Placement::QueryAndBody => fields
                .iter()
                .cloned()
                .partition(|(name, _)| name != "biz_content"),
        };
        let url = format!("{}?{}", self.gateway(), form::encode(&query));
        let request = match placement {
            Placement::Query => client().get(url),
            Placement::Body | Placement::QueryAndBody => client()
                .post(url)
                .header(
                    "content-type",
                    "application/x-www-form-urlencoded;charset=utf-8",
                )
                .body(form::encode(&body)),
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["content-type"],
            "text/html;charset=utf-8"
        );
        response.text().await.unwrap()
    }

    /// Calls and returns the node of a properly signed answer.
    async fn call(&self, method: &str, biz: Value) -> Value {
        let body = self
            .send(&self.signed(method, &biz, &[]), Placement::QueryAndBody)
            .await;
        self.verified(method, &body)
    }

    /// The node, after its signature was checked over the text as received.
    fn verified(&self, method: &str, body: &str) -> Value {
        let name = format!("\"{}_response\":", method.replace('.', "_"));
        let node = &body[body.find(&name).expect(body) + name.len()..];
        let end = node
            .find(",\"alipay_cert_sn\"")
            .or(node.find(",\"sign\":"))
            .expect(body);
        let parsed: Value = serde_json::from_str(body).unwrap();
        let sign = parsed["sign"].as_str().expect(body);
        assert!(
            holds(&self.alipay_public_key, node[..end].as_bytes(), sign),
            "{body}"
        );
        serde_json::from_str(&node[..end]).unwrap()
    }

    async fn precreate(&self, order_no: &str, fen: i64, more: &[(&str, &str)]) -> Value {
        let mut biz =
            json!({ "out_trade_no": order_no, "total_amount": yuan(fen), "subject": "点卡" });
        for (name, value) in more {
            biz[name] = json!(value);
        }
        self.call("alipay.trade.precreate", biz).await
    }

    async fn query(&self, order_no: &str) -> Value {
        self.call("alipay.trade.query", json!({ "out_trade_no": order_no }))
            .await
    }

    async fn refund(&self, order_no: &str, fen: i64, request_no: &str) -> Value {
        let biz = json!({ "out_trade_no": order_no, "refund_amount": yuan(fen), "out_request_no": request_no });
        self.call("alipay.trade.refund", biz).await
    }

    async fn paid(&self, order_no: &str, fen: i64) {
        let made = self.precreate(order_no, fen, &[]).await;
        self.bed
            .sandbox
            .scan(&ScanRequest::code(text(&made, "qr_code")))
            .unwrap();
    }

    /// Checks a notify as the documents say and returns a look-up.
    fn notify<'a>(&self, fields: &'a Fields) -> impl Fn(&str) -> &'a str + use<'a> {
        let value = |fields: &'a Fields, name: &str| {
            fields
                .iter()
                .find(|(k, _)| k == name)
                .map_or("", |(_, v)| v.as_str())
        };
        let mut kept: Vec<_> = fields
            .iter()
            .filter(|(k, _)| k != "sign" && k != "sign_type")
            .collect();
        kept.sort();
        assert!(
            kept.iter().all(|(_, v)| !v.is_empty()),
            "no empty value is sent"
        );
        let content: Vec<String> = kept.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert!(holds(
            &self.alipay_public_key,
            content.join("&").as_bytes(),
            value(fields, "sign")
        ));
        move |name| value(fields, name)
    }

    fn fault(&self, operation: Operation, fault: Fault) {
        let scope = FaultScope {
            provider: ProviderName::Alipay,
            account: None,
            operation: Some(operation),
        };
        self.bed.sandbox.set_fault(FaultSetting { scope, fault });
    }
}

fn text<'a>(node: &'a Value, name: &str) -> &'a str {
    node[name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_scanned_and_paid_code_is_notified_and_found_paid() {
    let merchant = Merchant::new().await;
    let made = merchant
        .precreate("T1", 8888, &[("passback_params", "a%3Db")])
        .await;
    assert_eq!(
        (text(&made, "code"), text(&made, "out_trade_no")),
        ("10000", "T1")
    );
    assert!(text(&made, "qr_code").starts_with("https://qr.alipay.com/bax"));
    assert_eq!(
        text(&merchant.query("T1").await, "sub_code"),
        "ACQ.TRADE_NOT_EXIST"
    );

    let code = text(&made, "qr_code");
    let look = ScanRequest {
        pay: false,
        ..ScanRequest::code(code)
    };
    assert!(!merchant.bed.sandbox.scan(&look).unwrap().paid);
    let waiting = merchant.query("T1").await;
    assert_eq!(text(&waiting, "trade_status"), "WAIT_BUYER_PAY");
    assert_eq!(text(&waiting, "trade_no").len(), 28);

    merchant.bed.inbox.answer(&["fail", "success\n"]);
    let scanned = merchant.bed.sandbox.scan(&ScanRequest::code(code)).unwrap();
    assert_eq!(scanned.trade_no.as_deref(), waiting["trade_no"].as_str());
    let sent = merchant.bed.inbox.wait(3).await;
    let told = merchant.notify(&sent[2]);
    let expected = [
        ("app_id", APP_ID),
        ("seller_id", SELLER_ID),
        ("out_trade_no", "T1"),
        ("total_amount", "88.88"),
        ("trade_status", "TRADE_SUCCESS"),
        ("notify_type", "trade_status_sync"),
        ("passback_params", "a%3Db"),
        ("refund_fee", ""),
    ];
    for (name, value) in expected {
        assert_eq!(told(name), value, "{name}");
    }
    assert_eq!(merchant.notify(&sent[0])("notify_id"), told("notify_id"));
    let paid = merchant.query("T1").await;
    assert_eq!(
        (text(&paid, "trade_status"), text(&paid, "total_amount")),
        ("TRADE_SUCCESS", "88.88")
    );
    assert_eq!(text(&paid, "trade_no"), told("trade_no"));
}

#[tokio::test]
async fn every_placement_of_the_parameters_is_accepted() {
    let merchant = Merchant::new().await;
    for placement in [Placement::Body, Placement::Query, Placement::QueryAndBody] {
        let fields = merchant.signed(
            "alipay.trade.query",
            &json!({ "out_trade_no": "none" }),
            &[("alipay_sdk", "x-1")],
        );
        let body = merchant.send(&fields, placement).await;
        assert_eq!(
            text(&merchant.verified("alipay.trade.query", &body), "sub_code"),
            "ACQ.TRADE_NOT_EXIST"
        );
    }
}

#[tokio::test]
async fn an_absolute_request_target_is_accepted() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let merchant = Merchant::new().await;
    let fields = merchant.signed(
        "alipay.trade.query",
        &json!({ "out_trade_no": "none" }),
        &[],
    );
    let address = merchant.bed.sandbox.addresses().alipay;
    let head = format!(
        "GET http://openapi.example/gateway.do?{} HTTP/1.1\r\nhost: openapi.example\r\nconnection: close\r\n\r\n",
        form::encode(&fields)
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("ACQ.TRADE_NOT_EXIST"), "{answer}");
}

#[tokio::test]
async fn one_number_is_one_order() {
    let merchant = Merchant::new().await;
    let first = merchant.precreate("T1", 100, &[]).await;
    assert_eq!(first, merchant.precreate("T1", 100, &[]).await);
    assert_eq!(
        text(&merchant.precreate("T1", 101, &[]).await, "sub_code"),
        "ACQ.CONTEXT_INCONSISTENT"
    );
    merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(text(&first, "qr_code")))
        .unwrap();
    assert_eq!(
        text(&merchant.precreate("T1", 100, &[]).await, "sub_code"),
        "ACQ.TRADE_HAS_SUCCESS"
    );
    let slash = merchant.precreate("T2", 100, &[("subject", "a/b")]).await;
    assert_eq!(text(&slash, "sub_code"), "ACQ.INVALID_PARAMETER");
    let unknown_key = merchant.precreate("T2", 100, &[("surprise", "x")]).await;
    assert_eq!(text(&unknown_key, "sub_code"), "ACQ.INVALID_PARAMETER");
}

#[tokio::test]
async fn close_ends_an_unpaid_trade_only() {
    let merchant = Merchant::new().await;
    let close = async |order_no: &str| {
        merchant
            .call("alipay.trade.close", json!({ "out_trade_no": order_no }))
            .await
    };
    let made = merchant.precreate("T1", 100, &[]).await;
    assert_eq!(text(&close("T1").await, "sub_code"), "ACQ.TRADE_NOT_EXIST");

    let look = ScanRequest {
        pay: false,
        ..ScanRequest::code(text(&made, "qr_code"))
    };
    merchant.bed.sandbox.scan(&look).unwrap();
    assert_eq!(text(&close("T1").await, "code"), "10000");
    assert_eq!(
        text(&merchant.query("T1").await, "trade_status"),
        "TRADE_CLOSED"
    );
    let refused = merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(text(&made, "qr_code")));
    assert_eq!(refused, Err(ScanRefused::Closed));
    assert_eq!(
        text(&close("T1").await, "sub_code"),
        "ACQ.REASON_TRADE_STATUS_INVALID"
    );

    merchant.paid("T2", 100).await;
    assert_eq!(
        text(&close("T2").await, "sub_code"),
        "ACQ.TRADE_STATUS_ERROR"
    );
}

#[tokio::test]
async fn the_payer_may_pay_just_before_the_close() {
    let merchant = Merchant::new().await;
    let made = merchant.precreate("T1", 100, &[]).await;
    let look = ScanRequest {
        pay: false,
        ..ScanRequest::code(text(&made, "qr_code"))
    };
    merchant.bed.sandbox.scan(&look).unwrap();
    merchant.fault(Operation::Close, Fault::kind(FaultKind::PaidMeanwhile));
    let closed = merchant
        .call("alipay.trade.close", json!({ "out_trade_no": "T1" }))
        .await;
    assert_eq!(text(&closed, "sub_code"), "ACQ.TRADE_STATUS_ERROR");
    assert_eq!(
        text(&merchant.query("T1").await, "trade_status"),
        "TRADE_SUCCESS"
    );
}

#[tokio::test]
async fn refunds_are_idempotent_by_request_number_and_add_up() {
    let merchant = Merchant::new().await;
    merchant.paid("T1", 1000).await;
    merchant.bed.inbox.wait(1).await;
    let first = merchant.refund("T1", 300, "R1").await;
    assert_eq!(
        (text(&first, "fund_change"), text(&first, "refund_fee")),
        ("Y", "3.00")
    );
    let again = merchant.refund("T1", 300, "R1").await;
    assert_eq!(
        (text(&again, "fund_change"), text(&again, "refund_fee")),
        ("N", "3.00")
    );
    let other = merchant.refund("T1", 301, "R1").await;
    assert_eq!(text(&other, "sub_code"), "ACQ.DISCORDANT_REPEAT_REQUEST");
    assert_eq!(
        text(&merchant.refund("T1", 701, "R2").await, "sub_code"),
        "ACQ.REASON_TRADE_REFUND_FEE_ERR"
    );

    let sent = merchant.bed.inbox.wait(2).await;
    let told = merchant.notify(&sent[1]);
    assert_eq!(
        (told("trade_status"), told("out_biz_no"), told("refund_fee")),
        ("TRADE_SUCCESS", "R1", "3.00")
    );

    let rest = merchant.refund("T1", 700, "R2").await;
    assert_eq!(
        (text(&rest, "fund_change"), text(&rest, "refund_fee")),
        ("Y", "10.00")
    );
    assert_eq!(
        text(&merchant.query("T1").await, "trade_status"),
        "TRADE_CLOSED"
    );
    assert_eq!(
        text(&merchant.refund("T1", 1, "R3").await, "sub_code"),
        "ACQ.TRADE_HAS_CLOSE"
    );

    let ask = async |request_no: &str| {
        let biz = json!({ "out_trade_no": "T1", "out_request_no": request_no });
        merchant
            .call("alipay.trade.fastpay.refund.query", biz)
            .await
    };
    let known = ask("R1").await;
    assert_eq!(
        (text(&known, "refund_status"), text(&known, "refund_amount")),
        ("REFUND_SUCCESS", "3.00")
    );
    assert_eq!(
        ask("R9").await,
        json!({ "code": "10000", "msg": "Success" })
    );
}

#[tokio::test]
async fn a_partial_refund_needs_a_request_number_and_an_unpaid_trade_gives_nothing_back() {
    let merchant = Merchant::new().await;
    merchant.paid("T1", 1000).await;
    let biz = json!({ "out_trade_no": "T1", "refund_amount": "1.00" });
    let refused = merchant.call("alipay.trade.refund", biz).await;
    assert_eq!(text(&refused, "sub_code"), "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL");
    assert_eq!(
        text(&merchant.refund("none", 1, "R1").await, "sub_code"),
        "ACQ.TRADE_NOT_EXIST"
    );
    let cancelled = merchant
        .call("alipay.trade.cancel", json!({ "out_trade_no": "T1" }))
        .await;
    assert_eq!(
        (text(&cancelled, "action"), text(&cancelled, "retry_flag")),
        ("refund", "N")
    );
    assert_eq!(
        text(&merchant.query("T1").await, "trade_status"),
        "TRADE_CLOSED"
    );
    let nothing = merchant
        .call("alipay.trade.cancel", json!({ "out_trade_no": "none" }))
        .await;
    assert_eq!(
        (text(&nothing, "code"), text(&nothing, "action")),
        ("10000", "")
    );
}

#[tokio::test]
async fn a_slow_refund_says_no_fund_change_until_a_query_says_success() {
    let merchant = Merchant::new().await;
    merchant.paid("T1", 1000).await;
    merchant.bed.inbox.wait(1).await;
    merchant.fault(
        Operation::Refund,
        Fault {
            refund_delay_s: Some(5),
            ..Fault::default()
        },
    );
    assert_eq!(
        text(&merchant.refund("T1", 300, "R1").await, "fund_change"),
        "N"
    );
    merchant.bed.inbox.wait(2).await;
    let biz = json!({ "out_trade_no": "T1", "out_request_no": "R1" });
    let asked = merchant
        .call("alipay.trade.fastpay.refund.query", biz)
        .await;
    assert_eq!(text(&asked, "refund_status"), "REFUND_SUCCESS");
}

#[tokio::test]
async fn a_code_and_a_trade_end_at_their_own_times() {
    let merchant = Merchant::new().await;
    let end = beijing::dashed(merchant.bed.now() + 600_000);
    let times = [
        ("time_expire", end.as_str()),
        ("qr_code_timeout_express", "5m"),
    ];
    let first = merchant.precreate("T1", 100, &times).await;
    let second = merchant.precreate("T2", 100, &times).await;
    let look = ScanRequest {
        pay: false,
        ..ScanRequest::code(text(&second, "qr_code"))
    };
    merchant.bed.sandbox.scan(&look).unwrap();

    merchant.bed.pass(300_000);
    let refused = merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(text(&first, "qr_code")));
    assert_eq!(refused, Err(ScanRefused::Expired));
    assert_eq!(
        text(&merchant.query("T2").await, "trade_status"),
        "WAIT_BUYER_PAY"
    );
    let again = merchant.precreate("T1", 100, &times).await;
    assert_eq!(text(&again, "sub_code"), "ACQ.APPLY_PC_MERCHANT_CODE_ERROR");

    merchant.bed.pass(300_000);
    assert_eq!(
        text(&merchant.query("T2").await, "trade_status"),
        "TRADE_CLOSED"
    );
    let refused =
        merchant
            .bed
            .sandbox
            .scan(&ScanRequest::order(ProviderName::Alipay, APP_ID, "T2"));
    assert_eq!(refused, Err(ScanRefused::Expired));
    assert_eq!(
        text(&merchant.query("T1").await, "sub_code"),
        "ACQ.TRADE_NOT_EXIST"
    );
    let late = merchant.precreate("T3", 100, &times).await;
    assert_eq!(
        text(&late, "sub_code"),
        "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR"
    );
}

#[tokio::test]
async fn a_relative_life_begins_at_the_scan() {
    let merchant = Merchant::new().await;
    let made = merchant
        .precreate("T1", 100, &[("timeout_express", "5m")])
        .await;
    merchant.bed.pass(3_600_000);
    let look = ScanRequest {
        pay: false,
        ..ScanRequest::code(text(&made, "qr_code"))
    };
    merchant.bed.sandbox.scan(&look).unwrap();
    merchant.bed.pass(299_999);
    assert_eq!(
        text(&merchant.query("T1").await, "trade_status"),
        "WAIT_BUYER_PAY"
    );
    merchant.bed.pass(1);
    assert_eq!(
        text(&merchant.query("T1").await, "trade_status"),
        "TRADE_CLOSED"
    );
}

#[tokio::test]
async fn a_tampered_call_is_refused_and_an_unknown_application_gets_no_signature() {
    let merchant = Merchant::new().await;
    let biz = json!({ "out_trade_no": "T1", "total_amount": "1.00", "subject": "x" });
    let mut fields = merchant.signed("alipay.trade.precreate", &biz, &[]);
    for (name, value) in &mut fields {
        if name == "biz_content" {
            *value = value.replace("1.00", "0.01");
        }
    }
    let body = merchant.send(&fields, Placement::Body).await;
    let node = merchant.verified("alipay.trade.precreate", &body);
    assert_eq!(
        (text(&node, "code"), text(&node, "sub_code")),
        ("40002", "isv.invalid-signature")
    );
    assert!(merchant.bed.sandbox.ledger().orders.is_empty());

    for (name, value) in &mut fields {
        if name == "app_id" {
            *value = "2021000000000009".to_owned();
        }
    }
    let body = merchant.send(&fields, Placement::Body).await;
    assert!(
        body.contains("isv.invalid-app-id") && !body.contains("\"sign\""),
        "{body}"
    );
}

#[tokio::test]
async fn certificate_mode_names_alipays_certificate_in_the_answer() {
    let merchant = Merchant::new().await;
    let file = |name: &str| key_file(&format!("alipay/{APP_ID}/{name}"));
    let app_sn = sign::cert_sn(&file("app_cert.crt")).unwrap();
    let root_sn = sign::root_cert_sn(&file("root_cert.crt"));
    let alipay_sn = sign::cert_sn(&file("alipay_cert.crt")).unwrap();
    let more = [
        ("app_cert_sn", app_sn.as_str()),
        ("alipay_root_cert_sn", root_sn.as_str()),
    ];
    let fields = merchant.signed(
        "alipay.trade.query",
        &json!({ "out_trade_no": "none" }),
        &more,
    );
    let body = merchant.send(&fields, Placement::QueryAndBody).await;
    assert!(
        body.contains(&format!(
            "}},\"alipay_cert_sn\":\"{alipay_sn}\",\"sign\":\""
        )),
        "{body}"
    );
    merchant.verified("alipay.trade.query", &body);
}

#[tokio::test]
async fn a_visited_cashier_makes_the_trade_and_its_button_pays() {
    let merchant = Merchant::new().await;
    let biz = json!({ "out_trade_no": "W1", "total_amount": "1.00", "subject": "<b>", "product_code": "QUICK_WAP_WAY" });
    let fields = merchant.signed(
        "alipay.trade.wap.pay",
        &biz,
        &[("return_url", "http://shop.example/back?x=1")],
    );
    assert_eq!(
        text(&merchant.query("W1").await, "sub_code"),
        "ACQ.TRADE_NOT_EXIST"
    );
    let page = merchant.send(&fields, Placement::Query).await;
    assert!(
        page.contains("¥ 1.00") && page.contains("&lt;b&gt;"),
        "{page}"
    );
    assert_eq!(
        text(&merchant.query("W1").await, "trade_status"),
        "WAIT_BUYER_PAY"
    );
    merchant.send(&fields, Placement::Body).await;

    let pay = format!(
        "http://{}/cashier/pay",
        merchant.bed.sandbox.addresses().alipay
    );
    let form = form::encode(&[("app_id", APP_ID), ("out_trade_no", "W1")]);
    let back = client().post(&pay).body(form).send().await.unwrap();
    assert_eq!(back.status(), 302);
    let location = back.headers()["location"].to_str().unwrap().to_owned();
    let query = location
        .strip_prefix("http://shop.example/back?x=1&")
        .unwrap();
    let returned = form::decode(query).unwrap();
    assert_eq!(
        merchant.notify(&returned)("method"),
        "alipay.trade.wap.pay.return"
    );
    let sent = merchant.bed.inbox.wait(1).await;
    assert_eq!(merchant.notify(&sent[0])("out_trade_no"), "W1");
}

#[tokio::test]
async fn an_order_string_can_be_opened_like_a_code() {
    let merchant = Merchant::new().await;
    let biz = json!({ "out_trade_no": "A1", "total_amount": "2.00", "subject": "点卡" });
    let order_string = form::encode(&merchant.signed("alipay.trade.app.pay", &biz, &[]));
    let scanned = merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(order_string.clone()))
        .unwrap();
    assert_eq!((scanned.paid, scanned.order_no.as_str()), (true, "A1"));
    assert_eq!(
        text(&merchant.query("A1").await, "trade_status"),
        "TRADE_SUCCESS"
    );
    let tampered = order_string.replace("2.00", "1.00");
    assert_eq!(
        merchant.bed.sandbox.scan(&ScanRequest::code(tampered)),
        Err(ScanRefused::Unknown)
    );
}

#[tokio::test]
async fn a_refused_front_call_is_a_page_in_gbk_with_the_code() {
    let merchant = Merchant::new().await;
    let biz = json!({ "out_trade_no": "P1", "total_amount": "1.00", "subject": "x" });
    let fields = merchant.signed("alipay.trade.page.pay", &biz, &[]);
    let url = format!("{}?{}", merchant.gateway(), form::encode(&fields));
    let response = client().get(url).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html;charset=GBK");
    let page = response.bytes().await.unwrap();
    let (page, _, broken) = encoding_rs::GBK.decode(&page);
    assert!(page.contains("ACQ.INVALID_PARAMETER") && !broken, "{page}");
}

#[tokio::test]
async fn faults_show_what_the_documents_say() {
    let merchant = Merchant::new().await;
    merchant.fault(Operation::Create, Fault::kind(FaultKind::Congested));
    let made = merchant.precreate("T1", 100, &[]).await;
    assert_eq!(
        (text(&made, "code"), text(&made, "sub_code")),
        ("40005", "isv.app-call-limited")
    );
    assert!(merchant.bed.sandbox.ledger().orders.is_empty());

    merchant.fault(Operation::Create, Fault::kind(FaultKind::ErrorAfterCommit));
    assert_eq!(
        text(&merchant.precreate("T1", 100, &[]).await, "code"),
        "20000"
    );
    assert_eq!(merchant.bed.sandbox.ledger().orders.len(), 1);

    merchant.bed.sandbox.clear_faults();
    merchant.paid("T1", 100).await;
    merchant.fault(Operation::Query, Fault::kind(FaultKind::NotFoundLag));
    assert_eq!(
        text(&merchant.query("T1").await, "sub_code"),
        "ACQ.TRADE_NOT_EXIST"
    );

    merchant.fault(Operation::Query, Fault::kind(FaultKind::BadSignature));
    let fields = merchant.signed("alipay.trade.query", &json!({ "out_trade_no": "T1" }), &[]);
    let body = merchant.send(&fields, Placement::Body).await;
    let parsed: Value = serde_json::from_str(&body).unwrap();
    let node = &body["{\"alipay_trade_query_response\":".len()..body.find(",\"sign\"").unwrap()];
    assert!(!holds(
        &merchant.alipay_public_key,
        node.as_bytes(),
        parsed["sign"].as_str().unwrap()
    ));
}

#[tokio::test]
async fn twisted_notifies_are_signed_over_what_they_say_or_by_a_stranger() {
    let merchant = Merchant::new().await;
    merchant.fault(
        Operation::Callback,
        Fault {
            wrong_amount: true,
            wrong_account: true,
            ..Fault::default()
        },
    );
    merchant.paid("T1", 100).await;
    let sent = merchant.bed.inbox.wait(1).await;
    let told = merchant.notify(&sent[0]);
    assert_eq!(
        (told("total_amount"), told("app_id")),
        ("1.01", "2021999999999999")
    );

    merchant.fault(
        Operation::Callback,
        Fault {
            wrong_key: true,
            ..Fault::default()
        },
    );
    merchant.paid("T2", 100).await;
    let sent = merchant.bed.inbox.wait(2).await;
    let content = sign::notify_text(&sent[1]);
    let signature = &sent[1].iter().find(|(name, _)| name == "sign").unwrap().1;
    assert!(!holds(
        &merchant.alipay_public_key,
        content.as_bytes(),
        signature
    ));
}
