//! The daily statement: when it is there, what the ZIP holds, how faults bend it.
//! Guards: everything goes over real HTTP, and the ZIP and the table are read by hand.

use serde_json::{Value, json};

use super::merchant::{APP_ID, Merchant, text};
use crate::faults::{Fault, Operation, StatementFault};
use crate::formats::zip::tests::opened;
use crate::inbox::client;
use crate::{Fill, PlantedKind, ProviderName};

/// The test's clock starts at 08:00 Beijing on 2026-01-31; the day is ready 25 h later.
const READY_MS: i64 = 25 * 3_600_000;

async fn ask(merchant: &Merchant, day: &str) -> Value {
    let biz = json!({ "bill_type": "trade", "bill_date": day });
    merchant.call("alipay.data.dataservice.bill.downloadurl.query", biz).await
}

async fn fetch(merchant: &Merchant) -> Vec<(String, Vec<u8>)> {
    let told = ask(merchant, "2026-01-31").await;
    let bytes = client().get(text(&told, "bill_download_url")).send().await.unwrap().bytes().await.unwrap();
    let named = |(name, content): (Vec<u8>, Vec<u8>)| (encoding_rs::GBK.decode(&name).0.into_owned(), content);
    opened(&bytes).into_iter().map(named).collect()
}

fn decoded(content: &[u8]) -> String {
    encoding_rs::GBK.decode(content).0.into_owned()
}

fn bend(merchant: &Merchant, statement: StatementFault) {
    merchant.fault(Operation::Statement, Fault { statement, ..Fault::default() });
}

#[tokio::test]
async fn a_statement_comes_the_next_morning_and_its_address_lives_half_a_minute() {
    let merchant = Merchant::new().await;
    merchant.paid("T1", 1000).await;
    assert_eq!(text(&ask(&merchant, "2026-01-31").await, "sub_code"), "isv.invalid_arguments");
    assert_eq!(text(&ask(&merchant, "2026-1-31").await, "sub_code"), "isv.invalid_arguments");
    merchant.bed.pass(READY_MS - 1);
    assert_eq!(text(&ask(&merchant, "2026-01-31").await, "sub_code"), "isp.bill_not_exist");
    merchant.bed.pass(1);
    assert_eq!(text(&ask(&merchant, "2026-01-30").await, "sub_code"), "isp.bill_not_exist");
    let told = ask(&merchant, "2026-01-31").await;
    let url = text(&told, "bill_download_url").to_owned();
    let fetch = async || client().get(&url).send().await.unwrap().bytes().await.unwrap();
    assert!(fetch().await.starts_with(b"PK\x03\x04"));
    merchant.bed.pass(30_000);
    assert!(!fetch().await.starts_with(b"PK"));
    let guessed = client().get(url.split("fileId=").next().unwrap().to_owned() + "fileId=1").send().await.unwrap();
    assert!(!guessed.bytes().await.unwrap().starts_with(b"PK"));
}

#[tokio::test]
async fn the_zip_holds_the_rows_and_the_summary_in_gbk() {
    let merchant = Merchant::new().await;
    merchant.precreate("T0", 5, &[]).await;
    merchant.paid("T1", 1999).await;
    merchant.refund("T1", 500, "R1").await;
    merchant.bed.pass(READY_MS);
    let entries = fetch(&merchant).await;
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["20880000000000010156_20260131_业务明细.csv", "20880000000000010156_20260131_业务明细(汇总).csv"]
    );
    let rows = decoded(&entries[0].1);
    let lines: Vec<&str> = rows.split("\r\n").collect();
    assert_eq!(lines[0], "#支付宝业务明细查询");
    assert_eq!(lines[1], "#账号：[20880000000000010156]");
    assert_eq!(lines[2], "#起始日期：[2026年01月31日 00:00:00]   终止日期：[2026年02月01日 00:00:00]");
    assert_eq!(lines[4].split(',').count(), 25);
    let trade_no = text(&merchant.query("T1").await, "trade_no").to_owned();
    let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let (paid, returned) = (cells(lines[5]), cells(lines[6]));
    assert_eq!(
        (paid[0].as_str(), &paid[1..4], &paid[11..13], paid[22].as_str()),
        (
            format!("{trade_no}\t").as_str(),
            &["T1\t", "交易\t", "点卡"].map(str::to_owned)[..],
            &["19.99", "19.99"].map(str::to_owned)[..],
            "-0.12"
        )
    );
    assert_eq!(
        (
            returned[0].as_str(),
            returned[2].as_str(),
            returned[11].as_str(),
            returned[21].as_str(),
            returned[22].as_str()
        ),
        (paid[0].as_str(), "退款\t", "-5.00", "R1\t", "0.03")
    );
    assert_eq!(lines[8], "#交易合计：1笔，商家实收共19.99元，商家优惠共0.00元");
    assert_eq!(lines[9], "#退款合计：1笔，商家实收退款共-5.00元，商家优惠退款共0.00元");
    assert_eq!(lines[10], "#导出时间：[2026年02月01日 09:00:00]");
    let summary = decoded(&entries[1].1);
    assert!(summary.starts_with("#支付宝业务汇总查询\r\n"), "{summary}");
    assert!(summary.contains("合计\t,\t,1,1,14.99,14.99,0.00,0.00,0.00,-0.09,0.00,14.90\r\n"), "{summary}");
}

#[tokio::test]
async fn faults_bend_the_rows_and_the_archive() {
    let merchant = Merchant::new().await;
    let wishes: Vec<Fill> = (0..30).map(|number| Fill::paid(format!("fill{number:03}"), 1000)).collect();
    merchant.bed.sandbox.fill(ProviderName::Alipay, APP_ID, "2026-01-31", &wishes).unwrap();
    merchant.bed.pass(READY_MS);
    let fault = StatementFault::default();
    let rows = async |statement| {
        bend(&merchant, statement);
        fetch(&merchant).await.remove(0)
    };
    let plain = decoded(&rows(fault).await.1);
    let bent =
        decoded(&rows(StatementFault { lost: 1, doubled: 2, wrong_amount: 1, other_merchant: 1, ..fault }).await.1);
    let planted = merchant.bed.sandbox.planted();
    assert_eq!(planted.iter().filter(|one| one.kind == PlantedKind::Doubled).count(), 2);
    for one in &planted {
        let count = bent.matches(&format!("{}\t", one.order_no)).count();
        let expected = match one.kind {
            PlantedKind::Lost | PlantedKind::OtherMerchant => 0,
            PlantedKind::Doubled => 2,
            PlantedKind::Extra | PlantedKind::WrongAmount | PlantedKind::WrongFee | PlantedKind::ChangedStatus => 1,
        };
        assert_eq!(count, expected, "{one:?}");
    }
    assert!(bent.contains("#账号：[20889999999999990156]") && bent.contains(",10.01,10.01,"));
    assert!(bent.contains("#交易合计：31笔，商家实收共310.01元"), "the sums are those of the rows");
    assert!(decoded(&rows(StatementFault { wrong_sums: true, ..fault }).await.1).contains("实收共300.01元"));
    assert!(decoded(&rows(StatementFault { columns: true, ..fault }).await.1).contains("商品名称,预留字段,创建时间"));
    let cut = rows(StatementFault { truncated: true, ..fault }).await.1;
    assert!(plain.starts_with(&decoded(&cut)) && cut.len() * 3 > plain.len());
    assert!(rows(StatementFault { traversal: true, ..fault }).await.0.starts_with("../../2088"));
    let utf8 = rows(StatementFault { wrong_encoding: true, ..fault }).await.1;
    assert!(String::from_utf8(utf8).unwrap().starts_with("#支付宝"));
    let bomb = rows(StatementFault { bomb_mib: 2, ..fault }).await.1;
    assert!(bomb.len() > 2 << 20 && bomb.ends_with(b"##"));
    bend(&merchant, StatementFault { not_ready: 1, ..fault });
    assert_eq!(text(&ask(&merchant, "2026-01-31").await, "sub_code"), "isp.bill_not_exist");
    assert_eq!(text(&ask(&merchant, "2026-01-31").await, "code"), "10000");
}
