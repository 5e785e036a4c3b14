//! A moment as milliseconds since 1970 in UTC, the only time the rules know.
//!
//! It is data: nothing here reads a clock, knows a zone or prints a calendar. Arithmetic saturates, since a
//! moment is compared, never spent.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The moment `ms` milliseconds later (earlier when negative).
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The moment `s` seconds later (earlier when negative).
    #[must_use]
    pub const fn plus_s(self, s: i64) -> Self {
        self.plus_ms(s.saturating_mul(1000))
    }

    /// Milliseconds from `earlier` to this moment; negative when it lies before.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The first whole minute that is not before this moment.
    #[must_use]
    pub const fn round_up_to_minute(self) -> Self {
        Self(self.0.saturating_add(59_999).div_euclid(60_000).saturating_mul(60_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_rounds_up_to_the_minute_and_a_whole_minute_stays() {
        assert_eq!(UnixMillis(60_001).round_up_to_minute(), UnixMillis(120_000));
        assert_eq!(UnixMillis(60_000).round_up_to_minute(), UnixMillis(60_000));
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(UnixMillis(i64::MAX).plus_s(1), UnixMillis(i64::MAX));
    }
}
