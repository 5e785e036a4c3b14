//! What is kept of the channels between two lives of the daemon.
//!
//! Invariant: what was kept in another form is only knowledge, so it is learnt anew and never stops a start; the sums of
//! the day have a form of their own, because a limit hangs on them. Records are small: they are written every few
//! seconds while there is traffic.

use super::ChannelView;
use crate::ports::{Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tongdao_core::ids::ChannelId;
use tongdao_core::routing::router::Memory;
use tongdao_core::time::UnixMillis;

const KEPT_AS: &str = "channels";
const FORMAT: u8 = 2;
/// The form of what the router keeps: raise it whenever that changes its meaning.
const MEMORY_FORMAT: u8 = 1;

#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    format: u8,
    memory_format: u8,
    /// The router's time when it was kept.
    pub(super) at: UnixMillis,
    channels: BTreeMap<ChannelId, KeptChannel>,
}

#[derive(Serialize, Deserialize)]
struct KeptChannel {
    view: ChannelView,
    memory: serde_json::Value,
}

impl Kept {
    pub(super) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let bytes = store.kept(KEPT_AS).await?;
        let known = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(known.filter(|kept| kept.format == FORMAT).unwrap_or_else(Self::nothing))
    }

    pub(super) fn views(&self) -> BTreeMap<ChannelId, ChannelView> {
        self.channels.iter().map(|(id, channel)| (id.clone(), channel.view.clone())).collect()
    }

    pub(super) fn memories(self) -> impl Iterator<Item = (ChannelId, Memory)> {
        let readable = self.memory_format == MEMORY_FORMAT;
        let memory = move |(id, channel): (ChannelId, KeptChannel)| {
            let memory = serde_json::from_value(channel.memory).ok().filter(|_| readable)?;
            Some((id, memory))
        };
        self.channels.into_iter().filter_map(memory)
    }

    pub(super) fn bytes(
        at: UnixMillis,
        channels: impl Iterator<Item = (ChannelId, ChannelView, Option<Memory>)>,
    ) -> Result<(String, Vec<u8>), StoreError> {
        let unreadable = |error: serde_json::Error| StoreError::Unreadable(error.to_string());
        let mut kept = Self { at, ..Self::nothing() };
        for (id, view, memory) in channels {
            let memory = serde_json::to_value(memory).map_err(unreadable)?;
            kept.channels.insert(id, KeptChannel { view, memory });
        }
        Ok((KEPT_AS.to_owned(), serde_json::to_vec(&kept).map_err(unreadable)?))
    }

    fn nothing() -> Self {
        Self { format: FORMAT, memory_format: MEMORY_FORMAT, at: UnixMillis(0), channels: BTreeMap::new() }
    }
}
