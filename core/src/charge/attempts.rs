//! Opening attempts, hearing of them, ending them, and with them the charge.
//!
//! Invariant S7: a second payable attempt opens only where the caller says that policy allows it, never a third; from
//! the charge's end on none opens, and the charge closes only when each attempt's end is proved.

use super::{Change, ChargeStatus, Refused};
use crate::attempt::{Attempt, AttemptInput, NewAttempt};
use crate::effect::{Effect, EffectKey, EventKind, Source};
use crate::ids::AttemptId;
use crate::provider::{Failure, Outcome};
use crate::time::UnixMillis;

const PAYABLE_MAX: usize = 2;

impl Change {
    pub(super) fn open_attempt(&mut self, new: NewAttempt, overlap: bool) -> Result<(), Refused> {
        if self.charge.attempt(new.id).is_some() {
            // A repeat: it was opened by this very input.
            return Ok(());
        }
        if self.charge.status != ChargeStatus::Open {
            return Err(Refused::InvalidState);
        }
        if self.charge.is_disputed() {
            return Err(Refused::Disputed);
        }
        if self.charge.ending || self.now >= self.charge.expires_at {
            return Err(Refused::Expired);
        }
        let payable = self.charge.payable_count();
        if payable >= PAYABLE_MAX || (payable > 0 && !overlap) {
            return Err(Refused::AttemptPayable);
        }
        // What is left behind is to end as soon as its provider lets it.
        for old in self.open_attempts() {
            self.end_attempt(old)?;
        }
        let seq = u32::try_from(self.charge.attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
        let because = new.route.chosen_because.as_str().to_owned();
        let attempt = Attempt::new(new, seq, self.now);
        self.event(EventKind::AttemptCreating { attempt: attempt.id, channel: attempt.channel.clone(), because });
        // Should the process die before the provider's answer is stored, this finds the attempt again.
        let at = self.now.plus_ms(attempt.first_query_ms);
        self.effects.push(Effect::CallProvider { attempt: attempt.id, at });
        self.charge.attempts.push(attempt);
        Ok(())
    }

    pub(super) fn report(&mut self, id: AttemptId, outcome: Outcome, source: Source) -> Result<(), Refused> {
        let gave_code = matches!(outcome, Outcome::Pending { pay: Some(_), .. });
        match self.step_attempt(id, AttemptInput::Reported(outcome, source)) {
            // Heard after its end: nothing new.
            Err(Refused::InvalidState) => return Ok(()),
            other => other?,
        }
        if gave_code && self.charge.attempt(id).is_some_and(Attempt::is_payable) {
            self.charge.failure = None;
        }
        let left_behind = self.charge.attempt(id).is_some_and(|attempt| attempt.end_wanted);
        if gave_code && (left_behind || self.charge.ending || self.charge.principal.is_some()) {
            // The code came after the end: nobody may be asked to pay it.
            self.end_attempt(id)?;
        }
        self.close_if_ended();
        Ok(())
    }

    pub(super) fn end_attempt(&mut self, id: AttemptId) -> Result<(), Refused> {
        match self.step_attempt(id, AttemptInput::End) {
            Err(Refused::InvalidState) => Ok(()),
            other => other,
        }
    }

    pub(super) fn no_code(&mut self, failure: Failure) -> Result<(), Refused> {
        if self.charge.status != ChargeStatus::Open {
            return Err(Refused::InvalidState);
        }
        self.event(EventKind::NoCode { failure: failure.clone() });
        self.charge.failure = Some(failure);
        Ok(())
    }

    pub(super) fn expire(&mut self) -> Result<(), Refused> {
        if self.charge.status != ChargeStatus::Open {
            return Ok(());
        }
        let due = self.charge.ending || self.now >= self.charge.expires_at;
        // In a dispute a person decides; until then nothing here expires by itself.
        if due && !self.charge.is_disputed() {
            self.begin_end(false)?;
        }
        if self.charge.status == ChargeStatus::Open {
            // Not over yet: the alarm stays set until it is.
            let again = if due { UnixMillis(i64::MAX) } else { self.charge.expires_at };
            self.effects.push(Effect::wake(EffectKey::Expire, again, self.now));
        }
        Ok(())
    }

    pub(super) fn close(&mut self) -> Result<(), Refused> {
        match self.charge.status {
            ChargeStatus::Closed => Ok(()),
            ChargeStatus::Open if self.charge.is_disputed() => Err(Refused::Disputed),
            ChargeStatus::Open => self.begin_end(true),
            ChargeStatus::Paid | ChargeStatus::PartiallyRefunded | ChargeStatus::Refunded => Err(Refused::InvalidState),
        }
    }

    fn begin_end(&mut self, asked_by_merchant: bool) -> Result<(), Refused> {
        if !self.charge.ending {
            self.charge.ending = true;
            self.event(EventKind::ChargeEnding { asked_by_merchant });
        }
        for id in self.open_attempts() {
            self.end_attempt(id)?;
        }
        self.close_if_ended();
        Ok(())
    }

    pub(super) fn step_attempt(&mut self, id: AttemptId, input: AttemptInput) -> Result<(), Refused> {
        let now = self.now;
        let slot = self.charge.attempts.iter_mut().find(|attempt| attempt.id == id).ok_or(Refused::NotFound)?;
        let step = slot.clone().apply(input, now).map_err(|_refused| Refused::InvalidState)?;
        *slot = step.next;
        self.events.extend(step.events);
        self.effects.extend(step.effects);
        Ok(())
    }
}
