//! The book as tests and people read it: plain rows, as JSON on the control server.
//! Guards: a copy, never a handle into the book.
//! Must not know: wire formats.

use serde::Serialize;

use super::{Book, OrderState, RefundState};
use crate::options::ProviderName;

/// A copy of the providers' books at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LedgerView {
    /// Every order ever made.
    pub orders: Vec<OrderView>,
    /// Every payment taken.
    pub payments: Vec<PaymentView>,
    /// Every refund accepted.
    pub refunds: Vec<RefundView>,
}

/// An order at a provider; amounts in fen, times in Unix ms.
#[derive(Clone, Debug, Serialize)]
pub struct OrderView {
    /// The provider.
    pub provider: ProviderName,
    /// `mchid`, `app_id` or `merId`.
    pub account: String,
    /// The merchant side's number of the order.
    pub order_no: String,
    /// Fen.
    pub amount: i64,
    /// Where it stands.
    pub state: OrderState,
    /// The provider's own word for the kind of order.
    pub product: String,
    /// The text the payer sees.
    pub subject: String,
    /// What can be scanned or opened now, if anything.
    pub code: Option<String>,
    /// Unix ms.
    pub created_at: i64,
    /// Unix ms; none when the provider sets no end.
    pub expires_at: Option<i64>,
    /// Unix ms.
    pub closed_at: Option<i64>,
}

/// A payment a provider took.
#[derive(Clone, Debug, Serialize)]
pub struct PaymentView {
    /// The provider.
    pub provider: ProviderName,
    /// `mchid`, `app_id` or `merId`.
    pub account: String,
    /// The merchant side's number of the order.
    pub order_no: String,
    /// The provider's number.
    pub trade_no: String,
    /// Fen.
    pub amount: i64,
    /// Unix ms.
    pub paid_at: i64,
    /// Fen refunded or on their way back.
    pub refunded: i64,
}

/// A refund a provider accepted.
#[derive(Clone, Debug, Serialize)]
pub struct RefundView {
    /// The provider.
    pub provider: ProviderName,
    /// `mchid`, `app_id` or `merId`.
    pub account: String,
    /// The order it returns money of.
    pub order_no: String,
    /// The merchant side's number of the refund.
    pub refund_no: String,
    /// The provider's number.
    pub refund_trade_no: String,
    /// Fen.
    pub amount: i64,
    /// Where it stands.
    pub state: RefundState,
    /// Unix ms.
    pub created_at: i64,
    /// Unix ms.
    pub ended_at: Option<i64>,
}

impl Book {
    /// Copies the whole book.
    pub(crate) fn view(&self) -> LedgerView {
        let orders = self.orders().map(|order| OrderView {
            provider: order.key.provider,
            account: order.key.account.clone(),
            order_no: order.key.order_no.clone(),
            amount: order.amount,
            state: order.state,
            product: order.product.clone(),
            subject: order.subject.clone(),
            code: order.codes.last().cloned(),
            created_at: order.created_at,
            expires_at: order.expires_at,
            closed_at: order.closed_at,
        });
        let payments = self.orders().filter_map(|order| {
            order.payment.as_ref().map(|payment| PaymentView {
                provider: order.key.provider,
                account: order.key.account.clone(),
                order_no: order.key.order_no.clone(),
                trade_no: payment.trade_no.clone(),
                amount: payment.amount,
                paid_at: payment.paid_at,
                refunded: self.refunded(&order.key),
            })
        });
        let refunds = self.refunds().map(|refund| RefundView {
            provider: refund.key.provider,
            account: refund.key.account.clone(),
            order_no: refund.order.order_no.clone(),
            refund_no: refund.key.refund_no.clone(),
            refund_trade_no: refund.refund_trade_no.clone(),
            amount: refund.amount,
            state: refund.state,
            created_at: refund.created_at,
            ended_at: refund.ended_at,
        });
        LedgerView { orders: orders.collect(), payments: payments.collect(), refunds: refunds.collect() }
    }
}
