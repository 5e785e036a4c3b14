//! The sandbox's time: milliseconds since 1970, read through one closure.
//! Every time in the sandbox comes from here, so a test may freeze it or move it at will. Guards: nothing else in the
//! crate reads the system clock. Must not know: who asks.

use std::fmt;
use std::sync::Arc;

/// A source of Unix milliseconds; cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// A clock that reads the given closure, which answers Unix milliseconds.
    pub fn new(read: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The machine's own clock.
    pub fn system() -> Self {
        Self::new(|| {
            #[allow(clippy::disallowed_methods, reason = "this file is the sandbox's only reader of the system clock")]
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// Now, in Unix milliseconds.
    pub fn now(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Writes Beijing time as RFC 3339 with its offset (`2018-06-08T10:34:56+08:00`).
pub(crate) fn rfc3339_beijing(at_ms: i64) -> String {
    beijing(at_ms, "%Y-%m-%dT%H:%M:%S+08:00")
}

/// Writes Beijing time in a strftime pattern, to the second.
pub(crate) fn beijing(at_ms: i64, pattern: &str) -> String {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    jiff::Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| String::new(), |at| at.to_zoned(zone).strftime(pattern).to_string())
}

/// Reads an RFC 3339 time with an offset into Unix milliseconds.
pub(crate) fn read_rfc3339(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}

/// Reads a Beijing time in a strptime pattern without an offset into Unix milliseconds.
pub(crate) fn read_beijing(pattern: &str, text: &str) -> Option<i64> {
    let civil = jiff::civil::DateTime::strptime(pattern, text).ok()?;
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    zone.to_timestamp(civil).ok().map(|at| at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beijing_times_round_trip() {
        let at = read_rfc3339("2018-06-08T10:34:56+08:00").unwrap();
        assert_eq!(rfc3339_beijing(at), "2018-06-08T10:34:56+08:00");
        assert_eq!(read_beijing("%Y%m%d%H%M%S", "20180608103456"), Some(at));
    }
}
