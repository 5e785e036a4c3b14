//! Where everything acknowledged is kept.
//!
//! Invariant: what `commit` answered is durable and whole. Two engines, memory and embedded, pass one suite;
//! nothing above this module knows which one runs.

mod codec;
pub(crate) mod engine;
mod keys;
mod records;

pub use records::RecordStore;
