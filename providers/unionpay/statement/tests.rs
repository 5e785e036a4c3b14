//! Settlement files from the question to the report: a golden file, the published record, faults, cuts, flipped bits.

use super::super::testing::{
    MER_ID, NOW, account, answer, frame, keyed_account, seal, seal_keyed, section, try_build, vectors, with,
};
use super::super::wire::read_form;
use super::*;
use crate::shared::statement::testing::zipped;
use encoding_rs::GBK;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use std::io::Write as _;
use tongdao_core::provider::{Environment, LineKind, LineStatus, Nonce, Provider as _, Tally};

const GOLDEN: &[u8] = include_bytes!("../fixtures/statement.zlib");
const SECURE_KEY: &str = "canary-secure-key";

fn day() -> Day {
    "2026-12-01".parse().unwrap()
}

type Read = Result<(Vec<StatementLine>, StatementTotals), StatementFault>;

fn read_for(mer_id: &str, day: Day, bytes: &[u8]) -> Read {
    let mut lines = Vec::new();
    let totals = read_file(&Expected { mer_id, day }, &mut Cursor::new(bytes), &mut |line| {
        lines.push(line);
        Ok(())
    })?;
    Ok((lines, totals))
}

fn read(bytes: &[u8]) -> Read {
    read_for(MER_ID, day(), bytes)
}

/// The names and contents of the golden file: transactions, errors, report.
fn golden_entries() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut zip = Vec::new();
    ZlibDecoder::new(GOLDEN).read_to_end(&mut zip).unwrap();
    let mut zip = Cursor::new(zip);
    let length = u64::try_from(zip.get_ref().len()).unwrap();
    let entries = archive::entries(&mut zip, length).unwrap();
    let read = entries.into_iter().map(|entry| {
        let mut content = Vec::new();
        archive::open(&mut zip, &entry).unwrap().read_to_end(&mut content).unwrap();
        (entry.name, content)
    });
    read.collect()
}

fn packed(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<(&[u8], &[u8])> = entries.iter().map(|(name, content)| (&name[..], &content[..])).collect();
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&zipped(&entries)).unwrap();
    encoder.finish().unwrap()
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

/// The fault of the golden file with one piece of an entry replaced.
fn fault(entry: usize, from: &str, to: &str) -> String {
    let mut entries = golden_entries();
    let (from, to) = (GBK.encode(from).0, GBK.encode(to).0);
    entries[entry].1 = replaced(&entries[entry].1, &from, &to);
    read(&packed(&entries)).unwrap_err().to_string()
}

fn row(line: &StatementLine) -> String {
    let number = |no: &Option<String>| no.as_deref().map_or("-".to_owned(), |no| no[no.len() - 2..].to_owned());
    let [order, trade, refund] =
        [&line.provider_order_no, &line.provider_trade_no, &line.provider_refund_no].map(number);
    format!("{} {:?} {order} {trade} {refund} {} fee {:?}", line.line, line.kind, line.amount.yuan(), line.fee)
}

#[test]
fn the_question_names_the_clearing_day_and_is_signed() {
    let call = account().statement(day(), NOW, Nonce("n".repeat(32))).unwrap();
    assert_eq!(call.url, "https://filedownload.95516.com/");
    let fields = read_form(&call.body).unwrap();
    for (name, value) in [
        ("txnType", "76"),
        ("txnSubType", "01"),
        ("bizType", "000000"),
        ("fileType", "00"),
        ("settleDate", "1201"),
        ("txnTime", "20260301120000"),
        ("merId", MER_ID),
    ] {
        assert_eq!(fields[name], value, "{name}");
    }
    assert!(fields.contains_key("signature") && !fields.contains_key("orderId"));
    let mut without = section();
    without.as_object_mut().unwrap().remove("file_url");
    let account = try_build(&without, Environment::Production).unwrap();
    assert_eq!(account.statement_terms(), None);
    assert!(account.statement(day(), NOW, Nonce(String::new())).is_err());
}

#[test]
fn a_verified_answer_yields_the_file_still_packed() {
    let content = STANDARD.encode(GOLDEN);
    let words = format!(
        "txnType=76 txnSubType=01 orderId= respCode=00 settleDate=1201 fileName={MER_ID}_20261201.zip fileContent={content}"
    );
    let genuine = seal(with(frame(), &words));
    let hear = |fields: &super::super::wire::Fields| account().hear_statement(day(), &answer(fields), NOW);
    assert_eq!(hear(&genuine), StatementOutcome::File(GOLDEN.to_vec()));
    let failed = |outcome: &StatementOutcome| matches!(outcome, StatementOutcome::Failed(_));
    let mut forged = genuine.clone();
    forged.insert("fileContent".into(), STANDARD.encode(b"other"));
    assert!(failed(&hear(&forged)), "the signature covers the content");
    for words in
        ["merId=777290058110097", "txnType=00", "settleDate=1202", "fileContent=", "fileContent=!", "respCode=05"]
    {
        assert!(failed(&hear(&seal(with(with(frame(), &words_of(&content)), words)))), "{words}");
    }
    let keyed = seal_keyed(with(frame(), &words), SECURE_KEY);
    let outcome = keyed_account("11").hear_statement(day(), &answer(&keyed), NOW);
    assert_eq!(outcome, StatementOutcome::File(GOLDEN.to_vec()));
}

fn words_of(content: &str) -> String {
    format!("txnType=76 txnSubType=01 orderId= respCode=00 settleDate=1201 fileContent={content}")
}

#[test]
fn no_file_is_told_from_a_refusal() {
    let hear = |words: &str| account().hear_statement(day(), &answer(&seal(with(frame(), words))), NOW);
    assert_eq!(hear("txnType=76 txnSubType=01 respCode=98"), StatementOutcome::Absent);
    let class = |words: &str| {
        let outcome = hear(words);
        let StatementOutcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        failure.class
    };
    assert_eq!(class("txnType=76 respCode=37"), ErrorClass::Congested);
    assert_eq!(class("txnType=76 respCode=02"), ErrorClass::Unavailable);
    assert_eq!(class("txnType=76 respCode=11"), ErrorClass::Misconfigured);
    assert_eq!(class("txnType=76 respCode=99"), ErrorClass::Unknown);
    let unsigned = answer(&with(frame(), "txnType=76 respCode=98"));
    assert!(matches!(account().hear_statement(day(), &unsigned, NOW), StatementOutcome::Failed(_)));
    let down = HttpReply::new(502, "text/html", "<html>");
    assert!(matches!(account().hear_statement(day(), &down, NOW), StatementOutcome::Failed(_)));
}

#[test]
fn the_golden_statement_is_read_to_the_fen() {
    let (lines, totals) = read(GOLDEN).unwrap();
    let rows: Vec<String> = lines.iter().map(row).collect();
    assert_eq!(
        rows,
        [
            "1 Payment 0A 28 - 88.88 fee Some(53)",
            "2 Payment 0B 38 - 10.00 fee Some(6)",
            "3 Refund 0A 28 01 88.88 fee Some(-53)",
            "4 Refund - 38 02 0.01 fee Some(0)",
            "5 Refund - - - 5.00 fee None",
        ]
    );
    let at = |text| crate::shared::statement::moment::beijing(text);
    assert_eq!(lines[1].at, at("2026-11-30 23:00:01"));
    assert!(lines.iter().all(|line| line.status == LineStatus::Done));
    let (payments, refunds) = (Tally { count: 2, amount: 9_888 }, Tally { count: 3, amount: 9_389 });
    assert_eq!(totals, StatementTotals { payments, refunds, fee: 6 });
}

#[test]
fn the_published_record_is_read() {
    let vectors = vectors();
    let record = vectors["vectors"].as_array().unwrap().iter().find(|vector| vector["kind"] == "zm").unwrap();
    let mut bytes = STANDARD.decode(record["gbk_base64"].as_str().unwrap()).unwrap();
    assert_eq!(bytes.len(), 607);
    bytes.extend(b"\r\n");
    let file = packed(&[(b"INN15090588ZM_802310048993424".to_vec(), bytes)]);
    let (lines, _) = read_for("802310048993424", "2015-09-05".parse().unwrap(), &file).unwrap();
    let line = &lines[0];
    assert_eq!((line.kind, line.amount.amount, line.fee), (LineKind::Payment, 476_800, Some(2_861)));
    assert_eq!(line.provider_trade_no.as_deref(), Some("201509061122031906248"));
    assert_eq!(line.provider_order_no.as_deref(), Some("10078087"));
    assert_eq!(line.at, crate::shared::statement::moment::beijing("2015-09-06 11:22:03"));
}

#[test]
fn missing_and_renamed_entries_are_read_and_lost_transactions_are_not() {
    let entries = golden_entries();
    let golden = read(GOLDEN).unwrap();
    let only = read(&packed(&entries[..1])).unwrap();
    assert_eq!(only.0, golden.0[..4]);
    let mut renamed = entries.clone();
    renamed[0].0 = format!("INN26120100ZM_{MER_ID}.txt").into_bytes();
    renamed.push((b"readme.txt".to_vec(), b"x".to_vec()));
    assert_eq!(read(&packed(&renamed)).unwrap(), golden);
    assert!(read(&packed(&entries[1..])).unwrap_err().to_string().contains("no file of transactions"));
    let mut two = entries.clone();
    two.remove(2);
    let more = (format!("INN26120100ZM_{MER_ID}").into_bytes(), entries[0].1.clone());
    two.push(more);
    let (lines, _) = read(&packed(&two)).unwrap();
    assert_eq!((lines.len(), lines[7].line), (9, 8), "numbers go on from file to file");
    assert_eq!(read(&packed(&[(entries[0].0.clone(), Vec::new())])), Ok((Vec::new(), StatementTotals::default())));
}

#[test]
fn what_is_not_ours_or_not_whole_is_a_fault_with_its_place() {
    let shift = "line 1: the record is not cut at its fields: another length, or no space between two";
    let cases = [
        (0, MER_ID, "777290058110049", "line 1: the record is another merchant's"),
        (0, "S22", "S99", "the transactions"),
        (0, "S30", "S22", "line 3: the record is of a kind that is not documented"),
        (0, "000000008888", "00000000888x", "line 1: field 7 is not digits of fen"),
        (0, "000000008888", "000000008889", "the transactions do not add up to the report's sums"),
        (0, "D000000000053", "D000000000054", "the transactions do not add up to the report's sums"),
        (0, "D000000000053", "X000000000053", "line 1: field 16 is not a sign and digits of fen"),
        (0, "C000000008835", "D000000008835", "line 1: the settlement goes the other way than the transaction"),
        (0, "1201120005", "1301120005", "line 1: field 5 is no time"),
        (0, "01JPAY00", "01JPAY,0", "line 1: field 12 is not a number of an order"),
        (0, "S22 ", "S22x", shift),
        (0, "\r\n", " \r", shift),
        (1, "000000000500", "00000000050 ", "line 5: field 7 is not digits of fen"),
        (2, "20261201", "20261202", "the report is of another day"),
        (2, MER_ID, "777290058110049", "the report is another merchant's"),
    ];
    for (entry, from, to, why) in cases {
        if why == "the transactions" {
            // A code nobody documented is told by the transaction's type.
            let mut entries = golden_entries();
            entries[entry].1 = replaced(&entries[entry].1, from.as_bytes(), to.as_bytes());
            assert_eq!(read(&packed(&entries)), read(GOLDEN));
            continue;
        }
        assert!(fault(entry, from, to).starts_with(why), "{from}: {}", fault(entry, from, to));
    }
    let mut entries = golden_entries();
    let name = GBK.encode("礼品卡店").0.into_owned();
    let at = entries[0].1.windows(name.len()).position(|window| window == name).unwrap();
    entries[0].1[at + 1] = 0xff;
    assert_eq!(read(&packed(&entries)).unwrap_err().to_string(), "line 2: the record is not GBK");
    let mut entries = golden_entries();
    entries[0].1.truncate(609 * 3);
    assert!(read(&packed(&entries)).is_err(), "a whole record less");
    entries[0].1.truncate(609 * 3 - 1);
    assert!(read(&packed(&entries)).unwrap_err().to_string().contains("cut off"));
    for (mer_id, day) in [("777290058110049", "2026-12-01"), (MER_ID, "2026-12-02")] {
        assert!(read_for(mer_id, day.parse().unwrap(), GOLDEN).is_err());
    }
}

#[test]
fn a_report_of_another_form_says_nothing() {
    let mut entries = golden_entries();
    entries[2].1 = GBK.encode("合计 4 笔\r\n总计 4").0.into_owned();
    assert_eq!(read(&packed(&entries)), read(GOLDEN));
    entries[2].1 = vec![0xff, 0xff];
    assert!(read(&packed(&entries)).is_err());
}

#[test]
fn a_container_that_is_none_or_swells_is_refused() {
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&vec![0; 65 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(read(&bomb).unwrap_err().to_string().contains("more comes out of it"));
    assert!(read(b"").is_err() && read(b"PK\x05\x06").is_err());
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"<html>").unwrap();
    assert_eq!(read(&encoder.finish().unwrap()).unwrap_err().to_string(), "the file is no whole ZIP file");
}

proptest! {
    #[test]
    fn any_cut_is_refused(at in 0..GOLDEN.len()) {
        prop_assert!(read(&GOLDEN[..at]).is_err());
    }

    #[test]
    fn any_flipped_bit_is_a_fault_or_gives_the_same_lines(at in 0..GOLDEN.len(), bit in 0..8u32) {
        let mut bytes = GOLDEN.to_vec();
        bytes[at] ^= 1 << bit;
        let flipped = read(&bytes);
        prop_assert!(flipped.is_err() || flipped == read(GOLDEN), "byte {at}");
    }

    #[test]
    fn no_record_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let file = packed(&[(golden_entries()[0].0.clone(), bytes.clone())]);
        prop_assert_eq!(read(&file).is_ok(), bytes.is_empty());
    }
}
