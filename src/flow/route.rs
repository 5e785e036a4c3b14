//! Who may take a charge now, and who is chosen: gathers the facts for `core::routing::choose`.
//!
//! Invariant: a channel is tried only if every fact allows it; the decision that comes back holds all of them.

use super::Flow;
use crate::clock::Stopwatch;
use crate::config::Channel;
use crate::metrics::{Cause, ChannelState};
use crate::request_scope::{self, Part};
use tongdao_core::ids::ChannelId;
use tongdao_core::money::Money;
use tongdao_core::provider::{Payer, Scene};
use tongdao_core::routing::{Because, Candidate, Decision, Exclusion, Signal, choose};

/// What a charge asks of a channel.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    pub(crate) amount: Money,
    pub(crate) scene: Scene,
    pub(crate) payer: &'a Payer,
    /// The one channel that may be used.
    pub(crate) pin: Option<&'a ChannelId>,
    /// The one provider that may be used.
    pub(crate) provider: Option<&'a str>,
    /// Channels that were tried for this charge in this request.
    pub(crate) tried: &'a [ChannelId],
}

impl Flow {
    /// The decision that would be taken now. It reserves nothing.
    pub(crate) fn decide(&self, wanted: &Wanted<'_>) -> Decision {
        let now = self.clock.now();
        let config = self.config.load();
        let candidates: Vec<Candidate> =
            config.channels.iter().map(|channel| self.candidate(channel, wanted)).collect();
        let first = match (wanted.pin, wanted.tried) {
            (Some(_), _) => Because::Pinned,
            (None, []) => Because::Score,
            (None, _) => Because::Failover,
        };
        choose(&candidates, &config.routing.weights, first, self.seed(), now)
    }

    /// Decides and takes note: a probe is one charge, not all that come meanwhile.
    pub(crate) fn route(&self, wanted: &Wanted<'_>) -> Decision {
        let took = Stopwatch::start();
        let decision = self.decide(wanted);
        self.metrics.route_decided(&decision, took.elapsed());
        request_scope::note(Part::Route, took.elapsed());
        if let (Some(channel), Because::Probe) = (&decision.channel, decision.chosen_because) {
            self.channels.probed(channel, self.clock.now());
        }
        decision
    }

    pub(crate) fn note_signal(&self, channel: &ChannelId, signal: Signal) {
        let now = self.clock.now();
        let before = self.channels.view(channel, now).health.is_ejected(now);
        let view = self.channels.note(channel, signal, now);
        let after = view.health.is_ejected(now);
        if before != after {
            tracing::warn!(%channel, ejected = after, "a channel's state changed");
            let state = self.channel_state(channel);
            // Whatever its health, a channel that was taken out stays out.
            if !matches!(state, ChannelState::Disabled | ChannelState::Drained) {
                self.metrics.channel_moved(channel, state, Cause::Health);
            }
        }
    }

    /// Where a channel stands now.
    #[must_use]
    pub fn channel_state(&self, id: &ChannelId) -> ChannelState {
        let now = self.clock.now();
        let health = self.channels.view(id, now).health;
        match self.channel(id) {
            Some(channel) if !channel.enabled => ChannelState::Disabled,
            Some(channel) if self.is_drained(&channel) => ChannelState::Drained,
            _ if health.is_ejected(now) => ChannelState::Ejected,
            _ if health.is_probe_due(now) => ChannelState::Probing,
            _ => ChannelState::Open,
        }
    }

    fn candidate(&self, channel: &Channel, wanted: &Wanted<'_>) -> Candidate {
        let view = self.channels.view(&channel.id, self.clock.now());
        let preferred = wanted.payer.preferred.as_deref() == Some(channel.provider_id.as_str());
        Candidate {
            channel: channel.id.clone(),
            fee_bps: i64::from(channel.fee_bps),
            health: view.health,
            preferred,
            forced: self.is_forced(channel),
            excluded: self.exclusion(channel, &view, wanted),
        }
    }

    fn exclusion(&self, channel: &Channel, view: &super::ChannelView, wanted: &Wanted<'_>) -> Option<Exclusion> {
        let provider = channel.provider_id.as_str();
        let methods = &wanted.payer.methods;
        let can_pay_here = methods.is_empty() || methods.iter().any(|method| method == provider);
        let wanted_provider = wanted.provider.is_none_or(|wanted| wanted == provider);
        let limit = &channel.daily_limit;
        let day_amount = view.day_amount.saturating_add(wanted.amount.amount);
        let over_day =
            limit.amount.is_some_and(|max| day_amount > max) || limit.count.is_some_and(|max| view.day_count >= max);
        let range = channel.amount.min..=channel.amount.max;
        [
            (!channel.enabled, Exclusion::Disabled),
            (self.is_drained(channel), Exclusion::Drained),
            (wanted.pin.is_some_and(|pin| *pin != channel.id), Exclusion::NotPinned),
            (wanted.tried.contains(&channel.id), Exclusion::Tried),
            (!channel.scenes.contains(&wanted.scene), Exclusion::Scene),
            (!can_pay_here || !wanted_provider, Exclusion::Method),
            (!range.contains(&wanted.amount.amount), Exclusion::Amount),
            (over_day, Exclusion::DailyLimit),
            (!self.outside.has_room(&channel.id), Exclusion::Capacity),
        ]
        .into_iter()
        .find_map(|(holds, exclusion)| holds.then_some(exclusion))
    }
}
