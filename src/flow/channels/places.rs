//! The router knows a channel by its place and a provider by a number; here stand their names.
//!
//! Invariant: a name keeps its place as long as the process lives, also while the configuration does not name it.

use crate::config::Channel;
use std::collections::BTreeMap;
use tongdao_core::ids::{ChannelId, ProviderId};
use tongdao_core::routing::router::Terms;

/// Who stands where.
#[derive(Default)]
pub(in crate::flow) struct Places {
    of: BTreeMap<ChannelId, usize>,
    names: BTreeMap<usize, ChannelId>,
    providers: Vec<ProviderId>,
}

impl Places {
    pub(in crate::flow) fn of(&self, id: &ChannelId) -> Option<usize> {
        self.of.get(id).copied()
    }

    /// The channel's bit in what the router is asked.
    pub(in crate::flow) fn bit(&self, id: &ChannelId) -> Option<u64> {
        self.of(id).and_then(|place| 1_u64.checked_shl(u32::try_from(place).ok()?))
    }

    pub(in crate::flow) fn name(&self, place: usize) -> Option<&ChannelId> {
        self.names.get(&place)
    }

    pub(super) fn add(&mut self, id: ChannelId, place: usize) {
        self.of.insert(id.clone(), place);
        self.names.insert(place, id);
    }

    /// What the configuration says of a channel that stands at this rank there.
    pub(super) fn terms_of(&mut self, channel: &Channel, rank: usize) -> Terms {
        let known = self.providers.iter().position(|provider| *provider == channel.provider_id);
        let provider = known.unwrap_or_else(|| {
            self.providers.push(channel.provider_id.clone());
            self.providers.len().saturating_sub(1)
        });
        Terms {
            fee_bps: f64::from(channel.fee_bps),
            fee_fixed: 0.0,
            contract_per_s: Some(f64::from(channel.capacity.per_second)),
            provider: u16::try_from(provider).unwrap_or(u16::MAX),
            rank: u16::try_from(rank).unwrap_or(u16::MAX),
        }
    }
}
