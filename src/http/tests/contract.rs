//! The OpenAPI document: complete, committed, served.

use super::world::World;
use crate::http::{ROUTES, admin, openapi_json};
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Set to write the committed document anew.
const UPDATE: &str = "UPDATE_OPENAPI";

#[test]
fn the_committed_document_is_the_served_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, openapi_json()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == openapi_json(),
        "docs/openapi.json differs: run this test with {UPDATE}=1 and look at the change"
    );
}

#[test]
fn every_route_stands_in_the_document_and_in_the_metrics() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let written: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let counted: BTreeSet<(String, String)> =
        ROUTES.iter().chain(admin::ROUTES).map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(written, counted);
    for schema in ["Charge", "Attempt", "Refund", "Event", "Problem", "Code", "Pay", "OpenCharge"] {
        assert!(document["components"]["schemas"].get(schema).is_some(), "{schema}");
    }
}

#[tokio::test]
async fn every_route_is_served_and_the_document_needs_no_signature() {
    let world = World::start().await;
    for (method, path) in ROUTES {
        let target = path.replace("{id}", "x").replace("{channel}", "nowhere").replace("{token}", "x");
        let request = Request::builder().method(*method).uri(&target).body(Body::empty()).unwrap();
        let answer = world.send(request).await;
        let expected = if path.starts_with("/v1/") {
            401
        } else if *path == "/openapi.json" {
            200
        } else {
            404
        };
        assert_eq!(answer.status, expected, "{method} {path}");
        let label = format!("code=\"{expected}\",method=\"{method}\",route=\"{path}\"");
        assert_eq!(world.counted(&format!("tongdao_http_requests_total{{{label}}}")), 1, "{label}");
    }
}

#[test]
fn the_document_and_the_reader_know_the_same_fields() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let properties = |schema: &str| -> BTreeSet<String> {
        document["components"]["schemas"][schema]["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let source = include_str!("../requests/open_charge.rs");
    let documented = ["OpenCharge", "OpenChargePayer", "OpenChargeDelivery"].map(properties).concat_all();
    for field in documented {
        assert!(source.contains(&format!("(\"{field}\"")), "{field} is documented and never read");
    }
}

trait ConcatAll {
    fn concat_all(self) -> BTreeSet<String>;
}

impl<const N: usize> ConcatAll for [BTreeSet<String>; N] {
    fn concat_all(self) -> BTreeSet<String> {
        self.into_iter().flatten().collect()
    }
}
