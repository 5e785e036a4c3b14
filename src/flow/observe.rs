//! What the counters and the board learn from a step, after it is durable.
//!
//! Invariant: this looks and never acts; a step that was not committed is never counted.

use super::Flow;
use crate::metrics::{ChargeEvent, ConfirmedBy, Repair};
use std::time::Duration;
use tongdao_core::attempt::AttemptStatus;
use tongdao_core::charge::{Charge, ChargeStatus};
use tongdao_core::effect::{Event, EventKind, Source};
use tongdao_core::refund::{RefundKind, RefundStatus};

impl Flow {
    pub(super) fn observe(&self, before: Option<&Charge>, after: &Charge, events: &[Event]) {
        self.board.note(after);
        for event in events {
            self.observe_event(after, event);
            self.learn(before, after, event);
        }
        self.observe_ends(before, after);
        let was = before.map(Charge::status);
        if was != Some(ChargeStatus::Refunded) && after.status() == ChargeStatus::Refunded {
            self.metrics.charge(ChargeEvent::Refunded);
        }
    }

    /// An attempt in doubt whose end was proved without anybody's help.
    fn observe_ends(&self, before: Option<&Charge>, after: &Charge) {
        let was_unknown = |id| {
            let attempt = before.and_then(|before| before.attempt(id));
            attempt.is_some_and(|attempt| attempt.status() == AttemptStatus::Unknown)
        };
        for attempt in after.attempts.iter().filter(|attempt| attempt.status() == AttemptStatus::Closed) {
            if was_unknown(attempt.id) {
                self.metrics.repaired(Repair::Closed);
            }
        }
    }

    fn observe_event(&self, charge: &Charge, event: &Event) {
        let id = charge.id;
        match &event.kind {
            EventKind::ChargeCreated { .. } => self.metrics.charge(ChargeEvent::Created),
            EventKind::Paid { attempt, source, late, .. } => {
                self.metrics.charge(if *late { ChargeEvent::PaidLate } else { ChargeEvent::Paid });
                let Some(attempt) = charge.attempt(*attempt) else { return };
                tracing::info!(charge_id = %id, channel = %attempt.channel, source = source.as_str(), late, "paid");
                let waited_ms = event.at.since_ms(attempt.created_at);
                self.metrics.payment_confirmed(&attempt.channel, confirmed_by(*source));
                self.metrics.payment_waited(&attempt.provider, millis(waited_ms));
                self.channels.paid(&attempt.channel, charge.captured(), event.at);
                if matches!(source, Source::Query | Source::Statement) {
                    self.metrics.repaired(Repair::Credited);
                }
            }
            EventKind::PaidAgain { attempt, .. } => {
                tracing::warn!(charge_id = %id, attempt_id = %attempt, "paid twice; the second payment goes back");
                self.metrics.charge(ChargeEvent::Duplicate);
            }
            EventKind::Delivered { .. } => {
                self.metrics.charge(ChargeEvent::Delivered);
                let since = charge.paid_at.unwrap_or(event.at);
                self.metrics.delivered(millis(event.at.since_ms(since)));
                if charge.delivery.overdue {
                    self.metrics.repaired(Repair::Redelivered);
                }
            }
            EventKind::ChargeClosed => self.metrics.charge(ChargeEvent::Closed),
            EventKind::RefundSucceeded { refund } => self.observe_refund(charge, *refund),
            EventKind::BreakOpened { kind } => {
                tracing::error!(charge_id = %id, kind = kind.as_str(), "a break was opened: a person must look");
            }
            EventKind::BreakResolved { kind, resolution } => {
                tracing::info!(charge_id = %id, kind = kind.as_str(), resolution = resolution.as_str(), "a break was resolved");
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
            RefundKind::Surplus => self.metrics.repaired(Repair::RefundedSurplus),
            RefundKind::Undelivered | RefundKind::Late => self.metrics.repaired(Repair::RefundedOverdue),
            RefundKind::Merchant | RefundKind::Decided => {}
        }
    }
}

/// What a create's own answer tells is what a query would.
const fn confirmed_by(source: Source) -> ConfirmedBy {
    match source {
        Source::Callback => ConfirmedBy::Callback,
        Source::Create | Source::Query => ConfirmedBy::Query,
        Source::Statement => ConfirmedBy::Statement,
        Source::Operator => ConfirmedBy::Operator,
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
