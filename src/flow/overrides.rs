//! Operators' orders over the channels: taken one at a time, durable with their entry in the audit before they hold.
//!
//! Invariants: an order and its audit entry are one batch; what the router reads is what the store holds; an order ends
//! by the clock, whether or not anything runs at that moment. Orders decide where new charges go; callbacks, queries
//! and refunds of a channel never look here.

mod audit;

pub use audit::{AuditEntry, AuditPage};

use super::{Flow, FlowError};
use crate::clock::rfc3339;
use crate::config::{Channel, Config};
use crate::metrics::{Cause, ChannelState, OverrideAction};
use crate::ports::{Batch, Store, StoreError, Urgency};
use arc_swap::ArcSwap;
use audit::Audit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tongdao_core::ids::{ChannelId, OverrideId};
use tongdao_core::overrides::{Action, Consequence, Override, Overrides, Placed, Refused, Standing, Target, Terms};
use tongdao_core::time::UnixMillis;

const KEPT_AS: &str = "overrides";
const FORMAT: u8 = 1;

/// What an operator orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What is to be done.
    pub action: Action,
    /// To what.
    pub target: Target,
    /// How long.
    pub lasts: Duration,
    /// Why.
    pub reason: String,
    /// Who orders it.
    pub actor: String,
}

/// What an operator takes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// Which override.
    pub id: OverrideId,
    /// Who takes it back.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Only if nothing changed since this version.
    pub if_version: Option<u64>,
}

/// Why an order was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// The rules do not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The record in the store.
#[derive(Serialize, Deserialize)]
struct Kept {
    format: u8,
    overrides: Overrides,
}

/// The orders in force, and who may change them: one caller at a time.
pub(super) struct Ordered {
    now: ArcSwap<Overrides>,
    /// Held while something is written, so that versions and the audit's numbers have no gaps.
    writing: Mutex<Audit>,
    /// The channels that were drained when somebody last looked, so that each end is counted once.
    drained: StdMutex<BTreeSet<ChannelId>>,
}

impl Ordered {
    pub(super) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let overrides = match store.kept(KEPT_AS).await? {
            None => Overrides::default(),
            Some(bytes) => match serde_json::from_slice::<Kept>(&bytes) {
                Ok(Kept { format: FORMAT, overrides }) => overrides,
                Ok(Kept { format, .. }) => {
                    return Err(StoreError::Unreadable(format!("overrides of the unknown form {format}")));
                }
                Err(error) => return Err(StoreError::Unreadable(format!("overrides: {error}"))),
            },
        };
        let audit = Audit::load(store).await?;
        Ok(Self { now: ArcSwap::from_pointee(overrides), writing: Mutex::new(audit), drained: StdMutex::default() })
    }
}

impl Flow {
    /// The orders, with those that ended since the last change.
    #[must_use]
    pub fn overrides(&self) -> Arc<Overrides> {
        self.ordered.now.load_full()
    }

    /// The target of this name: a channel before a provider.
    #[must_use]
    pub fn override_target(&self, name: &str) -> Option<Target> {
        let config = self.config.load();
        let channel = config.channels.iter().find(|channel| channel.id.as_str() == name);
        let provider = || config.channels.iter().find(|channel| channel.provider_id.as_str() == name);
        channel
            .map(|channel| Target::Channel(channel.id.clone()))
            .or_else(|| provider().map(|channel| Target::Provider(channel.provider_id.clone())))
    }

    /// The order that decides over a channel now.
    #[must_use]
    pub fn override_of(&self, channel: &Channel) -> Option<Override> {
        self.ordered.now.load().over(&channel.id, &channel.provider_id, self.clock.now()).cloned()
    }

    /// What an order would come to now. It changes nothing.
    #[must_use]
    pub fn try_override(&self, order: &Order) -> (Consequence, UnixMillis) {
        let now = self.clock.now();
        let seen = self.overrides().consequence(order.action, &order.target, &self.standings(), now);
        (seen, end_of(order, now))
    }

    /// Whether an order may be tried under this guard.
    ///
    /// # Errors
    /// `Changed` when something changed since.
    pub fn check_version(&self, if_version: Option<u64>) -> Result<(), Refused> {
        let now_at = self.overrides().version(self.clock.now());
        if if_version.is_some_and(|wanted| wanted != now_at) { Err(Refused::Changed { now_at }) } else { Ok(()) }
    }

    /// Takes an order: it holds when this answers, and after every restart until it ends.
    ///
    /// # Errors
    /// The rules' refusal, or the store's; nothing holds then.
    pub async fn place_override(&self, order: Order, terms: Terms) -> Result<Placed, OverrideError> {
        let mut audit = self.ordered.writing.lock().await;
        let now = self.clock.now();
        let ends_at = end_of(&order, now);
        let id = OverrideId::new(now, self.rng.draw());
        let Order { action, target, lasts: _, reason, actor } = order;
        let wanted = Override { id, action, target, reason, actor, created_at: now, ends_at, version: 0 };
        let placed = self.overrides().place(wanted, &self.standings(), terms, now)?;
        let entry = AuditEntry {
            at: now,
            actor: placed.order.actor.clone(),
            action: placed.order.action.as_str().to_owned(),
            target: placed.order.target.name().to_owned(),
            reason: placed.order.reason.clone(),
            until: Some(ends_at),
            override_id: Some(id),
            detail: detail_of(&placed.consequence),
        };
        self.write(&mut audit, &placed.next, entry).await?;
        tracing::warn!(override_id = %id, action = placed.order.action.as_str(), target = placed.order.target.name(),
            actor = %placed.order.actor, until = %rfc3339(ends_at), "an operator's order holds");
        Ok(placed)
    }

    /// Ends an order before its time.
    ///
    /// # Errors
    /// The rules' refusal, or the store's; everything holds as before then.
    pub async fn restore_override(&self, ask: Restore) -> Result<(Override, u64), OverrideError> {
        let mut audit = self.ordered.writing.lock().await;
        let now = self.clock.now();
        let (next, ended) = self.overrides().restore(ask.id, ask.if_version, now)?;
        let version = next.version(now);
        let entry = AuditEntry {
            at: now,
            actor: ask.actor,
            action: "restore".to_owned(),
            target: ended.target.name().to_owned(),
            reason: ask.reason,
            until: None,
            override_id: Some(ended.id),
            detail: format!("ended a {} that had until {}", ended.action.as_str(), rfc3339(ended.ends_at)),
        };
        self.write(&mut audit, &next, entry).await?;
        tracing::warn!(override_id = %ended.id, target = ended.target.name(), "an operator took an order back");
        Ok((ended, version))
    }

    /// Writes a change that is no override into the audit, before it is made.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        let mut audit = self.ordered.writing.lock().await;
        let mut batch = Batch::default();
        let number = audit.add(entry, &mut batch)?;
        self.store.commit(batch, Urgency::Vital).await?;
        audit.written(number);
        Ok(())
    }

    /// Does work whose batch holds the entry, so that neither is there without the other.
    pub(super) async fn audited<T, F: Future<Output = Result<T, FlowError>>>(
        &self,
        entry: AuditEntry,
        work: impl FnOnce(Batch) -> F,
    ) -> Result<T, FlowError> {
        let mut audit = self.ordered.writing.lock().await;
        let mut batch = Batch::default();
        let number = audit.add(entry, &mut batch)?;
        let done = work(batch).await?;
        audit.written(number);
        Ok(done)
    }

    /// Entries of the audit before a number, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit_page(&self, before: Option<u64>, limit: usize) -> Result<AuditPage, StoreError> {
        let written = self.ordered.writing.lock().await.count();
        audit::page(self.store.as_ref(), before.unwrap_or(u64::MAX).min(written), limit).await
    }

    /// Counts the ends of drains that the clock brought, and shows until when orders hold.
    pub(super) fn refresh_overrides(&self, config: &Config) {
        self.note_drained(config, Cause::Expiry);
        let (all, now) = (self.overrides(), self.clock.now());
        for channel in &config.channels {
            for (action, label) in [(Action::Drain, OverrideAction::Drain), (Action::Force, OverrideAction::Force)] {
                let ends_at = all.ends_at(&channel.id, &channel.provider_id, action, now);
                self.metrics.override_expires(&channel.id, label, ends_at);
            }
        }
    }

    /// Whether an operator took a channel out.
    pub(super) fn is_drained(&self, channel: &Channel) -> bool {
        self.ordered.now.load().is_drained(&channel.id, &channel.provider_id, self.clock.now())
    }

    /// Whether an operator wants a channel tried first.
    pub(super) fn is_forced(&self, channel: &Channel) -> bool {
        self.ordered.now.load().is_forced(&channel.id, &channel.provider_id, self.clock.now())
    }

    /// Takes note of who is drained after a start: what held before is no news.
    pub(super) fn recall_drained(&self) {
        let config = self.config();
        *self.drained_seen() = self.drained_now(&config);
    }

    async fn write(&self, audit: &mut Audit, next: &Overrides, entry: AuditEntry) -> Result<(), OverrideError> {
        let kept = Kept { format: FORMAT, overrides: next.clone() };
        let bytes = serde_json::to_vec(&kept).map_err(|e| StoreError::Unreadable(e.to_string()))?;
        let mut batch = Batch { keeps: vec![(KEPT_AS.to_owned(), bytes)], ..Batch::default() };
        let number = audit.add(entry, &mut batch)?;
        self.store.commit(batch, Urgency::Vital).await?;
        audit.written(number);
        let config = self.config();
        self.note_drained(&config, Cause::Expiry);
        self.hold(&config, next.clone());
        self.refresh_overrides(&config);
        Ok(())
    }

    /// From here on the router sees it. Nobody counts between the change and its own count.
    fn hold(&self, config: &Config, next: Overrides) {
        let mut seen = self.drained_seen();
        self.ordered.now.store(Arc::new(next));
        self.count_moves(config, &mut seen, Cause::Operator);
    }

    fn note_drained(&self, config: &Config, cause: Cause) {
        self.count_moves(config, &mut self.drained_seen(), cause);
    }

    fn count_moves(&self, config: &Config, seen: &mut BTreeSet<ChannelId>, cause: Cause) {
        let drained = self.drained_now(config);
        for channel in seen.symmetric_difference(&drained) {
            let state = self.channel_state(channel);
            // What the configuration switched off moves nowhere when it is drained as well.
            if state != ChannelState::Disabled {
                tracing::info!(%channel, state = state.as_str(), cause = cause.as_str(), "a channel's state changed");
                self.metrics.channel_moved(channel, state, cause);
            }
        }
        *seen = drained;
    }

    fn drained_now(&self, config: &Config) -> BTreeSet<ChannelId> {
        config.channels.iter().filter(|channel| self.is_drained(channel)).map(|channel| channel.id.clone()).collect()
    }

    fn drained_seen(&self) -> std::sync::MutexGuard<'_, BTreeSet<ChannelId>> {
        self.ordered.drained.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standings(&self) -> Vec<Standing> {
        self.config().channels.iter().map(|channel| self.standing(channel)).collect()
    }

    fn standing(&self, channel: &Channel) -> Standing {
        let now = self.clock.now();
        let view = self.channels.view(&channel.id, now);
        let limit = &channel.daily_limit;
        let day_amount_left = limit.amount.map(|max| max.saturating_sub(view.day_amount).max(0));
        let day_count_left = limit.count.map(|max| max.saturating_sub(view.day_count).max(0));
        let spent = day_amount_left.is_some_and(|left| left < channel.amount.min) || day_count_left == Some(0);
        Standing {
            channel: channel.id.clone(),
            provider: channel.provider_id.clone(),
            enabled: channel.enabled,
            routable: self.channels.standing(&channel.id, now) != tongdao_core::routing::Standing::Out && !spent,
            open_attempts: self.board.open_attempts(&channel.id),
            in_flight_max: channel.capacity.max_in_flight,
            per_second_max: channel.capacity.per_second,
            day_amount_left,
            day_count_left,
        }
    }
}

fn end_of(order: &Order, now: UnixMillis) -> UnixMillis {
    now.plus_ms(i64::try_from(order.lasts.as_millis()).unwrap_or(i64::MAX))
}

fn detail_of(consequence: &Consequence) -> String {
    let mut said = format!("{} attempts in flight there", consequence.open_attempts());
    if let Some(replaced) = consequence.replaces {
        said.push_str(&format!("; replaced {replaced}"));
    }
    if !consequence.stranded.is_empty() {
        let stranded: Vec<&str> = consequence.stranded.iter().map(|provider| provider.as_str()).collect();
        said.push_str(&format!("; left without a channel: {}", stranded.join(", ")));
    }
    said
}
