//! Money back: what may be refunded, in whose name, and what that does to the charge.
//!
//! Invariants S13 and S8: refunds of the principal that are not proved failed never pass it; a surplus payment goes
//! back whole, once, and by nobody's order; a merchant's full refund of undelivered goods sets the fence first.

use super::number::{derived_number, derived_refund};
use super::{Change, Charge, ChargeStatus, Refused, Topic};
use crate::delivery::{DeliveryInput, DeliveryStatus};
use crate::effect::{BreakDraft, BreakKind, Effect, EventKind};
use crate::ids::{AttemptId, RefundId};
use crate::money::Money;
use crate::planted::{Defect, planted};
use crate::provider::{RefundOutcome, RefundRules};
use crate::refund::{NewRefund, Refund, RefundInput, RefundKind, RefundRefused, RefundStatus};

impl Charge {
    /// Minor units of a payment that went back on our order, or still may.
    #[must_use]
    pub fn refunds_ordered(&self, provider_trade_no: &str) -> i64 {
        let of_payment = self.refunds.iter().filter(|refund| refund.provider_trade_no == provider_trade_no);
        of_payment.fold(0, |sum, refund| sum.saturating_add(refund.draws()))
    }
}

impl Change {
    pub(super) fn merchant_refund(&mut self, new: NewRefund, sending: bool, rules: RefundRules) -> Result<(), Refused> {
        let principal = self.charge.principal.ok_or(Refused::InvalidState)?;
        if self.charge.refund(new.id).is_some() {
            // A repeat: it was ordered by this very input.
            return Ok(());
        }
        if new.amount <= 0 || (new.amount > self.refundable() && !planted(Defect::RefundsUnbounded)) {
            return Err(Refused::ExceedsRefundable);
        }
        let parts = self.charge.principal_refunds().filter(|refund| refund.status() != RefundStatus::Failed).count();
        if rules.parts_max.is_some_and(|max| parts >= max) {
            return Err(Refused::TooManyRefunds);
        }
        let whole = new.amount == self.refundable();
        let owed = self.charge.delivery.status() != DeliveryStatus::Delivered && !self.charge.delivery.fenced;
        if whole && owed && !planted(Defect::RefundWithoutFence) {
            if sending {
                return Err(Refused::DeliveryInFlight);
            }
            self.step_delivery(DeliveryInput::Fence)?;
            self.settle_delivery_breaks();
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

    pub(super) fn refund_calling(&mut self, id: RefundId, rules: RefundRules) -> Result<(), Refused> {
        let refund = self.charge.refund(id).ok_or(Refused::NotFound)?;
        let pending = refund.status() == RefundStatus::Pending;
        match refund.held_back_until(self.charge.refunds.iter(), rules, self.now).filter(|_| pending) {
            Some(at) => self.effects.push(Effect::CallRefund { refund: id, at }),
            None => self.step_refund(id, RefundInput::Calling)?,
        }
        Ok(())
    }

    pub(super) fn refund_reported(&mut self, id: RefundId, outcome: RefundOutcome) -> Result<(), Refused> {
        let before = self.charge.refund(id).ok_or(Refused::NotFound)?.clone();
        if before.status() != RefundStatus::Pending {
            self.heard_after_end(&before, &outcome);
            return Ok(());
        }
        if matches!(outcome, RefundOutcome::Succeeded { amount: Some(stated) } if stated.currency != self.charge.sum_of(&before.provider_trade_no).currency)
        {
            self.mark(id, |refund| refund.other_sum = true);
            self.refund_differs(&before, "the provider states another currency for this refund".to_owned());
            return Ok(());
        }
        self.step_refund(id, RefundInput::Reported(outcome))?;
        let after = self.charge.refund(id).ok_or(Refused::NotFound)?.clone();
        match (before.status(), after.status()) {
            (RefundStatus::Pending, RefundStatus::Succeeded) => self.refund_succeeded(&after),
            (RefundStatus::Pending, RefundStatus::Failed) => self.refund_failed(&after),
            _ => {}
        }
        Ok(())
    }

    /// A word that names the number it is about, so that one about a spent number spends no other.
    pub(super) fn refund_noticed(&mut self, id: RefundId, no: &str, outcome: RefundOutcome) -> Result<(), Refused> {
        let refund = self.charge.refund(id).ok_or(Refused::NotFound)?.clone();
        if refund.provider_refund_no == no {
            return self.refund_reported(id, outcome);
        }
        if matches!(outcome, RefundOutcome::Succeeded { .. }) {
            self.refund_differs(
                &refund,
                format!("number {no} had been proved closed, and now the money is back by it"),
            );
        }
        Ok(())
    }

    /// No status goes back; money that moved against a known end is a person's matter.
    fn heard_after_end(&mut self, refund: &Refund, outcome: &RefundOutcome) {
        match (refund.status(), outcome) {
            (
                RefundStatus::Succeeded,
                RefundOutcome::Ended(f) | RefundOutcome::Refused(f) | RefundOutcome::Stuck(f),
            ) => {
                self.refund_differs(
                    refund,
                    format!("it was through, and now it is not: {}: {}", f.provider_code, f.detail),
                );
                self.mark(refund.id, |refund| refund.lost = refund.replaced_by.is_none());
            }
            (RefundStatus::Succeeded, RefundOutcome::Succeeded { .. }) if refund.replaced_by.is_some() => {
                self.refund_differs(refund, "another one was put in its place, and now it is through".to_owned());
            }
            (RefundStatus::Succeeded, RefundOutcome::Succeeded { .. }) if refund.lost => {
                self.mark(refund.id, |refund| refund.lost = false);
            }
            (RefundStatus::Failed, RefundOutcome::Succeeded { .. }) => {
                self.mark(refund.id, |refund| {
                    refund.lost = false;
                    refund.moved_after_all = true;
                });
                self.refund_differs(refund, "it was proved to have failed, and now the money is back".to_owned());
            }
            _ => {}
        }
    }

    fn refund_differs(&mut self, refund: &Refund, why: String) {
        let draft = self.draft(BreakKind::RefundDiffers, Some(refund.attempt), Some(&refund.provider_trade_no), why);
        let currency = self.charge.sum_of(&refund.provider_trade_no).currency;
        let amount = Money { amount: refund.amount, currency };
        self.open_break(BreakDraft { amount, ..draft });
    }

    /// Minor units of the principal that no living refund draws on yet.
    pub(super) fn refundable(&self) -> i64 {
        let taken = self.charge.principal_refunds().fold(0_i64, |sum, refund| sum.saturating_add(refund.draws()));
        self.charge.captured().amount.saturating_sub(taken)
    }

    fn is_of_principal(&self, id: RefundId) -> bool {
        self.charge.principal_refunds().any(|refund| refund.id == id)
    }

    fn mark(&mut self, id: RefundId, mark: impl FnOnce(&mut Refund)) {
        if let Some(refund) = self.charge.refunds.iter_mut().find(|refund| refund.id == id) {
            mark(refund);
        }
    }

    fn add_refund(&mut self, new: NewRefund, principal: AttemptId) {
        let tx = self.charge.attempt(principal).and_then(|attempt| attempt.provider_trade_no.clone());
        let refund = Refund::new(new, principal, tx.unwrap_or_default(), self.now);
        self.push_refund(refund);
    }

    pub(super) fn push_refund(&mut self, refund: Refund) {
        self.event(EventKind::RefundOpened { refund: refund.id, amount: refund.amount, reason: refund.reason.clone() });
        self.effects.push(Effect::CallRefund { refund: refund.id, at: self.now });
        self.charge.refunds.push(refund);
    }

    fn refund_succeeded(&mut self, refund: &Refund) {
        if self.is_of_principal(refund.id) {
            let whole = self.charge.amount_refunded() >= self.charge.captured().amount;
            let status = if whole { ChargeStatus::Refunded } else { ChargeStatus::PartiallyRefunded };
            // The successor of one that bounced finds the charge where that one had left it.
            self.set_status(status.max(self.charge.status));
        }
        self.announce_of(Topic::RefundSucceeded, Some(refund.id));
    }

    fn refund_failed(&mut self, refund: &Refund) {
        self.announce_of(Topic::RefundFailed, Some(refund.id));
        let undelivered = self.is_of_principal(refund.id) && self.charge.delivery.fenced;
        if refund.kind != RefundKind::Merchant || undelivered {
            // Nobody ordered it who could be told, or the goods are fenced: a person must find a way for this money.
            let why = refund.error.as_ref().map(|e| format!("{}: {}", e.provider_code, e.detail)).unwrap_or_default();
            self.refund_differs(refund, why);
            self.mark(refund.id, |refund| refund.lost = true);
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
                slot.other_sum = true;
                let refund = slot.clone();
                self.refund_differs(&refund, "the provider states another sum for this refund".to_owned());
                Ok(())
            }
        }
    }
}
