//! Tests of the life of a charge: every situation against every input as rows, the rules one by one, and random
//! histories against a small model.

use super::*;
use crate::delivery::{Answer, Report};
use crate::effect::Source;
use crate::fixtures::{
    AMOUNT, DELIVER_ON, GIVE_BACK, T0, attempt_id, failure, gives_code, in_words, new_attempt, new_charge, new_refund,
    not_paid, payment, refund_id,
};
use crate::ids::EventId;
use crate::provider::{ErrorClass, Payment};
use crate::provider::{RefundOutcome, RefundRules};
use crate::refund::{RefundKind, RefundStatus};
use crate::resolution::Resolution;

mod histories;
mod model;
mod moves;
mod rules;
mod rules_of_breaks;
mod rules_of_delivery;
mod rules_of_refunds;
mod table;
mod world;

/// A charge that takes one input after the other and keeps what the steps left behind.
#[derive(Debug, Clone)]
struct Story {
    charge: Charge,
    now: UnixMillis,
    events: Vec<EventKind>,
    effects: Vec<Effect>,
}

impl Story {
    fn of(policy: Policy) -> Self {
        let step = Charge::open(new_charge(policy), T0);
        let events = step.events.into_iter().map(|event| event.kind).collect();
        Self { charge: step.next, now: T0, events, effects: step.effects }
    }

    fn try_take(&mut self, input: Input) -> Result<(), Refused> {
        let step = self.charge.clone().apply(input, self.now)?;
        self.charge = step.next;
        self.events = step.events.into_iter().map(|event| event.kind).collect();
        self.effects = step.effects;
        Ok(())
    }

    /// Takes an input that the rules allow.
    fn take(mut self, input: Input) -> Self {
        self.try_take(input.clone()).unwrap_or_else(|refused| panic!("{input:?}: {refused}"));
        self
    }

    fn later(mut self, seconds: i64) -> Self {
        self.now = self.now.plus_s(seconds);
        self
    }

    /// Attempt `n` opens and gives a code.
    fn shown(self, n: u8, overlap: bool) -> Self {
        let open = self.opening(n, overlap);
        self.take(open).take(says(n, gives_code(), Source::Create))
    }

    fn opening(&self, n: u8, overlap: bool) -> Input {
        Input::OpenAttempt { new: Box::new(new_attempt(n, self.now)), overlap }
    }

    fn paid(self) -> Self {
        self.shown(1, false).take(pays(1, "tx1"))
    }

    fn tried(self, answer: Answer) -> Self {
        let event = self.charge.delivery.event.unwrap();
        self.take(Input::WebhookTried { event, answer })
    }

    fn breaks(&self) -> Vec<BreakKind> {
        let opened = |effect: &Effect| if let Effect::OpenBreak(draft) = effect { Some(draft.kind) } else { None };
        self.effects.iter().filter_map(opened).collect()
    }

    fn due(&self, wanted: EffectKey) -> Option<i64> {
        let due = |effect: &Effect| effect.due().filter(|(key, _)| *key == wanted);
        self.effects.iter().rev().find_map(due).map(|(_, at)| at.since_ms(self.now).div_euclid(1000))
    }

    fn status_of(&self, n: u8) -> crate::attempt::AttemptStatus {
        self.charge.attempt(attempt_id(n)).unwrap().status()
    }
}

fn says(n: u8, outcome: Outcome, source: Source) -> Input {
    Input::Reported { attempt: attempt_id(n), outcome, source }
}

fn reports(n: u8, payment: Payment) -> Input {
    says(n, Outcome::Paid(payment), Source::Callback)
}

fn pays(n: u8, tx: &str) -> Input {
    reports(n, payment(n, tx, AMOUNT))
}

fn refunds(n: u8, amount: i64) -> Input {
    Input::Refund { new: Box::new(new_refund(n, amount)), sending: false, rules: RefundRules::default() }
}

fn calls(refund: RefundId) -> Input {
    Input::RefundCalling { refund, rules: RefundRules::default() }
}

fn resolves(kind: BreakKind, key: &str, resolution: Resolution) -> Input {
    Input::Resolve { kind, key: key.to_owned(), resolution, sending: false }
}

fn refund_says(refund: RefundId, outcome: RefundOutcome) -> Input {
    Input::RefundReported { refund, outcome }
}

fn ended() -> RefundOutcome {
    RefundOutcome::Ended(failure(ErrorClass::Rejected))
}

fn through() -> RefundOutcome {
    RefundOutcome::Succeeded { amount: None }
}

fn refused() -> Answer {
    Answer::Refused("HTTP 500".to_owned())
}

fn doubtful() -> Answer {
    Answer::Doubtful("no answer in 10 s".to_owned())
}

fn undeliverable() -> Answer {
    Answer::Undeliverable("sold out".to_owned())
}
