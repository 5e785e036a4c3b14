//! The outside of one charge in a random history: a clock, the timers as a store keeps them, and a log of what was
//! asked for.
//!
//! It carries out what the effects say by key (set, moved, forgotten) and hands each step to the model for judgement.

use super::model::Model;
use super::moves::{Move, Word};
use super::*;
use crate::refund::Refund;

/// A charge with everything around it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) charge: Charge,
    pub(super) now: UnixMillis,
    /// The latest moment that the clock ever showed: timers set before a step back are counted from here.
    pub(super) latest: UnixMillis,
    pub(super) timers: BTreeMap<EffectKey, UnixMillis>,
    pub(super) model: Model,
    heard: Vec<Input>,
    opened: u8,
    ordered: u8,
}

impl World {
    pub(super) fn of(policy: Policy) -> Self {
        let step = Charge::open(new_charge(policy), T0);
        let mut world = Self {
            charge: step.next.clone(),
            now: T0,
            latest: T0,
            timers: BTreeMap::new(),
            model: Model::default(),
            heard: Vec::new(),
            opened: 0,
            ordered: 0,
        };
        world.set_timers(&step.effects);
        world
    }

    pub(super) fn happen(&mut self, what: &Move) {
        match what {
            Move::Tick(ms) => {
                self.now = self.now.plus_ms(*ms);
                self.latest = self.latest.max(self.now);
            }
            Move::Fire { choice, word } => self.fire(*choice, *word),
            Move::Resolve { choice, word } => self.resolve(*choice, *word),
            Move::Again { back } => {
                let heard = self.heard.iter().rev().nth(*back).cloned();
                self.hear_all(heard.into_iter().collect(), None);
            }
            Move::Open { .. }
            | Move::Report { .. }
            | Move::Pay { .. }
            | Move::End { .. }
            | Move::NoCode
            | Move::Expire
            | Move::Close
            | Move::Tried { .. }
            | Move::Notify
            | Move::Goods { .. }
            | Move::Deadline { .. }
            | Move::Refund { .. }
            | Move::RefundWord { .. } => {
                let inputs = self.inputs_of(what);
                self.hear_all(inputs, None);
            }
        }
    }

    fn inputs_of(&mut self, what: &Move) -> Vec<Input> {
        match what {
            Move::Open { overlap } => {
                self.opened += 1;
                vec![Input::OpenAttempt { new: Box::new(new_attempt(self.opened, self.now)), overlap: *overlap }]
            }
            Move::Report { attempt, word, source } => vec![says(self.nth(*attempt), word.outcome(), *source)],
            Move::Pay { attempt, tx, off, refunded } => {
                let n = self.nth(*attempt);
                let mut payment = payment(n, &format!("tx{tx}"), AMOUNT + off);
                payment.refunded = *refunded;
                vec![reports(n, payment)]
            }
            Move::End { attempt } => vec![Input::EndAttempt(attempt_id(self.nth(*attempt)))],
            Move::NoCode => vec![Input::NoCode(failure(ErrorClass::Unavailable))],
            Move::Expire => vec![Input::Expire],
            Move::Close => vec![Input::Close],
            Move::Tried { choice, word } => {
                let news = self.charge.webhooks.iter().map(|webhook| webhook.event);
                let event = self.charge.delivery.event.into_iter().chain(news).nth(*choice);
                event.map(|event| Input::WebhookTried { event, answer: word.answer() }).into_iter().collect()
            }
            Move::Notify => vec![Input::Notify],
            Move::Goods { delivered: true } => vec![Input::Delivery(Report::Delivered(None))],
            Move::Goods { delivered: false } => vec![Input::Delivery(Report::Failed(None))],
            Move::Deadline { sending } => vec![Input::Deadline { sending: *sending }],
            Move::Refund { thousandths, sending } => {
                self.ordered += 1;
                let amount = (AMOUNT * thousandths / 1000).max(1);
                vec![Input::Refund {
                    new: Box::new(new_refund(self.ordered, amount)),
                    sending: *sending,
                    rules: RefundRules::default(),
                }]
            }
            Move::RefundWord { choice, word, call, old } => {
                let refund = self.charge.refunds.iter().nth_back(*choice).cloned();
                refund.map(|refund| self.refund_inputs(&refund, *word, *call, *old)).unwrap_or_default()
            }
            Move::Tick(_) | Move::Fire { .. } | Move::Resolve { .. } | Move::Again { .. } => Vec::new(),
        }
    }

    fn refund_inputs(&self, refund: &Refund, word: Word, call: bool, old: bool) -> Vec<Input> {
        let numbers = self.model.numbers_of(refund);
        let no = if old { numbers.first() } else { numbers.last() };
        let said = Input::RefundNoticed {
            refund: refund.id,
            provider_refund_no: no.cloned().unwrap_or_default(),
            outcome: word.refund_outcome(),
        };
        call.then_some(calls(refund.id)).into_iter().chain([said]).collect()
    }

    /// The `choice`th timer fires at its moment, and what the flows do follows.
    fn fire(&mut self, choice: usize, word: Word) {
        let Some((key, at)) = self.timers.iter().map(|(key, at)| (*key, *at)).nth(choice % self.timers.len().max(1))
        else {
            return;
        };
        self.now = self.now.max(at);
        self.latest = self.latest.max(self.now);
        let inputs = match key {
            EffectKey::Expire => vec![Input::Expire],
            EffectKey::Deadline => vec![Input::Deadline { sending: word.0.is_multiple_of(4) }],
            EffectKey::Attempt(attempt) => {
                vec![Input::Reported { attempt, outcome: self.queried(attempt, word), source: Source::Query }]
            }
            EffectKey::Refund(refund) => {
                let said = Input::RefundReported { refund, outcome: word.refund_outcome() };
                vec![calls(refund), said]
            }
            EffectKey::Webhook(event) => vec![Input::WebhookTried { event, answer: word.answer() }],
        };
        self.hear_all(inputs, Some(key));
    }

    /// What a query finds: now and then a payment, now and then of another sum.
    fn queried(&self, attempt: AttemptId, word: Word) -> Outcome {
        let off = match word.0 % 16 {
            0 => 0,
            1 => -1,
            _ => return word.outcome(),
        };
        let of = (1..=self.opened).find(|n| attempt_id(*n) == attempt).unwrap_or(1);
        Outcome::Paid(payment(of, &format!("tx{of} found"), AMOUNT + off))
    }

    fn resolve(&mut self, choice: usize, word: Word) {
        let Some((kind, key)) = self.charge.breaks.get(choice).cloned() else { return };
        let resolution = Resolution::ALL[usize::from(word.0 % 4)];
        let sending = word.0.is_multiple_of(5);
        self.hear_all(vec![Input::Resolve { kind, key, resolution, sending }], None);
    }

    fn hear_all(&mut self, inputs: Vec<Input>, mut fired: Option<EffectKey>) {
        for input in inputs {
            self.hear(&input, fired.take());
            self.heard.push(input);
        }
    }

    fn hear(&mut self, input: &Input, fired: Option<EffectKey>) {
        let before = self.charge.clone();
        // A refused input changes nothing and leaves its timer due.
        let Ok(step) = before.clone().apply(input.clone(), self.now) else { return };
        if let Some(key) = fired {
            self.timers.remove(&key);
        }
        self.set_timers(&step.effects);
        self.charge = step.next.clone();
        self.model.judge(&before, input, &step, self.now);
        self.judge_repeat(input);
        self.model.judge_timers(&self.charge, &self.timers, self.latest);
    }

    fn set_timers(&mut self, effects: &[Effect]) {
        for effect in effects {
            match (effect, effect.due()) {
                (_, Some((key, at))) => {
                    self.timers.insert(key, at);
                }
                (Effect::Forget(key), None) => {
                    self.timers.remove(key);
                }
                (_, None) => {}
            }
        }
    }

    /// What may be heard twice at once changes nothing the second time.
    fn judge_repeat(&self, input: &Input) {
        let idempotent = matches!(
            input,
            Input::Reported { outcome: Outcome::Paid(_), .. }
                | Input::OpenAttempt { .. }
                | Input::Refund { .. }
                | Input::Expire
                | Input::Close
                | Input::EndAttempt(_)
                | Input::Deadline { .. }
        );
        let again = self.charge.clone().apply(input.clone(), self.now);
        // A second alarm may find the delivery overdue since the first, and nothing else.
        if let (true, Ok(step)) = (idempotent, again) {
            assert_eq!(step.next, self.charge, "{input:?} heard twice changed the charge");
            assert!(step.events.is_empty(), "{input:?} heard twice was told twice");
        }
    }

    /// The attempt that a small number means: one that exists, if any does.
    fn nth(&self, n: u8) -> u8 {
        let there: Vec<u8> = (1..=self.opened).filter(|n| self.charge.attempt(attempt_id(*n)).is_some()).collect();
        there.iter().rev().cycle().nth(n.into()).copied().unwrap_or(1)
    }
}
