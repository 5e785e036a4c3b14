//! When an attempt is asked about next (money-safety, section 7).
//!
//! Invariant L4: there is always a next moment, at most ten minutes after the last, until the end is proved. The
//! rungs are counted from the attempt's birth, not from the last query, so a slow answer costs no rung twice; a small
//! jitter from the attempt's own id keeps a burst of attempts from asking in step. A clock that steps back makes no
//! gap longer than the longest rung.

use super::Attempt;
use crate::time::UnixMillis;

const EARLY_S: [i64; 5] = [5, 10, 20, 35, 60];
const AFTER_END_S: [i64; 4] = [60, 240, 540, 1140];
const GAP_MAX_MS: i64 = 600_000;

/// The first rung after `now`: 5, 10, 20, 35, 60 s from birth, each minute to 5 min, each 2 min to the code's end,
/// then 1, 3, 5, 10 min apart.
#[must_use]
pub fn next_query_at(attempt: &Attempt, now: UnixMillis) -> UnixMillis {
    let age_ms = now.since_ms(attempt.created_at);
    let end_ms = attempt.life.payable_until.since_ms(attempt.created_at);
    let rung_ms = if age_ms < end_ms { rung_before_end_ms(age_ms, end_ms) } else { rung_after_end_ms(age_ms, end_ms) };
    let gap_ms = rung_ms.max(attempt.first_query_ms).saturating_sub(age_ms).clamp(0, GAP_MAX_MS);
    now.plus_ms(gap_ms).plus_ms(jitter_ms(attempt, gap_ms))
}

/// When the end of an attempt that is to be ended is tried again: 1, 2, 4 … 60 s, never later than the ladder's rung
/// once the code has run out.
#[must_use]
pub fn end_retry_at(attempt: &Attempt, now: UnixMillis) -> UnixMillis {
    let doubled_s = 1_i64.checked_shl(attempt.end_tries.min(6)).unwrap_or(60).min(60);
    now.plus_s(doubled_s).plus_ms(jitter_ms(attempt, doubled_s.saturating_mul(1000)))
}

fn rung_before_end_ms(age_ms: i64, end_ms: i64) -> i64 {
    let minute = 60_000;
    let early = EARLY_S.iter().map(|s| s.saturating_mul(1000)).find(|rung| *rung > age_ms);
    let rung = early.unwrap_or_else(|| {
        let every = if age_ms < 5 * minute { minute } else { 2 * minute };
        age_ms.div_euclid(every).saturating_add(1).saturating_mul(every)
    });
    // Just past the end the provider's word can be final: never sleep across it.
    if rung > end_ms { end_ms.saturating_add(minute) } else { rung }
}

fn rung_after_end_ms(age_ms: i64, end_ms: i64) -> i64 {
    let past_ms = age_ms.saturating_sub(end_ms);
    let rung = AFTER_END_S.iter().map(|s| s.saturating_mul(1000)).find(|rung| *rung > past_ms);
    end_ms.saturating_add(rung.unwrap_or_else(|| past_ms.saturating_add(GAP_MAX_MS)))
}

/// Up to a tenth of the gap, from the attempt's own random bits.
fn jitter_ms(attempt: &Attempt, gap_ms: i64) -> i64 {
    let bits = attempt.id.to_bytes();
    let draw = i64::from(bits.last().copied().unwrap_or(0));
    gap_ms.max(0).saturating_mul(draw).div_euclid(2560)
}
