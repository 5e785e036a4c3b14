//! Money back: the merchant's order for it, and the way of every refund to its end.
//!
//! Invariants: S13 (one number per refund, asked before repeated after any doubt), S11 (a call is durable before it is
//! made). A refund that is stuck stays pending and is seen.

use super::busy::sending;
use super::change::Along;
use super::{Flow, FlowError};
use crate::ports::{Claim, Owner, Reference};
use tongdao_core::charge::{Charge, Input};
use tongdao_core::effect::EffectKey;
use tongdao_core::ids::{AttemptId, ChargeId, RefundId};
use tongdao_core::planted::{Defect, planted};
use tongdao_core::provider::{ErrorClass, Failure, RefundOutcome, RefundRules};
use tongdao_core::refund::{NewRefund, Refund, RefundKind};

/// A merchant's checked order to refund.
#[derive(Debug, Clone)]
pub struct AskedRefund {
    /// The charge.
    pub charge: ChargeId,
    /// The merchant's number, unique per merchant.
    pub refund_no: String,
    /// Minor units.
    pub amount: i64,
    /// Why.
    pub reason: String,
    /// The hash of all of the above.
    pub request_hash: String,
}

/// A refund that was ordered, now or before.
#[derive(Debug, Clone)]
pub struct OpenedRefund {
    /// Its charge.
    pub charge: Charge,
    /// Its id.
    pub refund: RefundId,
    /// Whether this was a repeat.
    pub replayed: bool,
}

impl Flow {
    /// Orders a refund of the principal.
    ///
    /// # Errors
    /// `Conflict` for a number used with another order, `Refused` by the rules, or the store's.
    pub async fn open_refund(&self, asked: AskedRefund) -> Result<OpenedRefund, FlowError> {
        let charge = self.charge(asked.charge).await?;
        let name = format!("refunding {} {}", charge.merchant, asked.refund_no);
        let Some(_held) = self.busy.hold(name) else { return Err(FlowError::InProgress { retry_after_s: 1 }) };
        let number = Reference::RefundNo(charge.merchant.clone(), asked.refund_no.clone());
        if let Some(owner) = self.store.find(&number).await? {
            return self.repeated_refund(&asked, &owner).await;
        }
        let id = RefundId::new(self.clock.now(), self.rng.draw());
        let new = NewRefund {
            id,
            kind: RefundKind::Merchant,
            refund_no: Some(asked.refund_no),
            provider_refund_no: format!("{:032X}", self.rng.draw()),
            amount: asked.amount,
            reason: asked.reason,
        };
        // Held over the commit: no try of `charge.paid` may begin between the look and the fence.
        let quiet = self.busy.hold(sending(asked.charge));
        let sending = quiet.is_none();
        let owner = Owner::Request(asked.request_hash, asked.charge);
        let claims =
            if planted(Defect::RefundNumberUnclaimed) { Vec::new() } else { vec![Claim { reference: number, owner }] };
        let along = Along { claims, ..Along::default() };
        let input = Input::Refund { new: Box::new(new), sending, rules: self.rules_of(&charge, charge.principal) };
        let changed = self.change(asked.charge, &[input], along).await?;
        Ok(OpenedRefund { charge: changed.charge, refund: id, replayed: false })
    }

    /// The charge of a refund.
    ///
    /// # Errors
    /// `NotFound`, or the store's.
    pub async fn charge_of_refund(&self, id: RefundId) -> Result<Charge, FlowError> {
        let owner = self.store.find(&Reference::Refund(id)).await?.ok_or(FlowError::NotFound)?;
        self.charge(owner.charge()).await
    }

    async fn repeated_refund(&self, asked: &AskedRefund, owner: &Owner) -> Result<OpenedRefund, FlowError> {
        let same = matches!(owner, Owner::Request(hash, _) if *hash == asked.request_hash);
        let charge = self.charge(owner.charge()).await?;
        let of_number = |refund: &&Refund| refund.refund_no.as_deref() == Some(asked.refund_no.as_str());
        match charge.refunds.iter().find(of_number).map(|refund| refund.id) {
            Some(refund) if same => Ok(OpenedRefund { charge, refund, replayed: true }),
            _ => Err(FlowError::Conflict),
        }
    }

    /// Makes or asks about a refund once and reports the answer.
    pub(crate) async fn pursue_refund(
        &self,
        id: ChargeId,
        refund: RefundId,
        fired: Option<EffectKey>,
    ) -> Result<Charge, FlowError> {
        let Some(_held) = self.busy.hold(format!("refund {refund}")) else {
            return Err(FlowError::InProgress { retry_after_s: 1 });
        };
        let charge = self.charge(id).await?;
        let Some(before) = charge.refund(refund).cloned() else { return Err(FlowError::NotFound) };
        if before.ended_at.is_some() {
            return self.clear(id, fired).await;
        }
        let mut charge = self.call_refund(&charge, &before, fired).await?;
        // It never arrived: the same number goes out at once.
        let absent = |now: &&Refund| before.ask_first && !now.ask_first && now.ended_at.is_none();
        if let Some(again) = charge.refund(refund).filter(absent).cloned() {
            charge = self.call_refund(&charge, &again, None).await?;
        }
        if let Some(after) = charge.refund(refund).filter(|after| after.stuck && !before.stuck) {
            let code = after.error.as_ref().map_or("none", |error| error.provider_code.as_str());
            tracing::error!(charge_id = %id, refund_id = %refund, code, "a refund is stuck: a person must look");
        }
        Ok(charge)
    }

    /// One call, unless the provider's rules want it later.
    async fn call_refund(
        &self,
        charge: &Charge,
        before: &Refund,
        fired: Option<EffectKey>,
    ) -> Result<Charge, FlowError> {
        let (id, refund) = (charge.id, before.id);
        // Durable first: should the process die in the call, the next one asks before it repeats.
        let along = Along { fired, ..Along::default() };
        let input = Input::RefundCalling { refund, rules: self.rules_of(charge, Some(before.attempt)) };
        let charge = self.change(id, &[input], along).await?.charge;
        let Some(calling) = charge.refund(refund) else { return Err(FlowError::NotFound) };
        if calling.calls == before.calls {
            return Ok(charge);
        }
        let outcome = self.refund_at_provider(&charge, calling, before.ask_first).await;
        // The word is about the number that was asked for, which a callback may have spent meanwhile.
        let provider_refund_no = before.provider_refund_no.clone();
        let input = Input::RefundNoticed { refund, provider_refund_no, outcome };
        Ok(self.change(id, &[input], Along::default()).await?.charge)
    }

    fn rules_of(&self, charge: &Charge, attempt: Option<AttemptId>) -> RefundRules {
        let channel = attempt.and_then(|id| charge.attempt(id)).and_then(|attempt| self.channel(&attempt.channel));
        channel.map(|channel| channel.provider.refund_rules()).unwrap_or_default()
    }

    /// `ask_first`: an earlier call may have arrived, so nothing is sent before the provider was asked.
    async fn refund_at_provider(&self, charge: &Charge, refund: &Refund, ask_first: bool) -> RefundOutcome {
        let missing = |why: &str| RefundOutcome::Unknown(Failure::new(ErrorClass::Misconfigured, "no_channel", why));
        let Some(order) = charge.refund_order_of(refund) else { return missing("its attempt is not known") };
        let channel = charge.attempt(refund.attempt).and_then(|attempt| self.channel(&attempt.channel));
        let Some(channel) = channel else { return missing("its channel is not configured") };
        if !ask_first {
            return self.ask_refund(&channel, &order, channel.timeout).await;
        }
        self.ask_refund_query(&channel, &order, channel.timeout).await
    }

    /// Clears a timer that has nothing left to do.
    pub(crate) async fn clear(&self, id: ChargeId, fired: Option<EffectKey>) -> Result<Charge, FlowError> {
        let along = Along { fired, ..Along::default() };
        Ok(self.change(id, &[], along).await?.charge)
    }
}
