//! `POST /v1/charges/{id}/attempts`: a payer tries again, perhaps another way.
//!
//! Invariants: S7. The earlier attempt is queried, closed and queried again first; if it was paid there is no new
//! attempt. Only where its provider cannot end a code that nobody has begun to pay may two be payable, and only if
//! the merchant's policy says so. A payment beside the principal is refunded by the charge's own rules.

use super::busy::collecting;
use super::prove_end::EndProof;
use super::try_channels::{Plan, Start};
use super::{Flow, FlowError};
use crate::clock::Stopwatch;
use crate::ports::{Claim, Owner, Reference};
use tongdao_core::charge::{Charge, ChargeStatus, Refused};
use tongdao_core::effect::Step;
use tongdao_core::ids::{AttemptId, ChannelId, ChargeId};
use tongdao_core::planted::{Defect, planted};
use tongdao_core::provider::Scene;

/// Without an `Idempotency-Key`, a second call this soon is a client's own retry.
const TOO_SOON_MS: i64 = 3000;
const ROUTE: &str = "attempts";

/// What a payer's new try asks for.
#[derive(Debug, Clone, Default)]
pub struct RetryAsk {
    /// This channel only.
    pub channel: Option<ChannelId>,
    /// A channel of this provider only.
    pub provider: Option<String>,
    /// Another scene than the charge's.
    pub scene: Option<Scene>,
    /// The caller's `Idempotency-Key` and the hash of what it came with.
    pub idempotency_key: Option<(String, String)>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Retried {
    /// A new attempt gave a code.
    Opened(Charge),
    /// The charge was paid meanwhile, or the same call was made before: no new attempt.
    Unchanged(Charge),
}

impl Flow {
    /// Opens a new attempt after the old one's end, as the rules allow.
    ///
    /// # Errors
    /// `InProgress` while an end is in doubt, `Refused` when the charge is over, or as `open_charge`.
    pub async fn retry(&self, id: ChargeId, ask: RetryAsk) -> Result<Retried, FlowError> {
        let took = Stopwatch::start();
        let Some(_held) = self.busy.hold(collecting(id)) else {
            return Err(FlowError::InProgress { retry_after_s: 1 });
        };
        let charge = self.charge(id).await?;
        let Some(claims) = self.key_claims(&charge, &ask).await? else { return Ok(Retried::Unchanged(charge)) };
        if charge.status() >= ChargeStatus::Paid {
            return Ok(Retried::Unchanged(charge));
        }
        self.may_retry(&charge, &ask)?;
        let (charge, overlap) = self.end_old(charge).await?;
        if charge.status() >= ChargeStatus::Paid {
            return Ok(Retried::Unchanged(charge));
        }
        let pin = ask.channel.clone().or_else(|| charge.pin.clone());
        let scene = ask.scene.unwrap_or(charge.scene);
        let plan = Plan { scene, pin: pin.as_ref(), provider: ask.provider.as_deref(), overlap, took };
        let step = Step { next: charge.clone(), events: Vec::new(), effects: Vec::new() };
        let start = Start { before: Some(charge), step, claims };
        self.try_channels(start, &plan).await.map(Retried::Opened)
    }

    fn may_retry(&self, charge: &Charge, ask: &RetryAsk) -> Result<(), FlowError> {
        let now = self.clock.now();
        if charge.ending || now >= charge.expires_at || charge.status() == ChargeStatus::Closed {
            return Err(Refused::Expired.into());
        }
        if charge.is_disputed() {
            return Err(Refused::Disputed.into());
        }
        let last_at = charge.attempts.last().map(|attempt| attempt.created_at);
        let too_soon = last_at.is_some_and(|at| now.since_ms(at) < TOO_SOON_MS);
        if too_soon && ask.idempotency_key.is_none() {
            return Err(FlowError::InProgress { retry_after_s: 3 });
        }
        Ok(())
    }

    /// Proves the end of every attempt that a payer could pay. True when one may stay beside a new one.
    async fn end_old(&self, mut charge: Charge) -> Result<(Charge, bool), FlowError> {
        let payable: Vec<AttemptId> = charge.attempts.iter().filter(|a| a.is_payable()).map(|a| a.id).collect();
        let mut overlap = false;
        for id in payable {
            let (proof, after) = self.prove_end(&charge, id, None).await?;
            charge = after;
            match proof {
                EndProof::Ended => {}
                EndProof::Paid => break,
                EndProof::Doubtful if planted(Defect::DoubtfulEndIsEnd) => overlap = true,
                EndProof::Doubtful => return Err(FlowError::InProgress { retry_after_s: 2 }),
                EndProof::Unprovable if planted(Defect::OverlapAgainstPolicy) => overlap = true,
                EndProof::Unprovable if charge.policy.wait_for_end || overlap => {
                    let until = charge.attempt(id).map_or(self.clock.now(), |attempt| attempt.life.payable_until);
                    let retry_after_s = until.since_ms(self.clock.now()).div_euclid(1000).max(1);
                    return Err(FlowError::InProgress { retry_after_s });
                }
                EndProof::Unprovable => overlap = true,
            }
        }
        Ok((charge, overlap))
    }

    /// The claim of the caller's key; `None` when this very call was made before.
    async fn key_claims(&self, charge: &Charge, ask: &RetryAsk) -> Result<Option<Vec<Claim>>, FlowError> {
        let Some((key, hash)) = &ask.idempotency_key else { return Ok(Some(Vec::new())) };
        let reference = Reference::Idempotency(charge.merchant.clone(), ROUTE, key.clone());
        match self.store.find(&reference).await? {
            None => {
                let owner = Owner::Request(hash.clone(), charge.id);
                Ok(Some(vec![Claim { reference, owner }]))
            }
            Some(Owner::Request(before, of)) if before == *hash && of == charge.id => Ok(None),
            Some(_) => Err(FlowError::Conflict),
        }
    }
}
