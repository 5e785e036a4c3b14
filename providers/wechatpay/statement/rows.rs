//! The text of a statement (README, section 7): a header, rows, the header of the sums, the sums.
//!
//! Invariant: columns are found by name; each row is about our merchant number and the day asked for, or one beside
//! it; the sums at the end must be what the rows add up to, column by column, and nothing follows them. Merchant text
//! in a row is escaped, so that it never makes a cell; it is not read.

use super::{Expected, TERMS};
use crate::shared::statement::figure::Figure;
use crate::shared::statement::header::{Header, Wanted};
use crate::shared::statement::lines::Lines;
use crate::shared::statement::totals::{self, ColumnSum};
use crate::shared::statement::{file_fault, line_fault, moment};
use std::io::BufRead;
use tongdao_core::day::Day;
use tongdao_core::money::{Currency, Money};
use tongdao_core::provider::{LineKind, LineStatus, StatementFault, StatementLine, StatementTotals};

/// Reads a text to its end.
pub(super) fn read(
    expected: &Expected<'_>,
    text: &mut impl BufRead,
    each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
) -> Result<StatementTotals, StatementFault> {
    let mut lines = Lines::new(text);
    let first = lines.advance()?.map(|(number, line)| utf8(number, line)).transpose()?;
    let header = first.ok_or_else(|| file_fault("the file is empty"))?;
    let header = columns(1, header.strip_prefix('\u{feff}').unwrap_or(header), &ROW)?;
    let mut sums = Sums::default();
    let mut totals = StatementTotals::default();
    let summary = loop {
        let (number, line) = lines.advance()?.ok_or_else(no_sums)?;
        let line = utf8(number, line)?;
        let Some(cells) = line.strip_prefix('`') else { break columns(number, line, &SUMMARY)? };
        let cells = header.cut(number, cells.split(",`"))?;
        sums.add(number, &cells)?;
        let line = statement_line(expected, number, &cells)?;
        totals::add(&mut totals, &line)?;
        each(line)?;
    };
    let (number, line) = lines.advance()?.ok_or_else(no_sums)?;
    let cells = utf8(number, line)?.strip_prefix('`').ok_or_else(no_sums)?;
    let stated = summary.cut(number, cells.split(",`"))?;
    sums.must_be(number, &header, &summary, &stated)?;
    match lines.advance()? {
        None => Ok(totals),
        Some((number, _)) => Err(line_fault(number, "something follows the sums")),
    }
}

const COLUMNS: usize = 15;
const AT: usize = 0;
const MERCHANT: usize = 1;
const TRADE_NO: usize = 2;
const ORDER_NO: usize = 3;
const STATE: usize = 4;
const CURRENCY: usize = 5;
const SETTLED: usize = 6;
const REFUND_NO: usize = 7;
const REFUND_SETTLED: usize = 8;
const REFUND_COUPON: usize = 9;
const REFUND_STATE: usize = 10;
const FEE: usize = 11;
const TOTAL: usize = 12;
const REFUND_TOTAL: usize = 13;
const REFUNDED_AT: usize = 14;

/// Current names first; old merchants' files have the others.
const ROW: [Wanted; COLUMNS] = [
    Wanted { names: &["交易时间"], required: true },
    Wanted { names: &["商户号"], required: true },
    Wanted { names: &["微信订单号"], required: true },
    Wanted { names: &["商户订单号"], required: true },
    Wanted { names: &["交易状态"], required: true },
    Wanted { names: &["货币种类"], required: true },
    Wanted { names: &["应结订单金额"], required: false },
    Wanted { names: &["商户退款单号"], required: false },
    Wanted { names: &["退款金额"], required: false },
    Wanted { names: &["充值券退款金额"], required: false },
    Wanted { names: &["退款状态"], required: false },
    Wanted { names: &["手续费"], required: true },
    Wanted { names: &["订单金额", "总金额"], required: true },
    Wanted { names: &["申请退款金额"], required: false },
    Wanted { names: &["退款成功时间"], required: false },
];

/// The sums' columns: the count, then those of `SUMMED` in its order.
const SUMMARY: [Wanted; 1 + SUMMED.len()] = [
    Wanted { names: &["总交易单数"], required: true },
    Wanted { names: &["应结订单总金额"], required: false },
    Wanted { names: &["退款总金额", "总退款金额"], required: false },
    Wanted { names: &["充值券退款总金额"], required: false },
    Wanted { names: &["手续费总金额"], required: true },
    Wanted { names: &["订单总金额", "总交易额"], required: true },
    Wanted { names: &["申请退款总金额"], required: false },
];
const SUMMED: [usize; 6] = [SETTLED, REFUND_SETTLED, REFUND_COUPON, FEE, TOTAL, REFUND_TOTAL];

/// What the rows add up to.
#[derive(Default)]
struct Sums {
    rows: u64,
    columns: [ColumnSum; SUMMED.len()],
}

impl Sums {
    fn add(&mut self, line: u64, cells: &[&str; COLUMNS]) -> Result<(), StatementFault> {
        self.rows = self.rows.saturating_add(1);
        for (sum, column) in self.columns.iter_mut().zip(SUMMED) {
            match cells.get(column).copied().unwrap_or_default() {
                "" => {}
                cell => sum.add(line, figure(line, cell)?)?,
            }
        }
        Ok(())
    }

    fn must_be(
        &self,
        line: u64,
        rows: &Header<COLUMNS>,
        summary: &Header<{ SUMMARY.len() }>,
        stated: &[&str; SUMMARY.len()],
    ) -> Result<(), StatementFault> {
        let [count, stated @ ..] = stated;
        if figure(line, count)?.count() != Some(self.rows) {
            return Err(file_fault("the file has another number of rows than it says"));
        }
        for (place, ((sum, column), stated)) in self.columns.iter().zip(SUMMED).zip(stated).enumerate() {
            if rows.has(column) && summary.has(place.saturating_add(1)) {
                let name = ROW.get(column).and_then(|wanted| wanted.names.first()).copied().unwrap_or_default();
                sum.must_be(figure(line, stated)?, name)?;
            }
        }
        Ok(())
    }
}

fn columns<const N: usize>(number: u64, line: &str, wanted: &[Wanted; N]) -> Result<Header<N>, StatementFault> {
    Header::read(number, line.split(',').map(|cell| cell.trim_start_matches('`')), wanted)
}

fn statement_line(
    expected: &Expected<'_>,
    number: u64,
    cells: &[&str; COLUMNS],
) -> Result<StatementLine, StatementFault> {
    let cell = |column: usize| cells.get(column).copied().unwrap_or_default();
    if cell(MERCHANT) != expected.mch_id {
        return Err(line_fault(number, "the row is another merchant's"));
    }
    let at = moment::beijing(cell(AT)).ok_or_else(|| line_fault(number, "the time is no time"))?;
    if Day::of(at, TERMS.turns_ms).number().abs_diff(expected.day.number()) > TERMS.strays_days.unsigned_abs() {
        return Err(line_fault(number, "the row is of another day"));
    }
    let provider_refund_no = our_no(number, cell(REFUND_NO))?;
    let (kind, status) = meaning(number, cell(STATE), cell(REFUND_STATE), provider_refund_no.is_some())?;
    let sum = match kind {
        LineKind::Payment => cell(TOTAL),
        LineKind::Refund if cell(REFUND_TOTAL).is_empty() => cell(REFUND_SETTLED),
        LineKind::Refund => cell(REFUND_TOTAL),
    };
    let sum = figure(number, sum)?;
    let fen = sum.fen().filter(|_| !sum.is_negative());
    let currency = Currency::read(cell(CURRENCY)).map_err(|_| line_fault(number, "the currency is no currency"))?;
    let amount = fen.ok_or_else(|| line_fault(number, "the sum is not a positive one of whole fen"))?;
    let refunded_at = moment::beijing(cell(REFUNDED_AT)).filter(|_| kind == LineKind::Refund);
    let (provider_order_no, provider_trade_no) = (our_no(number, cell(ORDER_NO))?, our_no(number, cell(TRADE_NO))?);
    if provider_order_no.is_none() && provider_trade_no.is_none() {
        return Err(line_fault(number, "the row names no order"));
    }
    Ok(StatementLine {
        line: number,
        kind,
        status,
        provider_order_no,
        provider_trade_no,
        provider_refund_no: provider_refund_no.filter(|_| kind == LineKind::Refund),
        amount: Money { amount, currency },
        fee: figure(number, cell(FEE))?.rounded_fen(),
        at: Some(refunded_at.unwrap_or(at)),
    })
}

/// A `REVOKED` row is of payments by the payer's own code: with a refund's number it is what went back.
fn meaning(
    number: u64,
    state: &str,
    refund_state: &str,
    has_refund_no: bool,
) -> Result<(LineKind, LineStatus), StatementFault> {
    let refund_status = || match refund_state {
        "SUCCESS" => Ok(LineStatus::Done),
        // CHANGE: the payer's account does not take the money, and the merchant has to settle it.
        "PROCESSING" | "CHANGE" => Ok(LineStatus::Pending),
        "FAIL" => Ok(LineStatus::Failed),
        _ => Err(line_fault(number, "the refund is in a state that is not documented")),
    };
    match state {
        "SUCCESS" => Ok((LineKind::Payment, LineStatus::Done)),
        "REFUND" => Ok((LineKind::Refund, refund_status()?)),
        "REVOKED" if has_refund_no => Ok((LineKind::Refund, refund_status()?)),
        "REVOKED" => Ok((LineKind::Payment, LineStatus::Failed)),
        _ => Err(line_fault(number, "the row is in a state that is not documented")),
    }
}

/// A number; none is written `0` or left out.
fn our_no(line: u64, cell: &str) -> Result<Option<String>, StatementFault> {
    match cell {
        "" | "0" => Ok(None),
        _ if cell.len() <= 64 && cell.bytes().all(|b| b.is_ascii_graphic()) => Ok(Some(cell.to_owned())),
        _ => Err(line_fault(line, "an order's number is not plain text")),
    }
}

fn figure(line: u64, cell: &str) -> Result<Figure, StatementFault> {
    Figure::read(cell).ok_or_else(|| line_fault(line, "a sum is not a plain decimal"))
}

fn utf8(number: u64, line: &[u8]) -> Result<&str, StatementFault> {
    std::str::from_utf8(line).map_err(|_| line_fault(number, "the line is not UTF-8"))
}

fn no_sums() -> StatementFault {
    file_fault("the file is cut off: it has no sums at its end")
}
