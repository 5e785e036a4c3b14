//! The one way in which a charge changes: read, let the core decide, commit over the version that was read.
//!
//! Invariant: state, events, effects, claims and timers of a step are one durable batch; a lost race is worked out
//! anew from what won. Observers hear of a step only after it is durable.

use super::batch::{batch_of, settled_breaks};
use super::entries::changed_entries;
use super::{Flow, FlowError};
use crate::ports::{Batch, Break, BreakStatus, Claim, Reference, StoreError, Urgency};
use tongdao_core::charge::{Charge, Input};
use tongdao_core::effect::{EffectKey, Step};
use tongdao_core::ids::{BreakId, ChannelId, ChargeId};
use tongdao_core::time::UnixMillis;

/// Races are rare (one process takes turns); across nodes a handful of tries is plenty.
const TRIES_MAX: usize = 8;

/// What goes into the same batch beside the step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Along {
    /// The timer that led here; it is cleared unless the step moves it.
    pub(crate) fired: Option<EffectKey>,
    /// Names to be taken.
    pub(crate) claims: Vec<Claim>,
    /// Raw evidence.
    pub(crate) note: Option<Vec<u8>>,
    /// Named values, notes and breaks that are durable with the step or not at all.
    pub(crate) beside: Batch,
}

/// A change that is durable.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    /// The charge as it is now.
    pub(crate) charge: Charge,
}

impl Flow {
    /// Applies inputs to a charge, one after the other, in one batch.
    pub(crate) async fn change(&self, id: ChargeId, inputs: &[Input], along: Along) -> Result<Changed, FlowError> {
        let _turn = self.busy.turn(id).await;
        for _ in 0..TRIES_MAX {
            let before = self.charge(id).await?;
            let step = apply_all(before.clone(), inputs, self.clock.now())?;
            match self.commit_step(Some(&before), step, &along, Urgency::Vital).await {
                Err(FlowError::Store(StoreError::Changed)) => {}
                other => return other,
            }
        }
        Err(FlowError::InProgress { retry_after_s: 1 })
    }

    /// Makes a step durable and lets the observers know.
    pub(crate) async fn commit_step(
        &self,
        before: Option<&Charge>,
        step: Step<Charge>,
        along: &Along,
        urgency: Urgency,
    ) -> Result<Changed, FlowError> {
        let Some(mut batch) = batch_of(before, &step, along) else {
            return Ok(Changed { charge: step.next });
        };
        batch.entries = changed_entries(before, &step.next, &|channel| self.turns_ms(channel));
        let decided: Vec<BreakId> = along.beside.breaks.iter().map(|breach| breach.id).collect();
        for id in settled_breaks(before, &step.next).into_iter().filter(|id| !decided.contains(id)) {
            let breach = self.store.find_break(id).await?;
            batch.breaks.extend(breach.map(|breach| repaired(breach, self.clock.now())));
        }
        let moved = batch.timers.iter().any(|timer| timer.at.is_some());
        let breaks = batch.breaks.clone();
        self.store.commit(batch, urgency).await?;
        self.board.note_breaks(&breaks);
        self.observe(before, &step.next, &step.events);
        if moved {
            self.timers_moved.notify_one();
        }
        if !step.events.is_empty() && self.changed.receiver_count() > 0 {
            // Nobody listening is no error.
            drop(self.changed.send(step.next.id));
        }
        Ok(Changed { charge: step.next })
    }
}

impl Flow {
    /// How long after midnight the days of a channel's statements turn.
    fn turns_ms(&self, channel: &ChannelId) -> i64 {
        let terms = self.channel(channel).and_then(|channel| channel.provider.statement_terms());
        terms.map_or(0, |terms| terms.turns_ms)
    }
}

fn repaired(breach: Break, now: UnixMillis) -> Break {
    Break { status: BreakStatus::Repaired, resolved_at: Some(now), ..breach }
}

/// Applies inputs in order; the first refusal refuses all.
pub(crate) fn apply_all(charge: Charge, inputs: &[Input], now: UnixMillis) -> Result<Step<Charge>, FlowError> {
    let mut whole = Step { next: charge, events: Vec::new(), effects: Vec::new() };
    for input in inputs {
        let step = whole.next.apply(input.clone(), now)?;
        whole.next = step.next;
        whole.events.extend(step.events);
        whole.effects.extend(step.effects);
    }
    Ok(whole)
}

/// Whether a commit failed because a payment already counts elsewhere.
pub(crate) fn is_credited_elsewhere(error: &FlowError) -> bool {
    matches!(error, FlowError::Store(StoreError::Taken { reference, .. })
        if matches!(**reference, Reference::Credit(..)))
}
