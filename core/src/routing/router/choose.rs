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
use serde::{Deserialize, Serialize};

/// Values closer than this share the traffic.
const NEAR_TIE: f64 = 0.004;
const PREFERRED: f64 = 0.02;
const LAST_USED: f64 = 0.01;
const RETRIES_MAX: f64 = 100.0;
/// Channels that a router can hold.
pub const CHANNELS_MAX: usize = 64;

/// Why a channel was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is worth the most.
    Best,
    /// It is worth so little less than the best that they share the traffic.
    Tie,
    /// The payer would rather use it, and that made the difference.
    Preferred,
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

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Best,
        Self::Tie,
        Self::Preferred,
        Self::Spill,
        Self::Probe,
        Self::Explore,
        Self::Fallback,
        Self::OnlyOne,
    ];

    /// The word used in the API and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Tie => "tie",
            Self::Preferred => "preferred",
            Self::Spill => "spill",
            Self::Probe => "probe",
            Self::Explore => "explore",
            Self::Fallback => "fallback",
            Self::OnlyOne => "only_one",
        }
    }
}

/// The channel for a payment, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
pub(super) struct Offer {
    pub(super) place: usize,
    pub(super) value: Value,
    /// What the payer's liking adds.
    pub(super) liking: f64,
    pub(super) admitted: bool,
    pub(super) has_room: bool,
}

impl Router {
    /// Chooses. What is sent is told with `Input::Sent`, before the next choice: else two payments become one probe.
    pub fn choose(&mut self, ask: &Ask, seed: u64, now: UnixMillis) -> Choice {
        let asked = self.known(ask);
        let choice = self.without_values(&asked, now).unwrap_or_else(|| self.weigh(&asked, seed, now));
        self.note(ask, &choice, now);
        choice
    }

    /// Values the offers where there is room for them without asking for memory, as nearly always.
    fn weigh(&self, ask: &Ask, seed: u64, now: UnixMillis) -> Choice {
        let mut few = [Offer::default(); 8];
        let mut many = Vec::new();
        let offers = match few.get_mut(..self.count(ask)) {
            Some(few) => few,
            None => {
                many.resize(self.count(ask), Offer::default());
                many.as_mut_slice()
            }
        };
        self.fill(offers, ask, seed, now);
        self.pick(offers, ask, seed, now)
    }

    /// What a choice leaves behind: a payment that went by, a token for a second try.
    pub(super) fn note(&mut self, ask: &Ask, choice: &Choice, now: UnixMillis) {
        for place in places(ask.open) {
            let Some(channel) = self.channels.get_mut(place) else { continue };
            channel.offered_at = now;
            if ask.first {
                channel.breaker.passed();
            }
        }
        if ask.first {
            self.retries = (self.retries + 0.2).min(RETRIES_MAX);
        } else if choice.reason == Reason::Fallback && choice.channel.is_some() {
            self.retries -= 1.0;
        }
    }

    /// The part of an ask that is known here.
    pub(super) fn known(&self, ask: &Ask) -> Ask {
        let count = u32::try_from(self.channels.len()).unwrap_or(u32::MAX);
        Ask { open: ask.open & 1_u64.checked_shl(count).map_or(u64::MAX, |bit| bit - 1), ..*ask }
    }

    pub(super) fn count(&self, ask: &Ask) -> usize {
        usize::try_from(ask.open.count_ones()).unwrap_or(CHANNELS_MAX)
    }

    /// The choices that no value decides: none, the only one, a probe.
    pub(super) fn without_values(&self, ask: &Ask, now: UnixMillis) -> Option<Choice> {
        match ask.open.count_ones() {
            0 => Some(Choice { channel: None, reason: Reason::Fallback }),
            1 => Some(Choice { channel: places(ask.open).next(), reason: Reason::OnlyOne }),
            _ => self.probe(ask, now).map(|place| Choice { channel: Some(place), reason: Reason::Probe }),
        }
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

    pub(super) fn fill(&self, offers: &mut [Offer], ask: &Ask, seed: u64, now: UnixMillis) {
        let mut any_in = false;
        for (offer, place) in offers.iter_mut().zip(places(ask.open)) {
            offer.place = place;
            let Some(channel) = self.channels.get(place) else { continue };
            offer.value = score::of_first_try(channel, self.margin, ask, now);
            offer.has_room = channel.limiter.has_room(now);
            let share = channel.breaker.share(now);
            // The share of a channel that comes back is drawn anew for each payment.
            offer.admitted = share >= 1.0 || unit(seed, 1) < share;
            any_in |= offer.admitted;
            if share >= 1.0 {
                offer.liking = liking(ask, place) * offer.value.accepts;
            }
        }
        if ask.first {
            add_second_tries(offers);
        }
        for offer in offers.iter_mut() {
            offer.value.total += offer.liking;
            offer.admitted |= !any_in;
        }
    }

    pub(super) fn pick(&self, offers: &[Offer], ask: &Ask, seed: u64, now: UnixMillis) -> Choice {
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
            chosen = Some(offer);
            left -= weight(offer);
            if left < 0.0 {
                break;
            }
        }
        let reason = chosen.map_or(Reason::Best, |chosen| why(chosen, offers, best));
        Choice { channel: chosen.map(|offer| offer.place), reason }
    }

    /// The channel that was looked at least, when this is one of the few payments that look around.
    fn look_around(&self, offers: &[Offer], best: f64, seed: u64) -> Option<usize> {
        let hot = |o: &Offer| self.channels.get(o.place).is_some_and(|c| c.conversion.is_hot());
        let drawn = unit(seed, 3);
        if !self.explores || drawn >= explore::share(true) || drawn >= explore::share(offers.iter().any(hot)) {
            return None;
        }
        let fits = offers.iter().filter(|o| o.admitted && o.has_room);
        // A channel that shows signs of having become better comes first.
        let known = |o: &&Offer| {
            let conversion = self.channels.get(o.place).map(|channel| &channel.conversion);
            conversion.map_or(f64::MAX, |c| if c.is_hot() { -1.0 } else { c.in_last_minute() })
        };
        let least = fits.min_by(|a, b| known(a).total_cmp(&known(b)))?;
        let channel = self.channels.get(least.place)?;
        explore::is_worth_a_look(channel, least.value.total, best).then_some(least.place)
    }

    /// Nobody has room: the one with the most takes it, but a second try must be worth the load.
    fn fall_back(&self, offers: &[Offer], ask: &Ask, now: UnixMillis) -> Choice {
        if !ask.first && self.retries < 1.0 {
            return Choice { channel: None, reason: Reason::Fallback };
        }
        let room = |o: &&Offer| self.channels.get(o.place).map_or(f64::MIN, |c| c.limiter.room(now));
        let admitted = offers.iter().filter(|offer| offer.admitted);
        let rank = |o: &&Offer| self.channels.get(o.place).map_or(u16::MAX, |c| c.terms.rank);
        let most = admitted.max_by(|a, b| room(a).total_cmp(&room(b)).then(rank(b).cmp(&rank(a))));
        Choice { channel: most.map(|offer| offer.place), reason: Reason::Fallback }
    }
}

/// What made the difference for a channel that was drawn among those with room.
fn why(chosen: &Offer, offers: &[Offer], best: f64) -> Reason {
    if offers.iter().any(|o| o.admitted && !o.has_room && o.value.total > best) {
        return Reason::Spill;
    }
    if chosen.value.total < best {
        return Reason::Tie;
    }
    let plain = |offer: &Offer| offer.value.total - offer.liking;
    let fits = offers.iter().filter(|offer| offer.admitted && offer.has_room);
    if fits.map(plain).any(|other| other > plain(chosen)) { Reason::Preferred } else { Reason::Best }
}

/// What the payer's liking adds to a call that is accepted: nothing where the call would fail.
const fn liking(ask: &Ask, place: usize) -> f64 {
    if ask.preferred & (1 << place) != 0 {
        PREFERRED
    } else if ask.last_used & (1 << place) != 0 {
        LAST_USED
    } else {
        0.0
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
