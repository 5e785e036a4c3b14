//! Where everything acknowledged is kept.
//!
//! Invariant: what `commit` answered is durable and whole. Two engines, memory and embedded, pass one suite;
//! nothing above this module knows which one runs.

#[doc(hidden)]
pub mod bench_api;
mod book_reads;
mod booked;
mod codec;
#[cfg(test)]
mod contract;
pub(crate) mod embedded;
pub(crate) mod engine;
mod export;
mod keys;
pub(crate) mod memory;
mod nonces;
pub(crate) mod offline;
mod records;
mod timers;

pub(crate) use records::RecordStore;
