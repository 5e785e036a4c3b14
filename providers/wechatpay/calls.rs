//! Each operation as a pair: how its request is written and what its reply means (README, section 1).
//!
//! Invariant: a 2xx counts only when its signature holds, and then only when account and number in it are ours;
//! everything else is `Unknown` or an error code's meaning. A close is never an end, an acceptance never a refund.
//! Business fields depend on the order alone, so a repeat is identical (S10). It sends nothing.

use super::WechatPay;
use super::codes;
use super::sign::{self, RequestParts, Seal};
use super::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use tongdao_core::money::{Currency, Money};
use tongdao_core::provider::{
    AttemptOrder, Environment, ErrorClass, Failure, HttpCall, HttpReply, Method, Nonce, Outcome, Pay, PayKind, Payment,
    Scene, Unsupported,
};
use tongdao_core::time::UnixMillis;

mod refund;
mod text;

pub(super) use refund::refund_outcome;

/// The longest an order may stay payable: 7 days is what all copies of the documents allow (README 4).
pub(super) const PAYABLE_MS_MAX: i64 = 7 * 86_400_000;
/// The least that a REFUND state proves: it says that money went back and not how much.
const REFUNDED_AT_LEAST: i64 = 1;

impl WechatPay {
    pub(super) fn write_create(
        &self,
        order: &AttemptOrder,
        now: UnixMillis,
        nonce: &Nonce,
    ) -> Result<HttpCall, Unsupported> {
        let product = match order.scene {
            Scene::Qr => "native",
            Scene::H5 => "h5",
            Scene::Jsapi => "jsapi",
            Scene::App => "app",
            Scene::Web => return Err(Unsupported("WeChat Pay has no desktop page; use the qr scene")),
        };
        let body = wire::Prepay {
            appid: &self.options.app_id,
            mchid: &self.options.mch_id,
            description: text::description(&order.subject),
            out_trade_no: order_no(&order.provider_order_no)?,
            time_expire: text::beijing(payable_until(order)).ok_or(Unsupported("the order's end is not a date"))?,
            notify_url: notify_url(&order.callback_url)?,
            amount: wire::PrepayAmount { total: fen(order.amount)?, currency: "CNY" },
            payer: if order.scene == Scene::Jsapi { Some(payer(order)?) } else { None },
            scene_info: if order.scene == Scene::H5 { Some(scene_info(order)?) } else { None },
        };
        self.post(&format!("/v3/pay/transactions/{product}"), &body, now, nonce)
    }

    pub(super) fn judge_create(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Outcome {
        if !is_success(reply) {
            return codes::create(reply);
        }
        let prepaid: wire::Prepaid = match self.signed_body(reply, now) {
            Ok(prepaid) => prepaid,
            Err(failure) => return Outcome::Unknown(failure),
        };
        let kind = match asked.scene {
            Scene::Qr => prepaid.code_url.filter(|url| url.starts_with("weixin://")).map(|url| PayKind::QrCode { url }),
            Scene::H5 => prepaid
                .h5_url
                .filter(|url| self.is_page(url))
                .map(|url| PayKind::Redirect { url: text::with_return(url, asked.return_url.as_deref()) }),
            Scene::Jsapi => prepaid.prepay_id.and_then(|id| self.jsapi(&id, now)),
            Scene::App => prepaid.prepay_id.and_then(|id| self.app(&id, now)),
            Scene::Web => None,
        };
        match kind {
            Some(kind) => {
                let pay = Pay { kind, expires_at: asked.life.code_ends_at };
                Outcome::Pending { pay: Some(pay), closable: true }
            }
            None => Outcome::Unknown(doubt("unreadable", "the prepay answer has nothing to pay with")),
        }
    }

    pub(super) fn write_query(
        &self,
        order: &AttemptOrder,
        now: UnixMillis,
        nonce: &Nonce,
    ) -> Result<HttpCall, Unsupported> {
        let number = order_no(&order.provider_order_no)?;
        let target = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={}", self.options.mch_id);
        self.call(&target, None, now, nonce)
    }

    pub(super) fn judge_query(&self, asked: &AttemptOrder, reply: &HttpReply, now: UnixMillis) -> Outcome {
        if !is_success(reply) {
            return codes::query(reply);
        }
        let transaction: wire::Transaction = match self.signed_body(reply, now) {
            Ok(transaction) => transaction,
            Err(failure) => return Outcome::Unknown(failure),
        };
        if !self.is_ours(&transaction) || transaction.out_trade_no != asked.provider_order_no {
            return Outcome::Unknown(doubt("foreign_answer", "the answer is about another account or order"));
        }
        match transaction.trade_state.as_str() {
            "SUCCESS" | "REFUND" => match payment(&transaction) {
                Some(payment) => Outcome::Paid(payment),
                None => Outcome::Unknown(doubt("unreadable", "a paid transaction lacks its number or its amount")),
            },
            "NOTPAY" | "USERPAYING" | "PAYERROR" | "ACCEPT" => Outcome::Pending { pay: None, closable: true },
            "CLOSED" | "REVOKED" => Outcome::Closed,
            _ => Outcome::Unknown(doubt("unknown_state", "the transaction is in a state that is not documented")),
        }
    }

    pub(super) fn write_close(
        &self,
        order: &AttemptOrder,
        now: UnixMillis,
        nonce: &Nonce,
    ) -> Result<HttpCall, Unsupported> {
        let number = order_no(&order.provider_order_no)?;
        let body = wire::Close { mchid: &self.options.mch_id };
        self.post(&format!("/v3/pay/transactions/out-trade-no/{number}/close"), &body, now, nonce)
    }

    /// A 204 comes for open, closed and perhaps unknown orders alike: it proves nothing (README 1).
    pub(super) fn judge_close(&self, reply: &HttpReply, now: UnixMillis) -> Outcome {
        if !is_success(reply) {
            return codes::close(reply);
        }
        match self.proof(reply, now) {
            Ok(()) => Outcome::Pending { pay: None, closable: true },
            Err(failure) => Outcome::Unknown(failure),
        }
    }

    pub(super) fn write_certificates(&self, now: UnixMillis, nonce: &Nonce) -> Option<HttpCall> {
        self.call("/v3/certificates", None, now, nonce).ok()
    }

    /// Whether a transaction names this account in both its words.
    pub(super) fn is_ours(&self, transaction: &wire::Transaction) -> bool {
        transaction.appid == self.options.app_id && transaction.mchid == self.options.mch_id
    }

    /// The verified body of a 200; anything else is doubt.
    pub(super) fn signed_body<T: DeserializeOwned>(&self, reply: &HttpReply, now: UnixMillis) -> Result<T, Failure> {
        self.proof(reply, now)?;
        if reply.status != 200 {
            // 202: accepted and not processed; the same request again, or a query, brings the answer.
            return Err(doubt(format!("http_{}", reply.status), "accepted and not processed yet"));
        }
        wire::read(&reply.body).ok_or_else(|| doubt("unreadable", "the answer is not the documented JSON"))
    }

    fn proof(&self, reply: &HttpReply, now: UnixMillis) -> Result<(), Failure> {
        let refused = || doubt("bad_signature", "a success whose signature does not hold is no answer");
        let seal = Seal::read(|name| reply.header(name)).ok_or_else(refused)?;
        let unknown = || doubt("unknown_key", "a success signed with a key that is not known here");
        let key = self.keys.find(seal.serial, now).ok_or_else(unknown)?;
        if !seal.holds(&key, &reply.body) {
            return Err(refused());
        }
        if seal.is_fresh(now) {
            Ok(())
        } else {
            Err(doubt("stale_signature", "the answer was signed 300 s or more ago"))
        }
    }

    fn post<T: Serialize>(
        &self,
        target: &str,
        body: &T,
        now: UnixMillis,
        nonce: &Nonce,
    ) -> Result<HttpCall, Unsupported> {
        let body = serde_json::to_vec(body).map_err(|_| Unsupported("the request could not be written"))?;
        self.call(target, Some(body), now, nonce)
    }

    /// A signed call: a POST where there is a body, else a GET.
    pub(super) fn call(
        &self,
        target: &str,
        body: Option<Vec<u8>>,
        now: UnixMillis,
        nonce: &Nonce,
    ) -> Result<HttpCall, Unsupported> {
        let method = if body.is_some() { Method::Post } else { Method::Get };
        let backup_url = self.options.backup_base_url.as_ref().map(|base| format!("{base}{target}"));
        let call = HttpCall {
            method,
            url: format!("{}{target}", self.options.base_url),
            backup_url,
            headers: Vec::new(),
            body: body.unwrap_or_default(),
        };
        self.signed(call, now, nonce)
    }

    /// A call with its headers: signed over the path and query of its URL exactly as they stand there.
    pub(super) fn signed(&self, mut call: HttpCall, now: UnixMillis, nonce: &Nonce) -> Result<HttpCall, Unsupported> {
        let options = &self.options;
        let parts = RequestParts {
            method: call.method,
            target: sign::target_of(&call.url),
            timestamp: now.as_secs(),
            nonce: &nonce.0,
            body: &call.body,
        };
        let authorization = parts
            .authorization(&options.merchant_key, &options.mch_id, &options.merchant_serial)
            .map_err(|_| Unsupported("the merchant key could not sign"))?;
        let mut headers = vec![
            ("authorization".to_owned(), authorization),
            ("accept".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), concat!("tongdao/", env!("CARGO_PKG_VERSION")).to_owned()),
        ];
        if call.method == Method::Post {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        headers.extend(self.keys.preferred(now).map(|serial| ("wechatpay-serial".to_owned(), serial)));
        call.headers = headers;
        Ok(call)
    }

    fn jsapi(&self, prepay_id: &str, now: UnixMillis) -> Option<PayKind> {
        let package = format!("prepay_id={prepay_id}");
        let (timestamp, nonce) = once(prepay_id, now)?;
        let lines = [self.options.app_id.as_str(), &timestamp, &nonce, &package];
        let signature = sign::pay_sign(&self.options.merchant_key, lines).ok()?;
        Some(PayKind::Jsapi {
            params: fields([
                ("appId", self.options.app_id.as_str()),
                ("timeStamp", &timestamp),
                ("nonceStr", &nonce),
                ("package", &package),
                ("signType", "RSA"),
                ("paySign", &signature),
            ]),
        })
    }

    fn app(&self, prepay_id: &str, now: UnixMillis) -> Option<PayKind> {
        let (timestamp, nonce) = once(prepay_id, now)?;
        let lines = [self.options.app_id.as_str(), &timestamp, &nonce, prepay_id];
        let signature = sign::pay_sign(&self.options.merchant_key, lines).ok()?;
        Some(PayKind::App {
            params: fields([
                ("appId", self.options.app_id.as_str()),
                ("partnerId", &self.options.mch_id),
                ("prepayId", prepay_id),
                ("packageValue", "Sign=WXPay"),
                ("nonceStr", &nonce),
                ("timeStamp", &timestamp),
                ("sign", &signature),
            ]),
        })
    }

    fn is_page(&self, url: &str) -> bool {
        let http = self.options.environment == Environment::Sandbox && url.starts_with("http://");
        http || url.starts_with("https://")
    }
}

/// The payment that a transaction in state SUCCESS or REFUND states; `None` when a figure is missing.
pub(super) fn payment(transaction: &wire::Transaction) -> Option<Payment> {
    let amount = transaction.amount.as_ref()?;
    let paid_at = transaction.success_time.as_deref().and_then(text::moment);
    Some(Payment {
        provider_order_no: transaction.out_trade_no.clone(),
        provider_trade_no: transaction.transaction_id.clone().filter(|number| !number.is_empty())?,
        amount: money(amount.total?, amount.currency.as_deref())?,
        paid_at,
        settled_on: None,
        refunded: if transaction.trade_state == "REFUND" { REFUNDED_AT_LEAST } else { 0 },
    })
}

/// Fen of a stated currency; a currency that is not stated is CNY, the only one of this product.
pub(super) fn money(amount: i64, currency: Option<&str>) -> Option<Money> {
    let currency = currency.map_or(Ok(Currency::CNY), Currency::read).ok()?;
    (amount >= 0).then_some(Money { amount, currency })
}

pub(super) fn is_success(reply: &HttpReply) -> bool {
    (200..=299).contains(&reply.status)
}

pub(super) fn doubt(code: impl Into<String>, detail: &str) -> Failure {
    Failure::new(ErrorClass::Unknown, code, detail)
}

/// The order's end, never past 7 days after it was made, whatever life it was given.
fn payable_until(order: &AttemptOrder) -> UnixMillis {
    order.life.payable_until.min(order.created_at.plus_ms(PAYABLE_MS_MAX))
}

fn fen(money: Money) -> Result<i64, Unsupported> {
    if money.currency == Currency::CNY && money.amount > 0 {
        Ok(money.amount)
    } else {
        Err(Unsupported("WeChat Pay takes positive amounts of CNY only"))
    }
}

fn order_no(number: &str) -> Result<&str, Unsupported> {
    let holds = (6..=32).contains(&number.len()) && is_number(number);
    if holds { Ok(number) } else { Err(Unsupported("the order number is not 6 to 32 letters and digits")) }
}

/// `|`, `*` and `@` are allowed there too and left out here: HTTP stacks disagree on how to send them (README 2).
fn is_number(number: &str) -> bool {
    number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn notify_url(url: &str) -> Result<&str, Unsupported> {
    let absolute = url.starts_with("https://") || url.starts_with("http://");
    if absolute && url.len() <= 255 && url.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#') {
        Ok(url)
    } else {
        Err(Unsupported("the callback address must be absolute, at most 255 bytes and without a query"))
    }
}

fn payer(order: &AttemptOrder) -> Result<wire::PrepayPayer<'_>, Unsupported> {
    let openid = order.payer.openid.as_deref().filter(|openid| (1..=128).contains(&openid.len()));
    openid.map(|openid| wire::PrepayPayer { openid }).ok_or(Unsupported("the jsapi scene needs payer.openid"))
}

fn scene_info(order: &AttemptOrder) -> Result<wire::SceneInfo<'_>, Unsupported> {
    let address = order.payer.client_ip.as_deref().filter(|ip| ip.parse::<std::net::IpAddr>().is_ok());
    let payer_client_ip = address.ok_or(Unsupported("the h5 scene needs the payer's address in payer.client_ip"))?;
    Ok(wire::SceneInfo { payer_client_ip, h5_info: wire::H5Info { kind: "Wap" } })
}

/// The second signature's time and nonce. A prepay_id is unguessable and used once, so its hash with the time is a
/// nonce that reading a reply can make without randomness. `None` for an id that could not have come from them.
fn once(prepay_id: &str, now: UnixMillis) -> Option<(String, String)> {
    let plain = (1..=64).contains(&prepay_id.len()) && prepay_id.bytes().all(|b| b.is_ascii_graphic());
    let timestamp = now.as_secs().to_string();
    let digest = Sha256::digest(format!("{prepay_id}\n{timestamp}"));
    let nonce = digest.iter().take(16).map(|byte| format!("{byte:02X}")).collect();
    plain.then_some((timestamp, nonce))
}

fn fields<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests;
