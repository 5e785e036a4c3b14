//! A daemon's inside without sockets, for tests: flow on the memory store, a provider without a protocol, no network.
//!
//! Invariant: nothing leaves the process; what a test needs beyond that it does through the flow itself.

use crate::clock::SystemClock;
use crate::config::{Config, Env, fake};
use crate::flow::{Flow, FlowError, OpenCharge, Parts};
use crate::http::ApiDocuments;
use crate::metrics::{Metrics, Route};
use crate::ports::{
    Download, Downloaded, Io, Operation, Outside, SendError, Store, WebhookAnswer, WebhookCall, WebhookError,
};
use crate::random::SystemRng;
use crate::store::RecordStore;
use crate::store::memory::MemoryEngine;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tongdao_core::charge::{Charge, NewCharge, Policy};
use tongdao_core::effect::Source;
use tongdao_core::ids::{ChannelId, ChargeId};
use tongdao_core::money::Money;
use tongdao_core::provider::{HttpCall, HttpReply, Outcome, Payer, Payment, Scene};

/// One merchant, the channels `a` and `b`.
pub(crate) const CONFIG: &str = r#"
[server]
allow_inline_secrets = true
admin_token = "admin-token-of-the-testbed"
public_url = "https://pay.example"

[[merchants]]
id = "m1"
notify_url = "https://shop.example/n"
webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  [[merchants.keys]]
  id = "k1"
  secret = "a merchant's key of enough bytes"

[[channels]]
id = "a"
provider = "fake"
fee_bps = 60
daily_limit = { count = 10 }
  [channels.fake]
  account = "1900000001"

[[channels]]
id = "b"
provider = "fake"
fee_bps = 38
scenes = ["h5"]
  [channels.fake]
  account = "1900000002"
"#;

/// The flow, and the file that its configuration came from.
pub(crate) struct Bed {
    pub(crate) flow: Arc<Flow>,
    pub(crate) path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Bed {
    pub(crate) async fn start(routes: &[Route]) -> Self {
        Self::start_on(routes, Arc::new(RecordStore::new(MemoryEngine::new())), Arc::new(Nowhere)).await
    }

    /// On another store or network.
    pub(crate) async fn start_on(routes: &[Route], store: Arc<dyn Store>, outside: Arc<dyn Outside>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tongdao.toml");
        std::fs::write(&path, CONFIG).unwrap();
        let config = Arc::new(Config::load_with(Some(&path), &Env::new(), fake::REGISTRY).unwrap());
        let metrics = Arc::new(Metrics::new(routes).unwrap());
        metrics.set_channels(config.channels.iter().map(|c| (c.id.clone(), c.provider_id.clone())));
        let parts = Parts {
            store,
            outside,
            clock: Arc::new(SystemClock::new()),
            rng: Arc::new(SystemRng),
            config,
            metrics,
            documents: Arc::new(ApiDocuments::new("https://pay.example".to_owned())),
        };
        Self { flow: Arc::new(Flow::start(parts).await.unwrap()), path, _dir: dir }
    }

    /// A charge for which no channel had a code.
    pub(crate) async fn charge(&self, merchant_order_no: &str) -> Charge {
        let asked = OpenCharge {
            new: new_charge(&self.flow, merchant_order_no),
            request_hash: merchant_order_no.to_owned(),
            idempotency_key: None,
        };
        match self.flow.open_charge(asked).await {
            Err(FlowError::NoChannel(charge) | FlowError::ChannelRejected(charge)) => *charge,
            other => panic!("a provider without a protocol gave {other:?}"),
        }
    }

    /// A charge that is paid, its `charge.paid` due.
    pub(crate) async fn paid(&self, merchant_order_no: &str) -> Charge {
        let charge = self.charge(merchant_order_no).await;
        let attempt = charge.attempts.last().unwrap();
        let payment = Payment {
            provider_order_no: attempt.provider_order_no.clone(),
            provider_trade_no: format!("T-{merchant_order_no}"),
            amount: charge.amount,
            paid_at: None,
            settled_on: None,
            refunded: 0,
        };
        self.flow.report(charge.id, attempt.id, Outcome::Paid(payment), Source::Callback).await.unwrap()
    }
}

fn new_charge(flow: &Flow, merchant_order_no: &str) -> NewCharge {
    NewCharge {
        id: ChargeId::new(flow.clock.now(), flow.rng.draw()),
        merchant: "m1".parse().unwrap(),
        merchant_order_no: merchant_order_no.to_owned(),
        amount: Money::cny(1999),
        subject: "月卡".to_owned(),
        scene: Scene::Qr,
        payer: Payer::default(),
        pin: None,
        notify_url: "https://shop.example/n".to_owned(),
        return_url: None,
        metadata: std::collections::BTreeMap::new(),
        expires_in_s: 1800,
        delivery_deadline_s: 300,
        policy: Policy { refund_late: false, refund_overdue: false, wait_for_end: false },
        token: format!("{:032x}", flow.rng.draw()),
    }
}

/// A network without anybody.
pub(crate) struct Nowhere;

impl Outside for Nowhere {
    fn call<'a>(
        &'a self,
        _: &'a ChannelId,
        _: Operation,
        _: HttpCall,
        _: Duration,
    ) -> Io<'a, Result<HttpReply, SendError>> {
        Box::pin(async { Err(SendError::NotSent("no network".to_owned())) })
    }

    fn download<'a>(&'a self, _: &'a ChannelId, _: Download) -> Io<'a, Result<Downloaded, SendError>> {
        Box::pin(async { Err(SendError::NotSent("no network".to_owned())) })
    }

    fn has_room(&self, _: &ChannelId) -> bool {
        true
    }

    fn webhook(&self, _: WebhookCall) -> Io<'_, Result<WebhookAnswer, WebhookError>> {
        Box::pin(async { Err(WebhookError::Connect("no network".to_owned())) })
    }
}
