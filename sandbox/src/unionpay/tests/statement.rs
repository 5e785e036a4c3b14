//! The settlement file: its day, its layers, its records, and how faults bend them.
//! Guards: everything goes over real HTTP, every answer is verified, and the file is opened layer by layer by hand.

use std::io::Read;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::merchant::{Fields, MER_ID, Merchant, is, parse, verify};
use crate::formats::{beijing, form, zip::tests::opened};
use crate::inbox::client;
use crate::{Fault, Fill, Operation, ProviderName, ScanRequest, StatementFault};

const HOUR_MS: i64 = 3_600_000;

async fn ask(merchant: &Merchant, settle_date: &str) -> Fields {
    let more = [("txnType", "76"), ("txnSubType", "01"), ("fileType", "00"), ("settleDate", settle_date)];
    let fields = merchant.sign(merchant.fields(&more));
    let pairs: Vec<_> = fields.iter().collect();
    let url = format!("http://{}/", merchant.bed.sandbox.addresses().unionpay);
    let answer = parse(&client().post(url).body(form::encode(&pairs)).send().await.unwrap().text().await.unwrap());
    verify(&answer);
    answer
}

fn entries(answer: &Fields) -> Vec<(String, Vec<u8>)> {
    let packed = STANDARD.decode(&answer["fileContent"]).unwrap();
    let mut archive = Vec::new();
    flate2::read::ZlibDecoder::new(packed.as_slice()).read_to_end(&mut archive).unwrap();
    opened(&archive).into_iter().map(|(name, content)| (String::from_utf8(name).unwrap(), content)).collect()
}

/// The fields of each record, by the published widths.
fn records(content: &[u8]) -> Vec<Vec<String>> {
    const WIDTHS: [usize; 41] = [
        3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1, 15, 32,
        13, 13, 8, 32, 13, 13, 12, 2, 1, 131,
    ];
    assert_eq!(content.len() % 609, 0);
    content
        .chunks(609)
        .map(|record| {
            assert!(record.ends_with(b"\r\n"));
            let mut at = 0;
            let fields = WIDTHS.map(|width| {
                let field = encoding_rs::GBK.decode(&record[at..at + width]).0.trim_end().to_owned();
                at += width + 1;
                field
            });
            fields.to_vec()
        })
        .collect()
}

#[tokio::test]
async fn the_file_of_the_settle_date_holds_the_payment_and_its_refund() {
    let merchant = Merchant::new().await;
    let made = merchant.apply("Order0001", "1999", &[]).await;
    let query_id = merchant.bed.sandbox.scan(&ScanRequest::code(&made["qrCode"])).unwrap().trade_no.unwrap();
    // One minute past 23:00 the next clearing day has begun.
    merchant.bed.pass(15 * HOUR_MS + 60_000);
    let time = merchant.time();
    is(&merchant.refund("Refund001", &query_id, "500").await, &[("respCode", "00")]);
    merchant.bed.inbox.wait(2).await;
    is(&merchant.query("Refund001", &time).await, &[("origRespCode", "00"), ("settleDate", "0201")]);
    is(&ask(&merchant, "0131").await, &[("respCode", "98"), ("fileContent", "")]);
    merchant.bed.pass(10 * HOUR_MS);
    let answer = ask(&merchant, "0131").await;
    is(&answer, &[("respCode", "00"), ("txnType", "76"), ("fileName", &format!("{MER_ID}_20260131.zip"))]);
    let paid = entries(&answer);
    let names: Vec<&str> = paid.iter().map(|(name, _)| name.as_str()).collect();
    let named = |start: &str, kind: &str| format!("{start}26013188{kind}_{MER_ID}");
    assert_eq!(names, [named("INN", "ZM"), named("INN", "ZME"), named("RD2010", "")]);
    let rows = records(&paid[0].1);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row[0].as_str(), row[6].as_str(), row[9].as_str()), ("S22", "000000001999", query_id.as_str()));
    assert_eq!((row[11].as_str(), row[15].as_str(), row[16].as_str()), ("Order0001", "D000000000012", "C000000001987"));
    assert_eq!((row[19].as_str(), row[20].as_str(), row[27].as_str()), ("01", "07", MER_ID));
    is(&ask(&merchant, "0201").await, &[("respCode", "98")]);
    merchant.bed.pass(24 * HOUR_MS);
    let returned = entries(&ask(&merchant, "0201").await);
    assert_eq!(returned.len(), 3);
    let row = &records(&returned[0].1)[0];
    assert_eq!((row[0].as_str(), row[11].as_str(), row[26].as_str()), ("S30", "Refund001", query_id.as_str()));
    assert_eq!((row[15].as_str(), row[16].as_str(), row[19].as_str()), ("C000000000003", "D000000000497", "04"));
}

#[tokio::test]
async fn a_wrong_request_for_a_file_is_refused() {
    let merchant = Merchant::new().await;
    is(&ask(&merchant, "1331").await, &[("respCode", "10")]);
    is(&ask(&merchant, "0130").await, &[("respCode", "98")]);
    let more = [("txnType", "76"), ("txnSubType", "01"), ("settleDate", "0130"), ("orderId", "Order0001")];
    is(&merchant.call("backTransReq.do", &more).await, &[("respCode", "32")]);
}

#[tokio::test]
async fn faults_bend_the_records_and_the_archive() {
    let merchant = Merchant::new().await;
    let wishes: Vec<Fill> = (0..20)
        .map(|number| Fill::paid(format!("fill{number:04}"), 1000).refunded(format!("back{number:04}"), 10))
        .collect();
    let filled = merchant.bed.sandbox.fill(ProviderName::Unionpay, MER_ID, "2026-01-30", &wishes).unwrap();
    assert_eq!(beijing::dashed(filled[0].paid_at), "2026-01-29 23:00:00");
    merchant.bed.pass(2 * HOUR_MS);
    let bent = async |statement| {
        merchant.fault(Operation::Statement, Fault { statement, ..Fault::default() });
        entries(&ask(&merchant, "0130").await)
    };
    let fault = StatementFault::default();
    let plain = bent(fault).await;
    assert_eq!((plain.len(), records(&plain[0].1).len()), (2, 40), "every other day has no file of errors");
    let rows = records(
        &bent(StatementFault { seed: 3, lost: 2, doubled: 1, extra: 1, other_merchant: 1, ..fault }).await[0].1,
    );
    assert_eq!(rows.len(), 41);
    assert_eq!(rows.iter().filter(|row| row[27] != MER_ID).count(), 1);
    assert_eq!(merchant.bed.sandbox.planted().len(), 5);
    let rows = records(&bent(StatementFault { wrong_fee: 40, ..fault }).await[0].1);
    assert!(rows.iter().all(|row| row[15] == "D000000000007" || row[15] == "C000000000001"), "{rows:?}");
    let rows = records(&bent(StatementFault { columns: true, ..fault }).await[0].1);
    assert!(rows.iter().any(|row| row[40].starts_with("fill0000 ")));
    assert_ne!(bent(StatementFault { truncated: true, ..fault }).await[0].1.len() % 609, 0);
    assert!(bent(StatementFault { traversal: true, ..fault }).await[0].0.starts_with("../../INN"));
    assert!(bent(StatementFault { wrong_encoding: true, ..fault }).await[0].1.starts_with(b"\xef\xbb\xbfS"));
    assert!(bent(StatementFault { bomb_mib: 2, ..fault }).await[0].1.len() > 2 << 20);
    assert_ne!(bent(StatementFault { wrong_sums: true, ..fault }).await[1].1, plain[1].1);
    merchant
        .fault(Operation::Statement, Fault { statement: StatementFault { absent: true, ..fault }, ..Fault::default() });
    is(&ask(&merchant, "0130").await, &[("respCode", "98")]);
}
