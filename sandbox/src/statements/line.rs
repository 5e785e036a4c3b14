//! The lines of a day: payments by the time they were paid, refunds by the time each provider counts them at.
//!
//! Guards: every payment and every refund of an account stands in one day's file, in the order of time. Must not know:
//! files, faults.

use crate::ledger::{Book, Order, Payment, Refund, RefundState};
use crate::options::ProviderName;

/// Fee of 0.60 %, in basis points.
const FEE_BPS: i64 = 60;

/// One account's day at a provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) provider: ProviderName,
    pub(crate) account: &'a str,
    pub(crate) starts_at: i64,
    pub(crate) ends_at: i64,
    /// What happens from here on no longer changes the file.
    pub(crate) ready_at: i64,
}

impl Span<'_> {
    /// Whether a moment belongs to the day.
    pub(crate) fn covers(&self, at: i64) -> bool {
        (self.starts_at..self.ends_at).contains(&at)
    }
}

/// A payment or a refund, as it is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) order: &'a Order,
    pub(crate) payment: &'a Payment,
    /// None: the line is the payment's.
    pub(crate) refund: Option<&'a Refund>,
    pub(crate) at: i64,
    /// Fen paid or returned, never negative.
    pub(crate) amount: i64,
    /// Fen kept of a payment or given back with a refund, never negative.
    pub(crate) fee: i64,
    /// A status that is not the true one.
    pub(crate) changed_status: bool,
    /// Another merchant's.
    pub(crate) foreign: bool,
}

impl<'a> Line<'a> {
    /// The line of an order's payment.
    pub(crate) fn paid(order: &'a Order) -> Option<Self> {
        let payment = order.payment.as_ref()?;
        let (at, amount) = (payment.paid_at, payment.amount);
        Some(Self { order, payment, refund: None, at, amount, fee: fee(amount), changed_status: false, foreign: false })
    }

    fn returned(book: &'a Book, refund: &'a Refund, at: i64) -> Option<Self> {
        let line = Self::paid(book.order(&refund.order)?)?;
        Some(Self { refund: Some(refund), at, amount: refund.amount, fee: fee(refund.amount), ..line })
    }
}

/// The lines of the day, oldest first.
pub(super) fn of_day<'a>(book: &'a Book, span: &Span<'_>) -> Vec<Line<'a>> {
    let orders = book.orders().filter(|order| order.key.provider == span.provider && order.key.account == span.account);
    let refunds =
        book.refunds().filter(|refund| refund.key.provider == span.provider && refund.key.account == span.account);
    let mut lines: Vec<Line<'a>> = orders.filter_map(Line::paid).filter(|line| span.covers(line.at)).collect();
    lines.extend(refunds.filter_map(|refund| {
        let at = counted_at(refund).filter(|at| span.covers(*at))?;
        Line::returned(book, refund, at)
    }));
    lines.sort_by_key(|line| line.at);
    lines
}

/// WeChat Pay lists a refund on the day it was accepted, whatever became of it; the others on the day it was through.
fn counted_at(refund: &Refund) -> Option<i64> {
    match refund.key.provider {
        ProviderName::Wechatpay => Some(refund.created_at),
        ProviderName::Alipay | ProviderName::Unionpay => {
            refund.ended_at.filter(|_| refund.state == RefundState::Success)
        }
    }
}

/// 0.60 %; half a fen rounds up.
pub(crate) fn fee(amount: i64) -> i64 {
    amount.saturating_mul(FEE_BPS).saturating_add(5_000).div_euclid(10_000)
}

#[cfg(test)]
mod tests {
    use super::fee;

    #[test]
    fn fees_round_half_up_as_in_the_published_sample() {
        for (amount, expected) in [(83_800, 503), (9_900, 59), (142_200, 853), (476_800, 2_861), (83, 0), (84, 1)] {
            assert_eq!(fee(amount), expected, "{amount}");
        }
    }
}
