//! A provider without a protocol, so that the loader and the sender are tested without one.
//!
//! Its section: `account` (required), `base_url`, `seller_id`, `key` (a secret, required), `spare_key`, `keys` (a list
//! of secrets). It can do qr, h5 and jsapi.

use tongdao_core::ids::ProviderId;
use tongdao_core::provider::{
    AttemptOrder, BuildInput, CallbackRequest, Capabilities, CodeLife, HttpReply, Next, Nonce, Notice, OptionFault,
    Outcome, Provider, RefundOrder, RefundOutcome, Registration, Rejected, Scene, Unsupported, Verdict,
};
use tongdao_core::secret::SecretSource;
use tongdao_core::time::UnixMillis;

/// A registry of one provider, `fake`.
pub(crate) const REGISTRY: &[Registration] = &[Registration { id: "fake", name_zh: "假", build }];

struct Fake {
    id: ProviderId,
    account: String,
}

fn build(input: BuildInput<'_>) -> Result<Box<dyn Provider>, Vec<OptionFault>> {
    let mut faults = Vec::new();
    let mut fault = |path: &str, message: String| faults.push(OptionFault { path: path.to_owned(), message });
    let section = input.section.as_object().unwrap();
    let known = ["account", "base_url", "seller_id", "key", "spare_key", "keys", "minutes"];
    for key in section.keys().filter(|key| !known.contains(&key.as_str())) {
        fault(key, "unknown key".into());
    }
    let account = section.get("account").and_then(|account| account.as_str()).unwrap_or_default();
    if account.is_empty() {
        fault("account", "is required".into());
    }
    let mut load = |path: &str, value: &serde_json::Value| match serde_json::from_value::<SecretSource>(value.clone()) {
        Ok(source) => drop(input.secrets.load(&source).map_err(|message| fault(path, message))),
        Err(_) => fault(path, "is no secret source".into()),
    };
    if let Some(key) = section.get("key") {
        load("key", key);
    }
    let keys = section.get("keys").and_then(|keys| keys.as_array());
    for (index, key) in keys.into_iter().flatten().enumerate() {
        load(&format!("keys[{index}]"), key);
    }
    if faults.is_empty() {
        Ok(Box::new(Fake { id: "fake".parse().unwrap(), account: account.to_owned() }))
    } else {
        Err(faults)
    }
}

const CAPABILITIES: Capabilities = Capabilities {
    scenes: &[Scene::Qr, Scene::H5, Scene::Jsapi],
    closes: true,
    findable_before_scan: true,
    first_query_ms: |_| 5000,
    end_margin_ms: 30_000,
};

impl Provider for Fake {
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
    fn create(&self, _: &AttemptOrder, _: UnixMillis, _: Nonce) -> Result<Next<Outcome>, Unsupported> {
        Err(Unsupported("fake"))
    }
    fn read_create(&self, _: &AttemptOrder, _: &HttpReply, _: UnixMillis) -> Next<Outcome> {
        Next::Done(Outcome::Absent)
    }
    fn query(&self, _: &AttemptOrder, _: UnixMillis, _: Nonce) -> Result<Next<Outcome>, Unsupported> {
        Err(Unsupported("fake"))
    }
    fn read_query(&self, _: &AttemptOrder, _: &HttpReply, _: UnixMillis) -> Next<Outcome> {
        Next::Done(Outcome::Absent)
    }
    fn close(&self, _: &AttemptOrder, _: UnixMillis, _: Nonce) -> Result<Next<Outcome>, Unsupported> {
        Err(Unsupported("fake"))
    }
    fn read_close(&self, _: &AttemptOrder, _: &HttpReply, _: UnixMillis) -> Next<Outcome> {
        Next::Done(Outcome::Absent)
    }
    fn refund(&self, _: &RefundOrder, _: UnixMillis, _: Nonce) -> Result<Next<RefundOutcome>, Unsupported> {
        Err(Unsupported("fake"))
    }
    fn read_refund(&self, _: &RefundOrder, _: &HttpReply, _: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(RefundOutcome::Absent)
    }
    fn refund_query(&self, _: &RefundOrder, _: UnixMillis, _: Nonce) -> Result<Next<RefundOutcome>, Unsupported> {
        Err(Unsupported("fake"))
    }
    fn read_refund_query(&self, _: &RefundOrder, _: &HttpReply, _: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(RefundOutcome::Absent)
    }
    fn read_callback(&self, _: &CallbackRequest, _: UnixMillis) -> Result<Notice, Rejected> {
        Err(Rejected::Malformed)
    }
    fn callback_reply(&self, _: Verdict) -> HttpReply {
        HttpReply::new(200, "text/plain", "ok")
    }
}
