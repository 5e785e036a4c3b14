//! Alipay's gateway (v2, RSA2): QR codes, pages and app payments of one app and payee.
//!
//! Invariant: only what Alipay signed moves anything, and a trade that does not exist yet (nobody has scanned) is
//! never taken for an order that is over. Each file has one job: `options` the section, `wire` the envelope, `sign`
//! the texts, `certificates` whose key, `calls` the
//! operations, `refunds` refunds, `callback` the notices, `statement` the daily list, `codes` the codes.
//! Nothing outside this folder knows a field of Alipay's.

mod callback;
mod calls;
mod certificates;
mod codes;
mod options;
mod refunds;
mod sign;
mod statement;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;
mod wire;

#[cfg(test)]
pub(crate) use testing::golden;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use options::Options;
use sign::Trust;
use tongdao_core::day::Day;
use tongdao_core::ids::ProviderId;
use tongdao_core::provider::{
    AttemptOrder, BuildInput, CallbackRequest, Capabilities, CertificateEnd, CodeLife, HttpCall, HttpReply, Next,
    Nonce, Notice, OptionFault, Outcome, Provider, RefundOrder, RefundOutcome, RefundRules, Registration, Rejected,
    Scene, Seal, StatementBytes, StatementFault, StatementLine, StatementOutcome, StatementTerms, StatementTotals,
    Unsupported, Verdict,
};
use tongdao_core::time::UnixMillis;
use wire::Request;

pub(crate) const REGISTRATION: Registration = Registration { id: "alipay", name_zh: "支付宝", build };

const CAPABILITIES: Capabilities = Capabilities {
    scenes: &[Scene::Qr, Scene::H5, Scene::Web, Scene::App],
    closes: true,
    findable_before_scan: false,
    first_query_ms: |_| 5_000,
    end_margin_ms: calls::END_MARGIN_MS,
};

const DOWNLOAD: &str = "alipay.open.app.alipaycert.download";

fn build(input: BuildInput<'_>) -> Result<Box<dyn Provider>, Vec<OptionFault>> {
    let options = options::read(input)?;
    let id = REGISTRATION.id.parse().map_err(|_| Vec::new())?;
    Ok(Box::new(Alipay { id, options }))
}

struct Alipay {
    id: ProviderId,
    options: Options,
}

impl Provider for Alipay {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn account(&self) -> &str {
        &self.options.app_id
    }

    fn code_life(&self, scene: Scene, now: UnixMillis, expires_at: UnixMillis) -> CodeLife {
        calls::code_life(self.options.qr_minutes, scene, now, expires_at)
    }

    fn create(&self, order: &AttemptOrder, now: UnixMillis, _: Nonce) -> Result<Next<Outcome>, Unsupported> {
        calls::create(&self.options, order, now)
    }

    fn read_create(&self, asked: &AttemptOrder, reply: &HttpReply, _: UnixMillis) -> Next<Outcome> {
        Next::Done(calls::read_create(&self.options, asked, reply))
    }

    fn query(&self, order: &AttemptOrder, now: UnixMillis, _: Nonce) -> Result<Next<Outcome>, Unsupported> {
        Ok(calls::query(&self.options, order, now))
    }

    fn read_query(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Next<Outcome> {
        Next::Done(calls::read_query(&self.options, asked, reply, now))
    }

    fn close(&self, order: &AttemptOrder, now: UnixMillis, _: Nonce) -> Result<Next<Outcome>, Unsupported> {
        Ok(calls::close(&self.options, order, now))
    }

    fn read_close(&self, asked: &AttemptOrder, reply: &HttpReply, _: UnixMillis) -> Next<Outcome> {
        Next::Done(calls::read_close(&self.options, asked, reply))
    }

    fn refund_rules(&self) -> RefundRules {
        // README: refunds of a trade 3 s apart, a query not before 10 s.
        RefundRules { apart_ms: 3_000, ask_after_ms: 10_000, parts_max: None }
    }

    fn refund(&self, order: &RefundOrder, now: UnixMillis, _: Nonce) -> Result<Next<RefundOutcome>, Unsupported> {
        Ok(refunds::write(&self.options, order, now))
    }

    fn read_refund(&self, asked: &RefundOrder, reply: &HttpReply, _: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(refunds::read(&self.options, asked, reply))
    }

    fn refund_query(&self, order: &RefundOrder, now: UnixMillis, _: Nonce) -> Result<Next<RefundOutcome>, Unsupported> {
        Ok(refunds::write_query(&self.options, order, now))
    }

    fn read_refund_query(&self, asked: &RefundOrder, reply: &HttpReply, _: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(refunds::read_query(&self.options, asked, reply))
    }

    fn statement_terms(&self) -> Option<StatementTerms> {
        Some(statement::TERMS)
    }

    fn statement(&self, day: Day, now: UnixMillis, _: Nonce) -> Result<HttpCall, Unsupported> {
        statement::write(&self.options, day, now)
    }

    fn read_statement(&self, _: Day, reply: &HttpReply, _: UnixMillis, _: Nonce) -> StatementOutcome {
        statement::read(&self.options, reply)
    }

    fn read_statement_file(
        &self,
        day: Day,
        file: &mut dyn StatementBytes,
        _: Option<&Seal>,
        each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
    ) -> Result<StatementTotals, StatementFault> {
        statement::read_file(&statement::Expected { seller_id: &self.options.seller_id, day }, file, each)
    }

    fn read_callback(&self, request: &CallbackRequest, _: UnixMillis) -> Result<Notice, Rejected> {
        callback::read(&self.options, request)
    }

    fn callback_reply(&self, verdict: Verdict) -> HttpReply {
        callback::reply(verdict)
    }

    /// Only in certificate mode, and only when an answer named a certificate that is not known.
    fn fetch_keys(&self, now: UnixMillis, _: Nonce, _: bool) -> Option<HttpCall> {
        let Trust::Certificates(certificates) = &self.options.trust else { return None };
        let wanted = certificates.due(now)?;
        let biz_content = serde_json::json!({ "alipay_cert_sn": wanted }).to_string();
        let request = Request { method: DOWNLOAD, biz_content, notify_url: None, return_url: None };
        wire::call(&self.options, &request, now).ok()
    }

    /// The answer is signed by the very certificate that it brings, so the chain, not the signature, decides.
    fn read_keys(&self, reply: &HttpReply, now: UnixMillis) -> Result<usize, String> {
        let Trust::Certificates(certificates) = &self.options.trust else { return Ok(1) };
        let node = wire::read_self_proving(DOWNLOAD, reply).map_err(|failure| failure.detail)?;
        let content = node.text("alipay_cert_content").ok_or("the answer brings no certificate")?;
        let pem = STANDARD.decode(content).map_err(|_| "the certificate is not base64")?;
        certificates.adopt(&pem, now).map_err(|fault| format!("the fetched certificate {fault}"))
    }

    fn certificates(&self) -> Vec<CertificateEnd> {
        let Trust::Certificates(certificates) = &self.options.trust else { return Vec::new() };
        let own = self.options.app_certificate_end.iter().cloned();
        own.chain(certificates.ends()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use testing::{
        ALIPAY_NEXT_KEY, APP_ID, APP_KEY, Inline, NOW, ORDER_NO, biz, certificate_section, html, key_section, order,
        parameters, signature,
    };
    use tongdao_core::provider::Environment;

    const NEXT_CERT: &str = include_str!("fixtures/keys/alipay_next_cert.crt");
    const NEXT_NUMBER: &str = "9265bbaa7b037471882b601060085130";

    fn built(section: &serde_json::Value) -> Box<dyn Provider> {
        build(BuildInput { section, environment: Environment::Production, secrets: &Inline }).ok().unwrap()
    }

    fn nonce() -> Nonce {
        Nonce("n".repeat(32))
    }

    fn answer_by_next_certificate() -> HttpReply {
        let node = json!({"code": "10000", "out_trade_no": ORDER_NO, "trade_status": "TRADE_CLOSED"}).to_string();
        let sign = signature(ALIPAY_NEXT_KEY, &node);
        html(&format!(
            "{{\"alipay_trade_query_response\":{node},\"alipay_cert_sn\":\"{NEXT_NUMBER}\",\"sign\":\"{sign}\"}}"
        ))
    }

    #[test]
    fn a_built_account_names_itself_and_its_certificates_ends() {
        let provider = built(&certificate_section());
        assert_eq!((provider.id().as_str(), provider.account()), ("alipay", APP_ID));
        let used_for: Vec<_> = provider.certificates().into_iter().map(|end| end.used_for).collect();
        assert_eq!(used_for, ["merchant", "platform", "root"]);
        assert!(built(&key_section()).certificates().is_empty());
        let faulty = json!({});
        let faults = build(BuildInput { section: &faulty, environment: Environment::Production, secrets: &Inline });
        assert_eq!(faults.err().unwrap().len(), 5);
    }

    #[test]
    fn an_unknown_certificate_is_fetched_proved_and_then_believed() {
        let provider = built(&certificate_section());
        let read = || provider.read_query(&order(Scene::Qr), &answer_by_next_certificate(), NOW);
        assert_eq!(provider.fetch_keys(NOW, nonce(), true), None, "nothing is wanted yet");
        let Next::Done(Outcome::Unknown(failure)) = read() else { panic!("the certificate is not known") };
        assert_eq!(failure.provider_code, "unknown_certificate");

        let fields = parameters(&provider.fetch_keys(NOW, nonce(), false).unwrap());
        assert_eq!(fields["method"], DOWNLOAD);
        assert_eq!(biz(&fields), json!({"alipay_cert_sn": NEXT_NUMBER}));

        let node = json!({"code": "10000", "alipay_cert_content": STANDARD.encode(NEXT_CERT)});
        let reply = html(&json!({"alipay_open_app_alipaycert_download_response": node, "sign": "x"}).to_string());
        assert_eq!(provider.read_keys(&reply, NOW), Ok(2));
        assert_eq!(read(), Next::Done(Outcome::Closed));
    }

    #[test]
    fn a_download_that_brings_nothing_changes_nothing() {
        let provider = built(&certificate_section());
        let read = |node: serde_json::Value| {
            let body = json!({"alipay_open_app_alipaycert_download_response": node}).to_string();
            provider.read_keys(&html(&body), NOW)
        };
        assert!(read(json!({"code": "40004"})).is_err());
        assert!(read(json!({"alipay_cert_content": "!"})).is_err());
        assert!(read(json!({"alipay_cert_content": STANDARD.encode(NEXT_CERT)})).is_err(), "it was not asked for");
        assert!(provider.read_keys(&HttpReply::new(500, "text/html", ""), NOW).is_err());
        assert_eq!(built(&key_section()).fetch_keys(NOW, nonce(), true), None);
    }

    #[test]
    fn no_secret_is_in_the_debug_of_a_call() {
        let provider = built(&key_section());
        let next = provider.create(&order(Scene::Qr), NOW, nonce()).unwrap();
        let shown = format!("{next:?}");
        assert!(shown.contains("gateway.do") && !shown.contains("sign"), "{shown}");
        assert!(!shown.contains(APP_KEY.lines().nth(1).unwrap()));
    }
}
