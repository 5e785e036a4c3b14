//! The outermost layer of every listener: ids, timings, counts, and the few requests that nobody may see.
//!
//! Invariant: every answer carries `Request-Id` and `Server-Timing` and is counted once under its route's template;
//! a request that two servers could read in two ways (absolute target, two lengths) reaches no handler.

use crate::clock::Stopwatch;
use crate::flow::Flow;
use crate::http::problem::Problem;
use crate::http::server::Ambiguous;
use crate::request_scope::{Part, RequestScope};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Wraps every request of a listener; to be added last, so that it runs first.
pub(crate) async fn handle_front(State(flow): State<Arc<Flow>>, request: Request, next: Next) -> Response {
    let took = Stopwatch::start();
    let in_flight = flow.metrics.request_started();
    let id = kept_id(request.headers()).unwrap_or_else(|| new_id(&flow));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // The next request behind a body of chunks is not to be trusted to begin where it seems to.
    let last = request.headers().contains_key(header::TRANSFER_ENCODING);
    let scope = RequestScope::new(id);
    let answer = async {
        match check(&request) {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    };
    let mut response = scope.clone().run(answer).await;
    dress(response.headers_mut(), &scope, took.elapsed());
    if last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    flow.metrics.request_answered(method.as_str(), route, response.status().as_u16(), took.elapsed());
    tracing::debug!(request_id = scope.id(), %method, route, status = response.status().as_u16(),
        took_ms = took.elapsed_ms(), "answered");
    drop(in_flight);
    response
}

/// What no handler may see. The server below has refused what is not HTTP at all.
fn check(request: &Request) -> Result<(), Problem> {
    let (target, headers) = (request.uri(), request.headers());
    let malformed = |why: &str| Err(Problem::MalformedRequest(why.to_owned()));
    if target.scheme().is_some() || target.authority().is_some() || request.method() == Method::CONNECT {
        return malformed("The request target must be a path.");
    }
    if request.extensions().get::<Ambiguous>().is_some() {
        return malformed("The request has two lengths.");
    }
    if headers.get_all(header::HOST).iter().count() > 1 {
        return malformed("The request has two hosts.");
    }
    Ok(())
}

/// The caller's id, if it is sane.
fn kept_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    tongdao_core::ids::is_name(id).then(|| id.to_owned())
}

fn new_id(flow: &Flow) -> String {
    let at_ms = u64::try_from(flow.clock.now().0).unwrap_or(0);
    format!("req_{}", ulid::Ulid::from_parts(at_ms, flow.rng.draw()))
}

fn dress(headers: &mut HeaderMap, scope: &RequestScope, took: Duration) {
    if let Ok(id) = HeaderValue::from_str(scope.id()) {
        headers.insert(REQUEST_ID, id);
    }
    if let Ok(timing) = HeaderValue::from_str(&timing(scope, took)) {
        headers.insert(SERVER_TIMING, timing);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn timing(scope: &RequestScope, took: Duration) -> String {
    let parts = Part::ALL.map(|part| (part.as_str(), scope.spent(part)));
    let spans = parts.into_iter().chain([("total", took)]);
    spans.map(|(name, took)| format!("{name};dur={:.3}", ms(took))).collect::<Vec<_>>().join(", ")
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_can_be_read_in_two_ways_reaches_nobody() {
        let asked = |method: Method, target: &str, hosts: &[&str]| {
            let mut request = Request::builder().method(method).uri(target);
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            request.body(axum::body::Body::empty()).unwrap()
        };
        assert!(check(&asked(Method::GET, "/v1/charges?x=1", &["a"])).is_ok());
        assert!(check(&asked(Method::GET, "http://shop.example/v1/charges", &["a"])).is_err());
        assert!(check(&asked(Method::CONNECT, "shop.example:443", &["a"])).is_err());
        assert!(check(&asked(Method::GET, "/", &["a", "b"])).is_err());
        let mut marked = asked(Method::POST, "/", &["a"]);
        marked.extensions_mut().insert(Ambiguous);
        assert!(check(&marked).is_err());
    }

    #[test]
    fn a_sane_request_id_is_kept_and_another_is_not() {
        let with = |id: &'static [u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
            kept_id(&headers)
        };
        assert_eq!(with(b"abc-1.2_3").as_deref(), Some("abc-1.2_3"));
        for bad in [b"".as_slice(), b"a b", b"<script>", b"\xff", &[b'x'; 65]] {
            assert_eq!(with(Box::leak(bad.to_vec().into_boxed_slice())), None);
        }
    }

    #[test]
    fn server_timing_names_every_part() {
        let scope = RequestScope::new("r".into());
        assert_eq!(
            timing(&scope, Duration::from_micros(1500)),
            "route;dur=0.000, provider;dur=0.000, store;dur=0.000, total;dur=1.500"
        );
    }
}
