//! The shorter requests: attempts, refunds, reports on deliveries, batches.
//!
//! Invariant: an absent body is an empty object where nothing is required, and nothing else.

use super::hash;
use super::open_charge::{known_channel, known_provider, order_no, scene};
use crate::config::Config;
use crate::flow::{AskedRefund, RetryAsk};
use crate::http::json::{Faults, Fields, integer, parse, plain, word};
use crate::http::problem::Problem;
use serde::Serialize;
use serde_json::value::RawValue;
use tongdao_core::delivery::Report;
use tongdao_core::ids::ChargeId;

const AMOUNT_MAX: i64 = 10_000_000_000;
const REASON_CHARS_MAX: usize = 80;
const REFERENCE_CHARS_MAX: usize = 128;
const DETAIL_CHARS_MAX: usize = 500;
const BATCH_MAX: usize = 100;

/// `POST /v1/charges/{id}/attempts`.
pub(crate) fn read_attempt(
    body: &[u8],
    charge: ChargeId,
    key: Option<String>,
    config: &Config,
) -> Result<RetryAsk, Problem> {
    #[derive(Serialize)]
    struct Canonical<'a> {
        charge: ChargeId,
        channel: Option<&'a str>,
        provider: Option<&'a str>,
        scene: Option<&'static str>,
    }
    let faults = Faults::default();
    let ask = Fields::read("", parse(or_empty(body))?, &faults).map(|mut fields| {
        let ask = RetryAsk {
            channel: fields.optional("channel", |raw| known_channel(raw, config)),
            provider: fields.optional("provider", |raw| known_provider(raw, config)),
            scene: fields.optional("scene", scene),
            idempotency_key: None,
        };
        fields.finish();
        ask
    });
    let mut ask = faults.close(ask)?;
    let canonical = Canonical {
        charge,
        channel: ask.channel.as_ref().map(tongdao_core::ids::ChannelId::as_str),
        provider: ask.provider.as_deref(),
        scene: ask.scene.map(tongdao_core::provider::Scene::as_str),
    };
    ask.idempotency_key = key.map(|key| (key, hash("attempts", &canonical)));
    Ok(ask)
}

/// A refund's fields.
#[derive(Debug, Serialize)]
pub(crate) struct Refunding {
    charge: ChargeId,
    refund_no: String,
    amount: i64,
    reason: String,
}

/// `POST /v1/charges/{id}/refunds`.
pub(crate) fn read_refund(body: &[u8], charge: ChargeId) -> Result<AskedRefund, Problem> {
    let faults = Faults::default();
    let asked = Fields::read("", parse(body)?, &faults).and_then(|mut fields| {
        let refund_no = fields.required("refund_no", order_no);
        let amount = fields.required("amount", |raw| integer(raw, 1, AMOUNT_MAX));
        let reason = fields.optional("reason", |raw| plain(raw, REASON_CHARS_MAX)).unwrap_or_default();
        // Refunds are made in the charge's currency; saying so is allowed.
        fields.optional("currency", |raw| word(raw, &[("CNY", ())]));
        fields.finish();
        Some(Refunding { charge, refund_no: refund_no?, amount: amount?, reason })
    });
    let refunding = faults.close(asked)?;
    let request_hash = hash("refunds", &refunding);
    let Refunding { charge, refund_no, amount, reason } = refunding;
    Ok(AskedRefund { charge, refund_no, amount, reason, request_hash })
}

/// `POST /v1/charges/{id}/delivery`.
pub(crate) fn read_delivery(body: &[u8]) -> Result<Report, Problem> {
    let faults = Faults::default();
    let report = Fields::read("", parse(body)?, &faults).and_then(|mut fields| {
        let delivered = fields.required("status", |raw| word(raw, &[("delivered", true), ("failed", false)]));
        let reference = fields.optional("reference", |raw| plain(raw, REFERENCE_CHARS_MAX));
        let detail = fields.optional("detail", |raw| plain(raw, DETAIL_CHARS_MAX));
        fields.finish();
        Some(if delivered? { Report::Delivered(reference) } else { Report::Failed(detail) })
    });
    faults.close(report)
}

/// The charges of `POST /v1/charges/batch`, not looked into.
pub(crate) fn read_batch(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    let faults = Faults::default();
    let charges = Fields::read("", parse(body)?, &faults).and_then(|mut fields| {
        let charges = fields.list("charges");
        if charges.as_ref().is_some_and(|charges| !(1..=BATCH_MAX).contains(&charges.len())) {
            fields.fault("charges", format!("must have 1 to {BATCH_MAX} charges"));
        }
        fields.finish();
        charges
    });
    faults.close(charges)
}

/// Where nothing can be asked for: no body, or an empty object.
pub(crate) fn read_nothing(body: &[u8]) -> Result<(), Problem> {
    let faults = Faults::default();
    let nothing = Fields::read("", parse(or_empty(body))?, &faults).map(Fields::finish);
    faults.close(nothing)
}

pub(super) fn or_empty(body: &[u8]) -> &[u8] {
    if body.is_empty() { b"{}" } else { body }
}
