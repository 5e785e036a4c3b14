//! Money back: refund, its query, and the refund a cancel makes of a paid trade.
//!
//! Invariants: one `out_request_no` of a trade is one refund; repeating it moves nothing and says
//! `fund_change=N`; `refund_fee` is the sum of all that went back; a query of an unknown number is
//! still code 10000, without `refund_status` (protocol notes 7). Must not know: HTTP, signatures.

use std::collections::BTreeMap;

use super::{
    answer::{Node, Refusal},
    biz::{self, Biz, yuan},
    request::Call,
    trade,
};
use crate::{
    dice::Dice,
    formats::beijing,
    ledger::{Book, Order, Refund, RefundAdded, RefundKey, RefundState},
    options::ProviderName,
};

/// What a refund call did: the answer but for `fund_change` and `refund_fee`, and what it booked.
pub(crate) struct Asked {
    pub(crate) order: Box<Order>,
    /// None: the number was used before, nothing new was booked.
    pub(crate) booked: Option<RefundKey>,
}

/// `alipay.trade.refund`: books the refund as pending.
pub(crate) fn refund(book: &mut Book, call: &Call, dice: &Dice, now: i64) -> Result<Asked, Refusal> {
    let biz = Biz::of(&call.biz, &REFUND_KEYS)?;
    let amount = biz.amount("refund_amount")?;
    let request_no = biz.number("out_request_no")?;
    let reason = biz.text("refund_reason", 256)?;
    let order = trade::find(book, call, &biz)?.clone();
    let Some(payment) = &order.payment else {
        return Err(Refusal::business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法"));
    };
    if request_no.is_none() && amount < payment.amount {
        return Err(Refusal::business(
            "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
            "退款金额不等于交易金额，部分退款必须传入out_request_no",
        ));
    }
    let request_no = request_no.unwrap_or(&order.key.order_no);
    let entry = entry(&order, (request_no, amount), reason.unwrap_or_default(), (dice, now));
    let key = entry.key.clone();
    let order = Box::new(order);
    match book.add_refund(entry) {
        RefundAdded::New => Ok(Asked { order, booked: Some(key) }),
        RefundAdded::Same(_) => Ok(Asked { order, booked: None }),
        RefundAdded::Differs => Err(Refusal::business("ACQ.DISCORDANT_REPEAT_REQUEST", "请求信息不一致")),
        RefundAdded::NotPaid => Err(trade::not_exist()),
        RefundAdded::TooMuch if trade::fully_refunded(book, &order) => {
            Err(Refusal::business("ACQ.TRADE_HAS_CLOSE", "交易已经关闭"))
        }
        RefundAdded::TooMuch => Err(Refusal::business("ACQ.REASON_TRADE_REFUND_FEE_ERR", "退款金额超限")),
    }
}

/// Books the refund of a whole trade that a cancel asked for.
pub(crate) fn of_cancel(book: &mut Book, order: &Order, dice: &Dice, now: i64) -> Option<RefundKey> {
    let rest = order.payment.as_ref()?.amount.checked_sub(book.refunded(&order.key))?;
    let entry = entry(order, ("cancel", rest), "cancel", (dice, now));
    let key = entry.key.clone();
    matches!(book.add_refund(entry), RefundAdded::New).then_some(key)
}

/// The answer to a refund call.
pub(crate) fn answer(book: &Book, asked: &Asked, moved: bool, now: i64) -> Node {
    Node::success()
        .with("buyer_logon_id", trade::BUYER_LOGON)
        .with("buyer_user_id", asked.order.field("buyer_id"))
        .with("fund_change", if moved { "Y" } else { "N" })
        .with("gmt_refund_pay", if moved { beijing::dashed(now) } else { String::new() })
        .with("out_trade_no", asked.order.key.order_no.as_str())
        .with("refund_fee", yuan(trade::returned(book, &asked.order.key)))
        .with("send_back_fee", "0.00")
        .with("trade_no", asked.order.field("trade_no"))
}

/// `alipay.trade.fastpay.refund.query`.
pub(crate) fn query(book: &Book, call: &Call, lagging: bool) -> Result<Node, Refusal> {
    let biz = Biz::of(&call.biz, &["out_trade_no", "trade_no", "out_request_no", "query_options", "org_pid"])?;
    let request_no = biz.number("out_request_no")?.ok_or_else(|| biz::wrong("out_request_no"))?;
    let order = trade::find(book, call, &biz)?;
    let refund = book.refund(&key(order, request_no)).filter(|_| !lagging);
    let Some(refund) = refund.filter(|refund| refund.state == RefundState::Success) else {
        return Ok(Node::success());
    };
    let paid_at = refund.ended_at.filter(|_| biz.lists("query_options", "gmt_refund_pay"));
    Ok(Node::success()
        .with("out_request_no", request_no)
        .with("out_trade_no", order.key.order_no.as_str())
        .with("gmt_refund_pay", paid_at.map(beijing::dashed).unwrap_or_default())
        .with("refund_amount", yuan(refund.amount))
        .with("refund_reason", refund.fields.get("reason").map_or("", String::as_str))
        .with("refund_status", "REFUND_SUCCESS")
        .with("total_amount", yuan(order.payment.as_ref().map_or(order.amount, |paid| paid.amount)))
        .with("trade_no", order.field("trade_no")))
}

/// `out_request_no` of a refund.
pub(crate) fn request_no(refund: &Refund) -> &str {
    let number = refund.key.refund_no.as_str();
    number.split_once('/').map_or(number, |(_, request_no)| request_no)
}

const REFUND_KEYS: [&str; 12] = [
    "out_trade_no",
    "trade_no",
    "refund_amount",
    "out_request_no",
    "refund_reason",
    "query_options",
    "refund_goods_detail",
    "refund_royalty_parameters",
    "operator_id",
    "store_id",
    "terminal_id",
    "related_settle_confirm_no",
];

fn key(order: &Order, request_no: &str) -> RefundKey {
    RefundKey {
        provider: ProviderName::Alipay,
        account: order.key.account.clone(),
        refund_no: format!("{}/{request_no}", order.key.order_no),
    }
}

fn entry(order: &Order, (request_no, amount): (&str, i64), reason: &str, (dice, now): (&Dice, i64)) -> Refund {
    Refund {
        key: key(order, request_no),
        order: order.key.clone(),
        refund_trade_no: dice.digits(28),
        amount,
        notify_url: order.notify_url.clone(),
        state: RefundState::Pending,
        created_at: now,
        ended_at: None,
        fingerprint: amount.to_string(),
        fields: BTreeMap::from([("reason".to_owned(), reason.to_owned())]),
    }
}
