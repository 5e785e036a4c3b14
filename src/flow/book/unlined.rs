//! The entries of a day that no line names: both sides are walked in the order of kind and number.
//!
//! Invariant: every entry of the day's list is looked at once; one whose line was judged on other facts (it changed
//! since) is judged anew; one that is due and named nowhere waits for the neighbouring days' files, then is a break.

use super::facts::{self, Named};
use super::settle::Rejudged;
use super::{BookError, BookOrder, Booking, PAGE, breaks, kind_of, settle};
use crate::ports::{Batch, LineWrite, Store, StoreError, Urgency, reconciliation_id};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tongdao_core::day::Day;
use tongdao_core::ids::{BreakId, ReconciliationId};
use tongdao_core::provider::LineKind;
use tongdao_core::reconcile::{BookedLine, Entry, LineKey, Repair, Verdict, judge_unlined, signed};
use tongdao_core::time::UnixMillis;

impl Booking {
    /// Walks the day's entries and books those that no line names.
    pub(super) async fn place_unlined(&mut self, now: UnixMillis) -> Result<Vec<Repair>, BookError> {
        let store = std::sync::Arc::clone(&self.store);
        let waits = waits(store.as_ref(), &self.order).await?;
        let mut lines = Lines::of(store.as_ref(), &self.order);
        let (mut after, mut repairs) = (None, BTreeSet::new());
        loop {
            let page = store.entries(&self.order.channel, self.order.day, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.kind, last.number.clone()));
            let mut unlined = Vec::new();
            let mut batch = Batch::default();
            for entry in page {
                let expected = signed(entry.kind, entry.status.counts(), entry.amount);
                let line = lines.named(&(entry.kind, entry.number.clone())).await?;
                let lined = match line {
                    Some(line) if line.ours == Some(expected) => true,
                    Some(line) => self.judge_anew(line, &mut batch, &mut repairs, now).await?,
                    None => false,
                };
                if lined {
                    self.books.add_ours(expected);
                } else {
                    unlined.push((entry.kind, entry.number));
                }
            }
            self.book_unlined(&unlined, waits, (&mut batch, &mut repairs), now).await?;
            if !batch.lines.is_empty() {
                store.commit(batch, Urgency::Vital).await?;
            }
        }
        repairs.remove(&Repair::Nothing);
        Ok(repairs.into_iter().collect())
    }

    /// Judges a line again whose entry is not what it was; true when it goes with the day's entry now.
    async fn judge_anew(
        &mut self,
        line: BookedLine,
        batch: &mut Batch,
        repairs: &mut BTreeSet<Repair>,
        now: UnixMillis,
    ) -> Result<bool, BookError> {
        let (old_place, old_ours) = (line.place, line.ours);
        let known = settle::Known { strays: &self.strays, owed: &self.owed };
        let Some(anew) = settle::judge_line(self.store.as_ref(), &self.order, &line, known).await? else {
            return Ok(line.ours.is_some());
        };
        let Rejudged { placed, found, seen: _ } = anew;
        self.books.unplace(old_place, line.theirs(), old_ours);
        self.books.place(placed.line.place, placed.line.theirs(), placed.line.ours);
        let breach = breaks::note(self.store.as_ref(), &self.order, (&placed, &found), now, batch).await?;
        repairs.insert(placed.verdict.repair);
        let lined = placed.line.ours.is_some();
        breaks::close_old(self.store.as_ref(), &self.order, (&line, breach), now, batch).await?;
        let (reconciliation, was_open) = (self.order.id(), line.is_open());
        batch.lines.push(LineWrite { reconciliation, line: placed.line, was_open, breach });
        Ok(lined)
    }

    async fn book_unlined(
        &mut self,
        names: &[Named],
        waits: bool,
        (batch, repairs): (&mut Batch, &mut BTreeSet<Repair>),
        now: UnixMillis,
    ) -> Result<(), BookError> {
        let store = std::sync::Arc::clone(&self.store);
        for entry in store.entries_named(&self.order.channel, names).await?.into_iter().flatten() {
            let elsewhere = is_elsewhere(store.as_ref(), &self.order, &entry, &self.strays).await?;
            let Some(verdict) = judge_unlined(&entry, elsewhere, waits) else { continue };
            let (line, breach) = book_alone(store.as_ref(), &self.order, (&entry, verdict), now, batch).await?;
            self.books.add_ours(entry.signed());
            self.books.place(line.place, None, line.ours);
            repairs.insert(verdict.repair);
            batch.lines.push(LineWrite { reconciliation: self.order.id(), line, was_open: false, breach });
        }
        Ok(())
    }
}

/// Whether a later day's file that may name this day's entries is still to come.
pub(super) async fn waits(store: &dyn Store, order: &BookOrder) -> Result<bool, StoreError> {
    for off in 1..=order.strays_days {
        let id = reconciliation_id(&order.channel, order.day.plus(off));
        if store.reconciliation(id).await?.is_none_or(|next| next.done_run.is_none()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether another day's file names an entry of this day.
pub(super) async fn is_elsewhere(
    store: &dyn Store,
    order: &BookOrder,
    entry: &Entry,
    strays: &BTreeMap<Named, Day>,
) -> Result<bool, StoreError> {
    let name = (entry.kind, entry.number.clone());
    match strays.get(&name) {
        Some(day) if *day != order.day => facts::is_named_on(store, order, &name, *day).await,
        Some(_) | None => Ok(false),
    }
}

/// An entry that no line names, as it is booked.
pub(super) async fn book_alone(
    store: &dyn Store,
    order: &BookOrder,
    (entry, verdict): (&Entry, Verdict),
    now: UnixMillis,
    batch: &mut Batch,
) -> Result<(BookedLine, Option<BreakId>), StoreError> {
    let key = LineKey { kind: entry.kind, number: entry.number.clone(), ordinal: LineKey::OURS_ALONE };
    let line = BookedLine {
        key,
        run: order.run,
        line: None,
        ours: verdict.ours,
        charge: Some(entry.charge),
        place: verdict.place,
    };
    let Some(kind) = kind_of(line.place) else { return Ok((line, None)) };
    let evidence = format!(
        "{} {} {} is {:?} here, and no statement about {} names it",
        entry.number, entry.amount.amount, entry.amount.currency, entry.status, entry.day
    );
    let trade_no = Some(entry.provider_trade_no.as_str());
    let about = breaks::About { kind, line: &line, attempt: Some(entry.attempt), evidence, trade_no };
    let breach = breaks::open(store, order, &about, now, batch).await?;
    Ok((line, breach))
}

/// The lines of a run, walked beside the day's entries.
struct Lines<'a> {
    store: &'a dyn Store,
    id: ReconciliationId,
    run: u32,
    page: VecDeque<BookedLine>,
    after: Option<LineKey>,
    ended: bool,
}

impl<'a> Lines<'a> {
    fn of(store: &'a dyn Store, order: &BookOrder) -> Self {
        Self { store, id: order.id(), run: order.run, page: VecDeque::new(), after: None, ended: false }
    }

    /// The first line of that name. Names are asked for in the store's order.
    async fn named(&mut self, name: &Named) -> Result<Option<BookedLine>, StoreError> {
        loop {
            self.fill().await?;
            let Some(next) = self.page.front() else { return Ok(None) };
            if rank(next.key.kind, &next.key.number) > rank(name.0, &name.1) {
                return Ok(None);
            }
            let Some(line) = self.page.pop_front() else { return Ok(None) };
            let same = line.key.kind == name.0 && line.key.number == name.1;
            if same && line.key.ordinal == 0 && line.run == self.run && line.line.is_some() {
                return Ok(Some(line));
            }
        }
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        if self.ended || !self.page.is_empty() {
            return Ok(());
        }
        let page = self.store.lines(self.id, self.after.take(), PAGE).await?;
        self.ended = page.len() < PAGE;
        self.after = page.last().map(|last| last.key.clone());
        self.page = page.into();
        Ok(())
    }
}

/// The store's order: shorter numbers first.
fn rank(kind: LineKind, number: &str) -> (LineKind, usize, &str) {
    (kind, number.len(), number)
}
