//! Between whole numbers and floats, and how knowledge fades.
//!
//! Invariant: these are the only conversions of routing; every number that occurs (below 2^53) survives them exactly.

/// A whole number as a float.
#[allow(clippy::as_conversions)] // There is no checked conversion; times and sums of routing are far below 2^53.
pub(in crate::routing) fn float(n: i64) -> f64 {
    n as f64
}

/// The nearest whole number.
#[allow(clippy::as_conversions)] // A float has no checked conversion; `as` saturates.
pub(in crate::routing) fn whole(x: f64) -> i64 {
    x.round() as i64
}

/// What is left of 1 after a time, when half is left after `half_life`.
pub(super) fn faded(passed_ms: i64, half_life_ms: f64) -> f64 {
    (float(passed_ms.max(0)) / -half_life_ms).exp2()
}

/// The weight of what is new in a mean with this memory.
pub(super) fn weight(passed_ms: i64, memory_ms: f64) -> f64 {
    1.0 - (float(passed_ms.max(0)) / -memory_ms).exp()
}

/// A number in [0, 1) from a seed; `salt` makes several of one seed.
pub(super) fn unit(seed: u64, salt: u64) -> f64 {
    let mut x = seed.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let high = u32::try_from((x ^ (x >> 31)) >> 32).unwrap_or(u32::MAX);
    f64::from(high) / 4_294_967_296.0
}
