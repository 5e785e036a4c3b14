//! What providers say by themselves, and everything that goes wrong on its way.

use crate::faults::Fault;
use crate::message::Message;
use crate::world::{Event, Inner};

impl Inner {
    /// Sends what is to be said of a payment, with everything that goes wrong on the way.
    pub(crate) fn call_back(&mut self, index: usize, no: &str, tx: &str) {
        let share = self.plan.provider;
        let fields = self.banks[index].payment_fields(no, tx);
        let lost = if self.plan.calm { 300 } else { share };
        if self.strikes(lost, Fault::CallbackLost) {
            // The second payment of one code is known by callback alone.
            if self.banks[index].orders[no].txs.first().is_some_and(|first| first == tx) {
                self.banks[index].txs.get_mut(tx).expect("a payment").lost = true;
                return;
            }
        }
        let ms = self.dice.between(50, 2000);
        let late = self.strikes(share, Fault::Reordered);
        self.send_callback(index, &fields, if late { ms * 40 } else { ms });
        if self.strikes(share, Fault::CallbackTwice) {
            self.send_callback(index, &fields, ms + 1000);
        }
        if self.strikes(share / 8, Fault::CallbackAfterDay) {
            self.send_callback(index, &fields, 24 * 3_600_000 + ms);
        }
        if self.strikes(share / 20, Fault::ClaimedTwice) {
            let other = self.banks[index].orders.iter().find(|(other, order)| {
                *other != no && order.amount == self.banks[index].txs[tx].amount && order.txs.is_empty()
            });
            if let Some(other) = other.map(|(other, _)| other.clone()) {
                // Only once the payment counts for its own order: before that, nobody could tell who errs.
                let mut fields = self.banks[index].payment_fields(&other, tx);
                fields.push(("claims".to_owned(), tx.to_owned()));
                self.send_callback(index, &fields, 1_800_000);
            }
        }
        if self.strikes(share / 20, Fault::UnknownOrder) {
            let mut fields = self.banks[index].payment_fields("NOBODYS0ORDER0NUMBER000000", tx);
            fields[3].1 = format!("U{tx}");
            self.send_callback(index, &fields, ms);
        }
        if self.strikes(share / 10, Fault::BadSignature) {
            let mut forged = fields.clone();
            let unpaid = self.banks[index].orders.iter().find(|(_, order)| order.txs.is_empty());
            if let Some(victim) = unpaid.map(|(no, order)| (no.clone(), order.amount)) {
                (forged[2].1, forged[3].1, forged[4].1) = (victim.0, "FORGED".to_owned(), victim.1.to_string());
                let message = Message(forged.into_iter().collect());
                let body = message.signed(&self.banks[index].account, 0).replace("sign=", "sign=f");
                self.after(ms, Event::Callback { bank: index, body, tries: 99, id: 0 });
            }
        }
    }

    fn send_callback(&mut self, index: usize, fields: &[(String, String)], ms: i64) {
        let bank = &self.banks[index];
        let mut message = Message(fields.iter().cloned().collect());
        let sent_at = self.true_time() + bank.skew + ms;
        message.0.insert("sent_at".to_owned(), sent_at.to_string());
        let body = message.signed(&bank.account, bank.key);
        let id = self.dice.bits() | 1;
        self.after(ms, Event::Callback { bank: index, body, tries: 0, id });
    }

    pub(crate) fn refund_moves(&mut self, index: usize, refund_no: &str, to: &'static str) {
        let Some(refund) = self.banks[index].refunds.get_mut(refund_no) else { return };
        refund.state = to;
        refund.at = self.now;
        let (order, amount) = (refund.order.clone(), refund.amount.to_string());
        self.note(&[index as u64, to.len() as u64], || format!("refund {refund_no} of {order} is {to}"));
        let fields = [
            ("kind", "refund".to_owned()),
            ("account", self.banks[index].account.clone()),
            ("refund_no", refund_no.to_owned()),
            ("no", order),
            ("amount", amount),
            ("cur", "CNY".to_owned()),
            ("state", to.to_owned()),
        ];
        let fields: Vec<(String, String)> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let lost = self.strikes(self.plan.provider, Fault::CallbackLost);
        // That money bounced is told by callback alone: a query is made no more.
        if !lost || to == "CLOSED" {
            let ms = self.dice.between(50, 5000);
            self.send_callback(index, &fields, ms);
        }
    }
}
