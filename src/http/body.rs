//! Reads a request's body, whole and bounded.
//!
//! Invariant: no more than the bound is ever held, whatever the request says of its length, and a body that dribbles in is
//! given up after ten seconds.

use super::problem::Problem;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::time::Duration;

const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let stated = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|stated| usize::try_from(stated).is_ok_and(|stated| stated > bytes_max)) {
        return Err(Problem::BodyTooLarge { bytes_max });
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::BodyTooLarge { bytes_max }),
        Ok(Err(_)) => Err(Problem::MalformedRequest("The body broke off.".to_owned())),
        Err(_) => Err(Problem::MalformedRequest("The body did not arrive within 10 seconds.".to_owned())),
    }
}
