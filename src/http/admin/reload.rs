//! `POST /admin/v1/config/reload`: reads the file again and puts it in force, or says everything that is wrong.
//!
//! Invariant: a bad file changes nothing; what a reload may not change is refused as a whole. How it is done is the
//! daemon's business, which passes it in.

use super::{Shared, body};
use crate::config::Faults;
use crate::http::problem::{FieldFault, Problem};
use crate::ports::{Io, StoreError};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use tongdao_core::ids::ChannelId;

/// Puts the configuration file in force again.
pub trait Reload: Send + Sync {
    /// Reads and checks the file; puts it in force unless `dry_run`.
    fn reload(&self, dry_run: bool) -> Io<'_, Result<Reloaded, ReloadRefused>>;
}

/// What a reload changed, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The file, or what the built-in configuration is called.
    pub configuration: String,
    /// New channels.
    pub added: Vec<ChannelId>,
    /// Channels that are gone.
    pub removed: Vec<ChannelId>,
    /// What is allowed and unwise.
    pub warnings: Vec<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadRefused {
    /// The file is wrong, or changes what a reload may not change.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// A channel that is gone still has business.
    #[error("{}", .0.join("; "))]
    StillInUse(Vec<String>),
    /// What stands on the channels could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ask {
    dry_run: bool,
}

pub(super) async fn handle_reload(State(admin): State<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    let Ask { dry_run } = body::read(&body)?;
    let Reloaded { configuration, added, removed, warnings } = admin.reload.reload(dry_run).await.map_err(refused)?;
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
    match why {
        ReloadRefused::Faults(faults) => {
            let fault = |fault: &crate::config::Fault| {
                FieldFault::new(fault.path.clone(), format!("{}{}", fault.origin, fault.message))
            };
            Problem::InvalidRequest(faults.list.iter().map(fault).collect())
        }
        ReloadRefused::StillInUse(reasons) => Problem::InvalidState(reasons.join("; ")),
        ReloadRefused::Store(error) => error.into(),
    }
}
