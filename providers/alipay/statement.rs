//! The daily statement (sections 7 and 11): the signed question, its answer, the ZIP behind the address.
//!
//! Invariant: only a signed answer names a file, and the file is fetched from the documented host alone. The address is
//! a secret (whoever has it has the file) and comes without TLS; the file is not signed: the account, the day and the
//! sums in it are all that speaks for it, and a line of it never moves money. Rows are read in `detail`, the second
//! file in `summary`.

mod cells;
mod detail;
mod summary;

use super::calls::{believed, failure, json, unlike};
use super::codes::{self, StatementMeaning};
use super::options::Options;
use super::wire::{self, Request};
use crate::shared::address::{is_on, origin};
use crate::shared::statement::archive::{self, Entry};
use crate::shared::statement::bounded::rewound;
use crate::shared::statement::{file_fault, line_fault};
use encoding_rs::GBK;
use serde::Serialize;
use std::borrow::Cow;
use std::io::BufReader;
use tongdao_core::day::Day;
use tongdao_core::provider::{
    HttpCall, HttpReply, Method, StatementBytes, StatementFault, StatementLine, StatementOutcome, StatementTerms,
    StatementTotals, Unsupported,
};
use tongdao_core::time::UnixMillis;

/// Made about nine, asked for from ten the next morning; kept six years.
pub(super) const TERMS: StatementTerms =
    StatementTerms { turns_ms: 0, ready_ms: 34 * 3_600_000, again_ms: 30 * 60_000, kept_days: 6 * 365, strays_days: 1 };

/// What a file must be about.
pub(super) struct Expected<'a> {
    /// The payee's number.
    pub(super) seller_id: &'a str,
    /// The day that was asked for.
    pub(super) day: Day,
}

/// Writes the question.
pub(super) fn write(options: &Options, day: Day, now: UnixMillis) -> Result<HttpCall, Unsupported> {
    let biz_content = json(&StatementContent { bill_type: "trade", bill_date: day.to_string() });
    let request = Request { method: DOWNLOAD_URL, biz_content, notify_url: None, return_url: None };
    wire::call(options, &request, now).map_err(|_| Unsupported("the app's key could not sign"))
}

/// Reads the answer.
pub(super) fn read(options: &Options, reply: &HttpReply) -> StatementOutcome {
    let node = match believed(options, DOWNLOAD_URL, reply) {
        Ok(node) => node,
        Err(failure) => return StatementOutcome::Failed(failure),
    };
    match codes::statement(node.code(), node.sub_code()) {
        StatementMeaning::Absent => StatementOutcome::Absent,
        StatementMeaning::Failed(class) => StatementOutcome::Failed(failure(class, &node)),
        StatementMeaning::Ready => match node.text("bill_download_url") {
            Some(url) if is_own_address(options, url) => StatementOutcome::Download { call: get(url), seal: None },
            Some(_) | None => StatementOutcome::Failed(unlike()),
        },
    }
}

/// Reads the ZIP: the detail file line by line, then the summary where there is one.
pub(super) fn read_file(
    expected: &Expected<'_>,
    file: &mut dyn StatementBytes,
    each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
) -> Result<StatementTotals, StatementFault> {
    let length = rewound(file)?;
    let entries = archive::entries(file, length)?;
    let detail = named(&entries, &["业务明细.csv"])?.ok_or_else(|| file_fault("the ZIP holds no detail file"))?;
    let summary = named(&entries, &["业务明细(汇总).csv", "业务明细（汇总）.csv"])?;
    let text = BufReader::with_capacity(BUFFER_BYTES, archive::open(file, detail)?);
    let read = detail::read(expected, text, each)?;
    if let Some(entry) = summary {
        let text = BufReader::with_capacity(BUFFER_BYTES, archive::open(file, entry)?);
        summary::check(expected, text, &read)?;
    }
    Ok(read.totals)
}

const DOWNLOAD_URL: &str = "alipay.data.dataservice.bill.downloadurl.query";
/// The documented host; its addresses come as `http://`.
const ORIGINS: [&str; 2] = ["http://dwbillcenter.alipay.com", "https://dwbillcenter.alipay.com"];
const BUFFER_BYTES: usize = 64 << 10;

#[derive(Serialize)]
struct StatementContent {
    bill_type: &'static str,
    bill_date: String,
}

/// The documented host; in the sandbox also the gateway's own.
fn is_own_address(options: &Options, url: &str) -> bool {
    let gateway = origin(&options.gateway_url).filter(|_| options.is_sandbox);
    let origins: Vec<&str> = ORIGINS.into_iter().chain(gateway).collect();
    is_on(url, &origins)
}

fn get(url: &str) -> HttpCall {
    let url = url.to_owned();
    HttpCall { method: Method::Get, url, backup_url: None, headers: Vec::new(), body: Vec::new() }
}

/// The entry whose name ends so. Names are GBK, mostly without a mark of it; UTF-8 is tried first.
fn named<'a>(entries: &'a [Entry], ends: &[&str]) -> Result<Option<&'a Entry>, StatementFault> {
    let is_named = |entry: &&Entry| {
        let utf8 = std::str::from_utf8(&entry.name).ok().map(Cow::Borrowed);
        let name = utf8.or_else(|| GBK.decode_without_bom_handling_and_without_replacement(&entry.name));
        name.is_some_and(|name| ends.iter().any(|end| name.ends_with(end)))
    };
    let mut found = entries.iter().filter(is_named);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(file_fault("the ZIP holds two files of one kind")),
    }
}

fn gbk(number: u64, line: &[u8]) -> Result<Cow<'_, str>, StatementFault> {
    GBK.decode_without_bom_handling_and_without_replacement(line)
        .ok_or_else(|| line_fault(number, "the line is not GBK"))
}

#[cfg(test)]
mod tests;
