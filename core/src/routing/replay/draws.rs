//! Luck by hashing: a draw depends on who and what for, never on when it is asked.
//!
//! Invariant: two routers that send the same payment to the same channel meet the same luck there.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a draw is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Arrival = 1,
    Amount,
    Class,
    Kind,
    Latency,
    Answer,
    TimeoutTruth,
    Conversion,
    PayDelay,
    NotifyLag,
    FailDelay,
}

fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The next seed of a row of seeds.
pub(super) fn next(seed: u64) -> u64 {
    mix(seed.wrapping_add(GOLDEN)).wrapping_add(seed.rotate_left(17))
}

/// Uniform in [0, 1).
#[allow(clippy::as_conversions)] // The upper 53 bits are exact in a float, and the streams are small numbers.
pub(super) fn uniform(seed: u64, stream: Stream, a: u64, b: u64) -> f64 {
    let start = mix(seed.wrapping_add(GOLDEN));
    let hash = [stream as u64, a, b].iter().fold(start, |h, k| mix(h.wrapping_add(*k).wrapping_mul(GOLDEN)));
    (hash >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// Standard normal.
pub(super) fn normal(seed: u64, stream: Stream, a: u64, b: u64) -> f64 {
    let first = uniform(seed, stream, a, b.wrapping_mul(2));
    let second = uniform(seed, stream, a, b.wrapping_mul(2).wrapping_add(1));
    (-2.0 * (1.0 - first).ln()).sqrt() * (std::f64::consts::TAU * second).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_the_published_checks() {
        assert!((uniform(1101, Stream::Conversion, 0, 0) - 0.637_070_735_434_449).abs() < 1e-12);
        assert!((uniform(1101, Stream::Latency, 7, 17) - 0.391_325_818_018_9).abs() < 1e-12);
        assert!((normal(1101, Stream::Latency, 7, 8) + 1.503_881_498_26).abs() < 1e-10);
    }
}
