//! The day's end: every line of a provider's statement against what we credited and refunded.
//!
//! Invariants: L6 (every line ends in one place, and the totals re-add); a line alone moves no money (L1): it opens a
//! break and asks, and the provider's verified answer credits or refunds; nothing is booked from a file that was not
//! found whole; a run that dies anywhere is begun again and writes the same over the same. A day that somebody paid on
//! is never "no file, all fine".

mod agenda;
mod ask;
mod book;
mod fetch;
mod read;
mod repair;
mod run;

pub(crate) use agenda::Agenda;
pub use agenda::Turn;
pub use ask::{AskedDay, ReconcileRefused};

use super::book::BookOrder;
use super::{Flow, FlowError};
use crate::ports::{Batch, Reconciliation, ReconciliationStatus, StoreError, Urgency, reconciliation_id};
use std::collections::{BTreeMap, BTreeSet};
use tongdao_core::day::Day;
use tongdao_core::ids::{ChannelId, ReconciliationId};
use tongdao_core::provider::StatementTerms;
use tongdao_core::reconcile::Repair;
use tongdao_core::time::UnixMillis;

/// What a booked day wants asked, and the days to look at again afterwards, itself first.
struct Mending {
    repairs: BTreeSet<Repair>,
    orders: Vec<BookOrder>,
}

/// From which day on each channel's days are reconciled by themselves.
const SINCE_KEPT_AS: &str = "reconciled since";
/// All channels of a provider ask at their own minute, so that we are no crowd.
const JITTER_MAX_MS: u64 = 10 * 60_000;
/// Days put down in one look: a long absence is caught up bit by bit.
const DAYS_AT_ONCE: usize = 8;

impl Flow {
    /// Puts down what is due by the providers' hours: every channel's days since it is known here, missed ones too.
    ///
    /// # Errors
    /// The store's.
    pub async fn plan_reconciliations(&self) -> Result<(), StoreError> {
        let config = self.config.load_full();
        if !config.reconciliation.automatic {
            return Ok(());
        }
        let now = self.clock.now();
        let since = self.since(&config, now).await?;
        for channel in &config.channels {
            let Some(terms) = channel.provider.statement_terms() else { continue };
            let first = since.get(&channel.id).copied().unwrap_or_else(|| Day::of(now, terms.turns_ms));
            self.plan_channel(&channel.id, terms, first).await?;
        }
        Ok(())
    }

    /// Puts down what a person ordered, or a process that is gone had begun.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume_reconciliations(&self) -> Result<(), StoreError> {
        let (mut before, now) = (None, self.clock.now());
        loop {
            let page = self.store.reconciliations(None, before, 200).await?;
            let Some(last) = page.last().map(|one| one.id) else { return Ok(()) };
            before = Some(last);
            for one in page {
                if let (Some(_), Some(at)) = (one.done_run, one.finished_at) {
                    self.metrics.reconciled_at(&one.channel, at);
                }
                match one.status {
                    ReconciliationStatus::Queued | ReconciliationStatus::Running => {
                        self.agenda.put(&one.channel, one.day, now, None);
                    }
                    ReconciliationStatus::Done | ReconciliationStatus::Failed => {}
                }
            }
        }
    }

    /// The next day whose turn it is; it is at work until the turn is dropped.
    #[must_use]
    pub fn take_reconciliation(&self) -> Option<Turn> {
        self.agenda.take(self.clock.now())
    }

    /// When the next day that waits is due.
    #[must_use]
    pub fn next_reconciliation_at(&self) -> Option<UnixMillis> {
        self.agenda.next_at()
    }

    /// Completes when there is something new to look at.
    pub async fn reconciliations_moved(&self) {
        self.agenda.moved().await;
    }

    /// How far the run of a reconciliation is: lines placed, and lines in all; `None` while it does not run.
    #[must_use]
    pub fn reconciliation_progress(&self, one: &Reconciliation) -> Option<(u64, u64)> {
        self.agenda.progress(&one.channel, one.day)
    }

    /// A reconciliation.
    ///
    /// # Errors
    /// `NotFound`, or the store's.
    pub async fn reconciliation(&self, id: ReconciliationId) -> Result<Reconciliation, FlowError> {
        self.store.reconciliation(id).await?.ok_or(FlowError::NotFound)
    }

    async fn plan_channel(&self, channel: &ChannelId, terms: StatementTerms, first: Day) -> Result<(), StoreError> {
        let now = self.clock.now();
        let today = Day::of(now, terms.turns_ms);
        let mut day = first.max(today.plus(terms.kept_days.saturating_neg()));
        let mut put = 0_usize;
        while day < today && put < DAYS_AT_ONCE {
            let ready_at = day.midnight().plus_ms(terms.ready_ms).plus_ms(jitter_ms(channel, day));
            if ready_at <= now && !self.agenda.knows(channel, day) {
                let known = self.store.reconciliation(reconciliation_id(channel, day)).await?;
                if known.is_none_or(|known| known.done_run.is_none()) {
                    self.agenda.put(channel, day, now, None);
                    put = put.saturating_add(1);
                }
            }
            day = day.plus(1);
        }
        Ok(())
    }

    /// From which day on each channel is looked after; a channel seen for the first time is from today on.
    async fn since(
        &self,
        config: &crate::config::Config,
        now: UnixMillis,
    ) -> Result<BTreeMap<ChannelId, Day>, StoreError> {
        let kept = self.store.kept(SINCE_KEPT_AS).await?;
        let unreadable = |error: serde_json::Error| StoreError::Unreadable(format!("{SINCE_KEPT_AS}: {error}"));
        let mut since: BTreeMap<ChannelId, Day> =
            kept.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(unreadable)?.unwrap_or_default();
        let known = since.len();
        for channel in &config.channels {
            if let Some(terms) = channel.provider.statement_terms() {
                since.entry(channel.id.clone()).or_insert_with(|| Day::of(now, terms.turns_ms));
            }
        }
        if since.len() > known {
            let bytes = serde_json::to_vec(&since).map_err(unreadable)?;
            let batch = Batch { keeps: vec![(SINCE_KEPT_AS.to_owned(), bytes)], ..Batch::default() };
            self.store.commit(batch, Urgency::Vital).await?;
        }
        Ok(since)
    }
}

/// The minute of a channel's day: always the same, and another one for each.
fn jitter_ms(channel: &ChannelId, day: Day) -> i64 {
    let id = reconciliation_id(channel, day);
    let bits = id.to_bytes().iter().rev().take(6).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    i64::try_from(bits % JITTER_MAX_MS).unwrap_or_default()
}
