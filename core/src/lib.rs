//! The rules of Tongdao and nothing else: what a charge, an attempt, a delivery and a refund may become,
//! which channel is chosen, what a provider's word is worth.
//!
//! Invariant: everything here is a pure function of its arguments. `now` and randomness are passed in, effects
//! come back as data. No async, clock, file, socket, thread or randomness lives in this crate, so each rule can
//! be tested by calling it and each history can be replayed.

pub mod attempt;
pub mod charge;
pub mod day;
pub mod delivery;
pub mod effect;
pub mod ids;
pub mod money;
pub mod overrides;
#[doc(hidden)]
pub mod planted;
pub mod provider;
pub mod reconcile;
pub mod refund;
pub mod resolution;
pub mod routing;
pub mod secret;
pub mod time;

#[cfg(test)]
mod fixtures;
