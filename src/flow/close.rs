//! Ending a charge: the merchant's `close`, the payer's or operator's `sync`, and the charge's own end.
//!
//! Invariant: a charge is `closed` only when each attempt's end is proved; until then closing goes on by itself.

use super::change::Along;
use super::prove_end::EndProof;
use super::{Flow, FlowError};
use crate::clock::Stopwatch;
use std::time::Duration;
use tongdao_core::charge::{Charge, ChargeStatus, Input};
use tongdao_core::effect::Source;
use tongdao_core::ids::{AttemptId, ChargeId};

const CLOSE_BUDGET: Duration = Duration::from_secs(4);

impl Flow {
    /// Closes a charge if every end can be proved within 4 s.
    ///
    /// # Errors
    /// `InProgress` when an end is not proved yet (closing goes on), `Refused` when it is paid.
    pub async fn close(&self, id: ChargeId) -> Result<Charge, FlowError> {
        let took = Stopwatch::start();
        let before = self.charge(id).await?;
        if before.status() >= ChargeStatus::Paid {
            return Ok(before);
        }
        let mut charge = self.change(id, &[Input::Close], Along::default()).await?.charge;
        for attempt in open_attempts(&charge) {
            if took.elapsed() >= CLOSE_BUDGET {
                break;
            }
            let (proof, after) = self.prove_end(&charge, attempt, None).await?;
            charge = after;
            if proof == EndProof::Paid {
                break;
            }
        }
        match charge.status() {
            ChargeStatus::Open => Err(FlowError::InProgress { retry_after_s: 5 }),
            ChargeStatus::Closed | ChargeStatus::Paid | ChargeStatus::PartiallyRefunded | ChargeStatus::Refunded => {
                Ok(charge)
            }
        }
    }

    /// Asks the providers about every attempt and refund that is not settled, now.
    ///
    /// # Errors
    /// `NotFound`, or the store's.
    pub async fn sync(&self, id: ChargeId) -> Result<Charge, FlowError> {
        let mut charge = self.charge(id).await?;
        for attempt in open_attempts(&charge) {
            charge = self.look(&charge, attempt).await?;
        }
        let closed_paid = charge.attempts.iter().filter(|a| !a.status().is_open()).map(|a| a.id).collect::<Vec<_>>();
        if charge.principal.is_none() {
            for attempt in closed_paid {
                charge = self.look(&charge, attempt).await?;
            }
        }
        let pending: Vec<_> = charge.refunds.iter().filter(|r| r.ended_at.is_none()).map(|r| r.id).collect();
        for refund in pending {
            charge = match self.pursue_refund(id, refund, None).await {
                // It is being asked about right now.
                Err(FlowError::InProgress { .. }) => charge,
                other => other?,
            };
        }
        Ok(charge)
    }

    /// One query of one attempt, reported.
    pub(crate) async fn look(&self, charge: &Charge, id: AttemptId) -> Result<Charge, FlowError> {
        let Some(attempt) = charge.attempt(id) else { return Err(FlowError::NotFound) };
        let Some(channel) = self.channel(&attempt.channel) else { return Ok(charge.clone()) };
        let outcome = self.ask_query(&channel, &charge.order_of(attempt), channel.timeout).await;
        self.report(charge.id, id, outcome, Source::Query).await
    }
}

fn open_attempts(charge: &Charge) -> Vec<AttemptId> {
    charge.attempts.iter().filter(|attempt| attempt.status().is_open()).map(|attempt| attempt.id).collect()
}
