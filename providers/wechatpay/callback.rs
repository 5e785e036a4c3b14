//! A callback of WeChat Pay: verified, opened, read (README, section 6). Only here does a notice come to be.
//!
//! Invariant: in this order: headers, known key, signature over the raw body, JSON without double keys, decryption,
//! account, freshness. Nothing outside the encrypted resource is believed except the event's name, and the
//! resource's own words decide. A stale message is named stale only after its signature held. Every refusal is
//! answered alike. It knows no charge and no store.

use super::WechatPay;
use super::calls::{money, payment, refund_outcome};
use super::sign::{self, OpenFault, Seal};
use super::wire::{self, Envelope, RefundResource, Transaction};
use serde::Deserialize;
use tongdao_core::provider::{
    CallbackRequest, HttpReply, Notice, NoticeKind, RefundNotice, RefundOutcome, Rejected, Verdict,
};
use tongdao_core::time::UnixMillis;

/// What another event's resource says of whose it is.
#[derive(Deserialize)]
struct AnyResource {
    mchid: Option<String>,
    appid: Option<String>,
}

impl WechatPay {
    pub(super) fn judge_callback(&self, request: &CallbackRequest, now: UnixMillis) -> Result<Notice, Rejected> {
        let seal = Seal::read(|name| request.header(name)).ok_or(Rejected::BadSignature)?;
        let key = self.keys.find(seal.serial, now).ok_or(Rejected::UnknownKey)?;
        if !seal.holds(&key, &request.body) {
            return Err(Rejected::BadSignature);
        }
        let kind = self.open_event(&request.body)?;
        if !seal.is_fresh(now) {
            return Err(Rejected::Stale { provider_order_no: order_in(kind) });
        }
        Ok(Notice::verified(kind))
    }

    fn open_event(&self, body: &[u8]) -> Result<NoticeKind, Rejected> {
        let envelope: Envelope = wire::read(body).ok_or(Rejected::Malformed)?;
        let opened = sign::open(self.options.api_v3_key.bytes(), &envelope.resource);
        let plain = opened.map_err(|fault| match fault {
            OpenFault::Form => Rejected::Malformed,
            // Platform keys sign for every merchant: what our APIv3 key does not open is another merchant's.
            OpenFault::Tag => Rejected::Foreign,
        })?;
        let original = envelope.resource.original_type.as_deref().unwrap_or_default();
        match (envelope.event_type.as_str(), original) {
            ("TRANSACTION.SUCCESS", "transaction" | "") => self.read_payment(&plain),
            ("REFUND.SUCCESS" | "REFUND.ABNORMAL" | "REFUND.CLOSED", "refund" | "") => {
                self.read_refund_event(&envelope.event_type, &plain)
            }
            ("TRANSACTION.SUCCESS" | "REFUND.SUCCESS" | "REFUND.ABNORMAL" | "REFUND.CLOSED", _) => {
                Err(Rejected::Malformed)
            }
            (other, _) => self.read_other(other, &plain),
        }
    }

    fn read_payment(&self, plain: &[u8]) -> Result<NoticeKind, Rejected> {
        let transaction: Transaction = wire::read(plain).ok_or(Rejected::Malformed)?;
        if !self.is_ours(&transaction) {
            return Err(Rejected::Foreign);
        }
        match transaction.trade_state.as_str() {
            "SUCCESS" | "REFUND" => payment(&transaction).map(NoticeKind::Payment).ok_or(Rejected::Malformed),
            status => Ok(NoticeKind::Nothing { status: short(status) }),
        }
    }

    fn read_refund_event(&self, event_type: &str, plain: &[u8]) -> Result<NoticeKind, Rejected> {
        let refund: RefundResource = wire::read(plain).ok_or(Rejected::Malformed)?;
        self.check_account(Some(&refund.mchid), refund.appid.as_deref())?;
        let agrees = event_type.strip_prefix("REFUND.") == Some(refund.refund_status.as_str());
        let said = refund_outcome(&refund.refund_status, refund.amount.as_ref());
        let outcome = match said {
            RefundOutcome::Succeeded { .. } | RefundOutcome::Stuck(_) | RefundOutcome::Ended(_) if agrees => said,
            // Doubtful words, or an event's name that contradicts its content: a query decides.
            RefundOutcome::Succeeded { .. }
            | RefundOutcome::Stuck(_)
            | RefundOutcome::Ended(_)
            | RefundOutcome::Pending
            | RefundOutcome::Absent
            | RefundOutcome::Later(_)
            | RefundOutcome::Refused(_)
            | RefundOutcome::Unknown(_) => RefundOutcome::Pending,
        };
        let amount = refund.amount.as_ref().and_then(|amount| money(amount.refund, amount.currency.as_deref()));
        Ok(NoticeKind::Refund(RefundNotice {
            provider_refund_no: refund.out_refund_no,
            provider_order_no: Some(refund.out_trade_no),
            amount,
            outcome,
        }))
    }

    /// Another product's event: genuine, ours, and without effect here.
    fn read_other(&self, event_type: &str, plain: &[u8]) -> Result<NoticeKind, Rejected> {
        let resource: AnyResource = wire::read(plain).ok_or(Rejected::Malformed)?;
        self.check_account(resource.mchid.as_deref(), resource.appid.as_deref())?;
        Ok(NoticeKind::Nothing { status: short(event_type) })
    }

    /// What is stated must be ours; the APIv3 key that opened the resource vouches for what is not.
    fn check_account(&self, mchid: Option<&str>, appid: Option<&str>) -> Result<(), Rejected> {
        let ours = |stated: Option<&str>, own: &str| stated.is_none_or(|stated| stated == own);
        let both = ours(mchid, &self.options.mch_id) && ours(appid, &self.options.app_id);
        if both { Ok(()) } else { Err(Rejected::Foreign) }
    }
}

/// The answer in WeChat Pay's form (README 6): 204, or an error with its JSON body, the same for every cause.
pub(super) fn reply(verdict: Verdict) -> HttpReply {
    let status = match verdict {
        Verdict::Accepted => return HttpReply { status: 204, headers: Vec::new(), body: Vec::new() },
        Verdict::Refused => 401,
        Verdict::TryLater => 503,
    };
    HttpReply::new(status, "application/json", r#"{"code":"FAIL","message":"失败"}"#)
}

fn order_in(kind: NoticeKind) -> Option<String> {
    match kind {
        NoticeKind::Payment(payment) => Some(payment.provider_order_no),
        NoticeKind::Refund(refund) => refund.provider_order_no,
        NoticeKind::Nothing { .. } => None,
    }
}

fn short(word: &str) -> String {
    word.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
