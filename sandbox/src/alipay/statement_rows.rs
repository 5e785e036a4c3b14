//! The two files of a statement (protocol notes 11): GBK, comment lines around a table, TAB guards against Excel, sums in
//! comments at the end.
//!
//! Guards: the sums are those of the rows; a payment's fee is negative and a refund's is given back; a comma in what a
//! merchant wrote stands in quotes. Must not know: archives, HTTP, which lines a day holds.

use super::refund;
use crate::{
    faults::StatementTwist,
    formats::{beijing, gbk::GbkText},
    statements::Line,
};

/// One account's day, and when the file is written.
pub(super) struct Sheet<'a> {
    pub(super) seller_id: &'a str,
    pub(super) starts_at: i64,
    pub(super) written_at: i64,
    pub(super) twist: StatementTwist,
}

const DAY_MS: i64 = 86_400_000;
const OTHER_SELLER: &str = "2088999999999999";
const PAYER: &str = "*试(csq***@sandbox.com)";

/// Counts and sums of a file, in fen; refunds are negative.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    payments: i64,
    paid: i64,
    refunds: i64,
    returned: i64,
    fee: i64,
}

impl Sums {
    fn of(lines: &[Line<'_>], off: i64) -> Self {
        let mut sums = Self::default();
        for line in lines {
            let (count, sum) = match line.refund {
                None => (&mut sums.payments, &mut sums.paid),
                Some(_) => (&mut sums.refunds, &mut sums.returned),
            };
            *count = count.saturating_add(1);
            *sum = sum.saturating_add(signed(line));
            sums.fee = sums.fee.saturating_add(fee(line));
        }
        sums.paid = sums.paid.saturating_add(off);
        sums
    }
}

impl Sheet<'_> {
    /// The file of the rows.
    pub(super) fn rows(&self, lines: &[Line<'_>]) -> Vec<u8> {
        let mut columns: Vec<&Column> = COLUMNS.iter().collect();
        if self.twist.fault.columns {
            columns.insert(4, &Column("预留字段", "\t", |_, _| {}));
            columns.swap(12, 13);
        }
        let mut text = GbkText::default();
        self.head(&mut text, "#支付宝业务明细查询", "业务明细列表");
        let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
        text.push(&format!("{}\r\n", names.join(",")));
        for line in lines {
            for (index, Column(_, guard, cell)) in columns.iter().enumerate() {
                text.push(if index == 0 { "" } else { "," });
                cell(line, &mut text);
                text.push(guard);
            }
            text.push("\r\n");
        }
        let sums = Sums::of(lines, self.twist.sums_off_without_hash());
        text.push("#-----------------------------------------业务明细列表结束------------------------------------\r\n");
        text.push(&format!(
            "#交易合计：{}笔，商家实收共{}元，商家优惠共0.00元\r\n#退款合计：{}笔，商家实收退款共{}元，商家优惠退款共0.00元\r\n",
            sums.payments,
            yuan(sums.paid),
            sums.refunds,
            yuan(sums.returned)
        ));
        self.foot(&mut text);
        text.into_bytes()
    }

    /// The file of the sums: one shop without a number, and the line of all.
    pub(super) fn summary(&self, lines: &[Line<'_>]) -> Vec<u8> {
        let sums = Sums::of(lines, self.twist.sums_off_without_hash());
        let mut text = GbkText::default();
        self.head(&mut text, "#支付宝业务汇总查询", "业务汇总列表");
        text.push("门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）\r\n");
        let total = sums.paid.saturating_add(sums.returned);
        let net = total.saturating_add(sums.fee);
        for shop in ["\t", "合计\t"] {
            text.push(&format!(
                "{shop},\t,{},{},{},{},0.00,0.00,0.00,{},0.00,{}\r\n",
                sums.payments,
                sums.refunds,
                yuan(total),
                yuan(total),
                yuan(sums.fee),
                yuan(net)
            ));
        }
        text.push("#-----------------------------------------业务汇总列表结束------------------------------------\r\n");
        self.foot(&mut text);
        text.into_bytes()
    }

    fn head(&self, text: &mut GbkText, title: &str, list: &str) {
        let foreign = self.twist.fault.other_merchant > 0;
        let account = if foreign { OTHER_SELLER } else { self.seller_id };
        let time = |at| {
            let digits = beijing::compact(at);
            let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
            format!("{}年{}月{}日 00:00:00", part(0, 4), part(4, 6), part(6, 8))
        };
        text.push(&format!(
            "{title}\r\n#账号：[{account}0156]\r\n#起始日期：[{}]   终止日期：[{}]\r\n",
            time(self.starts_at),
            time(self.starts_at.saturating_add(DAY_MS))
        ));
        text.push(&format!(
            "#-----------------------------------------{list}----------------------------------------\r\n"
        ));
    }

    fn foot(&self, text: &mut GbkText) {
        let digits = beijing::dashed(self.written_at);
        let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
        text.push(&format!("#导出时间：[{}年{}月{}日 {}]\r\n", part(0, 4), part(5, 7), part(8, 10), part(11, 19)));
    }
}

/// A column's name, what guards its cells from Excel, and its cell of a line.
struct Column(&'static str, &'static str, fn(&Line<'_>, &mut GbkText));

const ZERO: fn(&Line<'_>, &mut GbkText) = |_, out| out.push("0.00");
const NOTHING: fn(&Line<'_>, &mut GbkText) = |_, _| {};
const AMOUNT: fn(&Line<'_>, &mut GbkText) = |line, out| out.push(&yuan(signed(line)));

const COLUMNS: [Column; 25] = [
    Column("支付宝交易号", "\t", |line, out| out.push(&line.payment.trade_no)),
    Column("商户订单号", "\t", |line, out| out.push(&line.order.key.order_no)),
    Column("业务类型", "\t", |line, out| out.push(kind(line))),
    Column("商品名称", "", |line, out| out.push(&quoted(&line.order.subject))),
    Column("创建时间", "", |line, out| out.push(&created_at(line))),
    Column("完成时间", "", |line, out| out.push(&beijing::dashed(line.at))),
    Column("门店编号", "\t", NOTHING),
    Column("门店名称", "\t", NOTHING),
    Column("操作员", "\t", NOTHING),
    Column("终端号", "\t", NOTHING),
    Column("对方账户", "\t", |_, out| out.push(PAYER)),
    Column("订单金额（元）", "", AMOUNT),
    Column("商家实收（元）", "", AMOUNT),
    Column("支付宝红包（元）", "", ZERO),
    Column("集分宝（元）", "", ZERO),
    Column("支付宝优惠（元）", "", ZERO),
    Column("商家优惠（元）", "", ZERO),
    Column("券核销金额（元）", "", ZERO),
    Column("券名称", "", NOTHING),
    Column("商家红包消费金额（元）", "\t", ZERO),
    Column("卡消费金额（元）", "", ZERO),
    Column("退款批次号/请求号", "\t", |line, out| out.push(line.refund.map_or("", refund::request_no))),
    Column("服务费（元）", "", |line, out| out.push(&yuan(fee(line)))),
    Column("分润（元）", "", ZERO),
    Column("备注", "", |line, out| out.push(&quoted(remark(line)))),
];

fn kind(line: &Line<'_>) -> &'static str {
    match line.refund {
        _ if line.changed_status => "交易关闭",
        Some(_) => "退款",
        None => "交易",
    }
}

fn signed(line: &Line<'_>) -> i64 {
    if line.refund.is_some() { line.amount.saturating_neg() } else { line.amount }
}

/// Taken of a payment, given back with a refund.
fn fee(line: &Line<'_>) -> i64 {
    if line.refund.is_some() { line.fee } else { line.fee.saturating_neg() }
}

fn created_at(line: &Line<'_>) -> String {
    match line.refund {
        Some(refund) => beijing::dashed(refund.created_at),
        None => match line.order.field("gmt_create") {
            "" => beijing::dashed(line.order.created_at),
            began => began.to_owned(),
        },
    }
}

fn remark<'a>(line: &Line<'a>) -> &'a str {
    match line.refund {
        Some(refund) => refund.fields.get("reason").map_or("", String::as_str),
        None => &line.order.subject,
    }
}

/// A text that may hold the table's own signs.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_merchant_wrote_stays_in_its_cell_and_amounts_keep_their_sign() {
        assert_eq!(quoted("点卡"), "点卡");
        assert_eq!(quoted("a,b\"c"), "\"a,b\"\"c\"");
        assert_eq!((yuan(-4), yuan(120), yuan(0)), ("-0.04".to_owned(), "1.20".to_owned(), "0.00".to_owned()));
    }

    #[test]
    fn the_guards_stand_where_the_sample_has_them() {
        let guarded: Vec<usize> =
            COLUMNS.iter().enumerate().filter(|(_, column)| column.1 == "\t").map(|(index, _)| index + 1).collect();
        assert_eq!(guarded, [1, 2, 3, 7, 8, 9, 10, 11, 20, 22]);
    }
}
