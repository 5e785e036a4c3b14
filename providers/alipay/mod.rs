//! Alipay's gateway (v2, RSA2): QR codes, pages and app payments of one app and payee.
//!
//! Invariant: only what Alipay signed moves anything, and a trade that does not exist yet (nobody has scanned) is
//! never taken for an order that is over. Each file has one job: `options` the section, `wire` the envelope, `sign`
//! the texts, `certificates` whose key, `calls` the operations, `callback` the notices, `codes` the codes.
//! Nothing outside this folder knows a field of Alipay's.

mod callback;
mod calls;
mod certificates;
mod codes;
mod md5;
mod options;
mod sign;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;
mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use options::Options;
use sign::Trust;
use tongdao_core::ids::ProviderId;
use tongdao_core::provider::{
    AttemptOrder, BuildInput, CallbackRequest, Capabilities, CertificateEnd, CodeLife, HttpCall, HttpReply, Next,
    Nonce, Notice, OptionFault, Outcome, Provider, RefundOrder, RefundOutcome, Registration, Rejected, Scene,
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

    fn refund(&self, order: &RefundOrder, now: UnixMillis, _: Nonce) -> Result<Next<RefundOutcome>, Unsupported> {
        Ok(calls::refund(&self.options, order, now))
    }

    fn read_refund(&self, asked: &RefundOrder, reply: &HttpReply, _: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(calls::read_refund(&self.options, asked, reply))
    }

    fn refund_query(
        &self,
        order: &RefundOrder,
        now: UnixMillis,
        _: Nonce,
    ) -> Result<Next<RefundOutcome>, Unsupported> {
        Ok(calls::refund_query(&self.options, order, now))
    }

    fn read_refund_query(&self, asked: &RefundOrder, reply: &HttpReply, _: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(calls::read_refund_query(&self.options, asked, reply))
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
