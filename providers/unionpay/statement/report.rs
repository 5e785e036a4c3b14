//! The report for people (protocol notes, 9): its head names merchant and clearing day, its `总计` line the sums.
//!
//! Invariant: where the sums can be read they must be the transactions', each in its direction; a report of another
//! form says nothing. Another merchant's or another day's is a fault. Chargebacks are not in it.

use super::Expected;
use super::records::Sums;
use crate::shared::statement::figure::Figure;
use crate::shared::statement::file_fault;
use encoding_rs::GBK;
use tongdao_core::provider::StatementFault;

/// Holds a report against the transactions.
pub(super) fn check(expected: &Expected<'_>, bytes: &[u8], sums: &Sums) -> Result<(), StatementFault> {
    let text = GBK.decode_without_bom_handling_and_without_replacement(bytes);
    let text = text.ok_or_else(|| file_fault("the report is not GBK"))?;
    if named(&text, "商户代码").is_some_and(|mer_id| mer_id != expected.mer_id) {
        return Err(file_fault("the report is another merchant's"));
    }
    let day = expected.day.to_string().replace('-', "");
    if named(&text, "清算日期").is_some_and(|named| named != day) {
        return Err(file_fault("the report is of another day"));
    }
    let stated = text.lines().find_map(|line| figures(line.trim().strip_prefix("总计")?));
    let wanted = [
        sums.count.checked_mul(100),
        Some(sums.amount.debit),
        Some(sums.amount.credit),
        Some(sums.fee.debit),
        Some(sums.fee.credit),
        Some(sums.settled.debit),
        Some(sums.settled.credit),
    ];
    match stated {
        Some(stated) if stated.map(Figure::fen) != wanted => {
            Err(file_fault("the transactions do not add up to the report's sums"))
        }
        Some(_) | None => Ok(()),
    }
}

/// What stands behind a name and a colon, of either width, up to a space.
fn named<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(name)?;
    rest.strip_prefix([':', '：'])?.split_whitespace().next()
}

/// A count and six sums; `None` for a line of another form.
fn figures(text: &str) -> Option<[Figure; 7]> {
    let figures: Option<Vec<Figure>> = text.split_whitespace().map(Figure::read).collect();
    figures?.try_into().ok()
}
