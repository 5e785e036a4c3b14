//! Operators' orders: drain a channel, force it, take an order back, and see first what that would come to.
//!
//! Invariants: a dry run changes nothing and answers with the version that guards the real one; the rules are the
//! core's, refused here as 409 with their code. An order is durable before it is answered.

use super::{BODY_MAX, Shared};
use crate::clock::rfc3339;
use crate::flow::{Order, Restore};
use crate::http::body;
use crate::http::problem::{FieldFault, Problem};
use crate::http::query::{Query, parsed};
use crate::http::requests::{ACTOR_CHARS_MAX, OverrideAsk, REASON_CHARS_MAX, read_override};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tongdao_core::ids::{OverrideId, ProviderId};
use tongdao_core::overrides::{Consequence, Override, Placed, Standing, Target, Terms};
use tongdao_core::time::UnixMillis;
use utoipa::ToSchema;

/// An operator's order.
#[derive(Serialize, ToSchema)]
#[schema(as = Override)]
pub(super) struct OverrideDocument {
    /// `ovr_` and a ULID.
    id: String,
    /// `drain` or `force`.
    action: &'static str,
    /// A channel's or provider's name.
    target: String,
    /// `channel` or `provider`.
    target_kind: &'static str,
    reason: String,
    actor: String,
    created_at: String,
    /// It ends by itself then.
    ends_at: String,
    /// The version of all overrides that it made.
    version: u64,
}

/// An order that was taken, with what it came to.
#[derive(Serialize, ToSchema)]
#[schema(as = PlacedOverride)]
pub(super) struct PlacedDocument {
    #[serde(flatten)]
    order: OverrideDocument,
    consequence: ConsequenceDocument,
}

/// What an order would come to.
#[derive(Serialize, ToSchema)]
#[schema(as = OverrideDryRun)]
pub(super) struct DryRunDocument {
    /// Always true.
    dry_run: bool,
    action: &'static str,
    target: String,
    target_kind: &'static str,
    /// When it would end.
    ends_at: String,
    /// The guard: send it as `if_version`.
    version: u64,
    /// The code that the order would be refused with, were it not for `even_if_last`.
    refused: Option<&'static str>,
    consequence: ConsequenceDocument,
}

/// What follows from an order.
#[derive(Serialize, ToSchema)]
#[schema(as = OverrideConsequence)]
struct ConsequenceDocument {
    /// Attempts at the target whose end is not proved. They go on, watched to their end.
    charges_in_flight: i64,
    /// The channels that the order is about.
    channels: Vec<StandingDocument>,
    /// The channels that take charges beside them.
    elsewhere: Vec<StandingDocument>,
    /// Payment methods that would have no channel.
    stranded: Vec<String>,
    /// The earlier order of the same kind that gives way.
    replaces: Option<String>,
}

/// How a channel stands.
#[derive(Serialize, ToSchema)]
#[schema(as = OverrideChannel)]
struct StandingDocument {
    id: String,
    provider: String,
    charges_in_flight: i64,
    max_in_flight: u32,
    per_second: u32,
    /// Minor units; null without a limit.
    day_amount_left: Option<i64>,
    day_count_left: Option<i64>,
}

/// All orders in force.
#[derive(Serialize, ToSchema)]
#[schema(as = Overrides)]
pub(super) struct OverridesDocument {
    data: Vec<OverrideDocument>,
    next_cursor: Option<String>,
    /// The version that guards a change.
    version: u64,
}

/// An order that was taken back.
#[derive(Serialize, ToSchema)]
#[schema(as = RestoredOverride)]
pub(super) struct RestoredDocument {
    #[serde(flatten)]
    order: OverrideDocument,
    /// When it was taken back.
    restored_at: String,
    /// The version of all overrides now.
    now_at_version: u64,
}

/// An order.
#[derive(ToSchema)]
#[allow(dead_code)] // A shape for the document: requests are read by `requests`, field by field.
pub(super) struct PlaceOverride {
    /// `drain`: it takes no new charges. `force`: charges that may use it try it first.
    action: String,
    /// A channel, or a provider for all its channels.
    target: String,
    /// How long: `90s`, `15m`, `2h`; from 1s to 7d.
    r#for: String,
    #[schema(max_length = 200)]
    reason: String,
    #[schema(max_length = 64)]
    actor: String,
    /// Only if nothing changed since this version.
    if_version: Option<u64>,
    /// Answer with what it would come to and change nothing.
    #[schema(default = false)]
    dry_run: Option<bool>,
    /// Also if a payment method is left without a channel.
    #[schema(default = false)]
    even_if_last: Option<bool>,
}

impl OverrideDocument {
    pub(super) fn of(order: Override) -> Self {
        Self {
            id: order.id.to_string(),
            action: order.action.as_str(),
            target: order.target.name().to_owned(),
            target_kind: kind_of(&order.target),
            reason: order.reason,
            actor: order.actor,
            created_at: rfc3339(order.created_at),
            ends_at: rfc3339(order.ends_at),
            version: order.version,
        }
    }
}

/// The orders in force, oldest first.
#[utoipa::path(
    get, path = "/admin/v1/overrides", tag = "admin",
    responses((status = 200, description = "Every order in force", body = OverridesDocument))
)]
pub(super) async fn handle_list(State(admin): State<Shared>) -> Json<OverridesDocument> {
    let (all, now) = (admin.flow.overrides(), admin.flow.clock.now());
    let orders = all.in_force(now).cloned().map(OverrideDocument::of).collect();
    Json(OverridesDocument { data: orders, next_cursor: None, version: all.version(now) })
}

/// Drains or forces a channel or provider for a while.
#[utoipa::path(
    post, path = "/admin/v1/overrides", tag = "admin",
    request_body = PlaceOverride,
    responses(
        (status = 201, description = "The order holds", body = PlacedDocument),
        (status = 200, description = "A dry run: nothing was changed", body = DryRunDocument),
    )
)]
pub(super) async fn handle_place(
    State(admin): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let ask = read_override(&body::read(&headers, body, BODY_MAX).await?)?;
    let OverrideAsk { action, target, lasts, reason, actor, if_version, dry_run, even_if_last } = ask;
    let Some(target) = admin.flow.override_target(&target) else {
        let fault = FieldFault::new("/target", "is neither a configured channel nor its provider");
        return Err(Problem::InvalidRequest(vec![fault]));
    };
    let order = Order { action, target, lasts, reason, actor };
    if dry_run {
        admin.flow.check_version(if_version)?;
        let (seen, ends_at) = admin.flow.try_override(&order);
        return Ok(Json(tried(&order, &seen, ends_at)).into_response());
    }
    let flow = admin.flow.clone();
    let terms = Terms { if_version, even_if_last };
    let placed = admin.to_the_end(async move { Ok(flow.place_override(order, terms).await?) }).await?;
    let Placed { order, consequence, next: _ } = placed;
    let document = PlacedDocument { order: OverrideDocument::of(order), consequence: came_to(&consequence) };
    Ok((StatusCode::CREATED, Json(document)).into_response())
}

/// Takes an order back before its end.
#[utoipa::path(
    delete, path = "/admin/v1/overrides/{id}", tag = "admin",
    params(
        ("id" = String, Path),
        ("actor" = Option<String>, Query, description = "who, for the audit"),
        ("reason" = Option<String>, Query, description = "why, for the audit"),
        ("if_version" = Option<u64>, Query, description = "only if nothing changed since this version"),
    ),
    responses((status = 200, description = "The order that does not hold any more", body = RestoredDocument))
)]
pub(super) async fn handle_restore(
    State(admin): State<Shared>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<RestoredDocument>, Problem> {
    let mut query = Query::read(&uri)?;
    let actor = query.optional("actor", |text| short(text, ACTOR_CHARS_MAX));
    let reason = query.optional("reason", |text| short(text, REASON_CHARS_MAX));
    let if_version = query.optional("if_version", parsed::<u64>("a version"));
    query.finish()?;
    let id: OverrideId = id.parse().map_err(|_| Problem::NotFound)?;
    let actor = actor.unwrap_or_else(|| "admin API".to_owned());
    let ask = Restore { id, actor, reason: reason.unwrap_or_default(), if_version };
    let flow = admin.flow.clone();
    let (ended, version) = admin.to_the_end(async move { Ok(flow.restore_override(ask).await?) }).await?;
    let restored_at = rfc3339(admin.flow.clock.now());
    Ok(Json(RestoredDocument { order: OverrideDocument::of(ended), restored_at, now_at_version: version }))
}

fn tried(order: &Order, seen: &Consequence, ends_at: UnixMillis) -> DryRunDocument {
    DryRunDocument {
        dry_run: true,
        action: order.action.as_str(),
        target: order.target.name().to_owned(),
        target_kind: kind_of(&order.target),
        ends_at: rfc3339(ends_at),
        version: seen.version,
        refused: (!seen.stranded.is_empty()).then_some("would_leave_no_channel"),
        consequence: came_to(seen),
    }
}

fn came_to(seen: &Consequence) -> ConsequenceDocument {
    ConsequenceDocument {
        charges_in_flight: seen.open_attempts(),
        channels: seen.targets.iter().map(standing).collect(),
        elsewhere: seen.elsewhere.iter().map(standing).collect(),
        stranded: seen.stranded.iter().map(ProviderId::to_string).collect(),
        replaces: seen.replaces.map(|id| id.to_string()),
    }
}

fn standing(one: &Standing) -> StandingDocument {
    StandingDocument {
        id: one.channel.to_string(),
        provider: one.provider.to_string(),
        charges_in_flight: one.open_attempts,
        max_in_flight: one.in_flight_max,
        per_second: one.per_second_max,
        day_amount_left: one.day_amount_left,
        day_count_left: one.day_count_left,
    }
}

const fn kind_of(target: &Target) -> &'static str {
    match target {
        Target::Channel(_) => "channel",
        Target::Provider(_) => "provider",
    }
}

pub(super) fn short(text: &str, chars_max: usize) -> Result<String, String> {
    if text.chars().any(char::is_control) || !(1..=chars_max).contains(&text.chars().count()) {
        return Err(format!("must have 1 to {chars_max} characters and no control characters"));
    }
    Ok(text.to_owned())
}
