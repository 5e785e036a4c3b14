//! Our side of a statement: the payments and refunds that a provider's file of a day must name.
//!
//! Invariant: an entry follows from its charge alone, so it is written in the batch that changes the charge and no
//! search through charges is ever needed. One write when a payment is known, two for a refund: whether the goods were
//! delivered stays with the charge, since few are not and those are known by other means.

use crate::attempt::{Attempt, AttemptStatus};
use crate::charge::Charge;
use crate::day::Day;
use crate::effect::BreakKind;
use crate::ids::{AttemptId, ChannelId, ChargeId, RefundId};
use crate::money::Money;
use crate::provider::LineKind;
use crate::refund::{Reach, Refund, RefundStatus};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// What we say a provider's statement of a day must hold: a payment that it took, or a refund of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The channel.
    pub channel: ChannelId,
    /// The statement day on which we expect the line.
    pub day: Day,
    /// Payment or refund.
    pub kind: LineKind,
    /// Our number at the provider: the order's, or the refund's. Unique in its channel and kind; a further payment of
    /// one order has the provider's number behind a `+`.
    pub number: String,
    /// The provider's number of the payment.
    pub provider_trade_no: String,
    /// Whose.
    pub charge: ChargeId,
    /// The attempt that was paid.
    pub attempt: AttemptId,
    /// The refund, for one.
    pub refund: Option<RefundId>,
    /// The sum.
    pub amount: Money,
    /// How far it is here.
    pub status: EntryStatus,
}

/// How far a booked payment or refund is on our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryStatus {
    /// The principal of its charge.
    Counted,
    /// A payment beside the principal, which goes back.
    GoingBack,
    /// A payment of another sum than the charge's: a person decides.
    Disputed,
    /// A payment of another sum, of which a person said that it is in order or borne.
    Accepted,
    /// A refund that was called for and of which no word says that it was taken on.
    Called,
    /// A refund that was taken on and is not through.
    Pending,
    /// A refund that is through.
    Succeeded,
    /// A refund, or a spent number of one, that will not go through.
    Failed,
}

impl EntryStatus {
    /// Whether the money moved, so that a file must name it.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Counted | Self::GoingBack | Self::Disputed | Self::Accepted | Self::Succeeded => true,
            Self::Called | Self::Pending | Self::Failed => false,
        }
    }
}

impl Entry {
    /// The number of a further payment of one order.
    #[must_use]
    pub fn further(provider_order_no: &str, provider_trade_no: &str) -> String {
        format!("{provider_order_no}+{provider_trade_no}")
    }
}

/// All entries of a charge, in no order that matters. `turns` says how long after midnight the days of a channel turn.
#[must_use]
pub fn entries_of(charge: &Charge, turns: &dyn Fn(&ChannelId) -> i64) -> Vec<Entry> {
    let paid = charge.attempts.iter().filter_map(|attempt| payment_of(charge, attempt, turns));
    let further = charge.surplus.iter().filter_map(|(id, tx)| further_of(charge, charge.attempt(*id)?, tx, turns));
    let disputed = charge.differing.keys().filter_map(|tx| disputed_of(charge, tx, turns));
    let refunds = charge.refunds.iter().filter_map(|refund| refund_of(charge, refund, turns));
    paid.chain(further).chain(disputed).chain(refunds).collect()
}

/// When the provider took the money, as well as we know.
struct Taken {
    at: UnixMillis,
    settled_on: Option<Day>,
}

impl Taken {
    fn day(&self, turns_ms: i64) -> Day {
        self.settled_on.unwrap_or_else(|| Day::of(self.at, turns_ms))
    }
}

struct Booked<'a> {
    number: String,
    tx: &'a str,
    amount: Money,
    status: EntryStatus,
}

impl Booked<'_> {
    fn of(self, charge: &Charge, attempt: &Attempt, day: Day) -> Entry {
        Entry {
            channel: attempt.channel.clone(),
            day,
            kind: LineKind::Payment,
            number: self.number,
            provider_trade_no: self.tx.to_owned(),
            charge: charge.id,
            attempt: attempt.id,
            refund: None,
            amount: self.amount,
            status: self.status,
        }
    }
}

fn payment_of(charge: &Charge, attempt: &Attempt, turns: &dyn Fn(&ChannelId) -> i64) -> Option<Entry> {
    let status = match attempt.status() {
        AttemptStatus::Succeeded => EntryStatus::Counted,
        AttemptStatus::Duplicate => EntryStatus::GoingBack,
        AttemptStatus::Creating
        | AttemptStatus::Pending
        | AttemptStatus::Unknown
        | AttemptStatus::Failed
        | AttemptStatus::Closed => return None,
    };
    let tx = attempt.provider_trade_no.as_deref()?;
    let at = attempt.paid_at.or(attempt.ended_at).unwrap_or(attempt.created_at);
    let day = Taken { at, settled_on: attempt.settled_on }.day(turns(&attempt.channel));
    let booked = Booked { number: attempt.provider_order_no.clone(), tx, amount: charge.sum_of(tx), status };
    Some(booked.of(charge, attempt, day))
}

/// A payment of another sum than the charge's.
fn disputed_of(charge: &Charge, tx: &str, turns: &dyn Fn(&ChannelId) -> i64) -> Option<Entry> {
    let payment = charge.differing.get(tx)?;
    let attempt = charge.attempt(payment.attempt)?;
    let counts = attempt.provider_trade_no.as_deref() == Some(tx);
    if counts || charge.surplus.contains(&(attempt.id, tx.to_owned())) {
        // The provider took its word back, or a person took the payment for the principal.
        return None;
    }
    let first = charge.differing.iter().find(|(_, of)| of.attempt == payment.attempt).map(|(tx, _)| tx.as_str());
    let alone = attempt.provider_trade_no.is_none() && first == Some(tx);
    let number = if alone { attempt.provider_order_no.clone() } else { Entry::further(&attempt.provider_order_no, tx) };
    let open = charge.breaks.contains(&(BreakKind::AmountDiffers, tx.to_owned()));
    let status = match (payment.returned, open) {
        (true, _) => EntryStatus::GoingBack,
        (false, true) => EntryStatus::Disputed,
        (false, false) => EntryStatus::Accepted,
    };
    let at = Taken { at: payment.paid_at.unwrap_or(attempt.created_at), settled_on: payment.settled_on };
    let booked = Booked { number, tx, amount: payment.amount, status };
    Some(booked.of(charge, attempt, at.day(turns(&attempt.channel))))
}

/// A payment beside the one that its attempt is known by.
fn further_of(charge: &Charge, attempt: &Attempt, tx: &str, turns: &dyn Fn(&ChannelId) -> i64) -> Option<Entry> {
    if attempt.provider_trade_no.as_deref() == Some(tx) {
        return None;
    }
    let back = charge.refunds.iter().find(|refund| refund.attempt == attempt.id && refund.provider_trade_no == tx);
    let at = back.map(|refund| refund.created_at).or(attempt.ended_at).unwrap_or(attempt.created_at);
    let day = Day::of(at, turns(&attempt.channel));
    let number = Entry::further(&attempt.provider_order_no, tx);
    let booked = Booked { number, tx, amount: charge.amount, status: EntryStatus::GoingBack };
    Some(booked.of(charge, attempt, day))
}

fn refund_of(charge: &Charge, refund: &Refund, turns: &dyn Fn(&ChannelId) -> i64) -> Option<Entry> {
    let attempt = charge.attempt(refund.attempt)?;
    let status = match refund.status() {
        RefundStatus::Succeeded => EntryStatus::Succeeded,
        RefundStatus::Failed => EntryStatus::Failed,
        RefundStatus::Pending if refund.accepted => EntryStatus::Pending,
        RefundStatus::Pending if refund.reach == Reach::Nowhere => return None,
        RefundStatus::Pending => EntryStatus::Called,
    };
    let turns_ms = turns(&attempt.channel);
    // A proved failure moves nothing: its entry stays where it was.
    let heard = if status == EntryStatus::Failed { None } else { refund.ended_at };
    let day = Day::of(refund.accepted_at.or(heard).unwrap_or(refund.numbered_at), turns_ms);
    let amount = Money { amount: refund.amount, currency: charge.amount.currency };
    let booked = Booked { number: refund.provider_refund_no.clone(), tx: &refund.provider_trade_no, amount, status };
    let entry = booked.of(charge, attempt, day);
    Some(Entry { kind: LineKind::Refund, refund: Some(refund.id), ..entry })
}

#[cfg(test)]
mod tests;
