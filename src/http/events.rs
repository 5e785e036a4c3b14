//! The steps of a charge: as a list, or live.
//!
//! Invariants: a stream tells every step once and in order from where the reader left off, whatever it missed meanwhile;
//! the number of streams is bounded; a stream ends when the daemon stops and is taken up again by `Last-Event-ID`.

use super::auth::Signed;
use super::dto::Page;
use super::event_document::EventDocument;
use super::problem::Problem;
use super::query::{Query, parsed};
use super::{Api, PathPart};
use crate::ports::StoredEvent;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tongdao_core::ids::ChargeId;

const HEARTBEAT: Duration = Duration::from_secs(15);
const READ_AT_ONCE: usize = 100;

/// The steps of a charge, oldest first; with `Accept: text/event-stream` the same, live.
#[utoipa::path(
    get, path = "/v1/charges/{id}/events", tag = "charges",
    params(
        ("id" = String, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
        ("Last-Event-ID" = Option<String>, Header, description = "The seq after which a stream goes on"),
    ),
    responses((status = 200, description = "One page, or a stream of server-sent events",
        content((Page<EventDocument> = "application/json"), (String = "text/event-stream"))))
)]
pub(super) async fn handle_events(
    State(api): State<Api>,
    PathPart(id): PathPart,
    headers: HeaderMap,
    uri: Uri,
    signed: Signed,
) -> Result<Response, Problem> {
    let charge = api.own_charge(&signed.merchant, &id).await?.id;
    let mut query = Query::read(&uri)?;
    let cursor = query.optional("cursor", parsed::<u64>("a cursor of this list")).unwrap_or(0);
    let limit = query.limit();
    query.finish()?;
    if wants_stream(&headers) {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse().ok());
        return live(&api, charge, last.unwrap_or(cursor));
    }
    let mut events = api.flow.store().events(charge, cursor, limit.saturating_add(1)).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next_cursor = events.last().filter(|_| more).map(|event| event.seq.to_string());
    let data = events.iter().map(|event| EventDocument::of(charge, event)).collect();
    Ok(Json(Page { data, next_cursor }).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accepted
        .flat_map(|accept| accept.split(','))
        .any(|kind| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream"))
}

fn live(api: &Api, charge: ChargeId, after: u64) -> Result<Response, Problem> {
    let permit = api.streams.clone().try_acquire_owned().map_err(|_| Problem::Overloaded)?;
    let stream = Live {
        changes: api.flow.changes(),
        stopping: api.tasks.stopping(),
        api: api.clone(),
        charge,
        after,
        greeted: false,
        _permit: permit,
    };
    let body = Body::from_stream(stream::unfold(stream, Live::next));
    Ok(([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")], body).into_response())
}

struct Live {
    api: Api,
    charge: ChargeId,
    after: u64,
    changes: Receiver<ChargeId>,
    stopping: watch::Receiver<bool>,
    greeted: bool,
    _permit: OwnedSemaphorePermit,
}

impl Live {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if !self.greeted {
            self.greeted = true;
            return Some((Ok(Bytes::from_static(b"retry: 2000\n\n")), self));
        }
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            let events = match self.api.flow.store().events(self.charge, self.after, READ_AT_ONCE).await {
                Ok(events) => events,
                Err(error) => {
                    tracing::warn!(charge_id = %self.charge, %error, "an event stream ended: the store cannot be read");
                    return None;
                }
            };
            if let Some(last) = events.last() {
                self.after = last.seq;
                return Some((Ok(frames(self.charge, &events)), self));
            }
            let woken = tokio::select! {
                stopped = self.stopping.wait_for(|stop| *stop) => { drop(stopped); return None; }
                () = changed(&mut self.changes, self.charge) => true,
                () = tokio::time::sleep(HEARTBEAT) => false,
            };
            // A heartbeat is also a look: another node may have changed the charge.
            if !woken {
                return Some((Ok(Bytes::from_static(b": heartbeat\n\n")), self));
            }
        }
    }
}

/// Completes when the charge may have changed.
async fn changed(changes: &mut Receiver<ChargeId>, charge: ChargeId) {
    loop {
        match changes.recv().await {
            Ok(id) if id == charge => return,
            Ok(_) => {}
            // Some were missed; this charge may be among them.
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn frames(charge: ChargeId, events: &[StoredEvent]) -> Bytes {
    let frame = |stored: &StoredEvent| {
        let document = EventDocument::of(charge, stored);
        let json = serde_json::to_string(&document).unwrap_or_default();
        format!("id: {}\nevent: {}\ndata: {json}\n\n", document.seq, document.kind)
    };
    events.iter().map(frame).collect::<String>().into()
}
