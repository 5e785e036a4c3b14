//! Books a day of payments and refunds at once, for tests that need a full ledger and not its traffic.
//!
//! Guards: what is booked obeys the same rules as if it came over HTTP (one number is one order, refunds stay within the
//! payment), and all of it is booked or nothing. Must not know: wire formats (a provider completes its own orders).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::line::fee;
use crate::formats::beijing;
use crate::ledger::{Book, Order, OrderKey, Refund, RefundAdded, RefundKey, RefundState};
use crate::options::ProviderName;
use crate::world::World;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A payment to be booked, and perhaps a refund of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The merchant side's number of the order.
    pub order_no: String,
    /// Fen.
    pub amount: i64,
    /// What goes back: the merchant side's number of the refund, and fen.
    pub refund: Option<(String, i64)>,
}

impl Fill {
    /// A payment that stays.
    pub fn paid(order_no: impl Into<String>, amount: i64) -> Self {
        Self { order_no: order_no.into(), amount, refund: None }
    }

    /// A payment of which something goes back a second later.
    #[must_use]
    pub fn refunded(self, refund_no: impl Into<String>, amount: i64) -> Self {
        Self { refund: Some((refund_no.into(), amount)), ..self }
    }
}

/// A payment that was booked; times in Unix ms, amounts in fen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filled {
    /// The merchant side's number of the order.
    pub order_no: String,
    /// The provider's number.
    pub trade_no: String,
    /// Fen.
    pub amount: i64,
    /// Fen that the provider keeps.
    pub fee: i64,
    /// Unix ms.
    pub paid_at: i64,
    /// The refund, where one was asked for.
    pub refund: Option<Returned>,
}

/// A refund that was booked, through at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Returned {
    /// The merchant side's number of the refund.
    pub refund_no: String,
    /// The provider's number.
    pub refund_trade_no: String,
    /// Fen.
    pub amount: i64,
    /// Fen of the fee that the provider gives back.
    pub fee: i64,
    /// Unix ms.
    pub ended_at: i64,
}

/// Why nothing was booked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillRefused {
    /// The day is not `yyyy-MM-dd`.
    #[error("`{0}` is no day")]
    Day(String),
    /// The number was used before, or twice here.
    #[error("the number {0} is used")]
    NumberUsed(String),
    /// An amount is not positive, or a refund exceeds its payment.
    #[error("the amount of {0} cannot be")]
    Amount(String),
}

/// Books the wishes, spread evenly over the statement's day.
pub(crate) fn fill(
    world: &Arc<World>,
    (provider, account): (ProviderName, &str),
    day: &str,
    wishes: &[Fill],
) -> Result<Vec<Filled>, FillRefused> {
    let midnight = beijing::read_day(day).ok_or_else(|| FillRefused::Day(day.to_owned()))?;
    let starts_at = match provider {
        ProviderName::Unionpay => midnight.saturating_sub(HOUR_MS),
        ProviderName::Wechatpay | ProviderName::Alipay => midnight,
    };
    world.ledger.change(|book| {
        let desk = Desk { world, provider, account };
        desk.check(book, wishes)?;
        // The last minute is left for the refund of the last payment.
        let count = i64::try_from(wishes.len()).unwrap_or(i64::MAX).max(1);
        let numbered = (0_i64..).zip(wishes);
        Ok(numbered
            .map(|(index, wish)| desk.book(book, wish, starts_at + (DAY_MS - 60_000).saturating_mul(index) / count))
            .collect())
    })
}

struct Desk<'a> {
    world: &'a World,
    provider: ProviderName,
    account: &'a str,
}

impl Desk<'_> {
    fn check(&self, book: &Book, wishes: &[Fill]) -> Result<(), FillRefused> {
        let mut used = BTreeSet::new();
        for wish in wishes {
            let taken = book.order(&self.order_key(&wish.order_no)).is_some() || !used.insert(wish.order_no.as_str());
            if taken {
                return Err(FillRefused::NumberUsed(wish.order_no.clone()));
            }
            let refunded = wish.refund.as_ref().map_or(1, |(_, amount)| *amount);
            if wish.amount <= 0 || !(1..=wish.amount).contains(&refunded) {
                return Err(FillRefused::Amount(wish.order_no.clone()));
            }
        }
        let mut used = BTreeSet::new();
        for (order_no, refund_no) in
            wishes.iter().filter_map(|wish| Some((&wish.order_no, wish.refund.as_ref()?.0.as_str())))
        {
            let key = self.refund_key(order_no, refund_no);
            if book.refund(&key).is_some() || !used.insert(key) {
                return Err(FillRefused::NumberUsed(refund_no.to_owned()));
            }
        }
        Ok(())
    }

    fn book(&self, book: &mut Book, wish: &Fill, paid_at: i64) -> Filled {
        let wire = self.world.wire(self.provider);
        let key = self.order_key(&wish.order_no);
        let mut order = Order::new(key.clone(), wish.amount, paid_at);
        order.subject = "点卡".to_owned();
        let payment = wire.filled(self.world, &mut order, paid_at);
        let trade_no = payment.trade_no.clone();
        book.insert(order);
        let paid = book.pay(&key, payment, true);
        assert!(paid.is_ok(), "a new order can be paid");
        let refund = wish.refund.as_ref().map(|(refund_no, amount)| {
            let at = paid_at.saturating_add(1000);
            let mut refund = Refund {
                key: self.refund_key(&wish.order_no, refund_no),
                order: key.clone(),
                refund_trade_no: String::new(),
                amount: *amount,
                notify_url: None,
                state: RefundState::Pending,
                created_at: at,
                ended_at: None,
                fingerprint: amount.to_string(),
                fields: BTreeMap::new(),
            };
            wire.filled_refund(self.world, &mut refund, at);
            let (refund_key, refund_trade_no) = (refund.key.clone(), refund.refund_trade_no.clone());
            let added = matches!(book.add_refund(refund), RefundAdded::New);
            assert!(added && book.end_refund(&refund_key, RefundState::Success, at), "the refund was checked");
            Returned { refund_no: refund_no.clone(), refund_trade_no, amount: *amount, fee: fee(*amount), ended_at: at }
        });
        let (order_no, amount) = (wish.order_no.clone(), wish.amount);
        Filled { order_no, trade_no, amount, fee: fee(amount), paid_at, refund }
    }

    fn order_key(&self, order_no: &str) -> OrderKey {
        OrderKey { provider: self.provider, account: self.account.to_owned(), order_no: order_no.to_owned() }
    }

    fn refund_key(&self, order_no: &str, refund_no: &str) -> RefundKey {
        let refund_no = match self.provider {
            ProviderName::Alipay => format!("{order_no}/{refund_no}"),
            ProviderName::Wechatpay | ProviderName::Unionpay => refund_no.to_owned(),
        };
        RefundKey { provider: self.provider, account: self.account.to_owned(), refund_no }
    }
}
