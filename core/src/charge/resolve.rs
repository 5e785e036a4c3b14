//! A person decides over a break: the goods go out, the money goes back, or the matter is closed.
//!
//! Invariants: a decision moves money by the same rules as everything else (S2, S8, S13): a payment counts once, goes
//! back once, under a number derived from what it replaces, and behind the fence where goods were owed. What a person
//! closed is not opened again by a repeat of the same word.

use super::number::{derived_number, derived_refund};
use super::{Change, ChargeStatus, Refused};
use crate::attempt::AttemptInput;
use crate::day::Day;
use crate::delivery::{DeliveryInput, DeliveryStatus};
use crate::effect::{BreakKind, Effect, EffectKey, EventKind, Source};
use crate::ids::AttemptId;
use crate::money::Money;
use crate::provider::{Outcome, Payment, RefundOutcome};
use crate::refund::{NewRefund, Refund, RefundKind, RefundStatus};
use crate::resolution::{Resolution, fitting};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// A payment of another sum than the charge's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differing {
    /// The attempt that it was made for.
    pub attempt: AttemptId,
    /// Its sum, as the provider states it.
    pub amount: Money,
    /// A person sent it back: it counts for nothing any more, whatever is stated later.
    pub returned: bool,
    /// The provider's time of it, or when we heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<UnixMillis>,
    /// The day of the statement that names it, where the provider says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_on: Option<Day>,
}

impl Change {
    pub(super) fn resolve(
        &mut self,
        kind: BreakKind,
        key: &str,
        resolution: Resolution,
        sending: bool,
    ) -> Result<(), Refused> {
        let asked = (kind, key.to_owned());
        if !self.charge.breaks.contains(&asked) {
            return Err(Refused::NotFound);
        }
        if !fitting(kind).contains(&resolution) {
            return Err(Refused::Unfitting);
        }
        self.charge.breaks.retain(|open| *open != asked);
        self.event(EventKind::BreakResolved { kind, resolution });
        match kind {
            BreakKind::AmountDiffers => self.resolve_differing(key, resolution),
            BreakKind::Undelivered | BreakKind::Undeliverable => self.resolve_undelivered(resolution, sending),
            BreakKind::RefundDiffers => self.resolve_refund(key, resolution, sending),
            BreakKind::MissingHere
            | BreakKind::Duplicate
            | BreakKind::DeliveredAfterRefund
            | BreakKind::MissingThere
            | BreakKind::StatusDiffers
            | BreakKind::FeeDiffers => Ok(()),
        }
    }

    fn resolve_differing(&mut self, tx: &str, resolution: Resolution) -> Result<(), Refused> {
        let stated = self.charge.differing.get(tx).cloned();
        match resolution {
            Resolution::Deliver => self.take_as_principal(tx, &stated.ok_or(Refused::Unfitting)?),
            Resolution::Refund => {
                let stated = stated.ok_or(Refused::Unfitting)?;
                if self.counts(tx) {
                    return Err(Refused::Unfitting);
                }
                let number = derived_number(&[&self.charge.id.to_string(), tx]);
                self.charge.differing.insert(tx.to_owned(), Differing { returned: true, ..stated.clone() });
                self.decided_refund(stated.attempt, tx, stated.amount.amount, number);
                self.end_of_dispute(Some(stated.attempt))
            }
            Resolution::Accept | Resolution::WriteOff => self.end_of_dispute(stated.map(|stated| stated.attempt)),
        }
    }

    /// A payment of another sum counts, because a person says so.
    fn take_as_principal(&mut self, tx: &str, stated: &Differing) -> Result<(), Refused> {
        let foreign = stated.amount.currency != self.charge.amount.currency;
        if foreign || self.charge.principal.is_some() || self.counts(tx) {
            return Err(Refused::Unfitting);
        }
        let attempt = self.charge.attempt(stated.attempt).ok_or(Refused::NotFound)?;
        let payment = Payment {
            provider_order_no: attempt.provider_order_no.clone(),
            provider_trade_no: tx.to_owned(),
            amount: stated.amount,
            paid_at: stated.paid_at,
            settled_on: stated.settled_on,
            refunded: 0,
        };
        self.step_attempt(stated.attempt, AttemptInput::Paid { payment: payment.clone(), surplus: false })?;
        self.charge.taken = Some(stated.amount);
        self.count_principal(stated.attempt, &payment, Source::Operator)?;
        self.start_delivery();
        Ok(())
    }

    /// The order took a payment, so it takes no second one; and the charge goes on as it would have without a dispute.
    fn end_of_dispute(&mut self, attempt: Option<AttemptId>) -> Result<(), Refused> {
        if let Some(attempt) = attempt {
            self.report(attempt, Outcome::Closed, Source::Operator)?;
        }
        self.close_if_ended();
        if self.charge.status == ChargeStatus::Open {
            self.effects.push(Effect::wake(EffectKey::Expire, self.charge.expires_at, self.now));
        }
        Ok(())
    }

    fn resolve_undelivered(&mut self, resolution: Resolution, sending: bool) -> Result<(), Refused> {
        match resolution {
            Resolution::Deliver => self.step_delivery(DeliveryInput::Release),
            Resolution::Refund => {
                self.fence_by_decision(sending)?;
                self.whole_refund(RefundKind::Undelivered, "a person decided to give the money back");
                Ok(())
            }
            Resolution::Accept | Resolution::WriteOff => {
                self.step_delivery(DeliveryInput::Settle)?;
                self.settle_delivery_breaks();
                Ok(())
            }
        }
    }

    fn resolve_refund(&mut self, tx: &str, resolution: Resolution, sending: bool) -> Result<(), Refused> {
        match resolution {
            Resolution::Deliver => {
                let held = self.charge.delivery.status() == DeliveryStatus::None && !self.charge.delivery.fenced;
                if !held || self.charge.principal_trade_no() != Some(tx) {
                    return Err(Refused::Unfitting);
                }
                self.start_delivery();
                Ok(())
            }
            Resolution::Refund => self.refund_again(tx, sending),
            Resolution::Accept | Resolution::WriteOff => {
                self.close_refunds_of(tx)?;
                let held = self.charge.delivery.status() == DeliveryStatus::None;
                if held && self.charge.principal_trade_no() == Some(tx) {
                    return self.step_delivery(DeliveryInput::Settle);
                }
                Ok(())
            }
        }
    }

    /// Nothing more is wanted of what went wrong with a payment's refunds.
    fn close_refunds_of(&mut self, tx: &str) -> Result<(), Refused> {
        let mut misstated = Vec::new();
        for refund in self.charge.refunds.iter_mut().filter(|refund| refund.provider_trade_no == tx) {
            refund.lost = false;
            if refund.other_sum && refund.status() == RefundStatus::Pending {
                misstated.push(refund.id);
            }
        }
        for id in misstated {
            // The provider's word that it is through stands, whatever sum it states.
            self.refund_reported(id, RefundOutcome::Succeeded { amount: None })?;
        }
        Ok(())
    }

    /// What was lost goes back under a next number; where nothing was, whatever is left of the payment does.
    fn refund_again(&mut self, tx: &str, sending: bool) -> Result<(), Refused> {
        let of_payment = |refund: &&Refund| refund.provider_trade_no == tx && refund.lost;
        let lost: Vec<Refund> = self.charge.refunds.iter().filter(of_payment).cloned().collect();
        if lost.is_empty() {
            return self.refund_rest(tx, sending);
        }
        for old in lost {
            self.replace(&old)?;
        }
        Ok(())
    }

    fn replace(&mut self, old: &Refund) -> Result<(), Refused> {
        let generation = old.generation.saturating_add(1);
        let number = derived_number(&[&old.provider_refund_no, "next", &generation.to_string()]);
        let id = derived_refund(self.now, &[&number]);
        let bounced = if old.status() == RefundStatus::Succeeded { old.draws() } else { 0 };
        let left = self.left_of(&old.provider_trade_no).saturating_add(bounced);
        let amount = old.amount.min(left);
        if amount <= 0 {
            return Err(Refused::ExceedsRefundable);
        }
        if let Some(slot) = self.charge.refunds.iter_mut().find(|refund| refund.id == old.id) {
            slot.lost = false;
            slot.replaced_by = Some(id);
        }
        let kind = if old.kind == RefundKind::Merchant { RefundKind::Decided } else { old.kind };
        let reason = old.reason.clone();
        let new = NewRefund { id, kind, refund_no: None, provider_refund_no: number, amount, reason };
        let mut refund = Refund::new(new, old.attempt, old.provider_trade_no.clone(), self.now);
        refund.generation = generation;
        self.push_refund(refund);
        Ok(())
    }

    fn refund_rest(&mut self, tx: &str, sending: bool) -> Result<(), Refused> {
        let outside = self.charge.refunded_outside.get(tx).copied().unwrap_or(0);
        let left = self.left_of(tx).saturating_sub(outside);
        if outside == 0 {
            return Err(Refused::Unfitting);
        }
        if left <= 0 {
            return Err(Refused::ExceedsRefundable);
        }
        if let Some((attempt, _)) = self.charge.surplus.iter().find(|(_, of)| of == tx).cloned() {
            self.surplus_refund(attempt, tx.to_owned(), left);
            return Ok(());
        }
        let principal = self.charge.principal.filter(|_| self.charge.principal_trade_no() == Some(tx));
        let principal = principal.ok_or(Refused::Unfitting)?;
        if self.charge.delivery.status() != DeliveryStatus::Delivered && !self.charge.delivery.fenced {
            self.fence_by_decision(sending)?;
        }
        let ordinal = self.charge.refunds.len().to_string();
        let number = derived_number(&[&self.charge.id.to_string(), "decided", &ordinal]);
        self.decided_refund(principal, tx, left, number);
        Ok(())
    }

    fn decided_refund(&mut self, attempt: AttemptId, tx: &str, amount: i64, number: String) {
        let new = NewRefund {
            id: derived_refund(self.now, &[&number]),
            kind: RefundKind::Decided,
            refund_no: None,
            provider_refund_no: number,
            amount,
            reason: "a person decided to give the money back".to_owned(),
        };
        self.push_refund(Refund::new(new, attempt, tx.to_owned(), self.now));
    }

    fn fence_by_decision(&mut self, sending: bool) -> Result<(), Refused> {
        if sending {
            return Err(Refused::DeliveryInFlight);
        }
        self.step_delivery(DeliveryInput::Fence)?;
        self.settle_delivery_breaks();
        Ok(())
    }

    /// Whether a payment counts, as the principal or beside it.
    fn counts(&self, tx: &str) -> bool {
        self.charge.principal_trade_no() == Some(tx) || self.charge.surplus.iter().any(|(_, of)| of == tx)
    }

    /// Minor units of a payment that no refund of ours draws on.
    fn left_of(&self, tx: &str) -> i64 {
        self.charge.sum_of(tx).amount.saturating_sub(self.charge.refunds_ordered(tx))
    }
}
