//! The operations (section 7): what is asked and what a verified answer means for money.
//!
//! Invariant: only a signed answer about the number that was asked for pays, ends or refunds anything. A missing
//! trade proves an end only after the code and the order have both run out. A business field depends on the order
//! alone, so that a repeated call is the same call.
//! It knows nothing of signatures, keys or HTTP.

use super::codes::{Meaning, Operation, classify, printable};
use super::options::Options;
use super::wire::{self, Answer, Node, Request};
use serde::Serialize;
use std::collections::BTreeMap;
use tongdao_core::money::{Currency, Money};
use tongdao_core::provider::{
    AttemptOrder, CodeLife, ErrorClass, Failure, HttpReply, Next, Outcome, Pay, PayKind, Payment, Scene, Unsupported,
};
use tongdao_core::time::UnixMillis;

/// How long after the end a missing trade is final, in milliseconds.
pub(super) const END_MARGIN_MS: i64 = 30_000;

/// The ends of a code made now (section 7, timeouts): a QR code lives whole minutes, a trade until a whole minute.
pub(super) fn code_life(qr_minutes: i64, scene: Scene, now: UnixMillis, expires_at: UnixMillis) -> CodeLife {
    let expires_at = expires_at.max(now);
    let last = expires_at.round_up_to_minute();
    match scene {
        Scene::Qr => {
            let minutes = qr_minutes.min(whole_minutes(expires_at.since_ms(now)));
            let code_end = now.plus_s(minutes.saturating_mul(60));
            let trade_end = code_end.round_up_to_minute().min(last);
            CodeLife { code_ends_at: code_end.min(trade_end), payable_until: code_end.max(trade_end) }
        }
        Scene::H5 | Scene::Web | Scene::Jsapi | Scene::App => CodeLife { code_ends_at: last, payable_until: last },
    }
}

/// Writes a create: a call for a QR code, and something finished for the pages and the app.
pub(super) fn create(options: &Options, order: &AttemptOrder, now: UnixMillis) -> Result<Next<Outcome>, Unsupported> {
    if order.amount.currency != Currency::CNY || !(1..=TOTAL_FEN_MAX).contains(&order.amount.amount) {
        return Err(Unsupported("Alipay takes 0.01 to 100000000.00 yuan"));
    }
    let (method, product_code) = match order.scene {
        Scene::Qr => (PRECREATE, "QR_CODE_OFFLINE"),
        Scene::Web => ("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
        Scene::H5 => ("alipay.trade.wap.pay", "QUICK_WAP_WAY"),
        Scene::App => ("alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
        Scene::Jsapi => return Err(Unsupported("Alipay has no jsapi scene")),
    };
    if now >= last_end(order) {
        // A code that is over before it is made would outlive the end that a missing trade proves.
        let failure =
            Failure::new(ErrorClass::Unknown, "code_ended", "this order's code has run out; nothing was sent");
        return Ok(Next::Done(Outcome::Unknown(failure)));
    }
    let is_page = matches!(order.scene, Scene::Web | Scene::H5);
    let request = Request {
        method,
        biz_content: json(&create_content(options, order, product_code)),
        notify_url: Some(&order.callback_url),
        return_url: order.return_url.as_deref().filter(|_| is_page),
    };
    let made = match order.scene {
        Scene::Qr | Scene::Jsapi => wire::call(options, &request, now).map(Next::Call),
        Scene::Web | Scene::H5 => {
            wire::page_url(options, &request, now).map(|url| Next::Done(shown(order, PayKind::Redirect { url })))
        }
        Scene::App => wire::order_string(options, &request, now).map(|order_string| {
            let params = BTreeMap::from([("order_string".to_owned(), order_string)]);
            Next::Done(shown(order, PayKind::App { params }))
        }),
    };
    Ok(made.unwrap_or_else(|_| Next::Done(Outcome::Failed(signing_failure()))))
}

/// Reads precreate's answer.
pub(super) fn read_create(options: &Options, asked: &AttemptOrder, reply: &HttpReply) -> Outcome {
    let node = match wire::read_answer(&options.trust, PRECREATE, reply) {
        Answer::Signed(node) => node,
        Answer::Unsigned(node) => {
            return match wire::unsigned_failure(&node) {
                (failure, true) => Outcome::Failed(failure),
                (failure, false) => Outcome::Unknown(failure),
            };
        }
        // Refused before it was read: nothing was executed.
        Answer::Doubtful(failure) if failure.class == ErrorClass::Congested => return Outcome::Failed(failure),
        Answer::Doubtful(failure) => return Outcome::Unknown(failure),
    };
    match meaning_of(Operation::Create, &node) {
        Meaning::Success => match code_url(&node) {
            Some(url) if is_about(&node, "out_trade_no", &asked.provider_order_no) => {
                shown(asked, PayKind::QrCode { url: url.to_owned() })
            }
            Some(_) | None => Outcome::Unknown(unlike()),
        },
        Meaning::Failed(class) => Outcome::Failed(failure(class, &node)),
        Meaning::Later(_) | Meaning::NoTrade | Meaning::Elsewhere | Meaning::Unknown => {
            Outcome::Unknown(failure(ErrorClass::Unknown, &node))
        }
    }
}

/// Writes a query by our number.
pub(super) fn query(options: &Options, order: &AttemptOrder, now: UnixMillis) -> Next<Outcome> {
    ask_about_trade(options, QUERY, &order.provider_order_no, now)
}

/// Reads a query's answer.
pub(super) fn read_query(options: &Options, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Outcome {
    let node = match believed(options, QUERY, reply) {
        Ok(node) => node,
        Err(failure) => return Outcome::Unknown(failure),
    };
    match meaning_of(Operation::Query, &node) {
        Meaning::Success if is_about(&node, "out_trade_no", &asked.provider_order_no) => trade(&node),
        Meaning::Success => Outcome::Unknown(unlike()),
        // Nobody has scanned; until both ends are over the code can still be paid (money-safety, section 7).
        Meaning::NoTrade if now < last_end(asked).plus_ms(END_MARGIN_MS) => {
            Outcome::Pending { pay: None, closable: false }
        }
        Meaning::NoTrade => Outcome::Closed,
        Meaning::Failed(class) | Meaning::Later(class) => Outcome::Unknown(failure(class, &node)),
        Meaning::Elsewhere | Meaning::Unknown => Outcome::Unknown(failure(ErrorClass::Unknown, &node)),
    }
}

/// Writes a close by our number.
pub(super) fn close(options: &Options, order: &AttemptOrder, now: UnixMillis) -> Next<Outcome> {
    ask_about_trade(options, CLOSE, &order.provider_order_no, now)
}

/// Reads a close's answer: at best it was taken, and a query proves it.
pub(super) fn read_close(options: &Options, asked: &AttemptOrder, reply: &HttpReply) -> Outcome {
    let node = match believed(options, CLOSE, reply) {
        Ok(node) => node,
        Err(failure) => return Outcome::Unknown(failure),
    };
    match meaning_of(Operation::Close, &node) {
        Meaning::Success if is_about(&node, "out_trade_no", &asked.provider_order_no) => {
            Outcome::Pending { pay: None, closable: true }
        }
        Meaning::Success => Outcome::Unknown(unlike()),
        Meaning::NoTrade => Outcome::Pending { pay: None, closable: false },
        Meaning::Failed(class) | Meaning::Later(class) => Outcome::Unknown(failure(class, &node)),
        Meaning::Elsewhere | Meaning::Unknown => Outcome::Unknown(failure(ErrorClass::Unknown, &node)),
    }
}

/// A sum as Alipay states it: yuan, in the trade's currency where it names one.
pub(super) fn stated_sum(yuan: Option<&str>, currency: Option<&str>) -> Option<Money> {
    let sum = Money::read_yuan(yuan?).ok()?;
    let currency = currency.map_or(Ok(Currency::CNY), Currency::read).ok()?;
    Some(Money { amount: sum.amount, currency })
}

const PRECREATE: &str = "alipay.trade.precreate";
const QUERY: &str = "alipay.trade.query";
const CLOSE: &str = "alipay.trade.close";
const TOTAL_FEN_MAX: i64 = 10_000_000_000;
const TEXT_BYTES_MAX: usize = 256;

#[derive(Serialize)]
struct CreateContent<'a> {
    out_trade_no: &'a str,
    total_amount: String,
    subject: String,
    product_code: &'a str,
    time_expire: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    qr_code_timeout_express: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seller_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quit_url: Option<&'a str>,
}

#[derive(Serialize)]
struct TradeContent<'a> {
    out_trade_no: &'a str,
}

fn create_content<'a>(options: &'a Options, order: &'a AttemptOrder, product_code: &'a str) -> CreateContent<'a> {
    let is_qr = order.scene == Scene::Qr;
    CreateContent {
        out_trade_no: &order.provider_order_no,
        total_amount: order.amount.yuan(),
        subject: clean(&order.subject, "商品"),
        product_code,
        time_expire: wire::beijing(trade_end(order)),
        qr_code_timeout_express: is_qr.then(|| format!("{}m", qr_minutes(order))),
        seller_id: is_qr.then_some(options.seller_id.as_str()),
        quit_url: order.return_url.as_deref().filter(|_| order.scene == Scene::H5),
    }
}

/// The order's `time_expire`: a whole minute, so that it means the same to a reader of minutes and one of seconds.
fn trade_end(order: &AttemptOrder) -> UnixMillis {
    order.life.code_ends_at.round_up_to_minute()
}

/// The code's minutes, from the order alone: a repeated create must not depend on today's configuration.
fn qr_minutes(order: &AttemptOrder) -> i64 {
    whole_minutes(order.life.code_ends_at.since_ms(order.created_at))
}

/// The last moment at which anything of this order can be paid.
fn last_end(order: &AttemptOrder) -> UnixMillis {
    let code_end = match order.scene {
        Scene::Qr => order.created_at.plus_s(qr_minutes(order).saturating_mul(60)),
        Scene::H5 | Scene::Web | Scene::Jsapi | Scene::App => order.life.code_ends_at,
    };
    order.life.payable_until.max(trade_end(order)).max(code_end)
}

fn whole_minutes(ms: i64) -> i64 {
    ms.saturating_add(59_999).div_euclid(60_000).max(1)
}

/// What Alipay takes as a subject: `/ = &` in full width, no control characters, cut at a character.
pub(super) fn clean(text: &str, otherwise: &str) -> String {
    let mut cleaned = String::new();
    for character in text.trim().chars() {
        let taken = match character {
            '/' => '／',
            '=' => '＝',
            '&' => '＆',
            // A statement lists the subject among commas and does not promise quotes.
            ',' => '，',
            control if control.is_control() => ' ',
            other => other,
        };
        if cleaned.len() + taken.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        cleaned.push(taken);
    }
    if cleaned.trim().is_empty() { otherwise.to_owned() } else { cleaned }
}

pub(super) fn json(content: &impl Serialize) -> String {
    serde_json::to_string(content).unwrap_or_default()
}

fn shown(order: &AttemptOrder, kind: PayKind) -> Outcome {
    Outcome::Pending { pay: Some(Pay { kind, expires_at: order.life.code_ends_at }), closable: false }
}

fn ask_about_trade(options: &Options, method: &str, order_no: &str, now: UnixMillis) -> Next<Outcome> {
    let biz_content = json(&TradeContent { out_trade_no: order_no });
    let request = Request { method, biz_content, notify_url: None, return_url: None };
    wire::call(options, &request, now).map_or_else(|_| Next::Done(Outcome::Unknown(signing_failure())), Next::Call)
}

/// The node where it is signed; else why it is not believed.
pub(super) fn believed(options: &Options, method: &str, reply: &HttpReply) -> Result<Node, Failure> {
    match wire::read_answer(&options.trust, method, reply) {
        Answer::Signed(node) => Ok(node),
        Answer::Unsigned(node) => Err(wire::unsigned_failure(&node).0),
        Answer::Doubtful(failure) => Err(failure),
    }
}

pub(super) fn meaning_of(operation: Operation, node: &Node) -> Meaning {
    classify(operation, node.code(), node.sub_code())
}

pub(super) fn is_about(node: &Node, key: &str, number: &str) -> bool {
    node.text(key) == Some(number)
}

fn code_url(node: &Node) -> Option<&str> {
    node.text("qr_code").filter(|url| url.len() <= 1024 && url.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// Reads `trade_status` (section 8).
fn trade(node: &Node) -> Outcome {
    match node.text("trade_status") {
        Some("WAIT_BUYER_PAY") => Outcome::Pending { pay: None, closable: true },
        Some("TRADE_SUCCESS" | "TRADE_FINISHED") => paid(node, false),
        // Closed by the end of a fully refunded payment as well as without one: the traces of money tell.
        Some("TRADE_CLOSED") if bears_money(node) => paid(node, true),
        Some("TRADE_CLOSED") => Outcome::Closed,
        Some(_) | None => Outcome::Unknown(unlike()),
    }
}

fn paid(node: &Node, is_refunded: bool) -> Outcome {
    let amount = stated_sum(node.text("total_amount"), node.text("trans_currency"));
    let (Some(order_no), Some(trade_no), Some(amount)) = (node.text("out_trade_no"), node.text("trade_no"), amount)
    else {
        return Outcome::Unknown(unlike());
    };
    Outcome::Paid(Payment {
        provider_order_no: order_no.to_owned(),
        provider_trade_no: trade_no.to_owned(),
        amount,
        paid_at: node.text("send_pay_date").and_then(wire::read_beijing),
        settled_on: None,
        refunded: if is_refunded { amount.amount } else { 0 },
    })
}

fn bears_money(node: &Node) -> bool {
    let some = |key| node.text(key).is_some_and(|sum| Money::read_yuan(sum) != Ok(Money::cny(0)));
    node.text("send_pay_date").is_some() || some("receipt_amount") || some("buyer_pay_amount")
}

pub(super) fn failure(class: ErrorClass, node: &Node) -> Failure {
    let detail = match class {
        ErrorClass::Declined => "Alipay refused this payment or refund",
        ErrorClass::Congested => "Alipay limits our calls; nothing was executed",
        ErrorClass::Misconfigured => "Alipay refuses the app, its key or its contract; nothing was executed",
        ErrorClass::Rejected => "Alipay refuses the request itself",
        ErrorClass::Unavailable | ErrorClass::Unknown => "Alipay gave no definite answer",
    };
    Failure::new(class, printable(node.code(), node.sub_code()), detail)
}

pub(super) fn unlike() -> Failure {
    Failure::new(ErrorClass::Unknown, "unlike", "the answer does not fit what was asked")
}

pub(super) fn signing_failure() -> Failure {
    Failure::new(ErrorClass::Misconfigured, "signing", "the app's key could not sign; nothing was sent")
}

#[cfg(test)]
mod tests;
