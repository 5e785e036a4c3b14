//! The life of an attempt: one try to collect a charge through one channel.
//!
//! Invariants: S5 (a status never goes back), S6 (`unknown` leaves only by the provider's word), S20 (a payment
//! always counts, even after `closed` or `failed`). A failed or doubtful *query* changes nothing: only a create's own
//! answer can fail an attempt or leave it in doubt. A code that arrives once the attempt is being ended is shown to
//! nobody, so it never becomes payable (S7). What counts as a proved end is the provider's rule, not ours.
//! This module must not know of other attempts, of delivery or of money already taken; the charge does.

use crate::day::Day;
use crate::effect::{Effect, EffectKey, Event, EventKind, Source, Step};
use crate::ids::{AttemptId, ChannelId, ProviderId};
use crate::planted::{Defect, planted};
use crate::provider::{CodeLife, Failure, Outcome, Pay, Payment, Scene};
use crate::routing::Decision;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

mod ladder;

pub use ladder::{end_retry_at, next_query_at};

/// What is known of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// Durable here; the provider is being asked.
    Creating,
    /// The payer can pay, or could.
    Pending,
    /// The create had no definite answer.
    Unknown,
    /// The provider refused.
    Failed,
    /// Its end is proved.
    Closed,
    /// Its payment is the principal.
    Succeeded,
    /// Its payment came beside the principal and goes back.
    Duplicate,
}

impl AttemptStatus {
    /// All statuses.
    pub const ALL: [Self; 7] =
        [Self::Creating, Self::Pending, Self::Unknown, Self::Failed, Self::Closed, Self::Succeeded, Self::Duplicate];

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Closed => "closed",
            Self::Succeeded => "succeeded",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether its end is not proved yet.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Creating | Self::Pending | Self::Unknown)
    }
}

/// One try to collect a charge through one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// 1 for the first of its charge.
    pub seq: u32,
    /// The channel it was made on, for ever.
    pub channel: ChannelId,
    /// The channel's provider.
    pub provider: ProviderId,
    /// The channel's account at the provider.
    pub account: String,
    /// Our number at the provider.
    pub provider_order_no: String,
    /// The provider's number of the payment, once known.
    pub provider_trade_no: Option<String>,
    /// Where the payer stands.
    pub scene: Scene,
    /// The ends that the provider was asked for.
    pub life: CodeLife,
    /// The callback address that the provider was given (S10: the same on every repeat).
    pub callback_url: String,
    /// What the payer pays with; set once the provider gave it.
    pub pay: Option<Pay>,
    /// Why this channel.
    pub route: Decision,
    /// Why it failed or is unknown.
    pub error: Option<Failure>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When its end was proved or it was paid.
    pub ended_at: Option<UnixMillis>,
    /// Whether it is to be ended at the provider as soon as that is possible.
    pub end_wanted: bool,
    /// How often its end was tried.
    pub end_tries: u32,
    /// The earliest moment of the first query.
    pub first_query_ms: i64,
    /// The provider's time of its payment, where it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<UnixMillis>,
    /// The day of the statement that names its payment, where the provider says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_on: Option<Day>,
    status: AttemptStatus,
}

/// What can happen to an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptInput {
    /// A provider's word other than a payment.
    Reported(Outcome, Source),
    /// A payment that was compared and holds; `surplus` when the charge has its principal already.
    Paid {
        /// The payment.
        payment: Payment,
        /// Whether another attempt's payment counts already.
        surplus: bool,
    },
    /// End it at the provider.
    End,
}

/// Why an input was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttemptRefused {
    /// It has ended; only a payment would still count.
    #[error("attempt_ended")]
    Ended,
    /// Its payment is known already.
    #[error("attempt_paid")]
    Paid,
}

/// What an attempt is born with.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAttempt {
    /// Its id.
    pub id: AttemptId,
    /// The channel.
    pub channel: ChannelId,
    /// The channel's provider.
    pub provider: ProviderId,
    /// The channel's account.
    pub account: String,
    /// Our number: 26 to 32 letters and digits.
    pub provider_order_no: String,
    /// Where the payer stands.
    pub scene: Scene,
    /// The ends to ask for.
    pub life: CodeLife,
    /// Where the provider shall call back.
    pub callback_url: String,
    /// The provider's earliest sensible query, milliseconds after the create.
    pub first_query_ms: i64,
    /// Why this channel.
    pub route: Decision,
}

impl Attempt {
    /// A new attempt, to be made durable before its provider is asked.
    #[must_use]
    pub fn new(new: NewAttempt, seq: u32, now: UnixMillis) -> Self {
        Self {
            id: new.id,
            seq,
            channel: new.channel,
            provider: new.provider,
            account: new.account,
            provider_order_no: new.provider_order_no,
            provider_trade_no: None,
            scene: new.scene,
            life: new.life,
            callback_url: new.callback_url,
            pay: None,
            route: new.route,
            error: None,
            created_at: now,
            ended_at: None,
            end_wanted: false,
            end_tries: 0,
            first_query_ms: new.first_query_ms,
            paid_at: None,
            settled_on: None,
            status: AttemptStatus::Creating,
        }
    }

    /// What is known of it.
    #[must_use]
    pub const fn status(&self) -> AttemptStatus {
        self.status
    }

    /// Whether a payer who was shown its code could still pay it (S7).
    #[must_use]
    pub const fn is_payable(&self) -> bool {
        matches!(self.status, AttemptStatus::Pending) && self.pay.is_some()
    }

    /// Takes one input.
    ///
    /// # Errors
    /// `Ended` or `Paid` when the input has no meaning any more; the attempt is unchanged.
    pub fn apply(self, input: AttemptInput, now: UnixMillis) -> Result<Step<Self>, AttemptRefused> {
        match input {
            AttemptInput::Paid { payment, surplus } => self.paid(&payment, surplus, now),
            AttemptInput::Reported(outcome, source) => self.reported(outcome, source, now),
            AttemptInput::End => self.end(now),
        }
    }

    fn paid(mut self, payment: &Payment, surplus: bool, now: UnixMillis) -> Result<Step<Self>, AttemptRefused> {
        match self.status {
            AttemptStatus::Succeeded | AttemptStatus::Duplicate => return Err(AttemptRefused::Paid),
            AttemptStatus::Creating
            | AttemptStatus::Pending
            | AttemptStatus::Unknown
            | AttemptStatus::Failed
            | AttemptStatus::Closed => {}
        }
        self.status = if surplus { AttemptStatus::Duplicate } else { AttemptStatus::Succeeded };
        self.provider_trade_no = Some(payment.provider_trade_no.clone());
        self.paid_at = payment.paid_at;
        self.settled_on = payment.settled_on;
        self.ended_at = Some(now);
        self.end_wanted = false;
        self.error = None;
        let effects = vec![Effect::Forget(EffectKey::Attempt(self.id))];
        Ok(Step { next: self, events: Vec::new(), effects })
    }

    fn reported(mut self, outcome: Outcome, source: Source, now: UnixMillis) -> Result<Step<Self>, AttemptRefused> {
        let reopens = planted(Defect::ClosedAttemptReopens) && self.status == AttemptStatus::Closed;
        if !self.status.is_open() && !reopens {
            return Err(AttemptRefused::Ended);
        }
        match outcome {
            Outcome::Pending { pay, .. } => Ok(self.pending(pay, now)),
            Outcome::Closed => Ok(self.closed(now)),
            Outcome::Absent if self.is_proved_absent(now) => Ok(self.closed(now)),
            Outcome::Failed(failure) if source == Source::Create && self.status == AttemptStatus::Creating => {
                Ok(self.failed(failure, now))
            }
            Outcome::Unknown(failure) if source == Source::Create && self.status == AttemptStatus::Creating => {
                if planted(Defect::TimeoutIsFailure) {
                    return Ok(self.failed(failure, now));
                }
                Ok(self.unknown(failure, now))
            }
            Outcome::Absent if source == Source::Create && self.status == AttemptStatus::Creating => {
                let failure = Failure::new(crate::provider::ErrorClass::Unknown, "absent", "no definite answer yet");
                Ok(self.unknown(failure, now))
            }
            // A payment comes as `AttemptInput::Paid`, after the charge compared it; a failed query proves nothing.
            Outcome::Paid(_) | Outcome::Absent | Outcome::Failed(_) | Outcome::Unknown(_) => {
                self.end_tries = self.end_tries.saturating_add(u32::from(self.end_wanted));
                let effects = vec![self.watch(now)];
                Ok(Step { next: self, events: Vec::new(), effects })
            }
        }
    }

    fn pending(mut self, pay: Option<Pay>, now: UnixMillis) -> Step<Self> {
        let mut events = Vec::new();
        if self.status != AttemptStatus::Pending {
            self.status = AttemptStatus::Pending;
            self.error = None;
            events.push(Event { at: now, kind: EventKind::AttemptPending { attempt: self.id } });
        } else {
            self.end_tries = self.end_tries.saturating_add(u32::from(self.end_wanted));
        }
        if self.pay.is_none() && !self.end_wanted {
            // A query may have found the order before the create's own answer brought the code.
            self.pay = pay;
        }
        let effects = vec![self.watch(now)];
        Step { next: self, events, effects }
    }

    fn failed(mut self, failure: Failure, now: UnixMillis) -> Step<Self> {
        self.status = AttemptStatus::Failed;
        self.error = Some(failure.clone());
        self.ended_at = Some(now);
        let events = vec![Event { at: now, kind: EventKind::AttemptFailed { attempt: self.id, failure } }];
        let effects = vec![Effect::Forget(EffectKey::Attempt(self.id))];
        Step { next: self, events, effects }
    }

    fn unknown(mut self, failure: Failure, now: UnixMillis) -> Step<Self> {
        self.status = AttemptStatus::Unknown;
        self.error = Some(failure.clone());
        // Its code was shown to nobody: it is left behind, closed and watched.
        self.end_wanted = true;
        let events = vec![Event { at: now, kind: EventKind::AttemptUnknown { attempt: self.id, failure } }];
        let effects = vec![self.watch(now)];
        Step { next: self, events, effects }
    }

    fn closed(mut self, now: UnixMillis) -> Step<Self> {
        self.status = AttemptStatus::Closed;
        self.ended_at = Some(now);
        let events = vec![Event { at: now, kind: EventKind::AttemptClosed { attempt: self.id } }];
        let effects = vec![Effect::Forget(EffectKey::Attempt(self.id))];
        Step { next: self, events, effects }
    }

    fn end(mut self, now: UnixMillis) -> Result<Step<Self>, AttemptRefused> {
        if !self.status.is_open() {
            return Err(AttemptRefused::Ended);
        }
        let mut events = Vec::new();
        if !self.end_wanted {
            self.end_wanted = true;
            events.push(Event { at: now, kind: EventKind::AttemptEnding { attempt: self.id } });
        }
        let effects = vec![Effect::CallProvider { attempt: self.id, at: now }];
        Ok(Step { next: self, events, effects })
    }

    /// An order that the provider does not have two minutes after an undecided create never reached it; its code was
    /// shown to nobody.
    fn is_proved_absent(&self, now: UnixMillis) -> bool {
        let waited = now.since_ms(self.created_at) >= ABSENT_PROVES_AFTER_MS;
        self.pay.is_none() && (waited || planted(Defect::AbsentIsProof))
    }

    /// The next look at it.
    pub(crate) fn watch(&self, now: UnixMillis) -> Effect {
        let at = if self.end_wanted { end_retry_at(self, now) } else { next_query_at(self, now) };
        Effect::CallProvider { attempt: self.id, at }
    }
}

/// How long a provider may take until an order it was sent in doubt can be found: two minutes.
const ABSENT_PROVES_AFTER_MS: i64 = 120_000;

#[cfg(test)]
mod tests;
