//! Writes UnionPay's requests (protocol notes, 3 and 5).
//!
//! Invariant: an order is orderId + txnTime + merId, one txnTime for ever. A repeated request has every field the
//! same (S10), and a create is written only while its txnTime is young enough for the gateway to take it.
//! It reads nothing; what the answers mean is in `answers.rs`.

use super::UnionPay;
use super::wire::{Fields, beijing, plain_text, write_form};
use tongdao_core::money::{Currency, Money};
use tongdao_core::provider::{
    AttemptOrder, CodeLife, HttpCall, Method, Next, Outcome, Pay, PayKind, RefundOrder, Scene, Unsupported,
};
use tongdao_core::time::UnixMillis;

/// How old a txnTime the gateway still takes, in milliseconds.
pub(super) const TXN_TIME_AGE_MAX_MS: i64 = 5 * 60_000;

impl UnionPay {
    /// payTimeout comes after the configured minutes, or with the charge's end rounded up to the second; a form
    /// also ends when the gateway no longer takes its txnTime.
    pub(super) fn life(&self, scene: Scene, now: UnixMillis, expires_at: UnixMillis) -> CodeLife {
        let minutes_ms = self.options.pay_timeout_minutes.saturating_mul(60_000);
        let payable_until = second_up(now.plus_ms(minutes_ms)).min(second_up(expires_at));
        let code_ends_at = match scene {
            Scene::Web | Scene::H5 => payable_until.min(form_end(now)),
            Scene::Qr | Scene::App | Scene::Jsapi => payable_until,
        };
        CodeLife { code_ends_at, payable_until }
    }

    pub(super) fn write_create(&self, order: &AttemptOrder, now: UnixMillis) -> Result<Next<Outcome>, Unsupported> {
        may_be_created(order, now)?;
        match order.scene {
            Scene::Qr => {
                let fields = self.order_fields(order, ["07", "000000", "08"])?;
                self.post(&self.options.back_url, fields).map(Next::Call)
            }
            Scene::App => {
                let mut fields = self.order_fields(order, ["01", "000201", "08"])?;
                put(&mut fields, "orderDesc", plain_text(&order.subject, SUBJECT_BYTES_MAX));
                self.post(&self.options.app_url, fields).map(Next::Call)
            }
            Scene::Web => self.form(order, "07"),
            Scene::H5 => self.form(order, "08"),
            Scene::Jsapi => Err(Unsupported("UnionPay has no payment inside WeChat")),
        }
    }

    pub(super) fn write_query(&self, number: &str, made_at: UnixMillis) -> Result<HttpCall, Unsupported> {
        let fields = self.named(number, made_at, ["00", "00", "000000"])?;
        self.post(&self.options.query_url, fields)
    }

    pub(super) fn write_refund(&self, order: &RefundOrder) -> Result<HttpCall, Unsupported> {
        let Some(original) = order.provider_trade_no.as_deref().filter(|no| !no.is_empty()) else {
            return Err(Unsupported("a refund needs UnionPay's own number (queryId) of the payment"));
        };
        let biz_type = self.options.refund_biz_type.as_str();
        let mut fields = self.named(&order.provider_refund_no, order.created_at, ["04", "00", biz_type])?;
        put(&mut fields, "channelType", "07");
        put(&mut fields, "origQryId", original);
        put(&mut fields, "txnAmt", fen(order.amount)?);
        put(&mut fields, "currencyCode", CNY);
        put(&mut fields, "backUrl", address(&order.callback_url)?);
        self.post(&self.options.back_url, fields)
    }

    /// A form for the payer's browser: nothing is sent by us.
    fn form(&self, order: &AttemptOrder, channel_type: &str) -> Result<Next<Outcome>, Unsupported> {
        let mut fields = self.order_fields(order, ["01", "000201", channel_type])?;
        if let Some(url) = &order.return_url {
            put(&mut fields, "frontUrl", address(url)?);
        }
        let subject = plain_text(&order.subject, SUBJECT_BYTES_MAX);
        if !subject.is_empty() {
            put(&mut fields, "riskRateInfo", format!("{{commodityName={subject}}}"));
        }
        let fields = self.options.keys.sign(fields).map_err(|_| NOT_SIGNED)?;
        let expires_at = order.life.code_ends_at.min(order.life.payable_until).min(form_end(order.created_at));
        let kind = PayKind::Form { action: self.options.front_url.clone(), fields };
        Ok(Next::Done(Outcome::Pending { pay: Some(Pay { kind, expires_at }), closable: false }))
    }

    fn order_fields(&self, order: &AttemptOrder, own: [&str; 3]) -> Result<Fields, Unsupported> {
        let [sub_type, biz_type, channel_type] = own;
        let mut fields = self.named(&order.provider_order_no, order.created_at, ["01", sub_type, biz_type])?;
        put(&mut fields, "channelType", channel_type);
        put(&mut fields, "txnAmt", fen(order.amount)?);
        put(&mut fields, "currencyCode", CNY);
        put(&mut fields, "payTimeout", beijing(second_up(order.life.payable_until)));
        put(&mut fields, "backUrl", address(&order.callback_url)?);
        Ok(fields)
    }

    /// What every message carries, and the order that it names.
    fn named(&self, number: &str, made_at: UnixMillis, kind: [&str; 3]) -> Result<Fields, Unsupported> {
        if !(8..=40).contains(&number.len()) || !number.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Unsupported("UnionPay's orderId has 8 to 40 letters and digits"));
        }
        let mut fields = self.frame(made_at, kind);
        put(&mut fields, "orderId", number);
        Ok(fields)
    }

    /// What every message carries.
    pub(super) fn frame(&self, made_at: UnixMillis, kind: [&str; 3]) -> Fields {
        let [txn_type, sub_type, biz_type] = kind;
        let time = beijing(made_at);
        let pairs = [
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("txnType", txn_type),
            ("txnSubType", sub_type),
            ("bizType", biz_type),
            ("accessType", "0"),
            ("merId", &self.options.mer_id),
            ("txnTime", &time),
        ];
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    pub(super) fn post(&self, url: &str, fields: Fields) -> Result<HttpCall, Unsupported> {
        let fields = self.options.keys.sign(fields).map_err(|_| NOT_SIGNED)?;
        let content_type = "application/x-www-form-urlencoded;charset=UTF-8";
        Ok(HttpCall {
            method: Method::Post,
            url: url.to_owned(),
            backup_url: None,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: write_form(&fields),
        })
    }
}

const CNY: &str = "156";
const SUBJECT_BYTES_MAX: usize = 32;
const ADDRESS_BYTES_MAX: usize = 256;
const FEN_MAX: i64 = 999_999_999_999;
const NOT_SIGNED: Unsupported = Unsupported("the message could not be signed");

fn may_be_created(order: &AttemptOrder, now: UnixMillis) -> Result<(), Unsupported> {
    if now.since_ms(second_down(order.created_at)) >= TXN_TIME_AGE_MAX_MS {
        return Err(Unsupported("txnTime is five minutes old: the gateway wants a new orderId"));
    }
    if now >= order.life.payable_until {
        return Err(Unsupported("payTimeout has passed"));
    }
    Ok(())
}

fn form_end(made_at: UnixMillis) -> UnixMillis {
    second_down(made_at).plus_ms(TXN_TIME_AGE_MAX_MS)
}

fn second_down(moment: UnixMillis) -> UnixMillis {
    UnixMillis(0).plus_s(moment.as_secs())
}

fn second_up(moment: UnixMillis) -> UnixMillis {
    second_down(moment.plus_ms(999))
}

fn fen(sum: Money) -> Result<String, Unsupported> {
    if sum.currency != Currency::CNY || !(1..=FEN_MAX).contains(&sum.amount) {
        return Err(Unsupported("UnionPay takes 1 to 999999999999 fen"));
    }
    Ok(sum.amount.to_string())
}

fn address(url: &str) -> Result<&str, Unsupported> {
    if url.len() > ADDRESS_BYTES_MAX {
        return Err(Unsupported("UnionPay takes addresses of up to 256 bytes"));
    }
    Ok(url)
}

pub(super) fn put(fields: &mut Fields, key: &str, value: impl Into<String>) {
    fields.insert(key.to_owned(), value.into());
}

#[cfg(test)]
mod tests;
