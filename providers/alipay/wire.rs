//! The gateway's envelope (sections 2 to 4): signed requests out, verified answers in.
//!
//! Invariant: an answer is `Signed` only when the signature holds over the exact bytes of its node as received, by
//! the expected operation's name, in a document without a key twice. What is unsigned, badly signed, of another
//! operation or unreadable is told apart from it by type, so that no caller can take it for success.
//! It knows no operation's fields; times on the wire are Beijing's (UTC+8).

use super::codes;
use super::options::Options;
use super::sign::{self, Trust, Verified};
use crate::shared::form;
use crate::shared::rsa::KeyFault;
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use tongdao_core::provider::{ErrorClass, Failure, HttpCall, HttpReply, Method};
use tongdao_core::time::UnixMillis;

/// One request before it is signed.
pub(super) struct Request<'a> {
    /// `alipay.trade.query` and the like.
    pub(super) method: &'a str,
    /// The JSON of `biz_content`.
    pub(super) biz_content: String,
    /// Where the notice goes; only what makes a trade has one.
    pub(super) notify_url: Option<&'a str>,
    /// Where the browser goes afterwards; pages only.
    pub(super) return_url: Option<&'a str>,
}

/// The call that sends a request: common parameters in the query, `biz_content` in the body, as the official
/// libraries do it.
pub(super) fn call(options: &Options, request: &Request<'_>, now: UnixMillis) -> Result<HttpCall, KeyFault> {
    let fields = signed_fields(options, request, now)?;
    let (body, query): (Vec<_>, Vec<_>) = pairs(&fields).partition(|(key, _)| *key == "biz_content");
    Ok(HttpCall {
        method: Method::Post,
        url: format!("{}?{}", options.gateway_url, form::encode(query)),
        backup_url: None,
        headers: vec![("content-type".into(), "application/x-www-form-urlencoded;charset=utf-8".into())],
        body: form::encode(body).into_bytes(),
    })
}

/// The URL that takes the payer's browser to the cashier; nothing is sent from here.
pub(super) fn page_url(options: &Options, request: &Request<'_>, now: UnixMillis) -> Result<String, KeyFault> {
    Ok(format!("{}?{}", options.gateway_url, order_string(options, request, now)?))
}

/// The signed and encoded parameters that the wallet's SDK takes in the merchant's app.
pub(super) fn order_string(options: &Options, request: &Request<'_>, now: UnixMillis) -> Result<String, KeyFault> {
    let fields = signed_fields(options, request, now)?;
    Ok(form::encode(pairs(&fields)))
}

/// What came back.
pub(super) enum Answer {
    /// Alipay signed this node.
    Signed(Node),
    /// A readable node without a signature: never success, never a definite business failure.
    Unsigned(Node),
    /// Nothing that may be believed; why.
    Doubtful(Failure),
}

/// An answer's node: its members, each once.
pub(super) struct Node(BTreeMap<String, Value>);

impl Node {
    /// A member's text; `None` when it is absent, empty or not text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// `code`, or nothing.
    pub(super) fn code(&self) -> &str {
        self.text("code").unwrap_or_default()
    }

    /// `sub_code`, or nothing.
    pub(super) fn sub_code(&self) -> &str {
        self.text("sub_code").unwrap_or_default()
    }
}

/// Reads and verifies an answer to `method`.
pub(super) fn read_answer(trust: &Trust, method: &str, reply: &HttpReply) -> Answer {
    let Envelope { raw: node, members, signature, certificate_no } = match open(reply, method) {
        Ok(envelope) => envelope,
        Err(failure) => return Answer::Doubtful(failure),
    };
    let Some(signature) = signature else { return Answer::Unsigned(Node(members)) };
    let verify = |text: &str| trust.verify_named(text, &signature, certificate_no.as_deref());
    let first = verify(node);
    let verified = match first {
        // Section 4: the official libraries try a second text, since some answers are signed before escaping.
        Verified::Fails if node.contains("\\/") => verify(&node.replace("\\/", "/")),
        Verified::Holds | Verified::Fails | Verified::UnknownCertificate => first,
    };
    match verified {
        Verified::Holds => Answer::Signed(Node(members)),
        Verified::Fails => doubtful("bad_signature", "the answer's signature does not hold"),
        Verified::UnknownCertificate => {
            doubtful("unknown_certificate", "the answer is signed by a certificate not known yet; it is fetched")
        }
    }
}

/// The failure that a readable but unbelieved node stands for, and whether it is one of our configuration.
pub(super) fn unsigned_failure(node: &Node) -> (Failure, bool) {
    let code = codes::printable(node.code(), node.sub_code());
    let is_ours = codes::is_unsigned_misconfiguration(node.code());
    let class = if is_ours { ErrorClass::Misconfigured } else { ErrorClass::Unknown };
    (Failure::new(class, code, "the answer carries no signature"), is_ours)
}

/// Reads an answer whose content proves itself (a certificate); never one about money.
pub(super) fn read_self_proving(method: &str, reply: &HttpReply) -> Result<Node, Failure> {
    open(reply, method).map(|envelope| Node(envelope.members))
}

/// A moment as `yyyy-MM-dd HH:mm:ss` in Beijing.
pub(super) fn beijing(moment: UnixMillis) -> String {
    let zone = jiff::tz::TimeZone::fixed(BEIJING);
    let moment = jiff::Timestamp::from_second(moment.as_secs()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.to_zoned(zone).strftime(TIME_FORMAT).to_string()
}

/// Reads `yyyy-MM-dd HH:mm:ss` of Beijing, with or without a fraction.
pub(super) fn read_beijing(text: &str) -> Option<UnixMillis> {
    let whole_seconds = text.split('.').next().unwrap_or_default();
    let civil = jiff::civil::DateTime::strptime(TIME_FORMAT, whole_seconds).ok()?;
    let moment = jiff::tz::TimeZone::fixed(BEIJING).to_timestamp(civil).ok()?;
    Some(UnixMillis(moment.as_millisecond()))
}

const BEIJING: jiff::tz::Offset = jiff::tz::offset(8);
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

fn signed_fields(
    options: &Options,
    request: &Request<'_>,
    now: UnixMillis,
) -> Result<BTreeMap<String, String>, KeyFault> {
    let timestamp = beijing(now);
    let numbers = options.certificate_numbers.as_ref();
    let given = [
        ("app_id", Some(options.app_id.as_str())),
        ("method", Some(request.method)),
        ("format", Some("JSON")),
        ("charset", Some("utf-8")),
        ("sign_type", Some("RSA2")),
        ("timestamp", Some(timestamp.as_str())),
        ("version", Some("1.0")),
        ("notify_url", request.notify_url),
        ("return_url", request.return_url),
        ("app_cert_sn", numbers.map(|numbers| numbers.app.as_str())),
        ("alipay_root_cert_sn", numbers.map(|numbers| numbers.root.as_str())),
        ("biz_content", Some(request.biz_content.as_str())),
    ];
    let given = given.into_iter().filter_map(|(key, value)| value.map(|value| (key.to_owned(), value.to_owned())));
    let mut fields: BTreeMap<String, String> = given.filter(|(_, value)| !value.trim().is_empty()).collect();
    let signature = sign::sign(&options.app_key, &fields)?;
    fields.insert("sign".into(), signature);
    Ok(fields)
}

fn pairs(fields: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    fields.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

struct Envelope<'a> {
    /// The node's exact text.
    raw: &'a str,
    members: BTreeMap<String, Value>,
    signature: Option<String>,
    certificate_no: Option<String>,
}

fn open<'a>(reply: &'a HttpReply, method: &str) -> Result<Envelope<'a>, Failure> {
    if reply.status != 200 {
        return Err(http_failure(reply.status));
    }
    let unreadable = || Failure::new(ErrorClass::Unknown, "unreadable", "the answer is not one of this operation");
    let Unique(outer) = serde_json::from_slice::<Unique<&RawValue>>(&reply.body).map_err(|_| unreadable())?;
    let expected = format!("{}_response", method.replace('.', "_"));
    let raw = match (outer.get(&expected), outer.get("error_response")) {
        (Some(node), None) | (None, Some(node)) => node.get(),
        (None, None) | (Some(_), Some(_)) => return Err(unreadable()),
    };
    let Unique(members) = serde_json::from_str(raw).map_err(|_| unreadable())?;
    let text = |key| outer.get(key).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let signature = text("sign").filter(|signature| !signature.is_empty());
    let certificate_no = text("alipay_cert_sn").filter(|number| !number.is_empty());
    Ok(Envelope { raw, members, signature, certificate_no })
}

fn doubtful(code: &str, detail: &str) -> Answer {
    Answer::Doubtful(Failure::new(ErrorClass::Unknown, code, detail))
}

fn http_failure(status: u16) -> Failure {
    let class = match status {
        429 => ErrorClass::Congested,
        500..=599 => ErrorClass::Unavailable,
        _ => ErrorClass::Unknown,
    };
    Failure::new(class, format!("http_{status}"), "the gateway answers 200 to everything it has read")
}

/// A JSON object that names no key twice: two readers could take it for two answers.
struct Unique<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
    type Value = Unique<V>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<V>, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, V>()? {
            if members.insert(key, value).is_some() {
                return Err(A::Error::custom("a key occurs twice"));
            }
        }
        Ok(Unique(members))
    }
}

#[cfg(test)]
mod tests;
