//! The request for a charge.
//!
//! Invariant: a `NewCharge` made here has passed every limit of `POST /v1/charges`; defaults come from the merchant's
//! configuration of this moment and count as if the caller had written them.

use super::hash;
use crate::config::{Config, LatePayment, Merchant, UnprovableEnd};
use crate::http::json::{Checked, Faults, Fields, integer, plain, text, word};
use crate::http::problem::Problem;
use crate::transport::check_webhook_url;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tongdao_core::charge::{NewCharge, Policy};
use tongdao_core::ids::{ChannelId, ChargeId, is_name};
use tongdao_core::money::Money;
use tongdao_core::provider::{Payer, Scene};

const AMOUNT_MAX: i64 = 10_000_000_000;
const SUBJECT_BYTES_MAX: usize = 127;
const EXPIRES_IN_S: (i64, i64) = (60, 1800);
const DEADLINE_S: (i64, i64) = (1, 259_200);
const DEADLINE_DEFAULT_S: i64 = 300;
const METADATA_MAX: usize = 16;
const METADATA_KEY_CHARS_MAX: usize = 40;
const METADATA_VALUE_CHARS_MAX: usize = 500;
const PAYER_CHARS_MAX: usize = 128;

/// Who asks, and what only the server can add.
pub(crate) struct Asker<'a> {
    pub(crate) config: &'a Config,
    pub(crate) merchant: &'a Merchant,
    pub(crate) id: ChargeId,
    pub(crate) token: String,
}

/// Reads one charge; `at` is where it stands in the body.
pub(crate) fn read_charge(raw: &RawValue, at: &str, asker: Asker<'_>) -> Result<(NewCharge, String), Problem> {
    let faults = Faults::default();
    let charge = Fields::read(at, raw, &faults).and_then(|fields| read(fields, &faults, asker));
    let charge = faults.close(charge)?;
    let hash = hash("charges", &Canonical::of(&charge));
    Ok((charge, hash))
}

fn read(mut fields: Fields<'_, '_>, faults: &Faults, asker: Asker<'_>) -> Option<NewCharge> {
    let urls = Urls { allow_private: asker.config.server.allow_private_webhook_targets };
    let merchant_order_no = fields.required("merchant_order_no", order_no);
    let amount = fields.required("amount", |raw| integer(raw, 1, AMOUNT_MAX));
    fields.optional("currency", |raw| word(raw, &[("CNY", ())]));
    let subject = fields.required("subject", subject);
    let scene = fields.optional("scene", scene).unwrap_or(Scene::Qr);
    let payer = fields.object("payer").map(|fields| read_payer(fields, asker.config)).unwrap_or_default();
    if scene == Scene::Jsapi && payer.openid.is_none() {
        faults.add(format!("{}/openid", fields.pointer("payer")), "is required for the scene jsapi");
    }
    let pin = fields.optional("channel", |raw| known_channel(raw, asker.config));
    let notify_url =
        fields.optional("notify_url", |raw| urls.webhook(raw)).or_else(|| asker.merchant.notify_url.clone());
    if notify_url.is_none() {
        fields.fault("notify_url", "is required, since the merchant has no default");
    }
    let return_url = fields.optional("return_url", |raw| urls.web(raw)).or_else(|| asker.merchant.return_url.clone());
    let (least, most) = EXPIRES_IN_S;
    let expires_in_s = fields.optional("expires_in", |raw| integer(raw, least, most)).unwrap_or(most);
    let delivery = fields.object("delivery").map(read_delivery).unwrap_or_default();
    let metadata = fields.object("metadata").map(|fields| read_metadata(fields, faults)).unwrap_or_default();
    fields.finish();
    Some(NewCharge {
        id: asker.id,
        merchant: asker.merchant.id.clone(),
        merchant_order_no: merchant_order_no?,
        amount: Money::cny(amount?),
        subject: subject?,
        scene,
        payer,
        pin,
        notify_url: notify_url?,
        return_url,
        metadata,
        expires_in_s,
        delivery_deadline_s: delivery.deadline_s.unwrap_or(DEADLINE_DEFAULT_S),
        policy: Policy {
            refund_late: asker.merchant.late_payment == LatePayment::Refund,
            refund_overdue: delivery.refund_overdue,
            wait_for_end: asker.merchant.unprovable_end == UnprovableEnd::Wait,
        },
        token: asker.token,
    })
}

/// `merchant_order_no` and `refund_no`.
pub(super) fn order_no(raw: &RawValue) -> Checked<String> {
    let text = text(raw)?;
    if is_name(&text) { Ok(text) } else { Err("must be 1 to 64 of A-Z a-z 0-9 . _ -".to_owned()) }
}

pub(super) fn scene(raw: &RawValue) -> Checked<Scene> {
    word(raw, &Scene::ALL.map(|scene| (scene.as_str(), scene)))
}

pub(super) fn known_channel(raw: &RawValue, config: &Config) -> Checked<ChannelId> {
    let id = text(raw)?.parse::<ChannelId>().ok().filter(|id| config.channel(id).is_some());
    id.ok_or_else(|| "is not a channel here".to_owned())
}

/// A provider that is built in or configured.
pub(super) fn known_provider(raw: &RawValue, config: &Config) -> Checked<String> {
    let text = text(raw)?;
    let built_in = crate::config::built_in_providers();
    if built_in.contains(&text.as_str()) || config.channels.iter().any(|channel| channel.provider_id.as_str() == text) {
        return Ok(text);
    }
    Err(format!("must be one of {}", built_in.join(", ")))
}

fn subject(raw: &RawValue) -> Checked<String> {
    let text = text(raw)?;
    if text.chars().any(char::is_control) {
        return Err("must not have control characters".to_owned());
    }
    if (1..=SUBJECT_BYTES_MAX).contains(&text.len()) {
        Ok(text)
    } else {
        Err(format!("must have 1 to {SUBJECT_BYTES_MAX} bytes"))
    }
}

pub(super) fn read_payer(mut fields: Fields<'_, '_>, config: &Config) -> Payer {
    let client_ip = |raw: &RawValue| {
        let address: Result<std::net::IpAddr, _> = text(raw)?.parse();
        address.map(|address| address.to_string()).map_err(|_| "must be an IP address".to_owned())
    };
    let payer = Payer {
        id: fields.optional("id", |raw| plain(raw, PAYER_CHARS_MAX)),
        client_ip: fields.optional("client_ip", client_ip),
        openid: fields.optional("openid", |raw| plain(raw, PAYER_CHARS_MAX)),
        methods: fields.optional("methods", |raw| methods(raw, config)).unwrap_or_default(),
        preferred: fields.optional("preferred", |raw| known_provider(raw, config)),
    };
    fields.finish();
    payer
}

fn methods(raw: &RawValue, config: &Config) -> Checked<Vec<String>> {
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| "must be a list".to_owned())?;
    let mut methods = list.into_iter().map(|raw| known_provider(raw, config)).collect::<Checked<Vec<String>>>()?;
    if methods.is_empty() {
        return Err("must name at least one; leave it out for all".to_owned());
    }
    // A set: neither order nor repeats mean anything.
    methods.sort();
    methods.dedup();
    Ok(methods)
}

#[derive(Default)]
struct DeliveryTerms {
    deadline_s: Option<i64>,
    refund_overdue: bool,
}

fn read_delivery(mut fields: Fields<'_, '_>) -> DeliveryTerms {
    let (least, most) = DEADLINE_S;
    let terms = DeliveryTerms {
        deadline_s: fields.optional("deadline", |raw| integer(raw, least, most)),
        refund_overdue: fields
            .optional("on_overdue", |raw| word(raw, &[("retry", false), ("refund", true)]))
            .unwrap_or_default(),
    };
    fields.finish();
    terms
}

fn read_metadata(mut fields: Fields<'_, '_>, faults: &Faults) -> BTreeMap<String, String> {
    let pairs = fields.rest();
    if pairs.len() > METADATA_MAX {
        faults.add(fields.pointer("").trim_end_matches('/'), format!("must have at most {METADATA_MAX} pairs"));
        return BTreeMap::new();
    }
    let mut metadata = BTreeMap::new();
    for (key, raw) in pairs {
        let value = text(raw).and_then(|value| {
            let fits = value.chars().count() <= METADATA_VALUE_CHARS_MAX;
            if fits { Ok(value) } else { Err(format!("must have at most {METADATA_VALUE_CHARS_MAX} characters")) }
        });
        if !(1..=METADATA_KEY_CHARS_MAX).contains(&key.chars().count()) {
            fields.fault(&key, format!("its key must have 1 to {METADATA_KEY_CHARS_MAX} characters"));
        }
        match value {
            Ok(value) => drop(metadata.insert(key, value)),
            Err(detail) => fields.fault(&key, detail),
        }
    }
    metadata
}

struct Urls {
    allow_private: bool,
}

impl Urls {
    fn webhook(&self, raw: &RawValue) -> Checked<String> {
        let text = text(raw)?;
        check_webhook_url(&text, self.allow_private).map(|()| text).map_err(|fault| fault.to_string())
    }

    /// Where the payer's browser goes: it may carry a fragment, and nobody here calls it.
    fn web(&self, raw: &RawValue) -> Checked<String> {
        let text = text(raw)?;
        let without_fragment = text.split('#').next().unwrap_or_default();
        check_webhook_url(without_fragment, self.allow_private).map_err(|fault| fault.to_string())?;
        Ok(text)
    }
}

/// What makes two requests for a charge equal.
#[derive(Serialize)]
struct Canonical<'a> {
    merchant_order_no: &'a str,
    amount: i64,
    currency: &'a str,
    subject: &'a str,
    scene: &'static str,
    payer: &'a Payer,
    channel: Option<&'a str>,
    notify_url: &'a str,
    return_url: Option<&'a str>,
    expires_in: i64,
    deadline: i64,
    refund_overdue: bool,
    metadata: &'a BTreeMap<String, String>,
}

impl<'a> Canonical<'a> {
    fn of(new: &'a NewCharge) -> Self {
        Self {
            merchant_order_no: &new.merchant_order_no,
            amount: new.amount.amount,
            currency: new.amount.currency.as_str(),
            subject: &new.subject,
            scene: new.scene.as_str(),
            payer: &new.payer,
            channel: new.pin.as_ref().map(ChannelId::as_str),
            notify_url: &new.notify_url,
            return_url: new.return_url.as_deref(),
            expires_in: new.expires_in_s,
            deadline: new.delivery_deadline_s,
            refund_overdue: new.policy.refund_overdue,
            metadata: &new.metadata,
        }
    }
}
