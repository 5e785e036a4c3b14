//! UnionPay's gateway (全渠道, version 5.1.0): QR codes, browser forms and app payments.
//!
//! Invariant: an order is orderId + txnTime + merId and cannot be closed; it ends at its payTimeout, and a query
//! one minute later is final. Every answer and notify is verified below the configured certificates or by the
//! configured key, never by what the message brings along.
//! Facts and their sections are in README.md; `wire` knows the forms, `sign` and `certificates` the signatures,
//! `codes` the answer codes, `calls` writes, `answers` and `callback` read, `statement` does both for the daily list.
//! Nothing here sends or reads a clock.

mod answers;
mod callback;
mod calls;
mod certificates;
mod codes;
mod options;
mod sign;
mod statement;
mod wire;

#[cfg(test)]
pub(crate) use testing::golden;

use options::Options;
use sign::Keys;
use tongdao_core::day::Day;
use tongdao_core::ids::ProviderId;
use tongdao_core::provider::{
    AttemptOrder, BuildInput, CallbackRequest, Capabilities, CertificateEnd, CodeLife, HttpCall, HttpReply, Next,
    Nonce, Notice, OptionFault, Outcome, Provider, RefundOrder, RefundOutcome, Registration, Rejected, Scene, Seal,
    StatementBytes, StatementFault, StatementLine, StatementOutcome, StatementTerms, StatementTotals, Unsupported,
    Verdict,
};
use tongdao_core::time::UnixMillis;

pub(crate) const REGISTRATION: Registration = Registration { id: "unionpay", name_zh: "云闪付", build };

fn build(input: BuildInput<'_>) -> Result<Box<dyn Provider>, Vec<OptionFault>> {
    Ok(Box::new(UnionPay::new(options::read(input)?)?))
}

/// One merchant number at UnionPay.
#[derive(Debug)]
struct UnionPay {
    id: ProviderId,
    options: Options,
}

impl UnionPay {
    fn new(options: Options) -> Result<Self, Vec<OptionFault>> {
        let id = REGISTRATION.id.parse().map_err(|_| Vec::new())?;
        Ok(Self { id, options })
    }
}

const CAPABILITIES: Capabilities = Capabilities {
    scenes: &[Scene::Qr, Scene::H5, Scene::Web, Scene::App],
    closes: false,
    findable_before_scan: false,
    first_query_ms,
    end_margin_ms: answers::END_MARGIN_MS,
};

/// A front trade is asked for from 30 s on; a scanned code may be paid in seconds.
const fn first_query_ms(scene: Scene) -> i64 {
    match scene {
        Scene::Qr => 5_000,
        Scene::H5 | Scene::Web | Scene::Jsapi | Scene::App => 30_000,
    }
}

impl Provider for UnionPay {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn account(&self) -> &str {
        &self.options.mer_id
    }

    fn code_life(&self, scene: Scene, now: UnixMillis, expires_at: UnixMillis) -> CodeLife {
        self.life(scene, now, expires_at)
    }

    fn create(&self, order: &AttemptOrder, now: UnixMillis, _nonce: Nonce) -> Result<Next<Outcome>, Unsupported> {
        self.write_create(order, now)
    }

    fn read_create(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Next<Outcome> {
        Next::Done(self.hear_create(asked, reply, now))
    }

    fn query(&self, order: &AttemptOrder, _now: UnixMillis, _nonce: Nonce) -> Result<Next<Outcome>, Unsupported> {
        self.write_query(&order.provider_order_no, order.created_at).map(Next::Call)
    }

    fn read_query(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Next<Outcome> {
        Next::Done(self.hear_query(asked, reply, now))
    }

    fn close(&self, _order: &AttemptOrder, _now: UnixMillis, _nonce: Nonce) -> Result<Next<Outcome>, Unsupported> {
        Err(Unsupported("UnionPay has no close: an order ends at its payTimeout"))
    }

    fn read_close(&self, _asked: &AttemptOrder, _reply: &HttpReply, _now: UnixMillis) -> Next<Outcome> {
        Next::Done(Outcome::Pending { pay: None, closable: false })
    }

    fn refund(&self, order: &RefundOrder, _now: UnixMillis, _nonce: Nonce) -> Result<Next<RefundOutcome>, Unsupported> {
        self.write_refund(order).map(Next::Call)
    }

    fn read_refund(&self, asked: &RefundOrder, reply: &HttpReply, now: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(self.hear_refund(asked, reply, now))
    }

    fn refund_query(
        &self,
        order: &RefundOrder,
        _now: UnixMillis,
        _nonce: Nonce,
    ) -> Result<Next<RefundOutcome>, Unsupported> {
        self.write_query(&order.provider_refund_no, order.created_at).map(Next::Call)
    }

    fn read_refund_query(&self, asked: &RefundOrder, reply: &HttpReply, now: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(self.hear_refund_query(asked, reply, now))
    }

    /// None without `file_url`: the account has then nowhere to ask.
    fn statement_terms(&self) -> Option<StatementTerms> {
        self.options.file_url.as_ref().map(|_| statement::TERMS)
    }

    fn statement(&self, day: Day, now: UnixMillis, _nonce: Nonce) -> Result<HttpCall, Unsupported> {
        self.write_statement(day, now)
    }

    fn read_statement(&self, day: Day, reply: &HttpReply, now: UnixMillis, _nonce: Nonce) -> StatementOutcome {
        self.hear_statement(day, reply, now)
    }

    fn read_statement_file(
        &self,
        day: Day,
        file: &mut dyn StatementBytes,
        _seal: Option<&Seal>,
        each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
    ) -> Result<StatementTotals, StatementFault> {
        statement::read_file(&statement::Expected { mer_id: &self.options.mer_id, day }, file, each)
    }

    fn read_callback(&self, request: &CallbackRequest, now: UnixMillis) -> Result<Notice, Rejected> {
        self.hear_callback(request, now)
    }

    fn callback_reply(&self, verdict: Verdict) -> HttpReply {
        callback::reply(verdict)
    }

    fn certificates(&self) -> Vec<CertificateEnd> {
        match &self.options.keys {
            Keys::Certificate { not_after, trust, .. } => {
                let merchant = not_after.map(|not_after| CertificateEnd { used_for: "merchant", not_after });
                trust.ends().into_iter().chain(merchant).collect()
            }
            Keys::Keyed { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod testing;
