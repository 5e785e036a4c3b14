//! The UnionPay server driven over real HTTP by a merchant that signs by hand.

use std::collections::BTreeMap;

use x509_parser::pem::Pem;

use crate::{
    faults::{Fault, FaultKind, FaultScope, FaultSetting, Operation},
    formats::{
        beijing, form,
        hash::{sha256_hex, tests::holds},
    },
    inbox::{Bed, client, key_file},
    keys::RsaKey,
    ledger::RefundState,
    options::ProviderName,
    payers::{ScanRefused, ScanRequest},
};

const MER_ID: &str = "777290058110001";

type Fields = BTreeMap<String, String>;

struct Merchant {
    bed: Bed,
    key: RsaKey,
    cert_id: String,
    secure_key: String,
}

impl Merchant {
    async fn new() -> Self {
        let bed = Bed::new().await;
        let signing = key_file(&format!("unionpay/{MER_ID}/sign.pem"));
        let certificate = Pem::iter_from_buffer(signing.as_bytes())
            .flatten()
            .find(|pem| pem.label == "CERTIFICATE")
            .unwrap();
        Self {
            bed,
            key: RsaKey::from_pem(&signing).unwrap(),
            cert_id: certificate.parse_x509().unwrap().serial.to_string(),
            secure_key: key_file(&format!("unionpay/{MER_ID}/secure_key"))
                .trim()
                .to_owned(),
        }
    }

    fn time(&self) -> String {
        beijing::compact(self.bed.now())
    }

    /// The fields every request has, with `more` over them.
    fn fields(&self, more: &[(&str, &str)]) -> Fields {
        let time = self.time();
        [
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("signMethod", "01"),
            ("certId", &self.cert_id),
            ("txnType", "01"),
            ("txnSubType", "07"),
            ("bizType", "000000"),
            ("channelType", "08"),
            ("accessType", "0"),
            ("merId", MER_ID),
            ("txnTime", &time),
            ("currencyCode", "156"),
            ("backUrl", &self.bed.inbox.url),
        ]
        .iter()
        .chain(more)
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
    }

    fn sign(&self, mut fields: Fields) -> Fields {
        let hashed = sha256_hex(link(&fields).as_bytes());
        fields.insert(
            "signature".to_owned(),
            self.key.sign_base64(hashed.as_bytes()),
        );
        fields
    }

    async fn post(&self, path: &str, fields: &Fields) -> String {
        let url = format!(
            "http://{}/gateway/api/{path}",
            self.bed.sandbox.addresses().unionpay
        );
        let pairs: Vec<_> = fields.iter().collect();
        let response = client()
            .post(url)
            .body(form::encode(&pairs))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// Signs, posts, and returns the verified answer.
    async fn call(&self, path: &str, more: &[(&str, &str)]) -> Fields {
        let body = self.post(path, &self.sign(self.fields(more))).await;
        let answer = parse(&body);
        verify(&answer);
        answer
    }

    async fn apply(&self, order_id: &str, fen: &str, more: &[(&str, &str)]) -> Fields {
        let more: Vec<_> = [("orderId", order_id), ("txnAmt", fen)]
            .iter()
            .chain(more)
            .copied()
            .collect();
        self.call("backTransReq.do", &more).await
    }

    async fn query(&self, order_id: &str, txn_time: &str) -> Fields {
        let more = [
            ("txnType", "00"),
            ("txnSubType", "00"),
            ("orderId", order_id),
            ("txnTime", txn_time),
        ];
        self.call("queryTrans.do", &more).await
    }

    async fn refund(&self, order_id: &str, query_id: &str, fen: &str) -> Fields {
        let more = [
            ("txnType", "04"),
            ("txnSubType", "00"),
            ("orderId", order_id),
            ("origQryId", query_id),
            ("txnAmt", fen),
        ];
        self.call("backTransReq.do", &more).await
    }

    fn front_form(&self, order_id: &str) -> Fields {
        let more = [
            ("txnSubType", "01"),
            ("bizType", "000201"),
            ("channelType", "07"),
            ("orderId", order_id),
            ("txnAmt", "1000"),
            ("frontUrl", "http://shop.example/back"),
        ];
        self.sign(self.fields(&more))
    }

    fn fault(&self, operation: Operation, fault: Fault) {
        let scope = FaultScope {
            provider: ProviderName::Unionpay,
            account: Some(MER_ID.to_owned()),
            operation: Some(operation),
        };
        self.bed.sandbox.set_fault(FaultSetting { scope, fault });
    }
}

fn link(fields: &Fields) -> String {
    let parts: Vec<String> = fields
        .iter()
        .filter(|(k, _)| *k != "signature")
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    parts.join("&")
}

/// Reads an unencoded answer: everything after the first `=` is the value.
fn parse(body: &str) -> Fields {
    body.split('&')
        .map(|part| part.split_once('=').expect(body))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

/// Checks the signature with the message's certificate, and that certificate against UnionPay's own file.
fn verify(fields: &Fields) {
    let pem = fields.get("signPubKeyCert").expect("a certificate");
    assert!(pem.contains("-----\r\n"), "PEM with CRLF");
    let own = key_file("unionpay/leaf.pem");
    assert_eq!(
        pem.lines().collect::<Vec<_>>(),
        own.lines().collect::<Vec<_>>()
    );
    let pem = Pem::iter_from_buffer(pem.as_bytes())
        .next()
        .unwrap()
        .unwrap();
    let certificate = pem.parse_x509().unwrap();
    let hashed = sha256_hex(link(fields).as_bytes());
    assert!(holds(
        certificate.public_key().raw,
        hashed.as_bytes(),
        &fields["signature"]
    ));
}

fn is(fields: &Fields, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(
            fields.get(*name).map_or("", String::as_str),
            *value,
            "{name} in {fields:?}"
        );
    }
}

#[tokio::test]
async fn a_scanned_code_is_notified_and_found_paid() {
    let merchant = Merchant::new().await;
    let time = merchant.time();
    let made = merchant
        .apply("Order0001", "1000", &[("reqReserved", "abc")])
        .await;
    is(
        &made,
        &[
            ("respCode", "00"),
            ("respMsg", "成功[0000000]"),
            ("reqReserved", "abc"),
        ],
    );
    let code = &made["qrCode"];
    assert!(code.starts_with("https://qr.95516.com/"));
    is(
        &merchant.query("Order0001", &time).await,
        &[("respCode", "00"), ("origRespCode", "05")],
    );

    let scanned = merchant.bed.sandbox.scan(&ScanRequest::code(code)).unwrap();
    let query_id = scanned.trade_no.unwrap();
    assert_eq!(query_id.len(), 21);
    let sent = merchant.bed.inbox.wait(1).await;
    let told: Fields = sent[0].iter().cloned().collect();
    verify(&told);
    is(
        &told,
        &[
            ("respCode", "00"),
            ("txnType", "01"),
            ("txnSubType", "07"),
            ("merId", MER_ID),
            ("orderId", "Order0001"),
            ("txnTime", &time),
            ("txnAmt", "1000"),
            ("currencyCode", "156"),
            ("settleDate", "0131"),
            ("reqReserved", "abc"),
            ("queryId", &query_id),
        ],
    );
    let paid = merchant.query("Order0001", &time).await;
    is(
        &paid,
        &[
            ("origRespCode", "00"),
            ("txnType", "01"),
            ("txnAmt", "1000"),
            ("queryId", &query_id),
        ],
    );
    is(
        &merchant.query("Order0001", "20260131080001").await,
        &[("respCode", "34")],
    );
}

#[tokio::test]
async fn one_number_is_one_order_and_its_time_is_now() {
    let merchant = Merchant::new().await;
    is(
        &merchant.apply("Order0001", "1000", &[]).await,
        &[("respCode", "00")],
    );
    is(
        &merchant.apply("Order0001", "1000", &[]).await,
        &[("respCode", "12")],
    );
    let old = beijing::compact(merchant.bed.now() - 301_000);
    is(
        &merchant
            .apply("Order0002", "1000", &[("txnTime", &old)])
            .await,
        &[("respCode", "10")],
    );
    is(
        &merchant.apply("Order-003", "1000", &[]).await,
        &[("respCode", "10")],
    );
    is(
        &merchant.apply("Order0004", "10.00", &[]).await,
        &[("respCode", "10")],
    );
    is(
        &merchant
            .apply(
                "Order0005",
                "1000",
                &[("txnType", "31"), ("txnSubType", "00")],
            )
            .await,
        &[("respCode", "32")],
    );
    is(
        &merchant.query("Unknown01", &merchant.time()).await,
        &[("respCode", "34")],
    );
}

#[tokio::test]
async fn a_tampered_or_foreign_request_is_refused_and_books_nothing() {
    let merchant = Merchant::new().await;
    let mut fields =
        merchant.sign(merchant.fields(&[("orderId", "Order0001"), ("txnAmt", "1000")]));
    fields.insert("txnAmt".to_owned(), "1".to_owned());
    let answer = parse(&merchant.post("backTransReq.do", &fields).await);
    verify(&answer);
    is(&answer, &[("respCode", "11")]);
    is(
        &merchant
            .apply("Order0001", "1000", &[("certId", "1234567890")])
            .await,
        &[("respCode", "11")],
    );
    is(
        &merchant
            .apply("Order0001", "1000", &[("merId", "777290058119999")])
            .await,
        &[("respCode", "31")],
    );
    assert!(merchant.bed.sandbox.ledger().orders.is_empty());
}

#[tokio::test]
async fn the_keyed_method_is_answered_in_kind() {
    let merchant = Merchant::new().await;
    let keyed = |fields: &Fields| {
        sha256_hex(
            format!(
                "{}&{}",
                link(fields),
                sha256_hex(merchant.secure_key.as_bytes())
            )
            .as_bytes(),
        )
    };
    let mut fields = merchant.fields(&[
        ("orderId", "Order0001"),
        ("txnAmt", "1000"),
        ("signMethod", "11"),
    ]);
    fields.remove("certId");
    let signature = keyed(&fields);
    fields.insert("signature".to_owned(), signature);
    let answer = parse(&merchant.post("backTransReq.do", &fields).await);
    is(
        &answer,
        &[
            ("respCode", "00"),
            ("signMethod", "11"),
            ("signPubKeyCert", ""),
        ],
    );
    assert_eq!(answer["signature"], keyed(&answer));
    merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(&answer["qrCode"]))
        .unwrap();
    let told: Fields = merchant
        .bed
        .inbox
        .wait(1)
        .await
        .remove(0)
        .into_iter()
        .collect();
    assert_eq!(told["signature"], keyed(&told));
}

#[tokio::test]
async fn a_front_order_exists_once_its_form_was_posted() {
    let merchant = Merchant::new().await;
    let (form, time) = (merchant.front_form("Front0001"), merchant.time());
    is(
        &merchant.query("Front0001", &time).await,
        &[("respCode", "34")],
    );
    let page = merchant.post("frontTransReq.do", &form).await;
    assert!(
        page.contains("银联在线支付") && page.contains("¥ 10.00"),
        "{page}"
    );
    is(
        &merchant.query("Front0001", &time).await,
        &[("respCode", "00"), ("origRespCode", "05")],
    );
    assert!(
        merchant
            .post("frontTransReq.do", &form)
            .await
            .contains("¥ 10.00"),
        "a reload shows it again"
    );

    let pay = format!(
        "http://{}/cashier/pay",
        merchant.bed.sandbox.addresses().unionpay
    );
    let button = form::encode(&[("merId", MER_ID), ("orderId", "Front0001")]);
    let back = client()
        .post(pay)
        .body(button)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        back.contains("action=\"http://shop.example/back\"") && back.contains("signPubKeyCert"),
        "{back}"
    );
    is(
        &merchant.query("Front0001", &time).await,
        &[("origRespCode", "00")],
    );
    assert!(
        merchant
            .post("frontTransReq.do", &form)
            .await
            .contains("12 重复交易")
    );
}

#[tokio::test]
async fn a_front_form_opens_later_than_five_minutes_in_vain() {
    let merchant = Merchant::new().await;
    let form = merchant.front_form("Front0001");
    merchant.bed.pass(301_000);
    assert!(
        merchant
            .post("frontTransReq.do", &form)
            .await
            .contains("txnTime")
    );
    assert!(merchant.bed.sandbox.ledger().orders.is_empty());
}

#[tokio::test]
async fn a_front_form_can_be_opened_like_a_code() {
    let merchant = Merchant::new().await;
    let pairs: Vec<_> = merchant.front_form("Front0001").into_iter().collect();
    let scanned = merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(form::encode(&pairs)))
        .unwrap();
    assert_eq!(
        (scanned.paid, scanned.order_no.as_str()),
        (true, "Front0001")
    );
}

#[tokio::test]
async fn an_app_order_is_unknown_until_the_payer_opens_it() {
    let merchant = Merchant::new().await;
    let time = merchant.time();
    let more = [
        ("txnSubType", "01"),
        ("bizType", "000201"),
        ("orderId", "App000001"),
        ("txnAmt", "1000"),
    ];
    let made = merchant.call("appTransReq.do", &more).await;
    assert_eq!(made["tn"].len(), 21);
    is(
        &merchant.query("App000001", &time).await,
        &[("respCode", "34")],
    );
    let look = ScanRequest {
        pay: false,
        ..ScanRequest::code(&made["tn"])
    };
    merchant.bed.sandbox.scan(&look).unwrap();
    is(
        &merchant.query("App000001", &time).await,
        &[("respCode", "00"), ("origRespCode", "05")],
    );
    merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(&made["tn"]))
        .unwrap();
    is(
        &merchant.query("App000001", &time).await,
        &[("origRespCode", "00")],
    );
}

#[tokio::test]
async fn nobody_pays_after_pay_timeout_and_the_query_is_final() {
    let merchant = Merchant::new().await;
    let (time, end) = (
        merchant.time(),
        beijing::compact(merchant.bed.now() + 300_000),
    );
    let made = merchant
        .apply("Order0001", "1000", &[("payTimeout", &end)])
        .await;
    merchant.bed.pass(300_000);
    let refused = merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(&made["qrCode"]));
    assert_eq!(refused, Err(ScanRefused::Expired));
    is(
        &merchant.query("Order0001", &time).await,
        &[("respCode", "00"), ("origRespCode", "39")],
    );
}

#[tokio::test]
async fn money_debited_after_pay_timeout_goes_back_without_a_notify() {
    let merchant = Merchant::new().await;
    let (time, end) = (
        merchant.time(),
        beijing::compact(merchant.bed.now() + 300_000),
    );
    let made = merchant
        .apply("Order0001", "1000", &[("payTimeout", &end)])
        .await;
    merchant.bed.pass(300_000);
    let late = ScanRequest {
        late: true,
        ..ScanRequest::code(&made["qrCode"])
    };
    assert!(merchant.bed.sandbox.scan(&late).unwrap().paid);
    is(
        &merchant.query("Order0001", &time).await,
        &[("respCode", "00"), ("origRespCode", "42")],
    );
    let book = merchant.bed.sandbox.ledger();
    assert_eq!(
        (book.payments[0].amount, book.payments[0].refunded),
        (1000, 1000)
    );
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(merchant.bed.inbox.count(), 0);
}

#[tokio::test]
async fn a_refund_is_accepted_then_settled_and_notified() {
    let merchant = Merchant::new().await;
    let time = merchant.time();
    let made = merchant.apply("Order0001", "1000", &[]).await;
    let paid = merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(&made["qrCode"]))
        .unwrap();
    let query_id = paid.trade_no.unwrap();
    merchant.bed.inbox.wait(1).await;
    merchant.fault(
        Operation::Refund,
        Fault {
            refund_state: Some(RefundState::Pending),
            ..Fault::default()
        },
    );
    is(
        &merchant.refund("Refund001", &query_id, "400").await,
        &[("respCode", "00"), ("txnType", "04")],
    );
    is(
        &merchant.query("Refund001", &time).await,
        &[
            ("respCode", "00"),
            ("origRespCode", "05"),
            ("txnType", "04"),
        ],
    );
    assert!(merchant.bed.sandbox.end_refund(
        ProviderName::Unionpay,
        MER_ID,
        "Refund001",
        RefundState::Success
    ));

    let told: Fields = merchant
        .bed
        .inbox
        .wait(2)
        .await
        .remove(1)
        .into_iter()
        .collect();
    verify(&told);
    is(
        &told,
        &[
            ("respCode", "00"),
            ("txnType", "04"),
            ("orderId", "Refund001"),
            ("origQryId", &query_id),
            ("txnAmt", "400"),
        ],
    );
    is(
        &merchant.query("Refund001", &time).await,
        &[("origRespCode", "00"), ("txnAmt", "400")],
    );

    merchant.bed.sandbox.clear_faults();
    is(
        &merchant.refund("Refund001", &query_id, "400").await,
        &[("respCode", "12")],
    );
    is(
        &merchant.refund("Refund002", &query_id, "601").await,
        &[("respCode", "36")],
    );
    is(
        &merchant
            .refund("Refund003", "511111111111111111118", "1")
            .await,
        &[("respCode", "34")],
    );
    is(
        &merchant.refund("Refund004", &query_id, "600").await,
        &[("respCode", "00")],
    );
    is(
        &merchant.refund("Refund005", &query_id, "1").await,
        &[("respCode", "45")],
    );
    merchant.bed.inbox.wait(3).await;
}

#[tokio::test]
async fn an_accepted_refund_may_fail_and_is_then_not_notified() {
    let merchant = Merchant::new().await;
    let time = merchant.time();
    let made = merchant.apply("Order0001", "1000", &[]).await;
    let paid = merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(&made["qrCode"]))
        .unwrap();
    merchant.bed.inbox.wait(1).await;
    merchant.fault(
        Operation::Refund,
        Fault {
            refund_state: Some(RefundState::Closed),
            refund_delay_s: Some(0),
            ..Fault::default()
        },
    );
    is(
        &merchant
            .refund("Refund001", &paid.trade_no.unwrap(), "400")
            .await,
        &[("respCode", "00")],
    );
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    is(
        &merchant.query("Refund001", &time).await,
        &[("respCode", "00"), ("origRespCode", "30")],
    );
    assert_eq!(merchant.bed.inbox.count(), 1);
    assert_eq!(merchant.bed.sandbox.ledger().payments[0].refunded, 0);
}

#[tokio::test]
async fn faults_show_what_the_documents_say() {
    let merchant = Merchant::new().await;
    let time = merchant.time();
    merchant.fault(Operation::Create, Fault::kind(FaultKind::Congested));
    is(
        &merchant.apply("Order0001", "1000", &[]).await,
        &[("respCode", "06")],
    );
    assert!(merchant.bed.sandbox.ledger().orders.is_empty());
    merchant.fault(Operation::Create, Fault::kind(FaultKind::ErrorAfterCommit));
    is(
        &merchant.apply("Order0001", "1000", &[]).await,
        &[("respCode", "04")],
    );
    merchant.fault(Operation::Query, Fault::kind(FaultKind::NotFoundLag));
    is(
        &merchant.query("Order0001", &time).await,
        &[("respCode", "34")],
    );
    merchant.fault(Operation::Query, Fault::kind(FaultKind::Congested));
    is(
        &merchant.query("Order0001", &time).await,
        &[("respCode", "37")],
    );

    merchant.fault(Operation::Query, Fault::kind(FaultKind::BadSignature));
    let more = [
        ("txnType", "00"),
        ("txnSubType", "00"),
        ("orderId", "Order0001"),
    ];
    let answer = parse(
        &merchant
            .post("queryTrans.do", &merchant.sign(merchant.fields(&more)))
            .await,
    );
    let own = Pem::iter_from_buffer(key_file("unionpay/leaf.pem").as_bytes())
        .next()
        .unwrap()
        .unwrap();
    let certificate = own.parse_x509().unwrap();
    let hashed = sha256_hex(link(&answer).as_bytes());
    assert!(!holds(
        certificate.public_key().raw,
        hashed.as_bytes(),
        &answer["signature"]
    ));
}

#[tokio::test]
async fn a_lost_notify_comes_again_up_to_five_times() {
    let merchant = Merchant::new().await;
    merchant.fault(
        Operation::Callback,
        Fault {
            lost_ratio: 1.0,
            ..Fault::default()
        },
    );
    let made = merchant.apply("Order0001", "1000", &[]).await;
    merchant
        .bed
        .sandbox
        .scan(&ScanRequest::code(&made["qrCode"]))
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(merchant.bed.sandbox.callbacks().len(), 5);
    assert_eq!(merchant.bed.inbox.count(), 0);
}
