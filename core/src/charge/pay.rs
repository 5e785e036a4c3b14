//! Money came in: is it ours, is it exact, does it count?
//!
//! Invariants: the principal is the payment whose evidence is committed first, for ever (S2); a sum that differs by
//! one fen is a break and never `paid` (S4); every further payment goes back by itself (S8); a payment after the close
//! counts and is late (S20).

use super::{Change, ChargeStatus, Refused};
use crate::attempt::{AttemptInput, AttemptStatus};
use crate::effect::{BreakKind, Effect, EffectKey, EventKind, Source};
use crate::ids::AttemptId;
use crate::provider::Payment;
use crate::refund::RefundKind;

impl Change {
    pub(super) fn pay(&mut self, id: AttemptId, payment: Payment, source: Source) -> Result<(), Refused> {
        let attempt = self.charge.attempt(id).ok_or(Refused::NotFound)?;
        if attempt.provider_order_no != payment.provider_order_no {
            return Err(Refused::Foreign);
        }
        if payment.amount != self.charge.amount {
            self.amount_differs(id, &payment);
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
        let surplus = self.charge.principal.is_some();
        self.step_attempt(id, AttemptInput::Paid { payment: payment.clone(), surplus })?;
        if surplus {
            self.surplus(id, &payment, source);
        } else {
            self.principal(id, &payment, source)?;
        }
        Ok(())
    }

    fn principal(&mut self, id: AttemptId, payment: &Payment, source: Source) -> Result<(), Refused> {
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
        if payment.refunded > 0 {
            self.refunded_elsewhere(id, payment);
        } else if late && self.charge.policy.refund_late {
            self.fence_and_refund(RefundKind::Late, "paid after the charge had closed");
        } else {
            self.start_delivery();
        }
        Ok(())
    }

    fn surplus(&mut self, id: AttemptId, payment: &Payment, source: Source) {
        let tx = payment.provider_trade_no.clone();
        let known = self.charge.refunds.iter().any(|r| r.kind == RefundKind::Surplus && r.provider_trade_no == tx);
        if known {
            return;
        }
        self.event(EventKind::PaidAgain { attempt: id, provider_trade_no: tx.clone(), source });
        self.effects.push(Effect::Credit { attempt: id, provider_trade_no: tx.clone() });
        if payment.refunded > 0 {
            let evidence = format!("the provider states {} minor units already refunded", payment.refunded);
            self.open_break(BreakKind::RefundDiffers, Some(id), Some(&tx), evidence);
            return;
        }
        self.surplus_refund(id, tx, payment.amount.amount);
    }

    /// The provider says that some of a known payment went back. More than what we ordered is a person's matter.
    fn refunded_elsewhere(&mut self, id: AttemptId, payment: &Payment) {
        let ours = self
            .charge
            .refunds
            .iter()
            .filter(|refund| refund.provider_trade_no == payment.provider_trade_no)
            .fold(0_i64, |sum, refund| sum.saturating_add(refund.amount));
        if payment.refunded > ours {
            let evidence = format!("the provider states {} refunded, {ours} were ordered here", payment.refunded);
            self.open_break(BreakKind::RefundDiffers, Some(id), Some(&payment.provider_trade_no), evidence);
        }
    }

    fn amount_differs(&mut self, id: AttemptId, payment: &Payment) {
        let tx = &payment.provider_trade_no;
        let known = self.charge.breaks.iter().any(|(kind, of)| *kind == BreakKind::AmountDiffers && of == tx);
        if known {
            return;
        }
        self.event(EventKind::AmountDiffers { attempt: id, provider_trade_no: tx.clone(), stated: payment.amount });
        let evidence = format!("the provider states {} {}", payment.amount.amount, payment.amount.currency);
        self.open_break(BreakKind::AmountDiffers, Some(id), Some(tx), evidence);
    }
}
