//! Money back: what may be refunded, in whose name, and what that does to the charge.
//!
//! Invariants S13 and S8: refunds of the principal that are not proved failed never pass it; a surplus payment goes
//! back whole, once, and by nobody's order; a merchant's full refund of undelivered goods sets the fence first.

use super::number::{derived_number, derived_refund};
use super::{Change, ChargeStatus, Refused, Topic};
use crate::delivery::{DeliveryInput, DeliveryStatus};
use crate::effect::{BreakKind, Effect, EventKind};
use crate::ids::{AttemptId, RefundId};
use crate::provider::RefundOutcome;
use crate::refund::{NewRefund, Refund, RefundInput, RefundKind, RefundRefused, RefundStatus};

impl Refund {
    /// Whether it draws on the principal, which all but surplus refunds do.
    pub(crate) fn is_of_principal(&self) -> bool {
        self.kind != RefundKind::Surplus
    }
}

impl Change {
    pub(super) fn merchant_refund(&mut self, new: NewRefund, sending: bool) -> Result<(), Refused> {
        let principal = self.charge.principal.ok_or(Refused::InvalidState)?;
        if new.amount <= 0 || new.amount > self.refundable() {
            return Err(Refused::ExceedsRefundable);
        }
        let whole = new.amount == self.refundable();
        let owed = self.charge.delivery.status() != DeliveryStatus::Delivered && !self.charge.delivery.fenced;
        if whole && owed {
            if sending {
                return Err(Refused::DeliveryInFlight);
            }
            self.step_delivery(DeliveryInput::Fence)?;
        }
        self.add_refund(new, principal);
        Ok(())
    }

    pub(super) fn whole_refund(&mut self, kind: RefundKind, reason: &str) {
        let Some(principal) = self.charge.principal else { return };
        let amount = self.refundable();
        if amount <= 0 {
            return;
        }
        let charge = self.charge.id.to_string();
        let parts = [charge.as_str(), "principal", reason];
        self.add_refund(
            NewRefund {
                id: derived_refund(self.now, &parts),
                kind,
                refund_no: None,
                provider_refund_no: derived_number(&parts),
                amount,
                reason: reason.to_owned(),
            },
            principal,
        );
    }

    pub(super) fn surplus_refund(&mut self, attempt: AttemptId, tx: String, amount: i64) {
        let charge = self.charge.id.to_string();
        let parts = [charge.as_str(), tx.as_str()];
        let new = NewRefund {
            id: derived_refund(self.now, &parts),
            kind: RefundKind::Surplus,
            refund_no: None,
            provider_refund_no: derived_number(&parts),
            amount,
            reason: "paid twice".to_owned(),
        };
        self.push_refund(Refund::new(new, attempt, tx, self.now));
    }

    pub(super) fn refund_calling(&mut self, id: RefundId) -> Result<(), Refused> {
        self.step_refund(id, RefundInput::Calling)
    }

    pub(super) fn refund_reported(&mut self, id: RefundId, outcome: RefundOutcome) -> Result<(), Refused> {
        let before = self.charge.refund(id).ok_or(Refused::NotFound)?.clone();
        match self.step_refund(id, RefundInput::Reported(outcome)) {
            // Heard after its end: nothing new.
            Err(Refused::InvalidState) => return Ok(()),
            other => other?,
        }
        let after = self.charge.refund(id).ok_or(Refused::NotFound)?.clone();
        match (before.status(), after.status()) {
            (RefundStatus::Pending, RefundStatus::Succeeded) => self.refund_succeeded(&after),
            (RefundStatus::Pending, RefundStatus::Failed) => self.refund_failed(&after),
            _ => {}
        }
        Ok(())
    }

    /// Minor units of the principal that no living refund draws on yet.
    fn refundable(&self) -> i64 {
        let taken = self
            .charge
            .principal_refunds()
            .filter(|refund| refund.status() != RefundStatus::Failed)
            .fold(0_i64, |sum, refund| sum.saturating_add(refund.amount));
        self.charge.amount.amount.saturating_sub(taken)
    }

    fn add_refund(&mut self, new: NewRefund, principal: AttemptId) {
        let tx = self.charge.attempt(principal).and_then(|attempt| attempt.provider_trade_no.clone());
        let refund = Refund::new(new, principal, tx.unwrap_or_default(), self.now);
        self.push_refund(refund);
    }

    fn push_refund(&mut self, refund: Refund) {
        self.event(EventKind::RefundOpened { refund: refund.id, amount: refund.amount, reason: refund.reason.clone() });
        self.effects.push(Effect::CallRefund { refund: refund.id, at: self.now });
        self.charge.refunds.push(refund);
    }

    fn refund_succeeded(&mut self, refund: &Refund) {
        if refund.is_of_principal() {
            let whole = self.charge.amount_refunded() == self.charge.amount.amount;
            self.set_status(if whole { ChargeStatus::Refunded } else { ChargeStatus::PartiallyRefunded });
        }
        self.announce_of(Topic::RefundSucceeded, Some(refund.id));
    }

    fn refund_failed(&mut self, refund: &Refund) {
        self.announce_of(Topic::RefundFailed, Some(refund.id));
        if refund.kind != RefundKind::Merchant {
            // Nobody ordered it who could be told: a person must find another way for this money.
            let why = refund.error.as_ref().map(|e| format!("{}: {}", e.provider_code, e.detail)).unwrap_or_default();
            let tx = refund.provider_trade_no.clone();
            self.open_break(BreakKind::RefundDiffers, Some(refund.attempt), Some(&tx), why);
        }
    }

    fn step_refund(&mut self, id: RefundId, input: RefundInput) -> Result<(), Refused> {
        let now = self.now;
        let slot = self.charge.refunds.iter_mut().find(|refund| refund.id == id).ok_or(Refused::NotFound)?;
        match slot.clone().apply(input, now) {
            Ok(step) => {
                *slot = step.next;
                self.events.extend(step.events);
                self.effects.extend(step.effects);
                Ok(())
            }
            Err(RefundRefused::Ended) => Err(Refused::InvalidState),
            Err(RefundRefused::AmountDiffers) => {
                let (attempt, tx) = (slot.attempt, slot.provider_trade_no.clone());
                let why = "the provider states another sum for this refund".to_owned();
                self.open_break(BreakKind::RefundDiffers, Some(attempt), Some(&tx), why);
                Ok(())
            }
        }
    }
}
