//! Reconciliation: the words in which a day's statement, our attempts and refunds, and the deliveries are compared.
//!
//! Invariant (L6): every statement line ends in exactly one place, and the totals re-add. A line is found by number,
//! on whatever day we booked it; what we booked and no file names is carried to the neighbouring day, then a break.
//! Nothing here moves money.

use crate::day::Day;
use crate::ids::{AttemptId, ChannelId, ChargeId, RefundId};
use crate::money::Money;
use crate::provider::LineKind;
use serde::{Deserialize, Serialize};

/// What we say a provider's statement of a day must hold: a payment that we credited, or a refund of ours.
///
/// It is written in the batch that credits the payment or learns the refund's fate, so our side of a day needs no
/// search through charges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The channel.
    pub channel: ChannelId,
    /// The statement day on which we expect the line.
    pub day: Day,
    /// Payment or refund.
    pub kind: LineKind,
    /// Our number at the provider: the order's, or the refund's. Unique in its channel and kind.
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
    /// The principal, not delivered yet.
    Held,
    /// The principal, delivered.
    Delivered,
    /// A payment beside the principal, or one that a refund gives back.
    GoingBack,
    /// A refund that is not through.
    Pending,
    /// A refund that is through.
    Succeeded,
    /// A refund that will not go through.
    Failed,
}
