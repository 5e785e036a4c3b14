//! What is kept of a channel over a restart, so that a start is not cold.
//!
//! Why so little: the long run, how long payers take, the rate that was found and what is out took minutes to learn and
//! hold for hours; the last minutes' counts are old by the time they are read. Calls in flight are never kept: nobody
//! will answer them. Invariant: what is recalled is brought within sane bounds first; a file may have been edited.

use super::breaker::Breaker;
use super::conversion::LongRun;
use super::{Router, limiter};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// What is kept of one channel; opaque, to be stored under the channel's own name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memory {
    conversion: LongRun,
    rate: limiter::Found,
    breaker: Breaker,
    misconfigured: u32,
}

impl Router {
    /// What should be kept of a channel.
    #[must_use]
    pub fn memory(&self, channel: usize) -> Option<Memory> {
        let channel = self.channels.get(channel)?;
        Some(Memory {
            conversion: channel.conversion.long_run(),
            rate: channel.limiter.found(),
            breaker: channel.breaker.clone(),
            misconfigured: channel.misconfigured,
        })
    }

    /// Takes up what was kept of a channel, right after it was added.
    pub fn recall(&mut self, channel: usize, memory: &Memory, now: UnixMillis) {
        let Some(channel) = self.channels.get_mut(channel) else { return };
        channel.conversion.recall(&memory.conversion, now);
        channel.limiter.recall(memory.rate, now);
        channel.breaker = memory.breaker.clone().recalled(now);
        channel.misconfigured = memory.misconfigured;
        self.delays.add(channel.conversion.delays(), now);
    }
}
