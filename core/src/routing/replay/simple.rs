//! The two simple routers that every figure is measured against.
//!
//! Why they are here: an engine that reproduces their published figures may be believed about another router.

use super::Routes;
use super::trace::Trace;
use crate::routing::router::{Ask, Input};
use crate::time::UnixMillis;

const FAILURES_MAX: u32 = 5;
const OPEN_MS: i64 = 30_000;

#[derive(Debug, Clone, Copy)]
struct Breaker {
    failures: u32,
    open_until: UnixMillis,
    half_open: bool,
    trying: bool,
}

const CLOSED: Breaker = Breaker { failures: 0, open_until: UnixMillis(0), half_open: false, trying: false };

impl Breaker {
    fn lets_through(&self, now: UnixMillis) -> bool {
        now >= self.open_until && !self.trying
    }
}

/// The channel of the best priority whose breaker is not open. A half-open breaker lets one call through, whose answer
/// closes it or opens it again; answers that come while it is open change nothing.
pub(super) struct StaticBreaker {
    by_priority: Vec<usize>,
    breakers: Vec<Breaker>,
}

impl StaticBreaker {
    pub(super) fn new(trace: &Trace) -> Self {
        let mut by_priority: Vec<usize> = (0..trace.channels.len()).collect();
        by_priority.sort_by_key(|c| trace.channels[*c].priority);
        Self { by_priority, breakers: vec![CLOSED; trace.channels.len()] }
    }

    fn answered(&mut self, channel: usize, well: bool, now: UnixMillis) {
        let breaker = &mut self.breakers[channel];
        if now < breaker.open_until {
            return;
        }
        breaker.trying = false;
        if well {
            *breaker = CLOSED;
            return;
        }
        breaker.failures += 1;
        if breaker.failures >= FAILURES_MAX || breaker.half_open {
            *breaker = Breaker { failures: 0, open_until: now.plus_ms(OPEN_MS), half_open: true, trying: false };
        }
    }
}

impl Routes for StaticBreaker {
    fn choose(&mut self, ask: &Ask, now: UnixMillis) -> Option<(usize, bool)> {
        let offered = self.by_priority.iter().copied().filter(|c| ask.open & (1 << c) != 0);
        let chosen = offered.clone().find(|c| self.breakers[*c].lets_through(now)).or(offered.clone().next())?;
        let breaker = &mut self.breakers[chosen];
        breaker.trying = breaker.half_open && now >= breaker.open_until;
        Some((chosen, false))
    }

    fn hear(&mut self, input: Input, now: UnixMillis) {
        match input {
            Input::Accepted { channel, latency_ms: Some(_), .. } => self.answered(channel, true, now),
            Input::Failed { channel, .. } | Input::TimedOut { channel, .. } | Input::Refused { channel } => {
                self.answered(channel, false, now);
            }
            Input::Accepted { .. }
            | Input::Sent { .. }
            | Input::Misconfigured { .. }
            | Input::Paid { .. }
            | Input::Expired { .. }
            | Input::Queried { .. }
            | Input::Void { .. } => {}
        }
    }

    fn tick(&mut self, _now: UnixMillis) -> Vec<(usize, u64)> {
        Vec::new()
    }
}

/// The eligible channels in turn: the next one after the last that was used.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    after: usize,
}

impl Routes for RoundRobin {
    fn choose(&mut self, ask: &Ask, _now: UnixMillis) -> Option<(usize, bool)> {
        let offered = (0..64).filter(|c| ask.open & (1 << c) != 0);
        let chosen = offered.clone().find(|c| *c >= self.after).or(offered.clone().next())?;
        self.after = chosen + 1;
        Some((chosen, false))
    }

    fn hear(&mut self, _input: Input, _now: UnixMillis) {}

    fn tick(&mut self, _now: UnixMillis) -> Vec<(usize, u64)> {
        Vec::new()
    }
}
