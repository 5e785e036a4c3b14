//! What operators order over the router's head: a test a rule, over the admin socket and the command line.

use crate::world::World;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use tongdao::client::{Ask, Verb, Way, ask};
use tongdao_sandbox::{Fault, FaultKind, Operation, ProviderName};

pub async fn admin(world: &World, path: &str, verb: Verb<'_>) -> (u16, Value) {
    let way = Way::Socket(world.directory().join("admin.sock"));
    let answer = ask(&way, Ask { path, verb, token: None, deadline: Duration::from_secs(10) }).await.unwrap();
    (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body)))
}

pub async fn load(world: &World, path: &str) -> Value {
    let (status, document) = admin(world, path, Verb::Get).await;
    assert_eq!(status, 200, "{path}: {document}");
    document
}

/// Orders something for 15 minutes; `more` is merged in.
async fn try_order(world: &World, action: &str, target: &str, more: Value) -> (u16, Value) {
    let mut body =
        json!({ "action": action, "target": target, "for": "15m", "reason": "5xx since 03:10", "actor": "li" });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    admin(world, "/admin/v1/overrides", Verb::Post(&body)).await
}

/// Every method has one channel here, so a drain has to be insisted on.
async fn order(world: &World, action: &str, target: &str) -> Value {
    let (status, order) = try_order(world, action, target, json!({ "even_if_last": true })).await;
    assert_eq!(status, 201, "{order}");
    order
}

async fn restore(world: &World, id: &Value) -> (u16, Value) {
    let path = format!("/admin/v1/overrides/{}?actor=wang&reason=over", id.as_str().unwrap());
    admin(world, &path, Verb::Delete).await
}

/// A charge of a payer for whom the order of channels is no near tie: WeChat Pay, then Alipay.
async fn open(world: &World) -> Value {
    world.open(json!({ "payer": { "methods": ["wechatpay", "alipay"], "preferred": "wechatpay" } })).await
}

fn route(charge: &Value) -> (&str, &str) {
    let attempt = &charge["attempt"];
    (attempt["channel"].as_str().unwrap(), attempt["route"]["chosen_because"].as_str().unwrap())
}

async fn channel(world: &World, id: &str) -> Value {
    let channels = load(world, "/admin/v1/channels").await;
    channels["data"].as_array().unwrap().iter().find(|channel| channel["id"] == id).unwrap().clone()
}

pub async fn metric(world: &World, series: &str) -> String {
    let (_, text) = admin(world, "/metrics", Verb::Get).await;
    let line = text.as_str().unwrap().lines().find(|line| line.starts_with(series)).unwrap_or_default().to_owned();
    line.rsplit(' ').next().unwrap().to_owned()
}

/// The housekeeping looks each second; the clock's move wakes it at once.
pub async fn until_metric(world: &World, series: &str, wanted: &str) {
    for _ in 0..600 {
        if metric(world, series).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{series} never became {wanted}");
}

const DRAINED: &str = r#"tongdao_channel_state{channel="wechat-main",state="drained"}"#;
const EXPIRES: &str = r#"tongdao_override_expires_timestamp_seconds{action="drain",channel="wechat-main"}"#;

#[tokio::test]
async fn a_drained_channel_takes_no_charges_until_the_clock_says_so() {
    let world = World::start().await;
    let order = order(&world, "drain", "wechat-main").await;
    let charge = open(&world).await;
    assert_eq!(charge["attempt"]["channel"], "alipay-main", "{charge:#}");
    let seen = charge["attempt"]["route"]["candidates"].as_array().unwrap();
    assert!(seen.iter().any(|one| one["channel"] == "wechat-main" && one["excluded"] == "drained"), "{seen:?}");
    let drained = channel(&world, "wechat-main").await;
    assert_eq!((&drained["state"], &drained["override"]["id"]), (&json!("drained"), &order["id"]), "{drained:#}");
    let operator = r#"tongdao_channel_transitions_total{cause="operator",channel="wechat-main",to="drained"}"#;
    assert_eq!([metric(&world, DRAINED).await, metric(&world, operator).await], ["1", "1"]);
    assert!(metric(&world, EXPIRES).await.parse::<i64>().unwrap() > 0);

    world.advance_s(901);
    assert_eq!(route(&open(&world).await).0, "wechat-main", "nobody had to run for it");
    assert_eq!(load(&world, "/admin/v1/overrides").await["data"], json!([]));
    assert_eq!(restore(&world, &order["id"]).await.0, 404, "it ended by itself");
    let expiry = r#"tongdao_channel_transitions_total{cause="expiry",channel="wechat-main",to="open"}"#;
    until_metric(&world, expiry, "1").await;
    until_metric(&world, EXPIRES, "0").await;
    until_metric(&world, DRAINED, "0").await;
}

#[tokio::test]
async fn a_method_is_not_left_without_a_channel_unless_the_operator_insists() {
    let world = World::start().await;
    for target in ["alipay-main", "alipay"] {
        let (status, problem) = try_order(&world, "drain", target, json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("would_leave_no_channel")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("alipay"), "{problem}");
    }
    assert_eq!(load(&world, "/admin/v1/overrides").await["data"], json!([]));
    assert_eq!(load(&world, "/admin/v1/audit").await["data"], json!([]), "nothing was done");
    let (status, _) = try_order(&world, "force", "alipay-main", json!({})).await;
    assert_eq!(status, 201, "a force takes nothing away");
    order(&world, "drain", "alipay-main").await;
    assert_eq!(channel(&world, "alipay-main").await["state"], "drained");
}

#[tokio::test]
async fn callbacks_queries_and_refunds_of_a_drained_channel_go_on() {
    let world = World::start().await;
    let (called, asked) = (open(&world).await, open(&world).await);
    assert_eq!(route(&called).0, "wechat-main");
    order(&world, "drain", "wechatpay").await;
    let (called_id, asked_id) = (called["id"].as_str().unwrap(), asked["id"].as_str().unwrap());
    let completed = |charge: &Value| charge["stage"] == "completed";
    world.pay(&called);
    world.until(called_id, "completed by a callback", completed).await;

    world.fault(ProviderName::Wechatpay, Operation::Callback, Fault { lost_ratio: 1.0, ..Fault::default() });
    world.pay(&asked);
    world.advance_until(asked_id, 5, "completed by a query", completed).await;

    let path = format!("/v1/charges/{called_id}/refunds");
    let (status, refund) = world.post_in_turn(&path, json!({ "refund_no": "R1", "amount": 1999 })).await;
    assert_eq!(status, 201, "{refund}");
    world.advance_until(called_id, 10, "refunded", |charge| charge["status"] == "refunded").await;
    assert_eq!(channel(&world, "wechat-main").await["state"], "drained", "and it was drained all the time");
}

#[tokio::test]
async fn a_forced_channel_is_tried_first_and_failover_stays_on() {
    let world = World::start().await;
    order(&world, "force", "alipay").await;
    assert_eq!(route(&open(&world).await), ("alipay-main", "forced"));
    let forced = channel(&world, "alipay-main").await;
    assert_eq!((&forced["state"], &forced["override"]["action"]), (&json!("open"), &json!("force")));
    let cannot = world.open(json!({ "payer": { "methods": ["wechatpay"] } })).await;
    assert_eq!(route(&cannot).0, "wechat-main", "a payer without it routes as usual");

    world.break_create(ProviderName::Alipay, FaultKind::Congested);
    let charge = open(&world).await;
    assert_eq!(charge["attempts"][0]["channel"], "alipay-main", "{charge:#}");
    assert_eq!(charge["attempts"][0]["route"]["chosen_because"], "forced");
    assert_eq!(route(&charge), ("wechat-main", "failover"));
}

#[tokio::test]
async fn a_pin_beats_a_force_and_a_drain_beats_both() {
    let world = World::start().await;
    order(&world, "force", "alipay-main").await;
    let pinned = json!({ "channel": "wechat-main" });
    assert_eq!(route(&world.open(pinned.clone()).await), ("wechat-main", "pinned"));
    let order = order(&world, "drain", "alipay-main").await;
    assert_eq!(route(&open(&world).await).0, "wechat-main", "a drain beats a force");
    assert_eq!(channel(&world, "alipay-main").await["override"]["id"], order["id"]);
    let (status, problem) = world.try_open(json!({ "channel": "alipay-main" })).await;
    assert_eq!((status, &problem["code"]), (503, &json!("no_channel_available")), "a drain beats a pin: {problem}");
    let (status, ended) = restore(&world, &order["id"]).await;
    assert_eq!((status, &ended["id"]), (200, &order["id"]), "{ended}");
    assert_eq!(route(&open(&world).await), ("alipay-main", "forced"), "what was under the drain holds again");
}

#[tokio::test]
async fn orders_and_their_audit_survive_a_restart() {
    let mut world = World::start().await;
    order(&world, "drain", "wechat-main").await;
    order(&world, "force", "unionpay-main").await;
    let (orders, audit) = (load(&world, "/admin/v1/overrides").await, load(&world, "/admin/v1/audit").await);
    assert_eq!((orders["data"].as_array().unwrap().len(), audit["data"].as_array().unwrap().len()), (2, 2));
    world.restart().await;
    assert_eq!(load(&world, "/admin/v1/overrides").await, orders);
    assert_eq!(load(&world, "/admin/v1/audit").await, audit);
    assert_eq!(route(&open(&world).await).0, "alipay-main");
    assert_eq!(route(&world.open(json!({})).await), ("unionpay-main", "forced"));
    until_metric(&world, DRAINED, "1").await;
    let operator = r#"tongdao_channel_transitions_total{cause="operator",channel="wechat-main",to="drained"}"#;
    assert_eq!(metric(&world, operator).await, "0", "what held before is no news");

    world.advance_s(901);
    world.restart().await;
    assert_eq!(load(&world, "/admin/v1/overrides").await["data"], json!([]), "it ended while nothing ran");
    assert_eq!(route(&open(&world).await).0, "wechat-main");
    let next = order(&world, "force", "alipay-main").await;
    assert!(next["version"].as_i64() > orders["version"].as_i64(), "the version goes on: {next}");
}

#[tokio::test]
async fn a_dry_run_says_what_follows_and_guards_the_real_one() {
    let world = World::start().await;
    open(&world).await;
    let (status, tried) = try_order(&world, "drain", "wechat-main", json!({ "dry_run": true })).await;
    assert_eq!((status, &tried["refused"]), (200, &json!("would_leave_no_channel")), "{tried}");
    assert_eq!(tried["consequence"]["charges_in_flight"], 1);
    let elsewhere = tried["consequence"]["elsewhere"].as_array().unwrap();
    assert_eq!(elsewhere.len(), 2, "{tried}");
    assert!(elsewhere.iter().all(|one| one["max_in_flight"].as_i64() > Some(0)), "{tried}");
    assert_eq!(load(&world, "/admin/v1/overrides").await["data"], json!([]), "and changes nothing");

    let guard = json!({ "if_version": tried["version"], "even_if_last": true });
    let (status, first) = try_order(&world, "drain", "wechat-main", guard.clone()).await;
    assert_eq!((status, first["version"].as_i64()), (201, tried["version"].as_i64().map(|seen| seen + 1)));
    let (status, problem) = try_order(&world, "drain", "wechat-main", guard).await;
    assert_eq!((status, &problem["code"]), (409, &json!("version_changed")), "{problem}");
    let id = first["id"].as_str().unwrap();
    let stale = format!("/admin/v1/overrides/{id}?if_version={}", tried["version"]);
    assert_eq!(admin(&world, &stale, Verb::Delete).await.0, 409);

    let seen = first["version"].clone();
    world.advance_s(901);
    let late = json!({ "if_version": seen, "even_if_last": true });
    assert_eq!(try_order(&world, "drain", "wechat-main", late).await.0, 409, "an end is a change too");
}

#[tokio::test]
async fn the_audit_says_who_when_what_why_and_until() {
    let world = World::start().await;
    let order = order(&world, "drain", "alipay-main").await;
    assert_eq!(restore(&world, &order["id"]).await.0, 200);
    assert_eq!(restore(&world, &order["id"]).await.0, 404, "once");
    let audit = load(&world, "/admin/v1/audit?limit=1").await;
    let last = &audit["data"][0];
    let (by, what) = ((&last["actor"], &last["action"]), (&last["target"], &last["reason"], &last["until"]));
    assert_eq!(by, (&json!("wang"), &json!("restore")), "{audit}");
    assert_eq!(what, (&json!("alipay-main"), &json!("over"), &Value::Null));
    let rest = load(&world, &format!("/admin/v1/audit?cursor={}", audit["next_cursor"].as_str().unwrap())).await;
    let first = &rest["data"][0];
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
    let (by, what) = ((&first["actor"], &first["action"]), (&first["target"], &first["reason"], &first["until"]));
    assert_eq!(by, (&json!("li"), &json!("drain")), "{rest}");
    assert_eq!(what, (&json!("alipay-main"), &json!("5xx since 03:10"), &order["ends_at"]));
    assert_eq!((&first["override"], &last["override"]), (&order["id"], &order["id"]));
}

#[tokio::test]
async fn an_order_is_read_as_strictly_as_a_charge() {
    let world = World::start().await;
    let wrong = [
        ("target", json!("nobody")),
        ("for", json!("900")),
        ("for", json!("8d")),
        ("for", json!("0s")),
        ("reason", json!("")),
        ("actor", Value::Null),
        ("if_version", json!("1")),
        ("forever", json!(true)),
    ];
    for (field, value) in wrong {
        let (status, problem) = try_order(&world, "drain", "alipay-main", json!({ field: value.clone() })).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_request")), "{field} {value}: {problem}");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"), "{problem}");
    }
    assert_eq!(try_order(&world, "eject", "alipay-main", json!({})).await.0, 422);
    assert_eq!(load(&world, "/admin/v1/audit").await["data"], json!([]));
}

/// Types a line at the daemon's machine.
pub async fn sh(world: &World, line: &str) -> (i32, String) {
    let binary = Path::new(env!("CARGO_BIN_EXE_tongdao"));
    let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", line]).current_dir(world.directory()).env_clear().env("NO_COLOR", "1").env("PATH", path);
    command.env("TONGDAO_ADMIN_SOCKET", world.directory().join("admin.sock")).env("USER", "li");
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.code().unwrap(), said)
}

pub fn line_after<'s>(said: &'s str, word: &str) -> &'s str {
    said.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("no {word} in\n{said}"))
}

#[tokio::test]
async fn on_call_is_led_from_a_dry_run_to_the_order_and_back() {
    let world = World::start().await;
    let (code, said) = sh(&world, "tongdao drain wechat-main --for 15m --reason 'no $ since 3' --dry-run").await;
    assert_eq!(code, 4, "the safety rule would refuse it: {said}");
    assert!(said.contains("in flight at wechat-main: 0 charges") && said.contains("alipay-main (alipay): "), "{said}");
    let apply = line_after(&said, "apply: ").to_owned();
    let (code, refused) = sh(&world, "tongdao drain wechat-main --for 15m --reason x").await;
    assert_eq!(code, 4, "{refused}");
    let (code, done) = sh(&world, &apply).await;
    assert_eq!(code, 0, "{apply}: {done}");
    assert_eq!(route(&open(&world).await).0, "alipay-main");
    let (code, again) = sh(&world, &apply).await;
    assert_eq!(code, 5, "changed since the dry run: {again}");

    let (code, orders) = sh(&world, "tongdao overrides").await;
    assert!(code == 0 && orders.contains("wechat-main") && orders.contains("no $ since 3"), "{orders}");
    let (code, one) = sh(&world, "tongdao channel wechat-main").await;
    assert!(code == 1 && one.contains("drained") && one.contains("by li: no $ since 3"), "{one}");

    let (code, undone) = sh(&world, line_after(&done, "undo: ")).await;
    assert_eq!(code, 0, "{undone}");
    assert_eq!(route(&open(&world).await).0, "wechat-main");
    let (code, redone) = sh(&world, &format!("{} --even-if-last", line_after(&undone, "undo: "))).await;
    assert_eq!(code, 0, "{redone}");
    let (code, audit) = sh(&world, "tongdao audit").await;
    let told: Vec<&str> = audit.lines().skip(1).map(|line| line.split_whitespace().nth(3).unwrap()).collect();
    assert_eq!((code, told), (0, vec!["drain", "restore", "drain"]), "{audit}");
}

#[tokio::test]
async fn a_force_and_its_restore_are_tried_first_too() {
    let world = World::start().await;
    let (code, said) = sh(&world, "tongdao force alipay --for 30m --reason bank --dry-run").await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(sh(&world, line_after(&said, "apply: ")).await.0, 0);
    assert_eq!(route(&open(&world).await), ("alipay-main", "forced"));
    let (code, said) = sh(&world, "tongdao restore alipay --dry-run").await;
    assert!(code == 0 && said.contains("would end: force alipay until"), "{said}");
    assert_eq!(route(&open(&world).await), ("alipay-main", "forced"), "a dry run changes nothing");
    let apply = line_after(&said, "apply: ");
    assert_eq!(sh(&world, "tongdao force wechat-main --for 1m --reason other").await.0, 0);
    assert_eq!(sh(&world, apply).await.0, 5, "changed since the dry run");
    assert_eq!(sh(&world, "tongdao restore alipay").await.0, 0);
    assert_eq!(sh(&world, "tongdao restore alipay").await.0, 2, "nothing is left to restore");
    let nobody = sh(&world, "USER= tongdao force alipay --for 30m --reason bank").await;
    assert!(nobody.0 == 2 && nobody.1.contains("--actor"), "{nobody:?}");
}
