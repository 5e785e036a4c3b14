//! What happens next, and what it asks of the process.

use crate::faults::Fault;
use crate::message::Message;
use crate::order::Order;
use crate::world::{Deed, Event, Inner};
use tongdao::ports::Reference;

const HOUR_MS: i64 = 3_600_000;
/// A provider calls back again after so many seconds.
const LADDER_S: [i64; 9] = [15, 15, 30, 180, 600, 1200, 1800, 3600, 7200];

impl Inner {
    /// Fills a new world's calendar.
    pub(crate) fn begin(&mut self) {
        let plan = self.plan;
        for index in 0..plan.charges {
            let order = Order::draw(index, &mut self.dice);
            self.orders.push(order);
            let at = self.dice.between(0, 1_200_000);
            self.after(at, Event::Open { order: index as usize });
        }
        self.after(0, Event::Keys);
        self.after(plan.heal_ms, Event::Heal);
        if plan.crash > 0 {
            for _ in 0..self.dice.below(4) {
                let at = self.dice.between(1000, 1_500_000);
                self.after(at, Event::Crash);
            }
        }
        if plan.clock {
            let step = [HOUR_MS, -HOUR_MS, 16 * HOUR_MS][self.dice.below(3) as usize];
            let at = self.dice.between(10_000, 1_500_000);
            self.after(at, Event::ClockStep(step));
        }
        if plan.provider > 30 {
            let bank = self.dice.below(3) as usize;
            let at = self.dice.between(0, 1_200_000);
            let event = match self.dice.below(4) {
                0 => Event::BankDown { bank, ms: if plan.long { 6 * HOUR_MS } else { 1_500_000 } },
                1 => Event::RotateKey { bank },
                2 => Event::Skew { bank, ms: [400_000, -400_000][self.dice.below(2) as usize] },
                _ => Event::OneWay { bank, ms: 120_000 },
            };
            self.after(at, event);
        }
        if plan.operator {
            for _ in 0..3 {
                let faults = [Fault::Drain, Fault::Force, Fault::Restore, Fault::Reload, Fault::SecretRotated];
                let fault = faults[self.dice.below(5) as usize];
                let at = self.dice.between(0, 1_500_000);
                self.after(at, Event::Operate(fault));
            }
        }
    }

    pub(crate) fn happen(&mut self, event: Event) -> Deed {
        match event {
            Event::AtBank { bank, operation, body, reply } => self.at_bank(bank, &operation, &body, reply),
            Event::Reply(slot, reply) => slot.fill(reply),
            Event::AtShop { call, mode, reply } => self.at_shop(&call, mode, reply),
            Event::Heard(slot, answer) => slot.fill(answer),
            Event::Settle { bank, no } => self.settle(bank, &no),
            Event::RefundMoves { bank, refund_no, to } => self.refund_moves(bank, &refund_no, to),
            Event::Callback { bank, body, tries, id } => return self.callback_is_sent(bank, body, tries, id),
            Event::Pay { order, code } => self.payer_pays(order, code),
            Event::Heal => {
                self.note(&[1], || "everything is well from here on".to_owned());
                self.healed_at = Some(self.now);
                for bank in &mut self.banks {
                    (bank.down_until, bank.one_way_until, bank.skew) = (0, 0, 0);
                }
                // A sound clock is part of it.
                self.offset = 0;
            }
            Event::ClockStep(ms) => {
                self.offset += ms;
                self.clock_was_wrong = true;
                let fault = match ms {
                    HOUR_MS => Fault::StepAhead,
                    0.. => Fault::DayEdge,
                    _ => Fault::StepBack,
                };
                self.fired(fault);
            }
            Event::BankDown { bank, ms } => {
                self.fired(Fault::Down6h);
                self.banks[bank].down_until = self.now + ms;
            }
            Event::OneWay { bank, ms } => self.banks[bank].one_way_until = self.now + ms,
            Event::RotateKey { bank } => {
                self.fired(Fault::KeyRotated);
                self.banks[bank].key += 1;
            }
            Event::Skew { bank, ms } => {
                self.fired(Fault::ClockOff);
                self.banks[bank].skew = ms;
            }
            Event::Crash => {
                if self.up {
                    self.die(Fault::CrashAnywhere);
                }
            }
            other => return self.ask(other),
        }
        Deed::Nothing
    }

    /// What merchants and operators want; while the process is down they come again.
    fn ask(&mut self, event: Event) -> Deed {
        match event {
            Event::Open { order } => self.open(order),
            Event::Retry { order, number } if self.up => Deed::Retry { order, number },
            Event::Close { order } if self.up => Deed::Close { order },
            Event::Refund { order, number } => self.refund_wanted(order, number),
            Event::Report { order, tries } => self.report(order, tries),
            Event::Notify { order } if self.up => {
                self.fired(Fault::Notify);
                Deed::Notify { order }
            }
            Event::Sync { order } if self.up => {
                self.fired(Fault::Sync);
                Deed::Sync { order }
            }
            Event::Operate(fault) if self.up => {
                self.fired(fault);
                Deed::Operate(fault)
            }
            Event::Keys => {
                self.after(HOUR_MS, Event::Keys);
                if self.up { Deed::Keys } else { Deed::Nothing }
            }
            _ => Deed::Nothing,
        }
    }

    fn open(&mut self, order: usize) -> Deed {
        let known = &mut self.orders[order];
        if !known.codes.is_empty() || known.opens >= 40 {
            return Deed::Nothing;
        }
        known.opens += 1;
        let ms = if known.opens < 8 { 9_000 } else { 300_000 };
        self.after(ms, Event::Open { order });
        if !self.up {
            return Deed::Nothing;
        }
        let twice = self.strikes(self.plan.merchant / 3, Fault::SameKey);
        Deed::Open { order, twice }
    }

    fn report(&mut self, order: usize, tries: u32) -> Deed {
        if tries < 60 && self.orders[order].reports {
            self.after(60_000, Event::Report { order, tries: tries + 1 });
            if self.up {
                return Deed::Report { order };
            }
        }
        Deed::Nothing
    }

    fn refund_wanted(&mut self, order: usize, number: usize) -> Deed {
        if self.orders[order].refunds_acknowledged.contains(&number) {
            return Deed::Nothing;
        }
        if self.now < self.plan.end_ms - 10 * HOUR_MS {
            self.after(20_000, Event::Refund { order, number });
        }
        if !self.up {
            return Deed::Nothing;
        }
        let twice = self.healed_at.is_none() && self.dice.per_mille(200);
        if twice {
            self.fired(Fault::RefundTwice);
        }
        Deed::Refund { order, number, twice }
    }

    fn callback_is_sent(&mut self, bank: usize, body: String, tries: usize, id: u64) -> Deed {
        if self.acknowledged.contains_key(&id) {
            return Deed::Nothing;
        }
        let account = self.banks[bank].account.clone();
        let read = Message::read(&body, &account);
        if let Some((_, message)) = &read {
            let tx = message.text("claims");
            if !tx.is_empty() {
                let provider = crate::provider::REGISTRY[bank].id.parse().expect("a provider's name");
                let credit = Reference::Credit(provider, account.clone(), tx.to_owned());
                if tries > 0 || !self.kept.owners.contains_key(&credit) {
                    return Deed::Nothing;
                }
                self.fired(Fault::ClaimedTwice);
            }
        }
        // Sent anew each time: with its own moment.
        let again = read.map_or_else(
            || body.clone(),
            |(_, mut message)| {
                let at = self.true_time() + self.banks[bank].skew;
                message.0.insert("sent_at".to_owned(), at.to_string());
                message.signed(&account, self.banks[bank].key)
            },
        );
        if let Some(s) = LADDER_S.get(tries) {
            self.after(s * 1000, Event::Callback { bank, body: again.clone(), tries: tries + 1, id });
        }
        if self.up { Deed::Callback { bank, body: again, id } } else { Deed::Nothing }
    }

    /// A payer is shown a code, once.
    pub(crate) fn shown(&mut self, order: usize, bank: usize, no: &str) {
        if self.orders[order].codes.iter().any(|(_, known)| known == no) {
            return;
        }
        self.note(&[order as u64, bank as u64], || format!("N{order}: the payer is shown {no}"));
        self.orders[order].codes.push((bank, no.to_owned()));
        let code = self.orders[order].codes.len() - 1;
        let left = self.banks[bank].orders.get(no).map_or(0, |known| known.end - self.true_time());
        match self.dice.below(100) {
            _ if code > 0 => self.second_code(order, code),
            0..60 => {
                let ms = self.dice.between(3_000, 120_000);
                self.after(ms, Event::Pay { order, code });
            }
            60..70 => {
                let ms = (left + self.dice.between(-30_000, 5_000)).max(1000);
                self.after(ms, Event::Pay { order, code });
            }
            70..88 => {
                let ms = self.dice.between(2_000, 200_000);
                for number in 0..4 {
                    self.after(ms + 7_000 * i64::from(number), Event::Retry { order, number });
                }
                if self.dice.per_mille(500) {
                    let most = if self.dice.per_mille(500) { 400 } else { 30_000 };
                    let also = self.dice.between(-most, most).max(-ms);
                    self.after(ms + also, Event::Pay { order, code });
                }
            }
            88..92 => {
                let ms = self.dice.between(2_000, 100_000);
                self.after(ms, Event::Close { order });
                self.after(ms + 20_000, Event::Close { order });
                let also = ms + self.dice.between(-2000, 2000);
                self.after(also, Event::Pay { order, code });
            }
            92..96 => {
                let ms = self.dice.between(2_000, 100_000);
                self.after(ms, Event::Sync { order });
                self.after(ms + left.max(0), Event::Sync { order });
            }
            _ => {}
        }
    }

    fn second_code(&mut self, order: usize, code: usize) {
        let ms = self.dice.between(3_000, 60_000);
        self.after(ms, Event::Pay { order, code });
        if self.dice.per_mille(300) {
            let also = self.dice.between(3_000, 120_000);
            self.after(also, Event::Pay { order, code: code - 1 });
        }
    }

    fn payer_pays(&mut self, order: usize, code: usize) {
        let (bank, no) = self.orders[order].codes[code].clone();
        let settle_ms = self.dice.between(50, 6_000);
        let ended = self.attempt_is_ended(bank, &no);
        let took = self.pay(bank, &no, settle_ms);
        if !took {
            return;
        }
        if ended {
            self.fired(Fault::PaidAfterClose);
        }
        let paid = |(bank, no): &(usize, String)| {
            let known = self.banks[*bank].orders.get(no);
            known.is_some_and(|known| known.paying > 0 || !known.txs.is_empty())
        };
        if self.orders[order].codes.iter().filter(|code| paid(code)).count() > 1 {
            self.fired(Fault::DoublePay);
        }
        if self.dice.per_mille(80) {
            let number = self.orders[order].refunds.len();
            let whole = self.orders[order].amount;
            let amount = if self.dice.per_mille(500) { whole } else { self.dice.between(1, whole) };
            self.orders[order].refunds.push(amount);
            if self.dice.per_mille(400) {
                self.orders[order].refunds.push(whole - amount + 1);
                self.after(400_000, Event::Refund { order, number: number + 1 });
            }
            let ms = self.dice.between(10_000, 600_000);
            self.after(ms, Event::Refund { order, number });
        }
        if self.dice.per_mille(30) {
            let ms = self.dice.between(10_000, 600_000);
            self.after(ms, Event::Notify { order });
        }
    }
}
