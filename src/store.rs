//! Where everything acknowledged is kept.
//!
//! Invariant: what `commit` answered is durable and whole. Two engines, memory and embedded, pass one suite;
//! nothing above this module knows which one runs.

#[doc(hidden)]
pub mod bench_api;
#[cfg(test)]
mod contract;
#[allow(dead_code)]
pub(crate) mod embedded;
#[allow(dead_code)]
pub(crate) mod engine;
#[allow(dead_code)]
pub(crate) mod memory;
mod nonces;
mod timers;
