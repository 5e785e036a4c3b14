//! Alipay's notices (sections 5 and 10): a signed form, believed or not, and what it says.
//!
//! Invariant: the signature holds over what was received, the message is for this app and this payee, and it reads
//! one way only, before any of it becomes a `Notice`. A payment is a trade notice of a paid status without a trace
//! of a refund. What arrives in the browser's return page is never read here.

use super::calls::stated_sum;
use super::options::Options;
use super::sign::{self, Rule, Verified};
use super::wire::read_beijing;
use crate::shared::form;
use std::collections::BTreeMap;
use tongdao_core::money::Money;
use tongdao_core::provider::{
    CallbackRequest, HttpReply, Notice, NoticeKind, Payment, RefundNotice, RefundOutcome, Rejected, Verdict,
};

/// Verifies and reads a notice.
pub(super) fn read(options: &Options, request: &CallbackRequest) -> Result<Notice, Rejected> {
    let fields = form::decode(&request.body).map_err(|_| Rejected::Malformed)?;
    let message = Message(&fields);
    message.verify(options)?;
    message.check_text()?;
    if message.text("app_id") != Some(&options.app_id) {
        return Err(Rejected::Foreign);
    }
    let Some("trade_status_sync") = message.text("notify_type") else {
        let status = message.text("notify_type").unwrap_or("no notify_type").to_owned();
        return Ok(Notice::verified(NoticeKind::Nothing { status }));
    };
    if message.text("seller_id") != Some(&options.seller_id) {
        return Err(Rejected::Foreign);
    }
    message.trade().map(Notice::verified)
}

/// The answer: exactly `success`, or `failure`, which has it sent again.
pub(super) fn reply(verdict: Verdict) -> HttpReply {
    let (status, body) = match verdict {
        Verdict::Accepted => (200, "success"),
        Verdict::Refused => (200, "failure"),
        Verdict::TryLater => (500, "failure"),
    };
    HttpReply::new(status, "text/plain;charset=utf-8", body)
}

struct Message<'a>(&'a BTreeMap<String, String>);

impl Message<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Trade notices are signed without `sign_type`, the app gateway's messages with it; pages of the documents
    /// differ on empty values, so both texts are tried.
    fn verify(&self, options: &Options) -> Result<(), Rejected> {
        let signature = self.text("sign").ok_or(Rejected::BadSignature)?;
        if self.text("sign_type").is_some_and(|named| named != "RSA2") {
            return Err(Rejected::BadSignature);
        }
        let rules: &[Rule] = match self.text("notify_type") {
            Some("trade_status_sync") => &[Rule::Trade, Rule::TradeWithoutEmpties],
            Some(_) | None => &[Rule::AppGateway, Rule::Trade, Rule::TradeWithoutEmpties],
        };
        let holds = |rule: &Rule| options.trust.verify(&sign::text(*rule, self.0), signature) == Verified::Holds;
        if rules.iter().any(holds) { Ok(()) } else { Err(Rejected::BadSignature) }
    }

    /// Names and values go raw into the signed text, so a name that holds `=` or `&`, or a value that holds `&name=`,
    /// could have been several fields when it was signed. Alipay's names are plain and our subjects cannot hold one;
    /// such a message has two readings and is refused.
    fn check_text(&self) -> Result<(), Rejected> {
        let is_two_fields = |value: &str| value.split_once('&').is_some_and(|(_, rest)| rest.contains('='));
        let is_bad = |value: &String| value.chars().any(char::is_control) || is_two_fields(value);
        let is_utf8 = self.text("charset").is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"));
        let is_plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_one_text = self.0.keys().all(is_plain) && !self.0.values().any(is_bad);
        if is_utf8 && is_one_text { Ok(()) } else { Err(Rejected::Malformed) }
    }

    fn trade(&self) -> Result<NoticeKind, Rejected> {
        let status = self.text("trade_status").ok_or(Rejected::Malformed)?;
        match status {
            "TRADE_SUCCESS" | "TRADE_FINISHED" if self.is_refund() => Ok(self.refund()),
            "TRADE_SUCCESS" | "TRADE_FINISHED" => self.payment().map(NoticeKind::Payment),
            "TRADE_CLOSED" if self.is_refund() => Ok(self.refund()),
            other => Ok(NoticeKind::Nothing { status: other.to_owned() }),
        }
    }

    /// A refund's notice says `TRADE_SUCCESS` as a payment's does; only these fields tell them apart.
    fn is_refund(&self) -> bool {
        let refunds = |sum: &str| Money::read_yuan(sum) != Ok(Money::cny(0));
        self.text("gmt_refund").is_some()
            || self.text("out_biz_no").is_some()
            || self.text("refund_fee").is_some_and(refunds)
    }

    /// `refund_fee` is the trade's cumulative sum and no proof of this refund: a query decides.
    fn refund(&self) -> NoticeKind {
        let Some(refund_no) = self.text("out_biz_no") else {
            return NoticeKind::Nothing { status: "refund without out_biz_no".to_owned() };
        };
        NoticeKind::Refund(RefundNotice {
            provider_refund_no: refund_no.to_owned(),
            provider_order_no: self.text("out_trade_no").map(str::to_owned),
            amount: None,
            outcome: RefundOutcome::Pending,
        })
    }

    fn payment(&self) -> Result<Payment, Rejected> {
        let required = |key| self.text(key).map(str::to_owned).ok_or(Rejected::Malformed);
        Ok(Payment {
            provider_order_no: required("out_trade_no")?,
            provider_trade_no: required("trade_no")?,
            amount: stated_sum(self.text("total_amount"), self.text("trans_currency")).ok_or(Rejected::Malformed)?,
            paid_at: self.text("gmt_payment").and_then(read_beijing),
            settled_on: None,
            refunded: 0,
        })
    }
}

#[cfg(test)]
mod tests;
