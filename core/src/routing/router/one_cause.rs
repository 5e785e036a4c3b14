//! Is it us: when every channel in use goes out at once, the fault is more likely here than at all providers.
//!
//! Why: a bad signature after a deploy, or a network of ours that is down, looks at each channel like an outage of it.
//! Taking all of them out helps nobody and delays the return. So outages that begin within five seconds at every
//! channel that was offered, of two providers at least, are taken back, none is declared while it lasts, and it is said
//! aloud. It ends when calls are accepted again, or after a quiet minute.

use crate::time::UnixMillis;

pub(super) const WINDOW_MS: i64 = 5_000;
const QUIET_MS: i64 = 60_000;
const ACCEPTED_ENOUGH: u32 = 3;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OneCause {
    /// The last failure while it holds.
    last: Option<UnixMillis>,
    accepted: u32,
}

impl OneCause {
    pub(super) fn holds(&self, now: UnixMillis) -> bool {
        self.last.is_some_and(|at| now.since_ms(at) < QUIET_MS)
    }

    pub(super) fn begin(&mut self, now: UnixMillis) {
        *self = Self { last: Some(now), accepted: 0 };
    }

    pub(super) fn failed(&mut self, now: UnixMillis) {
        if self.holds(now) {
            self.last = Some(now);
        }
    }

    pub(super) fn accepted(&mut self) {
        if self.last.is_some() {
            self.accepted += 1;
            if self.accepted >= ACCEPTED_ENOUGH {
                *self = Self::default();
            }
        }
    }
}
