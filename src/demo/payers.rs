//! Payers and the platform's part for each: place an order, show the code, pay it after a while or leave.
//!
//! Invariants: a payer scans only a code that the API gave to the platform, never one that nobody was shown; the
//! platform repeats a request that was not answered under the same `merchant_order_no`, and no other way.

use super::cast::Cast;
use super::scratch::CHANNELS;
use crate::clock::Stopwatch;
use crate::tasks::Tasks;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tongdao_sandbox::ScanRequest;

/// A payer every tenth of a second.
const EVERY: Duration = Duration::from_millis(100);
/// So long the platform repeats a request.
const PATIENCE: Duration = Duration::from_secs(30);
const REPEAT_AFTER: Duration = Duration::from_millis(500);
/// A payer who was shown no code asks for another so often.
const RENEWALS_MAX: u32 = 6;
/// What card platforms sell: prices in fen.
const PRICES: [i64; 8] = [998, 1990, 2985, 4975, 9950, 19_880, 29_800, 49_500];
/// What payers can use, the one they would rather use first, and how many of a hundred are like that.
const WALLETS: [(u64, &[&str]); 6] = [
    (40, &["wechatpay", "alipay", "unionpay"]),
    (27, &["alipay", "wechatpay", "unionpay"]),
    (17, &["unionpay", "alipay", "wechatpay"]),
    (6, &["wechatpay", "alipay"]),
    (6, &["alipay", "unionpay"]),
    (4, &["wechatpay"]),
];
const ABANDON_PERCENT: u64 = 12;

/// One payer, as drawn.
#[derive(Debug, Clone)]
struct Payer {
    merchant_order_no: String,
    amount: i64,
    methods: &'static [&'static str],
    abandons: bool,
    thinks: Duration,
}

/// Lets payers come until the doors close.
pub(crate) async fn arrive(cast: Arc<Cast>, tasks: Tasks) {
    let mut clock = tokio::time::interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while cast.is_open() {
        clock.tick().await;
        let payer = draw(&cast);
        let cast = cast.clone();
        cast.tally().came();
        tasks.spawn("payer", async move {
            walk(&cast, &payer).await;
            let mut tally = cast.tally();
            tally.walking = tally.walking.saturating_sub(1);
        });
    }
}

/// Places an order; repeats the same order until an answer settles it.
pub(crate) async fn place_order(cast: &Cast, order: &Value) -> Option<Value> {
    cast.tally().orders += 1;
    let took = Stopwatch::start();
    while took.elapsed() < PATIENCE {
        match cast.client.post("/v1/charges", order).await {
            Ok((200 | 201, charge)) => return Some(charge),
            Ok((409 | 429 | 500..=599, _)) => cast.tally().repeated += 1,
            Ok((status, problem)) => {
                cast.tally().note_odd(format!("POST /v1/charges: {status} {problem}"));
                return None;
            }
            Err(_) => cast.tally().unanswered += 1,
        }
        tokio::time::sleep(REPEAT_AFTER).await;
    }
    cast.tally().note_odd(format!("order {} was never answered", text(order, "merchant_order_no")));
    None
}

/// Asks for another code, as a payer who taps "try again"; repeats while the answer is "not yet".
pub(crate) async fn try_again(cast: &Cast, charge_id: &str, ask: &Value) -> Option<Value> {
    let path = format!("/v1/charges/{charge_id}/attempts");
    let took = Stopwatch::start();
    while took.elapsed() < PATIENCE {
        match cast.client.post(&path, ask).await {
            Ok((200 | 201, charge)) => return Some(charge),
            Ok((409 | 429 | 500..=599, _)) => cast.tally().repeated += 1,
            Ok((status, problem)) => {
                cast.tally().note_odd(format!("POST {path}: {status} {problem}"));
                return None;
            }
            Err(_) => cast.tally().unanswered += 1,
        }
        tokio::time::sleep(REPEAT_AFTER).await;
    }
    None
}

/// The code of the charge's present attempt, and its channel.
pub(crate) fn code_of(charge: &Value) -> Option<(String, String)> {
    let attempt = charge.get("attempt")?;
    let code = attempt.get("pay")?.get("url")?.as_str()?;
    Some((code.to_owned(), attempt.get("channel")?.as_str()?.to_owned()))
}

/// A text of an object, or nothing.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Scans a code and pays.
pub(crate) fn pay(cast: &Cast, code: &str) -> bool {
    let scanned = cast.sandbox.scan(&ScanRequest::code(code));
    let mut tally = cast.tally();
    match scanned {
        Ok(scanned) if scanned.paid => {
            tally.paid += 1;
            true
        }
        Ok(_) => false,
        Err(reason) => {
            tally.turned_away += 1;
            tally.note_odd(format!("{code}: {reason}"));
            false
        }
    }
}

/// What the API is asked for.
pub(crate) fn order(merchant_order_no: &str, amount: i64, payer: &Value) -> Value {
    json!({ "merchant_order_no": merchant_order_no, "amount": amount, "subject": "礼品卡 Gift card", "payer": payer })
}

fn draw(cast: &Cast) -> Payer {
    let number = cast.tally().payers;
    let mut dice = cast.dice();
    let mut left = dice.below(100);
    let wallet = WALLETS.iter().find(|(share, _)| {
        let here = left < *share;
        left = left.saturating_sub(*share);
        here
    });
    Payer {
        merchant_order_no: format!("D{}-{number:05}-{:04x}", cast.seed, dice.below(1 << 16)),
        amount: dice.pick(&PRICES).unwrap_or(1990),
        methods: wallet.map_or(&[], |(_, methods)| methods),
        abandons: dice.percent(ABANDON_PERCENT),
        thinks: Duration::from_millis(dice.below(2500).saturating_add(300)),
    }
}

async fn walk(cast: &Cast, payer: &Payer) {
    let order = order(
        &payer.merchant_order_no,
        payer.amount,
        &json!({ "methods": payer.methods, "preferred": payer.methods.first() }),
    );
    let Some(mut charge) = place_order(cast, &order).await else { return };
    for _ in 0..RENEWALS_MAX {
        if code_of(&charge).is_some() || text(&charge, "status") != "open" {
            break;
        }
        tokio::time::sleep(2 * REPEAT_AFTER).await;
        let Some(renewed) = try_again(cast, text(&charge, "id"), &json!({})).await else { break };
        charge = renewed;
    }
    let Some((code, channel)) = code_of(&charge) else {
        cast.tally().note_odd(format!("order {} was given no code", payer.merchant_order_no));
        return;
    };
    note_code(cast, channel);
    if payer.abandons {
        cast.tally().abandoned += 1;
        return;
    }
    tokio::time::sleep(payer.thinks).await;
    pay(cast, &code);
}

fn note_code(cast: &Cast, channel: String) {
    let now_ms = cast.narrator.elapsed_ms();
    let known = CHANNELS.iter().any(|known| known.id == channel);
    let mut tally = cast.tally();
    if known {
        tally.codes.push((now_ms, channel));
    } else {
        tally.note_odd(format!("a code of a channel nobody knows: {channel}"));
    }
}
