//! The orders that payers may still pay, by the number under which the router knows them.
//!
//! Invariant: a number is derived from the attempt's id and nothing else, so that it is the same after a restart; what
//! is not known here is not asked about by the router, only by its own ladder.

use std::collections::BTreeMap;
use tongdao_core::ids::{AttemptId, ChargeId};
use tongdao_core::time::UnixMillis;

/// Beyond that, new orders are not asked about on alarm. Each takes some hundred bytes.
const ORDERS_MAX: usize = 200_000;

/// An order at a provider that can be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flow) struct Order {
    pub(in crate::flow) charge: ChargeId,
    pub(in crate::flow) attempt: AttemptId,
    /// When the provider took it, by the router's time.
    pub(in crate::flow) accepted_at: UnixMillis,
}

/// The open orders.
#[derive(Default)]
pub(in crate::flow) struct Orders(BTreeMap<u64, Order>);

impl Orders {
    pub(super) fn insert(&mut self, number: u64, order: Order) {
        if self.0.len() < ORDERS_MAX {
            self.0.insert(number, order);
        }
    }

    pub(in crate::flow) fn find(&self, number: u64) -> Option<Order> {
        self.0.get(&number).copied()
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Order> {
        self.0.remove(&number)
    }
}

/// The router's number of an attempt's order: the random part of its id.
pub(in crate::flow) fn number_of(attempt: AttemptId) -> u64 {
    attempt.to_bytes().iter().skip(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
