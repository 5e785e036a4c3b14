//! Replays of recorded troubles: a small world of channels, payers and clocks in which a router has to earn its place.
//!
//! Why it is here: a router that reads well and a router that earns well are two things, and only the same payers with
//! the same luck can tell them apart. All luck is drawn by hashing (payment, channel, purpose), so every router meets
//! the same people. Invariant: the same trace, seed and router give the same figures to the last digit.
//! It must not know how any router thinks: it offers channels, answers calls and tells the news, as a provider would.
// Indices are made here from the lengths of the trace's own lists, which `Trace::read` has checked.
#![allow(clippy::indexing_slicing)]

mod draws;
mod figures;
mod oracle;
mod plan;
mod simple;
mod trace;
mod world;

pub use figures::Figures;
pub use trace::{Trace, TraceError};

use super::router::{Ask, Input, Router, Terms};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// The routers that can be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replayed {
    /// The router of the daemon.
    Fuse,
    /// The preferred channel, behind a breaker: five failures in a row open it for half a minute.
    StaticBreaker,
    /// All eligible channels in turn.
    RoundRobin,
    /// Knows every parameter of the trace, though not the luck: what others are measured by.
    Oracle,
}

impl Replayed {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fuse, Self::StaticBreaker, Self::RoundRobin, Self::Oracle];

    /// The word used on the command line and in the reference figures.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fuse => "fuse",
            Self::StaticBreaker => "static_breaker",
            Self::RoundRobin => "round_robin",
            Self::Oracle => "oracle",
        }
    }
}

/// What the world asks of a router: a channel for a payment, and an ear for what came of it.
trait Routes {
    /// The channel for this payment and whether it is a probe.
    fn choose(&mut self, ask: &Ask, now: UnixMillis) -> Option<(usize, bool)>;
    /// What happened.
    fn hear(&mut self, input: Input, now: UnixMillis);
    /// A quarter of a second went by; the orders that the router wants to ask about.
    fn tick(&mut self, now: UnixMillis) -> Vec<(usize, u64)>;
}

/// Replays one run of a trace: run 0 uses the trace's own seed.
#[must_use]
pub fn replay(trace: &Trace, run: u64, replayed: Replayed) -> Figures {
    let seed = trace.seed.wrapping_add(run.wrapping_mul(1_000_003));
    let mut router: Box<dyn Routes> = match replayed {
        Replayed::Fuse => Box::new(OurRouter { router: Router::new(terms(trace), trace.margin), seed }),
        Replayed::StaticBreaker => Box::new(simple::StaticBreaker::new(trace)),
        Replayed::RoundRobin => Box::new(simple::RoundRobin::default()),
        Replayed::Oracle => Box::new(oracle::Oracle::new(trace)),
    };
    let log = world::World::new(trace, seed).run(router.as_mut());
    figures::figures(trace, seed, replayed, &log)
}

/// What the contracts say: all that a router may know beforehand.
fn terms(trace: &Trace) -> Vec<Terms> {
    let number = |n: Option<usize>| n.and_then(|n| u16::try_from(n).ok()).unwrap_or(u16::MAX);
    let of = |c: &trace::TraceChannel| Terms {
        fee_bps: c.fee_bps,
        fee_fixed: c.fee_fixed_cents,
        contract_per_s: Some(c.contract_rps),
        // The method is all that a trace tells of who stands behind a channel.
        provider: number(trace.channels.iter().position(|other| other.method == c.method)),
        rank: number(Some(trace.channels.iter().filter(|other| other.priority < c.priority).count())),
    };
    trace.channels.iter().map(of).collect()
}

/// The daemon's router with a seed of its own for each decision.
struct OurRouter {
    router: Router,
    seed: u64,
}

impl Routes for OurRouter {
    fn choose(&mut self, ask: &Ask, now: UnixMillis) -> Option<(usize, bool)> {
        self.seed = draws::next(self.seed);
        let choice = self.router.choose(ask, self.seed, now);
        choice.channel.map(|channel| (channel, choice.is_probe()))
    }

    fn hear(&mut self, input: Input, now: UnixMillis) {
        self.router.apply(input, now);
    }

    fn tick(&mut self, now: UnixMillis) -> Vec<(usize, u64)> {
        self.router.tick(now)
    }
}

#[cfg(test)]
mod tests;
