//! Callbacks of payments and refunds: an encrypted resource in a signed envelope (section 3).
//! Guards: signed with the key the order's or refund's own request named; a refund without an address calls nobody.
//! Must not know: retries, or what the merchant answered.

use serde_json::{Value, json};

use super::certificates::encrypted;
use super::reply::{Mode, Seal};
use super::{refund, transaction};
use crate::clock::rfc3339_beijing;
use crate::keys::WechatpayKeys;
use crate::ledger::{Order, OrderKey, Refund, RefundKey, RefundState};
use crate::wire::{Event, OutgoingCallback, Sending, Twist};
use crate::world::World;

/// How far a stale callback's time lies back; the window is 300 s.
const STALE_S: i64 = 600;

/// Writes one sending.
pub(super) fn write(world: &World, sending: &Sending<'_>) -> Option<OutgoingCallback> {
    let content = match sending.event {
        Event::Paid(key) => paid(world, key, sending.twist)?,
        Event::Refunded(key) => refunded(world, key, sending.twist)?,
        Event::Closed(_) => return None,
    };
    let keys = world.keys.wechatpay(&content.mch_id)?;
    let mut resource = encrypted(world, &keys.api_v3_key, content.kind, content.plain.to_string().as_bytes());
    if let Some(object) = resource.as_object_mut() {
        object.insert("original_type".into(), json!(content.kind));
    }
    let body = json!({
        "id": sending.id,
        "create_time": rfc3339_beijing(sending.announced_at),
        "event_type": content.event_type,
        "resource_type": "encrypt-resource",
        "summary": content.summary,
        "resource": resource,
    })
    .to_string();
    let headers = seal(world, keys, content.mode, sending.twist, body.as_bytes()).headers();
    Some(OutgoingCallback { url: content.url, content_type: "application/json", headers, body: body.into_bytes() })
}

/// What one callback says, before encryption.
struct Content {
    mch_id: String,
    mode: Mode,
    url: String,
    kind: &'static str,
    event_type: &'static str,
    summary: &'static str,
    plain: Value,
}

fn seal(world: &World, keys: &WechatpayKeys, mode: Mode, twist: Twist, body: &[u8]) -> Seal {
    let now_s = world.now().div_euclid(1000);
    let at_s = if twist.stale { now_s.saturating_sub(STALE_S) } else { now_s };
    let key = if twist.wrong_key { world.keys.stranger() } else { mode.key(keys) };
    let serial = if twist.unknown_serial { "7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF" } else { mode.serial(keys) };
    let mut seal = Seal::new(world, key, serial, at_s, body);
    if twist.bad_signature {
        seal.probe(world);
    }
    seal
}

fn paid(world: &World, key: &OrderKey, twist: Twist) -> Option<Content> {
    let order: Order = world.ledger.read(|book| book.order(key).cloned())?;
    let payment = order.payment.as_ref()?;
    let mut plain = transaction::write_paid(&order, payment);
    if twist.wrong_account {
        set(&mut plain, "/mchid", json!("1999999999"));
        set(&mut plain, "/appid", json!("wx0000000000000000"));
    }
    if twist.wrong_amount {
        set(&mut plain, "/amount/total", json!(payment.amount.saturating_add(1)));
        set(&mut plain, "/amount/payer_total", json!(payment.amount.saturating_add(1)));
    }
    Some(Content {
        mch_id: key.account.clone(),
        mode: Mode::named(order.field("mode")),
        url: order.notify_url.clone()?,
        kind: "transaction",
        event_type: "TRANSACTION.SUCCESS",
        summary: "支付成功",
        plain,
    })
}

fn refunded(world: &World, key: &RefundKey, twist: Twist) -> Option<Content> {
    let (refund, total, transaction_id) = world.ledger.read(|book| {
        let refund: Refund = book.refund(key)?.clone();
        let payment = book.order(&refund.order)?.payment.clone()?;
        Some((refund, payment.amount, payment.trade_no))
    })?;
    let (event_type, summary) = match refund.state {
        RefundState::Success => ("REFUND.SUCCESS", "退款成功"),
        RefundState::Abnormal => ("REFUND.ABNORMAL", "退款异常"),
        RefundState::Closed => ("REFUND.CLOSED", "退款关闭"),
        RefundState::Pending => return None,
    };
    let amount = if twist.wrong_amount { refund.amount.saturating_add(1) } else { refund.amount };
    let mut plain = json!({
        "mchid": if twist.wrong_account { "1999999999" } else { key.account.as_str() },
        "transaction_id": transaction_id,
        "out_trade_no": refund.order.order_no,
        "refund_id": refund.refund_trade_no,
        "out_refund_no": refund.key.refund_no,
        "refund_status": refund::status(refund.state),
        "user_received_account": "支付用户零钱",
        "amount": {"total": total, "refund": amount, "payer_total": total, "payer_refund": amount},
    });
    let success_at = refund.ended_at.filter(|_| refund.state == RefundState::Success);
    if let (Some(at), Some(object)) = (success_at, plain.as_object_mut()) {
        object.insert("success_time".into(), json!(rfc3339_beijing(at)));
    }
    Some(Content {
        mch_id: key.account.clone(),
        mode: Mode::named(refund.fields.get("mode").map_or("", String::as_str)),
        url: refund.notify_url.clone()?,
        kind: "refund",
        event_type,
        summary,
        plain,
    })
}

fn set(value: &mut Value, pointer: &str, to: Value) {
    if let Some(place) = value.pointer_mut(pointer) {
        *place = to;
    }
}
