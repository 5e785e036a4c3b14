//! Statements from the question to the last sum: golden files, faults, cuts and flipped bytes.

use super::super::stage::{self, MCH_ID, NOW, account, built, json_reply, refusal, section};
use super::*;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::json;
use std::io::{Cursor, Write as _};
use tongdao_core::provider::{LineKind, LineStatus, Provider as _, Tally};

const GOLDEN: &str = include_str!("../fixtures/statement.csv");
const LEGACY: &str = include_str!("../fixtures/statement_legacy.csv");
const ADDRESS: &str = "https://api.mch.weixin.qq.com/v3/billdownload/file?token=6Xq%2Bab-_%3D%3D&x=1";

fn day() -> Day {
    "2026-12-01".parse().unwrap()
}

fn nonce() -> Nonce {
    Nonce("n".repeat(32))
}

fn sha1(bytes: &[u8]) -> Seal {
    let mut reader = Digesting::new(bytes);
    std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    Seal::Sha1(reader.finish().0)
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

type Read = Result<(Vec<StatementLine>, StatementTotals), StatementFault>;

fn read(bytes: &[u8], seal: Option<&Seal>) -> Read {
    let mut lines = Vec::new();
    let totals = account().read_statement_file(day(), &mut Cursor::new(bytes), seal, &mut |line| {
        lines.push(line);
        Ok(())
    })?;
    Ok((lines, totals))
}

fn fault(text: &str) -> String {
    read(text.as_bytes(), None).unwrap_err().to_string()
}

/// A line as one readable row.
fn row(line: &StatementLine) -> String {
    let number = |no: &Option<String>| no.as_deref().map_or("-".to_owned(), |no| no[no.len() - 2..].to_owned());
    let (order, refund) = (number(&line.provider_order_no), number(&line.provider_refund_no));
    let fee = line.fee.unwrap();
    format!("{} {:?} {:?} {order} {refund} {} fee {fee}", line.line, line.kind, line.status, line.amount.yuan())
}

#[test]
fn the_question_is_signed_over_its_whole_target() {
    let call = account().statement(day(), NOW, nonce()).unwrap();
    let url = "https://api.mch.weixin.qq.com/v3/bill/tradebill?bill_date=2026-12-01&bill_type=ALL&tar_type=GZIP";
    assert_eq!((call.url.as_str(), call.method), (url, Method::Get));
    assert_eq!(call.backup_url.unwrap(), url.replace("api.", "api2."));
    assert!(call.headers.iter().any(|(name, value)| name == "authorization" && value.contains(MCH_ID)));
}

fn answer(url: &str) -> HttpReply {
    let hash = "79bb0f45fc4c42234a918000b2668d689e2bde04";
    json_reply(&json!({ "hash_type": "SHA1", "hash_value": hash, "download_url": url }))
}

#[test]
fn the_download_is_signed_over_the_address_exactly_as_given() {
    let outcome = account().read_statement(day(), &answer(ADDRESS), NOW, nonce());
    let StatementOutcome::Download { call, seal } = outcome else { panic!("{outcome:?}") };
    assert_eq!(call.url, ADDRESS);
    assert_eq!(seal, Some(Seal::Sha1("79bb0f45fc4c42234a918000b2668d689e2bde04".to_owned())));
    let again = account().signed(HttpCall { headers: Vec::new(), ..call.clone() }, NOW, &nonce()).unwrap();
    assert_eq!(again.headers, call.headers);
    let other = HttpCall { url: ADDRESS.replace("%2B", "+"), headers: Vec::new(), ..call.clone() };
    assert_ne!(account().signed(other, NOW, &nonce()).unwrap().headers, call.headers);
    assert!(!format!("{call:?}").contains("token"), "{call:?}");
}

#[test]
fn a_file_is_fetched_from_their_own_hosts_only() {
    let is_taken = |provider: &WechatPay, url: &str| {
        matches!(provider.judge_statement(&answer(url), NOW, &nonce()), StatementOutcome::Download { .. })
    };
    let production = account();
    for url in [ADDRESS, "https://api2.mch.weixin.qq.com/v3/billdownload/file?token=a"] {
        assert!(is_taken(&production, url), "{url}");
    }
    for url in [
        "http://api.mch.weixin.qq.com/v3/billdownload/file?token=a",
        "https://api.mch.weixin.qq.com.evil.example/v3/file",
        "https://api.mch.weixin.qq.com@evil.example/v3/file",
        "https://evil.example/api.mch.weixin.qq.com/",
        "https://evil.example\\@api.mch.weixin.qq.com/",
        "https://api.mch.weixin.qq.com:8443/v3/file",
        "https://api.mch.weixin.qq.com/v3/file#x",
        "https://api.mch.weixin.qq.com/v3/a b",
        "//api.mch.weixin.qq.com/v3",
        "",
    ] {
        assert!(!is_taken(&production, url), "{url}");
    }
    let mut local = section();
    local["base_url"] = json!("http://127.0.0.1:9101");
    let sandbox = built(&local, Environment::Sandbox).unwrap();
    assert!(is_taken(&sandbox, "http://127.0.0.1:9101/v3/billdownload/file?token=a"));
    assert!(!is_taken(&sandbox, "http://127.0.0.1:9102/v3/billdownload/file?token=a"));
}

#[test]
fn no_statement_and_one_in_the_making_are_told_apart_and_nothing_unsigned_is_believed() {
    let judge = |reply: &HttpReply| account().read_statement(day(), reply, NOW, nonce());
    for status in [400, 404] {
        assert_eq!(judge(&refusal(status, "NO_STATEMENT_EXIST")), StatementOutcome::Absent);
        assert_eq!(judge(&refusal(status, "STATEMENT_CREATING")), StatementOutcome::NotReady);
    }
    let class = |reply: &HttpReply| {
        let outcome = judge(reply);
        let StatementOutcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        failure.class
    };
    assert_eq!(class(&refusal(400, "INVALID_REQUEST")), ErrorClass::Rejected);
    assert_eq!(class(&refusal(403, "NO_AUTH")), ErrorClass::Misconfigured);
    assert_eq!(class(&refusal(429, "FREQUENCY_LIMITED")), ErrorClass::Congested);
    assert_eq!(class(&refusal(500, "NO_STATEMENT_EXIST")), ErrorClass::Unknown);
    let mut forged = answer(ADDRESS);
    forged.body = String::from_utf8(forged.body).unwrap().replace("79bb", "79bc").into_bytes();
    assert_eq!(class(&forged), ErrorClass::Unknown);
    let odd = json!({ "hash_type": "MD5", "hash_value": "0".repeat(40), "download_url": ADDRESS });
    assert_eq!(class(&json_reply(&odd)), ErrorClass::Unknown);
    assert_eq!(class(&stage::reply(202, "{}")), ErrorClass::Unknown);
}

#[test]
fn the_golden_statement_is_read_to_the_fen() {
    let (lines, totals) = read(GOLDEN.as_bytes(), Some(&sha1(GOLDEN.as_bytes()))).unwrap();
    let rows: Vec<String> = lines.iter().map(row).collect();
    assert_eq!(
        rows,
        [
            "2 Payment Done 01 - 88.88 fee 53",
            "3 Payment Done 02 - 10.00 fee 6",
            "4 Refund Done 01 01 88.88 fee -53",
            "5 Refund Pending 02 02 2.00 fee 0",
            "6 Refund Failed 02 03 1.00 fee 0",
            "7 Refund Pending 02 04 0.01 fee 0",
            "8 Payment Done 03 - 0.01 fee 0",
        ]
    );
    assert_eq!(lines[0].at, Some(day().midnight()));
    assert_eq!(lines[0].provider_trade_no.as_deref(), Some("4200000000202612010000000001"));
    let payments = Tally { count: 3, amount: 9_889 };
    let refunds = Tally { count: 4, amount: 9_189 };
    assert_eq!(totals, StatementTotals { payments, refunds, fee: 6 });
}

#[test]
fn an_old_merchants_columns_are_found_by_their_names() {
    let (lines, totals) = read(LEGACY.as_bytes(), None).unwrap();
    let rows: Vec<String> = lines.iter().map(row).collect();
    assert_eq!(
        rows,
        ["2 Payment Done 26 - 0.01 fee 0", "3 Refund Done 70 0R 0.01 fee 0", "4 Payment Failed 71 - 0.02 fee 0"]
    );
    assert_eq!(totals.payments, Tally { count: 2, amount: 3 });
}

#[test]
fn a_packed_file_is_hashed_unpacked_or_as_it_came() {
    let gz = packed(GOLDEN.as_bytes());
    let plain = read(GOLDEN.as_bytes(), None);
    assert!(plain.is_ok());
    for seal in [sha1(GOLDEN.as_bytes()), sha1(&gz)] {
        assert_eq!(read(&gz, Some(&seal)), plain);
    }
    let Seal::Sha1(hash) = sha1(GOLDEN.as_bytes());
    assert_eq!(read(GOLDEN.as_bytes(), Some(&Seal::Sha1(hash.to_ascii_uppercase()))), plain);
    for bytes in [&gz, GOLDEN.as_bytes()] {
        let refused = read(bytes, Some(&Seal::Sha1("0".repeat(40)))).unwrap_err();
        assert!(refused.to_string().contains("SHA-1"), "{refused}");
    }
}

#[test]
fn moved_and_new_columns_change_nothing_and_lost_ones_are_faults() {
    let moved = GOLDEN.lines().map(|line| match line.strip_prefix('`') {
        Some(_) if line.matches(",`").count() > 10 => format!("`new,{line}\r\n"),
        Some(_) => format!("{line}\r\n"),
        None if line.contains("交易时间") => format!("新列,{}\r\n", line.trim_start_matches('\u{feff}')),
        None => format!("{line}\r\n"),
    });
    assert_eq!(read(moved.collect::<String>().as_bytes(), None), read(GOLDEN.as_bytes(), None));
    for column in ["商户号", "微信订单号", "交易状态", "手续费", "订单金额"] {
        let lost = GOLDEN.replacen(&format!(",{column},"), ",x,", 1);
        assert_eq!(fault(&lost), format!("line 1: there is no column {column}"));
    }
    assert!(fault(&GOLDEN.replacen("费率备注", "手续费", 1)).contains("stands twice"));
}

#[test]
fn a_statement_of_a_day_without_trades_has_sums_of_nothing() {
    let kept = |line: &&str| !line.starts_with("`2026");
    let text: String = GOLDEN.lines().filter(kept).map(|line| format!("{line}\r\n")).collect();
    let none = text.replace("`7.0,`97.89,`91.39,`0.5,`0.06006,`98.89,`91.89", "`0,`0.00,`0.00,`0.00,`0.00,`0.00,`0.00");
    assert_eq!(read(none.as_bytes(), None), Ok((Vec::new(), StatementTotals::default())));
}

#[test]
fn what_is_not_ours_or_not_whole_is_a_fault_with_its_place() {
    let cases = [
        (GOLDEN.replacen("`1900007291", "`1900007292", 1), "line 2: the row is another merchant's"),
        (GOLDEN.replacen("2026-12-01 00", "2026-11-29 00", 1), "line 2: the row is of another day"),
        (GOLDEN.replacen("2026-12-01 00", "2026-13-01 00", 1), "line 2: the time is no time"),
        (GOLDEN.replacen("`88.88", "`88.89", 1), "the lines do not add up to the file's own 应结订单金额"),
        (GOLDEN.replacen("`0.53000", "`0.54000", 1), "the lines do not add up to the file's own 手续费"),
        (GOLDEN.replacen("`10.00", "`１0.00", 1), "line 3: a sum is not a plain decimal"),
        (GOLDEN.replacen("`10.00", "`1e1", 1), "line 3: a sum is not a plain decimal"),
        (GOLDEN.replacen("`10.00", "`10.001", 1), "line 3: the sum is not a positive one of whole fen"),
        (GOLDEN.replacen("`10.00", "`-10.00", 1), "line 3: the sum is not a positive one of whole fen"),
        (GOLDEN.replacen("`7.0", "`8.0", 1), "the file has another number of rows than it says"),
        (GOLDEN.replacen("`PROCESSING", "`WAITING", 1), "line 5: the refund is in a state that is not documented"),
        (GOLDEN.replacen("`SUCCESS", "`GIFT", 1), "line 2: the row is in a state that is not documented"),
        (GOLDEN.replacen("`CNY", "`RMB元", 1), "line 2: the currency is no currency"),
        (GOLDEN.replacen("`NATIVE,", "", 1), "line 2: the row has 26 cells and the header 27"),
        (format!("{GOLDEN}`1\r\n"), "line 11: something follows the sums"),
        (String::new(), "the file is empty"),
        ("<xml><return_code>FAIL</return_code></xml>\r\n".to_owned(), "line 1: there is no column 交易时间"),
    ];
    for (text, why) in cases {
        assert_eq!(fault(&text), why);
    }
    let lines: Vec<&str> = GOLDEN.split_inclusive('\n').collect();
    assert!(fault(&lines[..8].concat()).contains("no sums"));
    assert!(fault(&lines[..9].concat()).contains("no sums"));
    assert!(fault(&[&lines[..2], &lines[3..]].concat().concat()).contains("another number of rows"));
}

#[test]
fn bytes_that_are_not_utf8_name_their_line() {
    let mut bytes = GOLDEN.as_bytes().to_vec();
    let at = GOLDEN.find("月卡").unwrap();
    bytes[at] = 0xc4;
    assert_eq!(read(&bytes, None).unwrap_err().to_string(), "line 3: the line is not UTF-8");
}

#[test]
fn a_bomb_is_stopped_while_it_unpacks() {
    let bomb = packed(&vec![b'x'; 64 << 20]);
    let refused = read(&bomb, None).unwrap_err();
    assert!(matches!(refused, StatementFault::Line { line: 1, .. }), "{refused}");
    let most = unpacked_max(u64::try_from(bomb.len()).unwrap());
    let mut unpacked = Bounded::new(MultiGzDecoder::new(bomb.as_slice()), most);
    let error = std::io::copy(&mut unpacked, &mut std::io::sink()).unwrap_err();
    assert!(io_fault(&error).to_string().contains("more comes out of it"), "{error}");
}

#[test]
fn a_reader_that_stops_stops_the_reading() {
    let stop = StatementFault::Stopped("enough".to_owned());
    let mut seen = 0;
    let expected = Expected { mch_id: MCH_ID, day: day() };
    let read = read_file(&expected, &mut Cursor::new(GOLDEN.as_bytes()), None, &mut |_| {
        seen += 1;
        Err(stop.clone())
    });
    assert_eq!((read, seen), (Err(stop.clone()), 1));
}

#[test]
fn lines_doubled_in_a_consistent_file_are_passed_on() {
    let row = GOLDEN.split_inclusive('\n').nth(1).unwrap();
    let text = GOLDEN
        .replacen(row, &row.repeat(2), 1)
        .replace("`7.0,`97.89,`91.39,`0.5,`0.06006,`98.89,`91.89", "`8.0,`186.77,`91.39,`0.5,`0.59006,`187.77,`91.89");
    let (lines, _) = read(text.as_bytes(), None).unwrap();
    assert_eq!((lines.len(), &lines[0].provider_order_no), (8, &lines[1].provider_order_no));
}

/// What merchants write, made safe for the file as the documents say.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '\\' | '"' | '\'' | '`' => safe.extend(['\\', letter]),
            ',' => safe.push_str("\\ "),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ => safe.push(letter),
        }
    }
    safe
}

#[derive(Debug, Clone)]
struct Drawn {
    fen: i64,
    fee: i64,
    refunded: bool,
    goods: String,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let goods = prop_oneof![".{0,20}", "[`,\\\\\"'\n\r\t a]{0,20}"];
    (1..10_000_000i64, -5_000..5_000i64, any::<bool>(), goods).prop_map(|(fen, fee, refunded, goods)| Drawn {
        fen,
        fee,
        refunded,
        goods,
    })
}

/// A file of these rows, as the documents describe it.
fn written(rows: &[Drawn]) -> String {
    let mut text = format!("{}\r\n", GOLDEN.lines().next().unwrap());
    let [mut paid, mut refunded, mut fees] = [0; 3];
    let yuan = |fen| tongdao_core::money::Money::cny(fen).yuan();
    for (n, row) in rows.iter().enumerate() {
        let (order, refund) = if row.refunded { (0, row.fen) } else { (row.fen, 0) };
        (paid, refunded, fees) = (paid + order, refunded + refund, fees + row.fee);
        let (state, refund_no, status) =
            if row.refunded { ("REFUND", format!("R{n}"), "SUCCESS") } else { ("SUCCESS", "0".to_owned(), "") };
        let (goods, order, refund, fee) = (escaped(&row.goods), yuan(order), yuan(refund), yuan(row.fee));
        text += &format!(
            "`2026-12-01 10:00:00,`wx1,`{MCH_ID},`0,`,`T{n},`O{n},`o,`NATIVE,`{state},`X,`CNY,`{order},`0.00,`0,`{refund_no},\
             `{refund},`0.00,`,`{status},`{goods},`{goods},`{fee},`0.60%,`{order},`{refund},`\r\n"
        );
    }
    let (count, paid, refunded, fees) = (rows.len(), yuan(paid), yuan(refunded), yuan(fees));
    text += &format!("{}\r\n", GOLDEN.lines().nth(8).unwrap());
    text + &format!("`{count}.0,`{paid},`{refunded},`0.0,`{fees},`{paid},`{refunded}\r\n")
}

proptest! {
    #[test]
    fn what_the_documents_write_is_read_back(rows in proptest::collection::vec(drawn(), 0..12)) {
        let text = written(&rows);
        let (lines, _) = read(&packed(text.as_bytes()), Some(&sha1(text.as_bytes()))).unwrap();
        prop_assert_eq!(lines.len(), rows.len());
        for (n, (line, row)) in lines.iter().zip(&rows).enumerate() {
            let kind = if row.refunded { LineKind::Refund } else { LineKind::Payment };
            prop_assert_eq!((line.kind, line.amount.amount, line.fee), (kind, row.fen, Some(row.fee)));
            prop_assert_eq!(line.status, LineStatus::Done);
            prop_assert_eq!(line.provider_order_no.clone(), Some(format!("O{n}")));
            prop_assert_eq!(line.provider_refund_no.clone(), row.refunded.then(|| format!("R{n}")));
        }
    }

    #[test]
    fn any_cut_is_refused(at in 0..GOLDEN.len()) {
        prop_assert!(read(&GOLDEN.as_bytes()[..at], None).is_err());
        let gz = packed(GOLDEN.as_bytes());
        prop_assert!(read(&gz[..at % gz.len()], None).is_err());
    }

    #[test]
    fn any_flipped_bit_breaks_the_seal_or_changes_nothing(at in 0..GOLDEN.len(), bit in 0..8u32) {
        let seal = sha1(GOLDEN.as_bytes());
        let mut plain = GOLDEN.as_bytes().to_vec();
        plain[at] ^= 1 << bit;
        prop_assert!(read(&plain, Some(&seal)).is_err());
        let mut gz = packed(GOLDEN.as_bytes());
        let at = at % gz.len();
        gz[at] ^= 1 << bit;
        let flipped = read(&gz, Some(&seal));
        prop_assert!(flipped.is_err() || flipped == read(GOLDEN.as_bytes(), None));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(read(&bytes, None).is_ok(), false);
    }
}
