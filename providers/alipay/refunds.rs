//! Refunds: asked for under our own number, and believed only when Alipay says that money moved (section 7).
//!
//! Invariant: a number and its sum never change, so asking again moves nothing twice; `refund_fee` is the trade's
//! cumulative sum and never taken for this refund's; an answer without a believable signature refuses nothing.
//! It knows nothing of signatures, keys or HTTP.

use super::calls::{believed, clean, failure, is_about, json, meaning_of, signing_failure, unlike};
use super::codes::{Meaning, Operation};
use super::options::Options;
use super::wire::{self, Node, Request};
use serde::Serialize;
use tongdao_core::money::Money;
use tongdao_core::provider::{ErrorClass, HttpReply, Next, RefundOrder, RefundOutcome};
use tongdao_core::time::UnixMillis;

/// Writes a refund; the same number and sum again move nothing twice.
pub(super) fn write(options: &Options, order: &RefundOrder, now: UnixMillis) -> Next<RefundOutcome> {
    let content = RefundContent {
        out_trade_no: &order.provider_order_no,
        refund_amount: order.amount.yuan(),
        out_request_no: &order.provider_refund_no,
        refund_reason: clean(&order.reason, ""),
    };
    ask(options, REFUND, json(&content), now)
}

/// Reads a refund's answer. `refund_fee` is the trade's cumulative sum and says nothing of this refund alone.
pub(super) fn read(options: &Options, asked: &RefundOrder, reply: &HttpReply) -> RefundOutcome {
    let node = match believed(options, REFUND, reply) {
        Ok(node) => node,
        Err(failure) => return RefundOutcome::Unknown(failure),
    };
    match meaning_of(Operation::Refund, &node) {
        Meaning::Success if !is_about(&node, "out_trade_no", &asked.provider_order_no) => {
            RefundOutcome::Unknown(unlike())
        }
        Meaning::Success if moved(&node, asked) => RefundOutcome::Succeeded { amount: None },
        Meaning::Success => RefundOutcome::Pending,
        Meaning::Failed(class @ (ErrorClass::Declined | ErrorClass::Rejected)) => {
            RefundOutcome::Refused(failure(class, &node))
        }
        Meaning::NoTrade => RefundOutcome::Refused(failure(ErrorClass::Rejected, &node)),
        Meaning::Failed(class) | Meaning::Later(class) => RefundOutcome::Later(failure(class, &node)),
        Meaning::Elsewhere | Meaning::Unknown => RefundOutcome::Unknown(failure(ErrorClass::Unknown, &node)),
    }
}

/// Writes a query of one refund by our number.
pub(super) fn write_query(options: &Options, order: &RefundOrder, now: UnixMillis) -> Next<RefundOutcome> {
    let content =
        RefundQueryContent { out_trade_no: &order.provider_order_no, out_request_no: &order.provider_refund_no };
    ask(options, REFUND_QUERY, json(&content), now)
}

/// Reads a refund query's answer. Without a status Alipay does not have the refund, whatever its code says.
pub(super) fn read_query(options: &Options, asked: &RefundOrder, reply: &HttpReply) -> RefundOutcome {
    let node = match believed(options, REFUND_QUERY, reply) {
        Ok(node) => node,
        Err(failure) => return RefundOutcome::Unknown(failure),
    };
    match meaning_of(Operation::RefundQuery, &node) {
        Meaning::Success => refund_status(&node, asked),
        Meaning::NoTrade => RefundOutcome::Absent,
        Meaning::Failed(class) | Meaning::Later(class) => RefundOutcome::Unknown(failure(class, &node)),
        Meaning::Elsewhere | Meaning::Unknown => RefundOutcome::Unknown(failure(ErrorClass::Unknown, &node)),
    }
}

const REFUND: &str = "alipay.trade.refund";
const REFUND_QUERY: &str = "alipay.trade.fastpay.refund.query";

#[derive(Serialize)]
struct RefundContent<'a> {
    out_trade_no: &'a str,
    refund_amount: String,
    out_request_no: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    refund_reason: String,
}

#[derive(Serialize)]
struct RefundQueryContent<'a> {
    out_trade_no: &'a str,
    out_request_no: &'a str,
}

fn ask(options: &Options, method: &str, biz_content: String, now: UnixMillis) -> Next<RefundOutcome> {
    let request = Request { method, biz_content, notify_url: None, return_url: None };
    wire::call(options, &request, now)
        .map_or_else(|_| Next::Done(RefundOutcome::Unknown(signing_failure())), Next::Call)
}

/// Whether this call's refund went through: the gateway says that it moved money, and its cumulative sum agrees.
fn moved(node: &Node, asked: &RefundOrder) -> bool {
    let agrees = match node.text("refund_fee").map(Money::read_yuan) {
        Some(Ok(cumulative)) => cumulative.amount >= asked.amount.amount,
        Some(Err(_)) => false,
        None => true,
    };
    node.text("fund_change") == Some("Y") && agrees
}

fn refund_status(node: &Node, asked: &RefundOrder) -> RefundOutcome {
    let is_ours = is_about(node, "out_request_no", &asked.provider_refund_no)
        && is_about(node, "out_trade_no", &asked.provider_order_no);
    match (node.text("refund_status"), is_ours) {
        (None, _) => RefundOutcome::Absent,
        (Some(_), false) => RefundOutcome::Unknown(unlike()),
        (Some("REFUND_SUCCESS"), true) => match node.text("refund_amount") {
            None => RefundOutcome::Succeeded { amount: None },
            Some(text) => match Money::read_yuan(text) {
                Ok(amount) => RefundOutcome::Succeeded { amount: Some(amount) },
                Err(_) => RefundOutcome::Unknown(unlike()),
            },
        },
        (Some(_), true) => RefundOutcome::Pending,
    }
}

#[cfg(test)]
mod tests;
