//! The rows of a statement (section 1.5): UTF-8 with a mark, CRLF, a backtick before every value, sums at the end.
//! Guards: every line of the day stands once; amounts are yuan with two places, fees with five as in the published
//! sample; what merchants wrote cannot leave its cell. Must not know: HTTP, which lines a day holds.

use std::fmt::Write;

use crate::faults::StatementTwist;
use crate::formats::beijing::dashed;
use crate::ledger::RefundState;
use crate::statements::{Line, Span};

/// Which rows are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    All,
    Success,
    Refund,
}

impl Kind {
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::All, Self::Success, Self::Refund].into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Success => "SUCCESS",
            Self::Refund => "REFUND",
        }
    }

    fn holds(self, line: &Line<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Success => line.refund.is_none(),
            Self::Refund => line.refund.is_some(),
        }
    }

    fn columns(self) -> Vec<&'static Column> {
        let within = |column: &&Column| match self {
            Self::All => column.2 != Within::Refund,
            Self::Success => column.2 == Within::Every,
            Self::Refund => true,
        };
        COLUMNS.iter().filter(within).collect()
    }
}

/// Whose statement, and how faults bend it.
pub(super) struct Sheet<'a> {
    pub(super) mch_id: &'a str,
    pub(super) app_id: &'a str,
    pub(super) span: Span<'a>,
    pub(super) twist: StatementTwist,
}

impl Sheet<'_> {
    /// The whole file; none when no line is of this kind.
    pub(super) fn write(&self, lines: &[Line<'_>], kind: Kind) -> Option<String> {
        let mut columns = kind.columns();
        if self.twist.fault.columns {
            columns.insert(3, &Column("预留字段", |_, _, out| out.push_str("new"), Within::Every));
            columns.swap(5, 7);
        }
        let mut text = String::with_capacity(lines.len().saturating_mul(320).saturating_add(1024));
        let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
        text.push_str(&format!("\u{feff}{}\r\n", names.join(",")));
        let mut sums = Sums::default();
        for line in lines.iter().filter(|line| kind.holds(line)) {
            sums.add(line);
            for (index, Column(_, cell, _)) in columns.iter().enumerate() {
                text.push_str(if index == 0 { "`" } else { ",`" });
                cell(self, line, &mut text);
            }
            text.push_str("\r\n");
        }
        sums.paid = sums.paid.saturating_add(self.twist.sums_off());
        (sums.count > 0).then(|| text + &sums.text(kind))
    }
}

#[derive(Default)]
struct Sums {
    count: u64,
    paid: i64,
    refunded: i64,
    fee: i64,
}

impl Sums {
    fn add(&mut self, line: &Line<'_>) {
        self.count = self.count.saturating_add(1);
        self.fee = self.fee.saturating_add(fee(line));
        let sum = if line.refund.is_some() { &mut self.refunded } else { &mut self.paid };
        *sum = sum.saturating_add(line.amount);
    }

    fn text(&self, kind: Kind) -> String {
        let (paid, refunded, fee) = (yuan(self.paid), yuan(self.refunded), yuan(self.fee));
        let count = self.count;
        match kind {
            Kind::Success => {
                format!("总交易单数,应结订单总金额,手续费总金额,订单总金额\r\n`{count},`{paid},`{fee},`{paid}\r\n")
            }
            Kind::All | Kind::Refund => format!(
                "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n\
                 `{count},`{paid},`{refunded},`0.00,`{fee},`{paid},`{refunded}\r\n"
            ),
        }
    }
}

/// In which kinds a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Every,
    /// `ALL` and `REFUND`.
    Refunds,
    /// `REFUND` alone.
    Refund,
}

/// A column's name, its cell of a line, and where it stands.
struct Column(&'static str, fn(&Sheet<'_>, &Line<'_>, &mut String), Within);

const COLUMNS: [Column; 29] = [
    Column("交易时间", |_, line, out| out.push_str(&dashed(line.at)), Within::Every),
    Column("公众账号ID", |sheet, _, out| out.push_str(sheet.app_id), Within::Every),
    Column(
        "商户号",
        |sheet, line, out| out.push_str(if line.foreign { "1900000999" } else { sheet.mch_id }),
        Within::Every,
    ),
    Column("特约商户号", |_, _, out| out.push('0'), Within::Every),
    Column("设备号", |_, line, out| out.push_str(line.order.field("device_id")), Within::Every),
    Column("微信订单号", |_, line, out| out.push_str(&line.payment.trade_no), Within::Every),
    Column("商户订单号", |_, line, out| out.push_str(&line.order.key.order_no), Within::Every),
    Column("用户标识", |_, line, out| out.push_str(&line.payment.payer), Within::Every),
    Column("交易类型", |_, line, out| out.push_str(line.order.field("trade_type")), Within::Every),
    Column("交易状态", |_, line, out| out.push_str(trade_status(line)), Within::Every),
    Column("付款银行", |_, _, out| out.push_str("OTHERS"), Within::Every),
    Column("货币种类", |_, _, out| out.push_str("CNY"), Within::Every),
    Column("应结订单金额", |_, line, out| push_yuan(out, paid(line)), Within::Every),
    Column("代金券金额", |_, _, out| out.push_str("0.00"), Within::Every),
    Column(
        "退款申请时间",
        |_, line, out| out.push_str(&line.refund.map_or(String::new(), |r| dashed(r.created_at))),
        Within::Refund,
    ),
    Column("退款成功时间", |sheet, line, out| out.push_str(&succeeded_at(sheet, line)), Within::Refund),
    Column(
        "微信退款单号",
        |_, line, out| out.push_str(line.refund.map_or("0", |r| r.refund_trade_no.as_str())),
        Within::Refunds,
    ),
    Column(
        "商户退款单号",
        |_, line, out| out.push_str(line.refund.map_or("0", |r| r.key.refund_no.as_str())),
        Within::Refunds,
    ),
    Column("退款金额", |_, line, out| push_yuan(out, refunded(line)), Within::Refunds),
    Column("充值券退款金额", |_, _, out| out.push_str("0.00"), Within::Refunds),
    Column("退款类型", |_, line, out| out.push_str(line.refund.map_or("", |_| "ORIGINAL")), Within::Refunds),
    Column("退款状态", |sheet, line, out| out.push_str(refund_status(sheet, line)), Within::Refunds),
    Column("商品名称", |_, line, out| push_escaped(out, &line.order.subject, line.refund.is_some()), Within::Every),
    Column(
        "商户数据包",
        |_, line, out| push_escaped(out, line.order.field("attach"), line.refund.is_some()),
        Within::Every,
    ),
    Column(
        "手续费",
        |_, line, out| {
            push_yuan(out, fee(line));
            out.push_str("000");
        },
        Within::Every,
    ),
    Column("费率", |_, _, out| out.push_str("0.60%"), Within::Every),
    Column("订单金额", |_, line, out| push_yuan(out, paid(line)), Within::Every),
    Column("申请退款金额", |_, line, out| push_yuan(out, refunded(line)), Within::Refunds),
    Column("费率备注", |_, _, _| {}, Within::Every),
];

fn paid(line: &Line<'_>) -> i64 {
    if line.refund.is_some() { 0 } else { line.amount }
}

fn refunded(line: &Line<'_>) -> i64 {
    if line.refund.is_some() { line.amount } else { 0 }
}

/// Taken of a payment, given back with a refund.
fn fee(line: &Line<'_>) -> i64 {
    if line.refund.is_some() { line.fee.saturating_neg() } else { line.fee }
}

fn trade_status(line: &Line<'_>) -> &'static str {
    match line.refund {
        Some(_) => "REFUND",
        None if line.changed_status => "REVOKED",
        None => "SUCCESS",
    }
}

/// The file's own words, not the API's; what ends after the file is written is never told in it.
fn refund_status(sheet: &Sheet<'_>, line: &Line<'_>) -> &'static str {
    let Some(refund) = line.refund else { return "" };
    if line.changed_status {
        return "FAIL";
    }
    match refund.state {
        _ if !ended(sheet, refund.ended_at) => "PROCESSING",
        RefundState::Pending => "PROCESSING",
        RefundState::Success => "SUCCESS",
        RefundState::Closed => "FAIL",
        RefundState::Abnormal => "CHANGE",
    }
}

fn succeeded_at(sheet: &Sheet<'_>, line: &Line<'_>) -> String {
    let succeeded = line.refund.filter(|refund| refund.state == RefundState::Success);
    succeeded.and_then(|refund| refund.ended_at).filter(|at| ended(sheet, Some(*at))).map(dashed).unwrap_or_default()
}

fn ended(sheet: &Sheet<'_>, ended_at: Option<i64>) -> bool {
    ended_at.is_some_and(|at| at < sheet.span.ready_at)
}

fn yuan(fen: i64) -> String {
    let mut text = String::new();
    push_yuan(&mut text, fen);
    text
}

fn push_yuan(out: &mut String, fen: i64) {
    let sign = if fen < 0 { "-" } else { "" };
    let written = write!(out, "{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100);
    debug_assert!(written.is_ok(), "a text takes everything");
}

/// What merchants write, made safe for the file: a refund's row writes a backtick as its octal number and leaves `'`.
fn push_escaped(out: &mut String, text: &str, of_refund: bool) {
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\'' if !of_refund => out.push_str("\\'"),
            '`' => out.push_str(if of_refund { "\\140" } else { "\\`" }),
            ',' => out.push_str("\\ "),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_columns_in_the_documented_order() {
        let names = |kind: Kind| kind.columns().iter().map(|column| column.0).collect::<Vec<_>>().join(",");
        assert_eq!(
            names(Kind::All),
            "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
        );
        assert_eq!(
            names(Kind::Success),
            "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,商品名称,商户数据包,手续费,费率,订单金额,费率备注"
        );
        assert_eq!(
            names(Kind::Refund),
            names(Kind::All).replace("代金券金额,", "代金券金额,退款申请时间,退款成功时间,")
        );
    }

    #[test]
    fn what_a_merchant_wrote_stays_in_its_cell() {
        let escaped = |of_refund| {
            let mut out = String::new();
            push_escaped(&mut out, "a`b,c'd\"e\\f\r\n\t", of_refund);
            out
        };
        assert_eq!(escaped(false), r#"a\`b\ c\'d\"e\\f\r\n\t"#);
        assert_eq!(escaped(true), r#"a\140b\ c'd\"e\\f\r\n\t"#);
        assert_eq!((yuan(-5), yuan(123_456)), ("-0.05".to_owned(), "1234.56".to_owned()));
    }
}
