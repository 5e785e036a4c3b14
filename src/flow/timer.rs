//! A stored timer is due: what it means.
//!
//! Invariant: whatever a timer finds, it leaves the charge with its timer moved or cleared in one batch, so that a
//! crash before that fires it again and nothing is forgotten (L4).

use super::busy::{collecting, sending};
use super::change::Along;
use super::prove_end::Word;
use super::{Flow, FlowError};
use crate::ports::Due;
use tongdao_core::attempt::{Attempt, AttemptStatus};
use tongdao_core::charge::{Charge, Input};
use tongdao_core::effect::{EffectKey, Source};
use tongdao_core::ids::{AttemptId, ChargeId};
use tongdao_core::provider::{ErrorClass, Failure, Outcome};

impl Flow {
    /// Does what a due timer asks for.
    ///
    /// # Errors
    /// What stopped it; the timer stays due.
    pub async fn fire(&self, due: Due) -> Result<(), FlowError> {
        let along = Along { fired: Some(due.key), ..Along::default() };
        match due.key {
            EffectKey::Expire => {
                self.change(due.charge, &[Input::Expire], along).await?;
            }
            EffectKey::Deadline => {
                // Held over the commit: no try of `charge.paid` may begin between the look and the fence.
                let quiet = self.busy.hold(sending(due.charge));
                let sending = quiet.is_none();
                self.change(due.charge, &[Input::Deadline { sending }], along).await?;
            }
            EffectKey::Attempt(attempt) => self.watch(due.charge, attempt, along).await?,
            EffectKey::Refund(refund) => {
                self.pursue_refund(due.charge, refund, along.fired).await?;
            }
            EffectKey::Webhook(event) => {
                self.send_webhook(due.charge, event, due.at <= self.doubtful_until).await?;
            }
        }
        Ok(())
    }

    /// The query ladder: ask about an attempt, and end it where that is wanted.
    async fn watch(&self, id: ChargeId, attempt_id: AttemptId, along: Along) -> Result<(), FlowError> {
        let charge = self.charge(id).await?;
        let Some(attempt) = charge.attempt(attempt_id).filter(|attempt| attempt.status().is_open()) else {
            self.clear(id, along.fired).await?;
            return Ok(());
        };
        let charge = match attempt.status() {
            AttemptStatus::Creating => match self.interrupted(&charge, attempt).await? {
                Some(charge) => charge,
                None => return Ok(()),
            },
            AttemptStatus::Pending
            | AttemptStatus::Unknown
            | AttemptStatus::Failed
            | AttemptStatus::Closed
            | AttemptStatus::Succeeded
            | AttemptStatus::Duplicate => charge,
        };
        let ending = charge.attempt(attempt_id).is_some_and(|attempt| attempt.end_wanted);
        if ending {
            self.prove_end(&charge, attempt_id, along.fired).await?;
            return Ok(());
        }
        self.query(&charge, attempt_id, along).await
    }

    async fn query(&self, charge: &Charge, id: AttemptId, along: Along) -> Result<(), FlowError> {
        let Some(attempt) = charge.attempt(id) else { return Ok(()) };
        let outcome = match self.channel(&attempt.channel) {
            Some(channel) => self.ask_query(&channel, &charge.order_of(attempt), channel.timeout).await,
            None => {
                tracing::error!(charge_id = %charge.id, channel = %attempt.channel, "an open attempt's channel is not configured");
                Outcome::Unknown(Failure::new(ErrorClass::Misconfigured, "no_channel", "its channel is not configured"))
            }
        };
        self.report_along(charge.id, Word { attempt: id, outcome, source: Source::Query }, along).await?;
        Ok(())
    }

    /// A create without an answer in store: still running here, or the process died in it. `None`: leave it alone.
    async fn interrupted(&self, charge: &Charge, attempt: &Attempt) -> Result<Option<Charge>, FlowError> {
        if self.busy.is_held(&collecting(charge.id)) {
            return Err(FlowError::InProgress { retry_after_s: 1 });
        }
        let why = "the process ended before the provider's answer was stored";
        let failure = Failure::new(ErrorClass::Unknown, "interrupted", why);
        let charge = self.report(charge.id, attempt.id, Outcome::Unknown(failure), Source::Create).await?;
        Ok(Some(charge))
    }
}
