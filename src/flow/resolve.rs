//! A person decides over a break: told first what follows, confirmed by a second one where much is at stake, audited.
//!
//! Invariants: the decision, what it does to the charge, the break's end and the audit's entry are one batch; the same
//! decision again is answered with what is; above the configured sum nothing happens by one person's word. What fits
//! is the core's to say.

use super::batch::break_id_of;
use super::busy::sending;
use super::change::{Along, apply_all};
use super::{AuditEntry, Flow, FlowError};
use crate::ports::{Batch, Break, BreakStatus, StoreError, Urgency};
use serde::{Deserialize, Serialize};
use tongdao_core::charge::{Charge, Input, Refused};
use tongdao_core::effect::{BreakKind, Effect, Step};
use tongdao_core::ids::BreakId;
use tongdao_core::resolution::{Resolution, fitting};
use tongdao_core::time::UnixMillis;

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The break.
    pub id: BreakId,
    /// What is to be done about it.
    pub resolution: Resolution,
    /// Who decides.
    pub actor: String,
    /// Why.
    pub note: String,
}

/// A decision that waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What was decided.
    pub resolution: Resolution,
    /// Who decided it.
    pub actor: String,
    /// Why.
    pub note: String,
    /// When.
    pub at: UnixMillis,
}

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// It was carried out, now or before.
    Done(Break),
    /// A second person has to say the same.
    Awaiting(Break, Proposal),
}

/// What would come of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foretold {
    /// The break as it is.
    pub breach: Break,
    /// What would happen, a sentence each.
    pub follows: Vec<String>,
    /// The decisions that are possible now.
    pub fitting: Vec<Resolution>,
    /// Whether a second person has to say the same first.
    pub awaits_second: bool,
    /// What somebody proposed before.
    pub proposal: Option<Proposal>,
}

/// Why a decision was not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResolveError {
    /// It does not fit; these do.
    #[error("{} does not fit a break of the kind {} as it stands; possible: {}", resolution.as_str(), kind.as_str(), words(fitting))]
    Unfitting {
        /// The kind of break.
        kind: BreakKind,
        /// What was decided.
        resolution: Resolution,
        /// What can be decided.
        fitting: Vec<Resolution>,
    },
    /// It is settled already, otherwise than asked.
    #[error("it is not open any more: {0}")]
    NotOpen(String),
    /// The flow's own.
    #[error("{0}")]
    Flow(#[from] FlowError),
}

impl From<StoreError> for ResolveError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

/// A break, and the charge that holds it open under this name.
struct Held {
    breach: Break,
    charge: Option<(Charge, String)>,
}

impl Flow {
    /// What a decision would come to now. It changes nothing.
    ///
    /// # Errors
    /// What the decision itself would be refused with.
    pub async fn foretell(&self, decision: &Decision) -> Result<Foretold, ResolveError> {
        let held = self.held(decision.id).await?;
        if held.breach.status != BreakStatus::Open {
            return Err(ResolveError::NotOpen(settled_as(&held.breach)));
        }
        let step = self.try_decision(&held, decision.resolution)?;
        let proposal = self.proposal(&held.breach).await?;
        let second = proposal.as_ref().is_some_and(|proposal| is_second(proposal, decision));
        Ok(Foretold {
            follows: follows(held.charge.as_ref().map(|(charge, _)| charge), step.as_ref()),
            fitting: self.fitting_now(&held),
            awaits_second: self.needs_second(&held.breach) && !second,
            proposal,
            breach: held.breach,
        })
    }

    /// Carries a decision out, or keeps it until a second person says the same.
    ///
    /// # Errors
    /// When it does not fit, the break is settled otherwise, or the store's; nothing is done then.
    pub async fn resolve_break(&self, decision: Decision) -> Result<Resolved, ResolveError> {
        let in_progress = || FlowError::InProgress { retry_after_s: 1 };
        let _held = self.busy.hold(format!("resolving {}", decision.id)).ok_or_else(in_progress)?;
        let held = self.held(decision.id).await?;
        if held.breach.status != BreakStatus::Open {
            let same = held.breach.resolution.as_deref() == Some(decision.resolution.as_str());
            return if same {
                Ok(Resolved::Done(held.breach))
            } else {
                Err(ResolveError::NotOpen(settled_as(&held.breach)))
            };
        }
        let step = self.try_decision(&held, decision.resolution)?;
        if self.needs_second(&held.breach) {
            match self.proposal(&held.breach).await? {
                Some(proposal) if is_second(&proposal, &decision) => {}
                Some(proposal) if proposal.resolution == decision.resolution => {
                    return Ok(Resolved::Awaiting(held.breach, proposal));
                }
                Some(_) | None => return self.propose(held.breach, decision).await,
            }
        }
        let follows = follows(held.charge.as_ref().map(|(charge, _)| charge), step.as_ref());
        self.carry_out(held, decision, &follows.join("; ")).await
    }

    /// The proposal that waits for a second person, if any.
    ///
    /// # Errors
    /// The store's.
    pub async fn proposal(&self, breach: &Break) -> Result<Option<Proposal>, StoreError> {
        let Some(bytes) = self.store.kept(&kept_as(breach.id)).await? else { return Ok(None) };
        let read = serde_json::from_slice::<Option<Proposal>>(&bytes);
        let proposal = read.map_err(|error| StoreError::Unreadable(format!("a proposal: {error}")))?;
        // One from before the break was opened anew is about another matter.
        Ok(proposal.filter(|proposal| proposal.at >= breach.opened_at && breach.status == BreakStatus::Open))
    }

    async fn propose(&self, breach: Break, decision: Decision) -> Result<Resolved, ResolveError> {
        let Decision { id, resolution, actor, note } = decision;
        let proposal = Proposal { resolution, actor, note, at: self.clock.now() };
        let bytes = written(&Some(&proposal))?;
        let entry = entry_of(&breach, &proposal, "propose", "waits for a second person".to_owned());
        self.audited(entry, |mut batch| async move {
            batch.keeps.push((kept_as(id), bytes));
            Ok(self.store.commit(batch, Urgency::Vital).await?)
        })
        .await?;
        tracing::warn!(break_id = %id, actor = %proposal.actor, resolution = resolution.as_str(), "a decision over a break waits for a second person");
        Ok(Resolved::Awaiting(breach, proposal))
    }

    async fn carry_out(&self, held: Held, decision: Decision, follows: &str) -> Result<Resolved, ResolveError> {
        let Held { breach, charge } = held;
        let Decision { id, resolution, actor, note } = decision;
        let now = self.clock.now();
        let first = self.proposal(&breach).await?.filter(|proposal| proposal.actor != actor);
        let detail = match &first {
            Some(first) => format!("{follows}; proposed by {}", first.actor),
            None => follows.to_owned(),
        };
        let settled = Break {
            status: BreakStatus::Resolved,
            resolved_at: Some(now),
            resolution: Some(resolution.as_str().to_owned()),
            actor: Some(first.map_or_else(|| actor.clone(), |first| format!("{}, {actor}", first.actor))),
            ..breach.clone()
        };
        let proposal = Proposal { resolution, actor, note, at: now };
        let none = written(&None)?;
        let entry = entry_of(&breach, &proposal, "resolve", detail);
        let broken = settled.clone();
        self.audited(entry, |mut beside| async move {
            beside.keeps.push((kept_as(id), none));
            beside.breaks.push(broken);
            let Some((charge, key)) = charge else { return self.commit_breaks(beside).await };
            // Held over the commit: no try of `charge.paid` may begin between the look and the fence.
            let quiet = self.busy.hold(sending(charge.id));
            let input = Input::Resolve { kind: breach.kind, key, resolution, sending: quiet.is_none() };
            self.change(charge.id, &[input], Along { beside, ..Along::default() }).await.map(drop)
        })
        .await?;
        tracing::warn!(break_id = %id, actor = %proposal.actor, resolution = resolution.as_str(), "a break was resolved");
        Ok(Resolved::Done(settled))
    }

    async fn held(&self, id: BreakId) -> Result<Held, FlowError> {
        let breach = self.store.find_break(id).await?.ok_or(FlowError::NotFound)?;
        let charge = match breach.charge {
            Some(charge) => Some(self.charge(charge).await?),
            None => None,
        };
        let key_of = |charge: &Charge| {
            let found = charge.breaks.iter().find(|(kind, key)| break_id_of(charge, *kind, key) == id);
            found.map(|(_, key)| key.clone())
        };
        let charge = charge.and_then(|charge| key_of(&charge).map(|key| (charge, key)));
        Ok(Held { breach, charge })
    }

    /// The step that a decision would be, for a break that its charge holds.
    fn try_decision(&self, held: &Held, resolution: Resolution) -> Result<Option<Step<Charge>>, ResolveError> {
        let unfitting =
            || ResolveError::Unfitting { kind: held.breach.kind, resolution, fitting: self.fitting_now(held) };
        match self.decide_on_copy(held, resolution) {
            Ok(step) => Ok(step),
            Err(FlowError::Refused(
                Refused::Unfitting
                | Refused::ExceedsRefundable
                | Refused::InvalidState
                | Refused::DeliveryFenced
                | Refused::AlreadyDelivered,
            )) => Err(unfitting()),
            Err(other) => Err(other.into()),
        }
    }

    fn decide_on_copy(&self, held: &Held, resolution: Resolution) -> Result<Option<Step<Charge>>, FlowError> {
        if !fitting(held.breach.kind).contains(&resolution) {
            return Err(Refused::Unfitting.into());
        }
        let Some((charge, key)) = &held.charge else {
            // No charge holds it: there is nothing that could move.
            return if resolution.moves_nothing() { Ok(None) } else { Err(Refused::Unfitting.into()) };
        };
        let input = Input::Resolve { kind: held.breach.kind, key: key.clone(), resolution, sending: false };
        apply_all(charge.clone(), &[input], self.clock.now()).map(Some)
    }

    fn fitting_now(&self, held: &Held) -> Vec<Resolution> {
        let fits = |resolution: &Resolution| self.decide_on_copy(held, *resolution).is_ok();
        Resolution::ALL.into_iter().filter(fits).collect()
    }

    fn needs_second(&self, breach: &Break) -> bool {
        self.config.load().reconciliation.confirm_above.is_some_and(|most| breach.amount.amount > most)
    }
}

fn is_second(proposal: &Proposal, decision: &Decision) -> bool {
    proposal.resolution == decision.resolution && proposal.actor != decision.actor
}

fn kept_as(id: BreakId) -> String {
    format!("proposal/{id}")
}

fn written(proposal: &Option<&Proposal>) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(proposal).map_err(|error| StoreError::Unreadable(error.to_string()))
}

fn entry_of(breach: &Break, by: &Proposal, action: &str, detail: String) -> AuditEntry {
    AuditEntry {
        at: by.at,
        actor: by.actor.clone(),
        action: format!("{action} {}", by.resolution.as_str()),
        target: breach.id.to_string(),
        reason: by.note.clone(),
        until: None,
        override_id: None,
        detail,
    }
}

fn settled_as(breach: &Break) -> String {
    match (&breach.resolution, &breach.actor) {
        (Some(resolution), Some(actor)) => format!("{resolution} by {actor}"),
        (_, _) => "it was repaired by itself".to_owned(),
    }
}

fn words(fitting: &[Resolution]) -> String {
    let words: Vec<&str> = fitting.iter().map(|resolution| resolution.as_str()).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// What a step does, in sentences.
fn follows(before: Option<&Charge>, step: Option<&Step<Charge>>) -> Vec<String> {
    let mut said = Vec::new();
    if let (Some(before), Some(Step { next, effects, .. })) = (before, step) {
        if before.principal.is_none() && next.principal.is_some() {
            let sum = next.captured();
            said.push(format!("the payment of {} {} counts for charge {}", sum.yuan(), sum.currency, next.id));
        }
        let sends = |effect: &Effect| matches!(effect, Effect::SendWebhook { event, .. } if Some(*event) == next.delivery.event);
        if effects.iter().any(sends) {
            said.push("charge.paid is sent to the merchant now".to_owned());
        }
        if next.delivery.fenced && !before.delivery.fenced {
            said.push("the goods are fenced: the merchant may not hand anything over any more".to_owned());
        }
        for refund in next.refunds.iter().filter(|refund| before.refund(refund.id).is_none()) {
            let sum = tongdao_core::money::Money { amount: refund.amount, ..next.sum_of(&refund.provider_trade_no) };
            let (no, of) = (&refund.provider_refund_no, &refund.provider_trade_no);
            said.push(format!("{} {} of payment {of} go back under the number {no}", sum.yuan(), sum.currency));
        }
        if next.delivery.settled && !before.delivery.settled {
            said.push("nobody is told or waited for any more".to_owned());
        }
    }
    if said.is_empty() {
        said.push("no money moves; the break is closed".to_owned());
    }
    said
}

impl Flow {
    /// Makes breaks durable that no charge changes with, and whatever goes into the same batch.
    pub(crate) async fn commit_breaks(&self, batch: Batch) -> Result<(), FlowError> {
        let breaks = batch.breaks.clone();
        self.store.commit(batch, Urgency::Vital).await?;
        self.board.note_breaks(&breaks);
        Ok(())
    }
}
