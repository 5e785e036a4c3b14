//! Reads the configuration file again and puts it in force.
//!
//! Invariants: a bad file changes nothing; what a process was started with (listeners, store, environment) and a
//! channel's account never change; a channel that still has business is not removed, because its callbacks, queries
//! and refunds need its keys. How the sender of HTTP learns of new limits is passed in.

use crate::config::{Config, Faults, check_reload, inherited_env};
use crate::flow::{AuditEntry, Flow};
use crate::ports::StoreError;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;
use tongdao_core::charge::Charge;
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::Registration;
use tongdao_core::refund::RefundStatus;
use tongdao_core::time::UnixMillis;

/// Charges read at once while a channel's business is counted.
const PAGE: usize = 200;
/// The longest time in which a payment may still be refunded at a provider.
const REFUND_WINDOW_S: i64 = 365 * 86_400;

/// What a reload changed, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The file, or what the built-in configuration is called.
    pub configuration: String,
    /// New channels.
    pub added: Vec<ChannelId>,
    /// Channels that are gone.
    pub removed: Vec<ChannelId>,
    /// What is allowed and unwise.
    pub warnings: Vec<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadRefused {
    /// The file is wrong, or changes what a reload may not change.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// Channels that are gone still have business.
    #[error("{}", show(.0))]
    StillInUse(Vec<Business>),
    /// What stands on the channels could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a channel still has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Business {
    /// The channel.
    pub channel: ChannelId,
    /// Attempts whose end is not proved.
    pub open_attempts: u64,
    /// Refunds whose end is not known.
    pub open_refunds: u64,
    /// Payments that may still be refunded.
    pub refundable_payments: u64,
}

type Apply = Box<dyn Fn(&Config) + Send + Sync>;

/// Puts the file that the daemon was started with in force again.
pub struct Reloader {
    flow: Arc<Flow>,
    path: Option<PathBuf>,
    registry: &'static [Registration],
    apply: Apply,
    one_at_a_time: Mutex<()>,
}

impl Reloader {
    /// Reads the file that the flow's configuration came from; `apply` tells whoever else keeps settings of it.
    pub fn new(
        flow: Arc<Flow>,
        registry: &'static [Registration],
        apply: impl Fn(&Config) + Send + Sync + 'static,
    ) -> Self {
        let path = flow.config().path();
        Self { flow, path, registry, apply: Box::new(apply), one_at_a_time: Mutex::new(()) }
    }

    /// Reads and checks the file, and puts it in force unless `dry_run`.
    ///
    /// # Errors
    /// Everything that is wrong with the file, or the business of channels that it removes.
    pub async fn reload(&self, dry_run: bool, actor: &str) -> Result<Reloaded, ReloadRefused> {
        let _one = self.one_at_a_time.lock().await;
        let new = Config::load_with(self.path.as_deref(), &inherited_env(), self.registry)?;
        let changes = check_reload(&self.flow.config(), &new)?;
        if !changes.removed.is_empty() {
            let business = self.business_of(&changes.removed).await?;
            if !business.is_empty() {
                return Err(ReloadRefused::StillInUse(business));
            }
        }
        let reloaded = Reloaded {
            configuration: new.name.clone(),
            added: changes.added,
            removed: changes.removed,
            warnings: new.warnings.clone(),
        };
        if !dry_run {
            self.flow.audit(entry(&reloaded, actor, self.flow.clock.now())).await?;
            self.put_in_force(new);
            tracing::info!(configuration = reloaded.configuration, "the configuration was reloaded");
        }
        Ok(reloaded)
    }

    fn put_in_force(&self, new: Config) {
        (self.apply)(&new);
        let names = new.channels.iter().map(|channel| (channel.id.clone(), channel.provider_id.clone()));
        self.flow.metrics.set_channels(names);
        self.flow.set_config(Arc::new(new));
    }

    /// The channels among these that still have something to do. It reads every charge, which a removal is worth.
    async fn business_of(&self, channels: &[ChannelId]) -> Result<Vec<Business>, StoreError> {
        let now = self.flow.clock.now();
        let mut found: Vec<Business> = channels.iter().map(Business::none).collect();
        let mut before = None;
        loop {
            let page = self.flow.store().charges(None, before, PAGE).await?;
            for business in &mut found {
                page.charges.iter().for_each(|charge| business.count(charge, now));
            }
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        found.retain(Business::is_any);
        Ok(found)
    }
}

impl Business {
    fn none(channel: &ChannelId) -> Self {
        Self { channel: channel.clone(), open_attempts: 0, open_refunds: 0, refundable_payments: 0 }
    }

    const fn is_any(&self) -> bool {
        self.open_attempts > 0 || self.open_refunds > 0 || self.refundable_payments > 0
    }

    fn count(&mut self, charge: &Charge, now: UnixMillis) {
        let add = |to: &mut u64| *to = to.saturating_add(1);
        for attempt in charge.attempts.iter().filter(|attempt| attempt.channel == self.channel) {
            if attempt.status().is_open() {
                add(&mut self.open_attempts);
            }
            let window_ends_at = attempt.ended_at.map(|at| at.plus_s(REFUND_WINDOW_S));
            if charge.principal == Some(attempt.id) && window_ends_at.is_some_and(|end| now < end) {
                add(&mut self.refundable_payments);
            }
            let of_attempt = charge.refunds.iter().filter(|refund| refund.attempt == attempt.id);
            of_attempt
                .filter(|refund| refund.status() == RefundStatus::Pending)
                .for_each(|_| add(&mut self.open_refunds));
        }
    }
}

impl std::fmt::Display for Business {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} cannot be removed: {} open attempts, {} unsettled refunds, {} payments that may still be refunded; \
             set enabled = false to stop new charges",
            self.channel, self.open_attempts, self.open_refunds, self.refundable_payments
        )
    }
}

fn entry(reloaded: &Reloaded, actor: &str, now: UnixMillis) -> AuditEntry {
    let names = |channels: &[ChannelId]| channels.iter().map(ChannelId::as_str).collect::<Vec<_>>().join(", ");
    let (added, removed) = (names(&reloaded.added), names(&reloaded.removed));
    let moved = [("added", added), ("removed", removed)];
    let moved: Vec<String> =
        moved.iter().filter(|(_, n)| !n.is_empty()).map(|(what, n)| format!("{what} {n}")).collect();
    AuditEntry {
        at: now,
        actor: actor.to_owned(),
        action: "reload".to_owned(),
        target: reloaded.configuration.clone(),
        reason: String::new(),
        until: None,
        override_id: None,
        detail: moved.join("; "),
    }
}

fn show(business: &[Business]) -> String {
    business.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake;
    use crate::testbed::{Bed, CONFIG};
    use std::sync::atomic::{AtomicU64, Ordering};

    const SECOND: &str = "\n[[channels]]\nid = \"c\"\nprovider = \"fake\"\n  [channels.fake]\n  account = \"3\"\n";

    fn reloader(bed: &Bed) -> (Reloader, Arc<AtomicU64>) {
        let applied = Arc::new(AtomicU64::new(0));
        let count = applied.clone();
        let apply = move |_: &Config| {
            count.fetch_add(1, Ordering::SeqCst);
        };
        (Reloader::new(bed.flow.clone(), fake::REGISTRY, apply), applied)
    }

    #[tokio::test]
    async fn a_new_channel_comes_into_force_everywhere_at_once() {
        let bed = Bed::start(&[]).await;
        let (reloader, applied) = reloader(&bed);
        std::fs::write(&bed.path, format!("{CONFIG}{SECOND}")).unwrap();
        assert_eq!(reloader.reload(true, "li").await.unwrap().added, ["c".parse().unwrap()]);
        assert_eq!((bed.flow.config().channels.len(), applied.load(Ordering::SeqCst)), (2, 0));
        reloader.reload(false, "li").await.unwrap();
        assert_eq!((bed.flow.config().channels.len(), applied.load(Ordering::SeqCst)), (3, 1));
        assert!(bed.flow.metrics.render().contains("tongdao_channel_state{channel=\"c\""));
    }

    #[tokio::test]
    async fn an_unused_channel_may_go_and_its_account_may_not_change() {
        let bed = Bed::start(&[]).await;
        let (reloader, _) = reloader(&bed);
        std::fs::write(&bed.path, CONFIG.replace("1900000002", "other")).unwrap();
        assert!(matches!(reloader.reload(false, "li").await, Err(ReloadRefused::Faults(_))));
        let without_b = CONFIG.find("[[channels]]\nid = \"b\"").unwrap();
        std::fs::write(&bed.path, &CONFIG[..without_b]).unwrap();
        assert_eq!(reloader.reload(false, "li").await.unwrap().removed, ["b".parse().unwrap()]);
    }

    #[test]
    fn business_says_how_many() {
        let one = Business { channel: "a".parse().unwrap(), open_attempts: 2, open_refunds: 1, refundable_payments: 9 };
        assert!(one.is_any());
        assert_eq!(
            one.to_string(),
            "a cannot be removed: 2 open attempts, 1 unsettled refunds, 9 payments that may still be refunded; set \
             enabled = false to stop new charges"
        );
        assert!(!Business::none(&one.channel).is_any());
    }
}
