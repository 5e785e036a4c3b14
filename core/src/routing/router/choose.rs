//! The choice: leave out what is out, value the rest, share near-ties, look around a little, probe what may be well.
//!
//! Why near-ties share: two channels of the same value both stay known, and a gap of two percent leaves the worse one
//! next to nothing. Why a second try needs a token when nobody has room: an outage must not be followed by a storm.
//! Invariant: the choice is one of the offered channels, and the same seed gives the same choice.

use super::breaker::Standing;
use super::number::unit;
use super::score::{self, Value};
use super::{Ask, Router, explore};
use crate::time::UnixMillis;

/// Values closer than this share the traffic.
const NEAR_TIE: f64 = 0.004;
const PREFERRED: f64 = 0.02;
/// Channels that fit into one choice.
pub(super) const CHANNELS_MAX: usize = 64;

/// Why a channel was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is worth the most, or close to it.
    Best,
    /// Something better has no room.
    Spill,
    /// It is out and gets one charge to show that it is well.
    Probe,
    /// Nobody had looked at it for a while.
    Explore,
    /// Nobody had room: it had the most.
    Fallback,
    /// Nothing else was offered.
    OnlyOne,
}

/// The channel for a payment, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The channel; none when nothing was offered or a second try is not worth the load.
    pub channel: Option<usize>,
    /// Why.
    pub reason: Reason,
}

impl Choice {
    /// Whether this payment shows if a channel is well again.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.reason == Reason::Probe
    }
}

/// One offered channel.
#[derive(Debug, Clone, Copy, Default)]
struct Offer {
    place: usize,
    value: Value,
    admitted: bool,
    has_room: bool,
}

impl Router {
    /// Chooses. Only the tokens for second tries change by it: what is sent is told with `Input::Sent`.
    pub fn choose(&mut self, ask: &Ask, seed: u64, now: UnixMillis) -> Choice {
        if ask.first {
            self.retries = (self.retries + 0.2).min(100.0);
            places(ask.open).for_each(|place| self.with(place, |c| c.breaker.passed()));
        }
        if ask.open.count_ones() == 1 {
            let channel = usize::try_from(ask.open.trailing_zeros()).ok();
            return Choice { channel, reason: Reason::OnlyOne };
        }
        if let Some(channel) = self.probe(ask, now) {
            return Choice { channel: Some(channel), reason: Reason::Probe };
        }
        let mut offers = [Offer::default(); 8];
        let mut many = Vec::new();
        let count = usize::try_from(ask.open.count_ones()).unwrap_or(CHANNELS_MAX);
        let offers = match offers.get_mut(..count) {
            Some(few) => few,
            None => {
                many.resize(count, Offer::default());
                many.as_mut_slice()
            }
        };
        self.fill(offers, ask, seed, now);
        self.pick(offers, ask, seed, now)
    }

    /// What a channel is worth for a payment, for people.
    #[must_use]
    pub fn value(&self, channel: usize, ask: &Ask, now: UnixMillis) -> f64 {
        let of = |c| score::of_first_try(c, self.margin, ask, now).total;
        self.channels.get(channel).map_or(0.0, of)
    }

    /// A channel that is out and due, when the payment has somewhere else to go should it fail.
    fn probe(&self, ask: &Ask, now: UnixMillis) -> Option<usize> {
        if !ask.first {
            return None;
        }
        let mut due = None;
        let mut well = false;
        for place in places(ask.open) {
            let Some(channel) = self.channels.get(place) else { continue };
            match channel.breaker.standing(now) {
                Standing::In | Standing::Returning => well = true,
                Standing::ProbeDue if !(ask.direct && channel.breaker.hangs()) => due = due.or(Some(place)),
                Standing::ProbeDue | Standing::Out => {}
            }
        }
        due.filter(|_| well)
    }

    fn fill(&self, offers: &mut [Offer], ask: &Ask, seed: u64, now: UnixMillis) {
        let mut any_in = false;
        for (offer, place) in offers.iter_mut().zip(places(ask.open)) {
            offer.place = place;
            let Some(channel) = self.channels.get(place) else { continue };
            offer.value = score::of_first_try(channel, self.margin, ask, now);
            if ask.preferred & (1 << place) != 0 {
                offer.value.total += PREFERRED;
            }
            offer.has_room = channel.limiter.has_room(now);
            let share = channel.breaker.share(now);
            // The share of a channel that comes back is drawn anew for each payment.
            offer.admitted = share >= 1.0 || unit(seed, 1) < share;
            any_in |= offer.admitted;
        }
        if ask.first {
            add_second_tries(offers);
        }
        if !any_in {
            offers.iter_mut().for_each(|offer| offer.admitted = true);
        }
    }

    fn pick(&mut self, offers: &[Offer], ask: &Ask, seed: u64, now: UnixMillis) -> Choice {
        let fits = |offer: &&Offer| offer.admitted && offer.has_room;
        let best = offers.iter().filter(fits).map(|o| o.value.total).fold(f64::MIN, f64::max);
        if best == f64::MIN {
            return self.fall_back(offers, ask, now);
        }
        if ask.first
            && let Some(place) = self.look_around(offers, best, seed)
        {
            return Choice { channel: Some(place), reason: Reason::Explore };
        }
        let weight = |offer: &Offer| ((offer.value.total - best) / NEAR_TIE).exp();
        let total: f64 = offers.iter().filter(fits).map(weight).sum();
        let mut left = unit(seed, 2) * total;
        let mut chosen = None;
        for offer in offers.iter().filter(fits) {
            chosen = Some(offer.place);
            left -= weight(offer);
            if left < 0.0 {
                break;
            }
        }
        let spilled = offers.iter().any(|o| o.admitted && !o.has_room && o.value.total > best);
        Choice { channel: chosen, reason: if spilled { Reason::Spill } else { Reason::Best } }
    }

    /// The channel that was looked at least, when this is one of the few payments that look around.
    fn look_around(&self, offers: &[Offer], best: f64, seed: u64) -> Option<usize> {
        let hot = |o: &Offer| self.channels.get(o.place).is_some_and(|c| c.conversion.is_hot());
        let drawn = unit(seed, 3);
        if drawn >= explore::share(true) || drawn >= explore::share(offers.iter().any(hot)) {
            return None;
        }
        let fits = offers.iter().filter(|o| o.admitted && o.has_room);
        let known = |o: &&Offer| self.channels.get(o.place).map_or(f64::MAX, |c| c.conversion.in_last_minute());
        let least = fits.min_by(|a, b| known(a).total_cmp(&known(b)))?;
        let channel = self.channels.get(least.place)?;
        explore::is_worth_a_look(channel, least.value.total, best).then_some(least.place)
    }

    /// Nobody has room: the one with the most takes it, but a second try must be worth the load.
    fn fall_back(&mut self, offers: &[Offer], ask: &Ask, now: UnixMillis) -> Choice {
        if !ask.first {
            if self.retries < 1.0 {
                return Choice { channel: None, reason: Reason::Fallback };
            }
            self.retries -= 1.0;
        }
        let room = |o: &&Offer| self.channels.get(o.place).map_or(f64::MIN, |c| c.limiter.room(now));
        let admitted = offers.iter().filter(|offer| offer.admitted);
        let most = admitted.max_by(|a, b| room(a).total_cmp(&room(b)));
        Choice { channel: most.map(|offer| offer.place), reason: Reason::Fallback }
    }
}

fn add_second_tries(offers: &mut [Offer]) {
    let of = |offer: &Offer| offer.value.accepts * offer.value.accepted;
    let (mut best, mut second, mut leader) = (0.0, 0.0, usize::MAX);
    for offer in offers.iter().filter(|offer| offer.admitted) {
        let value = of(offer);
        if value > best {
            (second, best, leader) = (best, value, offer.place);
        } else if value > second {
            second = value;
        }
    }
    for offer in offers {
        let elsewhere = if offer.place == leader { second } else { best };
        score::with_second_try(&mut offer.value, elsewhere);
    }
}

fn places(bits: u64) -> impl Iterator<Item = usize> {
    let mut left = bits;
    std::iter::from_fn(move || {
        (left != 0).then(|| {
            let place = left.trailing_zeros();
            left &= left - 1;
            usize::try_from(place).unwrap_or(CHANNELS_MAX)
        })
    })
}
