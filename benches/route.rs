//! What one choice of a channel costs, each choice timed on its own: the middle and the slowest hundredth, of `choose`
//! and of `decide` with its explanation, among three and eight channels. Printed beside the timing of nothing at all in
//! the same run, which each figure contains, since machines differ and ratios do not.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use criterion::measurement::{Measurement, WallTime};
use std::hint::black_box;
use std::time::Duration;
use tongdao_core::routing::router::{Ask, Input, Router, Terms};
use tongdao_core::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_766_000_000_000);
const SAMPLES: usize = 200_000;

/// A router that has seen a minute of traffic on every channel.
fn router(count: usize) -> Router {
    let terms = |n: usize| Terms {
        fee_bps: 38.0 + f64::from(u8::try_from(n).unwrap()),
        fee_fixed: 0.0,
        contract_per_s: Some(100.0),
        provider: u16::try_from(n % 3).unwrap(),
        rank: u16::try_from(n).unwrap(),
    };
    let mut router = Router::new((0..count).map(terms).collect(), 0.1);
    for step in 0..240 {
        let now = NOW.plus_ms(i64::try_from(step).unwrap() * 250);
        for channel in 0..count {
            router.apply(Input::Sent { channel, probe: false }, now);
            router.apply(Input::Accepted { channel, order: step, latency_ms: Some(120) }, now);
        }
        router.tick(now);
    }
    router
}

/// The middle and the slowest hundredth of many single calls.
fn timed<T>(mut call: impl FnMut(u64) -> T) -> (Duration, Duration) {
    let mut seed = 0_u64;
    let mut one = || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let started = WallTime.start();
        black_box(call(seed));
        WallTime.end(started)
    };
    for _ in 0..SAMPLES / 10 {
        one();
    }
    let mut times: Vec<Duration> = (0..SAMPLES).map(|_| one()).collect();
    times.sort_unstable();
    let at = |share: usize| times.get(SAMPLES * share / 100).copied().unwrap_or_default();
    (at(50), at(99))
}

fn main() {
    let floor = timed(black_box);
    let print = |name: &str, (middle, slow): (Duration, Duration)| {
        let ratio = slow.as_secs_f64() / floor.1.as_secs_f64().max(1e-9);
        println!("{name:<24} p50 {:>7} ns   p99 {:>7} ns   {ratio:>6.1} x", middle.as_nanos(), slow.as_nanos());
    };
    print("nothing (the floor)", floor);
    for count in [3_usize, 8] {
        let ask = Ask { amount: 5_000, open: (1 << count) - 1, first: true, ..Ask::default() };
        let now = NOW.plus_s(60);
        let mut choosing = router(count);
        print(&format!("choose among {count}"), timed(|seed| choosing.choose(black_box(&ask), seed, now)));
        let mut telling = router(count);
        print(&format!("decide among {count}"), timed(|seed| telling.decide(black_box(&ask), seed, now)));
    }
}
