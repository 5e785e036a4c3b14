//! Money came in: is it ours, is it exact, does it count?
//!
//! Invariants: the principal is the payment whose evidence is committed first, for ever (S2); a sum that differs by
//! one fen is a break and never `paid` (S4); every further payment goes back by itself (S8); a payment after the close
//! counts and is late (S20).

use super::{Change, ChargeStatus, Differing, Refused};
use crate::attempt::{AttemptInput, AttemptStatus};
use crate::effect::{BreakDraft, BreakKind, Effect, EffectKey, EventKind, Source};
use crate::ids::AttemptId;
use crate::planted::{Defect, planted};
use crate::provider::{Outcome, Payment};
use crate::refund::RefundKind;

impl Change {
    pub(super) fn pay(&mut self, id: AttemptId, payment: Payment, source: Source) -> Result<(), Refused> {
        let attempt = self.charge.attempt(id).ok_or(Refused::NotFound)?;
        if attempt.provider_order_no != payment.provider_order_no {
            return Err(Refused::Foreign);
        }
        if self.was_returned(id, &payment.provider_trade_no) {
            // A person sent it back under the sum that was stated then: it can never count.
            return self.report(id, Outcome::Closed, source);
        }
        let is_taken = self.charge.principal == Some(id)
            && self.charge.principal_trade_no() == Some(payment.provider_trade_no.as_str());
        let expected = if is_taken { self.charge.captured() } else { self.charge.amount };
        if payment.amount != expected && !planted(Defect::AmountUnchecked) {
            return self.amount_differs(id, &payment, source);
        }
        if self.is_anothers(id, &payment.provider_trade_no) {
            self.counts_elsewhere(id, &payment);
            return Ok(());
        }
        let (status, known) = (attempt.status(), attempt.provider_trade_no.clone());
        match status {
            AttemptStatus::Succeeded | AttemptStatus::Duplicate => {
                if known.as_deref() == Some(payment.provider_trade_no.as_str()) {
                    self.refunded_elsewhere(id, &payment);
                } else {
                    // The same code was paid twice: the second payment is nobody's principal.
                    self.surplus(id, &payment, source);
                }
            }
            AttemptStatus::Creating
            | AttemptStatus::Pending
            | AttemptStatus::Unknown
            | AttemptStatus::Failed
            | AttemptStatus::Closed => self.first_payment(id, payment, source)?,
        }
        Ok(())
    }

    fn first_payment(&mut self, id: AttemptId, payment: Payment, source: Source) -> Result<(), Refused> {
        if planted(Defect::LatePaymentIgnored) && self.charge.status == ChargeStatus::Closed {
            return Ok(());
        }
        let surplus = self.charge.principal.is_some() && !planted(Defect::SecondPrincipal);
        self.step_attempt(id, AttemptInput::Paid { payment: payment.clone(), surplus })?;
        if surplus {
            self.surplus(id, &payment, source);
        } else {
            self.principal(id, &payment, source)?;
        }
        Ok(())
    }

    fn principal(&mut self, id: AttemptId, payment: &Payment, source: Source) -> Result<(), Refused> {
        self.count_principal(id, payment, source)?;
        if payment.refunded > 0 {
            self.refunded_elsewhere(id, payment);
        } else if self.charge.late && self.charge.policy.refund_late {
            self.fence_and_refund(RefundKind::Late, "paid after the charge had closed");
        } else {
            self.start_delivery();
        }
        Ok(())
    }

    /// From here on this payment is the one that counts.
    pub(super) fn count_principal(&mut self, id: AttemptId, payment: &Payment, source: Source) -> Result<(), Refused> {
        let late = self.charge.status == ChargeStatus::Closed;
        self.set_status(ChargeStatus::Paid);
        self.charge.principal = Some(id);
        self.charge.paid_at = Some(self.now);
        self.charge.late = late;
        self.charge.failure = None;
        let provider_trade_no = payment.provider_trade_no.clone();
        self.event(EventKind::Paid { attempt: id, provider_trade_no: provider_trade_no.clone(), source, late });
        self.effects.push(Effect::Credit { attempt: id, provider_trade_no });
        self.effects.push(Effect::Forget(EffectKey::Expire));
        // Nobody shall pay a second code of a paid charge.
        for other in self.open_attempts() {
            self.end_attempt(other)?;
        }
        Ok(())
    }

    fn surplus(&mut self, id: AttemptId, payment: &Payment, source: Source) {
        let tx = payment.provider_trade_no.clone();
        if !self.charge.surplus.insert((id, tx.clone())) {
            self.refunded_elsewhere(id, payment);
            return;
        }
        self.event(EventKind::PaidAgain { attempt: id, provider_trade_no: tx.clone(), source });
        self.effects.push(Effect::Credit { attempt: id, provider_trade_no: tx.clone() });
        if payment.refunded > 0 {
            self.refunded_elsewhere(id, payment);
            return;
        }
        if !planted(Defect::SurplusForgotten) {
            self.surplus_refund(id, tx, payment.amount.amount);
        }
    }

    /// The provider says that some of a known payment went back. More than what we ordered, and more than what was
    /// raised before, is a person's matter.
    fn refunded_elsewhere(&mut self, id: AttemptId, payment: &Payment) {
        let ours = self.charge.refunds_ordered(&payment.provider_trade_no);
        let tx = &payment.provider_trade_no;
        let beyond = payment.refunded.saturating_sub(ours);
        let raised = self.charge.refunded_outside.get(tx).copied().unwrap_or(0);
        if beyond > raised {
            self.charge.refunded_outside.insert(tx.clone(), beyond);
            let evidence = format!("the provider states {} refunded, {ours} were ordered here", payment.refunded);
            self.open_break(self.draft(BreakKind::RefundDiffers, Some(id), Some(tx), evidence));
        }
    }

    fn amount_differs(&mut self, id: AttemptId, payment: &Payment, source: Source) -> Result<(), Refused> {
        let tx = &payment.provider_trade_no;
        let key = (BreakKind::AmountDiffers, tx.clone());
        if self.charge.judged.insert(key.clone()) {
            self.event(EventKind::AmountDiffers { attempt: id, provider_trade_no: tx.clone(), stated: payment.amount });
            let differing = Differing {
                attempt: id,
                amount: payment.amount,
                returned: false,
                paid_at: payment.paid_at.or(Some(self.now)),
                settled_on: payment.settled_on,
            };
            self.charge.differing.insert(tx.clone(), differing);
            let evidence = format!("the provider states {} {}", payment.amount.amount, payment.amount.currency);
            let draft = self.draft(BreakKind::AmountDiffers, Some(id), Some(tx), evidence);
            self.open_break(BreakDraft { amount: payment.amount, ..draft });
        }
        if self.charge.breaks.contains(&key) {
            self.watch(id);
            return Ok(());
        }
        // A person has settled it, and an order that took a payment takes no second one: that is its end.
        self.report(id, Outcome::Closed, source)
    }

    fn was_returned(&self, id: AttemptId, tx: &str) -> bool {
        self.charge.differing.get(tx).is_some_and(|differing| differing.returned && differing.attempt == id)
    }

    /// Whether this payment counts for another attempt of the same account already (S2).
    fn is_anothers(&self, id: AttemptId, tx: &str) -> bool {
        let Some(this) = self.charge.attempt(id) else { return false };
        self.charge.attempts.iter().any(|other| {
            let same_account = other.provider == this.provider && other.account == this.account;
            let counts = other.provider_trade_no.as_deref() == Some(tx)
                || self.charge.surplus.contains(&(other.id, tx.to_owned()))
                || self.was_returned(other.id, tx);
            other.id != id && same_account && counts
        })
    }

    fn counts_elsewhere(&mut self, id: AttemptId, payment: &Payment) {
        let tx = &payment.provider_trade_no;
        if self.charge.judged.insert((BreakKind::Duplicate, tx.clone())) {
            let evidence = "this payment already counts for another attempt of the charge".to_owned();
            self.open_break(self.draft(BreakKind::Duplicate, Some(id), Some(tx), evidence));
        }
        self.watch(id);
    }

    /// An attempt that stays open stays watched.
    fn watch(&mut self, id: AttemptId) {
        let open = self.charge.attempt(id).filter(|attempt| attempt.status().is_open());
        if let Some(effect) = open.map(|attempt| attempt.watch(self.now)) {
            self.effects.push(effect);
        }
    }
}
