//! What the daemon reads back from its own metrics, for the admin API's board.
//!
//! Invariant: nothing decides by these numbers; they are the same that Prometheus sees, counted since the start.

use super::Metrics;
use crate::ports::Operation;
use prometheus::core::Metric as _;
use tongdao_core::ids::ChannelId;

/// Latency of a channel's creates since the start, as upper edges of histogram buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Half of the creates were at least as fast.
    pub p50_ms: i64,
    /// 99 of 100 were.
    pub p99_ms: i64,
}

impl Metrics {
    /// Calls to a channel that wait for their answer now.
    #[must_use]
    pub fn in_flight(&self, channel: &ChannelId) -> Option<i64> {
        self.channels.load().get(channel).map(|series| series.in_flight.get())
    }

    /// How fast a channel's creates were; `None` while there was none, or where they were slower than the last edge.
    #[must_use]
    pub fn create_latency(&self, channel: &ChannelId) -> Option<Latency> {
        let channels = self.channels.load();
        let metric = channels.get(channel)?.call_duration.at(Operation::Create)?.metric();
        let histogram = metric.get_histogram();
        let count = histogram.get_sample_count();
        if count == 0 {
            return None;
        }
        let edge_ms = |hundredths: u64| {
            let wanted = count.saturating_mul(hundredths).div_ceil(100);
            let bucket = histogram.get_bucket().iter().find(|bucket| bucket.cumulative_count() >= wanted)?;
            whole_ms(bucket.upper_bound())
        };
        Some(Latency { p50_ms: edge_ms(50)?, p99_ms: edge_ms(99)? })
    }
}

/// The edges are whole milliseconds below a minute.
#[allow(clippy::as_conversions)] // A float has no checked conversion; the value is bounded first.
fn whole_ms(seconds: f64) -> Option<i64> {
    (0.0..3600.0).contains(&seconds).then(|| (seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn percentiles_are_the_edges_of_the_buckets_that_hold_them() {
        let metrics = Metrics::new(&[]).unwrap();
        let channel: ChannelId = "c".parse().unwrap();
        metrics.set_channels([(channel.clone(), "p".parse().unwrap())]);
        assert_eq!(metrics.create_latency(&channel), None);
        for _ in 0..98 {
            metrics.call_took(&channel, Operation::Create, Duration::from_millis(90));
        }
        for _ in 0..2 {
            metrics.call_took(&channel, Operation::Create, Duration::from_millis(900));
        }
        assert_eq!(metrics.create_latency(&channel), Some(Latency { p50_ms: 100, p99_ms: 1200 }));
        assert_eq!(metrics.in_flight(&channel), Some(0));
    }
}
