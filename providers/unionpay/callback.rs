//! Reads UnionPay's back notifies (protocol notes, 10).
//!
//! Invariant: a notice comes only out of a body of version 5.1.0, signed by UnionPay with the configured method,
//! for this merchant. Only the body is read: parameters in the address are nobody's word. A refund's notify is
//! never a payment, and an undo or any other type is acknowledged without effect (attack 20).
//! It judges no amount and knows no order.

use super::UnionPay;
use super::answers::{query_id, stated_sum};
use super::codes::{Meaning, meaning};
use super::sign::Forged;
use super::wire::{Fields, read_form, read_settle_day, read_trace_time, read_txn_time};
use tongdao_core::provider::{
    CallbackRequest, HttpReply, Notice, NoticeKind, Payment, RefundNotice, RefundOutcome, Rejected, Verdict,
};
use tongdao_core::time::UnixMillis;

impl UnionPay {
    pub(super) fn hear_callback(&self, request: &CallbackRequest, now: UnixMillis) -> Result<Notice, Rejected> {
        if request.body.len() > BODY_BYTES_MAX {
            return Err(Rejected::Malformed);
        }
        let fields = read_form(&request.body).map_err(|_| Rejected::Malformed)?;
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        if field("version") != "5.1.0" || !field("encoding").eq_ignore_ascii_case("utf-8") {
            return Err(Rejected::Malformed);
        }
        self.options.keys.verify(&fields, now).map_err(|fault| match fault {
            Forged::Method | Forged::Unsigned | Forged::Certificate(_) | Forged::Signature => Rejected::BadSignature,
        })?;
        if field("merId") != self.options.mer_id {
            return Err(Rejected::Foreign);
        }
        let succeeded = meaning(field("respCode")) == Meaning::Success;
        let kind = match (field("txnType"), succeeded) {
            ("01", true) => payment(&fields).map(NoticeKind::Payment),
            ("04", true) => refund(&fields).map(NoticeKind::Refund),
            (txn_type, _) => Some(NoticeKind::Nothing { status: status(txn_type, field("respCode")) }),
        };
        kind.map(Notice::verified).ok_or(Rejected::Malformed)
    }
}

/// UnionPay looks at the status alone and repeats anything but 200.
pub(super) fn reply(verdict: Verdict) -> HttpReply {
    let (status, body) = match verdict {
        Verdict::Accepted => (200, "ok"),
        Verdict::Refused => (400, "refused"),
        Verdict::TryLater => (503, "later"),
    };
    HttpReply::new(status, "text/plain; charset=utf-8", body)
}

const BODY_BYTES_MAX: usize = 65_536;

fn payment(fields: &Fields) -> Option<Payment> {
    let made_at = read_txn_time(fields.get("txnTime")?)?;
    Some(Payment {
        provider_order_no: order_no(fields.get("orderId")?)?,
        provider_trade_no: query_id(fields)?.to_owned(),
        amount: stated_sum(fields)?,
        paid_at: fields.get("traceTime").and_then(|text| read_trace_time(text, made_at)),
        settled_on: fields.get("settleDate").and_then(|text| read_settle_day(text, made_at)),
        refunded: 0,
    })
}

fn refund(fields: &Fields) -> Option<RefundNotice> {
    let amount = Some(stated_sum(fields)?);
    Some(RefundNotice {
        provider_refund_no: order_no(fields.get("orderId")?)?,
        provider_order_no: fields.get("origOrderId").and_then(|no| order_no(no)),
        amount,
        outcome: RefundOutcome::Succeeded { amount },
    })
}

fn order_no(text: &str) -> Option<String> {
    let plain = (8..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| text.to_owned())
}

fn status(txn_type: &str, code: &str) -> String {
    let short = |text: &str| text.chars().take(8).collect::<String>();
    format!("txnType {} respCode {}", short(txn_type), short(code))
}

#[cfg(test)]
mod tests;
