//! The records of a settlement file (protocol notes 9): GBK, fields of fixed width with a space after each, 607 bytes and
//! CRLF; and the report of the sums.
//!
//! Guards: every record has its length whatever stands in it; net is amount less fee, record by record. Must not know:
//! archives, HTTP, which lines a day holds.

use super::order;
use crate::{
    faults::StatementTwist,
    formats::{beijing, gbk::GbkText},
    statements::Line,
};

/// One merchant's clearing day.
pub(super) struct Sheet<'a> {
    pub(super) mer_id: &'a str,
    /// `yyyyMMdd`.
    pub(super) day: &'a str,
    pub(super) twist: StatementTwist,
}

/// The widths of the fields, the reserve whole.
const WIDTHS: [usize; 41] = [
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1, 15, 32, 13,
    13, 8, 32, 13, 13, 12, 2, 1, 131,
];
/// How newer files split the reserve.
const RESERVE: [usize; 6] = [32, 13, 2, 1, 12, 66];
const OTHER_MERCHANT: &str = "777290058199999";
const ZERO: &str = " 000000000000";

impl Sheet<'_> {
    /// The transactions.
    pub(super) fn records(&self, lines: &[Line<'_>]) -> Vec<u8> {
        let mut text = GbkText::default();
        for line in lines {
            self.record(&mut text, line);
        }
        text.into_bytes()
    }

    /// The sums, for people.
    pub(super) fn report(&self, lines: &[Line<'_>]) -> Vec<u8> {
        let (mut payments, mut refunds) = (Total::default(), Total::default());
        for line in lines {
            let total = if line.refund.is_some() { &mut refunds } else { &mut payments };
            total.add(line);
        }
        payments.amount = payments.amount.saturating_add(self.twist.sums_off_without_hash());
        let mut text = GbkText::default();
        text.push("                                     中国银联全渠道商户交易汇总表            \r\n\r\n");
        text.push(&format!("商户代码:{:<45}清算币种:人民币\r\n", self.mer_id));
        text.push(&format!("收单机构:{:<45}清算日期:{}\r\n\r\n", "88022900", self.day));
        text.push("交易类型            交易笔数               交易金额                         费用                              资金清算差额\r\n");
        text.push("                                         借              贷              借              贷               借                  贷\r\n");
        let rule = format!("{}\r\n", "_".repeat(120));
        text.push(&rule);
        text.push(&total_line("消费", payments.count, payments.sides(false)));
        text.push(&total_line("退货", refunds.count, refunds.sides(true)));
        text.push(&rule);
        let both =
            payments.sides(false).into_iter().zip(refunds.sides(true)).map(|(one, other)| one.saturating_add(other));
        let both: Vec<i64> = both.collect();
        text.push(&total_line("总计", payments.count.saturating_add(refunds.count), both));
        text.into_bytes()
    }

    fn record(&self, text: &mut GbkText, line: &Line<'_>) {
        let refund = line.refund;
        let query_id = refund.map_or(line.payment.trade_no.as_str(), |refund| refund.refund_trade_no.as_str());
        let order_no = refund.map_or(line.order.key.order_no.as_str(), |refund| {
            refund.key.refund_no.split('/').next().unwrap_or_default()
        });
        let own = refund.map_or(&line.order.fields, |refund| &refund.fields);
        let own = |name: &str| own.get(name).map_or("", String::as_str);
        let (charge, turn) = if refund.is_some() { ('C', 'D') } else { ('D', 'C') };
        let net = sum(turn, line.amount.saturating_sub(line.fee));
        let original = refund.map(|_| line.payment);
        let fields: [&str; 40] = [
            code(line),
            "88022900",
            "00049993",
            order::trace_no(query_id),
            &time(line.at),
            &line.payment.payer,
            &format!("{:012}", line.amount),
            "4899",
            terminal(line),
            query_id,
            "01",
            order_no,
            "01",
            original.map_or("", |payment| order::trace_no(&payment.trade_no)),
            &original.map_or(String::new(), |payment| time(payment.paid_at)),
            &sum(charge, line.fee),
            &net,
            "0001",
            "",
            kind(line),
            own("txnSubType"),
            own("bizType"),
            "",
            "",
            "",
            "",
            original.map_or("", |payment| payment.trade_no.as_str()),
            if line.foreign { OTHER_MERCHANT } else { self.mer_id },
            "",
            "000000000000000",
            "",
            ZERO,
            &net,
            "01080209",
            own("reqReserved"),
            ZERO,
            ZERO,
            " 00000000000",
            "",
            "7",
        ];
        for (field, width) in fields.into_iter().zip(WIDTHS) {
            text.push_fixed(field, width);
            text.push(" ");
        }
        self.reserve(text, line, &net);
        text.push("\r\n");
    }

    fn reserve(&self, text: &mut GbkText, line: &Line<'_>, net: &str) {
        if !self.twist.fault.columns {
            return text.push_fixed("", 131);
        }
        let order_no = line.refund.map_or("", |_| line.order.key.order_no.as_str());
        for (index, (field, width)) in [order_no, net, "04", "0", "", ""].into_iter().zip(RESERVE).enumerate() {
            text.push(if index == 0 { "" } else { " " });
            text.push_fixed(field, width);
        }
    }
}

/// What the lines of one kind add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    count: i64,
    amount: i64,
    fee: i64,
    net: i64,
}

impl Total {
    fn add(&mut self, line: &Line<'_>) {
        self.count = self.count.saturating_add(1);
        self.amount = self.amount.saturating_add(line.amount);
        self.fee = self.fee.saturating_add(line.fee);
        self.net = self.net.saturating_add(line.amount.saturating_sub(line.fee));
    }

    /// Debit and credit of the amount, the fee and what is settled: a refund turns all three around.
    fn sides(self, turned: bool) -> Vec<i64> {
        let of = |sum: i64, credit: bool| if credit { [0, sum] } else { [sum, 0] };
        [of(self.amount, !turned), of(self.fee, turned), of(self.net, !turned)].concat()
    }
}

fn total_line(name: &str, count: i64, sides: impl IntoIterator<Item = i64>) -> String {
    let sums: String = sides.into_iter().map(|sum| format!("{:>18}", yuan(sum))).collect();
    format!("{name}{count:>18}{sums}\r\n")
}

fn code(line: &Line<'_>) -> &'static str {
    match line.refund {
        _ if line.changed_status => "S99",
        Some(_) => "S30",
        None if line.order.product == "qr" => "S22",
        None => "S56",
    }
}

fn kind(line: &Line<'_>) -> &'static str {
    match line.refund {
        _ if line.changed_status => "99",
        Some(_) => "04",
        None => "01",
    }
}

fn terminal<'a>(line: &Line<'a>) -> &'a str {
    match line.order.field("channelType") {
        "" => "08",
        kind => kind,
    }
}

/// `MMDDhhmmss`.
fn time(at: i64) -> String {
    beijing::compact(at).get(4..).unwrap_or_default().to_owned()
}

/// A side and twelve digits.
fn sum(side: char, fen: i64) -> String {
    format!("{side}{fen:012}")
}

fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Order, OrderKey, Payment};
    use crate::options::ProviderName;
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    fn sample_order() -> Order {
        let key = OrderKey {
            provider: ProviderName::Unionpay,
            account: "802310048993424".into(),
            order_no: "10078087".into(),
        };
        let paid_at = beijing::read_dashed("2015-09-06 11:22:03").unwrap();
        let mut order = Order::new(key, 476_800, paid_at);
        order.product = "front".into();
        for (name, value) in [("channelType", "07"), ("bizType", "000201")] {
            order.fields.insert(name.into(), value.into());
        }
        let trade_no = "201509061122031906248".to_owned();
        order.payment = Some(Payment { trade_no, amount: 476_800, paid_at, payer: "622609******0048".into() });
        order
    }

    fn record(twist: StatementTwist, order: &Order) -> Vec<u8> {
        let sheet = Sheet { mer_id: "802310048993424", day: "20150905", twist };
        sheet.records(&[Line::paid(order).unwrap()])
    }

    #[test]
    fn the_official_sample_is_written_byte_for_byte() {
        let mut written = record(StatementTwist::default(), &sample_order());
        assert_eq!(written.split_off(607), b"\r\n");
        let vectors: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../fixtures/unionpay.json")).unwrap();
        let sample = vectors.iter().find(|vector| vector["kind"] == "zm").unwrap()["gbk_base64"].as_str().unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8(STANDARD.decode(sample).unwrap()).unwrap());
    }

    #[test]
    fn a_record_keeps_its_length_whatever_stands_in_it() {
        let mut order = sample_order();
        order.key.order_no = "x".repeat(40);
        order.fields.insert("reqReserved".into(), "点卡".repeat(30));
        let mut columns = StatementTwist::default();
        columns.fault.columns = true;
        for twist in [StatementTwist::default(), columns] {
            assert_eq!(record(twist, &order).len(), 609);
        }
        assert_eq!(WIDTHS.iter().sum::<usize>() + WIDTHS.len() - 1, 607);
        assert_eq!(RESERVE.iter().sum::<usize>() + RESERVE.len() - 1, 131);
    }

    #[test]
    fn the_report_adds_up_as_in_the_sample() {
        let (first, mut second) = (sample_order(), sample_order());
        if let Some(payment) = &mut second.payment {
            payment.amount = 83_800;
        }
        let sheet = Sheet { mer_id: "802310048993424", day: "20150905", twist: StatementTwist::default() };
        let report = sheet.report(&[Line::paid(&first).unwrap(), Line::paid(&second).unwrap()]);
        let text = encoding_rs::GBK.decode(&report).0.into_owned();
        let total = text.lines().find(|line| line.starts_with("总计")).unwrap();
        let figures: Vec<&str> = total.split_whitespace().skip(1).collect();
        assert_eq!(figures, ["2", "0.00", "5606.00", "33.64", "0.00", "0.00", "5572.36"]);
    }
}
