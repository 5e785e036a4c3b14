//! What one choice of a channel costs: the pure decision, with every candidate explained.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
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
    group.finish();
}

criterion_group!(benches, route);
criterion_main!(benches);
