//! What the lines of a file add up to, and what the file itself says they do.
//!
//! Invariant: no sum wraps, and a line that would make one is a fault. It compares nothing with our books.

use super::figure::Figure;
use super::{file_fault, line_fault};
use tongdao_core::provider::{LineKind, StatementFault, StatementLine, StatementTotals};

/// Adds a line.
pub(crate) fn add(totals: &mut StatementTotals, line: &StatementLine) -> Result<(), StatementFault> {
    let too_large = || line_fault(line.line, "the sums are larger than any statement's");
    let tally = match line.kind {
        LineKind::Payment => &mut totals.payments,
        LineKind::Refund => &mut totals.refunds,
    };
    tally.count = tally.count.checked_add(1).ok_or_else(too_large)?;
    tally.amount = tally.amount.checked_add(line.amount.amount).ok_or_else(too_large)?;
    totals.fee = totals.fee.checked_add(line.fee.unwrap_or_default()).ok_or_else(too_large)?;
    Ok(())
}

/// The sum of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ColumnSum {
    exact: Figure,
    rounded: Figure,
}

impl ColumnSum {
    /// Adds a cell.
    pub(crate) fn add(&mut self, line: u64, figure: Figure) -> Result<(), StatementFault> {
        let rounded = figure.rounded_fen().and_then(Figure::from_fen);
        let sums = rounded.and_then(|rounded| Some((self.exact.plus(figure)?, self.rounded.plus(rounded)?)));
        let (exact, rounded) = sums.ok_or_else(|| line_fault(line, "the sums are larger than any statement's"))?;
        *self = Self { exact, rounded };
        Ok(())
    }

    /// The sum, not rounded.
    pub(crate) const fn exact(&self) -> Figure {
        self.exact
    }

    /// Holds the sum against the file's own. Fees of five places may be rounded before or after they are added.
    pub(crate) fn must_be(&self, stated: Figure, name: &str) -> Result<(), StatementFault> {
        let whole = self.exact.rounded_fen().and_then(Figure::from_fen);
        if [Some(self.exact), Some(self.rounded), whole].contains(&Some(stated)) {
            return Ok(());
        }
        Err(file_fault(format!("the lines do not add up to the file's own {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongdao_core::money::Money;
    use tongdao_core::provider::LineStatus;

    fn line(kind: LineKind, fen: i64) -> StatementLine {
        StatementLine {
            line: 1,
            kind,
            status: LineStatus::Done,
            provider_order_no: None,
            provider_trade_no: None,
            provider_refund_no: None,
            amount: Money::cny(fen),
            fee: Some(1),
            at: None,
        }
    }

    #[test]
    fn payments_and_refunds_are_tallied_apart_and_never_wrap() {
        let mut totals = StatementTotals::default();
        add(&mut totals, &line(LineKind::Payment, 100)).unwrap();
        add(&mut totals, &line(LineKind::Refund, 30)).unwrap();
        assert_eq!((totals.payments.amount, totals.refunds.count, totals.fee), (100, 1, 2));
        assert!(add(&mut totals, &line(LineKind::Payment, i64::MAX)).is_err());
    }

    #[test]
    fn a_columns_sum_must_be_the_files_own() {
        let mut sum = ColumnSum::default();
        for fee in ["0.00600", "0.00600"] {
            sum.add(1, Figure::read(fee).unwrap()).unwrap();
        }
        for stated in ["0.012", "0.02", "0.01"] {
            assert_eq!(sum.must_be(Figure::read(stated).unwrap(), "fees"), Ok(()), "{stated}");
        }
        assert!(sum.must_be(Figure::read("0.03").unwrap(), "fees").is_err());
    }
}
