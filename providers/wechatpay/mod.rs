//! WeChat Pay (微信支付), APIv3, direct merchants: Native, H5, JSAPI and app payments, refunds, callbacks.
//!
//! Invariant: nothing is believed that is not signed with a key known here, read over the raw bytes, and about this
//! very account. An order's end is a query's `CLOSED` and nothing else. The protocol's facts, states and sources are
//! in the README beside this file. It knows no charge, no store and no clock.

mod callback;
mod calls;
mod codes;
mod keys;
mod options;
mod sign;
#[cfg(test)]
mod stage;
mod statement;
mod wire;

#[cfg(test)]
pub(crate) use stage::golden;

use keys::Keys;
use options::Options;
use tongdao_core::day::Day;
use tongdao_core::ids::ProviderId;
use tongdao_core::provider::{
    AttemptOrder, BuildInput, CallbackRequest, Capabilities, CertificateEnd, CodeLife, HttpCall, HttpReply, Next,
    Nonce, Notice, OptionFault, Outcome, Provider, RefundOrder, RefundOutcome, RefundRules, Registration, Rejected,
    Scene, Seal, StatementBytes, StatementFault, StatementLine, StatementOutcome, StatementTerms, StatementTotals,
    Unsupported, Verdict,
};
use tongdao_core::time::UnixMillis;

/// The registry's entry.
pub(crate) const REGISTRATION: Registration = Registration { id: ID, name_zh: "微信支付", build };

const ID: &str = "wechatpay";

static CAPABILITIES: Capabilities = Capabilities {
    scenes: &[Scene::Qr, Scene::H5, Scene::Jsapi, Scene::App],
    closes: true,
    findable_before_scan: true,
    first_query_ms,
    // A payment begun just before the end may settle a little after it (README 4).
    end_margin_ms: 30_000,
};

/// One merchant account at WeChat Pay.
struct WechatPay {
    id: ProviderId,
    options: Options,
    keys: Keys,
}

fn build(input: BuildInput<'_>) -> Result<Box<dyn Provider>, Vec<OptionFault>> {
    WechatPay::read(input).map(|account| -> Box<dyn Provider> { Box::new(account) })
}

impl WechatPay {
    fn read(input: BuildInput<'_>) -> Result<Self, Vec<OptionFault>> {
        let (options, keys) = options::read(input)?;
        let fault = |_| vec![OptionFault { path: String::new(), message: format!("{ID} is not a provider's name") }];
        Ok(Self { id: ID.parse().map_err(fault)?, options, keys })
    }
}

impl std::fmt::Debug for WechatPay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WechatPay(mch_id {}, app_id {})", self.options.mch_id, self.options.app_id)
    }
}

const fn first_query_ms(_scene: Scene) -> i64 {
    5_000
}

impl Provider for WechatPay {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn account(&self) -> &str {
        &self.options.mch_id
    }

    fn code_life(&self, scene: Scene, now: UnixMillis, expires_at: UnixMillis) -> CodeLife {
        // Ends are whole seconds; an order lives a minute at least and 7 days at most (README 1, 4).
        let asked = UnixMillis(0).plus_s(expires_at.plus_ms(999).as_secs());
        let payable_until = asked.max(now.plus_s(60)).min(now.plus_ms(calls::PAYABLE_MS_MAX));
        let code_s = match scene {
            Scene::H5 => 300,
            Scene::Qr | Scene::Web | Scene::Jsapi | Scene::App => 7_200,
        };
        CodeLife { code_ends_at: now.plus_s(code_s).min(payable_until), payable_until }
    }

    fn create(&self, order: &AttemptOrder, now: UnixMillis, nonce: Nonce) -> Result<Next<Outcome>, Unsupported> {
        self.write_create(order, now, &nonce).map(Next::Call)
    }

    fn read_create(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Next<Outcome> {
        Next::Done(self.judge_create(asked, reply, now))
    }

    fn query(&self, order: &AttemptOrder, now: UnixMillis, nonce: Nonce) -> Result<Next<Outcome>, Unsupported> {
        self.write_query(order, now, &nonce).map(Next::Call)
    }

    fn read_query(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Next<Outcome> {
        Next::Done(self.judge_query(asked, reply, now))
    }

    fn close(&self, order: &AttemptOrder, now: UnixMillis, nonce: Nonce) -> Result<Next<Outcome>, Unsupported> {
        self.write_close(order, now, &nonce).map(Next::Call)
    }

    fn read_close(&self, _asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Next<Outcome> {
        Next::Done(self.judge_close(reply, now))
    }

    fn refund_rules(&self) -> RefundRules {
        // README: at least a minute between two refunds of an order, at most 50 of them.
        RefundRules { apart_ms: 60_000, ask_after_ms: 0, parts_max: Some(50) }
    }

    fn refund(&self, order: &RefundOrder, now: UnixMillis, nonce: Nonce) -> Result<Next<RefundOutcome>, Unsupported> {
        self.write_refund(order, now, &nonce).map(Next::Call)
    }

    fn read_refund(&self, asked: &RefundOrder, reply: &HttpReply, now: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(self.judge_refund(asked, reply, now))
    }

    fn refund_query(
        &self,
        order: &RefundOrder,
        now: UnixMillis,
        nonce: Nonce,
    ) -> Result<Next<RefundOutcome>, Unsupported> {
        self.write_refund_query(order, now, &nonce).map(Next::Call)
    }

    fn read_refund_query(&self, asked: &RefundOrder, reply: &HttpReply, now: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(self.judge_refund_query(asked, reply, now))
    }

    fn statement_terms(&self) -> Option<StatementTerms> {
        Some(statement::TERMS)
    }

    fn statement(&self, day: Day, now: UnixMillis, nonce: Nonce) -> Result<HttpCall, Unsupported> {
        self.write_statement(day, now, &nonce)
    }

    fn read_statement(&self, _day: Day, reply: &HttpReply, now: UnixMillis, nonce: Nonce) -> StatementOutcome {
        self.judge_statement(reply, now, &nonce)
    }

    fn read_statement_file(
        &self,
        day: Day,
        file: &mut dyn StatementBytes,
        seal: Option<&Seal>,
        each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
    ) -> Result<StatementTotals, StatementFault> {
        statement::read_file(&statement::Expected { mch_id: &self.options.mch_id, day }, file, seal, each)
    }

    fn read_callback(&self, request: &CallbackRequest, now: UnixMillis) -> Result<Notice, Rejected> {
        self.judge_callback(request, now)
    }

    fn callback_reply(&self, verdict: Verdict) -> HttpReply {
        callback::reply(verdict)
    }

    fn fetch_keys(&self, now: UnixMillis, nonce: Nonce, asked: bool) -> Option<HttpCall> {
        if self.keys.starts_download(now, asked) { self.write_certificates(now, &nonce) } else { None }
    }

    fn read_keys(&self, reply: &HttpReply, now: UnixMillis) -> Result<usize, String> {
        let adopted = self.keys.adopt(reply, now, self.options.api_v3_key.bytes());
        adopted.map_err(|fault| fault.to_string())
    }

    fn certificates(&self) -> Vec<CertificateEnd> {
        self.keys.ends()
    }
}
