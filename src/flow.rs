//! The use cases, a file each: load, let the core decide, make one batch durable, then act.
//!
//! Invariants: nothing is sent before its intent is durable (S11); nothing is acknowledged before its effect is
//! (S12); a flow that dies at any line is taken up again from the stored timers. Flows know the ports and the
//! configuration, and no adapter, no HTTP server and no command line.

mod ask;
mod batch;
mod board;
mod book;
mod boot;
mod busy;
mod callback;
mod change;
mod channels;
mod close;
mod deliver;
mod entries;
mod feed;
mod gauges;
mod keys;
mod observe;
mod open_breaks;
mod open_charge;
mod overrides;
mod prove_end;
mod pulse;
mod reconcile;
mod refund;
mod resolve;
mod retry;
mod route;
mod timer;
mod try_channels;
mod webhook_body;

#[cfg(test)]
mod tests;

pub use board::Board;
pub use book::{BookError, BookOrder, Booked, Booking, Settled, settle};
pub use channels::{ChannelView, Channels};
pub use open_breaks::OpenBreaks;
pub use open_charge::{OpenCharge, Opened};
pub use overrides::{AuditEntry, AuditPage, Order, OverrideError, Restore};
pub use pulse::Question;
pub use reconcile::{AskedDay, ReconcileRefused, Turn};
pub use refund::{AskedRefund, OpenedRefund};
pub use resolve::{Decision, Foretold, Proposal, ResolveError, Resolved};
pub use retry::{Retried, RetryAsk};
pub(crate) use route::Wanted;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::ports::{Clock, Outside, Rng, Store, StoreError};
use crate::spool::{Spool, Spooled};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::{Notify, broadcast};
use tongdao_core::charge::{Charge, Refused};
use tongdao_core::ids::{ChannelId, ChargeId};
use tongdao_core::provider::Nonce;
use tongdao_core::time::UnixMillis;

/// How charge and refund look in a webhook's body: the API's business, passed in.
pub trait Documents: Send + Sync {
    /// The charge as the API shows it.
    fn charge(&self, charge: &Charge) -> serde_json::Value;
    /// A refund of the charge as the API shows it.
    fn refund(&self, charge: &Charge, refund: &tongdao_core::refund::Refund) -> serde_json::Value;
}

/// What the use cases share.
pub struct Flow {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) config: ArcSwap<Config>,
    /// Every number that is shown.
    pub metrics: Arc<Metrics>,
    pub(crate) documents: Arc<dyn Documents>,
    pub(crate) channels: Channels,
    pulse: pulse::Pulse,
    pub(crate) board: Board,
    ordered: overrides::Ordered,
    pub(crate) busy: busy::Busy,
    pub(crate) agenda: Arc<reconcile::Agenda>,
    pub(crate) spool: Spool,
    pub(crate) booted_at: UnixMillis,
    /// Tries due up to here may have been in flight when the last process ended.
    doubtful_until: UnixMillis,
    pub(crate) disk_scarce: AtomicBool,
    changed: broadcast::Sender<ChargeId>,
    timers_moved: Notify,
}

/// What a flow is put together from.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// HTTP to the outside.
    pub outside: Arc<dyn Outside>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The configuration.
    pub config: Arc<Config>,
    /// Where counts go.
    pub metrics: Arc<Metrics>,
    /// How things look in a webhook.
    pub documents: Arc<dyn Documents>,
}

/// Why a use case did not do what was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FlowError {
    /// No such thing, or another merchant's.
    #[error("not found")]
    NotFound,
    /// The rules do not allow it.
    #[error("{0}")]
    Refused(Refused),
    /// The same number or key was used with another request.
    #[error("used before with another request")]
    Conflict,
    /// It is being done right now: ask again.
    #[error("in progress")]
    InProgress {
        /// Seconds until it makes sense to ask again.
        retry_after_s: i64,
    },
    /// No channel gave a code; the charge stays open.
    #[error("no channel gave a code")]
    NoChannel(Box<Charge>),
    /// Every channel refused, definitely; the charge stays open.
    #[error("every channel refused")]
    ChannelRejected(Box<Charge>),
    /// The store did not take it.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<Refused> for FlowError {
    fn from(refused: Refused) -> Self {
        if refused == Refused::NotFound { Self::NotFound } else { Self::Refused(refused) }
    }
}

impl Flow {
    /// Puts the use cases on their ports.
    ///
    /// # Errors
    /// When what the store keeps of the channels cannot be read.
    pub async fn start(parts: Parts) -> Result<Self, StoreError> {
        let booted_at = parts.clock.now();
        let doubtful_until = boot::doubtful_until(parts.store.as_ref(), booted_at).await?;
        let channels = Channels::load(&parts.config, parts.store.as_ref(), booted_at).await?;
        let board = Board::load(parts.store.as_ref()).await?;
        let ordered = overrides::Ordered::load(parts.store.as_ref()).await?;
        let flow = Self {
            store: parts.store,
            outside: parts.outside,
            clock: parts.clock,
            rng: parts.rng,
            spool: Spool::new(parts.config.reconciliation.spool.clone()),
            agenda: Arc::default(),
            config: ArcSwap::new(parts.config),
            metrics: parts.metrics,
            documents: parts.documents,
            channels,
            pulse: pulse::Pulse::default(),
            board,
            ordered,
            busy: busy::Busy::new(),
            booted_at,
            doubtful_until,
            disk_scarce: AtomicBool::new(false),
            changed: broadcast::Sender::new(1024),
            timers_moved: Notify::new(),
        };
        flow.sweep_spool();
        flow.recall_drained();
        Ok(flow)
    }

    /// The configuration now in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Puts a checked configuration in force.
    pub fn set_config(&self, config: Arc<Config>) {
        self.channels.configure(&config, self.clock.now());
        self.config.store(config);
    }

    /// The ids of charges as they change.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<ChargeId> {
        self.changed.subscribe()
    }

    /// Completes when a timer was set.
    pub async fn timers_moved(&self) {
        self.timers_moved.notified().await;
    }

    /// A place for a file that somebody hands in.
    ///
    /// # Errors
    /// When the spool's directory cannot be made.
    pub fn place_in_spool(&self) -> std::io::Result<Spooled> {
        self.spool.place(self.rng.draw())
    }

    /// A charge of any merchant.
    ///
    /// # Errors
    /// `NotFound`, or the store's.
    pub async fn charge(&self, id: ChargeId) -> Result<Charge, FlowError> {
        self.store.charge(id).await?.ok_or(FlowError::NotFound)
    }

    /// The oldest undelivered paid charge and the like.
    #[must_use]
    pub const fn board(&self) -> &Board {
        &self.board
    }

    /// How the channels stand.
    #[must_use]
    pub const fn channels(&self) -> &Channels {
        &self.channels
    }

    /// The store, for reads.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    pub(crate) fn nonce(&self) -> Nonce {
        Nonce(format!("{:032X}", self.rng.draw()))
    }

    /// What a process that is gone left half read counts for nothing.
    fn sweep_spool(&self) {
        match self.spool.sweep() {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "statements that a dead process left were removed"),
            Err(error) => tracing::warn!(%error, "the spool could not be swept"),
        }
    }

    /// 64 random bits.
    pub(crate) fn seed(&self) -> u64 {
        let bytes = self.rng.draw().to_be_bytes();
        bytes.iter().take(8).fold(0, |bits, byte| (bits << 8) | u64::from(*byte))
    }

    pub(crate) fn channel(&self, id: &ChannelId) -> Option<crate::config::Channel> {
        self.config.load().channels.iter().find(|channel| channel.id == *id).cloned()
    }
}
