//! A trade as Alipay sees it: found by number, its status, its clock, and the query, close and cancel
//! of it.
//!
//! Invariants: before the payer scans (or opens the cashier) there is no trade, so query and close
//! answer `ACQ.TRADE_NOT_EXIST` while the code stays payable; a trade past its time is closed
//! (protocol notes 7 and 8). Must not know: HTTP, signatures, faults.

use serde_json::json;

use super::{
    answer::{Node, Refusal},
    biz::{Biz, yuan},
    request::Call,
};
use crate::{
    formats::beijing,
    ledger::{Book, Order, OrderKey, OrderState},
    options::ProviderName,
};

/// `trade_status` in Alipay's words.
pub(crate) fn status(book: &Book, order: &Order, now: i64) -> &'static str {
    let lapsed = order.expires_at.is_some_and(|end| now >= end);
    match order.state {
        OrderState::Coded | OrderState::Open if lapsed => "TRADE_CLOSED",
        OrderState::Coded | OrderState::Open => "WAIT_BUYER_PAY",
        OrderState::Closed => "TRADE_CLOSED",
        OrderState::Paid if fully_refunded(book, order) => "TRADE_CLOSED",
        OrderState::Paid => "TRADE_SUCCESS",
    }
}

/// Whether all that was paid went back.
pub(crate) fn fully_refunded(book: &Book, order: &Order) -> bool {
    let paid = order.payment.as_ref().map_or(0, |payment| payment.amount);
    paid > 0 && returned(book, &order.key) >= paid
}

/// Fen that went back for good.
pub(crate) fn returned(book: &Book, key: &OrderKey) -> i64 {
    let ended = |state| state == crate::ledger::RefundState::Success;
    book.refunds_of(key).iter().filter(|refund| ended(refund.state)).map(|refund| refund.amount).sum()
}

/// The trade a call names: `trade_no` wins over `out_trade_no`; a mere code is not a trade.
pub(crate) fn find<'a>(book: &'a Book, call: &Call, biz: &Biz<'_>) -> Result<&'a Order, Refusal> {
    let order = match (biz.text("trade_no", 64)?, biz.number("out_trade_no")?) {
        (Some(trade_no), _) => {
            book.order_by_trade_no(ProviderName::Alipay, trade_no).filter(|order| order.key.account == call.app_id)
        }
        (None, Some(order_no)) => book.order(&key(&call.app_id, order_no)),
        (None, None) => return Err(super::biz::wrong("out_trade_no")),
    };
    order.filter(|order| order.state != OrderState::Coded).ok_or_else(not_exist)
}

/// The key of an application's order.
pub(crate) fn key(app_id: &str, order_no: &str) -> OrderKey {
    OrderKey { provider: ProviderName::Alipay, account: app_id.to_owned(), order_no: order_no.to_owned() }
}

/// `alipay.trade.query`.
pub(crate) fn query(book: &Book, call: &Call, now: i64) -> Result<Node, Refusal> {
    let biz = Biz::of(&call.biz, &["out_trade_no", "trade_no", "query_options", "org_pid"])?;
    let order = find(book, call, &biz)?;
    let node = Node::success().with("buyer_logon_id", BUYER_LOGON).with("buyer_user_id", order.field("buyer_id"));
    let node = match &order.payment {
        None => money(node, 0).with("total_amount", yuan(order.amount)),
        Some(payment) => money(node, payment.amount)
            .with("fund_bill_list", json!([{ "amount": yuan(payment.amount), "fund_channel": "ALIPAYACCOUNT" }]))
            .with("send_pay_date", beijing::dashed(payment.paid_at))
            .with("total_amount", yuan(payment.amount)),
    };
    Ok(node
        .with("out_trade_no", order.key.order_no.as_str())
        .with("trade_no", order.field("trade_no"))
        .with("trade_status", status(book, order, now)))
}

/// `alipay.trade.close`: an unpaid trade only. Names the order when its merchant is told: wap and app alone.
pub(crate) fn close(book: &mut Book, call: &Call, now: i64) -> Result<(Option<OrderKey>, Node), Refusal> {
    let biz = Biz::of(&call.biz, &["out_trade_no", "trade_no", "operator_id"])?;
    let order = find(book, call, &biz)?.clone();
    match status(book, &order, now) {
        "WAIT_BUYER_PAY" => {}
        "TRADE_SUCCESS" => {
            return Err(Refusal::business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法"));
        }
        _ => {
            return Err(Refusal::business("ACQ.REASON_TRADE_STATUS_INVALID", "交易状态异常"));
        }
    }
    assert!(book.close(&order.key, now), "an unpaid order closes");
    let told = matches!(order.product.as_str(), "wap" | "app");
    let node =
        Node::success().with("out_trade_no", order.key.order_no.as_str()).with("trade_no", order.field("trade_no"));
    Ok((told.then_some(order.key), node))
}

/// What `alipay.trade.cancel` did.
pub(crate) enum Cancelled {
    /// There was no trade, or it was closed before.
    Nothing(Node),
    /// It was unpaid and is closed now.
    Closed(Node),
    /// It was paid: all of it is to go back.
    Refund(Node, Box<Order>),
}

/// `alipay.trade.cancel`.
pub(crate) fn cancel(book: &mut Book, call: &Call, now: i64) -> Result<Cancelled, Refusal> {
    let biz = Biz::of(&call.biz, &["out_trade_no", "trade_no"])?;
    let found = find(book, call, &biz).cloned();
    let node = Node::success().with("retry_flag", "N");
    let Ok(order) = found else {
        let order_no = biz.number("out_trade_no")?.unwrap_or_default();
        return Ok(Cancelled::Nothing(node.with("out_trade_no", order_no)));
    };
    let node = node.with("out_trade_no", order.key.order_no.as_str()).with("trade_no", order.field("trade_no"));
    Ok(match status(book, &order, now) {
        "WAIT_BUYER_PAY" => {
            assert!(book.close(&order.key, now), "an unpaid order closes");
            Cancelled::Closed(node.with("action", "close"))
        }
        "TRADE_SUCCESS" => Cancelled::Refund(node.with("action", "refund"), Box::new(order)),
        _ => Cancelled::Nothing(node),
    })
}

/// `ACQ.TRADE_NOT_EXIST`.
pub(crate) fn not_exist() -> Refusal {
    Refusal::business("ACQ.TRADE_NOT_EXIST", "交易不存在")
}

/// The payer's masked name.
pub(crate) const BUYER_LOGON: &str = "csq***@sandbox.com";

fn money(node: Node, fen: i64) -> Node {
    node.with("buyer_pay_amount", yuan(fen))
        .with("invoice_amount", yuan(fen))
        .with("point_amount", "0.00")
        .with("receipt_amount", yuan(fen))
}
