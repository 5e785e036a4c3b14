//! The choice with every number behind it, for those who pay for it.
//!
//! Invariant: it is `choose` itself that decides, so an explanation never tells of another choice than the one taken.

use super::breaker::Standing;
use super::choose::{Choice, Offer};
use super::{Ask, Router};
use crate::time::UnixMillis;

/// A choice, and how each offered channel looked.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The choice.
    pub choice: Choice,
    /// Every offered channel, in the order of their places.
    pub offers: Vec<Offered>,
}

/// How one offered channel looked when the choice was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offered {
    /// The channel.
    pub channel: usize,
    /// Share of calls accepted.
    pub accepts: f64,
    /// Share of orders paid.
    pub converts: f64,
    /// Orders behind that share, as far as they could be paid by now.
    pub exposure: f64,
    /// Mean wait.
    pub latency_ms: f64,
    /// The fee as a share of the margin of this payment.
    pub fee_share: f64,
    /// What an accepted call is worth: conversion, waiting and fee, as a share of the margin.
    pub value: f64,
    /// What choosing it is worth, a second try after its failure included: what channels are compared by.
    pub utility: f64,
    /// The part of the utility that the payer's liking adds.
    pub liking: f64,
    /// Calls that may go now; none when nothing limits it.
    pub tokens: Option<f64>,
    /// Calls a second that it may get; none when nothing limits it.
    pub rate_per_s: Option<f64>,
    /// Calls on their way.
    pub in_flight: u32,
    /// Calls that may be on their way at once.
    pub in_flight_max: f64,
    /// Whether one more call has room.
    pub has_room: bool,
    /// Whether it is in, out, or coming back.
    pub standing: Standing,
    /// Whether it could be chosen: not out, or all are, and within its part of the traffic while it comes back.
    pub admitted: bool,
}

impl Router {
    /// Chooses as `choose` does, and tells why.
    pub fn decide(&mut self, ask: &Ask, seed: u64, now: UnixMillis) -> Explained {
        let explained = self.explain(ask, seed, now);
        self.note(ask, &explained.choice, now);
        explained
    }

    /// What `decide` would choose now, without a trace: no token is taken and nothing counts as asked.
    #[must_use]
    pub fn explain(&self, ask: &Ask, seed: u64, now: UnixMillis) -> Explained {
        let ask = self.known(ask);
        let mut offers = vec![Offer::default(); self.count(&ask)];
        self.fill(&mut offers, &ask, seed, now);
        let choice = self.without_values(&ask, now).unwrap_or_else(|| self.pick(&offers, &ask, seed, now));
        let offers = offers.iter().filter_map(|offer| self.offered(offer, &ask, now)).collect();
        Explained { choice, offers }
    }

    fn offered(&self, offer: &Offer, ask: &Ask, now: UnixMillis) -> Option<Offered> {
        let channel = self.channels.get(offer.place)?;
        let (in_flight, in_flight_max) = channel.limiter.in_flight();
        Some(Offered {
            channel: offer.place,
            accepts: offer.value.accepts,
            converts: channel.conversion.share(),
            exposure: channel.conversion.exposure(),
            latency_ms: channel.health.latency_ms(),
            fee_share: channel.terms.fee_share(ask.amount, self.margin),
            value: offer.value.accepted,
            utility: offer.value.total,
            liking: offer.liking,
            tokens: channel.limiter.tokens(now),
            rate_per_s: channel.limiter.rate(),
            in_flight,
            in_flight_max,
            has_room: offer.has_room,
            standing: channel.breaker.standing(now),
            admitted: offer.admitted,
        })
    }
}
