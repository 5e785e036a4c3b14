//! The steps of a charge, listed and live.

use super::world::World;
use axum::body::BodyDataStream;
use axum::http::{HeaderValue, header};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

struct Reader(BodyDataStream);

impl Reader {
    async fn open(world: &World, target: &str, last: Option<&str>) -> Self {
        let mut request = world.signed("GET", target, "");
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(last) = last {
            request.headers_mut().insert("last-event-id", HeaderValue::from_str(last).unwrap());
        }
        let response = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Self(response.into_body().into_data_stream())
    }

    /// The next piece of text; `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        let piece = tokio::time::timeout(Duration::from_secs(2), self.0.next()).await.expect("no event in time");
        piece.map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap())
    }

    /// Reads until some text has come.
    async fn until(&mut self, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            all.push_str(&self.next().await.expect("the stream ended"));
        }
        all
    }
}

fn kinds(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_step_is_listed_oldest_first() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    world.pay(&charge).await;
    let target = format!("/v1/charges/{}/events", charge["id"].as_str().unwrap());
    let page = world.get(&target).await.json();
    let seen = kinds(&page);
    assert_eq!(&seen[..4], ["charge_created", "attempt_creating", "attempt_pending", "paid"]);
    assert_eq!(page["data"][3]["data"]["source"], "callback");
    assert_eq!(page["next_cursor"], Value::Null);
    let first = world.get(&format!("{target}?limit=2")).await.json();
    assert_eq!(kinds(&first), seen[..2]);
    let rest = world.get(&format!("{target}?cursor={}", first["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!(kinds(&rest), seen[2..]);
}

#[tokio::test]
async fn a_stream_tells_what_was_what_comes_and_goes_on_where_it_was_left() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    let target = format!("/v1/charges/{}/events", charge["id"].as_str().unwrap());
    let mut reader = Reader::open(&world, &target, None).await;
    let past = reader.until("event: attempt_pending").await;
    assert!(past.starts_with("retry: 2000\n\n") && past.contains("event: charge_created\n"), "{past}");
    world.pay(&charge).await;
    let live = reader.until("event: paid").await;
    assert!(!live.contains("attempt_pending"), "told twice: {live}");
    let pending = past.split("\n\n").find(|frame| frame.contains("event: attempt_pending")).unwrap();
    let last = pending.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let resumed = Reader::open(&world, &target, Some(last)).await.until("event: paid").await;
    assert!(!resumed.contains("attempt_pending"), "{resumed}");
    let told = resumed.lines().filter_map(|line| line.strip_prefix("data: ")).next().unwrap();
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!((&told["type"], &told["charge"]), (&json!("paid"), &charge["id"]));
}

#[tokio::test]
async fn a_stream_ends_when_the_daemon_stops() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    let target = format!("/v1/charges/{}/events", charge["id"].as_str().unwrap());
    let mut reader = Reader::open(&world, &target, None).await;
    reader.until("event: attempt_pending").await;
    world.tasks.stop(Duration::from_millis(10)).await;
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn the_number_of_streams_is_bounded() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    let target = format!("/v1/charges/{}/events", charge["id"].as_str().unwrap());
    let mut readers = Vec::new();
    for _ in 0..crate::http::STREAMS_MAX {
        readers.push(Reader::open(&world, &target, None).await);
    }
    let mut request = world.signed("GET", &target, "");
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    let answer = world.send(request).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    drop(readers.pop());
    drop(Reader::open(&world, &target, None).await);
}
