//! The daemon and its command line.
//!
//! Invariant: `main.rs` holds only arguments and exit codes, so that tests start the same daemon that the binary does.

pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod flow;
pub mod http;
pub mod load;
pub mod log;
pub mod metrics;
pub mod ports;
pub mod random;
pub mod reload;
pub mod request_scope;
pub mod spool;
pub mod store;
pub mod tasks;
#[cfg(test)]
pub(crate) mod testbed;
pub mod transport;
pub mod worker;
