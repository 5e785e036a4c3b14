//! The settlement file (protocol notes, 9): the signed question, the answer that holds the file, the file's container.
//!
//! Invariant: the signature covers the file's content, so only a verified answer about this merchant number yields one.
//! It is kept packed (zlib around a ZIP) and read back without believing it: every length is bounded, names are never
//! paths, the transactions must add up to the report where there is one. Rows are read in `records`, the report in
//! `report`.

mod records;
mod report;

use super::UnionPay;
use super::answers::{code, denies, failure_of, query_failed, says};
use super::calls::put;
use crate::shared::statement::archive::{self, Entry};
use crate::shared::statement::bounded::{Bounded, rewound};
use crate::shared::statement::{file_fault, io_fault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::bufread::ZlibDecoder;
use std::io::{BufReader, Cursor, Read as _};
use tongdao_core::day::Day;
use tongdao_core::provider::{
    ErrorClass, Failure, HttpCall, HttpReply, StatementBytes, StatementFault, StatementLine, StatementOutcome,
    StatementTerms, StatementTotals, Unsupported,
};
use tongdao_core::time::UnixMillis;

/// The clearing day turns at 23:00; the file is asked for from ten the next morning. Kept a year, less a day, since a
/// request names its day without a year. Trades stand up to a day off the clearing day in the official sample.
pub(super) const TERMS: StatementTerms = StatementTerms {
    turns_ms: -3_600_000,
    ready_ms: 34 * 3_600_000,
    again_ms: 30 * 60_000,
    kept_days: 364,
    strays_days: 1,
};

/// What a file must be about.
pub(super) struct Expected<'a> {
    /// Our merchant number.
    pub(super) mer_id: &'a str,
    /// The clearing day that was asked for.
    pub(super) day: Day,
}

impl UnionPay {
    pub(super) fn write_statement(&self, day: Day, now: UnixMillis) -> Result<HttpCall, Unsupported> {
        let url = self.options.file_url.as_deref().ok_or(Unsupported("file_url is not configured"))?;
        let mut fields = self.frame(now, ["76", "01", "000000"]);
        put(&mut fields, "settleDate", settle_date(day));
        put(&mut fields, "fileType", "00");
        self.post(url, fields)
    }

    pub(super) fn hear_statement(&self, day: Day, reply: &HttpReply, now: UnixMillis) -> StatementOutcome {
        let answer = match self.hear(reply, now) {
            Ok(answer) => answer,
            Err(doubt) => return StatementOutcome::Failed(doubt),
        };
        let is_about_it = says(&answer, "merId", &self.options.mer_id)
            && !denies(&answer, "txnType", "76")
            && !denies(&answer, "settleDate", &settle_date(day));
        if !is_about_it {
            let doubt = Failure::new(ErrorClass::Unknown, "other_file", "the answer is about another file");
            return StatementOutcome::Failed(doubt);
        }
        match code(&answer) {
            "98" => StatementOutcome::Absent,
            "00" => match answer.get("fileContent").and_then(|content| STANDARD.decode(content.as_bytes()).ok()) {
                Some(bytes) if !bytes.is_empty() => StatementOutcome::File(bytes),
                Some(_) | None => StatementOutcome::Failed(failure_of(&answer, "respCode", ErrorClass::Unknown)),
            },
            _ => StatementOutcome::Failed(query_failed(&answer)),
        }
    }
}

/// Reads the packed file. Only here is anything held whole: the ZIP inside, whose size is bounded.
pub(super) fn read_file(
    expected: &Expected<'_>,
    file: &mut dyn StatementBytes,
    each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
) -> Result<StatementTotals, StatementFault> {
    let packed_bytes = rewound(file)?;
    if packed_bytes > ZIP_BYTES_MAX {
        return Err(file_fault("the file is larger than any settlement file"));
    }
    let mut zip = Vec::new();
    let mut unpacked = Bounded::new(ZlibDecoder::new(BufReader::new(file)), ZIP_BYTES_MAX);
    unpacked.read_to_end(&mut zip).map_err(|error| io_fault(&error))?;
    read_zip(expected, &zip, each)
}

const ZIP_BYTES_MAX: u64 = 64 << 20;
const BUFFER_BYTES: usize = 64 << 10;

fn read_zip(
    expected: &Expected<'_>,
    zip: &[u8],
    each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
) -> Result<StatementTotals, StatementFault> {
    let mut zip = Cursor::new(zip);
    let length = u64::try_from(zip.get_ref().len()).unwrap_or(u64::MAX);
    let entries = archive::entries(&mut zip, length)?;
    let of_kind = |kind: Kind| entries.iter().filter(move |entry| kind_of(entry) == Some(kind));
    if of_kind(Kind::Trades).next().is_none() {
        return Err(file_fault("the ZIP holds no file of transactions (ZM)"));
    }
    let mut read = records::Records::new(expected, each);
    for (kind, entry) in [Kind::Trades, Kind::Errors].into_iter().flat_map(|kind| of_kind(kind).map(move |e| (kind, e)))
    {
        check_name(expected, entry)?;
        let text = BufReader::with_capacity(BUFFER_BYTES, archive::open(&mut zip, entry)?);
        match kind {
            Kind::Trades => read.trades(text)?,
            Kind::Errors => read.errors(text)?,
            Kind::Report => {}
        }
    }
    for entry in of_kind(Kind::Report) {
        let mut bytes = Vec::new();
        let content = archive::open(&mut zip, entry)?;
        Bounded::new(content, REPORT_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| io_fault(&error))?;
        report::check(expected, &bytes, &read.sums)?;
    }
    Ok(read.totals)
}

const REPORT_BYTES_MAX: u64 = 1 << 20;

/// What an entry is, by its name: `INN15090588ZM_<merId>`, `…ZME_…`, `RD201015090501_…`, with or without an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Trades,
    Errors,
    Report,
}

fn kind_of(entry: &Entry) -> Option<Kind> {
    let name = std::str::from_utf8(&entry.name).ok()?;
    match (name.contains("ZME_"), name.contains("ZM_"), name.starts_with("RD")) {
        (true, _, _) => Some(Kind::Errors),
        (false, true, _) => Some(Kind::Trades),
        (false, false, true) => Some(Kind::Report),
        (false, false, false) => None,
    }
}

/// The name says whose file it is and of which clearing day (two digits each of year, month and day).
fn check_name(expected: &Expected<'_>, entry: &Entry) -> Result<(), StatementFault> {
    let name = std::str::from_utf8(&entry.name).unwrap_or_default();
    let (head, owner) = name.split_once('_').unwrap_or((name, ""));
    if owner.split('.').next() != Some(expected.mer_id) {
        return Err(file_fault("the file is another merchant's"));
    }
    let digits = head.strip_prefix("INN").and_then(|rest| rest.get(..6));
    let dated = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    if dated.is_some_and(|dated| dated != short_date(expected.day)) {
        return Err(file_fault("the file is of another day"));
    }
    Ok(())
}

fn settle_date(day: Day) -> String {
    let (_, month, day) = day.civil();
    format!("{month:02}{day:02}")
}

fn short_date(day: Day) -> String {
    let (year, month, day) = day.civil();
    format!("{:02}{month:02}{day:02}", year.rem_euclid(100))
}

#[cfg(test)]
mod tests;
