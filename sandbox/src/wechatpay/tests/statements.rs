//! The daily statement over the wire.
//! The file is opened, hashed and counted as the protocol document says a merchant must.
//! Must not know: how rows are written.

use std::io::Read;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::json;

use super::merchant::{Call, Merchant};
use crate::{Fault, Operation, ScanRequest};

/// The test's clock starts at 08:00 Beijing on 2026-01-01; the day is ready 25 h later.
const READY_MS: i64 = 25 * 3_600_000;

async fn a_day_of_trade(merchant: &Merchant) {
    let mut order = merchant.order("bill-00001");
    order["description"] = json!("card `a`, b");
    merchant.create("native", &order).await;
    merchant.native("bill-00002").await;
    for number in ["bill-00001", "bill-00002"] {
        merchant.sandbox.scan(&ScanRequest::code(number)).unwrap();
    }
    let refund = json!({"out_trade_no": "bill-00002", "out_refund_no": "r1", "amount": {"refund": 30, "total": 100, "currency": "CNY"}});
    assert_eq!(merchant.refund(&refund).await.status, 200);
}

/// Asks for a statement and fetches it; checks its hash.
async fn fetched(merchant: &Merchant, query: &str) -> Vec<u8> {
    let told = merchant.send(&Call::get(format!("/v3/bill/tradebill?bill_date=2026-01-01{query}"))).await;
    assert_eq!((told.status, told.signed), (200, Some(true)), "{}", told.text);
    let url = told.json()["download_url"].as_str().unwrap().to_owned();
    let target = url.split_once("//").unwrap().1.split_once('/').map(|(_, target)| format!("/{target}")).unwrap();
    let (status, bytes) = merchant.bytes(&Call::get(target)).await;
    assert_eq!(status, 200);
    let mut plain = bytes;
    if query.contains("GZIP") {
        let mut opened = Vec::new();
        flate2::read::GzDecoder::new(plain.as_slice()).read_to_end(&mut opened).unwrap();
        plain = opened;
    }
    let hash: String =
        digest(&SHA1_FOR_LEGACY_USE_ONLY, &plain).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told.json()["hash_value"], hash.as_str(), "the hash is of the uncompressed file");
    plain
}

#[tokio::test]
async fn a_statement_lists_the_day_in_the_documented_form() {
    let merchant = Merchant::start().await;
    a_day_of_trade(&merchant).await;
    merchant.advance(READY_MS);
    let file = String::from_utf8(fetched(&merchant, "&bill_type=ALL&tar_type=GZIP").await).unwrap();
    assert!(file.starts_with("\u{feff}交易时间,公众账号ID") && file.ends_with("\r\n"));
    let lines: Vec<&str> = file.trim_end().split("\r\n").collect();
    assert_eq!(lines.len(), 6, "{file}");
    assert_eq!(lines[0].split(',').count(), 27);
    assert!(lines[1..4].iter().all(|line| line.starts_with('`') && line.split(",`").count() == 27));
    assert!(file.contains("card \\`a\\`\\  b"), "{file}");
    assert_eq!(lines[5], "`3,`2.00,`0.30,`0.00,`0.02,`2.00,`0.30");
    assert_eq!(fetched(&merchant, "&bill_type=ALL").await, file.into_bytes());
    for (kind, columns, rows) in [("SUCCESS", 20, 2), ("REFUND", 29, 1)] {
        let file = String::from_utf8(fetched(&merchant, &format!("&bill_type={kind}")).await).unwrap();
        let lines: Vec<&str> = file.trim_end().split("\r\n").collect();
        assert_eq!((lines[0].split(',').count(), lines.len() - 3), (columns, rows), "{kind}");
    }
}

#[tokio::test]
async fn a_statement_comes_when_it_is_ready_and_its_address_dies() {
    let merchant = Merchant::start().await;
    let ask = Call::get("/v3/bill/tradebill?bill_date=2026-01-01");
    merchant.advance(17 * 3_600_000);
    assert_eq!(merchant.send(&ask).await.code(), "400 STATEMENT_CREATING");
    merchant.advance(8 * 3_600_000);
    assert_eq!(merchant.send(&ask).await.code(), "400 NO_STATEMENT_EXIST");
    let today = Call::get("/v3/bill/tradebill?bill_date=2026-01-02");
    assert_eq!(merchant.send(&today).await.code(), "400 INVALID_REQUEST");
    let odd = Call::get("/v3/bill/tradebill?bill_date=2026-01-01&bill_type=NONE");
    assert_eq!(merchant.send(&odd).await.code(), "400 PARAM_ERROR");
    let dead = Call::get("/v3/billdownload/file?token=2026-01-01.ALL.NONE.1.000.1900000001%3D");
    assert_eq!(merchant.send(&dead).await.code(), "400 INVALID_REQUEST");
}

#[tokio::test]
async fn a_statement_loses_gains_and_bends_lines_as_asked() {
    let merchant = Merchant::start().await;
    a_day_of_trade(&merchant).await;
    merchant.advance(READY_MS);
    merchant.fault(Operation::Statement, Fault { lost_line: true, extra_line: true, ..Fault::default() });
    let file = String::from_utf8(fetched(&merchant, "&bill_type=SUCCESS").await).unwrap();
    assert!(!file.contains("bill-00001") && file.contains("bill-00002") && file.contains("unknown"), "{file}");
    merchant.fault(Operation::Statement, Fault { wrong_line: true, ..Fault::default() });
    let file = String::from_utf8(fetched(&merchant, "&bill_type=SUCCESS").await).unwrap();
    assert!(file.contains("`1.01,`0.00"), "{file}");
    merchant.fault(Operation::Statement, Fault { wrong_hash: true, ..Fault::default() });
    let told = merchant.send(&Call::get("/v3/bill/tradebill?bill_date=2026-01-01")).await;
    assert_eq!(told.json()["hash_value"], "0".repeat(40));
}
