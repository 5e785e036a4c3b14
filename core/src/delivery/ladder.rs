//! When `charge.paid` is tried again.
//!
//! Invariant: the gaps are those of the API, counted from the end of the last try, and end 72 h after the delivery
//! began or a person last wanted it.

use super::Delivery;
use crate::time::UnixMillis;

const EARLY_TRIES_S: [i64; 5] = [1, 5, 15, 30, 60];
const LATE_TRIES_S: [i64; 3] = [300, 900, 3600];
const TRIES_END_S: i64 = 72 * 3600;

impl Delivery {
    /// The ladder of the API: 1, 5, 15, 30, 60 s, each minute to the deadline, then 5 min, 15 min, hourly, to 72 h.
    pub(super) fn next_try_at(&self, now: UnixMillis) -> Option<UnixMillis> {
        let (started_at, deadline_at) = (self.released_at.or(self.started_at)?, self.deadline_at?);
        let past_s = now.since_ms(deadline_at).div_euclid(1000);
        let gap_s = match EARLY_TRIES_S.get(usize::try_from(self.tries.saturating_sub(1)).unwrap_or(usize::MAX)) {
            Some(gap_s) => *gap_s,
            None if past_s < 0 => 60,
            None => LATE_TRIES_S.iter().copied().find(|gap_s| past_s < *gap_s).unwrap_or(3600),
        };
        let at = now.plus_s(gap_s);
        (at.since_ms(started_at) <= TRIES_END_S.saturating_mul(1000)).then_some(at)
    }
}
