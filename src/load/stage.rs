//! What runs during a bench: the providers, the card platform, the daemon as a process of its own.
//!
//! Invariant: nothing here outlives the run, and nothing is written outside the scratch directory.

use super::Args;
use super::probe::Reading;
use crate::client::MerchantClient;
use crate::demo::child::Daemon;
use crate::demo::narrator::{Narrator, Tone};
use crate::demo::platform::Platform;
use crate::demo::scratch::{KEY_ID, Ports, Scratch};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tongdao_sandbox::{Options, Sandbox};

/// Our own limits for a channel are not what is measured.
const NO_LIMIT: &str = "capacity = { max_in_flight = 8192, per_second = 100000 }";

/// Everything that runs.
pub(crate) struct Stage {
    pub(crate) narrator: Narrator,
    pub(crate) client: MerchantClient,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) platform: Platform,
    pub(crate) daemon: Daemon,
    orders: Arc<AtomicU64>,
    /// Last: it is removed after what writes into it.
    scratch: Scratch,
}

impl Stage {
    pub(crate) async fn set(args: &Args, narrator: Narrator) -> anyhow::Result<Self> {
        let scratch = Scratch::new_in(&std::path::absolute(&args.dir)?, "bench", false)?;
        let ports = Ports::free()?;
        let sandbox = Sandbox::start(Options::new(scratch.path("keys"))).await?;
        let config = scratch.configure(&sandbox, &ports, NO_LIMIT)?;
        let mut platform = Platform::new(ports.platform, &scratch.secret("m_demo.whsec")?)?;
        platform.open().await?;
        let mut daemon = Daemon::new(&scratch, config, ports.admin)?;
        if let Some(binary) = &args.daemon {
            daemon = daemon.of(binary.clone());
        }
        let ms = daemon.start().await?;
        narrator.say(Tone::Good, &format!("daemon: pid {}, ready in {ms} ms", daemon.pid()));
        let secret = scratch.secret("m_demo.key")?;
        let client = MerchantClient::new(format!("http://{}", ports.public), KEY_ID, secret)?;
        let orders = Arc::new(AtomicU64::new(0));
        Ok(Self { narrator, client, sandbox: Arc::new(sandbox), platform, daemon, orders, scratch })
    }

    /// The daemon's own reading.
    pub(crate) fn reading(&self) -> anyhow::Result<Reading> {
        Reading::of(self.daemon.pid())
    }

    /// A source of order numbers that nobody used before.
    pub(crate) fn orders(&self) -> OrderNumbers {
        OrderNumbers(self.orders.clone())
    }

    /// Ends everything and gives back the voice.
    pub(crate) async fn strike(mut self) -> anyhow::Result<Narrator> {
        self.platform.close().await;
        self.daemon.kill().await?;
        drop(self.scratch);
        Ok(self.narrator)
    }
}

/// Order numbers, each once.
#[derive(Clone)]
pub(crate) struct OrderNumbers(Arc<AtomicU64>);

impl OrderNumbers {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
