//! The admin API over its router, on a flow without a network.

use super::*;
use crate::config::fake;
use crate::ports::{Batch, Break, BreakStatus};
use crate::testbed::{Bed, CONFIG};
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tongdao_core::effect::BreakKind;
use tongdao_core::ids::BreakId;
use tongdao_core::money::Money;
use tower::ServiceExt as _;

const TOKEN: &str = "Bearer admin-token-of-the-testbed";

struct Listener {
    bed: Bed,
    router: Router,
}

impl Listener {
    async fn start(entrance: Entrance) -> Self {
        let bed = Bed::start(ROUTES).await;
        let reloader = Arc::new(Reloader::new(bed.flow.clone(), fake::REGISTRY, |_| {}));
        let router = router(reloader, bed.flow.clone(), Tasks::new(), entrance);
        Self { bed, router }
    }

    async fn raw(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 22).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.raw("GET", path, None, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, body) = self.raw("POST", path, None, &body.to_string()).await;
        (status.as_u16(), serde_json::from_str(&body).unwrap())
    }
}

#[tokio::test]
async fn over_tcp_only_the_token_opens_the_api() {
    let listener = Listener::start(Entrance::Token).await;
    for path in ["/admin/v1/status", "/admin/v1/channels", "/admin/v1/charges/ch_x", "/admin/v1/breaks"] {
        for token in [None, Some("Bearer wrong"), Some("Basic admin-token-of-the-testbed")] {
            let (status, body) = listener.raw("GET", path, token, "").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path} {token:?}");
            assert!(body.contains("\"unauthenticated\""), "{body}");
        }
    }
    assert_eq!(listener.raw("GET", "/admin/v1/status", Some(TOKEN), "").await.0, StatusCode::OK);
    for open in ["/", "/healthz", "/readyz", "/metrics"] {
        assert_eq!(listener.raw("GET", open, None, "").await.0, StatusCode::OK, "{open}");
    }
    let metrics = listener.raw("GET", "/metrics", None, "").await.1;
    assert!(metrics.contains("tongdao_auth_failures_total{reason=\"missing\"} 4"), "missing tokens are counted");
    assert!(metrics.contains("tongdao_auth_failures_total{reason=\"admin_token\"} 8"), "wrong ones too");
}

#[tokio::test]
async fn a_wrong_token_locks_nobody_out() {
    let listener = Listener::start(Entrance::Token).await;
    for _ in 0..200 {
        let refused = listener.raw("GET", "/admin/v1/channels", Some("Bearer guess"), "").await.0;
        assert_eq!(refused, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(listener.raw("GET", "/admin/v1/channels", Some(TOKEN), "").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_closed_store_is_alive_and_not_ready() {
    let listener = Listener::start(Entrance::Open).await;
    listener.bed.flow.store().close().await;
    assert_eq!(listener.raw("GET", "/healthz", None, "").await.0, StatusCode::OK);
    let (status, why) = listener.raw("GET", "/readyz", None, "").await;
    assert_eq!((status, why.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "not ready: the store is closed\n"));
    let board = listener.get("/admin/v1/status").await;
    assert_eq!((&board["ready"], &board["not_ready"][0]), (&json!(false), &json!("the store is closed")));
}

#[tokio::test]
async fn any_number_finds_a_charge_and_its_steps() {
    let listener = Listener::start(Entrance::Open).await;
    let charge = listener.bed.charge("order-1").await;
    // Ids of one millisecond sort by chance.
    let clock = &listener.bed.flow.clock;
    clock.sleep_until(clock.now().plus_ms(2)).await;
    let other = listener.bed.charge("order-2").await;
    let id = charge.id.to_string();
    let our_number = charge.attempts.first().unwrap().provider_order_no.clone();
    for number in ["order-1", &id, &our_number] {
        let found = listener.get(&format!("/admin/v1/charges?find={number}")).await;
        assert_eq!(found["data"].as_array().unwrap().len(), 1, "{number}: {found}");
        assert_eq!(found["data"][0]["id"], json!(id));
    }
    let none = listener.get("/admin/v1/charges?find=order").await;
    assert_eq!(none["data"], json!([]));
    let shown = listener.get(&format!("/admin/v1/charges/{id}")).await;
    assert_eq!((&shown["merchant"], &shown["notify_url"]), (&json!("m1"), &json!("https://shop.example/n")));
    assert_eq!((&shown["refunds"], &shown["open_breaks"]), (&json!([]), &json!([])));
    let all = listener.get("/admin/v1/charges?limit=1").await;
    assert_eq!(all["data"][0]["id"], json!(other.id.to_string()), "newest first");
    let next = listener.get(&format!("/admin/v1/charges?cursor={}", all["next_cursor"].as_str().unwrap())).await;
    assert_eq!(next["data"][0]["id"], json!(id));
    let steps = listener.get(&format!("/admin/v1/charges/{id}/events")).await;
    assert_eq!(steps["data"][0]["type"], json!("charge_created"));
    let first = listener.get(&format!("/admin/v1/charges/{id}/events?limit=1")).await;
    let rest = format!("/admin/v1/charges/{id}/events?cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(listener.get(&rest).await["data"][0], steps["data"][1]);
}

#[tokio::test]
async fn pushing_on_what_cannot_be_pushed_is_refused_by_the_rules() {
    let listener = Listener::start(Entrance::Open).await;
    let id = listener.bed.charge("order-1").await.id;
    let (status, problem) = listener.post(&format!("/admin/v1/charges/{id}/redeliver"), json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("invalid_state")), "nothing is paid");
    let (status, charge) = listener.post(&format!("/admin/v1/charges/{id}/sync"), json!({})).await;
    assert_eq!((status, &charge["status"]), (200, &json!("open")));
    let (status, problem) = listener.post("/admin/v1/charges/ch_nonsense/sync", json!({})).await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn a_decision_is_explained_and_taken_by_nobody() {
    let listener = Listener::start(Entrance::Open).await;
    let (status, decision) = listener.post("/admin/v1/routes/explain", json!({ "amount": 1880 })).await;
    assert_eq!(status, 200, "{decision}");
    assert_eq!((&decision["channel"], &decision["chosen_because"]), (&json!("a"), &json!("only_one")));
    assert_eq!(decision["candidates"][1]["excluded"], json!("scene"));
    for wrong in [json!({}), json!({ "amount": 0 }), json!({ "amount": 1.5 }), json!({ "amount": 1, "scen": "qr" })] {
        let (status, problem) = listener.post("/admin/v1/routes/explain", wrong.clone()).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_request")), "{wrong}");
    }
    let metrics = listener.raw("GET", "/metrics", None, "").await.1;
    assert!(metrics.contains("tongdao_route_decision_duration_seconds_count 0"), "a question is no decision");
}

#[tokio::test]
async fn channels_show_how_they_stand() {
    let listener = Listener::start(Entrance::Open).await;
    let channels = listener.get("/admin/v1/channels").await;
    let (a, b) = (&channels["data"][0], &channels["data"][1]);
    assert_eq!((&a["id"], &a["state"], &a["override"]), (&json!("a"), &json!("open"), &Value::Null));
    assert_eq!((&a["limits"]["day_count_used"], &b["limits"]["day_count_used"]), (&json!(0.0), &Value::Null));
    assert!(b["score"].as_f64().unwrap() > a["score"].as_f64().unwrap(), "the cheaper one is ahead");
    assert_eq!(a["in_flight"], json!(0));
    let metrics = listener.raw("GET", "/metrics", None, "").await.1;
    let score = format!("tongdao_channel_score{{channel=\"a\"}} {}", a["score"]);
    assert!(metrics.contains(&score), "the gauge shows the same: {score}");
}

#[tokio::test]
async fn open_breaks_are_listed_past_the_ones_that_are_settled() {
    let listener = Listener::start(Entrance::Open).await;
    let flow = &listener.bed.flow;
    for n in 0_u8..5 {
        let status = if n % 2 == 0 { BreakStatus::Open } else { BreakStatus::Resolved };
        let batch = Batch { breaks: vec![a_break(n, status, flow)], ..Batch::default() };
        flow.commit_breaks(batch).await.unwrap();
    }
    let open = listener.get("/admin/v1/breaks?status=open&limit=2").await;
    assert_eq!(open["data"].as_array().unwrap().len(), 2);
    assert_eq!((&open["data"][0]["amount"], &open["data"][0]["status"]), (&json!(4), &json!("open")));
    let next = format!("/admin/v1/breaks?status=open&cursor={}", open["next_cursor"].as_str().unwrap());
    let last = listener.get(&next).await;
    assert_eq!((last["data"].as_array().unwrap().len(), &last["next_cursor"]), (1, &Value::Null));
    assert_eq!(listener.get("/admin/v1/status").await["open_breaks"], json!(3));
    let (status, problem) = listener.raw("GET", "/admin/v1/breaks?statuz=open", None, "").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
}

fn a_break(n: u8, status: BreakStatus, flow: &Flow) -> Break {
    Break {
        id: BreakId::new(flow.clock.now().plus_ms(i64::from(n)), u128::from(n)),
        kind: BreakKind::MissingHere,
        status,
        channel: Some("a".parse().unwrap()),
        charge: None,
        attempt: None,
        merchant_order_no: None,
        provider_order_no: Some("X".to_owned()),
        provider_trade_no: Some("T".to_owned()),
        amount: Money::cny(i64::from(n)),
        opened_at: flow.clock.now(),
        resolved_at: None,
        resolution: None,
        actor: None,
        evidence: "a payment for a number that nobody here knows".to_owned(),
    }
}

#[tokio::test]
async fn a_reload_is_tried_first_and_a_bad_file_changes_nothing() {
    let listener = Listener::start(Entrance::Open).await;
    let write = |text: &str| std::fs::write(&listener.bed.path, text).unwrap();
    let fee = |fee: u32| CONFIG.replacen("fee_bps = 60", &format!("fee_bps = {fee}"), 1);
    let shown = async || listener.get("/admin/v1/channels").await["data"][0]["fee_bps"].clone();

    write("nonsense = 1\n[server]\nmore = 2\n");
    let (status, problem) = listener.post("/admin/v1/config/reload", json!({})).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_request")));
    assert!(problem["errors"].as_array().unwrap().len() > 1, "all faults at once: {problem}");

    write(&fee(50));
    let (status, tried) = listener.post("/admin/v1/config/reload", json!({ "dry_run": true })).await;
    assert_eq!((status, shown().await), (200, json!(60)), "{tried}");
    assert_eq!(listener.get("/admin/v1/audit").await["data"], json!([]), "what changed nothing is no change");
    let (status, done) = listener.post("/admin/v1/config/reload", json!({ "actor": "li" })).await;
    assert_eq!((status, shown().await), (200, json!(50)), "{done}");
    let audit = listener.get("/admin/v1/audit").await;
    assert_eq!((&audit["data"][0]["action"], &audit["data"][0]["actor"]), (&json!("reload"), &json!("li")), "{audit}");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document() {
    let listener = Listener::start(Entrance::Open).await;
    let (status, body) = listener.raw("GET", "/admin/v1/nowhere", None, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    assert!(body.contains("\"not_found\""), "{body}");
    let (status, body) = listener.raw("DELETE", "/admin/v1/channels", None, "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{body}");
}

#[tokio::test]
async fn every_route_is_named_for_the_metrics() {
    let listener = Listener::start(Entrance::Open).await;
    for (method, path) in ROUTES {
        let path = path.replace("{id}", "ch_00000000000000000000000000");
        listener.raw(method, &path, None, "{}").await;
    }
    let metrics = listener.raw("GET", "/metrics", None, "").await.1;
    for (method, path) in ROUTES.iter().filter(|(_, path)| *path != "/metrics") {
        let counted = metrics.lines().any(|line| {
            line.starts_with("tongdao_http_requests_total{")
                && line.contains(&format!("method=\"{method}\""))
                && line.contains(&format!("route=\"{path}\""))
                && !line.ends_with(" 0")
        });
        assert!(counted, "{method} {path} is not counted under its own name");
    }
}
