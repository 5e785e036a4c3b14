//! The matching pass: gives every line of a statement its one place, then every entry of the day that no line names.
//!
//! Invariants (L6): lines, breaks and strays of a chunk are one durable batch; the same file gives the same places,
//! breaks and books on every run; memory holds one chunk and a few bytes a line, whatever the file's length. Nothing
//! here asks a provider or moves money: the caller carries out what the verdicts ask for, then calls `settle`.

mod breaks;
mod facts;
mod settle;
#[cfg(test)]
mod tests;
mod unlined;

pub use settle::{Settled, settle};

use crate::ports::{Batch, LineWrite, Store, StoreError, Stray, Urgency, reconciliation_id};
use facts::{Found, Named};
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;
use tongdao_core::day::Day;
use tongdao_core::effect::BreakKind;
use tongdao_core::ids::{BreakId, ChannelId, ChargeId, ProviderId, ReconciliationId};
use tongdao_core::provider::{LineKind, StatementLine};
use tongdao_core::reconcile::{
    BookedLine, Books, DoNotAdd, Facts, FeeRule, LineKey, Place, Repair, Verdict, judge, theirs,
};
use tongdao_core::time::UnixMillis;

/// Records read or written at once.
const PAGE: usize = 1_000;
/// Lines that become one batch.
const LINES_AT_ONCE: usize = if cfg!(test) { 3 } else { 2_048 };
/// Fees that differ on more lines of a day than this are one matter: the contract says another fee than we do. The
/// lines beyond keep their place and open no break of their own.
const FEE_BREAKS_MAX: u64 = 1_000;

/// Which day is booked, and by what rules.
#[derive(Debug, Clone)]
pub struct BookOrder {
    /// The channel.
    pub channel: ChannelId,
    /// Its provider.
    pub provider: ProviderId,
    /// Its account there.
    pub account: String,
    /// The statement's day.
    pub day: Day,
    /// The run of the day's reconciliation.
    pub run: u32,
    /// A line may stand in the file of a day this far from the one that we expect.
    pub strays_days: i64,
    /// What a payment costs.
    pub fee: FeeRule,
}

impl BookOrder {
    /// The reconciliation of its day.
    #[must_use]
    pub fn id(&self) -> ReconciliationId {
        reconciliation_id(&self.channel, self.day)
    }
}

/// Why the pass ended early; it may be begun again with the next run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The store's.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The places do not add up.
    #[error("{0}")]
    DoNotAdd(#[from] DoNotAdd),
}

/// A day whose lines are being booked.
pub struct Booking {
    store: Arc<dyn Store>,
    order: BookOrder,
    books: Books,
    /// Hashes of the names seen in this file: only what is met again is looked up.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// Entries of this day that another day's file named.
    strays: BTreeMap<(LineKind, String), Day>,
    /// Open breaks about goods, by charge.
    owed: BTreeMap<ChargeId, BreakKind>,
    /// Other days whose entries this file names.
    touched: BTreeSet<Day>,
    /// Lines whose fee differs.
    fees: u64,
    /// Lines to be booked with the next ones.
    waiting: Vec<StatementLine>,
    /// What was booked last, to be written.
    written: Option<Batch>,
}

/// A day whose lines and entries all have their places.
#[derive(Debug, Clone)]
pub struct Booked {
    /// The books, which add up.
    pub books: Books,
    /// Whom to ask about the last lines, and about entries that no line names.
    pub repairs: Vec<Repair>,
    /// Other days that may stand otherwise now, this one aside: settle them.
    pub touched: BTreeSet<Day>,
}

impl Booking {
    /// Begins a run. The day's document says already that it runs.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin(store: Arc<dyn Store>, order: BookOrder) -> Result<Self, BookError> {
        let strays = facts::strays_of(store.as_ref(), &order).await?;
        let owed = breaks::owed(store.as_ref()).await?;
        Ok(Self {
            store,
            order,
            books: Books::default(),
            seen: HashSet::new(),
            hasher: RandomState::new(),
            strays,
            owed,
            touched: BTreeSet::new(),
            fees: 0,
            waiting: Vec::new(),
            written: None,
        })
    }

    /// Books some of the file's lines, in the file's order, and answers whom to ask about what was booked. Few lines
    /// wait for the next ones; the last wait for `finish`.
    ///
    /// # Errors
    /// The store's; the run is over then.
    pub async fn book(&mut self, lines: Vec<StatementLine>, now: UnixMillis) -> Result<Vec<Repair>, BookError> {
        self.waiting.extend(lines);
        if self.waiting.len() < LINES_AT_ONCE {
            return Ok(Vec::new());
        }
        self.book_waiting(now).await
    }

    /// Finds what is known of the lines that wait while the store still writes those before them.
    async fn book_waiting(&mut self, now: UnixMillis) -> Result<Vec<Repair>, BookError> {
        let store = Arc::clone(&self.store);
        let lines = std::mem::take(&mut self.waiting);
        let written = write(store.as_ref(), self.written.take());
        // The write is begun first; it goes on while the reads below keep this thread.
        let (written, found) = tokio::join!(written, facts::find(store.as_ref(), &self.order, lines));
        written?;
        let found = found?;
        let mut batch = Batch::default();
        let mut repairs = BTreeSet::new();
        let mut of_chunk = BTreeSet::new();
        for one in found {
            let in_file = self.is_in_file(&one.name, &mut of_chunk).await?;
            let seen = in_file || facts::is_named_elsewhere(store.as_ref(), &self.order, &one, &self.strays).await?;
            let place = self.place(&one, seen, in_file);
            let breach = self.note_break(&place, &one, now, &mut batch).await?;
            repairs.insert(place.verdict.repair);
            self.books.add_theirs(theirs(&one.line));
            self.books.place(place.line.place, place.line.theirs(), place.line.ours);
            if !seen {
                self.note_stray(&one, &mut batch);
            }
            let reconciliation = self.order.id();
            batch.lines.push(LineWrite { reconciliation, line: place.line, was_open: false, breach });
        }
        self.written = Some(batch);
        repairs.remove(&Repair::Nothing);
        Ok(repairs.into_iter().collect())
    }

    /// Gives the day's other entries their places, closes what an earlier run had opened and this one did not find,
    /// and adds everything up.
    ///
    /// # Errors
    /// `DoNotAdd` when the places do not add up, or the store's.
    pub async fn finish(mut self, now: UnixMillis) -> Result<Booked, BookError> {
        let mut repairs = self.book_waiting(now).await?;
        write(self.store.as_ref(), self.written.take()).await?;
        repairs.extend(self.place_unlined(now).await?);
        breaks::sweep(self.store.as_ref(), &self.order, now).await?;
        self.books.check()?;
        let mut touched = self.touched;
        touched
            .extend((1..=self.order.strays_days).flat_map(|off| [self.order.day.plus(-off), self.order.day.plus(off)]));
        Ok(Booked { books: self.books, repairs, touched })
    }

    async fn note_break(
        &mut self,
        placed: &Placed,
        one: &Found,
        now: UnixMillis,
        batch: &mut Batch,
    ) -> Result<Option<BreakId>, StoreError> {
        let Some(kind) = kind_of(placed.line.place) else { return Ok(None) };
        let store = self.store.as_ref();
        if kind == BreakKind::FeeDiffers {
            self.fees = self.fees.saturating_add(1);
        }
        let breach = if kind == BreakKind::FeeDiffers && self.fees > FEE_BREAKS_MAX {
            // The configured fee is wrong, not the lines.
            None
        } else {
            breaks::note(store, &self.order, (placed, one), now, batch).await?
        };
        if self.order.run > 1 {
            // An earlier run may have given this line another name.
            let old = store.lines_named(self.order.id(), std::slice::from_ref(&placed.line.key)).await?;
            if let Some(old) = old.into_iter().flatten().next() {
                breaks::close_old(store, &self.order, (&old, breach), now, batch).await?;
            }
        }
        Ok(breach)
    }

    fn place(&self, one: &Found, seen: bool, in_file: bool) -> Placed {
        let facts = Facts {
            day: self.order.day,
            entry: one.entry.as_ref(),
            known: one.known,
            seen,
            owed: one.charge().and_then(|charge| self.owed.get(&charge).copied()),
            fee: self.order.fee,
        };
        let ordinal = if in_file { one.line.line } else { 0 };
        placed(one, &facts, ordinal, self.order.run)
    }

    /// Whether a line of that name came before in this file.
    async fn is_in_file(&mut self, name: &Named, of_chunk: &mut BTreeSet<Named>) -> Result<bool, StoreError> {
        let first = self.seen.insert(self.hasher.hash_one(name));
        if !of_chunk.insert(name.clone()) {
            return Ok(true);
        }
        if first {
            return Ok(false);
        }
        let key = LineKey { kind: name.0, number: name.1.clone(), ordinal: 0 };
        let booked = self.store.lines_named(self.order.id(), &[key]).await?;
        Ok(booked.into_iter().flatten().any(|line| line.run == self.order.run))
    }

    fn note_stray(&mut self, one: &Found, batch: &mut Batch) {
        let Some(entry) = one.entry.as_ref().filter(|entry| entry.day != self.order.day) else { return };
        if !entry.is_other_payment(&one.line) {
            self.touched.insert(entry.day);
            batch.strays.push(stray_of(&self.order, one, entry.day));
        }
    }
}

async fn write(store: &dyn Store, batch: Option<Batch>) -> Result<(), StoreError> {
    match batch {
        Some(batch) => store.commit(batch, Urgency::Vital).await,
        None => Ok(()),
    }
}

/// A line in its place.
struct Placed {
    line: BookedLine,
    verdict: Verdict,
}

fn placed(one: &Found, facts: &Facts<'_>, ordinal: u64, run: u32) -> Placed {
    let verdict = judge(&one.line, facts);
    let key = LineKey { kind: one.name.0, number: one.name.1.clone(), ordinal };
    let line = BookedLine {
        key,
        run,
        line: Some(one.line.clone()),
        ours: verdict.ours,
        charge: one.charge(),
        place: verdict.place,
    };
    Placed { line, verdict }
}

fn stray_of(order: &BookOrder, one: &Found, entry_day: Day) -> Stray {
    Stray {
        channel: order.channel.clone(),
        entry_day,
        kind: one.name.0,
        number: one.name.1.clone(),
        file_day: order.day,
    }
}

/// The break that a place is, if it is one.
const fn kind_of(place: Place) -> Option<BreakKind> {
    match place {
        Place::Break(kind) => Some(kind),
        Place::Matched | Place::CarriedOver => None,
    }
}
