//! Is the old attempt's end proved? Query, close, query again (money-safety, section 7).
//!
//! Invariant S7: nothing here believes a close by its answer; only a query's `Closed` proves an end. A payment found
//! on the way is reported at once. Whatever stays doubtful is said to be doubtful.

use super::change::{Along, is_credited_elsewhere};
use super::{Flow, FlowError};
use crate::config::Channel;
use std::time::Duration;
use tongdao_core::attempt::{Attempt, AttemptStatus};
use tongdao_core::charge::{Charge, Input};
use tongdao_core::effect::{BreakDraft, BreakKind, EffectKey, Source};
use tongdao_core::ids::{AttemptId, ChargeId};
use tongdao_core::planted::{Defect, planted};
use tongdao_core::provider::{ErrorClass, Failure, Outcome, Payment};

/// A provider's word on an attempt.
pub(crate) struct Word {
    pub(crate) attempt: AttemptId,
    pub(crate) outcome: Outcome,
    pub(crate) source: Source,
}

/// What is known of an attempt's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndProof {
    /// It can never be paid any more.
    Ended,
    /// It was paid.
    Paid,
    /// Nobody has begun to pay it, and its provider cannot end it before its own time.
    Unprovable,
    /// A step had no definite answer: ask again.
    Doubtful,
}

impl Flow {
    /// Tries to end an attempt at its provider and reports what was found. `fired`: the timer that led here.
    pub(crate) async fn prove_end(
        &self,
        charge: &Charge,
        id: AttemptId,
        fired: Option<EffectKey>,
    ) -> Result<(EndProof, Charge), FlowError> {
        let Some(attempt) = charge.attempt(id) else { return Err(FlowError::NotFound) };
        let (outcome, unprovable) = match self.channel(&attempt.channel) {
            Some(channel) => {
                let outcome = self.end_at_provider(charge, attempt, &channel).await;
                // Where there is no close, nothing but its own time ends an order, whatever a query says before.
                let endless = !channel.provider.capabilities().closes && self.clock.now() < attempt.life.payable_until;
                let unprovable = endless || matches!(outcome, Outcome::Pending { closable: false, .. });
                (outcome, unprovable)
            }
            None => {
                tracing::error!(charge_id = %charge.id, channel = %attempt.channel, "an open attempt's channel is not configured");
                let why = "its channel is not configured";
                (Outcome::Unknown(Failure::new(ErrorClass::Misconfigured, "no_channel", why)), false)
            }
        };
        let word = Word { attempt: id, outcome, source: Source::Query };
        let after = self.report_along(charge.id, word, Along { fired, ..Along::default() }).await?;
        let proof = match after.attempt(id).map(Attempt::status) {
            Some(AttemptStatus::Closed | AttemptStatus::Failed) => EndProof::Ended,
            Some(AttemptStatus::Succeeded | AttemptStatus::Duplicate) => EndProof::Paid,
            _ if unprovable => EndProof::Unprovable,
            _ => EndProof::Doubtful,
        };
        Ok((proof, after))
    }

    /// Reports a provider's word on an attempt, wherever it came from.
    pub(crate) async fn report(
        &self,
        charge: ChargeId,
        attempt: AttemptId,
        outcome: Outcome,
        source: Source,
    ) -> Result<Charge, FlowError> {
        self.report_along(charge, Word { attempt, outcome, source }, Along::default()).await
    }

    /// Reports with raw evidence or a fired timer in the same batch. A payment that already counts for another charge
    /// becomes a break and nothing else.
    pub(crate) async fn report_along(&self, charge: ChargeId, word: Word, along: Along) -> Result<Charge, FlowError> {
        let Word { attempt, outcome, source } = word;
        let payment = match &outcome {
            Outcome::Paid(payment) => Some(payment.clone()),
            Outcome::Pending { .. } | Outcome::Closed | Outcome::Absent | Outcome::Failed(_) | Outcome::Unknown(_) => {
                None
            }
        };
        let fired = along.fired;
        let input = Input::Reported { attempt, outcome, source };
        match self.change(charge, &[input], along).await {
            Ok(changed) => Ok(changed.charge),
            Err(error) if is_credited_elsewhere(&error) => {
                let Some(payment) = payment else { return Err(error) };
                self.credited_elsewhere(charge, attempt, &payment, fired).await
            }
            Err(error) => Err(error),
        }
    }

    async fn end_at_provider(&self, charge: &Charge, attempt: &Attempt, channel: &Channel) -> Outcome {
        let order = charge.order_of(attempt);
        let first = self.ask_query(channel, &order, channel.timeout).await;
        let Outcome::Pending { closable: true, .. } = first else {
            // An order in doubt that the provider does not have yet may still arrive: a close now is cheap insurance.
            if first == Outcome::Absent && channel.provider.capabilities().closes {
                let answer = self.ask_close(channel, &order, channel.timeout).await;
                tracing::debug!(charge_id = %charge.id, attempt_id = %attempt.id, ?answer, "closed an absent order");
            }
            return first;
        };
        let answer = self.ask_close(channel, &order, channel.timeout).await;
        tracing::debug!(charge_id = %charge.id, attempt_id = %attempt.id, ?answer, "asked to close");
        if planted(Defect::CloseIsProof) && matches!(answer, Outcome::Pending { .. }) {
            return Outcome::Closed;
        }
        let second = self.ask_query(channel, &order, Duration::from_secs(2).min(channel.timeout)).await;
        if matches!(second, Outcome::Pending { closable: true, .. }) {
            // Still open after a close: the close did not work, which is a doubt and not an unprovable end.
            return Outcome::Unknown(Failure::new(
                ErrorClass::Unknown,
                "not_closed",
                "the order is open after a close",
            ));
        }
        second
    }

    /// The trade number counts for another charge already: a replay or a provider's error. Never credited twice.
    async fn credited_elsewhere(
        &self,
        id: ChargeId,
        attempt: AttemptId,
        payment: &Payment,
        fired: Option<EffectKey>,
    ) -> Result<Charge, FlowError> {
        let charge = self.charge(id).await?;
        let draft = BreakDraft {
            kind: BreakKind::Duplicate,
            attempt: Some(attempt),
            provider_trade_no: Some(payment.provider_trade_no.clone()),
            amount: payment.amount,
            evidence: "this payment already counts for another charge".to_owned(),
        };
        let breach = super::batch::breach_of(&charge, &draft, self.clock.now());
        tracing::error!(charge_id = %id, break_id = %breach.id, "a payment was claimed twice");
        self.open_break_once(breach).await?;
        // For this charge nothing is known then: its attempt is asked about again by the ladder.
        let why = Failure::new(ErrorClass::Unknown, "credited_elsewhere", "the payment counts for another charge");
        let input = Input::Reported { attempt, outcome: Outcome::Unknown(why), source: Source::Query };
        Ok(self.change(id, &[input], Along { fired, ..Along::default() }).await?.charge)
    }
}
