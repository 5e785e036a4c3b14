//! Looks again at what a day left open: after the provider was asked, and when a neighbouring day was booked.
//!
//! Invariant: what a new answer or another day's file explains leaves its place in the same batch that corrects the
//! day's books and closes its break; looking again without news changes nothing.

use super::facts::{self, Found, Named};
use super::unlined::{book_alone, is_elsewhere, waits};
use super::{BookError, BookOrder, PAGE, Placed, breaks, kind_of, placed, stray_of};
use crate::ports::{Batch, LineWrite, OpenLine, Reconciliation, Store, StoreError, Urgency};
use std::collections::{BTreeMap, BTreeSet};
use tongdao_core::day::Day;
use tongdao_core::effect::BreakKind;
use tongdao_core::ids::{BreakId, ChargeId};
use tongdao_core::reconcile::{BookedLine, Facts, LineKey, Repair, judge_unlined};
use tongdao_core::time::UnixMillis;

/// What looking again came to.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    /// The day as it stands now; `None` when it was never booked.
    pub reconciliation: Option<Reconciliation>,
    /// Whom to ask about what became a difference only now.
    pub repairs: Vec<Repair>,
    /// Breaks that this look closed.
    pub repaired: u64,
}

/// A line judged again, with what is known of it now.
pub(super) struct Rejudged {
    pub(super) placed: Placed,
    pub(super) found: Found,
    pub(super) seen: bool,
}

/// What a day's look needs to know once.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) strays: &'a BTreeMap<Named, Day>,
    pub(super) owed: &'a BTreeMap<ChargeId, BreakKind>,
}

/// What a line becomes.
enum Turn {
    Stays,
    /// It is no more: its entry moved to another day, or is not due any more.
    Gone,
    Becomes {
        line: Box<BookedLine>,
        breach: Option<BreakId>,
        repair: Repair,
    },
}

/// Looks again at every open line of a day's last run.
///
/// # Errors
/// The store's, or `DoNotAdd` when the day's books were wrong.
pub async fn settle(store: &dyn Store, order: &BookOrder, now: UnixMillis) -> Result<Settled, BookError> {
    let mut order = order.clone();
    let Some(mut one) = store.reconciliation(order.id()).await? else { return Ok(Settled::default()) };
    if one.done_run != Some(one.run) {
        // It was never booked, or is being booked anew: that run sees everything by itself.
        return Ok(Settled { reconciliation: Some(one), ..Settled::default() });
    }
    order.run = one.run;
    let strays = facts::strays_of(store, &order).await?;
    let owed = breaks::owed(store).await?;
    let look = Look {
        store,
        order: &order,
        known: Known { strays: &strays, owed: &owed },
        waits: waits(store, &order).await?,
        now,
    };
    let (mut after, mut settled, mut repairs) = (None, Settled::default(), BTreeSet::new());
    loop {
        let page = store.open_lines(order.id(), after, PAGE).await?;
        let Some(last) = page.last().map(|last| last.key.clone()) else { break };
        after = Some(last);
        settled.repaired = settled.repaired.saturating_add(look.page(page, &mut one, &mut repairs).await?);
    }
    repairs.remove(&Repair::Nothing);
    settled.repairs = repairs.into_iter().collect();
    settled.reconciliation = Some(one);
    Ok(settled)
}

struct Look<'a> {
    store: &'a dyn Store,
    order: &'a BookOrder,
    known: Known<'a>,
    waits: bool,
    now: UnixMillis,
}

impl Look<'_> {
    async fn page(
        &self,
        page: Vec<OpenLine>,
        one: &mut Reconciliation,
        repairs: &mut BTreeSet<Repair>,
    ) -> Result<u64, BookError> {
        let keys: Vec<LineKey> = page.iter().map(|open| open.key.clone()).collect();
        let lines = self.store.lines_named(self.order.id(), &keys).await?;
        let mut batch = Batch::default();
        let mut repaired = 0_u64;
        for (open, line) in page.into_iter().zip(lines) {
            let Some(line) = line.filter(|line| line.run == self.order.run) else { continue };
            let turn = self.turn(&line, &mut batch).await?;
            let (after, breach) = match turn {
                Turn::Stays => continue,
                Turn::Gone => (None, None),
                Turn::Becomes { line, breach, repair } => {
                    repairs.insert(repair);
                    (Some(*line), breach)
                }
            };
            let books = &mut one.books;
            books.unplace(line.place, line.theirs(), line.ours);
            books.change_ours(line.ours, after.as_ref().and_then(|after| after.ours));
            if let Some(after) = &after {
                books.place(after.place, after.theirs(), after.ours);
            }
            if let Some(old) = open.breach.filter(|old| breach != Some(*old)) {
                let closed = breaks::close(self.store, old, self.now, &mut batch).await?;
                let mended = closed && after.as_ref().is_none_or(|after| kind_of(after.place).is_none());
                repaired = repaired.saturating_add(u64::from(mended));
            }
            let id = self.order.id();
            match after {
                Some(line) => batch.lines.push(LineWrite { reconciliation: id, line, was_open: true, breach }),
                None => batch.gone_lines.push((id, line.key)),
            }
        }
        if batch.lines.is_empty() && batch.gone_lines.is_empty() {
            return Ok(0);
        }
        // Somebody may have ordered or begun another run meanwhile: that one sees everything by itself.
        let fresh = self.store.reconciliation(self.order.id()).await?;
        let Some(fresh) = fresh.filter(|fresh| fresh.run == one.run && fresh.done_run == one.done_run) else {
            return Ok(0);
        };
        *one = Reconciliation { books: one.books.clone(), ..fresh };
        one.books.repaired = one.books.repaired.saturating_add(repaired);
        one.books.check()?;
        batch.reconciliations.push(one.clone());
        self.store.commit(batch, Urgency::Vital).await?;
        Ok(repaired)
    }

    async fn turn(&self, line: &BookedLine, batch: &mut Batch) -> Result<Turn, StoreError> {
        if line.line.is_none() { self.turn_alone(line, batch).await } else { self.turn_line(line, batch).await }
    }

    async fn turn_line(&self, line: &BookedLine, batch: &mut Batch) -> Result<Turn, StoreError> {
        let Some(anew) = judge_line(self.store, self.order, line, self.known).await? else { return Ok(Turn::Stays) };
        let Rejudged { placed, found, seen } = anew;
        let breach = breaks::note(self.store, self.order, (&placed, &found), self.now, batch).await?;
        let other_day = found.entry.as_ref().map(|entry| entry.day).filter(|day| *day != self.order.day);
        if let Some(entry_day) = other_day.filter(|_| !seen && !found.is_other_payment()) {
            batch.strays.push(stray_of(self.order, &found, entry_day));
        }
        Ok(Turn::Becomes { line: Box::new(placed.line), breach, repair: placed.verdict.repair })
    }

    async fn turn_alone(&self, line: &BookedLine, batch: &mut Batch) -> Result<Turn, StoreError> {
        let name = [(line.key.kind, line.key.number.clone())];
        let entry = self.store.entries_named(&self.order.channel, &name).await?.into_iter().flatten().next();
        let Some(entry) = entry.filter(|entry| entry.day == self.order.day) else { return Ok(Turn::Gone) };
        let elsewhere = is_elsewhere(self.store, self.order, &entry, self.known.strays).await?;
        let Some(verdict) = judge_unlined(&entry, elsewhere, self.waits) else { return Ok(Turn::Gone) };
        if verdict.place == line.place && verdict.ours == line.ours {
            return Ok(Turn::Stays);
        }
        let alone = book_alone(self.store, self.order, (&entry, verdict), self.now, batch).await?;
        Ok(Turn::Becomes { line: Box::new(alone.0), breach: alone.1, repair: verdict.repair })
    }
}

/// Judges a booked line by what is known now; `None` when the verdict is the one that stands.
pub(super) async fn judge_line(
    store: &dyn Store,
    order: &BookOrder,
    line: &BookedLine,
    known: Known<'_>,
) -> Result<Option<Rejudged>, StoreError> {
    let Some(stated) = line.line.clone() else { return Ok(None) };
    let Some(mut found) = facts::find(store, order, vec![stated]).await?.into_iter().next() else { return Ok(None) };
    // A line keeps the name under which it was booked.
    found.name = (line.key.kind, line.key.number.clone());
    let again = line.key.ordinal != 0;
    let seen = again || facts::is_named_elsewhere(store, order, &found, known.strays).await?;
    let charge = found.charge();
    let facts = Facts {
        day: order.day,
        entry: found.entry.as_ref(),
        known: found.known,
        seen,
        owed: charge.and_then(|charge| known.owed.get(&charge).copied()),
        fee: order.fee,
    };
    let placed = placed(&found, &facts, line.key.ordinal, order.run);
    Ok((placed.line != *line).then_some(Rejudged { placed, found, seen }))
}
