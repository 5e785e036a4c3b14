//! What a step leaves behind: events (what happened) and effects (what the outside must do next), as data.
//!
//! Invariant: events and effects are stored in the same durable batch as the state they belong to, so an effect is
//! never lost and never runs before its cause is safe. Each effect with a time has a key; setting it again moves it,
//! and carrying it out twice changes nothing. Nothing here performs anything.

use crate::ids::{AttemptId, ChannelId, EventId, RefundId};
use crate::money::Money;
use crate::provider::Failure;
use crate::resolution::Resolution;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// What one accepted input did: the new value, what happened, what must happen next.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<T> {
    /// The new value.
    pub next: T,
    /// What happened, oldest first. Empty when the input changed nothing (a repeat).
    pub events: Vec<Event>,
    /// What must happen next.
    pub effects: Vec<Effect>,
}

/// Names a pending effect of one charge: set again it moves, cleared it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKey {
    /// The charge's end.
    Expire,
    /// The delivery's deadline, later its break.
    Deadline,
    /// The next query (or close) of an attempt.
    Attempt(AttemptId),
    /// The next call about a refund.
    Refund(RefundId),
    /// The next try of a webhook.
    Webhook(EventId),
}

/// What the outside must do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the provider about an attempt (and end it there, where that is wanted).
    CallProvider {
        /// The attempt.
        attempt: AttemptId,
        /// Not before this moment.
        at: UnixMillis,
    },
    /// Make or ask about a refund.
    CallRefund {
        /// The refund.
        refund: RefundId,
        /// Not before this moment.
        at: UnixMillis,
    },
    /// Try a webhook.
    SendWebhook {
        /// The webhook's own id, the same on every try.
        event: EventId,
        /// Not before this moment.
        at: UnixMillis,
    },
    /// Wake the charge.
    WakeAt {
        /// `Expire` or `Deadline`.
        key: EffectKey,
        /// The moment.
        at: UnixMillis,
    },
    /// Nothing more is to be done under this key.
    Forget(EffectKey),
    /// This payment counts, for this attempt and for no other, for ever (S2).
    Credit {
        /// The attempt.
        attempt: AttemptId,
        /// The provider's number of the payment.
        provider_trade_no: String,
    },
    /// A person must look: a difference that no rule may mend.
    OpenBreak(BreakDraft),
}

/// Nothing that waits is left alone for longer than this (L4), so that no lost or moved timer costs more.
pub(crate) const LOOK_AGAIN_S: i64 = 3600;

impl Effect {
    /// Wakes the charge at that moment, or an hour from now to look again.
    #[must_use]
    pub(crate) fn wake(key: EffectKey, at: UnixMillis, now: UnixMillis) -> Self {
        Self::WakeAt { key, at: at.min(now.plus_s(LOOK_AGAIN_S)) }
    }

    /// The key under which it waits and the moment it is due; `None` for what the batch itself does.
    #[must_use]
    pub const fn due(&self) -> Option<(EffectKey, UnixMillis)> {
        match self {
            Self::CallProvider { attempt, at } => Some((EffectKey::Attempt(*attempt), *at)),
            Self::CallRefund { refund, at } => Some((EffectKey::Refund(*refund), *at)),
            Self::SendWebhook { event, at } => Some((EffectKey::Webhook(*event), *at)),
            Self::WakeAt { key, at } => Some((*key, *at)),
            Self::Forget(_) | Self::Credit { .. } | Self::OpenBreak(_) => None,
        }
    }
}

/// The kinds of break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakKind {
    /// A payment of another sum than the charge's.
    AmountDiffers,
    /// A payment for a number that nobody here knows.
    MissingHere,
    /// A payment number that already counts for another attempt.
    Duplicate,
    /// Paid and not delivered, and nobody says why.
    Undelivered,
    /// The merchant says that it cannot deliver.
    Undeliverable,
    /// The provider gave money back that we did not order, or a refund that cannot get through.
    RefundDiffers,
    /// The merchant delivered after the money was already on its way back.
    DeliveredAfterRefund,
    /// Counted here, and no statement names it.
    MissingThere,
    /// A statement says that it came further, or less far, than we know.
    StatusDiffers,
    /// The provider took another fee than the contract says.
    FeeDiffers,
}

impl BreakKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::AmountDiffers,
        Self::MissingHere,
        Self::Duplicate,
        Self::Undelivered,
        Self::Undeliverable,
        Self::RefundDiffers,
        Self::DeliveredAfterRefund,
        Self::MissingThere,
        Self::StatusDiffers,
        Self::FeeDiffers,
    ];

    /// The word used in the API and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AmountDiffers => "amount_differs",
            Self::MissingHere => "missing_here",
            Self::Duplicate => "duplicate",
            Self::Undelivered => "undelivered",
            Self::Undeliverable => "undeliverable",
            Self::RefundDiffers => "refund_differs",
            Self::DeliveredAfterRefund => "delivered_after_refund",
            Self::MissingThere => "missing_there",
            Self::StatusDiffers => "status_differs",
            Self::FeeDiffers => "fee_differs",
        }
    }
}

/// A break before it has an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakDraft {
    /// What kind of difference.
    pub kind: BreakKind,
    /// The attempt concerned.
    pub attempt: Option<AttemptId>,
    /// The provider's number concerned.
    pub provider_trade_no: Option<String>,
    /// The sum at stake.
    pub amount: Money,
    /// What was seen, in words.
    pub evidence: String,
}

/// Where news of an attempt came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The answer to our create.
    Create,
    /// The provider's callback.
    Callback,
    /// The answer to our query.
    Query,
    /// The answer to a query that a statement's line caused.
    Statement,
    /// A person's decision about what a provider had stated.
    Operator,
}

impl Source {
    /// The word used in the API and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Callback => "callback",
            Self::Query => "query",
            Self::Statement => "statement",
            Self::Operator => "operator",
        }
    }
}

/// One thing that happened to a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it was decided here.
    pub at: UnixMillis,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What can happen to a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs)] // The fields are the words of the house table; a sentence each would only repeat them.
pub enum EventKind {
    /// The charge was accepted.
    ChargeCreated { amount: i64 },
    /// No channel gave a code.
    NoCode { failure: Failure },
    /// A try through a channel begins; it is durable before the provider is asked.
    AttemptCreating { attempt: AttemptId, channel: ChannelId, because: String },
    /// The payer can pay.
    AttemptPending { attempt: AttemptId },
    /// The provider said no, definitely.
    AttemptFailed { attempt: AttemptId, failure: Failure },
    /// Nobody knows whether the provider has the order.
    AttemptUnknown { attempt: AttemptId, failure: Failure },
    /// It can never be paid any more, proved.
    AttemptClosed { attempt: AttemptId },
    /// It is to be ended at the provider.
    AttemptEnding { attempt: AttemptId },
    /// The payment that counts.
    Paid { attempt: AttemptId, provider_trade_no: String, source: Source, late: bool },
    /// A payment beyond the one that counts; it goes back by itself.
    PaidAgain { attempt: AttemptId, provider_trade_no: String, source: Source },
    /// A payment of another sum.
    AmountDiffers { attempt: AttemptId, provider_trade_no: String, stated: Money },
    /// From here on no attempt opens.
    ChargeEnding { asked_by_merchant: bool },
    /// Every attempt's end is proved and nothing was paid.
    ChargeClosed,
    /// A webhook was tried.
    WebhookTried { event: EventId, topic: String, answer: String },
    /// The goods are to be handed over by then.
    DeliveryDue { deadline_at: UnixMillis },
    /// The merchant took note and will report.
    DeliveryAccepted,
    /// The goods were handed over.
    Delivered { reference: Option<String> },
    /// The merchant says that they cannot be.
    DeliveryFailed { detail: String },
    /// The deadline passed without delivery.
    DeliveryOverdue,
    /// From here on the goods may not be handed over: the money goes back.
    DeliveryFenced,
    /// A refund was ordered.
    RefundOpened { refund: RefundId, amount: i64, reason: String },
    /// The provider took the refund on.
    RefundAccepted { refund: RefundId },
    /// The money is back.
    RefundSucceeded { refund: RefundId },
    /// It will not go through under this number.
    RefundFailed { refund: RefundId, failure: Failure },
    /// A break was opened.
    BreakOpened { kind: BreakKind },
    /// A person settled a break.
    BreakResolved { kind: BreakKind, resolution: Resolution },
}

impl EventKind {
    /// The word used in the API, in the audit trail and in reports.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ChargeCreated { .. } => "charge_created",
            Self::NoCode { .. } => "no_code",
            Self::AttemptCreating { .. } => "attempt_creating",
            Self::AttemptPending { .. } => "attempt_pending",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::AttemptUnknown { .. } => "attempt_unknown",
            Self::AttemptClosed { .. } => "attempt_closed",
            Self::AttemptEnding { .. } => "attempt_ending",
            Self::Paid { .. } => "paid",
            Self::PaidAgain { .. } => "paid_again",
            Self::AmountDiffers { .. } => "amount_differs",
            Self::ChargeEnding { .. } => "charge_ending",
            Self::ChargeClosed => "charge_closed",
            Self::WebhookTried { .. } => "webhook_tried",
            Self::DeliveryDue { .. } => "delivery_due",
            Self::DeliveryAccepted => "delivery_accepted",
            Self::Delivered { .. } => "delivered",
            Self::DeliveryFailed { .. } => "delivery_failed",
            Self::DeliveryOverdue => "delivery_overdue",
            Self::DeliveryFenced => "delivery_fenced",
            Self::RefundOpened { .. } => "refund_opened",
            Self::RefundAccepted { .. } => "refund_accepted",
            Self::RefundSucceeded { .. } => "refund_succeeded",
            Self::RefundFailed { .. } => "refund_failed",
            Self::BreakOpened { .. } => "break_opened",
            Self::BreakResolved { .. } => "break_resolved",
        }
    }
}
