//! `POST /admin/v1/routes/explain`: the decision that would be taken now, with every candidate.
//!
//! Invariant: it reserves nothing, sends nothing and counts as no decision.

use super::{Shared, body};
use crate::flow::Wanted;
use crate::http::problem::Problem;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use tongdao_core::ids::ChannelId;
use tongdao_core::money::{Currency, Money};
use tongdao_core::provider::{Payer, Scene};
use tongdao_core::routing::Decision;

const AMOUNT_MAX: i64 = 10_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Explain {
    amount: i64,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    scene: Option<Scene>,
    #[serde(default)]
    payer: ExplainPayer,
    #[serde(default)]
    channel: Option<ChannelId>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ExplainPayer {
    id: Option<String>,
    client_ip: Option<String>,
    openid: Option<String>,
    methods: Vec<String>,
    preferred: Option<String>,
}

pub(super) async fn handle_explain(State(admin): State<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    let asked: Explain = body::read(&body)?;
    if !(1..=AMOUNT_MAX).contains(&asked.amount) {
        return Err(Problem::invalid("/amount", "must be 1 to 10000000000"));
    }
    if asked.currency.is_some_and(|currency| currency != Currency::CNY.as_str()) {
        return Err(Problem::invalid("/currency", "must be CNY"));
    }
    let ExplainPayer { id, client_ip, openid, methods, preferred } = asked.payer;
    let payer = Payer { id, client_ip, openid, methods, preferred };
    let wanted = Wanted {
        amount: Money::cny(asked.amount),
        scene: asked.scene.unwrap_or(Scene::Qr),
        payer: &payer,
        pin: asked.channel.as_ref(),
        provider: None,
        tried: &[],
    };
    Ok(Json(document(&admin.flow.decide(&wanted))))
}

fn document(decision: &Decision) -> Value {
    let candidates = decision.candidates.iter().map(|seen| {
        json!({
            "channel": seen.channel.as_str(),
            "score": seen.score,
            "health": seen.health,
            "latency_ms": seen.latency_ms,
            "fee_bps": seen.fee_bps,
            "excluded": seen.excluded.map(|reason| reason.as_str()),
        })
    });
    json!({
        "channel": decision.channel.as_ref().map(ChannelId::as_str),
        "chosen_because": decision.chosen_because.as_str(),
        "candidates": candidates.collect::<Vec<_>>(),
    })
}
