//! What an error answer means, by its HTTP status and its code (README, section 5), for each operation.
//!
//! Invariant: error answers are not signed, so none of them ever proves a payment, an end or a refund that moved.
//! A query's or a close's error says nothing of the order: only a create can be `Failed` by one. Where the
//! documents class an answer as doubtful, it is `Unknown` and a query decides. Codes are compared without `_`,
//! because pages and versions spell them differently; messages are never read.

use super::wire::{self, ErrorBody};
use tongdao_core::provider::{ErrorClass, Failure, HttpReply, Outcome, RefundOutcome, StatementOutcome};

/// The documents' classes, as far as operations differ in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The request is wrong.
    Request,
    /// Our account, key or contract is wrong.
    Account,
    /// The payer, the bank or a risk rule said no.
    Declined,
    /// Somebody's balance is short: the payer's in a create, ours in a refund.
    Balance,
    /// Too many calls.
    Congested,
    /// The order is in another state than the request supposes: query it.
    Conflict,
    /// No such order or refund.
    Absent,
    /// Nobody knows what happened.
    Doubt,
    /// Overloaded or down.
    Unavailable,
    /// A definite refusal under a code that the documents do not list.
    Unlisted,
    /// A refusal whose body says nothing (an unknown path, a box in between).
    Bare,
}

/// The documented codes, `_` removed.
const CODES: &[(&str, Meaning)] = &[
    ("PARAMERROR", Meaning::Request),
    ("INVALIDREQUEST", Meaning::Request),
    ("LACKPARAMS", Meaning::Request),
    ("INVALIDTRANSACTIONID", Meaning::Request),
    ("TRADEOVERDUE", Meaning::Request),
    ("REFUNDFEEMISMATCH", Meaning::Request),
    ("SIGNERROR", Meaning::Account),
    ("NOAUTH", Meaning::Account),
    ("MCHNOTEXISTS", Meaning::Account),
    ("APPIDMCHIDNOTMATCH", Meaning::Account),
    ("RULELIMIT", Meaning::Declined),
    ("OPENIDMISMATCH", Meaning::Declined),
    ("ACCOUNTERROR", Meaning::Declined),
    ("TRADEERROR", Meaning::Declined),
    ("USERACCOUNTABNORMAL", Meaning::Declined),
    ("REQUESTBLOCKED", Meaning::Declined),
    ("NOTENOUGH", Meaning::Balance),
    ("FREQUENCYLIMITED", Meaning::Congested),
    ("RATELIMITEXCEEDED", Meaning::Congested),
    ("RATELIMITED", Meaning::Congested),
    ("OUTTRADENOUSED", Meaning::Conflict),
    ("ORDERCLOSED", Meaning::Conflict),
    ("ORDERPAID", Meaning::Conflict),
    ("USERPAYING", Meaning::Conflict),
    ("ORDERNOTEXIST", Meaning::Absent),
    ("RESOURCENOTEXISTS", Meaning::Absent),
    ("SYSTEMERROR", Meaning::Doubt),
    ("BANKERROR", Meaning::Doubt),
    ("BIZERRNEEDRETRY", Meaning::Doubt),
    ("SERVICEUNAVAILABLE", Meaning::Unavailable),
];

/// A create's answer that is not 200.
pub(super) fn create(reply: &HttpReply) -> Outcome {
    let (meaning, failure) = read(reply);
    match meaning {
        Meaning::Request => Outcome::Failed(failure.of(ErrorClass::Rejected)),
        Meaning::Account | Meaning::Absent | Meaning::Bare => Outcome::Failed(failure.of(ErrorClass::Misconfigured)),
        Meaning::Declined | Meaning::Balance | Meaning::Unlisted => Outcome::Failed(failure.of(ErrorClass::Declined)),
        Meaning::Congested => Outcome::Failed(failure.of(ErrorClass::Congested)),
        Meaning::Unavailable => Outcome::Unknown(failure.of(ErrorClass::Unavailable)),
        Meaning::Conflict | Meaning::Doubt => Outcome::Unknown(failure.of(ErrorClass::Unknown)),
    }
}

/// A query's answer that is not 200.
pub(super) fn query(reply: &HttpReply) -> Outcome {
    let (meaning, failure) = read(reply);
    if meaning == Meaning::Absent { Outcome::Absent } else { Outcome::Unknown(failure.of(class(meaning))) }
}

/// A close's answer that is not 204: it ends nothing and proves nothing, so a query follows.
pub(super) fn close(reply: &HttpReply) -> Outcome {
    let (meaning, failure) = read(reply);
    Outcome::Unknown(failure.of(class(meaning)))
}

/// A refund's answer that is not 200.
pub(super) fn refund(reply: &HttpReply) -> RefundOutcome {
    let (meaning, failure) = read(reply);
    let failure = failure.of(class(meaning));
    match meaning {
        // Whether RULE_LIMIT passes with time is not written anywhere: the number is kept.
        Meaning::Declined if failure.provider_code == "RULE_LIMIT" => RefundOutcome::Later(failure),
        Meaning::Request | Meaning::Declined | Meaning::Absent | Meaning::Unlisted => RefundOutcome::Refused(failure),
        Meaning::Account | Meaning::Balance => RefundOutcome::Later(failure),
        // A congested refund may be in progress all the same.
        Meaning::Congested | Meaning::Conflict | Meaning::Doubt | Meaning::Unavailable | Meaning::Bare => {
            RefundOutcome::Unknown(failure)
        }
    }
}

/// A refund query's answer that is not 200.
pub(super) fn refund_query(reply: &HttpReply) -> RefundOutcome {
    let (meaning, failure) = read(reply);
    if meaning == Meaning::Absent { RefundOutcome::Absent } else { RefundOutcome::Unknown(failure.of(class(meaning))) }
}

/// A statement request's answer that is not 200 (README 7): no statement, or one that is still being made.
pub(super) fn statement(reply: &HttpReply) -> StatementOutcome {
    let (meaning, failure) = read(reply);
    match (reply.status, failure.code.replace('_', "").as_str()) {
        (400..=499, "NOSTATEMENTEXIST") => StatementOutcome::Absent,
        (400..=499, "STATEMENTCREATING") => StatementOutcome::NotReady,
        (_, _) => StatementOutcome::Failed(failure.of(class(meaning))),
    }
}

/// Whether an answer says that this merchant has no platform certificates (README 3).
pub(super) fn has_no_certificates(reply: &HttpReply) -> bool {
    reply.status == 404 && read(reply).0 == Meaning::Absent
}

/// A failure without its class.
struct Unclassed {
    code: String,
    detail: String,
}

impl Unclassed {
    fn of(self, class: ErrorClass) -> Failure {
        Failure::new(class, self.code, self.detail)
    }
}

const fn class(meaning: Meaning) -> ErrorClass {
    match meaning {
        Meaning::Request => ErrorClass::Rejected,
        Meaning::Account | Meaning::Bare => ErrorClass::Misconfigured,
        Meaning::Declined | Meaning::Balance | Meaning::Absent | Meaning::Unlisted => ErrorClass::Declined,
        Meaning::Congested => ErrorClass::Congested,
        Meaning::Unavailable => ErrorClass::Unavailable,
        Meaning::Conflict | Meaning::Doubt => ErrorClass::Unknown,
    }
}

fn read(reply: &HttpReply) -> (Meaning, Unclassed) {
    let body: Option<ErrorBody> = wire::read(&reply.body);
    let code = body.as_ref().map(|body| body.code.as_str()).filter(|code| is_plain(code, 64));
    let field = body.as_ref().and_then(|body| body.detail.as_ref()?.field.as_deref());
    let mut detail = format!("WeChat Pay answered HTTP {} {}", reply.status, code.unwrap_or("without a code"));
    if let Some(field) = field.filter(|field| is_plain(field, 64)) {
        detail.push_str(" at ");
        detail.push_str(field);
    }
    if let Some(request_id) = reply.header("request-id").filter(|id| is_plain(id, 80)) {
        detail.push_str(", Request-ID ");
        detail.push_str(request_id);
    }
    let word = code.map_or_else(|| format!("http_{}", reply.status), str::to_owned);
    (meaning(reply.status, code), Unclassed { code: word, detail })
}

/// The class by status and code. A definite class needs a 4xx: a 5xx leaves everything open, whatever its body says.
fn meaning(status: u16, code: Option<&str>) -> Meaning {
    let listed = code.and_then(|code| {
        let compact = code.replace('_', "");
        CODES.iter().find(|(name, _)| *name == compact).map(|(_, meaning)| *meaning)
    });
    match (status, listed) {
        (429, _) => Meaning::Congested,
        (408, _) => Meaning::Doubt,
        (400..=499, Some(meaning)) => meaning,
        (401, None) => Meaning::Account,
        (400..=499, None) if code.is_some() => Meaning::Unlisted,
        (400..=499, None) => Meaning::Bare,
        (502..=504, _) | (500..=599, Some(Meaning::Unavailable)) => Meaning::Unavailable,
        (_, _) => Meaning::Doubt,
    }
}

/// Short printable ASCII: fit for a log line, whoever wrote it.
fn is_plain(text: &str, length_max: usize) -> bool {
    (1..=length_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
