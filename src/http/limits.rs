//! A token bucket per merchant.
//!
//! Invariant: a merchant's budget is its own; a changed limit starts with a full bucket. Memory is bounded by the number
//! of merchants in the configuration, since only they ever reach this.

use super::problem::OverRate;
use crate::config::RateLimit;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use tongdao_core::ids::MerchantId;

/// The buckets.
#[derive(Default)]
pub(crate) struct Limits {
    buckets: Mutex<BTreeMap<MerchantId, (RateLimit, Arc<DefaultDirectRateLimiter>)>>,
}

impl Limits {
    /// Takes some calls out of a merchant's bucket; more than a whole bucket counts as one.
    pub(crate) fn take(&self, merchant: &MerchantId, limit: RateLimit, calls: u32) -> Result<(), OverRate> {
        let Some(calls) = NonZeroU32::new(calls.min(limit.burst.max(1))) else { return Ok(()) };
        let bucket = self.bucket(merchant, limit);
        match bucket.check_n(calls) {
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(DefaultClock::default().now());
                let retry_after_s = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
                let window_s = u64::from(limit.burst.div_ceil(limit.per_second.max(1)));
                Err(OverRate { burst: limit.burst, window_s, retry_after_s })
            }
        }
    }

    fn bucket(&self, merchant: &MerchantId, limit: RateLimit) -> Arc<DefaultDirectRateLimiter> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bucket)) = buckets.get(merchant).filter(|(of, _)| *of == limit) {
            return bucket.clone();
        }
        let or_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(or_one(limit.per_second)).allow_burst(or_one(limit.burst));
        let bucket = Arc::new(RateLimiter::direct(quota));
        buckets.insert(merchant.clone(), (limit, bucket.clone()));
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merchant_uses_up_its_own_bucket_only() {
        let limits = Limits::default();
        let limit = RateLimit { per_second: 1, burst: 3 };
        let (one, other): (MerchantId, MerchantId) = ("m_one".parse().unwrap(), "m_other".parse().unwrap());
        for _ in 0..3 {
            assert_eq!(limits.take(&one, limit, 1), Ok(()));
        }
        let over = limits.take(&one, limit, 1).unwrap_err();
        assert_eq!(over, OverRate { burst: 3, window_s: 3, retry_after_s: 1 });
        assert_eq!(limits.take(&other, limit, 3), Ok(()));
        assert!(limits.take(&other, limit, 200).is_err(), "a whole bucket is gone");
        assert_eq!(limits.take(&one, RateLimit { per_second: 2, burst: 3 }, 1), Ok(()), "a changed limit is a new one");
    }
}
