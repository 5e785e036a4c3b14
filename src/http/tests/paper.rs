//! A provider of paper: it answers without a call, as its section says, and believes a callback that says `believe me`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tongdao_core::ids::ProviderId;
use tongdao_core::money::Money;
use tongdao_core::provider::{
    AttemptOrder, BuildInput, CallbackRequest, Capabilities, CodeLife, ErrorClass, Failure, HttpReply, Next, Nonce,
    Notice, NoticeKind, OptionFault, Outcome, Pay, PayKind, Payment, Provider, RefundOrder, RefundOutcome,
    Registration, Rejected, Scene, Unsupported, Verdict,
};
use tongdao_core::time::UnixMillis;

pub(super) const REGISTRY: &[Registration] = &[Registration { id: "paper", name_zh: "纸", build }];

/// Orders that were closed or paid, over all tests: numbers are random, so none meets another.
static ENDED: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());

struct Paper {
    id: ProviderId,
    account: String,
    mode: String,
}

fn build(input: BuildInput<'_>) -> Result<Box<dyn Provider>, Vec<OptionFault>> {
    let text = |key: &str| input.section[key].as_str().unwrap_or_default().to_owned();
    Ok(Box::new(Paper { id: "paper".parse().unwrap(), account: text("account"), mode: text("mode") }))
}

const CAPABILITIES: Capabilities = Capabilities {
    scenes: &[Scene::Qr, Scene::H5, Scene::Web],
    closes: true,
    findable_before_scan: true,
    first_query_ms: |_| 5000,
    end_margin_ms: 30_000,
};

fn pending(pay: Option<Pay>) -> Outcome {
    Outcome::Pending { pay, closable: true }
}

fn payment(order: &AttemptOrder, trade_no: &str) -> Payment {
    Payment {
        provider_order_no: order.provider_order_no.clone(),
        provider_trade_no: trade_no.to_owned(),
        amount: order.amount,
        paid_at: None,
        settled_on: None,
        refunded: 0,
    }
}

impl Provider for Paper {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }
    fn id(&self) -> &ProviderId {
        &self.id
    }
    fn account(&self) -> &str {
        &self.account
    }
    fn code_life(&self, _: Scene, _: UnixMillis, expires_at: UnixMillis) -> CodeLife {
        CodeLife { code_ends_at: expires_at, payable_until: expires_at }
    }
    fn create(&self, order: &AttemptOrder, _: UnixMillis, _: Nonce) -> Result<Next<Outcome>, Unsupported> {
        let no = |class, code: &str| Outcome::Failed(Failure::new(class, code, "the paper says no"));
        Ok(Next::Done(match self.mode.as_str() {
            "refuse" => no(ErrorClass::Declined, "NO"),
            "down" => no(ErrorClass::Unavailable, "DOWN"),
            _ => {
                let kind = PayKind::QrCode { url: format!("paper://pay/{}", order.provider_order_no) };
                pending(Some(Pay { kind, expires_at: order.life.code_ends_at }))
            }
        }))
    }
    fn read_create(&self, _: &AttemptOrder, _: &HttpReply, _: UnixMillis) -> Next<Outcome> {
        Next::Done(Outcome::Absent)
    }
    fn query(&self, order: &AttemptOrder, _: UnixMillis, _: Nonce) -> Result<Next<Outcome>, Unsupported> {
        let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner).get(&order.provider_order_no).copied();
        Ok(Next::Done(match ended {
            Some(true) => Outcome::Paid(payment(order, &format!("T{}", order.provider_order_no))),
            Some(false) => Outcome::Closed,
            None => pending(None),
        }))
    }
    fn read_query(&self, _: &AttemptOrder, _: &HttpReply, _: UnixMillis) -> Next<Outcome> {
        Next::Done(Outcome::Absent)
    }
    fn close(&self, order: &AttemptOrder, _: UnixMillis, _: Nonce) -> Result<Next<Outcome>, Unsupported> {
        let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
        ended.entry(order.provider_order_no.clone()).or_insert(false);
        Ok(Next::Done(pending(None)))
    }
    fn read_close(&self, _: &AttemptOrder, _: &HttpReply, _: UnixMillis) -> Next<Outcome> {
        Next::Done(Outcome::Absent)
    }
    fn refund(&self, _: &RefundOrder, _: UnixMillis, _: Nonce) -> Result<Next<RefundOutcome>, Unsupported> {
        Ok(Next::Done(RefundOutcome::Pending))
    }
    fn read_refund(&self, _: &RefundOrder, _: &HttpReply, _: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(RefundOutcome::Absent)
    }
    fn refund_query(&self, _: &RefundOrder, _: UnixMillis, _: Nonce) -> Result<Next<RefundOutcome>, Unsupported> {
        Ok(Next::Done(RefundOutcome::Pending))
    }
    fn read_refund_query(&self, _: &RefundOrder, _: &HttpReply, _: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(RefundOutcome::Absent)
    }
    fn read_callback(&self, request: &CallbackRequest, _: UnixMillis) -> Result<Notice, Rejected> {
        if request.query != "believe=me" {
            return Err(Rejected::BadSignature);
        }
        let text = String::from_utf8(request.body.clone()).map_err(|_| Rejected::Malformed)?;
        let (order_no, amount) = text.split_once(' ').ok_or(Rejected::Malformed)?;
        ENDED.lock().unwrap_or_else(PoisonError::into_inner).insert(order_no.to_owned(), true);
        Ok(Notice::verified(NoticeKind::Payment(Payment {
            provider_order_no: order_no.to_owned(),
            provider_trade_no: format!("T{order_no}"),
            amount: Money::cny(amount.parse().map_err(|_| Rejected::Malformed)?),
            paid_at: None,
            settled_on: None,
            refunded: 0,
        })))
    }
    fn callback_reply(&self, verdict: Verdict) -> HttpReply {
        match verdict {
            Verdict::Accepted => HttpReply::new(200, "text/plain", "taken"),
            Verdict::Refused => HttpReply::new(401, "text/plain", "refused"),
            Verdict::TryLater => HttpReply::new(500, "text/plain", "later"),
        }
    }
}
