//! The lines of a reconciliation as a table for finance, streamed.
//!
//! Invariants: a cell that a spreadsheet would run is shown and not run (a quote stands before it), whatever the
//! provider or a payer wrote; memory holds one page of lines. The lines are those of the run whose books are shown.

use super::super::Shared;
use super::{finance_name, id_of};
use crate::clock::rfc3339;
use crate::flow::Flow;
use crate::http::problem::Problem;
use crate::ports::{Reconciliation, StoreError};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::sync::Arc;
use tongdao_core::money::Money;
use tongdao_core::provider::{LineKind, LineStatus, StatementLine};
use tongdao_core::reconcile::{BookedLine, LineKey, Place};

const LINES_AT_ONCE: usize = 256;
/// Spreadsheets take a file without it for the machine's own encoding.
const BYTE_ORDER_MARK: &str = "\u{feff}";
const HEADING: &str = "kind,number,result,result_zh,theirs_yuan,ours_yuan,fee_yuan,status,line,provider_order_no,\
                       provider_trade_no,provider_refund_no,at,charge\r\n";

/// Where the stream stands.
struct Writing {
    flow: Arc<Flow>,
    one: Reconciliation,
    after: Option<LineKey>,
    begun: bool,
    ended: bool,
}

/// Every line of both sides with the place where it ended, as CSV for spreadsheets.
#[utoipa::path(
    get, path = "/admin/v1/reconciliations/{id}/export.csv", tag = "admin",
    params(("id" = String, Path)),
    responses((status = 200, description = "A table", content_type = "text/csv"))
)]
pub(in crate::http::admin) async fn handle_export(
    State(admin): State<Shared>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let one = admin.flow.reconciliation(id_of(&id)?).await?;
    if one.done_run.is_none() {
        return Err(Problem::InvalidState("no run of this day has ended yet".to_owned()));
    }
    let name = format!("attachment; filename=\"{}-{}.csv\"", one.channel, one.day);
    let writing = Writing { flow: admin.flow.clone(), one, after: None, begun: false, ended: false };
    let body = Body::from_stream(stream::unfold(writing, Writing::next));
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, body).into_response())
}

impl Writing {
    async fn next(mut self) -> Option<(Result<Bytes, StoreError>, Self)> {
        if !self.begun {
            self.begun = true;
            return Some((Ok(Bytes::from(format!("{BYTE_ORDER_MARK}{HEADING}"))), self));
        }
        if self.ended {
            return None;
        }
        let read = self.flow.store().lines(self.one.id, self.after.clone(), LINES_AT_ONCE).await;
        let page = match read {
            Ok(page) => page,
            Err(error) => {
                self.ended = true;
                return Some((Err(error), self));
            }
        };
        self.ended = page.len() < LINES_AT_ONCE;
        self.after = page.last().map(|line| line.key.clone());
        let counted = page.iter().filter(|line| Some(line.run) == self.one.done_run);
        let rows: String = counted.map(row).collect();
        Some((Ok(Bytes::from(rows)), self))
    }
}

fn row(booked: &BookedLine) -> String {
    let line = booked.line.as_ref();
    let text = |of: fn(&StatementLine) -> Option<&String>| line.and_then(of).cloned().unwrap_or_default();
    let yuan = |fen: Option<i64>| fen.map(|fen| Money::cny(fen).yuan()).unwrap_or_default();
    let cells = [
        kind(booked.key.kind).to_owned(),
        defused(&booked.key.number),
        booked.place.as_str().to_owned(),
        name_zh(booked.place).to_owned(),
        yuan(line.map(|line| line.amount.amount)),
        yuan(booked.ours),
        yuan(line.and_then(|line| line.fee)),
        line.map(|line| status(line.status)).unwrap_or_default().to_owned(),
        line.map(|line| line.line.to_string()).unwrap_or_default(),
        defused(&text(|line| line.provider_order_no.as_ref())),
        defused(&text(|line| line.provider_trade_no.as_ref())),
        defused(&text(|line| line.provider_refund_no.as_ref())),
        line.and_then(|line| line.at).map(rfc3339).unwrap_or_default(),
        booked.charge.map(|charge| charge.to_string()).unwrap_or_default(),
    ];
    format!("{}\r\n", cells.join(","))
}

/// A text cell that nothing runs: a quote before what a formula begins with, and quoted where CSV wants it.
fn defused(text: &str) -> String {
    let runs = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let shown = if runs { format!("'{text}") } else { text.to_owned() };
    if shown.contains(['"', ',', '\r', '\n', '\t']) { format!("\"{}\"", shown.replace('"', "\"\"")) } else { shown }
}

const fn kind(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Payment => "payment",
        LineKind::Refund => "refund",
    }
}

const fn status(status: LineStatus) -> &'static str {
    match status {
        LineStatus::Done => "done",
        LineStatus::Pending => "pending",
        LineStatus::Failed => "failed",
    }
}

fn name_zh(place: Place) -> &'static str {
    match place {
        Place::Matched => "相符",
        Place::CarriedOver => "跨日",
        Place::Break(kind) => finance_name(kind.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_only_shown() {
        for (text, cell) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1+1", "'+1+1"),
            ("-2", "'-2"),
            ("@SUM(A1,A2)", "\"'@SUM(A1,A2)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("a\"b,c", "\"a\"\"b,c\""),
            ("4200001234", "4200001234"),
        ] {
            assert_eq!(defused(text), cell);
        }
    }
}
