//! The goods, and the fence between them and the money's way back.
//!
//! Invariant: money goes back for goods that were not delivered only after the fence is set, and the fence is set only
//! when no try is in flight and none may have delivered unseen. In doubt the merchant is asked; silence is a break.

use super::number::derived_event;
use super::{Change, ChargeStatus, Refused, Topic};
use crate::delivery::{Answer, DeliveryInput, DeliveryRefused, DeliveryStatus, Report};
use crate::effect::{BreakKind, EventKind};
use crate::refund::RefundKind;

impl Change {
    pub(super) fn start_delivery(&mut self) {
        let event = derived_event(self.now, &[&self.charge.id.to_string(), "charge.paid"]);
        let started = self.step_delivery(DeliveryInput::Start(event));
        assert!(started.is_ok(), "a delivery starts once, when its charge is paid and before any fence");
    }

    /// The answer to a try of `charge.paid`.
    pub(super) fn paid_webhook_tried(&mut self, answer: Answer) -> Result<(), Refused> {
        let undeliverable = matches!(answer, Answer::Undeliverable(_));
        let delivered = answer == Answer::Delivered;
        let was_delivered = self.charge.delivery.status() == DeliveryStatus::Delivered;
        match self.step_delivery(DeliveryInput::Tried(answer)) {
            Err(Refused::DeliveryFenced) if delivered => {
                self.delivered_after_fence();
                return Ok(());
            }
            Err(Refused::AlreadyDelivered | Refused::DeliveryFenced) => return Ok(()),
            other => other?,
        }
        if was_delivered {
            // It was only told again: nothing that is said now takes the goods back.
            return Ok(());
        }
        if delivered {
            self.settle_delivery_breaks();
        } else if undeliverable {
            self.cannot_deliver();
        }
        Ok(())
    }

    pub(super) fn notify(&mut self) -> Result<(), Refused> {
        if self.charge.is_held() {
            // It was held for a person, who has spoken: this is how the goods get on their way.
            self.start_delivery();
            return Ok(());
        }
        if self.refundable() <= 0 {
            // Nothing of the money is left here: a shop that lost its record would hand over for nothing.
            return Err(Refused::DeliveryFenced);
        }
        self.step_delivery(DeliveryInput::SendNow)
    }

    pub(super) fn delivery_report(&mut self, report: Report) -> Result<(), Refused> {
        let delivered = matches!(report, Report::Delivered(_));
        match self.step_delivery(DeliveryInput::Report(report)) {
            // `delivered` is final, and a repeat of it is welcome.
            Err(Refused::AlreadyDelivered) if delivered => return Ok(()),
            Err(Refused::DeliveryFenced) if delivered => {
                self.delivered_after_fence();
                return Ok(());
            }
            other => other?,
        }
        if delivered {
            self.settle_delivery_breaks();
        } else {
            self.cannot_deliver();
        }
        Ok(())
    }

    pub(super) fn deadline(&mut self, sending: bool) -> Result<(), Refused> {
        let was_overdue = self.charge.delivery.overdue;
        match self.step_delivery(DeliveryInput::Deadline) {
            Err(Refused::AlreadyDelivered | Refused::DeliveryFenced | Refused::InvalidState) => return Ok(()),
            other => other?,
        }
        let delivery = &self.charge.delivery;
        if delivery.settled || (delivery.released_at.is_none() && delivery.status() == DeliveryStatus::Failed) {
            return Ok(());
        }
        if !was_overdue && delivery.overdue {
            self.announce(Topic::DeliveryOverdue);
        }
        let delivery = &self.charge.delivery;
        let released = delivery.released_at.is_some();
        if (released && !delivery.is_break_due(self.now)) || (!released && !delivery.overdue) {
            // A person wants it delivered, or its time is not over.
            return Ok(());
        }
        let certain = !self.charge.delivery.doubt;
        if self.charge.policy.refund_overdue && certain {
            if sending {
                // Its answer decides; look again in a second.
                let at = self.now.plus_s(1);
                self.effects.push(crate::effect::Effect::WakeAt { key: crate::effect::EffectKey::Deadline, at });
                return Ok(());
            }
            self.fence_and_refund(RefundKind::Undelivered, "not delivered in time");
        } else if self.charge.delivery.is_break_due(self.now) {
            let why = self.charge.delivery.last_error.clone().unwrap_or_else(|| "the merchant is silent".to_owned());
            self.open_break(self.draft(BreakKind::Undelivered, self.charge.principal, None, why));
        }
        Ok(())
    }

    /// Sets the fence and gives the whole principal back. The caller has made sure that no try is in flight.
    pub(super) fn fence_and_refund(&mut self, kind: RefundKind, reason: &str) {
        let fenced = self.step_delivery(DeliveryInput::Fence);
        if fenced.is_ok() {
            self.settle_delivery_breaks();
            self.whole_refund(kind, reason);
        }
    }

    /// The merchant said by itself that it cannot deliver: certain, so the money may go back at once.
    fn cannot_deliver(&mut self) {
        if self.charge.policy.refund_overdue {
            self.fence_and_refund(RefundKind::Undelivered, "the merchant cannot deliver");
        } else {
            let why = self.charge.delivery.last_error.clone().unwrap_or_default();
            self.open_break(self.draft(BreakKind::Undeliverable, self.charge.principal, None, why));
        }
    }

    fn delivered_after_fence(&mut self) {
        let why = "the merchant reports goods handed over after the money was sent back".to_owned();
        self.open_break(self.draft(BreakKind::DeliveredAfterRefund, self.charge.principal, None, why));
    }

    pub(super) fn settle_delivery_breaks(&mut self) {
        let settled = |kind: BreakKind| matches!(kind, BreakKind::Undelivered | BreakKind::Undeliverable);
        self.charge.breaks.retain(|(kind, _)| !settled(*kind));
    }

    pub(super) fn step_delivery(&mut self, input: DeliveryInput) -> Result<(), Refused> {
        if self.charge.status < ChargeStatus::Paid {
            return Err(Refused::InvalidState);
        }
        let step = self.charge.delivery.clone().apply(input, self.now).map_err(|refused| match refused {
            DeliveryRefused::NothingToDeliver => Refused::InvalidState,
            DeliveryRefused::Delivered => Refused::AlreadyDelivered,
            DeliveryRefused::Fenced => Refused::DeliveryFenced,
        })?;
        self.charge.delivery = step.next;
        self.events.extend(step.events);
        self.effects.extend(step.effects);
        Ok(())
    }

    pub(super) fn note_webhook(&mut self, event: crate::ids::EventId, topic: Topic, answer: &Answer) {
        let answer = match answer {
            Answer::Delivered => "delivered".to_owned(),
            Answer::Accepted => "accepted".to_owned(),
            Answer::Undeliverable(detail) => format!("undeliverable: {detail}"),
            Answer::Refused(detail) | Answer::Doubtful(detail) => detail.clone(),
        };
        self.event(EventKind::WebhookTried { event, topic: topic.as_str().to_owned(), answer });
    }
}
