//! Reads UnionPay's synchronous answers (protocol notes, 6 and 7).
//!
//! Invariant: an answer counts only when its signature holds and it names the order that was asked for; 00 on a
//! money request is an acceptance; `Closed` needs a genuine answer about this very order at least the end margin
//! after payTimeout; whatever is not certain is `Unknown`. Amounts are reported as stated, for the rules to judge.
//! It writes nothing and judges no amount.

use super::UnionPay;
use super::calls::TXN_TIME_AGE_MAX_MS;
use super::codes::{Meaning, Original, meaning, original};
use super::wire::{Fields, beijing, read_answer, read_fen, read_settle_day, read_trace_time};
use std::collections::BTreeMap;
use tongdao_core::money::{Currency, Money};
use tongdao_core::provider::{
    AttemptOrder, ErrorClass, Failure, HttpReply, Outcome, Pay, PayKind, Payment, RefundOrder, RefundOutcome, Scene,
};
use tongdao_core::time::UnixMillis;

/// How long after payTimeout a query's word is final, in milliseconds.
pub(super) const END_MARGIN_MS: i64 = 60_000;

impl UnionPay {
    pub(super) fn hear_create(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Outcome {
        let answer = match self.hear(reply, now) {
            Ok(answer) => answer,
            Err(doubt) => return Outcome::Unknown(doubt),
        };
        let order = self.key(&asked.provider_order_no, asked.created_at);
        if order.is_denied_by(&answer) || denies(&answer, "txnType", "01") {
            return Outcome::Unknown(other_order());
        }
        let failure = |class| failure_of(&answer, "respCode", class);
        match meaning(code(&answer)) {
            Meaning::Success if order.is_named_by(&answer) => match pay(asked, &answer) {
                Some(pay) => Outcome::Pending { pay: Some(pay), closable: false },
                None => Outcome::Unknown(failure(ErrorClass::Unknown)),
            },
            Meaning::Success => Outcome::Unknown(other_order()),
            // 12: the order exists. Its code, when the answer repeats it, is as good as the first one.
            Meaning::Ask => match pay(asked, &answer).filter(|_| code(&answer) == "12" && order.is_named_by(&answer)) {
                Some(pay) => Outcome::Pending { pay: Some(pay), closable: false },
                None => Outcome::Unknown(failure(ErrorClass::Unknown)),
            },
            Meaning::Busy(class) => Outcome::Unknown(failure(class)),
            Meaning::TooMany => Outcome::Failed(failure(ErrorClass::Congested)),
            Meaning::No(class) => Outcome::Failed(failure(class)),
        }
    }

    pub(super) fn hear_query(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Outcome {
        let answer = match self.hear(reply, now) {
            Ok(answer) => answer,
            Err(doubt) => return Outcome::Unknown(doubt),
        };
        let order = self.key(&asked.provider_order_no, asked.created_at);
        if !order.is_named_by(&answer) {
            return Outcome::Unknown(if order.is_denied_by(&answer) { other_order() } else { query_failed(&answer) });
        }
        match (meaning(code(&answer)), code(&answer)) {
            (Meaning::Success, _) if !says(&answer, "txnType", "01") => Outcome::Unknown(other_order()),
            (Meaning::Success, _) => of_original(asked, &answer, now),
            (_, "34") => unpaid(asked, now),
            (_, _) => Outcome::Unknown(query_failed(&answer)),
        }
    }

    pub(super) fn hear_refund(&self, asked: &RefundOrder, reply: &HttpReply, now: UnixMillis) -> RefundOutcome {
        let answer = match self.hear(reply, now) {
            Ok(answer) => answer,
            Err(doubt) => return RefundOutcome::Unknown(doubt),
        };
        let order = self.key(&asked.provider_refund_no, asked.created_at);
        if order.is_denied_by(&answer) || denies(&answer, "txnType", "04") {
            return RefundOutcome::Unknown(other_order());
        }
        let failure = |class| failure_of(&answer, "respCode", class);
        match meaning(code(&answer)) {
            Meaning::Success if order.is_named_by(&answer) => RefundOutcome::Pending,
            Meaning::Success => RefundOutcome::Unknown(other_order()),
            Meaning::Ask => RefundOutcome::Unknown(failure(ErrorClass::Unknown)),
            Meaning::Busy(class) => RefundOutcome::Unknown(failure(class)),
            Meaning::TooMany => RefundOutcome::Later(failure(ErrorClass::Congested)),
            // The gateway refuses an old txnTime whatever became of an earlier call: that proves nothing.
            Meaning::No(class) if now.since_ms(asked.created_at) >= TXN_TIME_AGE_MAX_MS => {
                RefundOutcome::Stuck(failure(class))
            }
            Meaning::No(class) => RefundOutcome::Refused(failure(class)),
        }
    }

    pub(super) fn hear_refund_query(&self, asked: &RefundOrder, reply: &HttpReply, now: UnixMillis) -> RefundOutcome {
        let answer = match self.hear(reply, now) {
            Ok(answer) => answer,
            Err(doubt) => return RefundOutcome::Unknown(doubt),
        };
        let order = self.key(&asked.provider_refund_no, asked.created_at);
        if !order.is_named_by(&answer) {
            let doubt = if order.is_denied_by(&answer) { other_order() } else { query_failed(&answer) };
            return RefundOutcome::Unknown(doubt);
        }
        let original_no = asked.provider_trade_no.as_deref().unwrap_or_default();
        match (meaning(code(&answer)), code(&answer)) {
            (Meaning::Success, _) if !says(&answer, "txnType", "04") || denies(&answer, "origQryId", original_no) => {
                RefundOutcome::Unknown(other_order())
            }
            (Meaning::Success, _) => of_original_refund(&answer),
            (_, "34") => RefundOutcome::Absent,
            (_, _) => RefundOutcome::Unknown(query_failed(&answer)),
        }
    }

    /// The verified fields of an answer, or why there are none.
    pub(super) fn hear(&self, reply: &HttpReply, now: UnixMillis) -> Result<Fields, Failure> {
        if reply.status != 200 {
            let class = match reply.status {
                429 => ErrorClass::Congested,
                500..=599 => ErrorClass::Unavailable,
                _ => ErrorClass::Unknown,
            };
            return Err(Failure::new(class, format!("http_{}", reply.status), "the gateway answered no message"));
        }
        let fields = read_answer(&reply.body)
            .map_err(|fault| Failure::new(ErrorClass::Unknown, "unreadable", format!("the answer is {fault}")))?;
        if !says(&fields, "version", "5.1.0") {
            return Err(Failure::new(ErrorClass::Unknown, "version", "the answer is not of version 5.1.0"));
        }
        self.options
            .keys
            .verify(&fields, now)
            .map_err(|fault| Failure::new(ErrorClass::Unknown, "unverified", format!("the answer {fault}")))?;
        Ok(fields)
    }

    fn key(&self, number: &str, made_at: UnixMillis) -> Key {
        let pairs =
            [("merId", self.options.mer_id.clone()), ("orderId", number.to_owned()), ("txnTime", beijing(made_at))];
        Key(pairs)
    }
}

/// The sum in a message: CNY for 156, and for any other code a currency that no charge is made in.
pub(super) fn stated_sum(fields: &Fields) -> Option<Money> {
    let amount = read_fen(fields.get("txnAmt")?)?;
    let currency = match fields.get("currencyCode")?.as_str() {
        "156" => Currency::CNY,
        _ => Currency::read("XXX").ok()?,
    };
    Some(Money { amount, currency })
}

/// UnionPay's own number in a message.
pub(super) fn query_id(fields: &Fields) -> Option<&str> {
    let plain = |no: &&str| (1..=40).contains(&no.len()) && no.bytes().all(|b| b.is_ascii_alphanumeric());
    fields.get("queryId").map(String::as_str).filter(plain)
}

/// What names an order at UnionPay.
struct Key([(&'static str, String); 3]);

impl Key {
    fn is_named_by(&self, fields: &Fields) -> bool {
        self.0.iter().all(|(name, value)| says(fields, name, value))
    }

    fn is_denied_by(&self, fields: &Fields) -> bool {
        self.0.iter().any(|(name, value)| denies(fields, name, value))
    }
}

pub(super) fn says(fields: &Fields, name: &str, value: &str) -> bool {
    fields.get(name).is_some_and(|stated| stated == value)
}

pub(super) fn denies(fields: &Fields, name: &str, value: &str) -> bool {
    fields.get(name).is_some_and(|stated| !stated.is_empty() && stated != value)
}

pub(super) fn code(fields: &Fields) -> &str {
    fields.get("respCode").map(String::as_str).unwrap_or_default()
}

fn pay(asked: &AttemptOrder, answer: &Fields) -> Option<Pay> {
    let named = |name: &str| answer.get(name).filter(|text| !text.is_empty() && text.len() <= CODE_BYTES_MAX).cloned();
    let sum_differs = || answer.contains_key("txnAmt") && stated_fen(answer) != Some(asked.amount.amount);
    let kind = match asked.scene {
        Scene::Qr => PayKind::QrCode { url: named("qrCode")? },
        Scene::App => PayKind::App { params: BTreeMap::from([("tn".to_owned(), named("tn")?)]) },
        Scene::Web | Scene::H5 | Scene::Jsapi => return None,
    };
    if sum_differs() { None } else { Some(Pay { kind, expires_at: asked.life.code_ends_at }) }
}

fn stated_fen(fields: &Fields) -> Option<i64> {
    fields.get("txnAmt").and_then(|text| read_fen(text))
}

/// What a query that found the order says of it.
fn of_original(asked: &AttemptOrder, answer: &Fields, now: UnixMillis) -> Outcome {
    let stated = answer.get("origRespCode").map(String::as_str).unwrap_or_default();
    match original(stated) {
        Original::Done => match (query_id(answer), stated_sum(answer)) {
            (Some(number), Some(amount)) => Outcome::Paid(Payment {
                provider_order_no: asked.provider_order_no.clone(),
                provider_trade_no: number.to_owned(),
                amount,
                paid_at: answer.get("traceTime").and_then(|text| read_trace_time(text, asked.created_at)),
                settled_on: answer.get("settleDate").and_then(|text| read_settle_day(text, asked.created_at)),
                refunded: 0,
            }),
            (Some(_) | None, _) => Outcome::Unknown(Failure::new(
                ErrorClass::Unknown,
                stated,
                "a success without a readable queryId, amount or currency",
            )),
        },
        Original::Open => Outcome::Unknown(failure_of(answer, "origRespCode", ErrorClass::Unknown)),
        Original::Failed(_) => unpaid(asked, now),
    }
}

/// Not paid: for a front trade this stands only once payTimeout and the margin have passed.
fn unpaid(asked: &AttemptOrder, now: UnixMillis) -> Outcome {
    if now >= asked.life.payable_until.plus_ms(END_MARGIN_MS) {
        Outcome::Closed
    } else {
        Outcome::Pending { pay: None, closable: false }
    }
}

fn of_original_refund(answer: &Fields) -> RefundOutcome {
    let stated = answer.get("origRespCode").map(String::as_str).unwrap_or_default();
    match original(stated) {
        Original::Done => match answer.get("txnAmt") {
            None => RefundOutcome::Succeeded { amount: None },
            Some(_) => match stated_sum(answer) {
                Some(amount) => RefundOutcome::Succeeded { amount: Some(amount) },
                None => RefundOutcome::Unknown(failure_of(answer, "origRespCode", ErrorClass::Unknown)),
            },
        },
        // 05: accepted, being processed.
        Original::Open if stated == "05" => RefundOutcome::Pending,
        Original::Open => RefundOutcome::Unknown(failure_of(answer, "origRespCode", ErrorClass::Unknown)),
        Original::Failed(class) => RefundOutcome::Ended(failure_of(answer, "origRespCode", class)),
    }
}

const CODE_BYTES_MAX: usize = 512;
const MESSAGE_CHARS_MAX: usize = 120;

fn other_order() -> Failure {
    Failure::new(ErrorClass::Unknown, "other_order", "the answer does not name the order that was asked for")
}

/// The query itself did not work; that says nothing of the order.
pub(super) fn query_failed(answer: &Fields) -> Failure {
    let class = match meaning(code(answer)) {
        Meaning::Success | Meaning::Ask => ErrorClass::Unknown,
        Meaning::Busy(class) | Meaning::No(class) => class,
        Meaning::TooMany => ErrorClass::Congested,
    };
    failure_of(answer, "respCode", class)
}

pub(super) fn failure_of(answer: &Fields, code_field: &str, class: ErrorClass) -> Failure {
    let text = |name: &str| answer.get(name).map(String::as_str).unwrap_or_default();
    let message_field = if code_field == "respCode" { "respMsg" } else { "origRespMsg" };
    let message: String = text(message_field).chars().take(MESSAGE_CHARS_MAX).collect();
    let code: String = text(code_field).chars().take(8).collect();
    Failure::new(class, code, message)
}

#[cfg(test)]
mod tests;
