//! Whole days over the wire: filled ledgers, planted differences, files that are late, cut, bent or bombs.
//! Guards: WeChat Pay's files are fetched by a merchant of the documents, the others by their own tests beside them.

use std::collections::{BTreeMap, BTreeSet};

use crate::wechatpay::tests::merchant::{Call, Merchant};
use crate::{Fault, Fill, FillRefused, Operation, PlantedKind, ProviderName, StatementFault};

const DAY: &str = "2026-01-01";
/// The merchant's clock starts at 08:00 on that day.
const READY_MS: i64 = 25 * 3_600_000;

fn wishes(count: usize) -> Vec<Fill> {
    (0..count)
        .map(|number| {
            let fill = Fill::paid(format!("fill{number:06}"), 100 + i64::try_from(number).unwrap());
            if number % 10 == 0 { fill.refunded(format!("back{number:06}"), 50) } else { fill }
        })
        .collect()
}

async fn filled(count: usize) -> Merchant {
    let merchant = Merchant::start().await;
    let booked = merchant.sandbox.fill(ProviderName::Wechatpay, "1900000001", DAY, &wishes(count)).unwrap();
    assert_eq!(booked.len(), count);
    merchant.advance(READY_MS);
    merchant
}

async fn told(merchant: &Merchant, query: &str) -> crate::wechatpay::tests::merchant::Answer {
    merchant.send(&Call::get(format!("/v3/bill/tradebill?bill_date={DAY}{query}"))).await
}

async fn bytes(merchant: &Merchant, query: &str) -> Vec<u8> {
    let told = told(merchant, query).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let url = told.json()["download_url"].as_str().unwrap().to_owned();
    let target = url.split_once("//").unwrap().1.split_once('/').map(|(_, target)| format!("/{target}")).unwrap();
    let (status, bytes) = merchant.bytes(&Call::get(target)).await;
    assert_eq!(status, 200);
    bytes
}

fn bend(merchant: &Merchant, statement: StatementFault) {
    merchant.fault(Operation::Statement, Fault { statement, ..Fault::default() });
}

/// The rows between the header and the sums, cell by cell.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = text.trim_end().split("\r\n").collect();
    lines[1..lines.len() - 2].iter().map(|line| line[1..].split(",`").collect()).collect()
}

#[tokio::test]
async fn a_filled_day_is_the_days_statement() {
    let merchant = filled(50).await;
    let text = String::from_utf8(bytes(&merchant, "").await).unwrap();
    let ledger = merchant.sandbox.ledger();
    assert_eq!((ledger.payments.len(), ledger.refunds.len(), rows(&text).len()), (50, 5, 55));
    let trades: BTreeSet<&str> = ledger.payments.iter().map(|payment| payment.trade_no.as_str()).collect();
    assert_eq!(trades.len(), 50);
    assert!(rows(&text).iter().all(|row| trades.contains(row[5])));
    assert!(text.contains(",`1.00000,`0.60%,`1.00,") || text.contains(",`0.01000,`0.60%,`1.00,"), "{text}");
    assert!(merchant.sandbox.planted().is_empty());
}

#[tokio::test]
async fn a_fill_is_booked_whole_or_not_at_all() {
    let merchant = filled(2).await;
    let fill = |wishes: &[Fill]| merchant.sandbox.fill(ProviderName::Wechatpay, "1900000001", DAY, wishes);
    let used = |number: &str| Err(FillRefused::NumberUsed(number.to_owned()));
    assert_eq!(fill(&[Fill::paid("new1", 1), Fill::paid("fill000001", 1)]), used("fill000001"));
    assert_eq!(fill(&[Fill::paid("new1", 1), Fill::paid("new1", 1)]), used("new1"));
    assert_eq!(fill(&[Fill::paid("new1", 9).refunded("back000000", 1)]), used("back000000"));
    let wrong = Err(FillRefused::Amount("new1".to_owned()));
    assert_eq!(fill(&[Fill::paid("new1", 0)]), wrong);
    assert_eq!(fill(&[Fill::paid("new1", 9).refunded("r", 10)]), wrong);
    assert_eq!(merchant.sandbox.ledger().payments.len(), 2);
}

#[tokio::test]
async fn exactly_so_many_differences_of_each_kind_are_planted_and_told() {
    let merchant = filled(200).await;
    let plain = String::from_utf8(bytes(&merchant, "").await).unwrap();
    let statement = StatementFault {
        seed: 7,
        lost: 3,
        extra: 2,
        doubled: 4,
        wrong_amount: 5,
        wrong_fee: 6,
        changed_status: 7,
        other_merchant: 1,
        ..StatementFault::default()
    };
    bend(&merchant, statement);
    let text = String::from_utf8(bytes(&merchant, "").await).unwrap();
    let planted = merchant.sandbox.planted();
    let mut counts = BTreeMap::new();
    for one in &planted {
        *counts.entry(one.kind).or_insert(0) += 1;
        assert_eq!((one.day.as_str(), one.account.as_str()), (DAY, "1900000001"));
    }
    use PlantedKind::{ChangedStatus, Doubled, Extra, Lost, OtherMerchant, WrongAmount, WrongFee};
    let expected =
        [(Lost, 3), (Extra, 2), (Doubled, 4), (WrongAmount, 5), (WrongFee, 6), (ChangedStatus, 7), (OtherMerchant, 1)];
    assert_eq!(counts, BTreeMap::from(expected));
    let lines = |text: &str| text.split("\r\n").map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(&plain), lines(&text));
    let of = |lines: &[String], one: &crate::Planted| {
        let number = one.refund_no.as_ref().unwrap_or(&one.order_no);
        let of_refund = one.refund_no.is_some();
        let mine = |line: &&String| line.contains(&format!("`{number},")) && line.contains("`REFUND,") == of_refund;
        lines.iter().filter(mine).cloned().collect::<Vec<_>>()
    };
    for one in &planted {
        let (was, is) = (of(&before, one), of(&after, one));
        match one.kind {
            Lost => assert_eq!((was.len(), is.len()), (1, 0)),
            Doubled => assert_eq!((was.len(), is.len()), (1, 2)),
            Extra | OtherMerchant => assert_eq!((was.len(), is.len()), (0, 1)),
            WrongAmount | WrongFee | ChangedStatus => {
                assert_eq!((was.len(), is.len()), (1, 1));
                assert_ne!(was, is, "{one:?}");
            }
        }
    }
    let untouched = before.iter().filter(|line| after.contains(line)).count();
    // The header, the sums' header, the end, and every row but those that are gone or bent; the sums differ.
    assert_eq!(untouched, before.len() - 1 - 3 - 5 - 6 - 7);
    let again = merchant.sandbox.planted();
    bytes(&merchant, "").await;
    let strip = |planted: Vec<crate::Planted>| -> Vec<_> {
        planted.into_iter().map(|one| (one.kind, one.order_no, one.refund_no)).collect()
    };
    assert_eq!(strip(merchant.sandbox.planted()), strip(again), "one seed hits the same lines");
}

#[tokio::test]
async fn the_file_around_the_lines_is_bent_as_asked() {
    let merchant = filled(40).await;
    let plain = String::from_utf8(bytes(&merchant, "").await).unwrap();
    let fault = StatementFault::default();
    bend(&merchant, StatementFault { reordered: true, ..fault });
    let shuffled = String::from_utf8(bytes(&merchant, "").await).unwrap();
    assert_ne!(shuffled, plain);
    let sorted = |text: &str| text.split("\r\n").map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(sorted(&shuffled), sorted(&plain));
    bend(&merchant, StatementFault { truncated: true, ..fault });
    let cut = bytes(&merchant, "").await;
    assert!(plain.as_bytes().starts_with(&cut) && !cut.ends_with(b"\n"), "it ends within a line");
    bend(&merchant, StatementFault { columns: true, ..fault });
    let moved = String::from_utf8(bytes(&merchant, "").await).unwrap();
    assert!(moved.starts_with("\u{feff}交易时间,公众账号ID,商户号,预留字段,特约商户号,商户订单号,微信订单号,设备号,"));
    assert!(moved.contains(",`new,`0,`fill000001,"), "{moved}");
    bend(&merchant, StatementFault { wrong_encoding: true, ..fault });
    assert!(String::from_utf8(bytes(&merchant, "").await).is_err());
    bend(&merchant, StatementFault { wrong_sums: true, ..fault });
    assert_ne!(String::from_utf8(bytes(&merchant, "").await).unwrap(), plain);
    bend(&merchant, StatementFault { wrong_amount_line: Some(3), ..fault });
    bytes(&merchant, "").await;
    assert_eq!(merchant.sandbox.planted()[0].order_no, "fill000001", "the second line is the first payment's refund");
    bend(&merchant, StatementFault { bomb_mib: 64, ..fault });
    assert!(bytes(&merchant, "&tar_type=GZIP").await.len() < 200_000);
}

#[tokio::test]
async fn a_statement_may_be_late_or_absent_or_there_at_once() {
    let merchant = filled(1).await;
    bend(&merchant, StatementFault { not_ready: 2, ..StatementFault::default() });
    assert_eq!(told(&merchant, "").await.code(), "400 STATEMENT_CREATING");
    assert_eq!(told(&merchant, "").await.code(), "400 STATEMENT_CREATING");
    assert_eq!(told(&merchant, "").await.status, 200);
    bend(&merchant, StatementFault { absent: true, ..StatementFault::default() });
    assert_eq!(told(&merchant, "").await.code(), "400 NO_STATEMENT_EXIST");
    let today = Call::get("/v3/bill/tradebill?bill_date=2026-01-02");
    assert_eq!(merchant.send(&today).await.code(), "400 INVALID_REQUEST");
    merchant.sandbox.clear_faults();
    merchant.sandbox.set_statements_ready_at_once(true);
    assert_eq!(merchant.send(&today).await.code(), "400 NO_STATEMENT_EXIST");
    merchant.sandbox.fill(ProviderName::Wechatpay, "1900000001", "2026-01-02", &[Fill::paid("today1", 5)]).unwrap();
    assert_eq!(merchant.send(&today).await.status, 200);
}

#[tokio::test]
async fn a_day_of_a_hundred_thousand_lines_is_filled_in_seconds() {
    let merchant = Merchant::start().await;
    let wishes: Vec<Fill> = (0..100_000).map(|number| Fill::paid(format!("full{number:06}"), 500)).collect();
    let counts = |provider, wishes: &[Fill]| merchant.sandbox.fill(provider, "any", DAY, wishes).map(|all| all.len());
    assert_eq!(counts(ProviderName::Unionpay, &wishes), Ok(100_000));
    assert_eq!(counts(ProviderName::Alipay, &wishes[..5_000]), Ok(5_000));
    let trades: BTreeSet<String> =
        merchant.sandbox.ledger().payments.into_iter().map(|payment| payment.trade_no).collect();
    assert_eq!(trades.len(), 105_000, "one number is one trade");
}
