//! A small reference of what must be true of a charge, kept beside it and compared after each step.
//!
//! It knows payments, refunds and the fence by their definitions in the design (S2 to S20, L4) and nothing of how the
//! charge keeps them.

use super::*;
use crate::attempt::AttemptStatus;
use crate::refund::Refund;
use std::collections::BTreeSet;

mod decisions;

/// What happened to one charge, by definition.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// The first exact payment.
    principal: Option<(AttemptId, String)>,
    /// Every further exact payment, and whether the provider said at once that it had gone back.
    surplus: BTreeMap<(AttemptId, String), bool>,
    /// Payments of another sum, and what was stated first.
    differing: BTreeMap<String, (AttemptId, i64)>,
    /// Those of them that a person sent back.
    returned: BTreeMap<String, AttemptId>,
    /// The sum of the principal, where a person took another one for it.
    taken: Option<i64>,
    /// Refunds that were through and then were not.
    bounced: BTreeSet<RefundId>,
    /// What the charge asked to be credited.
    credited: Vec<(AttemptId, String)>,
    /// Every break that was ever opened.
    breaks: Vec<(BreakKind, String)>,
    /// Each refund's amount and its numbers, oldest first.
    refunds: BTreeMap<RefundId, (i64, Vec<String>)>,
    overlapped: bool,
    /// How often each kind of thing happened, so that a test can see that it did.
    pub(super) seen: BTreeMap<&'static str, u32>,
}

impl Model {
    pub(super) fn numbers_of(&self, refund: &Refund) -> Vec<String> {
        self.refunds.get(&refund.id).map(|(_, numbers)| numbers.clone()).unwrap_or_default()
    }

    pub(super) fn judge(&mut self, before: &Charge, input: &Input, step: &Step<Charge>, now: UnixMillis) {
        self.note(before, input, step);
        self.decisions(before, input);
        self.bounces(before, input);
        self.payments(before, input, step);
        self.statuses(before, step);
        self.payable(&step.next);
        self.refunds(input, &step.next);
        self.fence(before, input, step);
        self.nobody_is_forgotten(&step.next);
        for (key, at) in step.effects.iter().filter_map(Effect::due) {
            assert!(at <= now.plus_s(3600), "L4: {key:?} is set to more than an hour from now");
        }
    }

    fn note(&mut self, before: &Charge, input: &Input, step: &Step<Charge>) {
        for effect in &step.effects {
            if let Effect::Credit { attempt, provider_trade_no } = effect {
                self.credited.push((*attempt, provider_trade_no.clone()));
            }
            if let Effect::OpenBreak(draft) = effect {
                self.breaks.push((draft.kind, draft.provider_trade_no.clone().unwrap_or_default()));
                *self.seen.entry(draft.kind.as_str()).or_default() += 1;
            }
        }
        if matches!(input, Input::OpenAttempt { overlap: true, .. }) {
            self.overlapped = true;
        }
        let next = &step.next;
        let now_so = [
            ("paid late", next.late && !before.late),
            ("fenced", next.delivery.fenced && !before.delivery.fenced),
            ("in doubt", next.delivery.doubt && !before.delivery.doubt),
            ("delivered", next.delivery.status() > before.delivery.status() && next.stage() == Stage::Completed),
            ("refunded", next.status() == ChargeStatus::Refunded && before.status() != ChargeStatus::Refunded),
            ("closed", next.status() == ChargeStatus::Closed && before.status() != ChargeStatus::Closed),
            ("surplus", next.surplus.len() > before.surplus.len()),
            ("two payable", next.payable_count() == 2 && before.payable_count() < 2),
            ("next number", next.refunds.iter().any(|refund| refund.generation > 0)),
            ("taken", next.taken != before.taken),
            ("replaced", count_replaced(next) > count_replaced(before)),
        ];
        for (word, _) in now_so.iter().filter(|(_, so)| *so) {
            *self.seen.entry(word).or_default() += 1;
        }
    }

    fn captured(&self) -> i64 {
        self.taken.unwrap_or(AMOUNT)
    }

    /// S2, S3, S4, S8, S20.
    fn payments(&mut self, before: &Charge, input: &Input, step: &Step<Charge>) {
        let next = &step.next;
        if let Input::Reported { attempt, outcome: Outcome::Paid(payment), .. } = input {
            self.pay(before, *attempt, payment, step);
        }
        assert_eq!(next.principal, self.principal.as_ref().map(|(attempt, _)| *attempt), "S2: one principal for ever");
        assert_eq!(next.status() >= ChargeStatus::Paid, self.principal.is_some(), "S4: paid by an exact payment only");
        let counted: BTreeSet<_> = self.principal.iter().chain(self.surplus.keys()).cloned().collect();
        let credited: BTreeSet<_> = self.credited.iter().cloned().collect();
        assert_eq!(credited, counted, "S2: what counts is credited");
        let numbers: BTreeSet<_> = self.credited.iter().map(|(_, tx)| tx).collect();
        assert_eq!(numbers.len(), self.credited.len(), "S2: one trade number is credited once");
        if next.delivery.started_at.is_some() {
            assert!(self.principal.is_some(), "S3: a delivery began without an exact payment");
        }
        for tx in self.differing.keys() {
            let times = self.breaks.iter().filter(|b| **b == (BreakKind::AmountDiffers, tx.clone())).count();
            assert_eq!(times, 1, "S4: a payment of another sum is one break");
        }
    }

    fn pay(&mut self, before: &Charge, attempt: AttemptId, payment: &Payment, step: &Step<Charge>) {
        let tx = payment.provider_trade_no.clone();
        let key = (attempt, tx.clone());
        if self.returned.get(&tx) == Some(&attempt) {
            assert_eq!(
                step.next.status().max(ChargeStatus::Closed),
                before.status().max(ChargeStatus::Closed),
                "it is back"
            );
            return;
        }
        let expected = if self.principal.as_ref() == Some(&key) { self.captured() } else { AMOUNT };
        if payment.amount.amount != expected {
            self.differing.entry(tx).or_insert((attempt, payment.amount.amount));
            assert!(step.next.status() < ChargeStatus::Paid || before.status() == step.next.status(), "S4");
            return;
        }
        let known = self.principal.iter().chain(self.surplus.keys()).find(|(_, of)| *of == tx).cloned();
        match known {
            Some(counted) if counted == key => {}
            Some(_) => assert!(self.breaks.contains(&(BreakKind::Duplicate, tx)), "S2: claimed twice, and no break"),
            None if self.returned.contains_key(&tx) => {
                assert!(
                    self.breaks.contains(&(BreakKind::Duplicate, tx)),
                    "S2: claimed after it went back, and no break"
                );
            }
            None if self.principal.is_some() => {
                self.surplus.insert(key, payment.refunded > 0);
            }
            None => {
                assert_eq!(step.next.late, before.status() == ChargeStatus::Closed, "S20: late after the close only");
                self.principal = Some(key);
                let goes_back = step.next.late && before.policy.refund_late && payment.refunded == 0;
                assert_eq!(step.next.delivery.fenced, goes_back, "a late payment goes back where the policy says so");
            }
        }
    }

    /// S5.
    fn statuses(&self, before: &Charge, step: &Step<Charge>) {
        let next = &step.next;
        assert!(next.status() >= before.status(), "S5: the charge went back");
        for old in &before.attempts {
            let new = next.attempt(old.id).expect("an attempt is never dropped");
            let steady = rank(new.status()) > rank(old.status()) || new.status() == old.status();
            assert!(steady, "S5: {:?} became {:?}", old.status(), new.status());
        }
        for old in &before.refunds {
            let new = next.refund(old.id).expect("a refund is never dropped");
            assert!(old.status() == RefundStatus::Pending || old.status() == new.status(), "S5: a refund went back");
        }
        let same = Charge { version: before.version, ..next.clone() } == *before;
        let changed = !same || !step.events.is_empty();
        assert_eq!(next.version, before.version + u64::from(changed), "S5: one version per changing step");
    }

    /// S7.
    fn payable(&self, charge: &Charge) {
        let max = if self.overlapped { 2 } else { 1 };
        assert!(charge.payable_count() <= max, "S7: {} attempts are payable", charge.payable_count());
    }

    /// S8, S13.
    fn refunds(&mut self, input: &Input, charge: &Charge) {
        let mut drawn: BTreeMap<&str, i64> = BTreeMap::new();
        for refund in &charge.refunds {
            assert!(refund.amount > 0, "S13");
            let fresh = || (refund.amount, vec![refund.provider_refund_no.clone()]);
            let (amount, numbers) = self.refunds.entry(refund.id).or_insert_with(fresh);
            assert_eq!(*amount, refund.amount, "S13: an amount never changes");
            if numbers.last() != Some(&refund.provider_refund_no) {
                assert!(is_end_of(input, refund.id, numbers.last()), "S13: {input:?} changed a number");
                assert!(!numbers.contains(&refund.provider_refund_no), "S13: a spent number is never used again");
                numbers.push(refund.provider_refund_no.clone());
            }
            let was_lost = refund.status() == RefundStatus::Failed || self.bounced.contains(&refund.id);
            assert!(refund.replaced_by.is_none() || was_lost, "S13: what is not lost is replaced");
            if refund.status() != RefundStatus::Failed && refund.replaced_by.is_none() {
                *drawn.entry(refund.provider_trade_no.as_str()).or_default() += refund.amount;
            }
            let of_principal = self.principal.as_ref().is_some_and(|(_, tx)| *tx == refund.provider_trade_no);
            let of_returned = self.returned.contains_key(&refund.provider_trade_no);
            assert!(
                refund.kind == RefundKind::Surplus || of_principal || of_returned,
                "S13: it draws on the principal only"
            );
        }
        for (tx, sum) in drawn {
            let of_principal = self.principal.as_ref().is_some_and(|(_, of)| of == tx);
            let whole = match self.returned.get(tx).and_then(|_| self.differing.get(tx)) {
                Some((_, stated)) => *stated,
                None if of_principal => self.captured(),
                None => AMOUNT,
            };
            assert!(sum <= whole, "S13: {sum} of {whole} are going back");
        }
        for tx in self.returned.keys() {
            let alive = charge.refunds.iter().filter(|refund| refund.provider_trade_no == *tx);
            assert_eq!(
                alive.filter(|refund| refund.replaced_by.is_none()).count(),
                1,
                "a returned payment goes back once"
            );
        }
        for ((attempt, tx), gone) in &self.surplus {
            let of_it = |refund: &&Refund| refund.kind == RefundKind::Surplus && refund.provider_trade_no == *tx;
            let chain: Vec<&Refund> = charge.refunds.iter().filter(of_it).collect();
            let found: Vec<&Refund> = chain.iter().copied().filter(|refund| refund.replaced_by.is_none()).collect();
            if *gone {
                assert!(found.len() <= 1, "S8: it went back already, and a person gives what is left once");
                assert!(self.breaks.contains(&(BreakKind::RefundDiffers, tx.clone())), "S8: and a person knows");
                continue;
            }
            let [refund] = found.as_slice() else { panic!("S8: {} refunds of {tx}", found.len()) };
            let derived = derived_number(&[&charge.id.to_string(), tx]);
            assert_eq!((refund.attempt, refund.amount), (*attempt, AMOUNT), "S8: whole, and of that payment");
            let first = chain.first().and_then(|first| self.numbers_of(first).first().cloned());
            assert_eq!(first, Some(derived), "S8: under the derived number");
        }
        for refund in charge.refunds.iter().filter(|refund| refund.kind == RefundKind::Surplus) {
            let key = (refund.attempt, refund.provider_trade_no.clone());
            assert!(self.surplus.contains_key(&key), "S8: nothing else is surplus");
        }
    }

    /// The rules of the fence.
    fn fence(&self, before: &Charge, input: &Input, step: &Step<Charge>) {
        let next = &step.next;
        let sends = |effect: &Effect| matches!(effect, Effect::SendWebhook { event, .. } if Some(*event) == next.delivery.event);
        if before.delivery.fenced {
            assert!(next.delivery.fenced, "the fence stays");
            assert!(!step.effects.iter().any(sends), "charge.paid is sent after the fence");
            assert_ne!(next.delivery.status(), DeliveryStatus::Delivered, "delivered after the fence");
            if says_delivered(input, next.delivery.event) {
                let key = (BreakKind::DeliveredAfterRefund, String::new());
                assert!(self.breaks.contains(&key), "goods handed over after the fence, and nobody knows");
            }
        }
        if before.delivery.status() == DeliveryStatus::Delivered {
            assert_eq!(next.delivery.status(), DeliveryStatus::Delivered, "delivered is final");
        }
        for refund in next.refunds.iter().filter(|refund| before.refund(refund.id).is_none()) {
            if refund.kind == RefundKind::Undelivered {
                let explicit = matches!(input, Input::Delivery(Report::Failed(_)))
                    || matches!(input, Input::WebhookTried { answer: Answer::Undeliverable(_), .. })
                    || matches!(input, Input::Resolve { .. });
                assert!(explicit || !before.delivery.doubt, "a refund for non-delivery while in doubt");
                assert_ne!(before.delivery.status(), DeliveryStatus::Delivered, "a refund of delivered goods");
                assert!(!matches!(input, Input::Deadline { sending: true }), "while a try is in flight");
            }
            if matches!(refund.kind, RefundKind::Undelivered | RefundKind::Late) {
                assert!(next.delivery.fenced, "money goes back without a fence");
            }
        }
    }

    /// Every yuan ends delivered, refunded or a named break.
    fn nobody_is_forgotten(&self, charge: &Charge) {
        let Some((_, tx)) = &self.principal else { return };
        let going_back = |refund: &&Refund| {
            let alive = refund.status() != RefundStatus::Failed && refund.replaced_by.is_none();
            refund.kind != RefundKind::Surplus && refund.provider_trade_no == *tx && alive
        };
        let back: i64 = charge.refunds.iter().filter(going_back).map(|refund| refund.amount).sum();
        let named = |kinds: &[BreakKind]| {
            self.breaks.iter().any(|(kind, of)| kinds.contains(kind) && (of == tx || of.is_empty()))
        };
        let cared_for = match charge.delivery.status() {
            DeliveryStatus::Pending | DeliveryStatus::Accepted | DeliveryStatus::Delivered => true,
            DeliveryStatus::None => named(&[BreakKind::RefundDiffers]),
            DeliveryStatus::Failed if charge.delivery.fenced => {
                back == self.captured() || named(&[BreakKind::RefundDiffers])
            }
            DeliveryStatus::Failed => named(&[BreakKind::Undeliverable]),
        };
        let undelivered = charge.delivery.status() != DeliveryStatus::Delivered;
        assert!(
            back < self.captured() || !undelivered || charge.delivery.fenced,
            "all of it goes back and no fence is set"
        );
        assert!(cared_for, "the principal is neither on its way, nor going back, nor a break");
    }

    /// L4: whatever is not final has a timer, and none lies far away.
    pub(super) fn judge_timers(&self, charge: &Charge, timers: &BTreeMap<EffectKey, UnixMillis>, latest: UnixMillis) {
        let due = |key: EffectKey| timers.get(&key).is_some_and(|at| *at <= latest.plus_s(3600));
        if charge.status() == ChargeStatus::Open {
            assert!(due(EffectKey::Expire), "L4: an open charge without its alarm");
        }
        for attempt in charge.attempts.iter().filter(|attempt| attempt.status().is_open()) {
            assert!(due(EffectKey::Attempt(attempt.id)), "L4: an open attempt is not watched");
        }
        for refund in charge.refunds.iter().filter(|refund| refund.status() == RefundStatus::Pending) {
            assert!(due(EffectKey::Refund(refund.id)), "L4: a pending refund is not pursued");
        }
        for webhook in &charge.webhooks {
            assert!(due(EffectKey::Webhook(webhook.event)), "L4: news is not sent");
        }
        let paid_webhook = charge.delivery.event.map(EffectKey::Webhook);
        let open = |wanted: BreakKind| charge.breaks.iter().any(|(kind, _)| *kind == wanted);
        let named = open(BreakKind::Undelivered) || open(BreakKind::Undeliverable) || charge.delivery.settled;
        let owed = match charge.delivery.status() {
            DeliveryStatus::Pending | DeliveryStatus::Accepted => true,
            DeliveryStatus::Failed => !charge.delivery.fenced,
            DeliveryStatus::None | DeliveryStatus::Delivered => false,
        };
        if owed {
            let waited_for = due(EffectKey::Deadline) || paid_webhook.is_some_and(due);
            assert!(waited_for || named, "L4: a delivery that nobody waits for");
        }
        if charge.delivery.fenced {
            let left = paid_webhook.is_some_and(|key| timers.contains_key(&key));
            assert!(!left && !timers.contains_key(&EffectKey::Deadline), "a fenced delivery has timers");
        }
    }
}

fn count_replaced(charge: &Charge) -> usize {
    charge.refunds.iter().filter(|refund| refund.replaced_by.is_some()).count()
}

fn says_delivered(input: &Input, paid_webhook: Option<EventId>) -> bool {
    let answered =
        matches!(input, Input::WebhookTried { event, answer: Answer::Delivered } if Some(*event) == paid_webhook);
    answered || matches!(input, Input::Delivery(Report::Delivered(_)))
}

fn is_end_of(input: &Input, id: RefundId, number: Option<&String>) -> bool {
    let reported = matches!(input, Input::RefundReported { refund, outcome: RefundOutcome::Ended(_) } if *refund == id);
    let noticed = matches!(input, Input::RefundNoticed { refund, provider_refund_no, outcome: RefundOutcome::Ended(_) }
        if *refund == id && number == Some(provider_refund_no));
    reported || noticed
}

fn rank(status: AttemptStatus) -> u8 {
    match status {
        AttemptStatus::Creating => 0,
        AttemptStatus::Unknown => 1,
        AttemptStatus::Pending => 2,
        AttemptStatus::Failed | AttemptStatus::Closed => 3,
        AttemptStatus::Succeeded | AttemptStatus::Duplicate => 4,
    }
}
