//! The payment firms' protocols, a folder each, sans-IO: they write and read messages and never send one.
//!
//! Invariant: a provider is one folder, a `mod` line and a `REGISTRY` line; nothing else in the tree names it.
//! They know the core's words and nothing of the daemon, of HTTP clients, clocks or stores.

mod alipay;
#[cfg(test)]
mod contract;
mod shared;
mod unionpay;
mod wechatpay;

use tongdao_core::provider::Registration;

/// Every provider that a channel can be configured for.
pub const REGISTRY: &[Registration] = &[wechatpay::REGISTRATION, alipay::REGISTRATION, unionpay::REGISTRATION];
