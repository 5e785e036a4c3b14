//! The summary file (section 11): one row a store, and one of the whole.
//!
//! Invariant: where the row of the whole is found under known columns, its counts and what was received must be the
//! detail file's; a summary of an unknown form says nothing and is passed over, since the detail file has sums of its
//! own. Its account and day must be ours all the same.

use super::cells::cut;
use super::detail::{Detail, figure, read_head};
use super::{Expected, gbk};
use crate::shared::statement::figure::Figure;
use crate::shared::statement::header::Wanted;
use crate::shared::statement::lines::Lines;
use crate::shared::statement::{file_fault, line_fault};
use std::io::BufRead;
use tongdao_core::provider::StatementFault;

/// Holds a summary against the detail file.
pub(super) fn check(expected: &Expected<'_>, text: impl BufRead, detail: &Detail) -> Result<(), StatementFault> {
    let mut lines = Lines::new(text);
    let header = read_head(expected, &mut lines, "#支付宝业务汇总查询", &ROW)?;
    while let Some((number, line)) = lines.advance()? {
        let line = gbk(number, line)?;
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let cells = header.cut(number, cut(number, &line)?.into_iter())?;
        let [store, payments, refunds, received] = cells;
        let is_known = [STORE, PAYMENTS, REFUNDS].into_iter().all(|column| header.has(column));
        if !is_known || store.trim() != "合计" {
            continue;
        }
        let counts = [(payments, detail.totals.payments.count), (refunds, detail.totals.refunds.count)];
        for (stated, count) in counts {
            if figure(number, stated)?.count() != Some(count) {
                return Err(line_fault(number, "the summary counts other rows than the detail file has"));
            }
        }
        if header.has(RECEIVED) {
            check_received(figure(number, received)?, detail)?;
        }
    }
    Ok(())
}

const STORE: usize = 0;
const PAYMENTS: usize = 1;
const REFUNDS: usize = 2;
const RECEIVED: usize = 3;

const ROW: [Wanted; 4] = [
    Wanted { names: &["门店编号"], required: false },
    Wanted { names: &["交易订单总笔数"], required: false },
    Wanted { names: &["退款订单总笔数"], required: false },
    Wanted { names: &["商家实收（元）", "商家实收(元)"], required: false },
];

/// Whether refunds are taken off in this column is not written anywhere: both are believed.
fn check_received(stated: Figure, detail: &Detail) -> Result<(), StatementFault> {
    let [payments, refunds] = &detail.received;
    let net = payments.exact().plus(refunds.exact());
    if stated == payments.exact() || Some(stated) == net {
        return Ok(());
    }
    Err(file_fault("the summary's sum is not the detail file's"))
}
