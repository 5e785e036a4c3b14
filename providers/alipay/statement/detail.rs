//! The detail file (section 11): four `#` lines, a header, rows, the end mark, the sums in `#` lines.
//!
//! Invariant: the account is ours and the day the one asked for, before any row is passed on; columns are found by name;
//! the counts and sums of the footer must be what the rows add up to. Whichever sign a fee is written with, it is taken
//! by a payment and given back by a refund.

use super::cells::{between, cut, in_brackets};
use super::{Expected, TERMS, gbk};
use crate::shared::statement::figure::Figure;
use crate::shared::statement::header::{Header, Wanted};
use crate::shared::statement::lines::Lines;
use crate::shared::statement::totals::{self, ColumnSum};
use crate::shared::statement::{file_fault, line_fault, moment};
use std::io::BufRead;
use tongdao_core::day::Day;
use tongdao_core::money::Money;
use tongdao_core::provider::{LineKind, LineStatus, StatementFault, StatementLine, StatementTotals};

/// What a whole detail file holds.
pub(super) struct Detail {
    pub(super) totals: StatementTotals,
    /// What the payee received: of payments, and of refunds (below zero).
    pub(super) received: [ColumnSum; 2],
}

/// Reads a text to its end.
pub(super) fn read(
    expected: &Expected<'_>,
    text: impl BufRead,
    each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
) -> Result<Detail, StatementFault> {
    let mut lines = Lines::new(text);
    let header = read_head(expected, &mut lines, "#支付宝业务明细查询", &ROW)?;
    let mut detail = Detail { totals: StatementTotals::default(), received: Default::default() };
    let mut discounts = [ColumnSum::default(); 2];
    loop {
        let (number, line) = lines.advance()?.ok_or_else(cut_off)?;
        let line = gbk(number, line)?;
        if line.starts_with('#') {
            if line.contains("列表结束") {
                break;
            }
            continue;
        }
        let cells = header.cut(number, cut(number, &line)?.into_iter())?;
        let line = statement_line(expected, number, &cells)?;
        let cell = |column: usize| cells.get(column).copied().unwrap_or_default();
        let place = usize::from(line.kind == LineKind::Refund);
        for (sums, column) in [(&mut detail.received, RECEIVED), (&mut discounts, DISCOUNT)] {
            if let Some(sum) = sums.get_mut(place).filter(|_| header.has(column)) {
                sum.add(number, figure(number, cell(column))?)?;
            }
        }
        totals::add(&mut detail.totals, &line)?;
        each(line)?;
    }
    let has = [header.has(RECEIVED), header.has(DISCOUNT)];
    read_footer(&mut lines, &detail, &discounts, has)?;
    Ok(detail)
}

/// Reads the `#` lines before the header, and the header. Both files begin so.
pub(super) fn read_head<const N: usize>(
    expected: &Expected<'_>,
    lines: &mut Lines<impl BufRead>,
    title: &str,
    wanted: &[Wanted; N],
) -> Result<Header<N>, StatementFault> {
    let mut is_ours = false;
    let mut is_of_day = false;
    let mut is_first = true;
    loop {
        let (number, line) = lines.advance()?.ok_or_else(cut_off)?;
        let line = gbk(number, line)?;
        if is_first && !line.starts_with(title) {
            return Err(line_fault(number, format!("the file does not begin with {title}")));
        }
        is_first = false;
        if line.starts_with("#账号") {
            is_ours = in_brackets(&line, "账号").is_some_and(|account| is_account_of(expected.seller_id, account));
        } else if line.starts_with("#起始日期") {
            is_of_day = in_brackets(&line, "起始日期").and_then(chinese_day) == Some(expected.day);
        }
        if line.starts_with('#') {
            continue;
        }
        if !is_ours {
            return Err(file_fault("the file is another account's"));
        }
        if !is_of_day {
            return Err(file_fault("the file is of another day"));
        }
        return Header::read(number, cut(number, &line)?.into_iter(), wanted);
    }
}

pub(super) fn figure(line: u64, cell: &str) -> Result<Figure, StatementFault> {
    Figure::read(cell).ok_or_else(|| line_fault(line, "a sum is not a plain decimal"))
}

pub(super) fn cut_off() -> StatementFault {
    file_fault("the file is cut off")
}

const COLUMNS: usize = 10;
const TRADE_NO: usize = 0;
const ORDER_NO: usize = 1;
const KIND: usize = 2;
const MADE_AT: usize = 3;
const DONE_AT: usize = 4;
const TOTAL: usize = 5;
const RECEIVED: usize = 6;
const DISCOUNT: usize = 7;
const REFUND_NO: usize = 8;
const FEE: usize = 9;

const ROW: [Wanted; COLUMNS] = [
    Wanted { names: &["支付宝交易号"], required: true },
    Wanted { names: &["商户订单号"], required: true },
    Wanted { names: &["业务类型"], required: true },
    Wanted { names: &["创建时间"], required: false },
    Wanted { names: &["完成时间"], required: true },
    Wanted { names: &["订单金额（元）", "订单金额(元)"], required: true },
    Wanted { names: &["商家实收（元）", "商家实收(元)"], required: true },
    Wanted { names: &["商家优惠（元）", "商家优惠(元)"], required: false },
    Wanted { names: &["退款批次号/请求号"], required: true },
    Wanted { names: &["服务费（元）", "服务费(元)"], required: true },
];

fn statement_line(
    expected: &Expected<'_>,
    number: u64,
    cells: &[&str; COLUMNS],
) -> Result<StatementLine, StatementFault> {
    let cell = |column: usize| cells.get(column).copied().unwrap_or_default();
    let kind = match cell(KIND) {
        "交易" => LineKind::Payment,
        "退款" => LineKind::Refund,
        _ => return Err(line_fault(number, "the row is of a kind that is not documented")),
    };
    let wrong_sum = || line_fault(number, "the sum is not whole fen, above zero for a trade and below for a refund");
    let total = figure(number, cell(TOTAL))?;
    let fen = total.fen().filter(|fen| *fen == 0 || total.is_negative() == (kind == LineKind::Refund));
    let amount = fen.and_then(i64::checked_abs).ok_or_else(wrong_sum)?;
    let fee = figure(number, cell(FEE))?.rounded_fen().and_then(i64::checked_abs).ok_or_else(wrong_sum)?;
    let time = if cell(DONE_AT).is_empty() { cell(MADE_AT) } else { cell(DONE_AT) };
    let at = moment::beijing(time).ok_or_else(|| line_fault(number, "the time is no time"))?;
    let strays = Day::of(at, TERMS.turns_ms).number().abs_diff(expected.day.number());
    if kind == LineKind::Payment && strays > TERMS.strays_days.unsigned_abs() {
        return Err(line_fault(number, "the row is of another day"));
    }
    let refund_no = no(number, cell(REFUND_NO))?.filter(|_| kind == LineKind::Refund);
    let (order_no, trade_no) = (no(number, cell(ORDER_NO))?, no(number, cell(TRADE_NO))?);
    if order_no.is_none() && trade_no.is_none() {
        return Err(line_fault(number, "the row names no order"));
    }
    Ok(StatementLine {
        line: number,
        kind,
        status: LineStatus::Done,
        provider_order_no: order_no,
        provider_trade_no: trade_no,
        provider_refund_no: refund_no,
        amount: Money::cny(amount),
        fee: Some(if kind == LineKind::Refund { fee.saturating_neg() } else { fee }),
        at: Some(at),
    })
}

/// Reads what follows the end mark: the sums of trades and of refunds, both of them.
fn read_footer(
    lines: &mut Lines<impl BufRead>,
    detail: &Detail,
    discounts: &[ColumnSum; 2],
    has: [bool; 2],
) -> Result<(), StatementFault> {
    let mut found = [false; 2];
    while let Some((number, line)) = lines.advance()? {
        let line = gbk(number, line)?;
        if !line.is_empty() && !line.starts_with('#') {
            return Err(line_fault(number, "a row follows the end of the list"));
        }
        let kinds = [
            ("#交易合计", "商家实收共", "商家优惠共", detail.totals.payments.count),
            ("#退款合计", "商家实收退款共", "商家优惠退款共", detail.totals.refunds.count),
        ];
        for (place, (title, received, discount, count)) in kinds.into_iter().enumerate() {
            let Some(rest) = line.strip_prefix(title) else { continue };
            let wrong = || line_fault(number, "the file's own counts or sums are not the rows'");
            let stated = between(rest, "：", "笔").or_else(|| between(rest, ":", "笔"));
            if stated.and_then(Figure::count) != Some(count) {
                return Err(wrong());
            }
            let sums = [(received, detail.received.get(place)), (discount, discounts.get(place))];
            for ((word, sum), _) in sums.into_iter().zip(has).filter(|(_, has)| *has) {
                if let (Some(stated), Some(sum)) = (between(rest, word, "元"), sum) {
                    sum.must_be(stated, word)?;
                } else if word == received {
                    return Err(wrong());
                }
            }
            if let Some(found) = found.get_mut(place) {
                *found = true;
            }
        }
    }
    if found == [true; 2] { Ok(()) } else { Err(file_fault("the file is cut off: its sums are missing")) }
}

/// An account is the payee's number, with or without the four digits of its book.
fn is_account_of(seller_id: &str, account: &str) -> bool {
    let book = account.trim().strip_prefix(seller_id);
    book.is_some_and(|book| book.is_empty() || (book.len() == 4 && book.bytes().all(|b| b.is_ascii_digit())))
}

/// Reads `2019年09月16日 00:00:00`.
fn chinese_day(text: &str) -> Option<Day> {
    let (year, rest) = text.trim().split_once('年')?;
    let (month, rest) = rest.split_once('月')?;
    let (day, _) = rest.split_once('日')?;
    format!("{year}-{month}-{day}").parse().ok()
}

fn no(line: u64, cell: &str) -> Result<Option<String>, StatementFault> {
    match cell {
        "" => Ok(None),
        _ if cell.len() <= 64 && cell.bytes().all(|b| b.is_ascii_graphic()) => Ok(Some(cell.to_owned())),
        _ => Err(line_fault(line, "a number of an order is not plain text")),
    }
}
