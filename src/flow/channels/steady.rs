//! The router's time: the clock's, made never to go back.
//!
//! Why: holds, probes and ages are differences of moments; a wall clock that is set back an hour would stop them for an
//! hour. Here it only looks as if no time had passed at the step. Forward it is believed: sleep and tests do that.

use tongdao_core::time::UnixMillis;

/// A clock that never goes back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steady {
    last: UnixMillis,
    ahead_ms: i64,
    not_before: UnixMillis,
}

impl Steady {
    /// A time that goes on from a moment which was reached before.
    pub(super) const fn from(not_before: UnixMillis) -> Self {
        Self { last: UnixMillis(0), ahead_ms: 0, not_before }
    }

    /// The time now, when the clock says this.
    pub(super) fn at(&mut self, clock: UnixMillis) -> UnixMillis {
        let back_ms = self.last.since_ms(clock).max(0);
        self.ahead_ms = self.ahead_ms.saturating_add(back_ms);
        self.last = clock;
        let behind_ms = self.not_before.since_ms(clock.plus_ms(self.ahead_ms)).max(0);
        self.ahead_ms = self.ahead_ms.saturating_add(behind_ms);
        self.not_before = UnixMillis(0);
        clock.plus_ms(self.ahead_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_where_it_was() {
        let mut steady = Steady::from(UnixMillis(0));
        assert_eq!(steady.at(UnixMillis(10_000)), UnixMillis(10_000));
        assert_eq!(steady.at(UnixMillis(4_000)), UnixMillis(10_000));
        assert_eq!(steady.at(UnixMillis(4_500)), UnixMillis(10_500));
        assert_eq!(steady.at(UnixMillis(9_000)), UnixMillis(15_000));
    }

    #[test]
    fn a_restart_with_a_clock_behind_goes_on_from_what_was_kept() {
        let mut steady = Steady::from(UnixMillis(50_000));
        assert_eq!(steady.at(UnixMillis(20_000)), UnixMillis(50_000));
        assert_eq!(steady.at(UnixMillis(21_000)), UnixMillis(51_000));
    }
}
