//! Three simulated providers at the port: the rules of the real ones, with a keyed hash for a signature.

use crate::message::Message;
use std::collections::BTreeSet;
use std::sync::Mutex;
use tongdao_core::ids::ProviderId;
use tongdao_core::money::{Currency, Money};
use tongdao_core::provider::{
    AttemptOrder, BuildInput, CallbackRequest, Capabilities, CodeLife, ErrorClass, Failure, HttpCall, HttpReply,
    Method, Next, Nonce, Notice, NoticeKind, OptionFault, Outcome, Pay, PayKind, Payment, Provider, RefundNotice,
    RefundOrder, RefundOutcome, Registration, Rejected, Scene, Unsupported, Verdict,
};
use tongdao_core::time::UnixMillis;

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Closes, and is found before anybody scans.
    Closing,
    /// Closes, and is found only once somebody scanned.
    Unscanned,
    /// Ends by itself.
    Endless,
}

pub(crate) const RULES: [Rules; 3] = [Rules::Closing, Rules::Unscanned, Rules::Endless];

pub(crate) const REGISTRY: &[Registration] = &[
    Registration { id: "closing", name_zh: "甲", build: |input| build(input, Rules::Closing) },
    Registration { id: "unscanned", name_zh: "乙", build: |input| build(input, Rules::Unscanned) },
    Registration { id: "endless", name_zh: "丙", build: |input| build(input, Rules::Endless) },
];

static CAPABILITIES: [Capabilities; 3] = [of(true, true, 30_000), of(true, false, 30_000), of(false, true, 60_000)];

const fn of(closes: bool, findable_before_scan: bool, end_margin_ms: i64) -> Capabilities {
    Capabilities { scenes: &[Scene::Qr], closes, findable_before_scan, first_query_ms: |_| 5000, end_margin_ms }
}

struct Simulated {
    rules: Rules,
    id: ProviderId,
    account: String,
    keys: Mutex<BTreeSet<u32>>,
}

fn build(input: BuildInput<'_>, rules: Rules) -> Result<Box<dyn Provider>, Vec<OptionFault>> {
    let account = input.section["account"].as_str().unwrap_or_default().to_owned();
    let id = REGISTRY[rules as usize].id.parse().expect("a provider's name");
    Ok(Box::new(Simulated { rules, id, account, keys: Mutex::new(BTreeSet::from([0])) }))
}

fn unknown(code: &str) -> Failure {
    Failure::new(ErrorClass::Unknown, code, "simulated")
}

fn money(message: &Message) -> Money {
    Money { amount: message.number("amount"), currency: Currency::read(message.text("cur")).unwrap_or(Currency::CNY) }
}

impl Simulated {
    fn call(&self, operation: &str, fields: &[(&str, &str)], nonce: &Nonce) -> HttpCall {
        let mut message = Message::of(fields);
        message.0.insert("nonce".to_owned(), nonce.0.clone());
        HttpCall {
            method: Method::Post,
            url: format!("https://{}/{operation}", self.account),
            backup_url: None,
            headers: Vec::new(),
            body: message.signed(&self.account, 0).into_bytes(),
        }
    }

    fn believed(&self, body: &[u8]) -> Result<Message, Failure> {
        let text = std::str::from_utf8(body).map_err(|_| unknown("unreadable"))?;
        let (key, message) = Message::read(text, &self.account).ok_or_else(|| unknown("bad_signature"))?;
        if self.keys.lock().unwrap().contains(&key) { Ok(message) } else { Err(unknown("unknown_key")) }
    }

    fn refused(reply: &HttpReply) -> Option<Failure> {
        let class = match reply.status {
            200 => return None,
            429 => ErrorClass::Congested,
            500..600 => ErrorClass::Unavailable,
            403 => ErrorClass::Declined,
            _ => ErrorClass::Unknown,
        };
        Some(Failure::new(class, reply.status.to_string(), "simulated"))
    }

    fn payment(message: &Message) -> Payment {
        Payment {
            provider_order_no: message.text("no").to_owned(),
            provider_trade_no: message.text("tx").to_owned(),
            amount: money(message),
            paid_at: Some(UnixMillis(message.number("paid_at"))),
            settled_on: None,
            refunded: message.number("refunded"),
        }
    }

    fn refund_of(message: &Message) -> RefundOutcome {
        match message.text("state") {
            "SUCCESS" => RefundOutcome::Succeeded { amount: Some(money(message)) },
            "PROCESSING" => RefundOutcome::Pending,
            "ABNORMAL" => RefundOutcome::Stuck(unknown("ABNORMAL")),
            "CLOSED" => RefundOutcome::Ended(unknown("CLOSED")),
            "ABSENT" => RefundOutcome::Absent,
            "LATER" => RefundOutcome::Later(unknown("NOT_ENOUGH")),
            "REFUSED" => RefundOutcome::Refused(unknown("REFUSED")),
            _ => RefundOutcome::Unknown(unknown("unknown_state")),
        }
    }

    fn hear_refund(&self, asked: &RefundOrder, reply: &HttpReply) -> RefundOutcome {
        if let Some(failure) = Self::refused(reply) {
            return match failure.class {
                ErrorClass::Congested => RefundOutcome::Later(failure),
                _ => RefundOutcome::Unknown(failure),
            };
        }
        match self.believed(&reply.body) {
            Err(failure) => RefundOutcome::Unknown(failure),
            Ok(message) if message.text("refund_no") != asked.provider_refund_no => {
                RefundOutcome::Unknown(unknown("foreign_answer"))
            }
            Ok(message) => Self::refund_of(&message),
        }
    }

    fn refund_call(&self, operation: &str, order: &RefundOrder, nonce: &Nonce) -> HttpCall {
        let (amount, total) = (order.amount.amount.to_string(), order.total.amount.to_string());
        let tx = order.provider_trade_no.clone().unwrap_or_default();
        let fields = [
            ("refund_no", order.provider_refund_no.as_str()),
            ("no", order.provider_order_no.as_str()),
            ("tx", tx.as_str()),
            ("amount", amount.as_str()),
            ("total", total.as_str()),
        ];
        self.call(operation, &fields, nonce)
    }

    fn notice(&self, message: &Message) -> NoticeKind {
        match message.text("kind") {
            "payment" => NoticeKind::Payment(Self::payment(message)),
            "refund" => NoticeKind::Refund(RefundNotice {
                provider_refund_no: message.text("refund_no").to_owned(),
                provider_order_no: Some(message.text("no").to_owned()),
                amount: Some(money(message)),
                outcome: Self::refund_of(message),
            }),
            other => NoticeKind::Nothing { status: other.to_owned() },
        }
    }
}

impl Provider for Simulated {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES[self.rules as usize]
    }
    fn id(&self) -> &ProviderId {
        &self.id
    }
    fn account(&self) -> &str {
        &self.account
    }
    fn code_life(&self, _: Scene, now: UnixMillis, expires_at: UnixMillis) -> CodeLife {
        let (code, end) = match self.rules {
            Rules::Closing => (expires_at.min(now.plus_s(7200)), expires_at.max(now.plus_s(60))),
            Rules::Unscanned => {
                let code = now.plus_s(300).min(expires_at.max(now.plus_s(60)));
                (code, code.round_up_to_minute())
            }
            Rules::Endless => (now.plus_s(300).min(expires_at.max(now)), now.plus_s(300).min(expires_at.max(now))),
        };
        CodeLife { code_ends_at: code.min(end), payable_until: end }
    }
    fn create(&self, order: &AttemptOrder, _: UnixMillis, nonce: Nonce) -> Result<Next<Outcome>, Unsupported> {
        let (amount, end) = (order.amount.amount.to_string(), order.life.payable_until.0.to_string());
        let code_end = order.life.code_ends_at.0.to_string();
        let fields = [
            ("no", order.provider_order_no.as_str()),
            ("amount", amount.as_str()),
            ("cur", "CNY"),
            ("end", end.as_str()),
            ("code_end", code_end.as_str()),
            ("notify", order.callback_url.as_str()),
        ];
        Ok(Next::Call(self.call("create", &fields, &nonce)))
    }
    fn read_create(&self, asked: &AttemptOrder, reply: &HttpReply, _: UnixMillis) -> Next<Outcome> {
        Next::Done(match Self::refused(reply) {
            Some(failure) if failure.class == ErrorClass::Unknown => Outcome::Unknown(failure),
            Some(failure) => Outcome::Failed(failure),
            None => match self.believed(&reply.body) {
                Err(failure) => Outcome::Unknown(failure),
                Ok(message) if message.text("no") != asked.provider_order_no => Outcome::Unknown(unknown("foreign")),
                Ok(message) if message.text("state") == "EXISTS" => Outcome::Unknown(unknown("exists")),
                Ok(message) => {
                    let kind = PayKind::QrCode { url: message.text("code").to_owned() };
                    let pay = Pay { kind, expires_at: asked.life.code_ends_at };
                    Outcome::Pending { pay: Some(pay), closable: self.rules == Rules::Closing }
                }
            },
        })
    }
    fn query(&self, order: &AttemptOrder, _: UnixMillis, nonce: Nonce) -> Result<Next<Outcome>, Unsupported> {
        Ok(Next::Call(self.call("query", &[("no", order.provider_order_no.as_str())], &nonce)))
    }
    fn read_query(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Next<Outcome> {
        if let Some(failure) = Self::refused(reply) {
            return Next::Done(Outcome::Unknown(failure));
        }
        let message = match self.believed(&reply.body) {
            Ok(message) if message.text("no") == asked.provider_order_no => message,
            Ok(_) => return Next::Done(Outcome::Unknown(unknown("foreign_answer"))),
            Err(failure) => return Next::Done(Outcome::Unknown(failure)),
        };
        let over = now >= asked.life.payable_until.plus_ms(self.capabilities().end_margin_ms);
        Next::Done(match (message.text("state"), self.rules) {
            ("PAID", _) => Outcome::Paid(Self::payment(&message)),
            ("CLOSED", _) => Outcome::Closed,
            ("ABSENT", Rules::Closing) => Outcome::Absent,
            ("ABSENT" | "OPEN", Rules::Unscanned | Rules::Endless) if over => Outcome::Closed,
            ("ABSENT", Rules::Unscanned | Rules::Endless) | ("OPEN", Rules::Endless) => {
                Outcome::Pending { pay: None, closable: false }
            }
            ("OPEN", _) => Outcome::Pending { pay: None, closable: true },
            _ => Outcome::Unknown(unknown("unknown_state")),
        })
    }
    fn close(&self, order: &AttemptOrder, _: UnixMillis, nonce: Nonce) -> Result<Next<Outcome>, Unsupported> {
        if self.rules == Rules::Endless {
            return Err(Unsupported("there is no close"));
        }
        Ok(Next::Call(self.call("close", &[("no", order.provider_order_no.as_str())], &nonce)))
    }
    fn read_close(&self, _: &AttemptOrder, reply: &HttpReply, _: UnixMillis) -> Next<Outcome> {
        Next::Done(match Self::refused(reply) {
            Some(failure) => Outcome::Unknown(failure),
            None => match self.believed(&reply.body) {
                Ok(_) => Outcome::Pending { pay: None, closable: true },
                Err(failure) => Outcome::Unknown(failure),
            },
        })
    }
    fn refund(&self, order: &RefundOrder, _: UnixMillis, nonce: Nonce) -> Result<Next<RefundOutcome>, Unsupported> {
        Ok(Next::Call(self.refund_call("refund", order, &nonce)))
    }
    fn read_refund(&self, asked: &RefundOrder, reply: &HttpReply, _: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(self.hear_refund(asked, reply))
    }
    fn refund_query(
        &self,
        order: &RefundOrder,
        _: UnixMillis,
        nonce: Nonce,
    ) -> Result<Next<RefundOutcome>, Unsupported> {
        Ok(Next::Call(self.refund_call("refund_query", order, &nonce)))
    }
    fn read_refund_query(&self, asked: &RefundOrder, reply: &HttpReply, _: UnixMillis) -> Next<RefundOutcome> {
        Next::Done(match self.hear_refund(asked, reply) {
            RefundOutcome::Later(failure) => RefundOutcome::Unknown(failure),
            other => other,
        })
    }
    fn read_callback(&self, request: &CallbackRequest, now: UnixMillis) -> Result<Notice, Rejected> {
        let text = std::str::from_utf8(&request.body).map_err(|_| Rejected::Malformed)?;
        let read = Message::read(text, &self.account);
        #[cfg(feature = "planted")]
        let read = read.or_else(|| {
            let lines = text.lines().filter_map(|line| line.split_once('='));
            let fields = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            tongdao_core::planted::planted(tongdao_core::planted::Defect::BelieveAnySignature)
                .then_some((0, Message(fields)))
        });
        let (key, message) = read.ok_or(Rejected::BadSignature)?;
        if !self.keys.lock().unwrap().contains(&key) {
            return Err(Rejected::UnknownKey);
        }
        if message.text("account") != self.account {
            return Err(Rejected::Foreign);
        }
        if self.rules == Rules::Closing && now.since_ms(UnixMillis(message.number("sent_at"))).abs() > 300_000 {
            return Err(Rejected::Stale { provider_order_no: Some(message.text("no").to_owned()) });
        }
        Ok(Notice::verified(self.notice(&message)))
    }
    fn callback_reply(&self, verdict: Verdict) -> HttpReply {
        match verdict {
            Verdict::Accepted => HttpReply::new(200, "text/plain", "success"),
            Verdict::Refused => HttpReply::new(400, "text/plain", "fail"),
            Verdict::TryLater => HttpReply::new(503, "text/plain", "fail"),
        }
    }
    fn fetch_keys(&self, _: UnixMillis, nonce: Nonce, _: bool) -> Option<HttpCall> {
        Some(self.call("keys", &[], &nonce))
    }
    fn read_keys(&self, reply: &HttpReply, _: UnixMillis) -> Result<usize, String> {
        let text = std::str::from_utf8(&reply.body).map_err(|_| "unreadable".to_owned())?;
        let (_, message) = Message::read(text, &self.account).ok_or("the signature does not hold")?;
        let newest = u32::try_from(message.number("newest")).unwrap_or_default();
        let mut keys = self.keys.lock().unwrap();
        keys.extend(newest.saturating_sub(1)..=newest);
        Ok(keys.len())
    }
}
