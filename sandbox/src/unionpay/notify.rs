//! The notifies UnionPay sends to `backUrl`: successful payments and successful refunds, nothing else.
//!
//! Invariants: a refund's notify is its own message under its own `orderId`; a payment after
//! `payTimeout` is never notified (protocol notes 10). Must not know: retries, HTTP answers.

use super::{
    message::{self, Keys},
    order,
    sign::{Fields, SignMethod},
};
use crate::{
    formats::{beijing, form},
    ledger::{Book, RefundState},
    wire::{Event, OutgoingCallback, Sending},
    world::World,
};

/// Writes a notify, freshly signed; `None` when there is nothing to tell or nobody to tell it to.
pub(crate) fn write(world: &World, sending: &Sending<'_>) -> Option<OutgoingCallback> {
    let told = world.ledger.read(|book| told(book, sending.event))?;
    let url = told.url.filter(|url| !url.contains("www.specialUrl.com"))?;
    let keys = Keys { merchant: world.keys.unionpay(&told.account)?, platform: world.keys.unionpay_platform() };
    let mut fields = told.fields;
    twist(&mut fields, sending);
    let leaf = if sending.twist.wrong_key { world.keys.stranger() } else { &keys.platform.leaf };
    let mut sealed = message::seal_with(fields, told.method, keys, leaf);
    if sending.twist.bad_signature {
        sealed.insert("signature".to_owned(), "c2FuZGJveA==".to_owned());
    }
    let pairs: Vec<(String, String)> = sealed.into_iter().collect();
    Some(OutgoingCallback {
        url,
        content_type: "application/x-www-form-urlencoded;charset=UTF-8",
        headers: Vec::new(),
        body: form::encode(&pairs).into_bytes(),
    })
}

/// The fields that go through the payer's browser to `frontUrl`: the same message.
pub(crate) fn for_browser(world: &World, event: &Event) -> Option<Fields> {
    let told = world.ledger.read(|book| told(book, event))?;
    let keys = Keys { merchant: world.keys.unionpay(&told.account)?, platform: world.keys.unionpay_platform() };
    Some(message::seal(told.fields, told.method, keys))
}

struct Told {
    account: String,
    url: Option<String>,
    method: SignMethod,
    fields: Fields,
}

fn told(book: &Book, event: &Event) -> Option<Told> {
    let (account, url, asked, settled) = match event {
        Event::Closed(_) => return None,
        Event::Paid(key) => {
            let paid = book.order(key).filter(|order| !order::paid_too_late(order))?;
            let payment = paid.payment.as_ref()?;
            let mut settled = order::settlement(&payment.trade_no, payment.amount, payment.paid_at);
            settled.insert("accNo".to_owned(), payment.payer.clone());
            settled.insert("payCardType".to_owned(), "01".to_owned());
            (&paid.key.account, &paid.notify_url, &paid.fields, settled)
        }
        Event::Refunded(key) => {
            let refund = book.refund(key).filter(|refund| refund.state == RefundState::Success)?;
            let at = refund.ended_at.unwrap_or(refund.created_at);
            let settled = order::settlement(&refund.refund_trade_no, refund.amount, at);
            (&refund.key.account, &refund.notify_url, &refund.fields, settled)
        }
    };
    let method = SignMethod::read(asked.get("signMethod")?)?;
    let mut fields = message::echo(asked, &ECHOED, super::codes::SUCCESS);
    fields.insert("respMsg".to_owned(), "success".to_owned());
    fields.extend(settled);
    Some(Told { account: account.clone(), url: url.clone(), method, fields })
}

const ECHOED: [&str; 11] = [
    "version",
    "encoding",
    "txnType",
    "txnSubType",
    "bizType",
    "accessType",
    "merId",
    "orderId",
    "txnTime",
    "reqReserved",
    "origQryId",
];

fn twist(fields: &mut Fields, sending: &Sending<'_>) {
    const DAY_MS: i64 = 86_400_000;
    let mut set = |name: &str, value: String| fields.insert(name.to_owned(), value);
    if sending.twist.wrong_account {
        set("merId", "777290058199999".to_owned());
    }
    if sending.twist.stale {
        let old: String = beijing::compact(sending.announced_at - DAY_MS).chars().skip(4).collect();
        set("traceTime", old);
    }
    if sending.twist.wrong_amount {
        let amount = fields.get("txnAmt").and_then(|text| text.parse::<i64>().ok());
        let other = amount.unwrap_or_default().saturating_add(1).to_string();
        fields.insert("txnAmt".to_owned(), other.clone());
        fields.insert("settleAmt".to_owned(), other);
    }
}
