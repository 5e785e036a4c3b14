//! The providers' own truth: orders, payments and refunds as a provider books them, in integer fen.
//! One lock over one `Book`: a handler checks and changes in one `change` call, so a payment and a close can never both
//! win. Guards: an order is paid at most once; refunds never exceed the payment. Must not know: wire formats, faults.

mod book;
mod view;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

pub(crate) use book::{Book, PayRefused, RefundAdded};
pub use view::{LedgerView, OrderView, PaymentView, RefundView};

use crate::options::ProviderName;

/// The book behind its lock.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Book>);

impl Ledger {
    /// Looks at the book.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&Book) -> R) -> R {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks and changes in one step.
    pub(crate) fn change<R>(&self, act: impl FnOnce(&mut Book) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Names an order: the merchant's number under one account of one provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) struct OrderKey {
    pub(crate) provider: ProviderName,
    /// `mchid`, `app_id` or `merId`.
    pub(crate) account: String,
    /// `out_trade_no` or `orderId`.
    pub(crate) order_no: String,
}

/// Names a refund: the merchant's refund number under one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) struct RefundKey {
    pub(crate) provider: ProviderName,
    pub(crate) account: String,
    /// Alipay numbers refunds per trade: there the order's number precedes it, as `order_no/out_request_no`.
    pub(crate) refund_no: String,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// A code exists but no trade yet (Alipay before the scan): the provider does not find it.
    Coded,
    /// Waiting for payment.
    Open,
    /// Paid.
    Paid,
    /// Closed unpaid.
    Closed,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Accepted, money on its way.
    Pending,
    /// Money returned.
    Success,
    /// Given up by the provider; the money stays with the merchant.
    Closed,
    /// The payer's card refuses it; needs a person.
    Abnormal,
}

/// An order at a provider.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) key: OrderKey,
    /// Fen.
    pub(crate) amount: i64,
    pub(crate) subject: String,
    /// The provider's own word for the kind of order (`native`, `precreate`, `01/07`).
    pub(crate) product: String,
    pub(crate) notify_url: Option<String>,
    pub(crate) state: OrderState,
    pub(crate) created_at: i64,
    /// After this nobody can pay, unix ms.
    pub(crate) expires_at: Option<i64>,
    /// After this the current code cannot be scanned.
    pub(crate) code_expires_at: Option<i64>,
    pub(crate) closed_at: Option<i64>,
    /// What a payer scans or opens; the last is valid, earlier ones are void.
    pub(crate) codes: Vec<String>,
    /// All parameters as asked, for the re-entry rule.
    pub(crate) fingerprint: String,
    /// What the provider echoes or needs again (attach, openid, txnTime, …).
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) payment: Option<Payment>,
}

impl Order {
    /// An open order without code, expiry or fields.
    pub(crate) fn new(key: OrderKey, amount: i64, created_at: i64) -> Self {
        Self {
            key,
            amount,
            subject: String::new(),
            product: String::new(),
            notify_url: None,
            state: OrderState::Open,
            created_at,
            expires_at: None,
            code_expires_at: None,
            closed_at: None,
            codes: Vec::new(),
            fingerprint: String::new(),
            fields: BTreeMap::new(),
            payment: None,
        }
    }

    /// An echoed field, or the empty text.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// The one payment of an order.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) trade_no: String,
    /// Fen; differs from the order's only where a test asks for it.
    pub(crate) amount: i64,
    pub(crate) paid_at: i64,
    pub(crate) payer: String,
}

/// A refund at a provider.
#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub(crate) key: RefundKey,
    pub(crate) order: OrderKey,
    /// The provider's own refund number.
    pub(crate) refund_trade_no: String,
    /// Fen.
    pub(crate) amount: i64,
    pub(crate) notify_url: Option<String>,
    pub(crate) state: RefundState,
    pub(crate) created_at: i64,
    /// When it reached its end.
    pub(crate) ended_at: Option<i64>,
    pub(crate) fingerprint: String,
    pub(crate) fields: BTreeMap<String, String>,
}
