//! The settlement file (txnType 76, protocol notes 9): one signed answer that holds the whole day, as base64 of zlib of a ZIP.
//!
//! Guards: the clearing day turns at 23:00, the same turn that `settleDate` of queries and notifies has; 98 when there is
//! no file. Must not know: how a record is written.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    codes::{self, Code},
    message::{need, one_of},
    order,
    sign::Fields,
    statement_rows::Sheet,
};
use crate::{
    faults::StatementTwist,
    formats::{beijing, gbk, zip},
    options::ProviderName,
    statements::{self, Line, Readiness, Span},
    world::World,
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// From the day's beginning at 23:00 to nine of the morning after it.
const READY_MS: i64 = DAY_MS + 10 * HOUR_MS;
/// One year.
const AGE_MAX_MS: i64 = 365 * DAY_MS;

/// The fields beyond the frame: the file's name and content.
pub(super) fn answer(world: &World, asked: &Fields, twist: StatementTwist) -> Result<Fields, Code> {
    one_of(asked, "txnType", &["76"])?;
    one_of(asked, "txnSubType", &["01"])?;
    one_of(asked, "bizType", &["000000"])?;
    one_of(asked, "accessType", &["0", "1", "2"])?;
    one_of(asked, "fileType", &["00"])?;
    order::fresh_time(asked, world.now())?;
    let mer_id = need(asked, "merId")?;
    let midnight = named_day(need(asked, "settleDate")?, world.now()).ok_or(codes::BAD_FORMAT)?;
    let starts_at = midnight.saturating_sub(HOUR_MS);
    let span = Span {
        provider: ProviderName::Unionpay,
        account: mer_id,
        starts_at,
        ends_at: starts_at.saturating_add(DAY_MS),
        ready_at: starts_at.saturating_add(READY_MS),
    };
    match statements::readiness(world, &span, AGE_MAX_MS) {
        Readiness::NotOver | Readiness::Creating | Readiness::TooOld => return Err(codes::NO_FILE),
        Readiness::Ready => {}
    }
    let day = beijing::compact_day(midnight);
    let sheet = Sheet { mer_id, day: &day, twist };
    let file = statements::with_lines(world, &span, twist, |_, lines| archive(&sheet, lines)).ok_or(codes::NO_FILE)?;
    let content = STANDARD.encode(zip::zlib(&file));
    Ok(Fields::from([
        ("fileName".to_owned(), format!("{mer_id}_{day}.zip")),
        ("fileContent".to_owned(), content),
        ("settleDate".to_owned(), need(asked, "settleDate")?.to_owned()),
        ("fileType".to_owned(), "00".to_owned()),
    ]))
}

/// The midnight of the last day that `MMDD` names: no file is of the future.
fn named_day(settle_date: &str, now: i64) -> Option<i64> {
    let (month, day) = (settle_date.get(..2)?, settle_date.get(2..)?);
    let today = beijing::dashed_day(order::settled_on(now));
    let year: i64 = today.get(..4)?.parse().ok()?;
    let named = |year: i64| beijing::read_day(&format!("{year:04}-{month}-{day}"));
    let last = beijing::read_day(&today)?;
    named(year).filter(|midnight| *midnight <= last).or_else(|| named(year - 1))
}

/// The ZIP: the transactions, the errors (an empty file, absent on every other day), the report.
fn archive(sheet: &Sheet<'_>, lines: &[Line<'_>]) -> Vec<u8> {
    let fault = sheet.twist.fault;
    let folder = if fault.traversal { "../../" } else { "" };
    let (short_day, mer_id) = (sheet.day.get(2..).unwrap_or_default(), sheet.mer_id);
    let mut records = sheet.records(lines);
    if fault.wrong_encoding {
        records = [b"\xef\xbb\xbf", gbk::to_utf8(&records).as_slice()].concat();
    }
    sheet.twist.cut(&mut records);
    let name = |start: &str, kind: &str| format!("{folder}{start}{short_day}88{kind}_{mer_id}").into_bytes();
    let mut entries = vec![(name("INN", "ZM"), zip::Deflated::with_run(&records, b' ', fault.bomb_mib))];
    if sheet.day.bytes().last().is_some_and(|digit| digit % 2 == 1) {
        entries.push((name("INN", "ZME"), zip::Deflated::of(b"")));
    }
    entries.push((name("RD2010", ""), zip::Deflated::of(&sheet.report(lines))));
    zip::archive(&entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settle_date_names_the_last_such_day() {
        let now = beijing::read_dashed("2026-01-31 22:59:59").unwrap();
        let day = |text: &str| named_day(text, now).map(beijing::dashed_day);
        assert_eq!(day("0131").as_deref(), Some("2026-01-31"));
        assert_eq!(day("0201").as_deref(), Some("2025-02-01"));
        assert_eq!(named_day("0201", now + 1000).map(beijing::dashed_day).as_deref(), Some("2026-02-01"));
        for odd in ["0230", "1301", "131", "", "2026-01-31"] {
            assert_eq!(day(odd), None, "{odd}");
        }
    }
}
