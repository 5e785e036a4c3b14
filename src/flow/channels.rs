//! How the channels stand: what the router knows of them and what they took today, shared by all merchants.
//!
//! Invariant: this decides only where new charges go. Whatever it says, callbacks, queries and refunds of a channel go
//! on. It is memory behind one lock that is never held over a wait, kept in the store now and then, so that a restart
//! is no cold start.

mod kept;
mod orders;
mod payers;
mod places;
mod steady;

pub(super) use orders::{Order, number_of};
pub(super) use places::Places;

use crate::config::Config;
use crate::ports::{Batch, Store, StoreError, Urgency};
use kept::Kept;
use orders::Orders;
use payers::Payers;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use steady::Steady;
use tongdao_core::attempt::Attempt;
use tongdao_core::ids::{AttemptId, ChannelId, ChargeId, MerchantId, ProviderId};
use tongdao_core::money::Money;
use tongdao_core::routing::Standing;
use tongdao_core::routing::router::{Cause, Change, Input, Router, View};
use tongdao_core::time::UnixMillis;

/// Days turn at midnight in Beijing.
const ZONE_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;
const ERRORS_MAX: usize = 5;

/// What one channel took today, and its last errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelView {
    /// The Beijing day that the sums below belong to.
    day: i64,
    /// Minor units paid today.
    pub day_amount: i64,
    /// Payments today.
    pub day_count: i64,
    /// The last errors, newest last: when and what.
    pub last_errors: Vec<(UnixMillis, String)>,
}

/// A channel went out, came back, or is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) channel: ChannelId,
    pub(super) from: Standing,
    pub(super) to: Standing,
    pub(super) cause: Cause,
}

/// What is known of all channels.
pub struct Channels {
    known: Mutex<Known>,
}

/// What stands behind the lock.
pub(super) struct Known {
    pub(super) router: Router,
    pub(super) places: Places,
    pub(super) orders: Orders,
    pub(super) payers: Payers,
    views: BTreeMap<ChannelId, ChannelView>,
    steady: Steady,
    /// Whether anything is worth keeping that was not kept yet.
    changed: bool,
}

impl Channels {
    /// Takes up what the store keeps.
    pub(super) async fn load(config: &Config, store: &dyn Store, now: UnixMillis) -> Result<Self, StoreError> {
        let kept = Kept::load(store).await?;
        let mut known = Known {
            router: Router::new(Vec::new(), config.routing.margin()),
            places: Places::default(),
            orders: Orders::default(),
            payers: Payers::default(),
            views: kept.views(),
            steady: Steady::from(kept.at),
            changed: false,
        };
        known.configure(config, now);
        let at = known.steady.at(now);
        for (id, memory) in kept.memories() {
            if let Some(place) = known.places.of(&id) {
                known.router.recall(place, &memory, at);
            }
        }
        Ok(Self { known: Mutex::new(known) })
    }

    /// Makes room for every configured channel, and takes its terms.
    pub(super) fn configure(&self, config: &Config, now: UnixMillis) {
        self.lock().configure(config, now);
    }

    /// What a channel took today, and its last errors.
    #[must_use]
    pub fn view(&self, id: &ChannelId, now: UnixMillis) -> ChannelView {
        self.lock().view(id, now)
    }

    /// How the router judges a channel; none when it is not configured.
    #[must_use]
    pub fn judged(&self, id: &ChannelId, now: UnixMillis) -> Option<View> {
        let mut known = self.lock();
        let at = known.steady.at(now);
        known.router.view(known.places.of(id)?, at)
    }

    /// Whether a channel is in, out, or coming back.
    #[must_use]
    pub fn standing(&self, id: &ChannelId, now: UnixMillis) -> Standing {
        self.judged(id, now).map_or(Standing::In, |view| view.standing)
    }

    /// Whether all channels failed at once, so that it is probably us.
    #[must_use]
    pub fn is_it_us(&self, now: UnixMillis) -> bool {
        let mut known = self.lock();
        let at = known.steady.at(now);
        known.router.is_it_us(at)
    }

    /// Tells the router something about a channel. Gives back who moved by it.
    pub(super) fn tell(&self, id: &ChannelId, now: UnixMillis, input: impl FnOnce(usize) -> Input) -> Vec<Moved> {
        let mut known = self.lock();
        let at = known.steady.at(now);
        let Some(place) = known.places.of(id) else { return Vec::new() };
        known.router.apply(input(place), at);
        known.changed = true;
        known.moved()
    }

    /// An order can be paid from now on. `latency_ms`: how long its call took, if there was one.
    pub(super) fn accepted(
        &self,
        id: &ChannelId,
        (charge, attempt): (ChargeId, AttemptId),
        latency_ms: Option<i64>,
        now: UnixMillis,
    ) -> Vec<Moved> {
        let mut known = self.lock();
        let at = known.steady.at(now);
        let Some(channel) = known.places.of(id) else { return Vec::new() };
        let order = number_of(attempt);
        known.orders.insert(order, Order { charge, attempt, accepted_at: at });
        known.router.apply(Input::Accepted { channel, order, latency_ms }, at);
        known.changed = true;
        known.moved()
    }

    /// An order was paid, as a callback or a regular query says.
    pub(super) fn order_paid(&self, attempt: &Attempt, now: UnixMillis) -> Vec<Moved> {
        let mut known = self.lock();
        let at = known.steady.at(now);
        let Some(channel) = known.places.of(&attempt.channel) else { return Vec::new() };
        let order = number_of(attempt.id);
        // An order of a former life of this process is known by its attempt's beginning only.
        let accepted_at = known.orders.remove(order).map_or(attempt.created_at, |order| order.accepted_at);
        known.router.apply(Input::Paid { channel, order, accepted_at }, at);
        known.changed = true;
        known.moved()
    }

    /// An order will not be paid any more.
    pub(super) fn order_ended(&self, attempt: &Attempt, now: UnixMillis) {
        let mut known = self.lock();
        let at = known.steady.at(now);
        let order = number_of(attempt.id);
        let was_open = known.orders.remove(order).is_some();
        if let Some(channel) = known.places.of(&attempt.channel).filter(|_| was_open) {
            known.router.apply(Input::Expired { channel, order }, at);
        }
    }

    /// A payer of a merchant's paid this way.
    pub(super) fn payer_paid(&self, merchant: &MerchantId, payer: &str, method: &ProviderId) {
        self.lock().payers.paid(merchant, payer, method);
    }

    /// Moves the router's time on. Gives back who moved, and the orders to ask about.
    pub(super) fn tick(&self, now: UnixMillis) -> (Vec<Moved>, Vec<Order>) {
        let mut known = self.lock();
        let at = known.steady.at(now);
        let asked = known.router.tick(at);
        let asked = asked.into_iter().filter_map(|(_, number)| known.orders.find(number)).collect();
        (known.moved(), asked)
    }

    /// A payment came in.
    pub(super) fn paid(&self, id: &ChannelId, amount: Money, now: UnixMillis) {
        self.lock().with(id, now, |view| {
            view.day_amount = view.day_amount.saturating_add(amount.amount);
            view.day_count = view.day_count.saturating_add(1);
        });
    }

    /// Takes note of a call that did not do what was asked.
    pub(super) fn failed(&self, id: &ChannelId, error: String, now: UnixMillis) {
        self.lock().with(id, now, |view| {
            view.last_errors.push((now, error));
            let over = view.last_errors.len().saturating_sub(ERRORS_MAX);
            view.last_errors.drain(..over);
        });
    }

    /// Keeps what is known, unless nothing happened since the last time.
    ///
    /// # Errors
    /// The store's.
    pub async fn save(&self, store: &dyn Store, now: UnixMillis) -> Result<(), StoreError> {
        let Some(keep) = self.lock().keep(now) else { return Ok(()) };
        let batch = Batch { keeps: vec![keep?], ..Batch::default() };
        let saved = store.commit(batch, Urgency::Sheddable).await;
        if saved.is_err() {
            self.lock().changed = true;
        }
        saved
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The router's time: it never goes back, whatever the wall clock does.
    pub(super) fn at(&mut self, now: UnixMillis) -> UnixMillis {
        self.steady.at(now)
    }

    pub(super) fn view(&self, id: &ChannelId, now: UnixMillis) -> ChannelView {
        self.views.get(id).cloned().unwrap_or_else(|| ChannelView::new(now)).on(now)
    }

    /// What a channel took today: minor units and payments.
    pub(super) fn taken_today(&self, id: &ChannelId, now: UnixMillis) -> (i64, i64) {
        let today = self.views.get(id).filter(|view| view.day == day_of(now));
        today.map_or((0, 0), |view| (view.day_amount, view.day_count))
    }

    /// Who moved since somebody last looked.
    pub(super) fn moved(&mut self) -> Vec<Moved> {
        let changes = self.router.changes();
        if changes.is_empty() {
            return Vec::new();
        }
        self.changed = true;
        let moved = |change: Change| {
            let channel = self.places.name(change.channel)?.clone();
            Some(Moved { channel, from: change.from, to: change.to, cause: change.cause })
        };
        changes.into_iter().filter_map(moved).collect()
    }

    fn configure(&mut self, config: &Config, now: UnixMillis) {
        self.router.configure(config.routing.margin(), config.routing.explore);
        for (rank, channel) in config.channels.iter().enumerate() {
            self.views.entry(channel.id.clone()).or_insert_with(|| ChannelView::new(now));
            let terms = self.places.terms_of(channel, rank);
            match self.places.of(&channel.id) {
                Some(place) => self.router.set_terms(place, terms),
                None => match self.router.add(terms) {
                    Some(place) => self.places.add(channel.id.clone(), place),
                    None => tracing::error!(channel = %channel.id, "too many channels: this one takes no charges"),
                },
            }
        }
    }

    fn with(&mut self, id: &ChannelId, now: UnixMillis, change: impl FnOnce(&mut ChannelView)) {
        let view = self.views.entry(id.clone()).or_insert_with(|| ChannelView::new(now));
        *view = view.clone().on(now);
        change(view);
        self.changed = true;
    }

    fn keep(&mut self, now: UnixMillis) -> Option<Result<(String, Vec<u8>), StoreError>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let at = self.steady.at(now);
        let channel = |(id, view): (&ChannelId, &ChannelView)| {
            let memory = self.places.of(id).and_then(|place| self.router.memory(place));
            (id.clone(), view.clone(), memory)
        };
        Some(Kept::bytes(at, self.views.iter().map(channel)))
    }
}

impl ChannelView {
    const fn new(now: UnixMillis) -> Self {
        Self { day: day_of(now), day_amount: 0, day_count: 0, last_errors: Vec::new() }
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
