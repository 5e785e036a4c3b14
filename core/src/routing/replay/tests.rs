//! The engine against published figures, and the router against the simple ones, on small worlds.

use super::*;

mod unseen;

/// Ten minutes at 20 payments a second; the best of two channels takes orders but nobody can pay for two minutes.
fn silent_outage() -> Trace {
    let base = |conv: f64| {
        serde_json::json!({
            "cap_rps": 100, "burst": 25, "knee": 45, "gamma": 1.5, "lat_ms": 160, "lat_sigma": 0.35, "err_ms": 80,
            "api_err": 0.004, "api_hang": 0.001, "conv": conv, "pay_delay_ms": 9000, "pay_delay_sigma": 0.7,
            "notify_lag_ms": 600, "notify_lag_sigma": 0.5, "fail_delay_ms": 120000, "fail_delay_sigma": 0.15,
            "max_inflight": 100000
        })
    };
    let channel = |id: &str, method: &str, priority: i64, conv: f64, segments: serde_json::Value| {
        serde_json::json!({
            "id": id, "method": method, "priority": priority, "fee_bps": 38, "fee_fixed_cents": 0,
            "contract_rps": 100, "base": base(conv), "segments": segments
        })
    };
    let dead = serde_json::json!([{"from_ms": 240_000, "to_ms": 360_000, "set": {"conv": 0.0}}]);
    let trace = serde_json::json!({
        "schema": "payroute-scenario/1", "id": "silent", "seed": 7, "duration_ms": 420_000, "warmup_ms": 120_000,
        "traffic": [{"from_ms": 0, "to_ms": 420_000, "rps": 20}],
        "amount": {"median_cents": 4500, "sigma": 1.0, "min_cents": 100, "max_cents": 500_000}, "margin": 0.1,
        "payer": {"free_wait_ms": 500, "abandon_per_s": 0.08}, "direct_share": 0.2,
        "api": {"timeout_ms": 3000, "query_ms": 800, "timeout_accept": 0.5, "ratelimit_ms": 30, "max_attempts": 2,
                "deadline_ms": 6000},
        "classes": [{"id": "any", "weight": 1.0, "methods": {"wechat": 1.0, "alipay": 0.99}}],
        "channels": [channel("main", "wechat", 1, 0.94, dead), channel("spare", "alipay", 2, 0.90, serde_json::json!([]))],
        "events": [{"from_ms": 240_000, "to_ms": 360_000, "kind": "dead", "channel": "main"}]
    });
    Trace::read(&trace.to_string()).unwrap()
}

fn low_traffic() -> Trace {
    Trace::read(include_str!("../../../../tests/fixtures/routing/low_traffic.json")).unwrap()
}

/// Net value in cents, payments paid and calls sent of the first two runs, as published with the trace.
type Published = [(i64, usize, usize); 2];
const PUBLISHED: [(Replayed, Published); 2] = [
    (Replayed::StaticBreaker, [(1_454_549, 2_035, 2_462), (1_470_482, 2_011, 2_474)]),
    (Replayed::RoundRobin, [(1_542_876, 2_142, 2_567), (1_537_112, 2_122, 2_586)]),
];

#[test]
fn the_simple_routers_reach_their_published_figures() {
    for (router, published) in PUBLISHED {
        for (run, (net, paid, attempts)) in (0..).zip(published) {
            let got = replay(&low_traffic(), run, router);
            let off = (float_of(got.net_cents) / float_of(net) - 1.0).abs();
            assert!(off < 0.0015, "{router:?} run {run}: net {} is {off} off {net}", got.net_cents);
            assert!(got.paid.abs_diff(paid) <= 5 && got.attempts.abs_diff(attempts) <= 5, "{router:?} {got:?}");
        }
    }
}

fn float_of(n: i64) -> f64 {
    crate::routing::router::float(n)
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let trace = silent_outage();
    assert_eq!(replay(&trace, 1, Replayed::Fuse), replay(&trace, 1, Replayed::Fuse));
}

#[test]
fn a_silent_outage_is_left_within_seconds_and_forgiven() {
    let trace = silent_outage();
    let (ours, fixed) = (replay(&trace, 0, Replayed::Fuse), replay(&trace, 0, Replayed::StaticBreaker));
    assert!(ours.detect_s.is_some_and(|s| s < 15.0), "left after {:?}", ours.detect_s);
    assert!(ours.return_s.is_some_and(|s| s < 60.0), "back after {:?}", ours.return_s);
    assert!(ours.dead_avoidable < 400 && fixed.dead_avoidable > 2_000, "{ours:?}\n{fixed:?}");
    assert!(ours.net_cents > fixed.net_cents + fixed.net_cents / 5);
    assert!(ours.queries <= 40, "{} queries", ours.queries);
}

#[test]
fn a_trace_with_a_hole_is_refused() {
    assert!(matches!(Trace::read("{}"), Err(TraceError::Unreadable(_))));
    let other = include_str!("../../../../tests/fixtures/routing/low_traffic.json").replace("scenario/1", "scenario/2");
    assert!(matches!(Trace::read(&other), Err(TraceError::Schema(_))));
}

/// Short traces with troubles that nothing was tuned for. Two hundred of the usual length come to 99.0.
#[test]
fn on_troubles_never_seen_the_router_earns_nearly_what_an_oracle_does() {
    let shares: Vec<f64> = std::thread::scope(|scope| {
        let share = |number: u64| {
            let trace = Trace::read(&unseen::unseen(number, 0.6, 20.0).to_string()).unwrap();
            let net = |router| float_of(replay(&trace, 0, router).net_cents);
            100.0 * net(Replayed::Fuse) / net(Replayed::Oracle)
        };
        let half = |from: u64| move || (from..24).step_by(2).map(share).collect::<Vec<f64>>();
        let (even, odd) = (scope.spawn(half(0)), scope.spawn(half(1)));
        [even.join().unwrap(), odd.join().unwrap()].concat()
    });
    let mean = shares.iter().sum::<f64>() / 24.0;
    let worst = shares.iter().copied().fold(f64::MAX, f64::min);
    assert!(mean >= 98.0 && worst >= 90.0, "mean {mean:.2}, worst {worst:.2} of {shares:.1?}");
}

#[test]
fn the_oracle_earns_more_than_the_simple_routers_and_never_charges_what_is_dead() {
    let trace = silent_outage();
    let oracle = replay(&trace, 0, Replayed::Oracle);
    assert_eq!((oracle.dead_avoidable, oracle.double_payments), (0, 0));
    for router in [Replayed::Fuse, Replayed::StaticBreaker, Replayed::RoundRobin] {
        assert!(replay(&trace, 0, router).net_cents < oracle.net_cents, "{router:?}");
    }
}
