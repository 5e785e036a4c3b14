//! Reading the whole index: its position, its timers and nonces, and the count of everything in it.
//!
//! Invariant: `check` answers true only if every record and timer that `Applied` counts is there, intact and under
//! its own key. It is how a silent loss inside sled becomes a loud one.

use super::{APPLIED_KEY, Applied, Head, Index, IndexError, NONCE, RECORD, TIMER, part_key, timer_mark};
use crate::store::nonces::Nonces;
use crate::store::timers::Timers;
use sled::{Batch, IVec};
use std::sync::atomic::{AtomicBool, Ordering};
use tongdao_core::time::UnixMillis;

/// A replayed journal brings back every nonce it ever saw. Those that ended this long before the latest are not
/// worth keeping, whatever the clocks did in between.
const NONCES_KEPT_MS: i64 = 24 * 3600 * 1000;

impl Index {
    /// How far the index came; a missing or damaged mark reads as nothing applied, though entries may be there.
    pub(in crate::store::embedded) fn applied(&self) -> Result<Option<Applied>, IndexError> {
        Ok(self.db.get(APPLIED_KEY)?.and_then(|bytes| Applied::decode(&bytes)))
    }

    /// Whether nothing at all is stored.
    pub(in crate::store::embedded) fn is_empty(&self) -> bool {
        self.db.is_empty()
    }

    /// The timers that are set.
    pub(in crate::store::embedded) fn timers(&self) -> Result<Timers, IndexError> {
        let mut timers = Timers::default();
        for entry in self.db.scan_prefix([TIMER]) {
            let (key, due_at) = entry?;
            timers.set(key.get(1..).unwrap_or_default(), due_of(&due_at).ok_or(IndexError::Damaged)?);
        }
        Ok(timers)
    }

    /// The nonces that are taken; long ended ones are removed.
    pub(in crate::store::embedded) fn nonces(&self) -> Result<Nonces, IndexError> {
        let mut nonces = Nonces::default();
        let Some(last) = self.db.scan_prefix([NONCE]).next_back().transpose()? else { return Ok(nonces) };
        let (latest, _) = ending_of(&last.0).ok_or(IndexError::Damaged)?;
        let kept_from = latest.plus_ms(NONCES_KEPT_MS.saturating_neg());
        let mut removed = Batch::default();
        for key in self.db.scan_prefix([NONCE]).keys() {
            let key = key?;
            let (until, nonce) = ending_of(&key).ok_or(IndexError::Damaged)?;
            if until < kept_from {
                removed.remove(&key);
            } else {
                nonces.restore(nonce, until);
            }
        }
        self.db.apply_batch(removed)?;
        Ok(nonces)
    }

    /// Counts everything and compares with what was applied. `None` when told to stop.
    pub(in crate::store::embedded) fn check(
        &self,
        applied: &Applied,
        stop: &AtomicBool,
    ) -> Result<Option<bool>, IndexError> {
        let mut seen = Applied { seq: applied.seq, hash: applied.hash, ..Applied::NOTHING };
        for entry in self.db.scan_prefix([RECORD]) {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let (key, entry) = entry?;
            let key = key.get(1..).unwrap_or_default();
            let Ok(head) = Head::read(key, &entry) else { return Ok(Some(false)) };
            if head.assemble(|part| self.entry(&part_key(key, part))).is_err() {
                return Ok(Some(false));
            }
            seen.add_record(head.mark());
        }
        for entry in self.db.scan_prefix([TIMER]) {
            let (key, due_at) = entry?;
            let Some(due_at) = due_of(&due_at) else { return Ok(Some(false)) };
            seen.add_timer(timer_mark(key.get(1..).unwrap_or_default(), due_at));
        }
        Ok(Some(seen == *applied))
    }
}

pub(super) fn due_of(bytes: &IVec) -> Option<UnixMillis> {
    bytes.first_chunk::<8>().map(|bytes| UnixMillis(i64::from_be_bytes(*bytes)))
}

fn ending_of(index_key: &[u8]) -> Option<(UnixMillis, &[u8])> {
    let (until, key) = index_key.get(1..)?.split_first_chunk::<8>()?;
    Some((UnixMillis(i64::from_be_bytes(*until)), key))
}
