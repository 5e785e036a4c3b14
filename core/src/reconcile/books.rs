//! The books of a day: what both sides add up to, and where every line went.
//!
//! Invariant (L6): the places re-add to both sides, in count and in minor units. Refunds count negative; a refund that
//! did not go through moves nothing and counts as a line of zero.

use super::Place;
use crate::effect::BreakKind;
use crate::provider::{LineKind, Tally};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one place holds of each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sides {
    /// The statement's lines.
    pub theirs: Tally,
    /// Our entries.
    pub ours: Tally,
}

/// The books of a channel's day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Books {
    /// All lines of the statement and all our entries of the day, added up by themselves.
    pub whole: Sides,
    /// Both sides say the same.
    pub matched: Sides,
    /// The other side stands on a neighbouring day, or may still come.
    pub carried_over: Sides,
    /// Differences by kind.
    pub breaks: BTreeMap<BreakKind, Sides>,
    /// Differences of the day that settled themselves since.
    pub repaired: u64,
}

/// The places do not add up to the sides: a defect, or a file that changed while it was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the places add up to {placed:?} and the sides to {whole:?}")]
pub struct DoNotAdd {
    /// What the places hold.
    pub placed: Box<Sides>,
    /// What the sides hold.
    pub whole: Box<Sides>,
}

impl Sides {
    fn plus(self, other: Self) -> Self {
        Self { theirs: sum(self.theirs, other.theirs), ours: sum(self.ours, other.ours) }
    }
}

impl Books {
    /// Puts a line or an entry in its place. A side that has nothing there is `None`; sums are signed.
    pub fn place(&mut self, place: Place, theirs: Option<i64>, ours: Option<i64>) {
        let one = |side: Option<i64>| side.map_or_else(Tally::default, |amount| Tally { count: 1, amount });
        let held = self.held(place);
        *held = held.plus(Sides { theirs: one(theirs), ours: one(ours) });
    }

    /// Takes a line or an entry out of its place again.
    pub fn unplace(&mut self, place: Place, theirs: Option<i64>, ours: Option<i64>) {
        let held = self.held(place);
        less(&mut held.theirs, theirs);
        less(&mut held.ours, ours);
    }

    /// Adds a statement's line to their side.
    pub fn add_theirs(&mut self, amount: i64) {
        self.whole.theirs = sum(self.whole.theirs, Tally { count: 1, amount });
    }

    /// Replaces a sum on our side by what is known now.
    pub fn change_ours(&mut self, before: Option<i64>, after: Option<i64>) {
        less(&mut self.whole.ours, before);
        if let Some(amount) = after {
            self.add_ours(amount);
        }
    }

    /// Adds an entry to our side.
    pub fn add_ours(&mut self, amount: i64) {
        self.whole.ours = sum(self.whole.ours, Tally { count: 1, amount });
    }

    /// Differences in all.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.breaks.values().fold(0, |sum, sides| sum.saturating_add(sides.theirs.count.max(sides.ours.count)))
    }

    /// Theirs less ours, in minor units.
    #[must_use]
    pub const fn difference(&self) -> i64 {
        self.whole.theirs.amount.saturating_sub(self.whole.ours.amount)
    }

    /// Adds everything up again.
    ///
    /// # Errors
    /// `DoNotAdd` when a line or an entry is in no place, or in two.
    pub fn check(&self) -> Result<(), DoNotAdd> {
        let placed = self.breaks.values().fold(self.matched.plus(self.carried_over), |sum, sides| sum.plus(*sides));
        if placed == self.whole {
            return Ok(());
        }
        Err(DoNotAdd { placed: Box::new(placed), whole: Box::new(self.whole) })
    }

    fn held(&mut self, place: Place) -> &mut Sides {
        match place {
            Place::Matched => &mut self.matched,
            Place::CarriedOver => &mut self.carried_over,
            Place::Break(kind) => self.breaks.entry(kind).or_default(),
        }
    }
}

/// A sum as the books count it.
#[must_use]
pub const fn signed(kind: LineKind, moved: bool, amount: i64) -> i64 {
    match (kind, moved) {
        (_, false) => 0,
        (LineKind::Payment, true) => amount,
        (LineKind::Refund, true) => amount.saturating_neg(),
    }
}

const fn sum(one: Tally, other: Tally) -> Tally {
    Tally { count: one.count.saturating_add(other.count), amount: one.amount.saturating_add(other.amount) }
}

fn less(tally: &mut Tally, amount: Option<i64>) {
    if let Some(amount) = amount {
        tally.count = tally.count.saturating_sub(1);
        tally.amount = tally.amount.saturating_sub(amount);
    }
}
