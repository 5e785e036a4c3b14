//! What one channel may be sent: calls at once and calls a second, both from its contract.
//!
//! Invariant: a refused call costs nothing and sends nothing. An eighth of the calls at once is kept from creates, so
//! that queries, closes and refunds go on when new charges fill a slow channel.

use crate::clock::Stopwatch;
use crate::config::Capacity;
use crate::ports::Operation;
use governor::clock::{Clock as _, QuantaClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of one channel.
pub(super) struct Lane {
    capacity: Capacity,
    all: Arc<Semaphore>,
    creates: Arc<Semaphore>,
    quota: DefaultDirectRateLimiter,
    clock: QuantaClock,
    age: Stopwatch,
    /// Age of the lane until which the quota is known to be used up.
    refused_until_ms: AtomicI64,
    sent: AtomicU32,
    measured: Mutex<Stopwatch>,
}

/// Leave to send one call; given back when dropped.
pub(super) struct Permit {
    _all: OwnedSemaphorePermit,
    _create: Option<OwnedSemaphorePermit>,
}

impl Lane {
    pub(super) fn new(capacity: Capacity) -> Self {
        let at_once = capacity.max_in_flight.max(1);
        let size = |count: u32| Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS)));
        let per_second = NonZeroU32::new(capacity.per_second).unwrap_or(NonZeroU32::MIN);
        Self {
            capacity,
            all: size(at_once),
            creates: size(at_once.saturating_sub(at_once.div_euclid(8))),
            quota: RateLimiter::direct(Quota::per_second(per_second)),
            clock: QuantaClock::default(),
            age: Stopwatch::start(),
            refused_until_ms: AtomicI64::new(0),
            sent: AtomicU32::new(0),
            measured: Mutex::new(Stopwatch::start()),
        }
    }

    pub(super) const fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Leave to send one call now, or none.
    pub(super) fn admit(&self, operation: Operation) -> Option<Permit> {
        let create = match operation {
            Operation::Create => Some(self.creates.clone().try_acquire_owned().ok()?),
            Operation::Query
            | Operation::Close
            | Operation::Refund
            | Operation::RefundQuery
            | Operation::Statement
            | Operation::Keys => None,
        };
        let all = self.all.clone().try_acquire_owned().ok()?;
        if let Err(refused) = self.quota.check() {
            let wait = i64::try_from(refused.wait_time_from(self.clock.now()).as_millis()).unwrap_or(i64::MAX);
            self.refused_until_ms.store(self.age.elapsed_ms().saturating_add(wait), Ordering::Relaxed);
            return None;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        Some(Permit { _all: all, _create: create })
    }

    /// Whether a create would be admitted now, as far as is known without trying.
    pub(super) fn has_room(&self) -> bool {
        let waits = self.refused_until_ms.load(Ordering::Relaxed) > self.age.elapsed_ms();
        !waits && self.all.available_permits() > 0 && self.creates.available_permits() > 0
    }

    /// The used share of the calls a second since the last measurement.
    pub(super) fn used_since_measured(&self) -> f64 {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = measured.elapsed().as_secs_f64().max(0.001);
        *measured = Stopwatch::start();
        let sent = f64::from(self.sent.swap(0, Ordering::Relaxed));
        sent / seconds / f64::from(self.capacity.per_second.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(max_in_flight: u32, per_second: u32) -> Lane {
        Lane::new(Capacity { max_in_flight, per_second })
    }

    #[test]
    fn creates_leave_room_for_queries() {
        let lane = lane(8, 1000);
        let held: Vec<Permit> = (0..7).map(|_| lane.admit(Operation::Create).unwrap()).collect();
        assert!(lane.admit(Operation::Create).is_none() && !lane.has_room());
        let query = lane.admit(Operation::Query);
        assert!(query.is_some() && lane.admit(Operation::Refund).is_none());
        drop(held);
        assert!(lane.has_room() && lane.admit(Operation::Create).is_some());
    }

    #[test]
    fn calls_a_second_are_counted_and_a_refusal_is_remembered() {
        let lane = lane(100, 5);
        assert!((0..5).all(|_| lane.admit(Operation::Create).is_some()));
        assert!(lane.has_room());
        assert!(lane.admit(Operation::Create).is_none());
        assert!(!lane.has_room());
        assert!(lane.used_since_measured() > 0.0);
        assert_eq!(lane.used_since_measured(), 0.0);
    }

    #[test]
    fn a_channel_for_one_call_at_once_takes_one() {
        let lane = lane(1, 10);
        let held = lane.admit(Operation::Create);
        assert!(held.is_some() && lane.admit(Operation::Query).is_none());
    }
}
