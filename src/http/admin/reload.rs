//! `POST /admin/v1/config/reload`: reads the file again and puts it in force, or says everything that is wrong.
//!
//! Invariant: a bad file changes nothing; what a reload may not change is refused as a whole. How it is done is the
//! daemon's business; it ends when it ends, also after the caller hung up.

use super::{Shared, body};
use crate::config::Fault;
use crate::http::problem::{FieldFault, Problem};
use crate::reload::{ReloadRefused, Reloaded};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use tongdao_core::ids::ChannelId;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ask {
    dry_run: bool,
}

pub(super) async fn handle_reload(State(admin): State<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    let Ask { dry_run } = body::read(&body)?;
    let reloader = admin.reloader.clone();
    let work = async move { reloader.reload(dry_run).await.map_err(refused) };
    let Reloaded { configuration, added, removed, warnings } = admin.to_the_end(work).await?;
    let names = |ids: Vec<ChannelId>| ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    Ok(Json(json!({
        "configuration": configuration,
        "dry_run": dry_run,
        "added": names(added),
        "removed": names(removed),
        "warnings": warnings,
    })))
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
