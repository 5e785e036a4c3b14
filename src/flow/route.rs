//! Who may take a charge now, and who is chosen: gathers the facts, asks the router, and keeps why.
//!
//! Invariants: a channel is tried only if every fact allows it; a force changes the order and never who may; the decision
//! that comes back holds every channel with its numbers, and explaining is deciding without a trace. One short lock, and
//! nothing waits inside.

use super::Flow;
use super::channels::Known;
use super::feed::Sending;
use crate::clock::Stopwatch;
use crate::config::{Channel, Config};
use crate::metrics::ChannelState;
use crate::request_scope::{self, Part};
use tongdao_core::ids::{ChannelId, MerchantId};
use tongdao_core::money::Money;
use tongdao_core::provider::{Payer, Scene};
use tongdao_core::routing::router::{Ask, Explained, Input};
use tongdao_core::routing::{Because, Decision, Exclusion, Reason, Seen, Standing};
use tongdao_core::time::UnixMillis;

/// What a charge asks of a channel.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    pub(crate) amount: Money,
    pub(crate) scene: Scene,
    pub(crate) payer: &'a Payer,
    /// Whose payer; none when nobody in particular asks.
    pub(crate) merchant: Option<&'a MerchantId>,
    /// The one channel that may be used.
    pub(crate) pin: Option<&'a ChannelId>,
    /// The one provider that may be used.
    pub(crate) provider: Option<&'a str>,
    /// Channels that were tried for this charge in this request.
    pub(crate) tried: &'a [ChannelId],
}

/// The facts of one moment: each configured channel, why it cannot be used, and what the router is asked.
struct Facts<'c> {
    channels: Vec<(&'c Channel, Option<Exclusion>)>,
    ask: Ask,
    /// Those that may be used at all, when an operator's force narrowed the choice.
    unforced: Option<u64>,
    /// How many may be used at all.
    left: u32,
}

impl Flow {
    /// The decision that would be taken now. It reserves nothing and counts as no decision.
    pub(crate) fn decide(&self, wanted: &Wanted<'_>) -> Decision {
        let (config, now, seed) = (self.config.load(), self.clock.now(), self.seed());
        let mut known = self.channels.lock();
        let at = known.at(now);
        let facts = self.facts(&config, &known, wanted, now);
        let explained = known.router.explain(&facts.ask, seed, at);
        decision(&facts, &explained, &known, wanted, at)
    }

    /// Decides and takes note: the call counts from now on, so that many at once see each other, and a probe is one
    /// charge, not all that come meanwhile. What comes of the call must be told to what is given back.
    pub(crate) fn route(&self, wanted: &Wanted<'_>) -> (Decision, Option<Sending<'_>>) {
        let took = Stopwatch::start();
        let (config, now, seed) = (self.config.load(), self.clock.now(), self.seed());
        let decided = {
            let mut known = self.channels.lock();
            let at = known.at(now);
            let facts = self.facts(&config, &known, wanted, now);
            let explained = known.router.decide(&facts.ask, seed, at);
            if let Some(channel) = explained.choice.channel {
                known.router.apply(Input::Sent { channel, probe: explained.choice.is_probe() }, at);
            }
            decision(&facts, &explained, &known, wanted, at)
        };
        self.metrics.route_decided(&decided, took.elapsed());
        request_scope::note(Part::Route, took.elapsed());
        let sending = decided.channel.clone().map(|channel| Sending::new(self, channel));
        (decided, sending)
    }

    /// Where a channel stands now.
    #[must_use]
    pub fn channel_state(&self, id: &ChannelId) -> ChannelState {
        match self.channel(id) {
            Some(channel) if !channel.enabled => ChannelState::Disabled,
            Some(channel) if self.is_drained(&channel) => ChannelState::Drained,
            _ => state_of(self.channels.standing(id, self.clock.now())),
        }
    }

    fn facts<'c>(&self, config: &'c Config, known: &Known, wanted: &Wanted<'_>, now: UnixMillis) -> Facts<'c> {
        let with_exclusion = |channel| (channel, self.exclusion(channel, known, wanted, now));
        let channels: Vec<(&Channel, Option<Exclusion>)> = config.channels.iter().map(with_exclusion).collect();
        let last_used = wanted.merchant.zip(wanted.payer.id.as_deref());
        let last_used = last_used.and_then(|(merchant, payer)| known.payers.last_used(merchant, payer));
        let (mut open, mut forced, mut preferred, mut used) = (0_u64, 0_u64, 0_u64, 0_u64);
        for (channel, _) in channels.iter().filter(|(_, excluded)| excluded.is_none()) {
            let Some(bit) = known.places.bit(&channel.id) else { continue };
            open |= bit;
            if self.is_forced(channel) {
                forced |= bit;
            }
            if wanted.payer.preferred.as_deref() == Some(channel.provider_id.as_str()) {
                preferred |= bit;
            }
            if last_used == Some(&channel.provider_id) {
                used |= bit;
            }
        }
        let ask = Ask {
            amount: wanted.amount.amount,
            open: if forced == 0 { open } else { forced },
            preferred,
            last_used: used,
            direct: false,
            first: wanted.tried.is_empty(),
        };
        Facts { channels, ask, unforced: (forced != 0).then_some(open), left: open.count_ones() }
    }

    fn exclusion(&self, channel: &Channel, known: &Known, wanted: &Wanted<'_>, now: UnixMillis) -> Option<Exclusion> {
        let provider = channel.provider_id.as_str();
        let methods = &wanted.payer.methods;
        let can_pay_here = methods.is_empty() || methods.iter().any(|method| method == provider);
        let wanted_provider = wanted.provider.is_none_or(|wanted| wanted == provider);
        let limit = &channel.daily_limit;
        let over_day = || {
            let (amount, count) = known.taken_today(&channel.id, now);
            let amount = amount.saturating_add(wanted.amount.amount);
            limit.amount.is_some_and(|max| amount > max) || limit.count.is_some_and(|max| count >= max)
        };
        let range = channel.amount.min..=channel.amount.max;
        if !channel.enabled {
            Some(Exclusion::Disabled)
        } else if self.is_drained(channel) {
            Some(Exclusion::Drained)
        } else if wanted.pin.is_some_and(|pin| *pin != channel.id) {
            Some(Exclusion::NotPinned)
        } else if wanted.tried.contains(&channel.id) {
            Some(Exclusion::Tried)
        } else if !channel.scenes.contains(&wanted.scene) {
            Some(Exclusion::Scene)
        } else if !can_pay_here || !wanted_provider {
            Some(Exclusion::Method)
        } else if !range.contains(&wanted.amount.amount) {
            Some(Exclusion::Amount)
        } else if over_day() {
            Some(Exclusion::DailyLimit)
        } else if !self.outside.has_room(&channel.id) {
            Some(Exclusion::Capacity)
        } else {
            None
        }
    }
}

/// The state that people and metrics know a standing by.
pub(super) const fn state_of(standing: Standing) -> ChannelState {
    match standing {
        Standing::In => ChannelState::Open,
        Standing::Out => ChannelState::Ejected,
        Standing::ProbeDue | Standing::Returning => ChannelState::Probing,
    }
}

fn decision(facts: &Facts<'_>, explained: &Explained, known: &Known, wanted: &Wanted<'_>, at: UnixMillis) -> Decision {
    let chosen = explained.choice.channel;
    // What an operator put behind is shown with what it would be worth.
    let behind = facts.unforced.map(|open| known.router.explain(&Ask { open, ..facts.ask }, 0, at).offers);
    let behind = behind.unwrap_or_default();
    let seen = |(channel, excluded): &(&Channel, Option<Exclusion>)| {
        let (id, fee_bps) = (channel.id.clone(), i64::from(channel.fee_bps));
        let place = known.places.of(&channel.id);
        let offered = explained.offers.iter().chain(&behind).find(|offered| Some(offered.channel) == place);
        match (excluded, offered) {
            (None, Some(offered)) => Seen::offered(id, fee_bps, offered, chosen == place),
            // A channel that has no place beside too many others takes nothing.
            (excluded, _) => {
                let view = place.and_then(|place| known.router.view(place, at));
                Seen::left_out(id, fee_bps, view.as_ref(), excluded.unwrap_or(Exclusion::Capacity))
            }
        }
    };
    Decision {
        channel: chosen.and_then(|place| known.places.name(place)).cloned(),
        chosen_because: because(facts, wanted, explained.choice.reason),
        reason: chosen.map(|_| explained.choice.reason),
        candidates: facts.channels.iter().map(seen).collect(),
    }
}

/// The reason in the words that the API has always had; the router's own stands beside it.
fn because(facts: &Facts<'_>, wanted: &Wanted<'_>, reason: Reason) -> Because {
    match reason {
        _ if wanted.pin.is_some() => Because::Pinned,
        _ if !wanted.tried.is_empty() => Because::Failover,
        Reason::OnlyOne if facts.left == 1 => Because::OnlyOne,
        _ if facts.unforced.is_some() => Because::Forced,
        Reason::Probe => Because::Probe,
        Reason::OnlyOne => Because::OnlyOne,
        Reason::Best | Reason::Tie | Reason::Preferred | Reason::Spill | Reason::Explore | Reason::Fallback => {
            Because::Score
        }
    }
}
