//! Charges for on-call: any merchant's, found by any number, with their steps, and pushed on.
//!
//! Invariant: an operator sees what the merchant sees and more, never less; pushing a charge on calls the same flows
//! that the merchant's own calls use.

use super::{Admin, Shared};
use crate::http::charge_document::ChargeDocument;
use crate::http::dto::{Page, RefundDocument};
use crate::http::event_document::EventDocument;
use crate::http::problem::Problem;
use crate::http::query::{Query, parsed};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use serde_json::{Value, json};
use tongdao_core::charge::Charge;
use tongdao_core::ids::ChargeId;
use utoipa::ToSchema;

type Document = Result<Json<Value>, Problem>;

/// A charge as an operator sees it.
#[derive(ToSchema)]
#[schema(as = AdminCharge)]
#[allow(dead_code)] // A shape for the document: the merchant's view is made by the webhooks' own documents.
pub(super) struct AdminChargeDocument {
    #[serde(flatten)]
    charge: ChargeDocument,
    merchant: String,
    notify_url: String,
    refunds: Vec<RefundDocument>,
    /// Kinds of breaks that wait for a person.
    open_breaks: Vec<String>,
}

/// The charges that a number belongs to; without one all of them, newest first.
#[utoipa::path(
    get, path = "/admin/v1/charges", tag = "admin",
    params(
        ("find" = Option<String>, Query, description = "any number: ours, the merchant's, the provider's"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 by default"),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "Charges", body = Page<AdminChargeDocument>))
)]
pub(super) async fn handle_find(State(admin): State<Shared>, uri: Uri) -> Result<Json<Page<Value>>, Problem> {
    let mut query = Query::read(&uri)?;
    let number = query.optional("find", parsed::<String>("a number"));
    let limit = query.limit();
    let before = query.optional("cursor", parsed::<ChargeId>("a cursor of this list"));
    query.finish()?;
    let Some(number) = number else {
        let page = admin.flow.store().charges(None, before, limit).await?;
        let charges = page.charges.iter().map(|charge| document(&admin, charge)).collect();
        return Ok(Json(Page { data: charges, next_cursor: page.next.map(|id| id.to_string()) }));
    };
    let mut found = admin.flow.store().find_any(&number).await?;
    // A charge's own id is a number that a person may have at hand, too.
    found.extend(number.parse::<ChargeId>().ok().filter(|id| !found.contains(id)));
    let mut charges = Vec::new();
    for id in found {
        charges.extend(admin.flow.store().charge(id).await?.map(|charge| document(&admin, &charge)));
    }
    Ok(Json(Page { data: charges, next_cursor: None }))
}

/// A charge of any merchant.
#[utoipa::path(
    get, path = "/admin/v1/charges/{id}", tag = "admin",
    params(("id" = String, Path)),
    responses((status = 200, description = "The charge", body = AdminChargeDocument))
)]
pub(super) async fn handle_show(State(admin): State<Shared>, Path(id): Path<String>) -> Document {
    let charge = admin.flow.charge(read_id(&id)?).await?;
    Ok(Json(document(&admin, &charge)))
}

/// Asks the providers now.
#[utoipa::path(
    post, path = "/admin/v1/charges/{id}/sync", tag = "admin",
    params(("id" = String, Path)),
    responses((status = 200, description = "The charge afterwards", body = AdminChargeDocument))
)]
pub(super) async fn handle_sync(State(admin): State<Shared>, Path(id): Path<String>) -> Document {
    let (id, flow) = (read_id(&id)?, admin.flow.clone());
    tracing::info!(charge_id = %id, "an operator asks the providers about a charge");
    let charge = admin.to_the_end(async move { Ok(flow.sync(id).await?) }).await?;
    Ok(Json(document(&admin, &charge)))
}

/// Sends the webhook again now.
#[utoipa::path(
    post, path = "/admin/v1/charges/{id}/redeliver", tag = "admin",
    params(("id" = String, Path)),
    responses((status = 200, description = "The charge; the webhook is on its way", body = AdminChargeDocument))
)]
pub(super) async fn handle_redeliver(State(admin): State<Shared>, Path(id): Path<String>) -> Document {
    let (id, flow) = (read_id(&id)?, admin.flow.clone());
    tracing::info!(charge_id = %id, "an operator sends a webhook again");
    let charge = admin.to_the_end(async move { Ok(flow.notify(id).await?) }).await?;
    Ok(Json(document(&admin, &charge)))
}

/// Every step, oldest first.
#[utoipa::path(
    get, path = "/admin/v1/charges/{id}/events", tag = "admin",
    params(
        ("id" = String, Path),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 by default"),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "Every step", body = Page<EventDocument>))
)]
pub(super) async fn handle_events(
    State(admin): State<Shared>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Page<EventDocument>>, Problem> {
    let id = read_id(&id)?;
    let mut query = Query::read(&uri)?;
    let limit = query.limit();
    let after = query.optional("cursor", parsed::<u64>("a cursor of this list")).unwrap_or_default();
    query.finish()?;
    admin.flow.charge(id).await?;
    let mut events = admin.flow.store().events(id, after, limit.saturating_add(1)).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next_cursor = events.last().filter(|_| more).map(|event| event.seq.to_string());
    Ok(Json(Page { data: events.iter().map(|event| EventDocument::of(id, event)).collect(), next_cursor }))
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
