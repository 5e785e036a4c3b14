//! What operators ordered over the router's head: channels taken out (drain) or tried first (force), each with an end.
//!
//! Invariants: an override ends by the clock alone, nobody has to run for it; drain beats force; a drain never leaves a
//! payment method (a provider) without a channel that takes charges unless the operator insists; a change that was
//! looked at first is made only if nothing changed since. It decides where new charges go and nothing else: callbacks,
//! queries and refunds do not ask here. It knows no store and no router; how the channels stand is passed in.

use crate::ids::{ChannelId, OverrideId, ProviderId};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// What an override does with its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It takes no new charges.
    Drain,
    /// Charges that may use it try it first.
    Force,
}

impl Action {
    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Force => "force",
        }
    }
}

/// What an override is about: one channel, or all of a provider's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One channel.
    Channel(ChannelId),
    /// Every channel of a provider, also those that are configured later.
    Provider(ProviderId),
}

impl Target {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Channel(channel) => channel.as_str(),
            Self::Provider(provider) => provider.as_str(),
        }
    }

    fn covers(&self, channel: &ChannelId, provider: &ProviderId) -> bool {
        match self {
            Self::Channel(target) => target == channel,
            Self::Provider(target) => target == provider,
        }
    }
}

/// An operator's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Its id.
    pub id: OverrideId,
    /// What is done.
    pub action: Action,
    /// To what.
    pub target: Target,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub actor: String,
    /// Since when.
    pub created_at: UnixMillis,
    /// The moment from which it does not hold any more.
    pub ends_at: UnixMillis,
    /// The version of all overrides that it made.
    pub version: u64,
}

impl Override {
    fn holds(&self, now: UnixMillis) -> bool {
        now < self.ends_at
    }
}

/// A channel as far as an operator's order concerns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The channel.
    pub channel: ChannelId,
    /// Its provider, which is the payment method.
    pub provider: ProviderId,
    /// Whether the configuration lets it take charges.
    pub enabled: bool,
    /// Whether the router sends it charges: it is not ejected and its day's limit is not used up.
    pub routable: bool,
    /// Attempts whose end is not proved.
    pub open_attempts: i64,
    /// Calls at once that it may have.
    pub in_flight_max: u32,
    /// Calls that it may take each second.
    pub per_second_max: u32,
    /// What is left of today's amount, in minor units; `None` without a limit.
    pub day_amount_left: Option<i64>,
    /// What is left of today's number of payments; `None` without a limit.
    pub day_count_left: Option<i64>,
}

/// What an order would come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consequence {
    /// The channels that it is about.
    pub targets: Vec<Standing>,
    /// The channels that would take charges beside them.
    pub elsewhere: Vec<Standing>,
    /// Methods that would have no channel left.
    pub stranded: Vec<ProviderId>,
    /// The override of the same kind that it would replace.
    pub replaces: Option<OverrideId>,
    /// The version that this was seen at: the guard of the change.
    pub version: u64,
}

impl Consequence {
    /// Attempts at the targets whose end is not proved; they are watched to their end.
    #[must_use]
    pub fn open_attempts(&self) -> i64 {
        self.targets.iter().map(|one| one.open_attempts).fold(0, i64::saturating_add)
    }
}

/// What an operator demands beside the order itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// Only if nothing changed since this version.
    pub if_version: Option<u64>,
    /// Also if a method is left without a channel.
    pub even_if_last: bool,
}

/// Why an order was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such override in force.
    #[error("there is no such override in force")]
    NotFound,
    /// Something changed since it was looked at.
    #[error("the overrides changed since: they are at version {now_at}")]
    Changed {
        /// The version now.
        now_at: u64,
    },
    /// These methods would have no channel left.
    #[error("no channel would be left for {}", names(.0))]
    WouldLeaveNoChannel(Vec<ProviderId>),
}

impl Refused {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Changed { .. } => "version_changed",
            Self::WouldLeaveNoChannel(_) => "would_leave_no_channel",
        }
    }
}

fn names(providers: &[ProviderId]) -> String {
    providers.iter().map(ProviderId::as_str).collect::<Vec<_>>().join(", ")
}

/// All orders, with those that ended since the last change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Overrides {
    version: u64,
    list: Vec<Override>,
}

impl Overrides {
    /// The version that guards a change: it rises with every order, and with every order's end.
    #[must_use]
    pub fn version(&self, now: UnixMillis) -> u64 {
        let ended = self.list.iter().filter(|one| !one.holds(now)).count();
        self.version.saturating_add(u64::try_from(ended).unwrap_or(u64::MAX))
    }

    /// What is in force, oldest first.
    pub fn in_force(&self, now: UnixMillis) -> impl Iterator<Item = &Override> {
        self.list.iter().filter(move |one| one.holds(now))
    }

    /// Whether a channel takes no new charges, by order.
    #[must_use]
    pub fn is_drained(&self, channel: &ChannelId, provider: &ProviderId, now: UnixMillis) -> bool {
        self.ends_at(channel, provider, Action::Drain, now).is_some()
    }

    /// Whether charges try a channel first, by order. A drained channel is never forced.
    #[must_use]
    pub fn is_forced(&self, channel: &ChannelId, provider: &ProviderId, now: UnixMillis) -> bool {
        self.over(channel, provider, now).is_some_and(|one| one.action == Action::Force)
    }

    /// The order that decides over a channel: a drain before a force, and of several the one that holds longest.
    #[must_use]
    pub fn over(&self, channel: &ChannelId, provider: &ProviderId, now: UnixMillis) -> Option<&Override> {
        let covering = self.in_force(now).filter(|one| one.target.covers(channel, provider));
        covering.max_by_key(|one| (one.action == Action::Drain, one.ends_at))
    }

    /// When the last order of a kind over a channel ends; `None` when there is none.
    #[must_use]
    pub fn ends_at(
        &self,
        channel: &ChannelId,
        provider: &ProviderId,
        action: Action,
        now: UnixMillis,
    ) -> Option<UnixMillis> {
        let covering = self.in_force(now).filter(|one| one.action == action && one.target.covers(channel, provider));
        covering.map(|one| one.ends_at).max()
    }

    /// What an order would come to, as the channels stand now.
    #[must_use]
    pub fn consequence(&self, action: Action, target: &Target, channels: &[Standing], now: UnixMillis) -> Consequence {
        let (targets, others): (Vec<&Standing>, Vec<&Standing>) =
            channels.iter().partition(|one| target.covers(&one.channel, &one.provider));
        let takes = |one: &&Standing| one.enabled && one.routable && !self.is_drained(&one.channel, &one.provider, now);
        let elsewhere: Vec<Standing> = others.into_iter().filter(takes).cloned().collect();
        let mut stranded: Vec<ProviderId> = match action {
            Action::Force => Vec::new(),
            Action::Drain => targets.iter().filter(|one| one.enabled).map(|one| one.provider.clone()).collect(),
        };
        stranded.retain(|provider| elsewhere.iter().all(|other| other.provider != *provider));
        stranded.sort();
        stranded.dedup();
        Consequence {
            targets: targets.into_iter().cloned().collect(),
            elsewhere,
            stranded,
            replaces: self.same(action, target, now).map(|one| one.id),
            version: self.version(now),
        }
    }

    /// Takes an order; one of the same kind over the same target is replaced. The order's version is filled in.
    ///
    /// # Errors
    /// `Changed` before `WouldLeaveNoChannel`: what was looked at is not there any more, so nothing else matters.
    pub fn place(
        &self,
        order: Override,
        channels: &[Standing],
        terms: Terms,
        now: UnixMillis,
    ) -> Result<Placed, Refused> {
        let version = self.guarded(terms.if_version, now)?;
        let consequence = self.consequence(order.action, &order.target, channels, now);
        if !consequence.stranded.is_empty() && !terms.even_if_last {
            return Err(Refused::WouldLeaveNoChannel(consequence.stranded));
        }
        let order = Override { version, ..order };
        let kept = self.in_force(now).filter(|one| Some(one.id) != consequence.replaces).cloned();
        let list = kept.chain([order.clone()]).collect();
        Ok(Placed { next: Self { version, list }, order, consequence })
    }

    /// Ends an order before its time; answers what is in force then, and the order.
    ///
    /// # Errors
    /// `Changed`, then `NotFound` (an order that ended by itself is not there either).
    pub fn restore(
        &self,
        id: OverrideId,
        if_version: Option<u64>,
        now: UnixMillis,
    ) -> Result<(Self, Override), Refused> {
        let version = self.guarded(if_version, now)?;
        let ended = self.in_force(now).find(|one| one.id == id).ok_or(Refused::NotFound)?.clone();
        let list = self.in_force(now).filter(|one| one.id != id).cloned().collect();
        Ok((Self { version, list }, ended))
    }

    /// The next version, if nothing changed since the wanted one.
    fn guarded(&self, if_version: Option<u64>, now: UnixMillis) -> Result<u64, Refused> {
        let now_at = self.version(now);
        if if_version.is_some_and(|wanted| wanted != now_at) {
            return Err(Refused::Changed { now_at });
        }
        Ok(now_at.saturating_add(1))
    }

    fn same(&self, action: Action, target: &Target, now: UnixMillis) -> Option<&Override> {
        self.in_force(now).find(|one| one.action == action && one.target == *target)
    }
}

/// An order that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// All orders then.
    pub next: Overrides,
    /// The order with its version.
    pub order: Override,
    /// What it came to.
    pub consequence: Consequence,
}
