//! `POST /admin/v1/config/reload`: reads the file again and puts it in force, or says everything that is wrong.
//!
//! Invariant: a bad file changes nothing. The reload ends when it ends, also after the caller hung up.

use super::{BODY_MAX, Shared};
use crate::config::Fault;
use crate::http::body;
use crate::http::problem::{FieldFault, Problem};
use crate::http::requests::{Reloading, read_reload};
use crate::reload::{ReloadRefused, Reloaded};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

/// What a reload changed, or would.
#[derive(Serialize, ToSchema)]
#[schema(as = Reload)]
pub(super) struct ReloadDocument {
    configuration: String,
    dry_run: bool,
    added: Vec<String>,
    removed: Vec<String>,
    warnings: Vec<String>,
}

/// A request to reload; an empty body is one, too.
#[derive(ToSchema)]
#[allow(dead_code)] // A shape for the document: requests are read by `requests`, field by field.
pub(super) struct AskReload {
    /// Say what would change and change nothing.
    #[schema(default = false)]
    dry_run: Option<bool>,
    /// Who asks, for the audit.
    #[schema(max_length = 64)]
    actor: Option<String>,
}

/// Reads the configuration file again.
#[utoipa::path(
    post, path = "/admin/v1/config/reload", tag = "admin",
    request_body = AskReload,
    responses((status = 200, description = "What changed, or would", body = ReloadDocument))
)]
pub(super) async fn handle_reload(
    State(admin): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ReloadDocument>, Problem> {
    let Reloading { dry_run, actor } = read_reload(&body::read(&headers, body, BODY_MAX).await?)?;
    let reloader = admin.reloader.clone();
    let actor = actor.unwrap_or_else(|| "admin API".to_owned());
    let work = async move { reloader.reload(dry_run, &actor).await.map_err(refused) };
    let Reloaded { configuration, added, removed, warnings } = admin.to_the_end(work).await?;
    let (added, removed) = (added.iter().map(ToString::to_string), removed.iter().map(ToString::to_string));
    let (added, removed) = (added.collect(), removed.collect());
    Ok(Json(ReloadDocument { configuration, dry_run, added, removed, warnings }))
}

fn refused(why: ReloadRefused) -> Problem {
    let said = why.to_string();
    match why {
        ReloadRefused::Faults(faults) => {
            let fault =
                |fault: &Fault| FieldFault::new(fault.path.clone(), format!("{}{}", fault.origin, fault.message));
            Problem::InvalidRequest(faults.list.iter().map(fault).collect())
        }
        ReloadRefused::StillInUse(_) => Problem::InvalidState(said),
        ReloadRefused::Store(error) => error.into(),
    }
}
