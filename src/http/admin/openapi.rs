//! The admin listener's part of the OpenAPI document.
//!
//! Invariant: every route of this listener is in it, which a test compares.

use super::{audit, breaks, channels, charges, overrides, reconciliations, reload, routes, status};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(paths(
    super::handle_index,
    status::handle_alive,
    status::handle_ready,
    status::handle_metrics,
    status::handle_status,
    status::handle_described,
    channels::handle_list,
    routes::handle_explain,
    charges::handle_find,
    charges::handle_show,
    charges::handle_events,
    charges::handle_sync,
    charges::handle_redeliver,
    breaks::handle_list,
    breaks::handle_show,
    breaks::handle_resolve,
    overrides::handle_list,
    overrides::handle_place,
    overrides::handle_restore,
    reconciliations::handle_list,
    reconciliations::handle_ask,
    reconciliations::handle_show,
    reconciliations::handle_export,
    reconciliations::handle_import,
    audit::handle_list,
    reload::handle_reload,
))]
pub(crate) struct AdminApi;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_admin_route_is_described() {
        let document = AdminApi::openapi();
        for (method, path) in crate::http::admin::ROUTES {
            let item = document.paths.paths.get(*path);
            let operation = item.and_then(|item| match *method {
                "GET" => item.get.as_ref(),
                "POST" => item.post.as_ref(),
                _ => item.delete.as_ref(),
            });
            assert!(operation.is_some(), "{method} {path}");
        }
        let paths: std::collections::BTreeSet<&str> =
            crate::http::admin::ROUTES.iter().map(|(_, path)| *path).collect();
        assert_eq!(document.paths.paths.len(), paths.len());
    }
}
