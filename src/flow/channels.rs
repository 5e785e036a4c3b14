//! How the channels stand: health and what they took today, shared by all merchants.
//!
//! Invariant: this decides only where new charges go. Whatever it says, callbacks, queries and refunds of a channel go
//! on. It is memory, kept in the store now and then, so that a restart is no cold start.

use crate::config::Config;
use crate::ports::{Batch, Store, StoreError, Urgency};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tongdao_core::ids::ChannelId;
use tongdao_core::money::Money;
use tongdao_core::routing::{Health, Signal};
use tongdao_core::time::UnixMillis;

const KEPT_AS: &str = "channels";
/// Days turn at midnight in Beijing.
const ZONE_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;
const ERRORS_MAX: usize = 5;

/// What is known of one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelView {
    /// How well it answers.
    pub health: Health,
    /// The Beijing day that the sums below belong to.
    day: i64,
    /// Minor units paid today.
    pub day_amount: i64,
    /// Payments today.
    pub day_count: i64,
    /// The last errors, newest last: when and what.
    pub last_errors: Vec<(UnixMillis, String)>,
}

/// What is known of all channels.
pub struct Channels {
    views: Mutex<BTreeMap<ChannelId, ChannelView>>,
}

impl Channels {
    /// Takes up what the store keeps.
    pub(super) async fn load(config: &Config, store: &dyn Store, now: UnixMillis) -> Result<Self, StoreError> {
        let kept = store.kept(KEPT_AS).await?;
        // What was kept by another release in another form is only knowledge: it is learnt anew.
        let views = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let channels = Self { views: Mutex::new(views) };
        channels.configure(config, now);
        Ok(channels)
    }

    /// Makes room for every configured channel.
    pub(super) fn configure(&self, config: &Config, now: UnixMillis) {
        let mut views = self.lock();
        for channel in &config.channels {
            views.entry(channel.id.clone()).or_insert_with(|| ChannelView::new(now));
        }
    }

    /// How a channel stands.
    #[must_use]
    pub fn view(&self, id: &ChannelId, now: UnixMillis) -> ChannelView {
        let view = self.lock().get(id).cloned().unwrap_or_else(|| ChannelView::new(now));
        view.on(now)
    }

    pub(super) fn note(&self, id: &ChannelId, signal: Signal, now: UnixMillis) -> ChannelView {
        self.with(id, now, |view| {
            view.health = view.health.noted(signal, now);
            let error = match signal {
                Signal::Answered { .. } => return,
                Signal::Failed { latency_ms } => format!("failed after {latency_ms} ms"),
                Signal::Congested => "congested".to_owned(),
                Signal::Misconfigured => "misconfigured".to_owned(),
            };
            view.last_errors.push((now, error));
            let over = view.last_errors.len().saturating_sub(ERRORS_MAX);
            view.last_errors.drain(..over);
        })
    }

    pub(super) fn probed(&self, id: &ChannelId, now: UnixMillis) {
        self.with(id, now, |view| view.health = view.health.probed(now));
    }

    pub(super) fn paid(&self, id: &ChannelId, amount: Money, now: UnixMillis) {
        self.with(id, now, |view| {
            view.day_amount = view.day_amount.saturating_add(amount.amount);
            view.day_count = view.day_count.saturating_add(1);
        });
    }

    /// Keeps what is known, so that a restart is no cold start.
    ///
    /// # Errors
    /// The store's.
    pub async fn save(&self, store: &dyn Store) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(&*self.lock()).map_err(|e| StoreError::Unreadable(e.to_string()))?;
        let batch = Batch { keeps: vec![(KEPT_AS.to_owned(), bytes)], ..Batch::default() };
        store.commit(batch, Urgency::Sheddable).await
    }

    fn with(&self, id: &ChannelId, now: UnixMillis, change: impl FnOnce(&mut ChannelView)) -> ChannelView {
        let mut views = self.lock();
        let view = views.entry(id.clone()).or_insert_with(|| ChannelView::new(now));
        *view = view.clone().on(now);
        change(view);
        view.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ChannelId, ChannelView>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChannelView {
    const fn new(now: UnixMillis) -> Self {
        Self { health: Health::new(now), day: day_of(now), day_amount: 0, day_count: 0, last_errors: Vec::new() }
    }

    /// The view on the day of `now`.
    fn on(mut self, now: UnixMillis) -> Self {
        let day = day_of(now);
        if day != self.day {
            (self.day, self.day_amount, self.day_count) = (day, 0, 0);
        }
        self
    }
}

const fn day_of(now: UnixMillis) -> i64 {
    now.0.saturating_add(ZONE_MS).div_euclid(DAY_MS)
}
