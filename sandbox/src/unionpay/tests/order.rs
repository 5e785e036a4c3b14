//! QR orders, signatures, payTimeout, notifies and faults.
//! Guards: everything goes over real HTTP and every answer is verified before it is looked at.
//! Must not know: how the server keeps its orders.

use x509_parser::pem::Pem;

use super::merchant::{Fields, MER_ID, Merchant, is, link, parse, verify};
use crate::{
    faults::{Fault, FaultKind, Operation},
    formats::{
        beijing,
        hash::{sha256_hex, tests::holds},
    },
    inbox::key_file,
    payers::{ScanRefused, ScanRequest},
};

#[tokio::test]
async fn a_scanned_code_is_notified_and_found_paid() {
    let merchant = Merchant::new().await;
    let time = merchant.time();
    let made = merchant.apply("Order0001", "1000", &[("reqReserved", "abc")]).await;
    is(&made, &[("respCode", "00"), ("respMsg", "成功[0000000]"), ("reqReserved", "abc")]);
    let code = &made["qrCode"];
    assert!(code.starts_with("https://qr.95516.com/"));
    is(&merchant.query("Order0001", &time).await, &[("respCode", "00"), ("origRespCode", "05")]);

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
    is(&paid, &[("origRespCode", "00"), ("txnType", "01"), ("txnAmt", "1000"), ("queryId", &query_id)]);
    is(&merchant.query("Order0001", "20260131080001").await, &[("respCode", "34")]);
}

#[tokio::test]
async fn one_number_is_one_order_and_its_time_is_now() {
    let merchant = Merchant::new().await;
    is(&merchant.apply("Order0001", "1000", &[]).await, &[("respCode", "00")]);
    is(&merchant.apply("Order0001", "1000", &[]).await, &[("respCode", "12")]);
    let old = beijing::compact(merchant.bed.now() - 301_000);
    is(&merchant.apply("Order0002", "1000", &[("txnTime", &old)]).await, &[("respCode", "10")]);
    is(&merchant.apply("Order-003", "1000", &[]).await, &[("respCode", "10")]);
    is(&merchant.apply("Order0004", "10.00", &[]).await, &[("respCode", "10")]);
    is(&merchant.apply("Order0005", "1000", &[("txnType", "31"), ("txnSubType", "00")]).await, &[("respCode", "32")]);
    is(&merchant.query("Unknown01", &merchant.time()).await, &[("respCode", "34")]);
}

#[tokio::test]
async fn a_tampered_or_foreign_request_is_refused_and_books_nothing() {
    let merchant = Merchant::new().await;
    let mut fields = merchant.sign(merchant.fields(&[("orderId", "Order0001"), ("txnAmt", "1000")]));
    fields.insert("txnAmt".to_owned(), "1".to_owned());
    let answer = parse(&merchant.post("backTransReq.do", &fields).await);
    verify(&answer);
    is(&answer, &[("respCode", "11")]);
    is(&merchant.apply("Order0001", "1000", &[("certId", "1234567890")]).await, &[("respCode", "11")]);
    is(&merchant.apply("Order0001", "1000", &[("merId", "777290058119999")]).await, &[("respCode", "31")]);
    assert!(merchant.bed.sandbox.ledger().orders.is_empty());
}

#[tokio::test]
async fn the_keyed_method_is_answered_in_kind() {
    let merchant = Merchant::new().await;
    let keyed = |fields: &Fields| {
        sha256_hex(format!("{}&{}", link(fields), sha256_hex(merchant.secure_key.as_bytes())).as_bytes())
    };
    let mut fields = merchant.fields(&[("orderId", "Order0001"), ("txnAmt", "1000"), ("signMethod", "11")]);
    fields.remove("certId");
    let signature = keyed(&fields);
    fields.insert("signature".to_owned(), signature);
    let answer = parse(&merchant.post("backTransReq.do", &fields).await);
    is(&answer, &[("respCode", "00"), ("signMethod", "11"), ("signPubKeyCert", "")]);
    assert_eq!(answer["signature"], keyed(&answer));
    merchant.bed.sandbox.scan(&ScanRequest::code(&answer["qrCode"])).unwrap();
    let told: Fields = merchant.bed.inbox.wait(1).await.remove(0).into_iter().collect();
    assert_eq!(told["signature"], keyed(&told));
}

#[tokio::test]
async fn nobody_pays_after_pay_timeout_and_the_query_is_final() {
    let merchant = Merchant::new().await;
    let (time, end) = (merchant.time(), beijing::compact(merchant.bed.now() + 300_000));
    let made = merchant.apply("Order0001", "1000", &[("payTimeout", &end)]).await;
    merchant.bed.pass(300_000);
    let refused = merchant.bed.sandbox.scan(&ScanRequest::code(&made["qrCode"]));
    assert_eq!(refused, Err(ScanRefused::Expired));
    is(&merchant.query("Order0001", &time).await, &[("respCode", "00"), ("origRespCode", "39")]);
}

#[tokio::test]
async fn money_debited_after_pay_timeout_goes_back_without_a_notify() {
    let merchant = Merchant::new().await;
    let (time, end) = (merchant.time(), beijing::compact(merchant.bed.now() + 300_000));
    let made = merchant.apply("Order0001", "1000", &[("payTimeout", &end)]).await;
    merchant.bed.pass(300_000);
    let late = ScanRequest { late: true, ..ScanRequest::code(&made["qrCode"]) };
    assert!(merchant.bed.sandbox.scan(&late).unwrap().paid);
    is(&merchant.query("Order0001", &time).await, &[("respCode", "00"), ("origRespCode", "42")]);
    let book = merchant.bed.sandbox.ledger();
    assert_eq!((book.payments[0].amount, book.payments[0].refunded), (1000, 1000));
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(merchant.bed.inbox.count(), 0);
}

#[tokio::test]
async fn faults_show_what_the_documents_say() {
    let merchant = Merchant::new().await;
    let time = merchant.time();
    merchant.fault(Operation::Create, Fault::kind(FaultKind::Congested));
    is(&merchant.apply("Order0001", "1000", &[]).await, &[("respCode", "06")]);
    assert!(merchant.bed.sandbox.ledger().orders.is_empty());
    merchant.fault(Operation::Create, Fault::kind(FaultKind::ErrorAfterCommit));
    is(&merchant.apply("Order0001", "1000", &[]).await, &[("respCode", "04")]);
    merchant.fault(Operation::Query, Fault::kind(FaultKind::NotFoundLag));
    is(&merchant.query("Order0001", &time).await, &[("respCode", "34")]);
    merchant.fault(Operation::Query, Fault::kind(FaultKind::Congested));
    is(&merchant.query("Order0001", &time).await, &[("respCode", "37")]);

    merchant.fault(Operation::Query, Fault::kind(FaultKind::BadSignature));
    let more = [("txnType", "00"), ("txnSubType", "00"), ("orderId", "Order0001")];
    let answer = parse(&merchant.post("queryTrans.do", &merchant.sign(merchant.fields(&more))).await);
    let own = Pem::iter_from_buffer(key_file("unionpay/leaf.pem").as_bytes()).next().unwrap().unwrap();
    let certificate = own.parse_x509().unwrap();
    let hashed = sha256_hex(link(&answer).as_bytes());
    assert!(!holds(certificate.public_key().raw, hashed.as_bytes(), &answer["signature"]));
}

#[tokio::test]
async fn a_lost_notify_comes_again_up_to_five_times() {
    let merchant = Merchant::new().await;
    merchant.fault(Operation::Callback, Fault { lost_ratio: 1.0, ..Fault::default() });
    let made = merchant.apply("Order0001", "1000", &[]).await;
    merchant.bed.sandbox.scan(&ScanRequest::code(&made["qrCode"])).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(merchant.bed.sandbox.callbacks().len(), 5);
    assert_eq!(merchant.bed.inbox.count(), 0);
}
