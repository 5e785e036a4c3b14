//! The admin token.
//!
//! Invariants: the comparison takes the same time whatever was sent, its length included; a wrong token locks nobody
//! out, because whoever can guess 256 bits cannot be slowed down and whoever cannot must not shut out on-call. The
//! token is read from the configuration in force, so a reload rotates it.

use super::Shared;
use crate::http::problem::Problem;
use crate::metrics::AuthFailure;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Lets a request through that carries the token.
pub(super) async fn handle_token(State(admin): State<Shared>, request: Request, next: Next) -> Response {
    let config = admin.flow.config();
    let wanted = config.server.admin_token.as_ref().map(crate::config::Credential::bytes);
    let sent = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let problem = match (sent, wanted) {
        (Some(sent), Some(wanted)) if holds(sent, wanted) => return next.run(request).await,
        (None, _) => AuthFailure::Missing,
        (Some(_), _) => AuthFailure::AdminToken,
    };
    admin.flow.metrics.auth_failed(problem);
    tracing::warn!(reason = problem.as_str(), "an admin request was not let in");
    Problem::TokenWanted.into_response()
}

/// Whether `Authorization` carries the token. Hashes have one length, so the time tells nothing of the token's.
fn holds(sent: &[u8], wanted: &[u8]) -> bool {
    let (scheme, token) = sent.split_at_checked(7).unwrap_or_default();
    let same = Sha256::digest(token).ct_eq(&Sha256::digest(wanted));
    scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_behind_bearer_holds() {
        assert!(holds(b"Bearer token", b"token") && holds(b"bearer token", b"token"));
        for sent in [&b"Bearer toke"[..], b"Bearer token ", b"Basic token", b"token", b"", b"Bearer "] {
            assert!(!holds(sent, b"token"), "{}", String::from_utf8_lossy(sent));
        }
    }
}
