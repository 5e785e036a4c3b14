//! A statement that a person hands in, straight to the disk.
//!
//! Invariants: memory holds one chunk at a time; a file that is too large, breaks off or stalls leaves nothing behind;
//! the channel and the day are checked before the first byte is taken. Its content is believed by nobody here.

use super::super::Shared;
use super::{ReconciliationDocument, ask, refused};
use crate::flow::AskedDay;
use crate::http::problem::Problem;
use crate::http::query::{Query, parsed};
use crate::http::requests::ACTOR_CHARS_MAX;
use crate::spool::Spooled;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tongdao_core::day::Day;
use tongdao_core::ids::ChannelId;

/// A sender that is silent for so long has gone.
const STALLED: Duration = Duration::from_secs(30);

/// Reconciles a channel's day with a file that the caller sends as the body, as the provider made it.
#[utoipa::path(
    post, path = "/admin/v1/reconciliations/import", tag = "admin",
    params(
        ("channel" = String, Query),
        ("date" = String, Query, description = "the statement's day: `2026-12-01`"),
        ("actor" = Option<String>, Query, description = "who, for the audit"),
    ),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 202, description = "It is queued", body = ReconciliationDocument))
)]
pub(in crate::http::admin) async fn handle_import(
    State(admin): State<Shared>,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    let mut query = Query::read(&uri)?;
    let channel = query.required("channel", parsed::<ChannelId>("a channel's id"));
    let day = query.required("date", parsed::<Day>("a day such as 2026-12-01"));
    let actor = query.optional("actor", |text| super::super::overrides::short(text, ACTOR_CHARS_MAX));
    query.finish()?;
    let (Some(channel), Some(day)) = (channel, day) else { return Err(Problem::NotFound) };
    admin.flow.check_reconcilable(&channel, day).map_err(refused)?;
    let spooled = admin.flow.place_in_spool().map_err(unspooled)?;
    let bytes_max = admin.flow.config().reconciliation.file_max;
    take(body, &spooled, bytes_max).await?;
    let actor = actor.unwrap_or_else(|| "admin API".to_owned());
    ask(&admin, AskedDay { channel, day, actor, file: Some(spooled) }).await
}

async fn take(mut body: Body, spooled: &Spooled, bytes_max: u64) -> Result<(), Problem> {
    let mut file = File::from_std(spooled.create().map_err(unspooled)?);
    let mut bytes = 0_u64;
    while let Some(chunk) = next_chunk(&mut body).await? {
        bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if bytes > bytes_max {
            return Err(Problem::BodyTooLarge { bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX) });
        }
        file.write_all(&chunk).await.map_err(unspooled)?;
    }
    file.flush().await.map_err(unspooled)
}

async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = tokio::time::timeout(STALLED, body.frame()).await;
        let frame = frame.map_err(|_| Problem::MalformedRequest("The file stalled for 30 seconds.".to_owned()))?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(Problem::MalformedRequest("The file broke off.".to_owned())),
            Some(Ok(frame)) => {
                if let Ok(chunk) = frame.into_data() {
                    return Ok(Some(chunk));
                }
            }
        }
    }
}

fn unspooled(error: std::io::Error) -> Problem {
    tracing::warn!(%error, "the spool did not take a file");
    Problem::StoreUnavailable
}
