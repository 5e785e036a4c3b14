//! Charges for on-call: any merchant's, found by any number, with their steps, and pushed on.
//!
//! Invariant: an operator sees what the merchant sees and more, never less; pushing a charge on calls the same flows
//! that the merchant's own calls use.

use super::body::{self, Asked};
use super::{Admin, Shared};
use crate::clock::rfc3339;
use crate::http::problem::Problem;
use crate::ports::StoredEvent;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tongdao_core::charge::Charge;
use tongdao_core::ids::ChargeId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Find {
    find: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The charges that a number belongs to; without one all of them, newest first.
pub(super) async fn handle_find(State(admin): State<Shared>, Asked(asked): Asked<Find>) -> Result<Response, Problem> {
    let Some(number) = asked.find else { return list(&admin, asked.limit, asked.cursor.as_deref()).await };
    let mut found = admin.flow.store().find_any(&number).await?;
    // A charge's own id is a number that a person may have at hand, too.
    found.extend(number.parse::<ChargeId>().ok().filter(|id| !found.contains(id)));
    let mut charges = Vec::new();
    for id in found {
        charges.extend(admin.flow.store().charge(id).await?);
    }
    Ok(body::page(charges.iter().map(|charge| document(&admin, charge)).collect(), None))
}

async fn list(admin: &Admin, limit: Option<usize>, cursor: Option<&str>) -> Result<Response, Problem> {
    let page = admin.flow.store().charges(None, body::cursor(cursor)?, body::limit(limit)?).await?;
    let next = page.next.map(|id| id.to_string());
    Ok(body::page(page.charges.iter().map(|charge| document(admin, charge)).collect(), next))
}

pub(super) async fn handle_show(State(admin): State<Shared>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let charge = admin.flow.charge(read_id(&id)?).await?;
    Ok(Json(document(&admin, &charge)))
}

/// Asks the providers now.
pub(super) async fn handle_sync(State(admin): State<Shared>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id = read_id(&id)?;
    tracing::info!(charge_id = %id, "an operator asks the providers about a charge");
    let flow = admin.flow.clone();
    let charge = admin.to_the_end(async move { Ok(flow.sync(id).await?) }).await?;
    Ok(Json(document(&admin, &charge)))
}

/// Sends the webhook again now.
pub(super) async fn handle_redeliver(
    State(admin): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = read_id(&id)?;
    tracing::info!(charge_id = %id, "an operator sends a webhook again");
    let flow = admin.flow.clone();
    let charge = admin.to_the_end(async move { Ok(flow.notify(id).await?) }).await?;
    Ok(Json(document(&admin, &charge)))
}

/// Every step, oldest first.
pub(super) async fn handle_events(
    State(admin): State<Shared>,
    Path(id): Path<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    admin.flow.charge(id).await?;
    let limit = body::limit(asked.limit)?;
    let after: u64 = body::cursor(asked.cursor.as_deref())?.unwrap_or_default();
    let mut events = admin.flow.store().events(id, after, limit.saturating_add(1)).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).map(|event| event.seq.to_string());
    Ok(body::page(events.iter().map(event_document).collect(), next))
}

fn event_document(stored: &StoredEvent) -> Value {
    let mut document = json!({ "seq": stored.seq, "at": rfc3339(stored.event.at) });
    if let (Some(to), Ok(Value::Object(fields))) = (document.as_object_mut(), serde_json::to_value(&stored.event.kind))
    {
        for (name, value) in fields {
            let value = moment(&name, value);
            to.insert(name, value);
        }
    }
    document
}

/// Core keeps moments as milliseconds; documents write them out.
fn moment(name: &str, value: Value) -> Value {
    match value.as_i64() {
        Some(ms) if name.ends_with("_at") => json!(rfc3339(tongdao_core::time::UnixMillis(ms))),
        Some(_) | None => value,
    }
}

/// The merchant's view and what only an operator sees.
fn document(admin: &Admin, charge: &Charge) -> Value {
    let documents = &admin.flow.documents;
    let mut document = documents.charge(charge);
    if let Some(fields) = document.as_object_mut() {
        let refunds: Vec<Value> = charge.refunds.iter().map(|refund| documents.refund(charge, refund)).collect();
        let breaks: Vec<&str> = charge.breaks.iter().map(|(kind, _)| kind.as_str()).collect();
        fields.insert("merchant".to_owned(), json!(charge.merchant.as_str()));
        fields.insert("notify_url".to_owned(), json!(charge.notify_url));
        fields.insert("refunds".to_owned(), json!(refunds));
        fields.insert("open_breaks".to_owned(), json!(breaks));
    }
    document
}

fn read_id(text: &str) -> Result<ChargeId, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}
