//! The life of a refund: money back under a number that never changes while there is any doubt.
//!
//! Invariants: S13 (a retry keeps number and amount; only a proved end allows a next number), `succeeded` needs the
//! provider's own word that money moved, never an acceptance; `failed` only where it is proved that nothing will.
//! After any doubt the provider is asked first. What may be refunded at all is the charge's decision.

use crate::effect::{Effect, EffectKey, Event, EventKind, Step};
use crate::ids::{AttemptId, RefundId};
use crate::planted::{Defect, planted};
use crate::provider::{ErrorClass, Failure, RefundOutcome, RefundRules};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

mod reach;

pub use reach::Reach;

/// What the money did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Ordered; it may still succeed, its amount is reserved.
    Pending,
    /// The money is back.
    Succeeded,
    /// Proved: nothing moved and nothing will.
    Failed,
}

impl RefundStatus {
    /// All statuses.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Succeeded, Self::Failed];

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// Who ordered a refund, which decides what happens when a number is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundKind {
    /// The merchant; a proved end is reported to it.
    Merchant,
    /// A payment beside the principal; goes on under a next number until it is through.
    Surplus,
    /// The goods were not delivered.
    Undelivered,
    /// The payment came after the charge had closed.
    Late,
    /// A person decided so, over a break.
    Decided,
}

/// One refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// Who ordered it.
    pub kind: RefundKind,
    /// The merchant's number, for its own refunds.
    pub refund_no: Option<String>,
    /// Our number at the provider: 32 letters and digits.
    pub provider_refund_no: String,
    /// The attempt whose payment goes back.
    pub attempt: AttemptId,
    /// The payment's number at the provider.
    pub provider_trade_no: String,
    /// Minor units to give back.
    pub amount: i64,
    /// Why, in plain words.
    pub reason: String,
    /// When it was ordered.
    pub created_at: UnixMillis,
    /// When the present number was first used, or would be: UnionPay's `txnTime`. It moves only while no call can have
    /// arrived, since that gateway takes a number only in its first minutes.
    pub numbered_at: UnixMillis,
    /// When its end was learnt.
    pub ended_at: Option<UnixMillis>,
    /// The last trouble.
    pub error: Option<Failure>,
    /// It waits for more than time: the provider says so, refuses for now (an empty account, a setting), or a day has
    /// passed. A person is told, the amount stays reserved.
    pub stuck: bool,
    /// Calls made so far, which also spaces the next.
    pub calls: u32,
    /// The next call is a query: a call may have arrived, so nothing is sent before the provider was asked.
    pub ask_first: bool,
    /// How far calls under the present number may have come.
    #[serde(default)]
    pub reach: Reach,
    /// How many numbers were spent before this one.
    pub generation: u32,
    /// The provider took the present number on.
    #[serde(default)]
    pub accepted: bool,
    /// When we learnt that the provider took the present number on: the statement of that day names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<UnixMillis>,
    /// When a call that orders it last went out, which spaces the other refunds of its payment.
    #[serde(default)]
    pub sent_at: Option<UnixMillis>,
    /// The payer should have this money and does not: it failed, or bounced after its end. A person decides.
    #[serde(default)]
    pub lost: bool,
    /// It was proved to have failed, and the money went back after all.
    #[serde(default)]
    pub moved_after_all: bool,
    /// The provider states another sum for it than was ordered: it stays pending until a person decides.
    #[serde(default)]
    pub other_sum: bool,
    /// The refund that a person put in its place.
    #[serde(default)]
    pub replaced_by: Option<RefundId>,
    status: RefundStatus,
}

/// What a refund is born with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRefund {
    /// Its id.
    pub id: RefundId,
    /// Who ordered it.
    pub kind: RefundKind,
    /// The merchant's number, for its own refunds.
    pub refund_no: Option<String>,
    /// Our number: 32 letters and digits.
    pub provider_refund_no: String,
    /// Minor units.
    pub amount: i64,
    /// Why.
    pub reason: String,
}

/// What can happen to a refund.
#[derive(Debug, Clone, PartialEq)]
pub enum RefundInput {
    /// A call is about to be made: durable first (S11), so that a crash asks before it repeats.
    Calling,
    /// The provider's word.
    Reported(RefundOutcome),
}

/// Why an input was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefundRefused {
    /// Its end is known already.
    #[error("refund_ended")]
    Ended,
    /// The provider states another sum than was ordered.
    #[error("refund_amount_differs")]
    AmountDiffers,
}

const GAPS_S: [i64; 8] = [10, 15, 30, 60, 300, 600, 1200, 1800];
/// A refund that is not through after a day is stuck (L5).
const STUCK_AFTER_MS: i64 = 24 * 3_600_000;

impl Refund {
    /// A new refund of a payment.
    #[must_use]
    pub fn new(new: NewRefund, attempt: AttemptId, provider_trade_no: String, now: UnixMillis) -> Self {
        Self {
            id: new.id,
            kind: new.kind,
            refund_no: new.refund_no,
            provider_refund_no: new.provider_refund_no,
            attempt,
            provider_trade_no,
            amount: new.amount,
            reason: new.reason,
            created_at: now,
            numbered_at: now,
            ended_at: None,
            error: None,
            stuck: false,
            calls: 0,
            ask_first: false,
            reach: Reach::Nowhere,
            generation: 0,
            accepted: false,
            accepted_at: None,
            sent_at: None,
            lost: false,
            moved_after_all: false,
            other_sum: false,
            replaced_by: None,
            status: RefundStatus::Pending,
        }
    }

    /// Minor units of its payment that it has taken or may still take (S13). One that a person replaced after it had
    /// bounced takes nothing any more; its successor does.
    #[must_use]
    pub const fn draws(&self) -> i64 {
        let draws = match self.status {
            RefundStatus::Pending => true,
            RefundStatus::Succeeded => self.replaced_by.is_none(),
            RefundStatus::Failed => self.moved_after_all,
        };
        if draws { self.amount } else { 0 }
    }

    /// The earliest moment of its next call, by the provider's rules and the other refunds of its payment; `None` when
    /// it may be made now.
    #[must_use]
    pub fn held_back_until<'a>(
        &self,
        others: impl Iterator<Item = &'a Self>,
        rules: RefundRules,
        now: UnixMillis,
    ) -> Option<UnixMillis> {
        let (last, gap_ms) = if self.ask_first {
            (self.sent_at, rules.ask_after_ms)
        } else {
            let same_payment = |other: &&Self| {
                other.id != self.id
                    && other.attempt == self.attempt
                    && other.provider_trade_no == self.provider_trade_no
            };
            (others.filter(same_payment).filter_map(|other| other.sent_at).max(), rules.apart_ms)
        };
        // A clock that was set back must not hold anything longer than the gap itself.
        let until = last?.plus_ms(gap_ms).min(now.plus_ms(gap_ms));
        (until > now).then_some(until)
    }

    /// What the money did.
    #[must_use]
    pub const fn status(&self) -> RefundStatus {
        self.status
    }

    /// Takes one input.
    ///
    /// # Errors
    /// `Ended` once its end is known, `AmountDiffers` when the provider states another sum; unchanged then.
    pub fn apply(mut self, input: RefundInput, now: UnixMillis) -> Result<Step<Self>, RefundRefused> {
        if self.status != RefundStatus::Pending {
            return Err(RefundRefused::Ended);
        }
        match input {
            RefundInput::Calling => {
                if !self.ask_first {
                    self.sent_at = Some(now);
                }
                self.goes_out(now);
                self.calls = self.calls.saturating_add(1);
                let effects = vec![self.call_at(now)];
                Ok(Step { next: self, events: Vec::new(), effects })
            }
            RefundInput::Reported(outcome) => self.reported(outcome, now),
        }
    }

    /// A call is about to leave: durable first, so a crash in it finds a doubt.
    fn goes_out(&mut self, now: UnixMillis) {
        self.ask_first = true;
        self.reach = match self.reach {
            Reach::Nowhere => {
                self.numbered_at = now;
                Reach::InCall
            }
            Reach::InCall | Reach::Arrived => Reach::Arrived,
        };
    }

    fn comes_back(&mut self, outcome: &RefundOutcome) {
        if self.reach == Reach::InCall {
            let stayed = matches!(outcome, RefundOutcome::Later(failure) if failure.is_unsent());
            self.reach = if stayed { Reach::Nowhere } else { Reach::Arrived };
        }
    }

    fn reported(mut self, outcome: RefundOutcome, now: UnixMillis) -> Result<Step<Self>, RefundRefused> {
        self.comes_back(&outcome);
        Ok(match outcome {
            RefundOutcome::Succeeded { amount: Some(stated) } if stated.amount != self.amount => {
                return Err(RefundRefused::AmountDiffers);
            }
            RefundOutcome::Succeeded { .. } => self.succeeded(now),
            RefundOutcome::Pending if planted(Defect::AcceptedRefundIsDone) => self.succeeded(now),
            RefundOutcome::Pending => {
                self.ask_first = true;
                self.error = None;
                self.stuck = false;
                let accepted = Event { at: now, kind: EventKind::RefundAccepted { refund: self.id } };
                let events = if self.accepted { Vec::new() } else { vec![accepted] };
                self.accepted = true;
                self.accepted_at = self.accepted_at.or(Some(now));
                self.wait(events, now)
            }
            RefundOutcome::Absent => {
                // Proved not received: the same number goes out again, at once.
                self.ask_first = false;
                self.accepted = false;
                self.accepted_at = None;
                let waits = self.wait(Vec::new(), now);
                let effects = vec![Effect::CallRefund { refund: waits.next.id, at: now }];
                Step { effects, ..waits }
            }
            RefundOutcome::Later(failure) => {
                self.ask_first = false;
                // An empty account or a wrong setting does not pass by itself.
                self.stuck |= match failure.class {
                    ErrorClass::Declined | ErrorClass::Misconfigured | ErrorClass::Rejected => true,
                    ErrorClass::Congested | ErrorClass::Unavailable | ErrorClass::Unknown => false,
                };
                self.error = Some(failure);
                self.wait(Vec::new(), now)
            }
            RefundOutcome::Stuck(failure) => {
                self.stuck = true;
                self.ask_first = true;
                self.error = Some(failure);
                self.wait(Vec::new(), now)
            }
            RefundOutcome::Unknown(failure) if planted(Defect::RefundNumberAfterDoubt) => {
                self.next_number(failure, now)
            }
            RefundOutcome::Unknown(failure) => {
                self.ask_first = true;
                self.error = Some(failure);
                self.wait(Vec::new(), now)
            }
            // No call is out under this number, so the word is about an earlier one: spending a second number on it
            // would send the money twice.
            RefundOutcome::Ended(_) if self.kind != RefundKind::Merchant && !self.ask_first => {
                self.wait(Vec::new(), now)
            }
            RefundOutcome::Ended(failure) if self.kind != RefundKind::Merchant => self.next_number(failure, now),
            RefundOutcome::Ended(failure) | RefundOutcome::Refused(failure) => self.failed(failure, now),
        })
    }

    fn succeeded(mut self, now: UnixMillis) -> Step<Self> {
        self.status = RefundStatus::Succeeded;
        self.ended_at = Some(now);
        self.error = None;
        self.stuck = false;
        let events = vec![Event { at: now, kind: EventKind::RefundSucceeded { refund: self.id } }];
        let effects = vec![Effect::Forget(EffectKey::Refund(self.id))];
        Step { next: self, events, effects }
    }

    fn failed(mut self, failure: Failure, now: UnixMillis) -> Step<Self> {
        self.status = RefundStatus::Failed;
        self.ended_at = Some(now);
        self.stuck = false;
        self.error = Some(failure.clone());
        let events = vec![Event { at: now, kind: EventKind::RefundFailed { refund: self.id, failure } }];
        let effects = vec![Effect::Forget(EffectKey::Refund(self.id))];
        Step { next: self, events, effects }
    }

    fn next_number(mut self, failure: Failure, now: UnixMillis) -> Step<Self> {
        let spent = Event { at: now, kind: EventKind::RefundFailed { refund: self.id, failure: failure.clone() } };
        self.generation = self.generation.saturating_add(1);
        self.provider_refund_no =
            crate::charge::derived_number(&[&self.provider_refund_no, "next", &self.generation.to_string()]);
        self.numbered_at = now;
        self.reach = Reach::Nowhere;
        self.ask_first = false;
        self.accepted = false;
        self.accepted_at = None;
        self.stuck = false;
        self.error = Some(failure);
        self.wait(vec![spent], now)
    }

    fn wait(mut self, events: Vec<Event>, now: UnixMillis) -> Step<Self> {
        // Whatever keeps it, money that has been on its way for a day is a person's matter.
        self.stuck |= now.since_ms(self.created_at) >= STUCK_AFTER_MS;
        let effects = vec![self.call_at(now)];
        Step { next: self, events, effects }
    }

    fn call_at(&self, now: UnixMillis) -> Effect {
        let index = usize::try_from(self.calls.saturating_sub(1)).unwrap_or(usize::MAX);
        let gap_s = GAPS_S.get(index).copied().unwrap_or(1800);
        Effect::CallRefund { refund: self.id, at: now.plus_s(gap_s) }
    }
}

#[cfg(test)]
mod tests;
