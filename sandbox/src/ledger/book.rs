//! The book itself and the few changes it allows.
//! Guards: `pay` refuses closed, expired and paid orders (a late payment must be asked for by name), `close` refuses paid
//! ones, `add_refund` keeps the sum of refunds within the payment and one number to one refund.
//! Must not know: locks, time (it is an argument), callbacks.

use std::collections::BTreeMap;

use super::{Order, OrderKey, OrderState, Payment, Refund, RefundKey, RefundState};
use crate::options::ProviderName;

/// All orders and refunds of one sandbox.
#[derive(Debug, Default)]
pub(crate) struct Book {
    orders: BTreeMap<OrderKey, Order>,
    refunds: BTreeMap<RefundKey, Refund>,
    refunds_of: BTreeMap<OrderKey, Vec<RefundKey>>,
    codes: BTreeMap<String, OrderKey>,
    trades: BTreeMap<(ProviderName, String), OrderKey>,
}

/// Why an order cannot be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayRefused {
    Unknown,
    Closed,
    Expired,
    AlreadyPaid,
}

/// What `add_refund` found.
#[derive(Clone, Debug)]
pub(crate) enum RefundAdded {
    /// Booked now.
    New,
    /// The number was used before with the same fingerprint: the refund as it stands.
    Same(Box<Refund>),
    /// The number was used before with other parameters.
    Differs,
    /// The order is not paid or unknown.
    NotPaid,
    /// The sum of refunds would exceed the payment.
    TooMuch,
}

impl Book {
    pub(crate) fn order(&self, key: &OrderKey) -> Option<&Order> {
        self.orders.get(key)
    }

    pub(crate) fn order_mut(&mut self, key: &OrderKey) -> Option<&mut Order> {
        self.orders.get_mut(key)
    }

    /// By the provider's number of the payment.
    pub(crate) fn order_by_trade_no(&self, provider: ProviderName, trade_no: &str) -> Option<&Order> {
        self.trades.get(&(provider, trade_no.to_owned())).and_then(|key| self.orders.get(key))
    }

    /// By a scanned code, valid or void; an order number serves where it is unique.
    pub(crate) fn order_by_code(&self, code: &str) -> Option<&Order> {
        if let Some(key) = self.codes.get(code) {
            return self.orders.get(key);
        }
        let mut named = self.orders.values().filter(|order| order.key.order_no == code);
        named.next().filter(|_| named.next().is_none())
    }

    /// All orders, by key.
    pub(crate) fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// All refunds, by key.
    pub(crate) fn refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.values()
    }

    /// Books a new order, with the codes it already has.
    pub(crate) fn insert(&mut self, order: Order) {
        for code in &order.codes {
            self.codes.insert(code.clone(), order.key.clone());
        }
        self.orders.insert(order.key.clone(), order);
    }

    /// Gives an order a new code; earlier ones become void.
    pub(crate) fn add_code(&mut self, key: &OrderKey, code: &str, expires_at: Option<i64>) {
        if let Some(order) = self.orders.get_mut(key) {
            order.codes.push(code.to_owned());
            order.code_expires_at = expires_at;
            self.codes.insert(code.to_owned(), key.clone());
        }
    }

    /// Lets an order be paid. `late` allows a closed or expired order: the race every merchant must survive.
    pub(crate) fn pay(&mut self, key: &OrderKey, payment: Payment, late: bool) -> Result<(), PayRefused> {
        let order = self.orders.get_mut(key).ok_or(PayRefused::Unknown)?;
        let expired = order.expires_at.is_some_and(|at| payment.paid_at >= at);
        match order.state {
            OrderState::Paid => return Err(PayRefused::AlreadyPaid),
            OrderState::Closed if !late => return Err(PayRefused::Closed),
            OrderState::Open | OrderState::Coded if expired && !late => {
                return Err(PayRefused::Expired);
            }
            OrderState::Closed | OrderState::Open | OrderState::Coded => {}
        }
        self.trades.insert((key.provider, payment.trade_no.clone()), key.clone());
        order.state = OrderState::Paid;
        order.payment = Some(payment);
        Ok(())
    }

    /// Makes a paid order findable by a number fixed before payment (Alipay gives `trade_no` at the scan).
    pub(crate) fn name_trade(&mut self, key: &OrderKey, trade_no: &str) {
        self.trades.insert((key.provider, trade_no.to_owned()), key.clone());
    }

    /// Closes an unpaid order; false when it is paid or unknown. Closing twice is true.
    pub(crate) fn close(&mut self, key: &OrderKey, now: i64) -> bool {
        let Some(order) = self.orders.get_mut(key).filter(|order| order.state != OrderState::Paid) else {
            return false;
        };
        if order.state != OrderState::Closed {
            order.state = OrderState::Closed;
            order.closed_at = Some(now);
        }
        true
    }

    pub(crate) fn refund(&self, key: &RefundKey) -> Option<&Refund> {
        self.refunds.get(key)
    }

    /// The refunds of an order, in the order they were booked.
    pub(crate) fn refunds_of(&self, key: &OrderKey) -> Vec<&Refund> {
        self.refunds_of.get(key).into_iter().flatten().filter_map(|refund| self.refunds.get(refund)).collect()
    }

    /// Fen refunded or on their way back; refunds the provider gave up do not count.
    pub(crate) fn refunded(&self, key: &OrderKey) -> i64 {
        self.refunds_of(key)
            .iter()
            .filter(|refund| refund.state != RefundState::Closed)
            .map(|refund| refund.amount)
            .sum()
    }

    /// Books a refund, or finds the one its number already names.
    pub(crate) fn add_refund(&mut self, refund: Refund) -> RefundAdded {
        if let Some(earlier) = self.refunds.get(&refund.key) {
            let same = earlier.fingerprint == refund.fingerprint && earlier.order == refund.order;
            return if same { RefundAdded::Same(Box::new(earlier.clone())) } else { RefundAdded::Differs };
        }
        let Some(paid) = self.orders.get(&refund.order).and_then(|order| order.payment.as_ref()) else {
            return RefundAdded::NotPaid;
        };
        if refund.amount <= 0 || self.refunded(&refund.order).saturating_add(refund.amount) > paid.amount {
            return RefundAdded::TooMuch;
        }
        self.refunds_of.entry(refund.order.clone()).or_default().push(refund.key.clone());
        self.refunds.insert(refund.key.clone(), refund);
        RefundAdded::New
    }

    /// Brings a pending refund to its end; false when it is not pending.
    pub(crate) fn end_refund(&mut self, key: &RefundKey, state: RefundState, now: i64) -> bool {
        let Some(refund) = self.refunds.get_mut(key).filter(|refund| refund.state == RefundState::Pending) else {
            return false;
        };
        refund.state = state;
        refund.ended_at = (state != RefundState::Pending).then_some(now);
        true
    }

    /// Changes a refund's state whatever it was; false when nothing changes.
    pub(crate) fn turn_refund(&mut self, key: &RefundKey, state: RefundState, now: i64) -> bool {
        let Some(refund) = self.refunds.get_mut(key).filter(|refund| refund.state != state) else {
            return false;
        };
        refund.state = state;
        refund.ended_at = (state != RefundState::Pending).then_some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> OrderKey {
        OrderKey { provider: ProviderName::Wechatpay, account: "1".into(), order_no: "order1".into() }
    }

    fn payment(paid_at: i64) -> Payment {
        Payment { trade_no: "t1".into(), amount: 100, paid_at, payer: "p".into() }
    }

    fn refund(refund_no: &str, amount: i64) -> Refund {
        Refund {
            key: RefundKey { provider: ProviderName::Wechatpay, account: "1".into(), refund_no: refund_no.into() },
            order: key(),
            refund_trade_no: "r".into(),
            amount,
            notify_url: None,
            state: RefundState::Pending,
            created_at: 1,
            ended_at: None,
            fingerprint: amount.to_string(),
            fields: BTreeMap::new(),
        }
    }

    #[test]
    fn an_order_is_paid_at_most_once_and_never_after_its_end_unless_asked() {
        let mut book = Book::default();
        let mut order = Order::new(key(), 100, 0);
        order.expires_at = Some(50);
        book.insert(order);
        assert_eq!(book.pay(&key(), payment(50), false), Err(PayRefused::Expired));
        assert!(book.close(&key(), 60));
        assert_eq!(book.pay(&key(), payment(61), false), Err(PayRefused::Closed));
        assert_eq!(book.pay(&key(), payment(61), true), Ok(()));
        assert_eq!(book.pay(&key(), payment(62), true), Err(PayRefused::AlreadyPaid));
        assert!(!book.close(&key(), 63));
    }

    #[test]
    fn refunds_stay_within_the_payment_and_a_number_names_one_refund() {
        let mut book = Book::default();
        book.insert(Order::new(key(), 100, 0));
        assert!(matches!(book.add_refund(refund("a", 1)), RefundAdded::NotPaid));
        book.pay(&key(), payment(1), false).unwrap();
        assert!(matches!(book.add_refund(refund("a", 60)), RefundAdded::New));
        assert!(matches!(book.add_refund(refund("a", 60)), RefundAdded::Same(_)));
        assert!(matches!(book.add_refund(refund("a", 61)), RefundAdded::Differs));
        assert!(matches!(book.add_refund(refund("b", 41)), RefundAdded::TooMuch));
        assert!(book.end_refund(&refund("a", 60).key, RefundState::Closed, 5));
        assert!(matches!(book.add_refund(refund("b", 100)), RefundAdded::New));
        assert_eq!(book.refunded(&key()), 100);
    }
}
