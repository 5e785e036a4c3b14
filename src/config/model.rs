//! The configuration as the rest of the daemon sees it: checked, with its secrets loaded and its providers built.
//!
//! Invariant: a value of these types has passed every check of the loader; nothing here reads a file. `Debug` shows
//! no secret, since secrets print as stars.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tongdao_core::ids::{ChannelId, MerchantId, ProviderId};
use tongdao_core::provider::{Environment, Provider, Scene};
use tongdao_core::secret::Secret;

/// `[server]`: listeners and what the whole daemon agrees on.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where merchants, providers and payers call.
    pub public_listen: SocketAddr,
    /// Where on-call and Prometheus call.
    pub admin_listen: SocketAddr,
    /// The admin socket, mode 0600.
    pub admin_socket: PathBuf,
    /// What providers and payers are given, without a slash at the end.
    pub public_url: String,
    /// The bearer token of the admin listener; with `None` nobody gets in over TCP.
    pub admin_token: Option<Credential>,
    /// Whether webhooks may go to loopback, private addresses and plain http.
    pub allow_private_webhook_targets: bool,
    /// Whether secrets may stand in the file itself.
    pub allow_inline_secrets: bool,
    /// Whether real money moves.
    pub environment: Environment,
    /// How long a stop waits for work in flight.
    pub shutdown_deadline: Duration,
}

/// `[store]`: where everything acknowledged is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Which engine, and where.
    pub url: StoreUrl,
    /// The index's cache in bytes.
    pub cache_capacity: u64,
}

/// The engines a store can run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `embedded:PATH`: journal and index in a directory.
    Embedded(PathBuf),
    /// `memory:`: nothing survives the process.
    Memory,
    /// `postgres://…`: for several nodes.
    Postgres(String),
}

/// `[[merchants]]`: who sells and calls us.
#[derive(Debug, Clone)]
pub struct Merchant {
    /// The merchant's name in configuration and journal.
    pub id: MerchantId,
    /// What payers read.
    pub name: String,
    /// Where webhooks go unless a charge says otherwise.
    pub notify_url: Option<String>,
    /// Where payers go afterwards unless a charge says otherwise.
    pub return_url: Option<String>,
    /// The secrets that sign webhooks, newest first; two while rotating.
    pub webhook_secrets: Vec<Credential>,
    /// The API keys; several while rotating.
    pub keys: Vec<MerchantKey>,
    /// What is done with money that comes after the close.
    pub late_payment: LatePayment,
    /// What is done when an old code's end cannot be proved in time.
    pub unprovable_end: UnprovableEnd,
    /// How many API calls are taken.
    pub rate_limit: RateLimit,
}

/// One API key of a merchant.
#[derive(Debug, Clone)]
pub struct MerchantKey {
    /// The key's name in `Authorization`; unique among all merchants.
    pub id: String,
    /// The HMAC key: the secret's text without a newline at the end.
    pub secret: Credential,
}

/// A loaded secret and where it came from.
#[derive(Clone)]
pub struct Credential {
    pub(super) secret: Secret,
    pub(super) source: String,
}

impl Credential {
    /// The secret's bytes: a key's text without its newline, a webhook secret decoded.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.secret.bytes()
    }

    /// The secret as text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.secret.text()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is done with a payment whose evidence comes after the charge was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatePayment {
    /// The goods are delivered.
    Deliver,
    /// The money goes back.
    Refund,
}

/// What is done when a new attempt is wanted and the old code's end cannot be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnprovableEnd {
    /// The new attempt opens; a second payment would be refunded by itself.
    Overlap,
    /// The caller waits for the old code's own end.
    Wait,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Calls a second.
    pub per_second: u32,
    /// Calls at once.
    pub burst: u32,
}

/// `[[channels]]`: one configured account at a provider.
#[derive(Clone)]
pub struct Channel {
    /// The channel's name, its account for ever.
    pub id: ChannelId,
    /// The provider's name.
    pub provider_id: ProviderId,
    /// The account, built with its keys.
    pub provider: Arc<dyn Provider>,
    /// Whether new charges may go here; callbacks, queries and refunds always may.
    pub enabled: bool,
    /// Where its payers may stand.
    pub scenes: Vec<Scene>,
    /// The fee, in hundredths of a percent.
    pub fee_bps: u32,
    /// The sums that it takes, in fen, both ends included.
    pub amount: AmountRange,
    /// What it may take in a day.
    pub daily_limit: DailyLimit,
    /// What its contract lets us send.
    pub capacity: Capacity,
    /// How long one call may take in all.
    pub timeout: Duration,
    pub(super) section: serde_json::Value,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({} at {}, account {})", self.id, self.provider_id, self.provider.account())
    }
}

/// Sums that a channel takes, in fen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmountRange {
    /// The smallest.
    pub min: i64,
    /// The largest.
    pub max: i64,
}

/// What a channel may take in a day; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DailyLimit {
    /// Fen.
    pub amount: Option<i64>,
    /// Payments.
    pub count: Option<i64>,
}

/// What may be sent to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Calls at once.
    pub max_in_flight: u32,
    /// Calls a second.
    pub per_second: u32,
}

/// `[routing]`: bounds and worths of the choice of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Routing {
    /// Channels tried in one request, at most.
    pub max_channels: usize,
    /// Time for all tries of one request.
    pub budget: Duration,
    /// What a paid order is worth to the platform, in hundredths of a percent of it: fees are weighed against it.
    pub margin_bps: u32,
    /// Whether a few charges go to channels that nobody looked at for a while.
    pub explore: bool,
}

impl Routing {
    /// What a paid order is worth, as a share of it.
    #[must_use]
    pub fn margin(&self) -> f64 {
        f64::from(self.margin_bps) / 10_000.0
    }
}

/// `[reconciliation]`: the providers' statements of each day, and what follows from a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// Whether they are fetched by themselves.
    pub automatic: bool,
    /// Where a file lies while it is checked and booked.
    pub spool: PathBuf,
    /// The largest file in bytes, as it comes.
    pub file_max: u64,
    /// How long a file may take to come.
    pub download_deadline: Duration,
    /// A break over more than this, in fen, is resolved by two people; `None` is one person for every sum.
    pub confirm_above: Option<i64>,
}

/// `[sandbox]`: provider servers of our own that the daemon starts beside itself, for the demo and for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxServers {
    /// Where its keys are made and kept.
    pub keys_dir: PathBuf,
    /// Where people and tests play payers.
    pub control: SocketAddr,
    /// Where each provider's server listens, by provider.
    pub listen: BTreeMap<String, SocketAddr>,
}
