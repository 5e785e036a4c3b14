//! What one choice of a channel costs: the pure decision, with every candidate explained.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tongdao_core::routing::router::{Ask, Input, Router, Terms};
use tongdao_core::routing::{Because, Candidate, Health, Signal, Weights, choose};
use tongdao_core::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_766_000_000_000);

fn candidates(count: usize) -> Vec<Candidate> {
    let one = |n: usize| Candidate {
        channel: format!("channel-{n}").parse().unwrap(),
        fee_bps: 38 + i64::try_from(n).unwrap(),
        health: Health::new(NOW).noted(Signal::Answered { latency_ms: 120 }, NOW),
        preferred: n == 1,
        forced: false,
        excluded: None,
    };
    (0..count).map(one).collect()
}

/// A router that has seen a minute of traffic on every channel.
fn router(count: usize) -> Router {
    let terms = |n: usize| Terms {
        fee_bps: 38.0 + f64::from(u8::try_from(n).unwrap()),
        fee_fixed: 0.0,
        contract_per_s: Some(100.0),
    };
    let mut router = Router::new((0..count).map(terms).collect(), 0.1);
    for step in 0..240 {
        for channel in 0..count {
            router.apply(Input::Accepted { channel, order: step, latency_ms: Some(120) }, NOW);
        }
        router.tick(NOW.plus_ms(i64::try_from(step).unwrap() * 250));
    }
    router
}

fn route(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    for count in [3, 8] {
        let candidates = candidates(count);
        let mut seed = 0_u64;
        group.bench_function(BenchmarkId::new("choose", count), |bencher| {
            bencher.iter(|| {
                seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
                choose(black_box(&candidates), &Weights::default(), Because::Score, seed, NOW)
            });
        });
    }
    for count in [3, 8] {
        let mut router = router(count);
        let mut seed = 0_u64;
        group.bench_function(BenchmarkId::new("router", count), |bencher| {
            bencher.iter(|| {
                seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let ask = Ask { amount: 5_000, open: (1 << count) - 1, first: true, ..Ask::default() };
                router.choose(black_box(&ask), seed, NOW.plus_s(60))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, route);
criterion_main!(benches);
