//! What the counters and the board learn from a step, after it is durable.
//!
//! Invariant: this looks and never acts; a step that was not committed is never counted.

use super::Flow;
use tongdao_core::charge::{Charge, ChargeStatus};
use tongdao_core::effect::{Event, EventKind};
use tongdao_core::refund::{RefundKind, RefundStatus};

/// The words of `tongdao_charges_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // The words of surfaces.md, section 1.
pub enum ChargeLabel {
    Created,
    Paid,
    PaidLate,
    Delivered,
    Closed,
    Refunded,
    Duplicate,
}

impl ChargeLabel {
    /// All words.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Paid,
        Self::PaidLate,
        Self::Delivered,
        Self::Closed,
        Self::Refunded,
        Self::Duplicate,
    ];

    /// The word itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Paid => "paid",
            Self::PaidLate => "paid_late",
            Self::Delivered => "delivered",
            Self::Closed => "closed",
            Self::Refunded => "refunded",
            Self::Duplicate => "duplicate",
        }
    }
}

/// The words of `tongdao_repairs_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // The words of surfaces.md, section 1.
pub enum RepairLabel {
    Credited,
    Redelivered,
    RefundedSurplus,
    RefundedOverdue,
    Closed,
}

impl RepairLabel {
    /// All words.
    pub const ALL: [Self; 5] =
        [Self::Credited, Self::Redelivered, Self::RefundedSurplus, Self::RefundedOverdue, Self::Closed];

    /// The word itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credited => "credited",
            Self::Redelivered => "redelivered",
            Self::RefundedSurplus => "refunded_surplus",
            Self::RefundedOverdue => "refunded_overdue",
            Self::Closed => "closed",
        }
    }
}

impl Flow {
    pub(super) fn observe(&self, before: Option<&Charge>, after: &Charge, events: &[Event]) {
        self.board.note(after);
        for event in events {
            self.observe_event(after, event);
        }
        let was = before.map(Charge::status);
        if was != Some(ChargeStatus::Refunded) && after.status() == ChargeStatus::Refunded {
            self.metrics.charge(ChargeLabel::Refunded);
        }
    }

    fn observe_event(&self, charge: &Charge, event: &Event) {
        let id = charge.id;
        match &event.kind {
            EventKind::ChargeCreated { .. } => self.metrics.charge(ChargeLabel::Created),
            EventKind::Paid { attempt, source, late, .. } => {
                self.metrics.charge(if *late { ChargeLabel::PaidLate } else { ChargeLabel::Paid });
                let Some(attempt) = charge.attempt(*attempt) else { return };
                tracing::info!(charge_id = %id, channel = %attempt.channel, source = source.as_str(), late, "paid");
                let waited_ms = event.at.since_ms(attempt.created_at);
                self.metrics.paid(&attempt.channel, &attempt.provider, *source, waited_ms);
                self.channels.paid(&attempt.channel, charge.amount, event.at);
                if *source == tongdao_core::effect::Source::Query {
                    self.metrics.repair(RepairLabel::Credited);
                }
            }
            EventKind::PaidAgain { attempt, .. } => {
                tracing::warn!(charge_id = %id, attempt_id = %attempt, "paid twice; the second payment goes back");
                self.metrics.charge(ChargeLabel::Duplicate);
            }
            EventKind::Delivered { .. } => {
                self.metrics.charge(ChargeLabel::Delivered);
                let since = charge.paid_at.unwrap_or(event.at);
                self.metrics.delivered(event.at.since_ms(since));
                if charge.delivery.overdue {
                    self.metrics.repair(RepairLabel::Redelivered);
                }
            }
            EventKind::ChargeClosed => self.metrics.charge(ChargeLabel::Closed),
            EventKind::RefundSucceeded { refund } => self.observe_refund(charge, *refund),
            EventKind::BreakOpened { kind } => {
                tracing::error!(charge_id = %id, kind = kind.as_str(), "a break was opened: a person must look");
            }
            EventKind::AmountDiffers { .. }
            | EventKind::NoCode { .. }
            | EventKind::AttemptCreating { .. }
            | EventKind::AttemptPending { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::AttemptUnknown { .. }
            | EventKind::AttemptClosed { .. }
            | EventKind::AttemptEnding { .. }
            | EventKind::ChargeEnding { .. }
            | EventKind::WebhookTried { .. }
            | EventKind::DeliveryDue { .. }
            | EventKind::DeliveryAccepted
            | EventKind::DeliveryFailed { .. }
            | EventKind::DeliveryOverdue
            | EventKind::DeliveryFenced
            | EventKind::RefundOpened { .. }
            | EventKind::RefundAccepted { .. }
            | EventKind::RefundFailed { .. } => {}
        }
    }

    fn observe_refund(&self, charge: &Charge, id: tongdao_core::ids::RefundId) {
        let Some(refund) = charge.refund(id).filter(|refund| refund.status() == RefundStatus::Succeeded) else {
            return;
        };
        match refund.kind {
            RefundKind::Surplus => self.metrics.repair(RepairLabel::RefundedSurplus),
            RefundKind::Undelivered | RefundKind::Late => self.metrics.repair(RepairLabel::RefundedOverdue),
            RefundKind::Merchant => {}
        }
    }
}
