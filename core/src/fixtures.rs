//! What the tests of the lives share: one charge, one attempt, one refund, and how a step is written as a row of text.
//!
//! Invariant: everything here is fixed, ids included, so that a row of a table changes only when a rule does.

use crate::attempt::{Attempt, NewAttempt};
use crate::charge::{NewCharge, Policy};
use crate::effect::{Effect, EffectKey, Event, Step};
use crate::ids::{AttemptId, ChargeId, RefundId};
use crate::money::Money;
use crate::provider::{CodeLife, ErrorClass, Failure, Outcome, Pay, PayKind, Payer, Payment, Scene};
use crate::refund::{NewRefund, RefundKind};
use crate::routing::{Because, Decision, Reason, Seen, Standing};
use crate::time::UnixMillis;
use std::collections::BTreeMap;

pub(crate) const T0: UnixMillis = UnixMillis(1_766_000_000_000);
pub(crate) const AMOUNT: i64 = 1999;

pub(crate) const DELIVER_ON: Policy = Policy { refund_late: false, refund_overdue: false, wait_for_end: false };
pub(crate) const GIVE_BACK: Policy = Policy { refund_late: true, refund_overdue: true, wait_for_end: false };

/// The last byte is 0, so these attempts have no jitter.
pub(crate) fn attempt_id(n: u8) -> AttemptId {
    AttemptId::new(T0, u128::from(n) << 8)
}

pub(crate) fn refund_id(n: u8) -> RefundId {
    RefundId::new(T0, u128::from(n))
}

pub(crate) fn order_no(n: u8) -> String {
    format!("01KCR0000000000000000000{n:02}")
}

pub(crate) fn new_attempt(n: u8, now: UnixMillis) -> NewAttempt {
    let end = now.plus_s(300);
    NewAttempt {
        id: attempt_id(n),
        channel: "wechat-main".parse().unwrap(),
        provider: "wechatpay".parse().unwrap(),
        account: "1900000001".to_owned(),
        provider_order_no: order_no(n),
        scene: Scene::Qr,
        life: CodeLife { code_ends_at: end, payable_until: end },
        callback_url: "https://pay.example/callbacks/wechat-main".to_owned(),
        first_query_ms: 5000,
        route: Decision {
            channel: Some("wechat-main".parse().unwrap()),
            chosen_because: Because::OnlyOne,
            reason: Some(Reason::OnlyOne),
            candidates: vec![Seen {
                channel: "wechat-main".parse().unwrap(),
                score: 0.9312,
                health: 0.98,
                converts: Some(0.9),
                latency_ms: 210,
                fee_bps: 60,
                standing: Some(Standing::In),
                tokens: Some(60),
                excluded: None,
            }],
        },
    }
}

pub(crate) fn attempt(n: u8) -> Attempt {
    Attempt::new(new_attempt(n, T0), 1, T0)
}

pub(crate) fn new_charge(policy: Policy) -> NewCharge {
    NewCharge {
        id: ChargeId::new(T0, 7),
        merchant: "shop".parse().unwrap(),
        merchant_order_no: "A-1".to_owned(),
        amount: Money::cny(AMOUNT),
        subject: "会员卡".to_owned(),
        scene: Scene::Qr,
        payer: Payer::default(),
        pin: None,
        notify_url: "https://shop.example/notify".to_owned(),
        return_url: None,
        metadata: BTreeMap::from([("sku".to_owned(), "gold".to_owned())]),
        expires_in_s: 1800,
        delivery_deadline_s: 300,
        policy,
        token: "t".repeat(32),
    }
}

pub(crate) fn new_refund(n: u8, amount: i64) -> NewRefund {
    NewRefund {
        id: refund_id(n),
        kind: RefundKind::Merchant,
        refund_no: Some(format!("R-{n}")),
        provider_refund_no: format!("{n:032}"),
        amount,
        reason: "asked".to_owned(),
    }
}

pub(crate) fn failure(class: ErrorClass) -> Failure {
    Failure::new(class, "CODE", "a sentence")
}

pub(crate) fn code(now: UnixMillis) -> Pay {
    Pay { kind: PayKind::QrCode { url: "weixin://wxpay/bizpayurl?pr=1".to_owned() }, expires_at: now.plus_s(300) }
}

pub(crate) fn gives_code() -> Outcome {
    Outcome::Pending { pay: Some(code(T0)), closable: true }
}

pub(crate) fn not_paid() -> Outcome {
    Outcome::Pending { pay: None, closable: true }
}

pub(crate) fn payment(n: u8, tx: &str, amount: i64) -> Payment {
    Payment {
        provider_order_no: order_no(n),
        provider_trade_no: tx.to_owned(),
        amount: Money::cny(amount),
        paid_at: None,
        settled_on: None,
        refunded: 0,
    }
}

/// The events of a step by their stored type, and its effects with the seconds until each is due.
pub(crate) fn in_words<T>(step: &Step<T>, now: UnixMillis) -> String {
    let events: Vec<String> = step.events.iter().map(event_in_words).collect();
    let effects: Vec<String> = step.effects.iter().map(|effect| effect_in_words(effect, now)).collect();
    format!("[{}] {{{}}}", events.join(", "), effects.join(", "))
}

fn event_in_words(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap();
    value["type"].as_str().unwrap().to_owned()
}

fn effect_in_words(effect: &Effect, now: UnixMillis) -> String {
    let within = |at: &UnixMillis| format!("{}s", at.since_ms(now).div_euclid(1000));
    match effect {
        Effect::CallProvider { at, .. } => format!("ask in {}", within(at)),
        Effect::CallRefund { at, .. } => format!("refund in {}", within(at)),
        Effect::SendWebhook { at, .. } => format!("webhook in {}", within(at)),
        Effect::WakeAt { key, at } => format!("{} in {}", key_in_words(*key), within(at)),
        Effect::Forget(key) => format!("forget {}", key_in_words(*key)),
        Effect::Credit { provider_trade_no, .. } => format!("credit {provider_trade_no}"),
        Effect::OpenBreak(draft) => format!("break {} over {}", draft.kind.as_str(), draft.amount.amount),
    }
}

fn key_in_words(key: EffectKey) -> &'static str {
    match key {
        EffectKey::Expire => "expire",
        EffectKey::Deadline => "deadline",
        EffectKey::Attempt(_) => "attempt",
        EffectKey::Refund(_) => "refund",
        EffectKey::Webhook(_) => "webhook",
    }
}
