//! Bodies, queries and list answers of the admin API.
//!
//! Invariant: unknown fields and parameters are refused and named, because a mistyped filter that is ignored shows the
//! wrong list to somebody in a hurry.

use crate::http::problem::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Items of a page, unless the caller says otherwise.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// Reads a JSON body; an empty one is an empty object.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let bytes = if body.is_empty() { b"{}".as_slice() } else { body };
    match serde_json::from_slice(bytes) {
        Ok(read) => Ok(read),
        Err(error) if error.is_data() => Err(Problem::invalid("", format!("cannot be taken: {error}"))),
        Err(error) => Err(Problem::MalformedRequest(format!("The body is no JSON: {error}."))),
    }
}

/// A query string, checked as a body is.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(asked)| Self(asked)).map_err(|rejected| Problem::invalid("?", rejected.body_text()))
    }
}

/// How many items a page holds.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(LIMIT_DEFAULT),
        Some(limit @ 1..=LIMIT_MAX) => Ok(limit),
        Some(_) => Err(Problem::invalid("?limit", "must be 1 to 200")),
    }
}

/// A cursor of the page before.
pub(super) fn cursor<T: std::str::FromStr>(asked: Option<&str>) -> Result<Option<T>, Problem> {
    let read = asked.map(str::parse).transpose();
    read.map_err(|_| Problem::invalid("?cursor", "is not a cursor of this list"))
}

/// A page of a list.
pub(super) fn page(data: Vec<Value>, next_cursor: Option<String>) -> Response {
    axum::Json(json!({ "data": data, "next_cursor": next_cursor })).into_response()
}
