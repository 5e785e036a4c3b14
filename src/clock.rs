//! The only reader of the system's clocks.
//!
//! Invariant: no other module calls `SystemTime::now` or `Instant::now` (a lint keeps it), so a test can own time.
//! Waits are monotonic: a step of the wall clock neither fires nor loses a timer twice.
#![allow(clippy::disallowed_methods)]

use crate::ports::{Clock, Io};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tongdao_core::time::UnixMillis;

/// The machine's clock, optionally ahead by an offset that a test moves.
#[derive(Debug, Clone)]
pub struct SystemClock {
    offset_ms: Arc<AtomicI64>,
    moved: Arc<watch::Sender<u64>>,
}

impl SystemClock {
    /// The machine's own time.
    #[must_use]
    pub fn new() -> Self {
        Self { offset_ms: Arc::default(), moved: Arc::new(watch::Sender::new(0)) }
    }

    /// Moves this clock and all its copies ahead; everything that waits looks again.
    pub fn advance_ms(&self, ms: i64) {
        self.offset_ms.fetch_add(ms, Ordering::SeqCst);
        self.moved.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        UnixMillis(ms).plus_ms(self.offset_ms.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: UnixMillis) -> Io<'_, ()> {
        Box::pin(async move {
            let mut moved = self.moved.subscribe();
            loop {
                let left_ms = at.since_ms(self.now());
                let Ok(left_ms) = u64::try_from(left_ms) else { return };
                if left_ms == 0 {
                    return;
                }
                let slept = tokio::time::timeout(Duration::from_millis(left_ms), moved.changed()).await;
                if matches!(slept, Ok(Err(_))) {
                    return;
                }
            }
        })
    }
}

/// RFC 3339 in UTC with milliseconds: how the API writes a moment.
#[must_use]
pub fn rfc3339(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

thread_local! {
    static PLAYED: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Lets a simulation play the monotonic clock of its own thread: watches that start from now on run by it.
#[doc(hidden)]
pub fn play_monotonic(at: Option<Duration>) {
    PLAYED.set(at);
}

/// Measures how long something took, by the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Result<Duration, Instant>);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(PLAYED.get().ok_or_else(Instant::now))
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match self.0 {
            Ok(played) => PLAYED.get().unwrap_or(played).saturating_sub(played),
            Err(started) => started.elapsed(),
        }
    }

    /// The time since the start in whole milliseconds.
    #[must_use]
    pub fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_milliseconds_in_utc() {
        assert_eq!(rfc3339(UnixMillis(1_766_000_000_120)), "2025-12-17T19:33:20.120Z");
    }

    #[tokio::test]
    async fn moving_the_clock_wakes_a_sleeper() {
        let clock = SystemClock::new();
        let at = clock.now().plus_s(3600);
        let sleeper = clock.clone();
        let (slept, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(2), sleeper.sleep_until(at)), async {
            clock.advance_ms(3_600_000);
        });
        assert!(slept.is_ok());
    }
}
