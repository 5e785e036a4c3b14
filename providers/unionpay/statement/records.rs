//! Fixed-width records (protocol notes, 9): transactions of 607 bytes (ZM), errors and chargebacks of 339 (ZME).
//!
//! Invariant: a record has exactly its length, a space after every field, and is cut by bytes before any decoding.
//! Every transaction is of our merchant number. Signs are `C` (to the merchant), `D` (from him) or a space for nothing.
//! A ZME record names no order that we could know: it is passed on as money that went back, without numbers, so that
//! a person is asked.

use super::Expected;
use crate::shared::statement::lines::Lines;
use crate::shared::statement::{line_fault, moment, totals};
use encoding_rs::GBK;
use std::io::BufRead;
use tongdao_core::money::Money;
use tongdao_core::provider::{LineKind, LineStatus, StatementFault, StatementLine, StatementTotals};

/// Reads records and adds them up.
pub(super) struct Records<'a> {
    expected: &'a Expected<'a>,
    each: &'a mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
    /// Lines of the files read before, so that numbers go on.
    lines_before: u64,
    pub(super) totals: StatementTotals,
    pub(super) sums: Sums,
}

/// What the transactions add up to, in fen, by direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    pub(super) count: i64,
    pub(super) amount: Directed,
    pub(super) fee: Directed,
    pub(super) settled: Directed,
}

/// From the merchant, and to him.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Directed {
    pub(super) debit: i64,
    pub(super) credit: i64,
}

impl Directed {
    /// Adds a sum: above zero to the merchant.
    fn add(&mut self, signed: i64) -> Option<()> {
        let side = if signed < 0 { &mut self.debit } else { &mut self.credit };
        *side = side.checked_add(signed.checked_abs()?)?;
        Some(())
    }
}

impl<'a> Records<'a> {
    pub(super) fn new(
        expected: &'a Expected<'a>,
        each: &'a mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
    ) -> Self {
        Self { expected, each, lines_before: 0, totals: StatementTotals::default(), sums: Sums::default() }
    }

    /// Reads a file of transactions.
    pub(super) fn trades(&mut self, text: impl BufRead) -> Result<(), StatementFault> {
        self.each_record(text, &ZM_WIDTHS, Self::trade)
    }

    /// Reads a file of errors and chargebacks.
    pub(super) fn errors(&mut self, text: impl BufRead) -> Result<(), StatementFault> {
        self.each_record(text, &ZME_WIDTHS, Self::error)
    }

    fn each_record<const N: usize>(
        &mut self,
        text: impl BufRead,
        widths: &[usize; N],
        read: impl Fn(&mut Self, u64, &Record<'_, N>) -> Result<StatementLine, StatementFault>,
    ) -> Result<(), StatementFault> {
        let mut lines = Lines::new(text);
        let before = self.lines_before;
        while let Some((number, bytes)) = lines.advance()? {
            let number = number.saturating_add(before);
            let record = Record::cut(number, bytes, widths)?;
            let line = read(self, number, &record)?;
            totals::add(&mut self.totals, &line)?;
            self.lines_before = number;
            (self.each)(line)?;
        }
        Ok(())
    }

    fn trade(&mut self, number: u64, record: &Record<'_, 41>) -> Result<StatementLine, StatementFault> {
        if record.text(28)? != self.expected.mer_id {
            return Err(line_fault(number, "the record is another merchant's"));
        }
        let kind = kind(record.text(1)?, record.text(20)?)
            .ok_or_else(|| line_fault(number, "the record is of a kind that is not documented"))?;
        let amount = record.digits(7)?;
        // Below zero where it is taken from the merchant; a fee is counted the other way round for a line.
        let (fee, settled) = (record.signed(16)?, record.signed(17)?);
        let directed = if kind == LineKind::Payment { amount } else { amount.saturating_neg() };
        if settled.signum().saturating_mul(directed.signum()) < 0 {
            return Err(line_fault(number, "the settlement goes the other way than the transaction"));
        }
        let sums = &mut self.sums;
        let added = (|| {
            sums.count = sums.count.checked_add(1)?;
            sums.amount.add(directed)?;
            sums.fee.add(fee)?;
            sums.settled.add(settled)
        })();
        added.ok_or_else(|| line_fault(number, "the sums are larger than any statement's"))?;
        let (own, query_id) = (record.number(12)?, record.number(10)?);
        let (provider_order_no, provider_trade_no, provider_refund_no) = match kind {
            LineKind::Payment => (own, query_id, None),
            LineKind::Refund => (record.original_order_no(), record.number(27)?, own),
        };
        Ok(StatementLine {
            line: number,
            kind,
            status: LineStatus::Done,
            provider_order_no,
            provider_trade_no,
            provider_refund_no,
            amount: Money::cny(amount),
            fee: Some(fee.saturating_neg()),
            at: record.at(5, self.expected)?,
        })
    }

    fn error(&mut self, number: u64, record: &Record<'_, 22>) -> Result<StatementLine, StatementFault> {
        Ok(StatementLine {
            line: number,
            kind: LineKind::Refund,
            status: LineStatus::Done,
            provider_order_no: None,
            provider_trade_no: None,
            provider_refund_no: None,
            amount: Money::cny(record.digits(7)?),
            fee: None,
            at: record.at(5, self.expected)?,
        })
    }
}

const ZM_WIDTHS: [usize; 41] = [
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1, 15, 32, 13,
    13, 8, 32, 13, 13, 12, 2, 1, 131,
];
const ZME_WIDTHS: [usize; 22] = [3, 11, 11, 6, 10, 19, 12, 4, 2, 2, 6, 10, 4, 12, 13, 13, 15, 15, 1, 12, 2, 135];

/// The code says it in known files; undo (31) and reversal (99) are told by the transaction's type.
fn kind(code: &str, txn_type: &str) -> Option<LineKind> {
    match (code, txn_type) {
        ("S22" | "S56", "01" | "") => Some(LineKind::Payment),
        ("S30", "04" | "") => Some(LineKind::Refund),
        ("S22" | "S56" | "S30", _) => None,
        (_, "01") => Some(LineKind::Payment),
        (_, "04" | "31" | "99") => Some(LineKind::Refund),
        (_, _) => None,
    }
}

/// One record, cut into its fields.
struct Record<'a, const N: usize> {
    line: u64,
    fields: [&'a [u8]; N],
}

impl<'a, const N: usize> Record<'a, N> {
    fn cut(line: u64, bytes: &'a [u8], widths: &[usize; N]) -> Result<Self, StatementFault> {
        if !bytes.is_ascii() && GBK.decode_without_bom_handling_and_without_replacement(bytes).is_none() {
            return Err(line_fault(line, "the record is not GBK"));
        }
        let mut fields: [&[u8]; N] = [&[]; N];
        let mut rest = bytes;
        for (place, (field, width)) in fields.iter_mut().zip(widths).enumerate() {
            let is_last = place.saturating_add(1) == N;
            let cut = rest.split_at_checked(*width).and_then(|(value, after)| match after.split_first() {
                Some((b' ', after)) if !is_last => Some((value, after)),
                None if is_last => Some((value, after)),
                Some(_) | None => None,
            });
            let (value, after) = cut.ok_or_else(|| {
                line_fault(line, "the record is not cut at its fields: another length, or no space between two")
            })?;
            (*field, rest) = (value, after);
        }
        Ok(Self { line, fields })
    }

    /// A field by its number in the documents, without the spaces around it.
    fn text(&self, number: usize) -> Result<&'a str, StatementFault> {
        let bytes = self.fields.get(number.saturating_sub(1)).copied().unwrap_or_default();
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii());
        text.map(|text| text.trim_matches(' ')).ok_or_else(|| self.fault(number, "is not plain text"))
    }

    /// Digits and nothing else, over the whole width.
    fn digits(&self, number: usize) -> Result<i64, StatementFault> {
        let text = self.text(number)?;
        let is_whole = text.len() == self.fields.get(number.saturating_sub(1)).map_or(0, |field| field.len());
        let plain = is_whole && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| plain).ok_or_else(|| self.fault(number, "is not digits of fen"))
    }

    /// `C`, `D` or a space before digits: above zero to the merchant, below from him. An empty field is nothing.
    fn signed(&self, number: usize) -> Result<i64, StatementFault> {
        let bytes = self.fields.get(number.saturating_sub(1)).copied().unwrap_or_default();
        if bytes.iter().all(|byte| *byte == b' ') {
            return Ok(0);
        }
        let wrong = || self.fault(number, "is not a sign and digits of fen");
        let (sign, digits) = bytes.split_first().ok_or_else(wrong)?;
        let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let fen: i64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
        match (sign, fen) {
            (b'C', fen) => Ok(fen),
            (b'D', fen) => Ok(fen.saturating_neg()),
            (b' ', 0) => Ok(0),
            (_, _) => Err(wrong()),
        }
    }

    /// A number of ours or theirs; an empty one is none.
    fn number(&self, number: usize) -> Result<Option<String>, StatementFault> {
        let text = self.text(number)?;
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(self.fault(number, "is not a number of an order"));
        }
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    fn at(
        &self,
        number: usize,
        expected: &Expected<'_>,
    ) -> Result<Option<tongdao_core::time::UnixMillis>, StatementFault> {
        match self.text(number)? {
            "" => Ok(None),
            text => match moment::beijing_near(text, expected.day) {
                Some(at) => Ok(Some(at)),
                None => Err(self.fault(number, "is no time")),
            },
        }
    }

    /// Newer files begin the reserve with the original's orderId. Where something else stands there, it is none.
    fn original_order_no(&self) -> Option<String> {
        let field = self.fields.last()?.get(..33)?;
        let text = std::str::from_utf8(field).ok()?.trim_end_matches(' ');
        let plain = (8..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        plain.then(|| text.to_owned())
    }

    fn fault(&self, number: usize, what: &str) -> StatementFault {
        line_fault(self.line, format!("field {number} {what}"))
    }
}
