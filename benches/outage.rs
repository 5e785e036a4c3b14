//! Two outages of the best channel, for real: the daemon and the sandbox in one process on loopback, real time, forty
//! charges a second. Prints how long the router took to leave and to come back. Ends by itself within three minutes.
#![allow(missing_docs, dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "../tests/it/merchant.rs"]
mod merchant;
#[path = "../tests/it/world.rs"]
mod world;

use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tongdao::ports::Clock as _;
use tongdao::tasks::Tasks;
use tongdao_core::time::UnixMillis;
use tongdao_sandbox::{Fault, FaultKind, Operation, PayerHabits, ProviderName};
use world::{Wishes, World};

const GAP: Duration = Duration::from_millis(25);
const BEST: &str = "wechat-main";
/// So many of the newest charges say where the traffic goes: half a second's.
const WINDOW: usize = 20;

/// How one charge went: when it was answered, how long that took, and whether it was tried on the best channel first;
/// none when it got no code.
#[derive(Clone, Copy)]
struct Went {
    at_ms: i64,
    took_ms: i64,
    best: Option<bool>,
}

/// Every charge so far.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Went>>>);

impl Seen {
    /// The share of the newest charges that were tried on the best channel first.
    fn share(&self, newest: usize) -> f64 {
        let seen = self.0.lock().unwrap();
        let last: Vec<bool> = seen.iter().rev().filter_map(|went| went.best).take(newest).collect();
        count(last.iter().filter(|best| **best).count()) / count(last.len().max(1))
    }

    /// Charges since a moment: all, tried on the best channel first, without a code; and the slowest hundredth in ms.
    fn since(&self, at_ms: i64) -> (usize, usize, usize, i64) {
        let seen = self.0.lock().unwrap();
        let of: Vec<_> = seen.iter().filter(|went| went.at_ms >= at_ms).collect();
        let mut took: Vec<i64> = of.iter().map(|went| went.took_ms).collect();
        took.sort_unstable();
        let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        let with = |wanted| of.iter().filter(|went| went.best == wanted).count();
        (of.len(), with(Some(true)), with(None), p99)
    }
}

/// One outage.
struct Outage {
    name: &'static str,
    fault: Fault,
    lasts_ms: i64,
}

#[allow(clippy::as_conversions)] // Counts of a few thousand.
fn count(n: usize) -> f64 {
    n as f64
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    let instead =
        vec![("explore = false", "explore = true".to_owned()), ("margin_bps = 500", "margin_bps = 1000".to_owned())];
    let world = Arc::new(World::with(Wishes { instead, ..Wishes::default() }).await);
    world.sandbox.set_payers(PayerHabits {
        pay_ratio: 0.9,
        abandon_ratio: 0.1,
        delay_min_ms: 1_000,
        delay_max_ms: 9_000,
    });
    let latency = |provider, latency_ms| {
        let fault = Fault { latency_ms, jitter_ms: 40, ..Fault::default() };
        world.fault(provider, Operation::Create, fault);
    };
    let all_well = || {
        world.sandbox.clear_faults();
        latency(ProviderName::Wechatpay, 80);
        latency(ProviderName::Alipay, 120);
    };
    all_well();
    let (seen, tasks) = (Seen::default(), Tasks::new());
    tasks.spawn("traffic", traffic(world.clone(), seen.clone(), tasks.clone()));

    println!("40 charges a second over three channels; payers take 1 to 9 s and nine of ten pay");
    tokio::time::sleep(Duration::from_secs(25)).await;
    let (_, _, _, p99) = seen.since(world.clock.now().0 - 10_000);
    println!("well: {:.0} % of first tries go to {BEST}, p99 {} ms", seen.share(400) * 100.0, p99);

    let refuses = Fault { kind: Some(FaultKind::ServerError), latency_ms: 80, jitter_ms: 40, ..Fault::default() };
    let silent = Fault { silent: true, latency_ms: 80, jitter_ms: 40, ..Fault::default() };
    for outage in [
        Outage { name: "API outage (every create is answered with a 5xx)", fault: refuses, lasts_ms: 10_000 },
        Outage { name: "silent outage (codes are made, nobody can pay)", fault: silent, lasts_ms: 30_000 },
    ] {
        run(outage, &world, &seen, &all_well).await;
    }
    tasks.stop(Duration::from_secs(5)).await;
}

/// An outage of the best channel, and its recovery.
async fn run(outage: Outage, world: &World, seen: &Seen, all_well: &impl Fn()) {
    println!("{}:", outage.name);
    world.fault(ProviderName::Wechatpay, Operation::Create, outage.fault);
    let began_ms = world.clock.now().0;
    let left = until(world, seen, 30_000, |share| share <= 0.15).await;
    let (all, wasted, ..) = seen.since(began_ms);
    println!("  left after {}; {wasted} of {all} charges were tried there first until then", shown(left));
    let left_ms = world.clock.now().0;
    world.clock.sleep_until(UnixMillis(began_ms + outage.lasts_ms)).await;
    let (all, wasted, none, p99) = seen.since(left_ms);
    println!("  while it lasted: {wasted} of {all} tried there, {none} without a code, p99 {p99} ms");
    all_well();
    let back = until(world, seen, 50_000, |share| share >= 0.85 * seen_well(seen)).await;
    println!("  back {} after the recovery", shown(back));
    tokio::time::sleep(Duration::from_secs(5)).await;
}

/// The best channel's share while all was well: the first charges'.
fn seen_well(seen: &Seen) -> f64 {
    let seen = seen.0.lock().unwrap();
    let first: Vec<bool> = seen.iter().filter_map(|went| went.best).take(800).collect();
    count(first.iter().filter(|best| **best).count()) / count(first.len().max(1))
}

/// Milliseconds until the share of the best channel is as wanted.
async fn until(world: &World, seen: &Seen, within_ms: i64, wanted: impl Fn(f64) -> bool) -> Option<i64> {
    let from_ms = world.clock.now().0;
    loop {
        tokio::time::sleep(GAP).await;
        let passed_ms = world.clock.now().0 - from_ms;
        if seen.since(from_ms).0 >= WINDOW / 2 && wanted(seen.share(WINDOW)) {
            return Some(passed_ms);
        }
        if passed_ms > within_ms {
            return None;
        }
    }
}

fn shown(ms: Option<i64>) -> String {
    ms.map_or_else(|| "never".to_owned(), |ms| format!("{}.{} s", ms / 1000, ms % 1000 / 100))
}

async fn traffic(world: Arc<World>, seen: Seen, tasks: Tasks) {
    let mut beat = tokio::time::interval(GAP);
    for n in 0_u64.. {
        tokio::select! {
            () = tasks.stopped() => return,
            _ = beat.tick() => {}
        }
        let (world, seen) = (world.clone(), seen.clone());
        tasks.spawn("charge", async move {
            let began_ms = world.clock.now().0;
            let body = json!({ "merchant_order_no": format!("O{n}"), "amount": 1999, "subject": "点卡 100 元" });
            // Without an answer it got no code.
            let answer = world.client.post("/v1/charges", &body).await.ok();
            let charge = answer.filter(|(status, _)| *status == 201).map(|(_, charge)| charge);
            let best = charge.map(|charge| charge["attempts"][0]["channel"] == BEST);
            let at_ms = world.clock.now().0;
            seen.0.lock().unwrap().push(Went { at_ms, took_ms: at_ms - began_ms, best });
        });
    }
}
