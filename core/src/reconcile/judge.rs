//! The verdict on one line of a statement, and on one entry of ours that no line names.
//!
//! Invariant: every line gets exactly one place, the gravest that fits, and the verdict is a function of what both
//! sides say: the same facts give the same verdict on every run. A verdict moves no money. Where the money may differ
//! it names the one question to ask the provider, whose verified answer does.

use super::{Entry, EntryStatus, Place, signed};
use crate::day::Day;
use crate::effect::BreakKind;
use crate::ids::{AttemptId, ChargeId, RefundId};
use crate::provider::{LineKind, LineStatus, StatementLine};

/// What the contract says that a payment costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeRule {
    /// Hundredths of a percent of the payment.
    pub fee_bps: u32,
    /// Minor units beside it.
    pub fixed: i64,
}

/// A line's fee is rounded by the provider: it may differ by one minor unit.
const FEE_TOLERANCE: i64 = 1;

impl FeeRule {
    /// The fee on a sum, rounded half up.
    #[must_use]
    pub fn expected(&self, amount: i64) -> i64 {
        let share =
            i128::from(amount).saturating_mul(i128::from(self.fee_bps)).saturating_add(5_000).div_euclid(10_000);
        i64::try_from(share).unwrap_or(i64::MAX).saturating_add(self.fixed)
    }

    /// Whether a line's fee is what the contract says. A refund may give the fee back in part or not at all.
    #[must_use]
    pub fn holds(&self, line: &StatementLine) -> bool {
        let Some(fee) = line.fee else { return true };
        let expected = self.expected(line.amount.amount);
        match line.kind {
            LineKind::Payment => fee.saturating_sub(expected).abs() <= FEE_TOLERANCE,
            LineKind::Refund => (expected.saturating_neg() - FEE_TOLERANCE..=FEE_TOLERANCE).contains(&fee),
        }
    }
}

/// Who a line is about where no entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nobody here.
    Nobody,
    /// An attempt, by its order number or the payment that counts for it.
    Attempt(ChargeId, AttemptId),
    /// A refund, by its number.
    Refund(ChargeId, RefundId),
}

impl Known {
    /// The charge.
    #[must_use]
    pub const fn charge(self) -> Option<ChargeId> {
        match self {
            Self::Nobody => None,
            Self::Attempt(charge, _) | Self::Refund(charge, _) => Some(charge),
        }
    }

    const fn ask(self) -> Repair {
        match self {
            Self::Nobody => Repair::Nothing,
            Self::Attempt(charge, attempt) => Repair::AskAttempt(charge, attempt),
            Self::Refund(charge, refund) => Repair::AskRefund(charge, refund),
        }
    }
}

/// What is known here of a line.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The statement's day.
    pub day: Day,
    /// The entry of the line's number.
    pub entry: Option<&'a Entry>,
    /// Who it is about, where it has no entry.
    pub known: Known,
    /// Whether a line of that number was seen before, in this file or another day's.
    pub seen: bool,
    /// The charge's open break about its goods.
    pub owed: Option<BreakKind>,
    /// What a payment costs.
    pub fee: FeeRule,
}

/// Whom to ask, whose verified answer mends the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Repair {
    /// Nothing helps, or nothing is wrong.
    Nothing,
    /// The provider, about this attempt, now.
    AskAttempt(ChargeId, AttemptId),
    /// The provider, about this refund, now.
    AskRefund(ChargeId, RefundId),
}

/// The verdict on a line or an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Its one place.
    pub place: Place,
    /// Our signed sum of the day that goes with the line; `None` when nothing of ours does.
    pub ours: Option<i64>,
    /// Whom to ask.
    pub repair: Repair,
    /// Whether the charge has a break of its own about it, so that no second one is opened.
    pub named_by_charge: bool,
}

impl Entry {
    /// Its sum as the books count it.
    #[must_use]
    pub const fn signed(&self) -> i64 {
        signed(self.kind, self.status.counts(), self.amount.amount)
    }

    /// The question that settles it.
    #[must_use]
    pub const fn ask(&self) -> Repair {
        match self.refund {
            Some(refund) => Repair::AskRefund(self.charge, refund),
            None => Repair::AskAttempt(self.charge, self.attempt),
        }
    }

    /// Whether a line names another payment than this one.
    #[must_use]
    pub fn is_other_payment(&self, line: &StatementLine) -> bool {
        let stated = line.provider_trade_no.as_deref();
        self.kind == LineKind::Payment && stated.is_some_and(|stated| stated != self.provider_trade_no)
    }
}

impl EntryStatus {
    /// Whether its sum counts: the money moved or is being moved.
    #[must_use]
    pub const fn counts(self) -> bool {
        self.is_settled() || matches!(self, Self::Pending)
    }
}

/// A line's sum as the books count it.
#[must_use]
pub const fn theirs(line: &StatementLine) -> i64 {
    signed(line.kind, !matches!(line.status, LineStatus::Failed), line.amount.amount)
}

/// The verdict on a statement's line.
#[must_use]
pub fn judge(line: &StatementLine, facts: &Facts<'_>) -> Verdict {
    if facts.seen {
        let kind = if line.kind == LineKind::Payment { BreakKind::Duplicate } else { BreakKind::RefundDiffers };
        return alone(kind, facts.entry.map_or_else(|| facts.known.ask(), Entry::ask));
    }
    let Some(entry) = facts.entry else {
        let kind = if line.kind == LineKind::Payment { BreakKind::MissingHere } else { BreakKind::RefundDiffers };
        return alone(kind, facts.known.ask());
    };
    if entry.is_other_payment(line) {
        // A second payment of the order, and nothing here gives it back.
        return alone(BreakKind::Duplicate, entry.ask());
    }
    if let Some(kind) = difference(line, entry) {
        return broken(kind, entry, facts.day);
    }
    if entry.status == EntryStatus::Disputed {
        return Verdict { named_by_charge: true, ..broken(BreakKind::AmountDiffers, entry, facts.day) };
    }
    if let Some(kind) = facts.owed.filter(|_| entry.status == EntryStatus::Counted) {
        let verdict = broken(kind, entry, facts.day);
        return Verdict { named_by_charge: true, repair: Repair::Nothing, ..verdict };
    }
    if !facts.fee.holds(line) {
        return Verdict { repair: Repair::Nothing, ..broken(BreakKind::FeeDiffers, entry, facts.day) };
    }
    let place = if entry.day == facts.day { Place::Matched } else { Place::CarriedOver };
    Verdict { place, ours: of_day(entry, facts.day), repair: Repair::Nothing, named_by_charge: false }
}

/// The verdict on an entry that no line of its day's file names. `elsewhere`: another day's file names it. `waits`:
/// a neighbouring day's file that may name it is still to come. `None` when no line is due.
#[must_use]
pub fn judge_unlined(entry: &Entry, elsewhere: bool, waits: bool) -> Option<Verdict> {
    let carried = Verdict {
        place: Place::CarriedOver,
        ours: Some(entry.signed()),
        repair: Repair::Nothing,
        named_by_charge: false,
    };
    match entry.status {
        EntryStatus::Called | EntryStatus::Failed => None,
        // Some files name a refund only when it is through.
        EntryStatus::Pending => Some(carried),
        EntryStatus::Counted
        | EntryStatus::GoingBack
        | EntryStatus::Disputed
        | EntryStatus::Accepted
        | EntryStatus::Succeeded => {
            if elsewhere || waits {
                return Some(carried);
            }
            Some(Verdict { place: Place::Break(BreakKind::MissingThere), repair: entry.ask(), ..carried })
        }
    }
}

/// What the two sides say differently about the money.
fn difference(line: &StatementLine, entry: &Entry) -> Option<BreakKind> {
    if line.amount != entry.amount {
        let refund = entry.kind == LineKind::Refund;
        return Some(if refund { BreakKind::RefundDiffers } else { BreakKind::AmountDiffers });
    }
    let agree = match (line.status, entry.status) {
        (
            LineStatus::Done,
            EntryStatus::Counted | EntryStatus::GoingBack | EntryStatus::Disputed | EntryStatus::Accepted,
        ) => true,
        (LineStatus::Pending | LineStatus::Failed, EntryStatus::Counted | EntryStatus::GoingBack) => false,
        (LineStatus::Pending | LineStatus::Failed, EntryStatus::Disputed | EntryStatus::Accepted) => false,
        // A file is not written anew when a refund goes on.
        (LineStatus::Pending, EntryStatus::Pending | EntryStatus::Succeeded) => true,
        (LineStatus::Done, EntryStatus::Succeeded) | (LineStatus::Failed, EntryStatus::Failed) => true,
        // It went back against the proof of its end.
        (LineStatus::Done, EntryStatus::Failed) => return Some(BreakKind::RefundDiffers),
        (LineStatus::Done, EntryStatus::Called | EntryStatus::Pending) => false,
        (LineStatus::Pending, EntryStatus::Called | EntryStatus::Failed) => false,
        (LineStatus::Failed, EntryStatus::Called | EntryStatus::Pending | EntryStatus::Succeeded) => false,
    };
    (!agree).then_some(BreakKind::StatusDiffers)
}

/// A line that takes nothing of ours with it.
const fn alone(kind: BreakKind, repair: Repair) -> Verdict {
    Verdict { place: Place::Break(kind), ours: None, repair, named_by_charge: false }
}

fn broken(kind: BreakKind, entry: &Entry, day: Day) -> Verdict {
    let ours = of_day(entry, day);
    Verdict { place: Place::Break(kind), ours, repair: entry.ask(), named_by_charge: false }
}

/// What an entry adds to our side of a day: nothing when it is another day's.
fn of_day(entry: &Entry, day: Day) -> Option<i64> {
    (entry.day == day).then(|| entry.signed())
}

#[cfg(test)]
mod tests;
