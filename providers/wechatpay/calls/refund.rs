//! Refunds and their queries (README, section 1).
//!
//! Invariant: an acceptance is never a refund, the number never changes, and what an answer says counts only when
//! it is about this very refund and payment. It sends nothing.

use super::super::{WechatPay, codes, wire};
use super::{doubt, fen, is_number, is_success, money, notify_url, order_no, text};
use tongdao_core::provider::{
    ErrorClass, Failure, HttpCall, HttpReply, Nonce, RefundOrder, RefundOutcome, Unsupported,
};
use tongdao_core::time::UnixMillis;

impl WechatPay {
    pub(in super::super) fn write_refund(
        &self,
        order: &RefundOrder,
        now: UnixMillis,
        nonce: &Nonce,
    ) -> Result<HttpCall, Unsupported> {
        // Always by our own number: the other may become known between two tries, which must be identical.
        let body = wire::Refund {
            out_trade_no: order_no(&order.provider_order_no)?,
            out_refund_no: refund_no(&order.provider_refund_no)?,
            reason: text::reason(&order.reason),
            notify_url: notify_url(&order.callback_url)?,
            amount: wire::RefundAmount { refund: fen(order.amount)?, total: fen(order.total)?, currency: "CNY" },
        };
        self.post("/v3/refund/domestic/refunds", &body, now, nonce)
    }

    pub(in super::super) fn judge_refund(
        &self,
        asked: &RefundOrder,
        reply: &HttpReply,
        now: UnixMillis,
    ) -> RefundOutcome {
        if is_success(reply) { self.judge_refunded(asked, reply, now) } else { codes::refund(reply) }
    }

    pub(in super::super) fn write_refund_query(
        &self,
        order: &RefundOrder,
        now: UnixMillis,
        nonce: &Nonce,
    ) -> Result<HttpCall, Unsupported> {
        let target = format!("/v3/refund/domestic/refunds/{}", refund_no(&order.provider_refund_no)?);
        self.call(&target, None, now, nonce)
    }

    pub(in super::super) fn judge_refund_query(
        &self,
        asked: &RefundOrder,
        reply: &HttpReply,
        now: UnixMillis,
    ) -> RefundOutcome {
        if is_success(reply) { self.judge_refunded(asked, reply, now) } else { codes::refund_query(reply) }
    }

    fn judge_refunded(&self, asked: &RefundOrder, reply: &HttpReply, now: UnixMillis) -> RefundOutcome {
        let refunded: wire::Refunded = match self.signed_body(reply, now) {
            Ok(refunded) => refunded,
            Err(failure) => return RefundOutcome::Unknown(failure),
        };
        let other_trade = match (&refunded.transaction_id, &asked.provider_trade_no) {
            (Some(theirs), Some(ours)) => theirs != ours,
            (_, _) => false,
        };
        if other_trade
            || refunded.out_refund_no != asked.provider_refund_no
            || refunded.out_trade_no != asked.provider_order_no
        {
            return RefundOutcome::Unknown(doubt("foreign_answer", "the answer is about another refund or payment"));
        }
        refund_outcome(&refunded.status, refunded.amount.as_ref())
    }
}

/// What a refund's word means, in answers and callbacks alike.
pub(in super::super) fn refund_outcome(status: &str, amount: Option<&wire::RefundedAmount>) -> RefundOutcome {
    let failure = |class, detail| Failure::new(class, status, detail);
    match status {
        "SUCCESS" => match amount.map(|amount| money(amount.refund, amount.currency.as_deref())) {
            Some(None) => RefundOutcome::Unknown(doubt("unreadable", "the refund's amount is not an amount")),
            stated => RefundOutcome::Succeeded { amount: stated.flatten() },
        },
        "PROCESSING" => RefundOutcome::Pending,
        "ABNORMAL" => RefundOutcome::Stuck(failure(
            ErrorClass::Declined,
            "the payer's account does not take the money; settle it in the merchant platform",
        )),
        "CLOSED" => RefundOutcome::Ended(failure(ErrorClass::Declined, "the refund was closed; nothing moved")),
        _ => RefundOutcome::Unknown(doubt("unknown_state", "the refund is in a state that is not documented")),
    }
}

fn refund_no(number: &str) -> Result<&str, Unsupported> {
    let holds = (1..=64).contains(&number.len()) && is_number(number);
    if holds { Ok(number) } else { Err(Unsupported("the refund number is not 1 to 64 letters and digits")) }
}
