//! The router at work in the daemon: what is dead is left and found again, by the answers of calls and by payments that
//! do not come. Time is the test's: a second passes when so many charges were opened.

use crate::world::{Wishes, World, code_of};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;
use tongdao::ports::Clock as _;
use tongdao_sandbox::{Fault, FaultKind, Operation, ProviderName};

/// A shop's traffic on the test's clock: each payer pays some seconds after the code, if he can.
struct Traffic<'w> {
    world: &'w World,
    gap_ms: i64,
    opened: i64,
    now_ms: i64,
    due: VecDeque<(i64, String)>,
    methods: Value,
    /// One payer in so many pays.
    pays_each: i64,
    paid: i64,
    /// Whether callbacks come.
    told: bool,
}

impl<'w> Traffic<'w> {
    fn new(world: &'w World) -> Self {
        let methods = json!(["wechatpay", "alipay"]);
        Self {
            world,
            gap_ms: 25,
            opened: 0,
            now_ms: 0,
            due: VecDeque::new(),
            methods,
            pays_each: 1,
            paid: 0,
            told: true,
        }
    }

    /// One charge, and the time until the next; the channel of its first attempt.
    async fn one(&mut self) -> String {
        self.world.clock.advance_ms(self.gap_ms);
        self.now_ms += self.gap_ms;
        let charge = self.world.open(json!({ "payer": { "methods": self.methods } })).await;
        let waits_ms = 1_000 + (self.opened * 977) % 3_000;
        self.opened += 1;
        if self.opened % self.pays_each == 0 {
            self.due.push_back((self.now_ms + waits_ms, code_of(&charge["attempt"])));
        }
        for _ in 0..self.due.len() {
            let Some((at_ms, code)) = self.due.pop_front() else { break };
            if at_ms > self.now_ms {
                self.due.push_back((at_ms, code));
            } else {
                // Where nobody can pay, nobody does.
                self.paid += i64::from(self.world.scan(&code).is_ok());
            }
        }
        self.keep_up().await;
        charge["attempts"][0]["channel"].as_str().unwrap().to_owned()
    }

    /// The clock stands until the daemon has done what a machine with time to spare has done by then.
    async fn keep_up(&self) {
        let flow = &self.world.daemon.as_ref().unwrap().flow;
        let channels = ["wechat-main", "alipay-main"].map(|id| id.parse().unwrap());
        let mut quiet = 0;
        for _ in 0..2_000 {
            let now = self.world.clock.now();
            let beats = now.since_ms(flow.pulsed_at()) < 250;
            let known: i64 = channels.iter().map(|id| flow.channels().view(id, now).day_count).sum();
            let asked = channels.iter().any(|id| flow.metrics.in_flight(id) != Some(0));
            quiet = if beats && !asked && (known >= self.paid || !self.told) { quiet + 1 } else { 0 };
            // Questions begin a moment after the beat; where callbacks are lost, there are some.
            if quiet >= if self.told { 1 } else { 4 } {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the daemon does not keep up");
    }

    /// So many charges; how many of them were tried on a channel first.
    async fn many(&mut self, count: i64, on: &str) -> i64 {
        let mut there = 0;
        for _ in 0..count {
            there += i64::from(self.one().await == on);
        }
        there
    }

    /// Milliseconds of the clock until a channel has at most, or at least, so many of the last ten charges.
    async fn until(&mut self, on: &str, within_ms: i64, share: impl Fn(usize) -> bool) -> i64 {
        let (began_ms, mut last) = (self.now_ms, VecDeque::new());
        while self.now_ms - began_ms < within_ms {
            last.push_back(self.one().await == on);
            if last.len() > 10 {
                last.pop_front();
            }
            if last.len() == 10 && share(last.iter().filter(|there| **there).count()) {
                return self.now_ms - began_ms;
            }
        }
        panic!("not within {within_ms} ms: {last:?}; {:#}", self.world.channel(on).await);
    }
}

/// WeChat Pay is the better of two channels by far more than what a few payers do can change.
async fn world() -> World {
    let instead = vec![("fee_bps = 60", "fee_bps = 95".to_owned())];
    World::with(Wishes { instead, ..Wishes::default() }).await
}

async fn metric(world: &World, series: &str) -> String {
    let Value::String(text) = world.admin("/metrics").await else { panic!("no text") };
    let line = text.lines().find(|line| line.starts_with(series)).unwrap_or_default().to_owned();
    line.rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn an_outage_of_the_best_channel_is_left_in_two_seconds_and_forgotten_half_a_minute_after_it() {
    let world = world().await;
    let mut traffic = Traffic::new(&world);
    assert_eq!(traffic.many(20, "wechat-main").await, 20);

    world.break_create(ProviderName::Wechatpay, FaultKind::ServerError);
    let left_ms = traffic.until("wechat-main", 2_000, |there| there <= 1).await;
    assert!(left_ms <= 2_000, "{left_ms}");
    let wasted = traffic.many(40, "wechat-main").await;
    assert!(wasted <= 8, "a last failure or two, and one probe in ten: {wasted}");

    world.sandbox.clear_faults();
    traffic.gap_ms = 100;
    let back_ms = traffic.until("wechat-main", 30_000, |there| there >= 9).await;
    assert!(back_ms <= 30_000, "{back_ms}");
}

#[tokio::test]
async fn a_channel_whose_codes_nobody_can_pay_is_left_in_fifteen_seconds() {
    let world = world().await;
    let mut traffic = Traffic::new(&world);
    traffic.gap_ms = 150;
    assert!(traffic.many(100, "wechat-main").await >= 90);
    traffic.until("wechat-main", 10_000, |there| there == 10).await;

    world.fault(ProviderName::Wechatpay, Operation::Create, Fault { silent: true, ..Fault::default() });
    traffic.gap_ms = 25;
    let left_ms = traffic.until("wechat-main", 15_000, |there| there <= 1).await;
    assert!(left_ms > 500, "nothing failed but the payments, and those take their time: {left_ms}");
    let seen = world.channel("wechat-main").await;
    assert_eq!(seen["health"].as_f64().map(|health| health > 0.9), Some(true), "it answers all the time: {seen:#}");
}

#[tokio::test]
async fn callbacks_that_do_not_come_are_asked_for_and_the_channel_stays() {
    let world = world().await;
    let mut traffic = Traffic::new(&world);
    traffic.gap_ms = 150;
    traffic.many(100, "wechat-main").await;
    world.fault(ProviderName::Wechatpay, Operation::Callback, Fault { lost_ratio: 1.0, ..Fault::default() });
    (traffic.gap_ms, traffic.told) = (100, false);
    traffic.many(150, "wechat-main").await;
    let ejected = r#"tongdao_channel_transitions_total{cause="health",channel="wechat-main",to="ejected"}"#;
    assert_eq!(metric(&world, ejected).await, "0", "{:#}", world.channel("wechat-main").await);
    let queries = r#"tongdao_provider_calls_total{channel="wechat-main",operation="query",outcome="ok"}"#;
    assert_ne!(metric(&world, queries).await, "0");
    traffic.until("wechat-main", 10_000, |there| there >= 8).await;
}

#[tokio::test]
async fn what_was_learnt_of_the_channels_survives_a_restart() {
    let mut world = world().await;
    let mut traffic = Traffic::new(&world);
    (traffic.gap_ms, traffic.methods, traffic.pays_each) = (300, json!(["wechatpay"]), 3);
    traffic.many(60, "wechat-main").await;
    world.break_create(ProviderName::Wechatpay, FaultKind::NoAuth);
    for _ in 0..3 {
        assert_eq!(world.try_open(json!({ "channel": "wechat-main" })).await.0, 502);
    }
    let known = |seen: &Value| seen["converts"].as_f64().unwrap();
    let before = world.channel("wechat-main").await;
    assert_eq!(before["state"], "ejected", "{before:#}");
    assert!(known(&before) < 0.75, "one payer in three pays: {before:#}");

    world.sandbox.clear_faults();
    world.restart().await;
    let after = world.channel("wechat-main").await;
    assert_eq!(after["state"], "ejected", "its account is still wrong as far as anybody knows: {after:#}");
    assert!(known(&after) < 0.8, "a cold start would hope for 0.9: {after:#}");
    assert_eq!(Traffic::new(&world).many(5, "wechat-main").await, 0);
}

#[tokio::test]
async fn an_account_that_is_refused_is_left_in_the_same_request_and_alone_after_three() {
    let world = world().await;
    world.break_create(ProviderName::Wechatpay, FaultKind::NoAuth);
    let mut traffic = Traffic::new(&world);
    assert_eq!(traffic.many(3, "wechat-main").await, 3, "each is left within its request");
    assert_eq!(traffic.many(10, "wechat-main").await, 0);
    let (out, well) = (world.channel("wechat-main").await, world.channel("alipay-main").await);
    assert_eq!((&out["state"], &well["state"]), (&json!("ejected"), &json!("open")));
    let ejected = r#"tongdao_channel_transitions_total{cause="health",channel="wechat-main",to="ejected"}"#;
    assert_eq!(metric(&world, ejected).await, "1");
    assert!(out["last_errors"][0]["detail"].as_str().unwrap().starts_with("misconfigured"), "{out:#}");
}

#[tokio::test]
async fn declines_and_wrong_parameters_say_nothing_about_a_channel() {
    let world = world().await;
    world.break_create(ProviderName::Wechatpay, FaultKind::Declined);
    let mut traffic = Traffic::new(&world);
    assert_eq!(traffic.many(12, "wechat-main").await, 12);
    let seen = world.channel("wechat-main").await;
    assert_eq!((&seen["state"], &seen["last_errors"]), (&json!("open"), &json!([])), "{seen:#}");
    assert_eq!(seen["health"], 0.98, "as if it had never been asked");
}

#[tokio::test]
async fn the_stored_decision_and_the_explanation_tell_the_same_numbers() {
    let world = World::start().await;
    let charge = world.open(json!({ "payer": { "methods": ["wechatpay", "alipay"] } })).await;
    let route = &charge["attempt"]["route"];
    assert_eq!((&route["chosen_because"], &route["reason"]), (&json!("score"), &json!("best")), "{route:#}");
    let candidates = route["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 3, "every channel is named");
    for seen in candidates {
        for number in ["score", "health", "converts", "latency_ms", "fee_bps"] {
            assert!(seen[number].is_number(), "{number}: {seen}");
        }
        assert_eq!(seen["standing"], "in");
    }
    assert_eq!(candidates[2]["excluded"], "method");
    assert!(candidates[0]["score"].as_f64() > candidates[1]["score"].as_f64());
}

#[tokio::test]
async fn the_method_that_a_payer_paid_with_last_and_the_one_he_prefers_weigh_a_little_and_no_more() {
    // Two channels that differ by less than a payer's habit.
    let world =
        World::with(Wishes { instead: vec![("fee_bps = 60", "fee_bps = 40".to_owned())], ..Wishes::default() }).await;
    let payer = json!({ "id": "u-1", "methods": ["wechatpay", "alipay"] });
    let first = world.open(json!({ "payer": payer, "channel": "alipay-main" })).await;
    world.pay(&first);
    world.until(first["id"].as_str().unwrap(), "paid", |charge| charge["status"] == "paid").await;
    let gained = |route: &Value| {
        let score = |place: usize| route["candidates"][place]["score"].as_f64().unwrap();
        score(1) - score(0)
    };
    // Nothing is sent between the explanations and the charge: only the payer differs.
    let explained = async |payer: Value| {
        let ask = json!({ "amount": 1999, "scene": "qr", "payer": payer });
        gained(&world.admin_post("/admin/v1/routes/explain", &ask).await)
    };
    let prefers = json!({ "id": "u-2", "methods": ["wechatpay", "alipay"], "preferred": "alipay" });
    let (stranger, preferring) = (explained(json!({ "id": "u-3" })).await, explained(prefers.clone()).await);
    let known = gained(&world.open(json!({ "payer": payer })).await["attempt"]["route"]);
    assert!(known > stranger + 0.005 && preferring > known + 0.005, "{stranger} {known} {preferring}");
    world.break_create(ProviderName::Alipay, FaultKind::ServerError);
    let left = world.open(json!({ "payer": prefers })).await;
    assert_eq!(left["attempt"]["channel"], "wechat-main", "a liking excludes nothing: {left:#}");
}
