//! The notifies Alipay sends to `notify_url`: a payment, a refund, a closed trade.
//!
//! Invariants: no empty value is ever sent; a refund says `TRADE_SUCCESS` again (or `TRADE_CLOSED` when
//! all went back) with `refund_fee`, `gmt_refund` and `out_biz_no`, so a merchant must look at more than
//! the status (protocol notes 5 and 10). Must not know: retries, HTTP answers.

use super::{biz::yuan, refund, sign, trade};
use crate::{
    formats::{
        beijing,
        form::{self, Fields},
    },
    ledger::{Book, Order, Refund},
    wire::{Event, OutgoingCallback, Sending, Twist},
    world::World,
};

/// Writes a notify, freshly signed; `None` when the order named no address.
pub(crate) fn write(world: &World, sending: &Sending<'_>) -> Option<OutgoingCallback> {
    let keys = |account: &str| world.keys.alipay(account);
    let (account, url, fields) = world.ledger.read(|book| {
        let (order, refund) = subject(book, sending.event)?;
        let url = order.notify_url.clone()?;
        Some((order.key.account.clone(), url, fields(world, book, (order, refund), sending)))
    })?;
    let mut signed = if sending.twist.wrong_key {
        sign::sign_notify(fields, world.keys.stranger())
    } else {
        sign::sign_notify(fields, &keys(&account)?.alipay)
    };
    if sending.twist.bad_signature {
        signed.retain(|(name, _)| name != "sign");
        signed.push(("sign".to_owned(), "c2FuZGJveA==".to_owned()));
    }
    Some(OutgoingCallback {
        url,
        content_type: "application/x-www-form-urlencoded; charset=utf-8",
        headers: Vec::new(),
        body: form::encode(&signed).into_bytes(),
    })
}

fn subject<'a>(book: &'a Book, event: &Event) -> Option<(&'a Order, Option<&'a Refund>)> {
    match event {
        Event::Paid(key) | Event::Closed(key) => Some((book.order(key)?, None)),
        Event::Refunded(key) => {
            let refund = book.refund(key)?;
            Some((book.order(&refund.order)?, Some(refund)))
        }
    }
}

fn fields(world: &World, book: &Book, (order, refund): (&Order, Option<&Refund>), sending: &Sending<'_>) -> Fields {
    let now = world.now();
    let mut fields = frame(world, order, sending, now);
    let add = &mut |name: &str, value: &str| {
        if !value.is_empty() {
            fields.push((name.to_owned(), value.to_owned()));
        }
    };
    add("trade_no", order.field("trade_no"));
    add("out_trade_no", &order.key.order_no);
    add("buyer_id", order.field("buyer_id"));
    add("buyer_logon_id", trade::BUYER_LOGON);
    add("subject", &order.subject);
    add("body", order.field("body"));
    add("gmt_create", order.field("gmt_create"));
    add("passback_params", order.field("passback_params"));
    add("trade_status", status(book, order, refund, now));
    let paid = order.payment.as_ref().map_or(order.amount, |payment| payment.amount);
    let total = yuan(twisted(paid, sending.twist));
    add("total_amount", &total);
    if let Some(payment) = &order.payment {
        for name in ["receipt_amount", "invoice_amount", "buyer_pay_amount"] {
            add(name, &total);
        }
        add("point_amount", "0.00");
        add("gmt_payment", &beijing::dashed(payment.paid_at));
        add("fund_bill_list", &format!("[{{\"amount\":\"{total}\",\"fundChannel\":\"ALIPAYACCOUNT\"}}]"));
    }
    if let Some(at) = order.closed_at {
        add("gmt_close", &beijing::dashed(at));
    }
    if let Some(refund) = refund {
        add("out_biz_no", refund::request_no(refund));
        add("refund_fee", &yuan(trade::returned(book, &order.key)));
        add("gmt_refund", &format!("{}.000", beijing::dashed(refund.ended_at.unwrap_or(now))));
    }
    fields
}

fn frame(world: &World, order: &Order, sending: &Sending<'_>, now: i64) -> Fields {
    const DAY_MS: i64 = 86_400_000;
    let accounts = &world.accounts.alipay;
    let seller = accounts.iter().find(|account| account.app_id == order.key.account);
    let mut app_id = order.key.account.as_str();
    let mut seller_id = seller.map_or("", |account| account.seller_id.as_str());
    if sending.twist.wrong_account {
        (app_id, seller_id) = ("2021999999999999", "2088999999999999");
    }
    let sent_at = if sending.twist.stale { now - DAY_MS } else { now };
    let sent_at = beijing::dashed(sent_at);
    [
        ("notify_time", sent_at.as_str()),
        ("notify_type", "trade_status_sync"),
        ("notify_id", sending.id),
        ("app_id", app_id),
        ("auth_app_id", app_id),
        ("charset", "utf-8"),
        ("version", "1.0"),
        ("seller_id", seller_id),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// A payment's own notify speaks of the payment even if money went back since.
fn status(book: &Book, order: &Order, refund: Option<&Refund>, now: i64) -> &'static str {
    match (&order.payment, refund) {
        (Some(_), None) => "TRADE_SUCCESS",
        (Some(_) | None, _) => trade::status(book, order, now),
    }
}

fn twisted(fen: i64, twist: Twist) -> i64 {
    if twist.wrong_amount { fen.saturating_add(1) } else { fen }
}
