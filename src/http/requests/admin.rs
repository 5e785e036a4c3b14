//! What on-call asks for, read as strictly as what merchants ask for.
//!
//! Invariant: a question about a charge is read by the rules that would read the charge.

use super::open_charge::{known_channel, read_payer, scene};
use crate::config::{Config, read_duration};
use crate::flow::Decision;
use crate::http::json::{Checked, Faults, Fields, integer, parse, plain, text, word};
use crate::http::problem::Problem;
use serde_json::value::RawValue;
use std::time::Duration;
use tongdao_core::day::Day;
use tongdao_core::ids::{BreakId, ChannelId};
use tongdao_core::money::Money;
use tongdao_core::overrides::Action;
use tongdao_core::provider::{Payer, Scene};
use tongdao_core::resolution::Resolution;

const AMOUNT_MAX: i64 = 10_000_000_000;
pub(crate) const ACTOR_CHARS_MAX: usize = 64;
pub(crate) const REASON_CHARS_MAX: usize = 200;

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

/// A configuration to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reloading {
    pub(crate) dry_run: bool,
    pub(crate) actor: Option<String>,
}

/// An operator's order, its target's name not looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OverrideAsk {
    pub(crate) action: Action,
    pub(crate) target: String,
    pub(crate) lasts: Duration,
    pub(crate) reason: String,
    pub(crate) actor: String,
    pub(crate) if_version: Option<u64>,
    pub(crate) dry_run: bool,
    pub(crate) even_if_last: bool,
}

/// A decision over a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolveAsk {
    pub(crate) decision: Decision,
    pub(crate) dry_run: bool,
}

/// `POST /admin/v1/config/reload`: an empty body is one, too.
pub(crate) fn read_reload(body: &[u8]) -> Result<Reloading, Problem> {
    let faults = Faults::default();
    let asked = Fields::read("", parse(super::short::or_empty(body))?, &faults).map(|mut fields| {
        let dry_run = fields.optional("dry_run", boolean).unwrap_or_default();
        let actor = fields.optional("actor", |raw| plain(raw, ACTOR_CHARS_MAX));
        fields.finish();
        Reloading { dry_run, actor }
    });
    faults.close(asked)
}

/// `POST /admin/v1/overrides`.
pub(crate) fn read_override(body: &[u8]) -> Result<OverrideAsk, Problem> {
    const ACTIONS: &[(&str, Action)] = &[("drain", Action::Drain), ("force", Action::Force)];
    let faults = Faults::default();
    let asked = Fields::read("", parse(body)?, &faults).and_then(|mut fields| {
        let action = fields.required("action", |raw| word(raw, ACTIONS));
        let target = fields.required("target", |raw| plain(raw, 64));
        let lasts = fields.required("for", lasts);
        let reason = fields.required("reason", |raw| plain(raw, REASON_CHARS_MAX));
        let actor = fields.required("actor", |raw| plain(raw, ACTOR_CHARS_MAX));
        let version = fields.optional("if_version", |raw| integer(raw, 0, i64::MAX));
        let dry_run = fields.optional("dry_run", boolean).unwrap_or_default();
        let even_if_last = fields.optional("even_if_last", boolean).unwrap_or_default();
        fields.finish();
        let if_version = version.and_then(|version| u64::try_from(version).ok());
        let (action, target, lasts) = (action?, target?, lasts?);
        let (reason, actor) = (reason?, actor?);
        Some(OverrideAsk { action, target, lasts, reason, actor, if_version, dry_run, even_if_last })
    });
    faults.close(asked)
}

/// A day to be reconciled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReconciliationAsk {
    pub(crate) channel: ChannelId,
    pub(crate) day: Day,
    pub(crate) actor: Option<String>,
}

/// `POST /admin/v1/reconciliations`.
pub(crate) fn read_reconciliation(body: &[u8]) -> Result<ReconciliationAsk, Problem> {
    let faults = Faults::default();
    let asked = Fields::read("", parse(body)?, &faults).and_then(|mut fields| {
        let channel = fields.required("channel", |raw| text(raw)?.parse().map_err(|_| "is no channel's id".to_owned()));
        let day = fields
            .required("date", |raw| text(raw)?.parse().map_err(|_| "must be a day such as 2026-12-01".to_owned()));
        let actor = fields.optional("actor", |raw| plain(raw, ACTOR_CHARS_MAX));
        fields.finish();
        Some(ReconciliationAsk { channel: channel?, day: day?, actor })
    });
    faults.close(asked)
}

/// `POST /admin/v1/breaks/{id}/resolve`.
pub(crate) fn read_resolve(body: &[u8], id: BreakId) -> Result<ResolveAsk, Problem> {
    let words = Resolution::ALL.map(|resolution| (resolution.as_str(), resolution));
    let faults = Faults::default();
    let asked = Fields::read("", parse(body)?, &faults).and_then(|mut fields| {
        let resolution = fields.required("resolution", |raw| word(raw, &words));
        let actor = fields.required("actor", |raw| plain(raw, ACTOR_CHARS_MAX));
        let note = fields.required("note", |raw| plain(raw, REASON_CHARS_MAX));
        let dry_run = fields.optional("dry_run", boolean).unwrap_or_default();
        fields.finish();
        let decision = Decision { id, resolution: resolution?, actor: actor?, note: note? };
        Some(ResolveAsk { decision, dry_run })
    });
    faults.close(asked)
}

/// How long an order holds: nothing is out for ever by an order.
fn lasts(raw: &RawValue) -> Checked<Duration> {
    let lasts = read_duration(&text(raw)?)?;
    let wanted = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);
    if wanted.contains(&lasts) { Ok(lasts) } else { Err("must be from 1s to 7d".to_owned()) }
}

fn boolean(raw: &RawValue) -> Checked<bool> {
    match raw.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}
