//! A simulated provider's own books: its orders, its payments (the truth), its refunds.

use crate::faults::Fault;
use crate::message::Message;
use crate::provider::{RULES, Rules};
use crate::world::{Event, Inner, Replied};
use std::collections::BTreeMap;
use tongdao::ports::SendError;
use tongdao_core::provider::HttpReply;

/// An order as the provider has it.
pub(crate) struct BankOrder {
    pub(crate) business: String,
    pub(crate) amount: i64,
    pub(crate) end: i64,
    pub(crate) closed: bool,
    pub(crate) scanned: bool,
    pub(crate) paying: u32,
    pub(crate) txs: Vec<String>,
    pub(crate) lag_until: i64,
}

/// A payment that was taken.
pub(crate) struct Tx {
    pub(crate) order: String,
    pub(crate) amount: i64,
    pub(crate) at: i64,
    pub(crate) refunded_elsewhere: i64,
    /// Nobody was ever told of it.
    pub(crate) lost: bool,
}

/// A refund as the provider has it.
pub(crate) struct BankRefund {
    pub(crate) order: String,
    pub(crate) tx: String,
    pub(crate) amount: i64,
    pub(crate) state: &'static str,
    pub(crate) at: i64,
}

/// One provider.
pub(crate) struct Bank {
    pub(crate) rules: Rules,
    pub(crate) account: String,
    pub(crate) orders: BTreeMap<String, BankOrder>,
    pub(crate) txs: BTreeMap<String, Tx>,
    pub(crate) refunds: BTreeMap<String, BankRefund>,
    pub(crate) down_until: i64,
    pub(crate) one_way_until: i64,
    pub(crate) key: u32,
    pub(crate) skew: i64,
    pub(crate) next_tx: u64,
}

impl Bank {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            rules: RULES[index],
            account: format!("acct{index}"),
            orders: BTreeMap::new(),
            txs: BTreeMap::new(),
            refunds: BTreeMap::new(),
            down_until: 0,
            one_way_until: 0,
            key: 0,
            skew: 0,
            next_tx: 1,
        }
    }

    fn say(&self, fields: &[(&str, &str)]) -> HttpReply {
        HttpReply::new(200, "text/plain", Message::of(fields).signed(&self.account, self.key))
    }

    /// Whether anybody could still pay the order, or is paying it.
    pub(crate) fn payable(&self, no: &str, at: i64) -> bool {
        let open = |order: &BankOrder| order.paying > 0 || (!order.closed && order.txs.is_empty() && at <= order.end);
        self.orders.get(no).is_some_and(open)
    }

    pub(crate) fn refunded(&self, tx: &str) -> i64 {
        let done = self.refunds.values().filter(|refund| refund.tx == tx && refund.state == "SUCCESS");
        done.map(|refund| refund.amount).sum()
    }

    pub(crate) fn payment_fields(&self, no: &str, tx: &str) -> Vec<(String, String)> {
        let paid = &self.txs[tx];
        let refunded = self.refunded(tx) + paid.refunded_elsewhere;
        [
            ("kind", "payment".to_owned()),
            ("account", self.account.clone()),
            ("no", no.to_owned()),
            ("tx", tx.to_owned()),
            ("amount", paid.amount.to_string()),
            ("cur", "CNY".to_owned()),
            ("paid_at", paid.at.to_string()),
            ("refunded", refunded.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

impl Inner {
    /// A call arrives at a provider; its answer goes back unless it was lost.
    pub(crate) fn at_bank(&mut self, index: usize, operation: &str, body: &[u8], reply: Option<(Replied, i64, bool)>) {
        let text = String::from_utf8_lossy(body).into_owned();
        let account = self.banks[index].account.clone();
        let Some((_, message)) = Message::read(&text, &account) else {
            self.fail("wire", format!("an unsigned call reached {account}"));
            return;
        };
        if operation != "keys" {
            self.note(&[index as u64, body.len() as u64], || {
                format!("{account}: {operation} {} {}", message.text("no"), message.text("refund_no"))
            });
        }
        let mut answer = self.answer(index, operation, &message);
        let Some((slot, ms, cut)) = reply else { return };
        if cut {
            let half = answer.body.len() / 2;
            answer.body.truncate(half);
        }
        self.after(ms, Event::Reply(slot, Ok(answer)));
    }

    fn answer(&mut self, index: usize, operation: &str, message: &Message) -> HttpReply {
        let share = self.plan.provider;
        if self.now < self.banks[index].down_until {
            return HttpReply::new(503, "text/plain", "down");
        }
        if operation != "keys" && self.strikes(share / 4, Fault::Congested) {
            return HttpReply::new(429, "text/plain", "slow down");
        }
        if operation != "keys" && operation != "create" && self.strikes(share / 4, Fault::Busy5xx) {
            return HttpReply::new(502, "text/plain", "oops");
        }
        match operation {
            "create" => self.create(index, message),
            "query" => self.query(index, message.text("no")),
            "close" => self.close(index, message.text("no")),
            "refund" => self.refund(index, message),
            "refund_query" => self.refund_query(index, message.text("refund_no")),
            "keys" => {
                // The list of keys is signed by the account's first key, which never changes.
                let newest = self.banks[index].key.to_string();
                let list = Message::of(&[("newest", &newest)]).signed(&self.banks[index].account, 0);
                HttpReply::new(200, "text/plain", list)
            }
            _ => HttpReply::new(404, "text/plain", "no such call"),
        }
    }

    fn create(&mut self, index: usize, message: &Message) -> HttpReply {
        let no = message.text("no").to_owned();
        let business: String =
            message.0.iter().filter(|(name, _)| *name != "nonce").map(|(n, v)| format!("{n}={v};")).collect();
        self.check_create_is_expected(index, &no);
        if let Some(known) = self.banks[index].orders.get(&no) {
            if known.business != business {
                self.fail("S10", format!("{no} was sent twice with different content"));
            }
            self.fired(Fault::OrderExists);
            return self.banks[index].say(&[("no", &no), ("state", "EXISTS")]);
        }
        if self.strikes(self.plan.provider / 4, Fault::Busy5xx) {
            return HttpReply::new(503, "text/plain", "busy");
        }
        let order = BankOrder {
            business,
            amount: message.number("amount"),
            end: message.number("end"),
            closed: false,
            scanned: self.banks[index].rules != Rules::Unscanned,
            paying: 0,
            txs: Vec::new(),
            lag_until: 0,
        };
        self.banks[index].orders.insert(no.clone(), order);
        self.banks[index].say(&[("no", &no), ("state", "OPEN"), ("code", &no)])
    }

    fn query(&mut self, index: usize, no: &str) -> HttpReply {
        let now = self.now;
        let at = self.true_time();
        let bank = &self.banks[index];
        let Some(order) = bank.orders.get(no) else { return bank.say(&[("no", no), ("state", "ABSENT")]) };
        if let Some(tx) = order.txs.first() {
            if now < order.lag_until {
                let state = bank.say(&[("no", no), ("state", "OPEN")]);
                self.fired(Fault::QueryLag);
                return state;
            }
            let mut fields = bank.payment_fields(no, tx);
            fields.push(("state".to_owned(), "PAID".to_owned()));
            let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            return bank.say(&fields);
        }
        let state = match bank.rules {
            _ if order.paying > 0 => "OPEN",
            _ if order.closed => "CLOSED",
            Rules::Unscanned if !order.scanned => "ABSENT",
            Rules::Closing | Rules::Unscanned if at > order.end => "CLOSED",
            _ => "OPEN",
        };
        bank.say(&[("no", no), ("state", state)])
    }

    fn close(&mut self, index: usize, no: &str) -> HttpReply {
        let lies = self.strikes(self.plan.provider / 3, Fault::CloseLies);
        let bank = &mut self.banks[index];
        let state = match bank.orders.get_mut(no) {
            None => "ABSENT",
            Some(order) if !order.txs.is_empty() || order.paying > 0 => "PAID",
            Some(_) if lies => "OK",
            Some(order) if order.scanned => {
                order.closed = true;
                "OK"
            }
            Some(_) => "ABSENT",
        };
        let reply = bank.say(&[("no", no), ("state", state)]);
        if state == "PAID" {
            self.fired(Fault::CloseAlreadyPaid);
        }
        reply
    }

    /// Somebody pays a code. False when the provider does not take it.
    pub(crate) fn pay(&mut self, index: usize, no: &str, settle_ms: i64) -> bool {
        let at = self.true_time();
        let Some(order) = self.banks[index].orders.get_mut(no) else { return false };
        order.scanned = true;
        if order.closed || order.paying > 0 || !order.txs.is_empty() || at > order.end {
            return false;
        }
        order.paying += 1;
        self.after(settle_ms, Event::Settle { bank: index, no: no.to_owned() });
        true
    }

    /// The payment is through: it stands in the truth from here on.
    pub(crate) fn settle(&mut self, index: usize, no: &str) {
        let Some(known) = self.banks[index].orders.get(no).filter(|known| known.txs.is_empty()) else { return };
        if known.paying == 0 {
            // Somebody paid before we had the create's answer.
            self.fired(Fault::CallbackFirst);
        }
        let share = self.plan.provider;
        let wrong = self.strikes(share / 12, Fault::WrongAmount);
        let twice = self.strikes(share / 20, Fault::PaidTwiceOneCode);
        let lag =
            if self.healed_at.is_none() && self.dice.per_mille(share) { self.dice.between(1000, 40_000) } else { 0 };
        let now = self.now;
        let bank = &mut self.banks[index];
        let order = bank.orders.get_mut(no).expect("an order that is being paid");
        order.paying = 0;
        order.lag_until = now + lag;
        let amount = if wrong { order.amount + 1 } else { order.amount };
        for _ in 0..=u32::from(twice) {
            let tx = format!("T{index}x{}", bank.next_tx);
            bank.next_tx += 1;
            order.txs.push(tx.clone());
            let at = crate::world::BIRTH_MS + now;
            bank.txs.insert(tx, Tx { order: no.to_owned(), amount, at, refunded_elsewhere: 0, lost: false });
        }
        let txs = order.txs.clone();
        self.note(&[index as u64, amount as u64], || format!("paid: {no} {txs:?} {amount}"));
        if self.strikes(share / 30, Fault::RefundElsewhere) {
            let tx = self.banks[index].txs.get_mut(&txs[0]).expect("a payment");
            tx.refunded_elsewhere = tx.amount;
        }
        for tx in txs {
            self.call_back(index, no, &tx);
        }
    }

    fn refund(&mut self, index: usize, message: &Message) -> HttpReply {
        let refund_no = message.text("refund_no").to_owned();
        if self.banks[index].refunds.contains_key(&refund_no) {
            return self.refund_query(index, &refund_no);
        }
        let (tx, amount) = (message.text("tx").to_owned(), message.number("amount"));
        self.check_refund_is_expected(index, &refund_no, &tx, amount);
        let say = |inner: &Self, state: &str| {
            inner.banks[index].say(&[
                ("refund_no", &refund_no),
                ("state", state),
                ("amount", &amount.to_string()),
                ("cur", "CNY"),
            ])
        };
        let Some(total) = self.banks[index].txs.get(&tx).map(|tx| tx.amount - tx.refunded_elsewhere) else {
            return say(self, "REFUSED");
        };
        let open = |refund: &&BankRefund| refund.tx == tx && refund.state != "CLOSED";
        let ordered: i64 = self.banks[index].refunds.values().filter(open).map(|refund| refund.amount).sum();
        if ordered + amount > total {
            return say(self, "REFUSED");
        }
        if self.dice.per_mille(self.plan.provider / 6) && self.healed_at.is_none() {
            return say(self, "LATER");
        }
        let at_once = self.banks[index].rules == Rules::Unscanned;
        let state = if at_once { "SUCCESS" } else { "PROCESSING" };
        let order = message.text("no").to_owned();
        let refund = BankRefund { order, tx, amount, state, at: self.now };
        self.banks[index].refunds.insert(refund_no.clone(), refund);
        if !at_once {
            self.plan_refund(index, &refund_no);
        } else if self.strikes(self.plan.provider / 8, Fault::RefundBounced) {
            self.after(3_600_000, Event::RefundMoves { bank: index, refund_no: refund_no.clone(), to: "CLOSED" });
        }
        say(self, state)
    }

    fn plan_refund(&mut self, index: usize, refund_no: &str) {
        let share = self.plan.provider;
        let soon = self.dice.between(1000, 900_000);
        let (to, ms) = if self.strikes(share / 6, Fault::RefundFailsLate) {
            ("CLOSED", soon + if self.plan.long { 2 * 86_400_000 } else { 3_600_000 })
        } else if self.strikes(share / 12, Fault::RefundStuck) {
            ("ABNORMAL", soon)
        } else {
            ("SUCCESS", soon)
        };
        self.after(ms, Event::RefundMoves { bank: index, refund_no: refund_no.to_owned(), to });
        if to == "ABNORMAL" {
            self.after(
                ms + 7_200_000,
                Event::RefundMoves { bank: index, refund_no: refund_no.to_owned(), to: "SUCCESS" },
            );
        }
    }

    fn refund_query(&mut self, index: usize, refund_no: &str) -> HttpReply {
        let bank = &self.banks[index];
        let (state, amount) = bank.refunds.get(refund_no).map_or(("ABSENT", 0), |refund| (refund.state, refund.amount));
        bank.say(&[("refund_no", refund_no), ("state", state), ("amount", &amount.to_string()), ("cur", "CNY")])
    }

    /// The reply when no connection comes about.
    pub(crate) fn not_sent(why: &str) -> Result<HttpReply, SendError> {
        Err(SendError::NotSent(why.to_owned()))
    }
}
