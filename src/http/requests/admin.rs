//! What on-call asks for, read as strictly as what merchants ask for.
//!
//! Invariant: a question about a charge is read by the rules that would read the charge.

use super::open_charge::{known_channel, read_payer, scene};
use crate::config::Config;
use crate::http::json::{Faults, Fields, integer, parse, word};
use crate::http::problem::Problem;
use tongdao_core::ids::ChannelId;
use tongdao_core::money::Money;
use tongdao_core::provider::{Payer, Scene};

const AMOUNT_MAX: i64 = 10_000_000_000;

/// A charge whose route is in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Explaining {
    pub(crate) amount: Money,
    pub(crate) scene: Scene,
    pub(crate) payer: Payer,
    pub(crate) channel: Option<ChannelId>,
}

/// `POST /admin/v1/routes/explain`.
pub(crate) fn read_explain(body: &[u8], config: &Config) -> Result<Explaining, Problem> {
    let faults = Faults::default();
    let asked = Fields::read("", parse(body)?, &faults).and_then(|mut fields| {
        let amount = fields.required("amount", |raw| integer(raw, 1, AMOUNT_MAX));
        fields.optional("currency", |raw| word(raw, &[("CNY", ())]));
        let scene = fields.optional("scene", scene).unwrap_or(Scene::Qr);
        let payer = fields.object("payer").map(|fields| read_payer(fields, config)).unwrap_or_default();
        let channel = fields.optional("channel", |raw| known_channel(raw, config));
        fields.finish();
        Some(Explaining { amount: Money::cny(amount?), scene, payer, channel })
    });
    faults.close(asked)
}

/// `POST /admin/v1/config/reload`: whether it is only a question.
pub(crate) fn read_reload(body: &[u8]) -> Result<bool, Problem> {
    let faults = Faults::default();
    let dry_run = Fields::read("", parse(super::short::or_empty(body))?, &faults).map(|mut fields| {
        let read = |raw: &serde_json::value::RawValue| match raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        };
        let dry_run = fields.optional("dry_run", read).unwrap_or_default();
        fields.finish();
        dry_run
    });
    faults.close(dry_run)
}
