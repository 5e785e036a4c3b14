//! One run of a channel's day: ask, spool, check, book, and say what came of it.
//!
//! Invariants: a run is numbered and its number is durable before a line is booked, so lines of a run that died count
//! for nothing; the books are written when all lines have their places and re-add, and never before. A day on which
//! we have payments and the provider has no file is asked for again, and then fails loudly.

use super::Turn;
use super::book::order_of;
use super::fetch::{Fetched, StatementFile};
use super::read::Checked;
use crate::config::Channel;
use crate::flow::Flow;
use crate::metrics::ReconciliationResult;
use crate::ports::{Batch, DayEntry, Reconciliation, ReconciliationStatus, StoreError, Urgency, reconciliation_id};
use tongdao_core::day::Day;
use tongdao_core::provider::{StatementFault, StatementTerms};

/// After the provider's hour, "there is none" is patience at first: some say so while they are making it.
const PATIENCE_MS: i64 = 6 * 3_600_000;
/// Until the store answers again.
const PAUSE_MS: i64 = 60_000;
const ENTRIES_AT_ONCE: usize = 256;

/// Why a run ended without books.
pub(super) enum Early {
    /// It is asked for again at that moment; nothing is wrong yet.
    Waits { why: &'static str, result: ReconciliationResult },
    /// It is tried again, and a person should know.
    Failed { why: String, result: ReconciliationResult },
    /// The store did not take it.
    Store(StoreError),
}

impl From<StoreError> for Early {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Flow {
    /// Gives a day its turn. Whatever stops it, the day is put down again.
    pub async fn reconcile(&self, mut turn: Turn) {
        let Some(channel) = self.channel(&turn.channel) else {
            tracing::error!(channel = %turn.channel, day = %turn.day, "a day's channel is not configured any more");
            return;
        };
        let Some(terms) = channel.provider.statement_terms() else { return };
        let ended = match self.reconcile_once(&mut turn, &channel, terms).await {
            Ok(()) => return,
            Err(ended) => ended,
        };
        let again_at = self.clock.now().plus_ms(terms.again_ms.max(PAUSE_MS));
        let stored = match ended {
            Early::Store(error) => Err(error),
            Early::Waits { why, result } => {
                self.metrics.reconciliation_ended(&channel.id, result);
                tracing::info!(channel = %channel.id, day = %turn.day, why, "a statement is not there yet");
                self.note_early(&turn, ReconciliationStatus::Queued, why.to_owned()).await
            }
            Early::Failed { why, result } => {
                self.metrics.reconciliation_ended(&channel.id, result);
                tracing::error!(channel = %channel.id, day = %turn.day, why, "a day could not be reconciled");
                self.note_early(&turn, ReconciliationStatus::Failed, why).await
            }
        };
        match stored {
            Ok(()) => self.agenda.put(&channel.id, turn.day, again_at, None),
            Err(StoreError::Closed) => {}
            Err(error) => {
                tracing::error!(channel = %channel.id, day = %turn.day, %error, "a reconciliation was stopped by the store");
                self.agenda.put(&channel.id, turn.day, self.clock.now().plus_ms(PAUSE_MS), None);
            }
        }
    }

    async fn reconcile_once(&self, turn: &mut Turn, channel: &Channel, terms: StatementTerms) -> Result<(), Early> {
        let file = match turn.file.take() {
            Some(spooled) => Some(StatementFile { spooled, seal: None }),
            None => self.file_of_provider(channel, turn.day, terms).await?,
        };
        let checked = match file {
            Some(file) => Some(file.check(channel.provider.clone(), turn.day).await.map_err(refused)?),
            None => None,
        };
        let one = self.begin_run(turn).await?;
        turn.progress.expect(checked.as_ref().map_or(0, Checked::lines));
        let (books, mending) = self.book_day(order_of(channel, terms, one.day, one.run), checked, turn).await?;
        // The books stand before anybody is asked; until the asking is over, the run is not.
        self.write_reconciliation(Reconciliation { done_run: Some(one.run), books, ..one.clone() }).await?;
        let unanswered = self.mend(channel, mending).await?;
        if unanswered > 0 && self.agenda.may_repeat(&channel.id, turn.day) {
            tracing::warn!(channel = %channel.id, day = %turn.day, unanswered, "some differences could not be asked about");
            let again_at = self.clock.now().plus_ms(terms.again_ms.max(PAUSE_MS));
            self.agenda.put(&channel.id, turn.day, again_at, None);
        }
        self.end_run(&one).await?;
        Ok(())
    }

    /// `None` for a day without a file and without payments of ours.
    async fn file_of_provider(
        &self,
        channel: &Channel,
        day: Day,
        terms: StatementTerms,
    ) -> Result<Option<StatementFile>, Early> {
        match self.fetch_statement(channel, day).await {
            Fetched::File(file) => Ok(Some(file)),
            Fetched::NotReady => {
                Err(Early::Waits { why: "the provider is still making it", result: ReconciliationResult::NotReady })
            }
            Fetched::Trouble(why) => Err(Early::Failed { why, result: ReconciliationResult::Failed }),
            Fetched::Absent if !self.is_active(channel, day).await? => Ok(None),
            Fetched::Absent => Err(self.absent_on_active_day(day, terms)),
        }
    }

    fn absent_on_active_day(&self, day: Day, terms: StatementTerms) -> Early {
        let late_at = day.midnight().plus_ms(terms.ready_ms).plus_ms(PATIENCE_MS);
        let result = ReconciliationResult::Absent;
        if self.clock.now() < late_at {
            return Early::Waits { why: "the provider says there is none, and we have payments of that day", result };
        }
        let why = "the provider still says that there is no statement, and we have payments of that day".to_owned();
        Early::Failed { why, result }
    }

    /// Whether a file of that day must name something of ours.
    async fn is_active(&self, channel: &Channel, day: Day) -> Result<bool, StoreError> {
        let mut after = None;
        loop {
            let page = self.store.entries(&channel.id, day, after, ENTRIES_AT_ONCE).await?;
            if page.iter().any(|entry| entry.status.is_settled()) {
                return Ok(true);
            }
            let Some(DayEntry { kind, number, .. }) = page.into_iter().last() else { return Ok(false) };
            after = Some((kind, number));
        }
    }

    async fn begin_run(&self, turn: &Turn) -> Result<Reconciliation, StoreError> {
        let now = self.clock.now();
        let known = self.store.reconciliation(reconciliation_id(&turn.channel, turn.day)).await?;
        let known = known.unwrap_or_else(|| Reconciliation::new(&turn.channel, turn.day, now));
        let run = known.run.saturating_add(1);
        let status = ReconciliationStatus::Running;
        let one = Reconciliation { run, status, started_at: now, finished_at: None, failure: None, ..known };
        self.write_reconciliation(one.clone()).await?;
        Ok(one)
    }

    async fn end_run(&self, one: &Reconciliation) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mended = self.store.reconciliation(one.id).await?;
        let mended =
            mended.ok_or_else(|| StoreError::Unreadable(format!("the reconciliation {} is absent", one.id)))?;
        let status = ReconciliationStatus::Done;
        let done = Reconciliation { status, finished_at: Some(now), failure: None, ..mended };
        self.write_reconciliation(done.clone()).await?;
        self.metrics.reconciliation_ended(&one.channel, ReconciliationResult::Done);
        self.metrics.reconciled_at(&one.channel, now);
        self.metrics.lines_reconciled(&one.channel, &done.books);
        let (lines, breaks) = (done.books.whole.theirs.count, done.books.broken());
        tracing::info!(channel = %one.channel, day = %one.day, lines, breaks, "a day is reconciled");
        Ok(())
    }

    async fn note_early(&self, turn: &Turn, status: ReconciliationStatus, why: String) -> Result<(), StoreError> {
        let now = self.clock.now();
        let known = self.store.reconciliation(reconciliation_id(&turn.channel, turn.day)).await?;
        let known = known.unwrap_or_else(|| Reconciliation::new(&turn.channel, turn.day, now));
        let finished_at = (status == ReconciliationStatus::Failed).then_some(now);
        self.write_reconciliation(Reconciliation { status, finished_at, failure: Some(why), ..known }).await
    }

    pub(super) async fn write_reconciliation(&self, one: Reconciliation) -> Result<(), StoreError> {
        let batch = Batch { reconciliations: vec![one], ..Batch::default() };
        self.store.commit(batch, Urgency::Vital).await
    }
}

pub(super) fn refused(fault: StatementFault) -> Early {
    let result = match &fault {
        StatementFault::Stopped(_) => ReconciliationResult::Failed,
        StatementFault::Line { .. } | StatementFault::File(_) => ReconciliationResult::Refused,
    };
    Early::Failed { why: format!("the file is not believed: {fault}"), result }
}
