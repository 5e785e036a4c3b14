//! The rows of a statement (section 1.5): UTF-8 with a mark, CRLF, a backtick before every value, sums at the end.
//! Guards: every payment and refund of the day stands once; amounts are yuan with two places.
//! Must not know: HTTP.

use std::collections::BTreeMap;

use crate::clock::beijing;
use crate::faults::StatementTwist;
use crate::ledger::{Book, Order, Payment, Refund, RefundState};
use crate::options::ProviderName;

/// Fee of 0.60 %, in basis points.
const FEE_BPS: i64 = 60;

const ALL: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const SUCCESS: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,商品名称,商户数据包,手续费,费率,订单金额,费率备注";
const REFUND: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const SUMS: &str = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
const SUCCESS_SUMS: &str = "总交易单数,应结订单总金额,手续费总金额,订单总金额";

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

    fn columns(self) -> &'static str {
        match self {
            Self::All => ALL,
            Self::Success => SUCCESS,
            Self::Refund => REFUND,
        }
    }
}

/// One merchant's day.
pub(super) struct Day<'a> {
    pub(super) mch_id: &'a str,
    pub(super) app_id: &'a str,
    pub(super) starts_at: i64,
    pub(super) ends_at: i64,
    /// What happens from here on no longer changes the file.
    pub(super) ready_at: i64,
}

/// Values by column, and what they add to the sums, in fen.
#[derive(Clone, Debug)]
struct Row {
    at: i64,
    cells: BTreeMap<&'static str, String>,
    paid: i64,
    refunded: i64,
    fee: i64,
}

impl Day<'_> {
    /// The whole file; none when nothing happened that day.
    pub(super) fn write(&self, book: &Book, kind: Kind, twist: StatementTwist) -> Option<String> {
        let mut rows = match kind {
            Kind::All => [self.payments(book, twist), self.refunds(book)].concat(),
            Kind::Success => self.payments(book, twist),
            Kind::Refund => self.refunds(book),
        };
        if rows.is_empty() {
            return None;
        }
        rows.sort_by_key(|row| row.at);
        let mut text = format!("\u{feff}{}\r\n", kind.columns());
        for row in &rows {
            let cells = kind.columns().split(',').map(|column| row.cells.get(column).map_or("", String::as_str));
            line(&mut text, cells);
        }
        let (paid, refunded, fee) = rows.iter().fold((0_i64, 0_i64, 0_i64), |sums, row| {
            (sums.0.saturating_add(row.paid), sums.1.saturating_add(row.refunded), sums.2.saturating_add(row.fee))
        });
        let (paid, refunded, fee) = (yuan(paid), yuan(refunded), yuan(fee));
        let count = rows.len().to_string();
        if kind == Kind::Success {
            text.push_str(&format!("{SUCCESS_SUMS}\r\n"));
            line(&mut text, [count.as_str(), &paid, &fee, &paid].into_iter());
        } else {
            text.push_str(&format!("{SUMS}\r\n"));
            line(&mut text, [count.as_str(), &paid, &refunded, "0.00", &fee, &paid, &refunded].into_iter());
        }
        Some(text)
    }

    fn payments(&self, book: &Book, twist: StatementTwist) -> Vec<Row> {
        let mine = book
            .orders()
            .filter(|order| order.key.provider == ProviderName::Wechatpay && order.key.account == self.mch_id);
        let mut rows: Vec<Row> = mine
            .filter_map(|order| order.payment.as_ref().map(|payment| (order, payment)))
            .filter(|(_, payment)| self.covers(payment.paid_at))
            .map(|(order, payment)| self.paid_row(order, payment, payment.amount))
            .collect();
        rows.sort_by_key(|row| row.at);
        if twist.lost_line && !rows.is_empty() {
            rows.remove(0);
        }
        if let Some(first) = rows.first_mut().filter(|_| twist.wrong_line) {
            first.paid = first.paid.saturating_add(1);
            for column in ["应结订单金额", "订单金额"] {
                first.cells.insert(column, yuan(first.paid));
            }
        }
        if twist.extra_line {
            rows.push(self.foreign_row());
        }
        rows
    }

    fn refunds(&self, book: &Book) -> Vec<Row> {
        let mine = book
            .refunds()
            .filter(|refund| refund.key.provider == ProviderName::Wechatpay && refund.key.account == self.mch_id);
        mine.filter(|refund| self.covers(refund.created_at))
            .filter_map(|refund| {
                let order = book.order(&refund.order)?;
                Some(self.refund_row(refund, order, order.payment.as_ref()?))
            })
            .collect()
    }

    fn covers(&self, at: i64) -> bool {
        (self.starts_at..self.ends_at).contains(&at)
    }

    fn shared_row(&self, at: i64, order: &Order, payment: &Payment) -> Row {
        let cells = [
            ("交易时间", local(at)),
            ("公众账号ID", self.app_id.to_owned()),
            ("商户号", self.mch_id.to_owned()),
            ("特约商户号", "0".to_owned()),
            ("设备号", order.field("device_id").to_owned()),
            ("微信订单号", payment.trade_no.clone()),
            ("商户订单号", order.key.order_no.clone()),
            ("用户标识", payment.payer.clone()),
            ("交易类型", order.field("trade_type").to_owned()),
            ("付款银行", "OTHERS".to_owned()),
            ("货币种类", "CNY".to_owned()),
            ("代金券金额", "0.00".to_owned()),
            ("充值券退款金额", "0.00".to_owned()),
            ("商品名称", escaped(&order.subject)),
            ("商户数据包", escaped(order.field("attach"))),
            ("费率", "0.60%".to_owned()),
        ];
        Row { at, cells: BTreeMap::from(cells), paid: 0, refunded: 0, fee: 0 }
    }

    fn paid_row(&self, order: &Order, payment: &Payment, amount: i64) -> Row {
        let mut row = self.shared_row(payment.paid_at, order, payment);
        row.paid = amount;
        row.fee = fee(amount);
        row.cells.extend([
            ("交易状态", "SUCCESS".to_owned()),
            ("应结订单金额", yuan(amount)),
            ("微信退款单号", "0".to_owned()),
            ("商户退款单号", "0".to_owned()),
            ("退款金额", "0.00".to_owned()),
            ("手续费", yuan(row.fee)),
            ("订单金额", yuan(amount)),
            ("申请退款金额", "0.00".to_owned()),
        ]);
        row
    }

    fn refund_row(&self, refund: &Refund, order: &Order, payment: &Payment) -> Row {
        let mut row = self.shared_row(refund.created_at, order, payment);
        row.refunded = refund.amount;
        row.fee = fee(refund.amount).saturating_neg();
        let ended_at = refund.ended_at.filter(|at| *at < self.ready_at);
        let state = ended_at.map_or(RefundState::Pending, |_| refund.state);
        let status = match state {
            RefundState::Pending => "PROCESSING",
            RefundState::Success => "SUCCESS",
            RefundState::Closed => "FAIL",
            RefundState::Abnormal => "CHANGE",
        };
        row.cells.extend([
            ("交易状态", "REFUND".to_owned()),
            ("应结订单金额", "0.00".to_owned()),
            ("退款申请时间", local(refund.created_at)),
            ("退款成功时间", ended_at.map(local).unwrap_or_default()),
            ("微信退款单号", refund.refund_trade_no.clone()),
            ("商户退款单号", refund.key.refund_no.clone()),
            ("退款金额", yuan(refund.amount)),
            ("退款类型", "ORIGINAL".to_owned()),
            ("退款状态", status.to_owned()),
            ("手续费", yuan(row.fee)),
            ("订单金额", "0.00".to_owned()),
            ("申请退款金额", yuan(refund.amount)),
        ]);
        row
    }

    /// A payment the merchant knows nothing of.
    fn foreign_row(&self) -> Row {
        let order_no = format!("unknown{}", self.starts_at);
        let key =
            crate::ledger::OrderKey { provider: ProviderName::Wechatpay, account: self.mch_id.to_owned(), order_no };
        let at = self.ends_at.saturating_sub(1);
        let mut order = Order::new(key, 100, at);
        order.fields.insert("trade_type".to_owned(), "NATIVE".to_owned());
        let trade_no = format!("4200{:024}", self.starts_at);
        self.paid_row(&order, &Payment { trade_no, amount: 100, paid_at: at, payer: "oUnknown".to_owned() }, 100)
    }
}

fn line<'a>(text: &mut String, cells: impl Iterator<Item = &'a str>) {
    let cells: Vec<String> = cells.map(|cell| format!("`{cell}")).collect();
    text.push_str(&cells.join(","));
    text.push_str("\r\n");
}

fn local(at: i64) -> String {
    beijing(at, "%Y-%m-%d %H:%M:%S")
}

/// Half a fen rounds up.
fn fee(amount: i64) -> i64 {
    amount.saturating_mul(FEE_BPS).saturating_add(5_000).div_euclid(10_000)
}

fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100)
}

/// What merchants write, made safe for the file.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => safe.push_str("\\\\"),
            '"' => safe.push_str("\\\""),
            '\'' => safe.push_str("\\'"),
            '`' => safe.push_str("\\`"),
            ',' => safe.push_str("\\ "),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            letter => safe.push(letter),
        }
    }
    safe
}
