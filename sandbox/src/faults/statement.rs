//! What goes wrong in a day's statement: whole lines, single values, the file around them, and when it comes.
//!
//! Counts say how many lines, the seed which; no line is hit twice, and the sums at a file's end are those of the lines as
//! they stand, so that only a comparison finds a planted line. What was planted is told by `Sandbox::planted`. Guards: the
//! default does nothing. Must not know: how a line is written.

use serde::{Deserialize, Serialize};

/// Faults of a statement, within a `Fault`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatementFault {
    /// Chooses the lines.
    pub seed: u64,
    /// Lines that are missing.
    pub lost: usize,
    /// Lines of payments that nobody asked for.
    pub extra: usize,
    /// Lines that stand twice.
    pub doubled: usize,
    /// Lines whose amount is one fen too high.
    pub wrong_amount: usize,
    /// The line of this number (1 is the day's first) whose amount is one fen too high.
    pub wrong_amount_line: Option<usize>,
    /// Lines whose fee is one fen too high.
    pub wrong_fee: usize,
    /// Lines with another status: WeChat Pay's payments are `REVOKED` and refunds `FAIL`, Alipay's kind is `交易关闭`,
    /// UnionPay's transaction is a reversal.
    pub changed_status: usize,
    /// Lines of another merchant's payments. Alipay names the merchant at the file's head only: there it is another.
    pub other_merchant: usize,
    /// The lines stand in no order.
    pub reordered: bool,
    /// A column nobody knows, and two columns that changed places; UnionPay splits its reserve.
    pub columns: bool,
    /// The sums at the end are one fen off.
    pub wrong_sums: bool,
    /// The file ends in the middle of a line; whatever is around it (hash, archive, signature) is whole.
    pub truncated: bool,
    /// The file's text is in another encoding: WeChat Pay's in GBK, the others' in UTF-8 with a mark.
    pub wrong_encoding: bool,
    /// The file ends in this many mebibytes of one byte, which compress to nearly nothing.
    pub bomb_mib: u32,
    /// The archive's entries are named to lie outside of any folder (`../../…`).
    pub traversal: bool,
    /// There is no statement, though there were payments.
    pub absent: bool,
    /// So many times more the statement is not ready yet.
    pub not_ready: u64,
}

/// What chance decided for one statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatementTwist {
    pub(crate) fault: StatementFault,
    /// The day's first payment is missing.
    pub(crate) lost_line: bool,
    /// A payment nobody asked for stands at the end.
    pub(crate) extra_line: bool,
    /// The day's first payment is one fen too high.
    pub(crate) wrong_line: bool,
    /// The published hash is not the file's; where there is none, the sums at the end are wrong.
    pub(crate) wrong_hash: bool,
}

impl StatementTwist {
    /// What the file's own sums are off by, where a hash vouches for it.
    pub(crate) fn sums_off(self) -> i64 {
        i64::from(self.fault.wrong_sums)
    }

    /// The same where the sums are all there is.
    pub(crate) fn sums_off_without_hash(self) -> i64 {
        i64::from(self.fault.wrong_sums || self.wrong_hash)
    }

    /// Cuts a file in the middle of a line.
    pub(crate) fn cut(self, bytes: &mut Vec<u8>) {
        if self.fault.truncated {
            let half = bytes.len() / 2;
            let at_an_end = |len: &usize| bytes.get(len.saturating_sub(1)).is_some_and(|byte| b"\r\n".contains(byte));
            let len = (0..=half).rev().find(|len| !at_an_end(len)).unwrap_or(0);
            bytes.truncate(len);
        }
    }
}
