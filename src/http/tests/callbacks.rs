//! Providers' calls and the payer's page.

use super::world::World;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use std::future::{Future as _, poll_fn};
use std::task::Poll;

#[tokio::test]
async fn a_callback_is_answered_in_the_providers_words() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    for _ in 0..2 {
        let taken = world.pay(&charge).await;
        assert_eq!((taken.status, taken.body.as_str(), taken.header("content-type")), (200, "taken", "text/plain"));
        assert!(taken.header("request-id").starts_with("req_"));
    }
    let forged = Request::post("/callbacks/good").header("host", "localhost").header("x-forwarded-for", "127.0.0.1");
    let forged = world.send(forged.body(Body::from("x 1")).unwrap()).await;
    assert_eq!((forged.status, forged.body.as_str()), (401, "refused"));
    let unknown = world.send(Request::post("/callbacks/nowhere").body(Body::empty()).unwrap()).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "not_found"));
    let large = Request::post("/callbacks/good").body(Body::from(vec![b'x'; 300 * 1024])).unwrap();
    assert_eq!(world.send(large).await.status, 413);
    let got = world.send(Request::get("/callbacks/good").body(Body::empty()).unwrap()).await;
    assert_eq!(got.status, 405);
}

#[tokio::test]
async fn work_goes_on_when_the_caller_hangs_up() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    let order_no = charge["attempt"]["provider_order_no"].as_str().unwrap();
    let request = Request::post("/callbacks/good?believe=me").body(Body::from(format!("{order_no} 1999"))).unwrap();
    let mut answer = Box::pin(world.send(request));
    // One poll starts the work; then the caller is gone.
    assert!(poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_pending())).await);
    drop(answer);
    assert!(world.tasks.stop(std::time::Duration::from_secs(1)).await);
    let charge = world.get(&format!("/v1/charges/{}", charge["id"].as_str().unwrap())).await.json();
    assert_eq!(charge["status"], "paid");
}

#[tokio::test]
async fn the_payers_page_shows_the_code_and_then_that_it_is_paid() {
    let world = World::start().await;
    let charge = world.open(json!({ "subject": "<script>alert(1)</script>" })).await;
    let url = charge["cashier_url"].as_str().unwrap().strip_prefix("https://pay.example").unwrap().to_owned();
    let look = || world.send(Request::get(&url).body(Body::empty()).unwrap());
    let page = look().await;
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    for text in ["一号店 &lt;b&gt;", "¥19.99", "&lt;script&gt;", "<svg", "http-equiv=\"refresh\"", "aria-current"] {
        assert!(page.body.contains(text), "{text}");
    }
    assert!(!page.body.contains("<script"));
    world.pay(&charge).await;
    let page = look().await;
    assert!(page.body.contains("请勿重复付款") && !page.body.contains("<svg"), "{}", page.body);
    for token in ["x", "00000000000000000000000000000000", "..%2f..%2f"] {
        let lost = world.send(Request::get(format!("/pay/{token}")).body(Body::empty()).unwrap()).await;
        assert_eq!(lost.status, 404, "{token}");
    }
}
