//! The life of a delivery: the merchant handing over the goods after `paid`.
//!
//! Invariants: `delivered` is final; after the fence nothing may be handed over, because the money goes back; a try
//! that may have delivered (timeout, reset, crash, an answer nobody understands) leaves `doubt`, and in doubt the
//! money stays until somebody speaks. Whether money goes back at all is the charge's decision, not made here.

use crate::effect::{Effect, EffectKey, Event, EventKind, Step};
use crate::ids::EventId;
use crate::planted::{Defect, planted};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

mod ladder;

/// What the goods did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Nothing is paid.
    None,
    /// Paid; the merchant is being told.
    Pending,
    /// The merchant took note and will report.
    Accepted,
    /// Handed over.
    Delivered,
    /// It will not be.
    Failed,
}

impl DeliveryStatus {
    /// All statuses.
    pub const ALL: [Self; 5] = [Self::None, Self::Pending, Self::Accepted, Self::Delivered, Self::Failed];

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// The delivery of one charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    status: DeliveryStatus,
    /// Seconds from payment to `deadline_at`.
    pub deadline_s: i64,
    /// Past this moment the delivery is overdue.
    pub deadline_at: Option<UnixMillis>,
    /// Whether the deadline passed undelivered.
    pub overdue: bool,
    /// How often `charge.paid` was tried.
    pub tries: u32,
    /// Why the last try did not deliver.
    pub last_error: Option<String>,
    /// When it was delivered.
    pub delivered_at: Option<UnixMillis>,
    /// The merchant's own reference of the goods.
    pub reference: Option<String>,
    /// The webhook's id, the same on every try.
    pub event: Option<EventId>,
    /// A try may have delivered without our knowing.
    pub doubt: bool,
    /// The money goes back: nothing may be handed over any more.
    pub fenced: bool,
    /// When delivery began.
    pub started_at: Option<UnixMillis>,
    /// When a person last wanted it delivered after all.
    #[serde(default)]
    pub released_at: Option<UnixMillis>,
    /// A person closed the matter: nobody is told or waited for any more.
    #[serde(default)]
    pub settled: bool,
    /// It was delivered, and the merchant asks to be told once more.
    #[serde(default)]
    pub resend: bool,
}

/// What can happen to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryInput {
    /// Paid: tell the merchant.
    Start(EventId),
    /// A try of `charge.paid` ended.
    Tried(Answer),
    /// The merchant reports by `/delivery`.
    Report(Report),
    /// Send the webhook again now.
    SendNow,
    /// The deadline's alarm rang.
    Deadline,
    /// The money goes back.
    Fence,
    /// A person wants it delivered after all.
    Release,
    /// A person closes the matter.
    Settle,
}

/// What the merchant's answer to `charge.paid` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Handed over.
    Delivered,
    /// Noted; the merchant will report.
    Accepted,
    /// It cannot be handed over.
    Undeliverable(String),
    /// Not delivered for sure: never sent, or answered in full with 3xx, 4xx or 5xx.
    Refused(String),
    /// It may have been: timeout, reset, crash in flight, 2xx with another body.
    Doubtful(String),
}

/// What the merchant reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Handed over, under the merchant's reference.
    Delivered(Option<String>),
    /// It cannot be.
    Failed(Option<String>),
}

/// Why an input was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryRefused {
    /// Nothing is paid, so nothing is to be delivered.
    #[error("nothing_to_deliver")]
    NothingToDeliver,
    /// It was delivered, which is final.
    #[error("already_delivered")]
    Delivered,
    /// The money is on its way back.
    #[error("delivery_fenced")]
    Fenced,
}

/// Ten minutes after the deadline an undelivered charge becomes a break.
const BREAK_AFTER_S: i64 = 600;

impl Delivery {
    /// A delivery that waits for payment.
    #[must_use]
    pub const fn new(deadline_s: i64) -> Self {
        Self {
            status: DeliveryStatus::None,
            deadline_s,
            deadline_at: None,
            overdue: false,
            tries: 0,
            last_error: None,
            delivered_at: None,
            reference: None,
            event: None,
            doubt: false,
            fenced: false,
            started_at: None,
            released_at: None,
            settled: false,
            resend: false,
        }
    }

    /// What the goods did.
    #[must_use]
    pub const fn status(&self) -> DeliveryStatus {
        self.status
    }

    /// Whether a `charge.paid` webhook is still owed, or asked for again.
    #[must_use]
    pub const fn is_owed(&self) -> bool {
        match self.status {
            DeliveryStatus::Pending | DeliveryStatus::Accepted | DeliveryStatus::Failed => {
                !self.fenced && !self.settled
            }
            DeliveryStatus::Delivered => self.resend,
            DeliveryStatus::None => false,
        }
    }

    /// Whether it has been overdue for so long that a person must hear of it.
    pub(crate) fn is_break_due(&self, now: UnixMillis) -> bool {
        let waited_for = self.overdue || self.released_at.is_some();
        waited_for && !self.settled && self.deadline_at.is_some_and(|deadline_at| now >= self.break_at(deadline_at))
    }

    /// Ten minutes after the deadline, or after a person last spoke.
    fn break_at(&self, deadline_at: UnixMillis) -> UnixMillis {
        deadline_at.max(self.released_at.unwrap_or(deadline_at)).plus_s(BREAK_AFTER_S)
    }

    /// Takes one input.
    ///
    /// # Errors
    /// See `DeliveryRefused`; the delivery is unchanged.
    pub fn apply(self, input: DeliveryInput, now: UnixMillis) -> Result<Step<Self>, DeliveryRefused> {
        match (self.status, &input) {
            (DeliveryStatus::None, DeliveryInput::Start(_) | DeliveryInput::Fence | DeliveryInput::Settle) => {}
            (DeliveryStatus::None, _) => return Err(DeliveryRefused::NothingToDeliver),
            (DeliveryStatus::Delivered, DeliveryInput::SendNow) => return Ok(self.told_again(now)),
            (DeliveryStatus::Delivered, DeliveryInput::Tried(_)) if self.resend => return Ok(self.was_told_again()),
            (DeliveryStatus::Delivered, _) => return Err(DeliveryRefused::Delivered),
            (DeliveryStatus::Pending | DeliveryStatus::Accepted | DeliveryStatus::Failed, _) => {}
        }
        if self.fenced {
            return Err(DeliveryRefused::Fenced);
        }
        Ok(match input {
            DeliveryInput::Start(event) => self.start(event, now),
            DeliveryInput::Tried(answer) => self.tried(answer, now),
            DeliveryInput::Report(Report::Delivered(reference)) => self.delivered(reference, now),
            DeliveryInput::Report(Report::Failed(detail)) => self.failed(detail.unwrap_or_default(), now),
            DeliveryInput::SendNow => self.send_now(now),
            DeliveryInput::Release => self.release(now),
            DeliveryInput::Settle => self.settle(),
            DeliveryInput::Deadline => self.deadline(now),
            DeliveryInput::Fence => self.fence(now),
        })
    }

    fn start(mut self, event: EventId, now: UnixMillis) -> Step<Self> {
        if self.status != DeliveryStatus::None {
            return unchanged(self);
        }
        let deadline_at = now.plus_s(self.deadline_s);
        self.status = DeliveryStatus::Pending;
        self.settled = false;
        self.event = Some(event);
        self.started_at = Some(now);
        self.deadline_at = Some(deadline_at);
        Step {
            next: self,
            events: vec![Event { at: now, kind: EventKind::DeliveryDue { deadline_at } }],
            effects: vec![Effect::SendWebhook { event, at: now }, Effect::wake(EffectKey::Deadline, deadline_at, now)],
        }
    }

    fn tried(mut self, answer: Answer, now: UnixMillis) -> Step<Self> {
        self.tries = self.tries.saturating_add(1);
        match answer {
            Answer::Delivered => self.delivered(None, now),
            Answer::Accepted => self.accepted(now),
            Answer::Undeliverable(detail) => self.failed(detail, now),
            Answer::Refused(detail) => self.again(detail, now),
            Answer::Doubtful(detail) => {
                self.doubt = !planted(Defect::DoubtForgotten);
                self.again(detail, now)
            }
        }
    }

    fn again(mut self, detail: String, now: UnixMillis) -> Step<Self> {
        self.last_error = Some(detail);
        match self.next_try_at(now).filter(|_| !self.settled) {
            Some(at) => self.send_at(at),
            None => unchanged(self),
        }
    }

    fn accepted(mut self, now: UnixMillis) -> Step<Self> {
        // It said what it did not do yet: an earlier doubt is gone.
        self.doubt = false;
        self.last_error = None;
        let first = self.status == DeliveryStatus::Pending;
        if first {
            self.status = DeliveryStatus::Accepted;
        }
        let mut effects = Vec::new();
        match (self.event, self.overdue, self.next_try_at(now)) {
            (Some(event), true, Some(at)) if !self.settled => effects.push(Effect::SendWebhook { event, at }),
            (Some(event), _, _) => effects.push(Effect::Forget(EffectKey::Webhook(event))),
            (None, _, _) => {}
        }
        let events = if first { vec![Event { at: now, kind: EventKind::DeliveryAccepted }] } else { Vec::new() };
        Step { next: self, events, effects }
    }

    fn delivered(mut self, reference: Option<String>, now: UnixMillis) -> Step<Self> {
        self.status = DeliveryStatus::Delivered;
        self.delivered_at = Some(now);
        self.reference.clone_from(&reference);
        self.last_error = None;
        self.doubt = false;
        let effects = self.quiet();
        Step { next: self, events: vec![Event { at: now, kind: EventKind::Delivered { reference } }], effects }
    }

    fn failed(mut self, detail: String, now: UnixMillis) -> Step<Self> {
        let first = self.status != DeliveryStatus::Failed;
        self.status = DeliveryStatus::Failed;
        self.doubt = false;
        self.last_error = Some(detail.clone());
        let effects = self.quiet();
        let event = Event { at: now, kind: EventKind::DeliveryFailed { detail } };
        Step { next: self, events: if first { vec![event] } else { Vec::new() }, effects }
    }

    fn deadline(mut self, now: UnixMillis) -> Step<Self> {
        let Some(deadline_at) = self.deadline_at else { return unchanged(self) };
        let failed = self.status == DeliveryStatus::Failed;
        if self.settled || (failed && self.released_at.is_none()) {
            return unchanged(self);
        }
        let break_at = self.break_at(deadline_at);
        // What is overdue, or failed and was released, waits for its break alone.
        let last = self.overdue || failed;
        let at = if last { break_at } else { deadline_at };
        if now < at {
            // Rung too early, or twice.
            let effects = vec![Effect::wake(EffectKey::Deadline, at, now)];
            return Step { next: self, events: Vec::new(), effects };
        }
        if last {
            return unchanged(self);
        }
        self.overdue = true;
        let mut effects = vec![Effect::wake(EffectKey::Deadline, break_at, now)];
        if self.status == DeliveryStatus::Accepted
            && let (Some(event), Some(at)) = (self.event, self.next_try_at(now))
        {
            effects.push(Effect::SendWebhook { event, at });
        }
        Step { next: self, events: vec![Event { at: now, kind: EventKind::DeliveryOverdue }], effects }
    }

    fn fence(mut self, now: UnixMillis) -> Step<Self> {
        self.status = DeliveryStatus::Failed;
        self.fenced = true;
        self.settled = false;
        let effects = self.quiet();
        Step { next: self, events: vec![Event { at: now, kind: EventKind::DeliveryFenced }], effects }
    }

    /// One try more; whatever the answer, it stays delivered.
    fn told_again(mut self, now: UnixMillis) -> Step<Self> {
        self.resend = true;
        self.send_at(now)
    }

    fn was_told_again(mut self) -> Step<Self> {
        self.resend = false;
        self.tries = self.tries.saturating_add(1);
        unchanged(self)
    }

    fn send_now(self, now: UnixMillis) -> Step<Self> {
        // Whoever asks for what was closed wants it delivered, and somebody must hear of it if it is not.
        if self.settled { self.release(now) } else { self.send_at(now) }
    }

    fn release(mut self, now: UnixMillis) -> Step<Self> {
        self.released_at = Some(now);
        self.settled = false;
        let alarm = self.deadline_at.map(|deadline_at| self.break_at(deadline_at));
        let mut step = self.send_at(now);
        step.effects.extend(alarm.map(|at| Effect::wake(EffectKey::Deadline, at, now)));
        step
    }

    fn settle(mut self) -> Step<Self> {
        self.settled = true;
        let effects = self.quiet();
        Step { next: self, events: Vec::new(), effects }
    }

    fn send_at(self, at: UnixMillis) -> Step<Self> {
        let effects = self.event.map(|event| Effect::SendWebhook { event, at }).into_iter().collect();
        Step { next: self, events: Vec::new(), effects }
    }

    fn quiet(&self) -> Vec<Effect> {
        let webhook = self.event.map(|event| Effect::Forget(EffectKey::Webhook(event)));
        webhook.into_iter().chain([Effect::Forget(EffectKey::Deadline)]).collect()
    }
}

fn unchanged(delivery: Delivery) -> Step<Delivery> {
    Step { next: delivery, events: Vec::new(), effects: Vec::new() }
}

#[cfg(test)]
mod tests;
