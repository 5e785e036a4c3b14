//! The invariants that hold at every step, judged against the providers' own books.

use crate::message::Message;
use crate::ports::bank_of;
use crate::world::{BIRTH_MS, Event, Inner};
use tongdao::ports::{Batch, Operation, Owner, Reference, WebhookCall};
use tongdao_core::attempt::{Attempt, AttemptStatus};
use tongdao_core::charge::{Charge, ChargeStatus};
use tongdao_core::delivery::DeliveryStatus;
use tongdao_core::ids::ChargeId;
use tongdao_core::provider::{HttpCall, HttpReply};
use tongdao_core::refund::{Reach, RefundStatus};

impl Inner {
    pub(crate) fn check_step(&mut self, before: Option<&Charge>, after: &Charge, batch: &Batch) {
        if before.is_none() {
            let order: usize = after.merchant_order_no[1..].parse().unwrap_or_default();
            if let Some(other) = self.of_charge.iter().find(|(_, of)| **of == order) {
                let words = format!("{} has two charges, {} and {}", after.merchant_order_no, other.0, after.id);
                self.fail("S9", words);
            }
            self.of_charge.insert(after.id, order);
        }
        if let Some(before) = before {
            self.check_monotone(before, after, batch);
        }
        for attempt in &after.attempts {
            let was = before.and_then(|before| before.attempt(attempt.id));
            self.check_attempt(was, attempt, after);
        }
        for refund in &after.refunds {
            let was = before.and_then(|before| before.refund(refund.id)).map(tongdao_core::refund::Refund::status);
            if was != Some(refund.status()) && refund.status() == RefundStatus::Succeeded {
                let done = self.banks.iter().find_map(|bank| bank.refunds.get(&refund.provider_refund_no));
                if !done.is_some_and(|done| done.state == "SUCCESS" && done.amount == refund.amount) {
                    self.fail("S13", format!("refund {} succeeded here only", refund.provider_refund_no));
                }
            }
        }
        self.check_payable(after);
        self.check_timer(after);
        let opened =
            after.breaks.iter().filter(|held| before.is_none_or(|before| !before.breaks.contains(held))).count();
        if opened > batch.breaks.iter().filter(|breach| breach.status == tongdao::ports::BreakStatus::Open).count() {
            self.fail("break", format!("{} says that it has a break that nobody stored", after.merchant_order_no));
        }
    }

    fn check_monotone(&mut self, before: &Charge, after: &Charge, batch: &Batch) {
        let no = &after.merchant_order_no;
        if after.status() < before.status() {
            self.fail("S5", format!("{no} went from {:?} back to {:?}", before.status(), after.status()));
        }
        let one_more = after.version > before.version || (after == before && batch.events.is_empty());
        if !one_more {
            self.fail("S5", format!("{no} went from version {} to {}", before.version, after.version));
        }
        if before.principal.is_some() && before.principal != after.principal {
            self.fail("S2", format!("{no} has another principal"));
        }
        if before.delivery.status() == DeliveryStatus::Delivered && after.delivery.status() != DeliveryStatus::Delivered
        {
            self.fail("S5", format!("{no} is not delivered any more"));
        }
        if before.delivery.fenced && !after.delivery.fenced {
            self.fail("S14", format!("{no} lost its fence"));
        }
        if after.attempts.len() < before.attempts.len() || after.refunds.len() < before.refunds.len() {
            self.fail("S15", format!("{no} lost an attempt or a refund"));
        }
        if before.status() != after.status() && after.status() == ChargeStatus::Closed {
            let open = after.attempts.iter().any(|attempt| attempt.status().is_open());
            if open {
                self.fail("S6", format!("{no} closed with an attempt whose end is not proved"));
            }
        }
    }

    fn check_attempt(&mut self, before: Option<&Attempt>, after: &Attempt, charge: &Charge) {
        let was = before.map(Attempt::status);
        if was == Some(after.status()) {
            return;
        }
        let no = &after.provider_order_no;
        let counts = matches!(after.status(), AttemptStatus::Succeeded | AttemptStatus::Duplicate);
        let over = was.is_some_and(|was| !was.is_open());
        if over && !counts || matches!(was, Some(AttemptStatus::Succeeded | AttemptStatus::Duplicate)) {
            self.fail("S5", format!("attempt {no} went from {was:?} to {:?}", after.status()));
        }
        if was == Some(AttemptStatus::Unknown) && after.status() == AttemptStatus::Failed {
            self.fail("S6", format!("attempt {no} failed out of a doubt"));
        }
        let bank = &self.banks[bank_of(after.channel.as_str())];
        let tx = after.provider_trade_no.clone().unwrap_or_default();
        let truth = bank.txs.get(&tx).map(|truth| (truth.order == *no, truth.amount));
        let provable = !self.clock_was_wrong && bank.skew == 0;
        let lives = bank.orders.contains_key(no);
        let payable = bank.payable(no, BIRTH_MS + self.now);
        let shown = self.orders.iter().any(|order| order.codes.iter().any(|(_, code)| code == no));
        if counts && !truth.is_some_and(|truth| truth.0) {
            self.fail("S3", format!("{no} counts {tx}, which was never paid for it"));
        }
        if counts && truth.is_some_and(|truth| truth.1 != charge.amount.amount) {
            self.fail("S4", format!("{no} counts {tx} of another amount"));
        }
        if after.status() == AttemptStatus::Failed && lives && shown {
            self.fail("S6", format!("{no} failed here and lives at its provider"));
        }
        if after.status() == AttemptStatus::Closed && provable && payable {
            self.fail("S6", format!("{no} is closed here and can be paid at its provider"));
        }
        let doubtful = after.error.as_ref().is_some_and(|error| error.provider_code == "no_answer");
        if after.status() == AttemptStatus::Failed && doubtful {
            self.fail("S6", format!("{no} failed by a timeout"));
        }
    }

    /// S7, here and in the providers' books.
    fn check_payable(&mut self, after: &Charge) {
        let most = if after.policy.wait_for_end { 1 } else { 2 };
        let here = after.attempts.iter().filter(|attempt| attempt.is_payable()).count();
        if here > most {
            self.fail("S7", format!("{} has {here} payable attempts", after.merchant_order_no));
        }
        if self.clock_was_wrong || self.banks.iter().any(|bank| bank.skew != 0) || after.status() != ChargeStatus::Open
        {
            return;
        }
        let at = BIRTH_MS + self.now;
        let there = |attempt: &&Attempt| {
            let bank = &self.banks[bank_of(attempt.channel.as_str())];
            attempt.pay.is_some() && bank.payable(&attempt.provider_order_no, at)
        };
        let there = after.attempts.iter().filter(there).count();
        if there > most {
            self.fail("S7", format!("{}: {there} codes can be paid at providers", after.merchant_order_no));
        }
    }

    /// L4: whatever is not final has a timer within the hour (two around a step of the clock).
    fn check_timer(&mut self, after: &Charge) {
        let waits = after.status() == ChargeStatus::Open && !after.is_disputed()
            || after.attempts.iter().any(|attempt| attempt.status().is_open())
            || after.refunds.iter().any(|refund| refund.ended_at.is_none());
        if !waits {
            return;
        }
        let limit_ms = if self.clock_was_wrong { 20 * 3_600_000 } else { 3_660_000 };
        let wakes_at = self.kept.wakes_at(after.id);
        if wakes_at.is_none_or(|at| at.since_ms(self.wall()) > limit_ms) {
            self.fail("L4", format!("{} is not over and wakes at {wakes_at:?}", after.merchant_order_no));
        }
        for attempt in after.attempts.iter().filter(|attempt| attempt.status().is_open()) {
            if !self.kept.has_timer(after.id, tongdao_core::effect::EffectKey::Attempt(attempt.id)) {
                self.fail("L4", format!("open attempt {} has no timer", attempt.provider_order_no));
            }
        }
        for refund in after.refunds.iter().filter(|refund| refund.ended_at.is_none()) {
            if !self.kept.has_timer(after.id, tongdao_core::effect::EffectKey::Refund(refund.id)) {
                self.fail("L4", format!("pending refund {} has no timer", refund.provider_refund_no));
            }
        }
    }

    /// S11: the intent is durable before the call leaves.
    pub(crate) fn check_intent(&mut self, bank: usize, operation: Operation, call: &HttpCall) {
        let account = self.banks[bank].account.clone();
        let provider = crate::provider::REGISTRY[bank].id.parse().expect("a provider's name");
        let text = String::from_utf8_lossy(&call.body).into_owned();
        let Some((_, message)) = Message::read(&text, &account) else { return };
        let durable = match operation {
            Operation::Create => {
                let no = Reference::ProviderOrder(provider, account, message.text("no").to_owned());
                self.kept.owners.contains_key(&no)
            }
            Operation::Refund => {
                let no = message.text("refund_no").to_owned();
                match self.kept.owners.get(&Reference::ProviderRefund(provider, account, no)) {
                    Some(Owner::Refund(charge, refund)) => {
                        let kept = self.kept.charges.get(charge).and_then(|charge| charge.refund(*refund));
                        kept.is_some_and(|refund| refund.reach != Reach::Nowhere)
                    }
                    _ => false,
                }
            }
            _ => true,
        };
        if !durable {
            self.fail("S11", format!("a {} left before it was durable", operation.as_str()));
        }
    }

    pub(crate) fn check_create_is_expected(&mut self, bank: usize, no: &str) {
        self.callback_now_soon(bank, no);
        let ended = self.attempt_of(bank, no).map(|attempt| attempt.status()) == Some(AttemptStatus::Closed);
        // A copy of what arrived before changes nothing.
        if ended && !self.clock_was_wrong && !self.banks[bank].orders.contains_key(no) {
            self.fail("S6", format!("{no} arrived at its provider after its end was held proved"));
        }
    }

    fn callback_now_soon(&mut self, bank: usize, no: &str) {
        if !self.banks[bank].orders.contains_key(no) && self.plan.provider > 0 && self.healed_at.is_none() {
            let paid_at_once = self.dice.per_mille(self.plan.provider / 8);
            if paid_at_once {
                self.after(1, Event::Settle { bank, no: no.to_owned() });
            }
        }
    }

    pub(crate) fn attempt_of(&self, bank: usize, no: &str) -> Option<&Attempt> {
        let provider = crate::provider::REGISTRY[bank].id.parse().ok()?;
        let number = Reference::ProviderOrder(provider, self.banks[bank].account.clone(), no.to_owned());
        match self.kept.owners.get(&number)? {
            Owner::Attempt(charge, attempt) => self.kept.charges.get(charge)?.attempt(*attempt),
            _ => None,
        }
    }

    pub(crate) fn attempt_is_ended(&self, bank: usize, no: &str) -> bool {
        self.attempt_of(bank, no).is_some_and(|attempt| attempt.end_wanted || !attempt.status().is_open())
    }

    /// S13: a second number for the same money only after the first was proved closed.
    pub(crate) fn check_refund_is_expected(&mut self, bank: usize, refund_no: &str, tx: &str, amount: i64) {
        let Some(paid) = self.banks[bank].txs.get(tx).map(|tx| tx.amount) else {
            self.fail("S13", format!("refund {refund_no} of {tx}, which nobody paid"));
            return;
        };
        let alive = self.banks[bank].refunds.values().filter(|refund| refund.tx == tx && refund.state != "CLOSED");
        let ordered: i64 = alive.map(|refund| refund.amount).sum();
        if ordered + amount > paid || amount <= 0 {
            let outside = self.banks[bank].txs[tx].refunded_elsewhere;
            self.fail("S13", format!("refunds of {tx} reach {} of {paid} ({outside} by others)", ordered + amount));
        }
    }

    /// S14: nothing is handed over once the money goes back.
    pub(crate) fn check_webhook_may_leave(&mut self, call: &WebhookCall) {
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
        if body["type"] != "charge.paid" {
            return;
        }
        let id = body["data"]["id"].as_str().and_then(|id| id.parse::<ChargeId>().ok());
        let Some(charge) = id.and_then(|id| self.kept.charges.get(&id)).cloned() else {
            self.fail("S11", "charge.paid of a charge that is not durable".to_owned());
            return;
        };
        let no = &charge.merchant_order_no;
        if charge.delivery.fenced {
            self.fail("S14", format!("{no}: charge.paid left behind the fence"));
        }
        if charge.principal.is_none() {
            self.fail("S3", format!("{no}: charge.paid without a payment"));
        }
        // What was handed over may be told again, by its one number.
        let owed = charge.delivery.status() != DeliveryStatus::Delivered;
        if owed && charge.refunds_alive() >= charge.amount.amount {
            self.fail("S14", format!("{no}: charge.paid while all its money goes back"));
        }
        if !call.url.contains(&format!("//{}.", charge.merchant)) {
            self.fail("S17", format!("{no} was told to {}", call.url));
        }
    }

    /// The merchant's book: once, and only what was paid.
    pub(crate) fn check_shipped(&mut self, order: usize) {
        let (no, count) = (self.orders[order].no.clone(), self.orders[order].shipped);
        let paid = self.orders[order]
            .codes
            .iter()
            .any(|(bank, code)| self.banks[*bank].orders.get(code).is_some_and(|known| !known.txs.is_empty()));
        let paid_unseen = self.kept.charges.values().any(|charge| {
            charge.merchant_order_no == no
                && charge.attempts.iter().any(|attempt| {
                    let bank = &self.banks[bank_of(attempt.channel.as_str())];
                    bank.orders.get(&attempt.provider_order_no).is_some_and(|known| !known.txs.is_empty())
                })
        });
        if count > 1 || !(paid || paid_unseen) {
            self.fail("books", format!("{no} was handed over {count} times, paid: {paid}"));
        }
    }

    /// S12: success is said only when the effect is durable.
    pub(crate) fn check_acknowledged(&mut self, bank: usize, body: &str, reply: &HttpReply) {
        if reply.status != 200 {
            return;
        }
        let account = self.banks[bank].account.clone();
        let Some((_, message)) = Message::read(body, &account) else {
            self.fail("S3", "a forged callback was acknowledged".to_owned());
            return;
        };
        if message.text("kind") != "payment" {
            return;
        }
        let tx = message.text("tx");
        let provider = crate::provider::REGISTRY[bank].id.parse().expect("a provider's name");
        let credited = self.kept.owners.contains_key(&Reference::Credit(provider, account, tx.to_owned()));
        let named = || self.kept.breaks.values().any(|breach| breach.provider_trade_no.as_deref() == Some(tx));
        if !credited && !named() {
            self.fail("S12", format!("the callback of {tx} was acknowledged and nothing is durable"));
        }
    }
}

/// Minor units of the principal on their way back or back.
trait Alive {
    fn refunds_alive(&self) -> i64;
}

impl Alive for Charge {
    fn refunds_alive(&self) -> i64 {
        let of_principal = self.refunds.iter().filter(|refund| Some(refund.attempt) == self.principal);
        let alive = of_principal.filter(|refund| refund.status() != RefundStatus::Failed);
        alive
            .filter(|refund| refund.kind != tongdao_core::refund::RefundKind::Surplus)
            .map(|refund| refund.amount)
            .sum()
    }
}
