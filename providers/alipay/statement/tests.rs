//! Statements from the question to the last sum: a golden ZIP, faults, cuts and flipped bytes.

use super::super::testing::{
    ALIPAY_KEY, NOW, SELLER_ID, account, answer, biz, certificate_account, html, key_section, no, parameters,
    read_options, signature,
};
use super::*;
use crate::shared::statement::testing::zipped;
use proptest::prelude::*;
use serde_json::json;
use std::io::{Cursor, Read as _};
use tongdao_core::provider::{Environment, ErrorClass, LineKind, Tally};

const GOLDEN: &[u8] = include_bytes!("../fixtures/statement.zip");
const ADDRESS: &str =
    "http://dwbillcenter.alipay.com/downloadBillFile.resource?bizType=trade&userId=2088&fileType=csv.zip&fileId=%2Fa";

fn day() -> Day {
    "2026-12-01".parse().unwrap()
}

type Read = Result<(Vec<StatementLine>, StatementTotals), StatementFault>;

fn read_zip(bytes: &[u8]) -> Read {
    let mut lines = Vec::new();
    let expected = Expected { seller_id: SELLER_ID, day: day() };
    let totals = read_file(&expected, &mut Cursor::new(bytes), &mut |line| {
        lines.push(line);
        Ok(())
    })?;
    Ok((lines, totals))
}

/// The two texts of the golden ZIP.
fn texts() -> [String; 2] {
    let mut file = Cursor::new(GOLDEN);
    let entries = archive::entries(&mut file, u64::try_from(GOLDEN.len()).unwrap()).unwrap();
    let texts = entries.iter().map(|entry| {
        let mut bytes = Vec::new();
        archive::open(&mut file, entry).unwrap().read_to_end(&mut bytes).unwrap();
        GBK.decode(&bytes).0.into_owned()
    });
    texts.collect::<Vec<_>>().try_into().unwrap()
}

fn gbk_of(text: &str) -> Vec<u8> {
    GBK.encode(text).0.into_owned()
}

fn packed(detail: &str, summary: &str) -> Vec<u8> {
    let name = |end: &str| gbk_of(&format!("{SELLER_ID}0156_20261201_业务明细{end}.csv"));
    zipped(&[(&name(""), &gbk_of(detail)), (&name("(汇总)"), &gbk_of(summary))])
}

fn fault(detail: &str) -> String {
    read_zip(&packed(detail, &texts()[1])).unwrap_err().to_string()
}

fn row(line: &StatementLine) -> String {
    let number = |no: &Option<String>| no.as_deref().map_or("-".to_owned(), |no| no[no.len() - 2..].to_owned());
    let (order, refund) = (number(&line.provider_order_no), number(&line.provider_refund_no));
    format!("{} {:?} {order} {refund} {} fee {}", line.line, line.kind, line.amount.yuan(), line.fee.unwrap())
}

#[test]
fn the_question_names_the_trade_statement_of_the_day() {
    let fields = parameters(&write(&account(), day(), NOW).unwrap());
    assert_eq!(fields["method"], "alipay.data.dataservice.bill.downloadurl.query");
    assert_eq!(biz(&fields), json!({ "bill_type": "trade", "bill_date": "2026-12-01" }));
    assert!(fields.contains_key("sign"));
}

#[test]
fn a_signed_address_on_the_documented_host_is_fetched_and_never_shown() {
    let node = json!({ "code": "10000", "msg": "Success", "bill_download_url": ADDRESS });
    let outcome = read(&account(), &answer(DOWNLOAD_URL, &node));
    let StatementOutcome::Download { call, seal: None } = &outcome else { panic!("{outcome:?}") };
    assert_eq!((call.url.as_str(), call.method, call.headers.len()), (ADDRESS, Method::Get, 0));
    let shown = format!("{outcome:?}");
    assert!(!shown.contains("userId") && !shown.contains("2088"), "{shown}");
}

#[test]
fn an_address_elsewhere_or_without_a_signature_is_not_fetched() {
    let outcome = |options: &Options, url: &str| {
        read(options, &answer(DOWNLOAD_URL, &json!({ "code": "10000", "bill_download_url": url })))
    };
    let is_taken = |options: &Options, url: &str| matches!(outcome(options, url), StatementOutcome::Download { .. });
    let production = account();
    assert!(is_taken(&production, &ADDRESS.replace("http:", "https:")));
    for url in [
        "http://dwbillcenter.alipay.com.evil.example/a",
        "http://evil.example/dwbillcenter.alipay.com",
        "http://x@dwbillcenter.alipay.com/a",
        "http://openapi.alipay.com/a",
        "ftp://dwbillcenter.alipay.com/a",
        "http://127.0.0.1/a",
        "",
    ] {
        assert!(!is_taken(&production, url), "{url}");
    }
    let mut local = key_section();
    local["gateway_url"] = json!("http://127.0.0.1:9102/gateway.do");
    let sandbox = read_options(&local, Environment::Sandbox).unwrap();
    assert!(is_taken(&sandbox, "http://127.0.0.1:9102/downloadBillFile.resource?fileId=a"));
    assert!(!is_taken(&sandbox, "http://127.0.0.1:9103/downloadBillFile.resource?fileId=a"));
    let node = json!({ "code": "10000", "bill_download_url": ADDRESS }).to_string();
    let unsigned = html(&format!("{{\"alipay_data_dataservice_bill_downloadurl_query_response\":{node}}}"));
    let forged = signature(ALIPAY_KEY, "other");
    let forged =
        html(&format!("{{\"alipay_data_dataservice_bill_downloadurl_query_response\":{node},\"sign\":\"{forged}\"}}"));
    for reply in [unsigned, forged] {
        for options in [account(), certificate_account()] {
            assert!(matches!(read(&options, &reply), StatementOutcome::Failed(_)));
        }
    }
}

#[test]
fn no_statement_is_told_from_a_refusal_in_both_spellings() {
    let said = |code, sub_code| read(&account(), &answer(DOWNLOAD_URL, &no(code, sub_code)));
    for sub_code in ["isp.bill_not_exist", "BILL_NOT_EXIST", "NO_BILL_DATA"] {
        assert_eq!(said("40004", sub_code), StatementOutcome::Absent, "{sub_code}");
    }
    let class = |code, sub_code| {
        let outcome = said(code, sub_code);
        let StatementOutcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        failure.class
    };
    for sub_code in ["isv.invalid_arguments", "INVAILID_ARGUMENTS", "BILL_DATE_BEFORE_REGISTRATION"] {
        assert_eq!(class("40004", sub_code), ErrorClass::Rejected, "{sub_code}");
    }
    assert_eq!(class("40004", "SYSTEM_RATE_LIMIT"), ErrorClass::Congested);
    assert_eq!(class("40005", "isv.app-call-limited"), ErrorClass::Congested);
    assert_eq!(class("40004", "UNKNOWN_ERROR"), ErrorClass::Unknown);
    assert_eq!(class("20000", "isp.bill_not_exist"), ErrorClass::Unknown);
    assert_eq!(class("40006", "isv.insufficient-isv-permissions"), ErrorClass::Misconfigured);
    assert!(matches!(said("10000", ""), StatementOutcome::Failed(_)));
}

#[test]
fn the_golden_statement_is_read_to_the_fen() {
    let (lines, totals) = read_zip(GOLDEN).unwrap();
    let rows: Vec<String> = lines.iter().map(row).collect();
    assert_eq!(
        rows,
        [
            "6 Payment 12 - 88.88 fee 53",
            "7 Payment 13 - 10.00 fee 5",
            "8 Refund 12 01 88.88 fee -53",
            "9 Refund 00 02 2.00 fee 0",
            "10 Payment 14 - 0.01 fee 0",
        ]
    );
    assert_eq!(lines[0].at, Some(day().midnight().plus_s(9)));
    assert_eq!(lines[0].provider_trade_no.as_deref(), Some("2026120122001499160501589436"));
    let (payments, refunds) = (Tally { count: 3, amount: 9_889 }, Tally { count: 2, amount: 9_088 });
    assert_eq!(totals, StatementTotals { payments, refunds, fee: 5 });
    assert_eq!(lines[2].kind, LineKind::Refund);
}

#[test]
fn fewer_more_and_quoted_columns_and_other_parentheses_are_read() {
    let [detail, summary] = texts();
    let golden = read_zip(GOLDEN);
    let without: String = detail
        .split_inclusive('\n')
        .map(|line| if line.starts_with('#') { line.to_owned() } else { line.replacen("备注", "备注,新列", 1) })
        .map(|line| if line.starts_with("20261") { line.trim_end().to_owned() + ",\"x,y\"\r\n" } else { line })
        .collect();
    assert_eq!(read_zip(&packed(&without, &summary)), golden);
    assert_eq!(read_zip(&packed(&detail.replace("（元）", "(元)"), &summary)), golden);
    let quoted = detail.replace("2026120122001499160501589436\t", "\"2026120122001499160501589436\"\t");
    assert_eq!(read_zip(&packed(&quoted, &summary)), golden);
    let alone = zipped(&[(&gbk_of("业务明细.csv"), &gbk_of(&detail))]);
    assert_eq!(read_zip(&alone), golden);
    let utf8_name = zipped(&[("业务明细.csv".as_bytes(), &gbk_of(&detail))]);
    assert_eq!(read_zip(&utf8_name), golden);
    let signs = detail.replace(",-0.53,", ",0.53,").replace(",-0.05,", ",0.05,");
    assert_eq!(read_zip(&packed(&signs, &summary)), golden);
}

#[test]
fn what_is_not_ours_or_not_whole_is_a_fault_with_its_place() {
    let [detail, summary] = texts();
    let cases = [
        (detail.replacen("[2088", "[2089", 1), "the file is another account's"),
        (detail.replacen("0156]", "01567]", 1), "the file is another account's"),
        (detail.replacen("12月01日", "11月30日", 1), "the file is of another day"),
        (
            detail.replacen("业务明细查询", "账务明细查询", 1),
            "line 1: the file does not begin with #支付宝业务明细查询",
        ),
        (detail.replacen("业务类型", "类型", 1), "line 5: there is no column 业务类型"),
        (detail.replacen("88.88,88.88", "88.89,88.89", 1), "the lines do not add up to the file's own 商家实收共"),
        (detail.replacen("：3笔", "：4笔", 1), "line 12: the file's own counts or sums are not the rows'"),
        (detail.replacen("-0.50元", "-0.51元", 1), "the lines do not add up to the file's own 商家优惠退款共"),
        (detail.replacen("商家实收退款共", "实收", 1), "line 13: the file's own counts or sums are not the rows'"),
        (detail.replacen("#退款合计", "#其他", 1), "the file is cut off: its sums are missing"),
        (detail.replacen("\t,交易\t", "\t,冻结\t", 1), "line 6: the row is of a kind that is not documented"),
        (detail.replacen(",88.88,", ",8８.88,", 1), "line 6: a sum is not a plain decimal"),
        (detail.replacen(",88.88,", ", 88.88,", 1), "line 6: a sum is not a plain decimal"),
        (
            detail.replacen(",88.88,", ",-88.88,", 1),
            "line 6: the sum is not whole fen, above zero for a trade and below for a refund",
        ),
        (detail.replacen("12-01 00:00:09", "11-29 00:00:09", 1), "line 6: the row is of another day"),
        (detail.replacen("12-01 00:00:09", "12-01 00-00:09", 1), "line 6: the time is no time"),
        (detail.replacen("\"年卡", "年卡", 1), "line 7: the row has 26 cells and the header 25"),
        (detail.replacen("特惠\"\"\"", "特惠", 1), "line 7: a quote in the row does not close"),
        (detail.replacen("#交易合计", "1,2\r\n#交易合计", 1), "line 12: a row follows the end of the list"),
    ];
    for (text, why) in cases {
        assert_eq!(fault(&text), why);
    }
    let lines: Vec<&str> = detail.split_inclusive('\n').collect();
    for count in 0..lines.len() - 1 {
        assert!(!fault(&lines[..count].concat()).is_empty(), "{count} lines");
    }
    let wrong = [
        (summary.replacen("合计\t,\t,3,2", "合计\t,\t,3,3", 1), "line 7: the summary counts other rows"),
        (summary.replace(",7.51,", ",7.52,"), "the summary's sum is not the detail file's"),
        (summary.replacen("[2088", "[2089", 1), "the file is another account's"),
    ];
    for (text, why) in wrong {
        let refused = read_zip(&packed(&detail, &text)).unwrap_err().to_string();
        assert!(refused.starts_with(why), "{refused}");
    }
    let gross = summary.replace(",7.51,", ",97.89,");
    assert!(read_zip(&packed(&detail, &gross)).is_ok());
}

#[test]
fn a_zip_without_one_detail_file_or_with_another_encoding_is_refused() {
    let [detail, _] = texts();
    let name = gbk_of("业务明细.csv");
    let refused = |entries: &[(&[u8], &[u8])]| read_zip(&zipped(entries)).unwrap_err().to_string();
    assert_eq!(refused(&[(b"readme.txt", b"x")]), "the ZIP holds no detail file");
    let two = gbk_of("a_业务明细.csv");
    assert_eq!(refused(&[(&name, b"x"), (&two, b"y")]), "the ZIP holds two files of one kind");
    assert_eq!(refused(&[(&name, b"")]), "the file is cut off");
    assert!(refused(&[(&name, detail.as_bytes())]).starts_with("line 1: "));
    let mut bytes = gbk_of(&detail);
    let at = bytes.windows(4).position(|window| window == gbk_of("月卡")).unwrap();
    bytes[at + 1] = b'\r';
    assert_eq!(refused(&[(&name, &bytes)]), "line 6: the line is not GBK");
    assert_eq!(read_zip(b"<html>error</html>").unwrap_err().to_string(), "the file is no whole ZIP file");
}

proptest! {
    #[test]
    fn any_cut_is_refused(at in 0..GOLDEN.len()) {
        prop_assert!(read_zip(&GOLDEN[..at]).is_err());
    }

    #[test]
    fn any_flipped_bit_is_a_fault_or_gives_the_same_lines(at in 0..GOLDEN.len(), bit in 0..8u32) {
        let mut bytes = GOLDEN.to_vec();
        bytes[at] ^= 1 << bit;
        let read = read_zip(&bytes);
        prop_assert!(read.is_err() || read == read_zip(GOLDEN), "byte {at}");
    }

    #[test]
    fn rows_are_read_back_whatever_the_goods_are_called(
        rows in proptest::collection::vec((1..1_000_000i64, any::<bool>(), "[,\"月a ]{0,9}"), 0..10)
    ) {
        let [detail, _] = texts();
        let lines: Vec<&str> = detail.split_inclusive('\n').collect();
        let yuan = |fen| tongdao_core::money::Money::cny(fen).yuan();
        let (mut counts, mut sums, mut text) = ([0, 0], [0, 0], lines[..5].concat());
        for (n, (fen, is_refund, goods)) in rows.iter().enumerate() {
            let (kind, fen) = if *is_refund { ("退款", -fen) } else { ("交易", *fen) };
            let place = usize::from(*is_refund);
            (counts[place], sums[place]) = (counts[place] + 1, sums[place] + fen);
            let (sum, goods) = (yuan(fen), format!("\"{}\"", goods.replace('"', "\"\"")));
            text += &format!(
                "T{n}\t,O{n}\t,{kind}\t,{goods},2026-12-01 10:00:00,2026-12-01 10:00:00,\t,\t,\t,\t,x\t,{sum},{sum},0.00,\
                 0.00,0.00,0.00,0.00,,0.00\t,0.00,R{n}\t,0.00,0.00,{goods}\r\n"
            );
        }
        text += &format!(
            "#--业务明细列表结束--\r\n#交易合计：{}笔，商家实收共{}元，商家优惠共0.00元\r\n#退款合计：{}笔，\
             商家实收退款共{}元，商家优惠退款共0.00元\r\n",
            counts[0], yuan(sums[0]), counts[1], yuan(sums[1])
        );
        let (read, _) = read_zip(&zipped(&[(&gbk_of("业务明细.csv"), &gbk_of(&text))])).unwrap();
        prop_assert_eq!(read.len(), rows.len());
        for (n, (line, (fen, is_refund, _))) in read.iter().zip(&rows).enumerate() {
            prop_assert_eq!((line.amount.amount, line.kind == LineKind::Refund), (*fen, *is_refund));
            prop_assert_eq!(line.provider_order_no.clone(), Some(format!("O{n}")));
            prop_assert_eq!(line.provider_refund_no.clone(), is_refund.then(|| format!("R{n}")));
        }
    }
}
