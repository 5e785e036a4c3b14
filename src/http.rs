//! The daemon's HTTP: the public listener for merchants, providers and payers.
//!
//! Invariants: a merchant sees only what is its own; every refusal is a problem document; money-changing work goes on
//! to its end when the caller hangs up. Handlers know `flow` and wire types; they decide nothing about money and know no
//! adapter of the store or the network.

pub mod admin;
pub(crate) mod front;
pub(crate) mod problem;
pub mod server;
