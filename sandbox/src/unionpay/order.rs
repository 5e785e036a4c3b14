//! Orders: the front page's, the app's `tn` and the merchant QR code; and how a payment of them looks.
//!
//! Invariants: `txnTime` is now; one `orderId` of a merchant is one order for ever (12 otherwise); after
//! `payTimeout` nobody pays, and who was debited all the same gets it back without a notify
//! (protocol notes 3, 5 and 7). Must not know: HTTP, signatures, faults.

use super::{
    codes::{self, Code},
    message::{self, need, one_of},
    sign::Fields,
};
use crate::{
    dice::Dice,
    formats::beijing,
    ledger::{Book, Order, OrderKey, OrderState, RefundKey},
    options::ProviderName,
};

/// The three ways to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    /// A form in the payer's browser.
    Front,
    /// A `tn` for the merchant's app.
    App,
    /// A QR code the payer scans.
    Qr,
}

/// Makes an order. A front form may be opened again as long as it is the same and unpaid.
pub(crate) fn create(
    book: &mut Book,
    asked: &Fields,
    product: Product,
    (dice, now): (&Dice, i64),
) -> Result<Made, Code> {
    check(asked, product)?;
    let key = key(asked)?;
    if product == Product::Front && reopened(book, &key, asked, now) {
        return Ok(Made { key, fresh: false });
    }
    fresh_time(asked, now)?;
    if number_used(book, &key) {
        return Err(codes::DUPLICATE);
    }
    let mut order = Order::new(key.clone(), message::amount(asked)?, now);
    order.expires_at =
        asked.get("payTimeout").map(|text| beijing::read_compact(text).ok_or(codes::BAD_FORMAT)).transpose()?;
    if order.expires_at.is_some_and(|end| end <= now) {
        return Err(codes::BAD_FORMAT);
    }
    order.subject = asked.get("orderDesc").cloned().unwrap_or_default();
    order.notify_url = asked.get("backUrl").cloned();
    order.fingerprint = fingerprint(asked);
    order.fields = asked.clone();
    match product {
        Product::Front => order.product = "front".to_owned(),
        Product::App => {
            order.product = "app".to_owned();
            order.state = OrderState::Coded;
            order.codes = vec![format!("{}{}", beijing::compact(now), dice.digits(7))];
        }
        Product::Qr => {
            order.product = "qr".to_owned();
            order.codes = vec![format!("https://qr.95516.com/00010000/{}", dice.digits(32))];
        }
    }
    book.insert(order);
    Ok(Made { key, fresh: true })
}

/// An order that can be paid now, and whether it is new.
pub(crate) struct Made {
    pub(crate) key: OrderKey,
    pub(crate) fresh: bool,
}

/// The key an order message names.
pub(crate) fn key(asked: &Fields) -> Result<OrderKey, Code> {
    Ok(OrderKey {
        provider: ProviderName::Unionpay,
        account: need(asked, "merId")?.to_owned(),
        order_no: message::order_id(asked)?.to_owned(),
    })
}

/// `txnTime` must be within five minutes of now.
pub(crate) fn fresh_time(asked: &Fields, now: i64) -> Result<(), Code> {
    const WINDOW_MS: i64 = 300_000;
    let at = beijing::read_compact(need(asked, "txnTime")?).ok_or(codes::BAD_TIME)?;
    if (now - at).abs() <= WINDOW_MS {
        return Ok(());
    }
    Err(codes::BAD_TIME)
}

/// Whether the merchant used the number before, for an order or for a refund.
pub(crate) fn number_used(book: &Book, key: &OrderKey) -> bool {
    book.order(key).is_some() || book.refund(&refund_key(key)).is_some()
}

/// The same number as a refund's.
pub(crate) fn refund_key(key: &OrderKey) -> RefundKey {
    RefundKey { provider: key.provider, account: key.account.clone(), refund_no: key.order_no.clone() }
}

/// A number of UnionPay's own: two digits, the time, the trace number and a digit; 21 in all.
pub(crate) fn new_query_id(dice: &Dice, now: i64) -> String {
    let time: String = beijing::compact(now).chars().skip(2).collect();
    format!("51{time}{}8", dice.digits(6))
}

/// The fields of a message that nobody sent: what an order or a refund booked without HTTP is known by.
pub(crate) fn filled((kind, sub_kind): (&str, &str), mer_id: &str, order_no: &str, at: i64) -> Fields {
    let time = beijing::compact(at);
    let mut fields: Fields = FRAME.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for (name, value) in
        [("txnType", kind), ("txnSubType", sub_kind), ("merId", mer_id), ("orderId", order_no), ("txnTime", &time)]
    {
        fields.insert(name.to_owned(), value.to_owned());
    }
    fields
}

const FRAME: [(&str, &str); 6] = [
    ("version", "5.1.0"),
    ("encoding", "UTF-8"),
    ("signMethod", "01"),
    ("bizType", "000000"),
    ("accessType", "0"),
    ("currencyCode", "156"),
];

/// UnionPay's number for such an order: counted, because a second may hold many.
pub(crate) fn filled_query_id(count: u64, at: i64) -> String {
    let time = beijing::compact(at);
    format!("51{}{:06}8", time.get(2..).unwrap_or_default(), count % 1_000_000)
}

/// The trace number within a number of UnionPay's own.
pub(crate) fn trace_no(query_id: &str) -> &str {
    query_id.get(14..20).unwrap_or_default()
}

/// The clearing day turns at 23:00: the moment whose calendar day names it.
pub(crate) fn settled_on(at: i64) -> i64 {
    const HOUR_MS: i64 = 3_600_000;
    at.saturating_add(HOUR_MS)
}

/// Whether the payer was debited after `payTimeout`: such money goes back by itself.
pub(crate) fn paid_too_late(order: &Order) -> bool {
    match (&order.payment, order.expires_at) {
        (Some(payment), Some(end)) => payment.paid_at >= end,
        (Some(_) | None, _) => false,
    }
}

/// What a query and a notify say of money that moved at `at` under a number of UnionPay's own.
pub(crate) fn settlement(query_id: &str, amount: i64, at: i64) -> Fields {
    let day: String = beijing::compact_day(settled_on(at)).chars().skip(4).collect();
    let time: String = beijing::compact(at).chars().skip(4).collect();
    [
        ("queryId", query_id),
        ("txnAmt", &amount.to_string()),
        ("currencyCode", "156"),
        ("settleAmt", &amount.to_string()),
        ("settleCurrencyCode", "156"),
        ("settleDate", &day),
        ("traceNo", trace_no(query_id)),
        ("traceTime", &time),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn check(asked: &Fields, product: Product) -> Result<(), Code> {
    let (sub_type, biz_type): (&str, &[&str]) = match product {
        Product::Front | Product::App => ("01", &["000201"]),
        Product::Qr => ("07", &["000000"]),
    };
    one_of(asked, "txnType", &["01"])?;
    one_of(asked, "txnSubType", &[sub_type])?;
    one_of(asked, "bizType", biz_type)?;
    one_of(asked, "channelType", &["07", "08"])?;
    one_of(asked, "accessType", &["0", "1", "2"])?;
    one_of(asked, "currencyCode", &["156"])?;
    address(need(asked, "backUrl")?)?;
    asked.get("frontUrl").map_or(Ok(()), |url| address(url))
}

fn address(url: &str) -> Result<(), Code> {
    let http = url.starts_with("http://") || url.starts_with("https://");
    if http && url.len() <= 256 { Ok(()) } else { Err(codes::BAD_FORMAT) }
}

fn reopened(book: &Book, key: &OrderKey, asked: &Fields, now: i64) -> bool {
    book.order(key).is_some_and(|order| {
        order.state == OrderState::Open
            && order.expires_at.is_none_or(|end| now < end)
            && order.fingerprint == fingerprint(asked)
    })
}

fn fingerprint(asked: &Fields) -> String {
    super::sign::link(asked)
}
