//! Fresh verification keys from providers that rotate them.
//!
//! Invariant: keys are adopted only as the provider's own rules authenticate them; a fetch that fails leaves the old
//! ones in use. An unknown key starts at most one fetch a minute.

use super::Flow;
use crate::config::Channel;
use crate::ports::Operation;

impl Flow {
    /// Fetches what is due for every channel.
    pub async fn refresh_all_keys(&self) {
        let channels = self.config.load().channels.clone();
        for channel in &channels {
            self.refresh_keys(channel, false).await;
            self.metrics.certificates(&channel.id, &channel.provider.certificates());
        }
    }

    pub(crate) async fn refresh_keys(&self, channel: &Channel, asked: bool) {
        let Some(call) = channel.provider.fetch_keys(self.clock.now(), self.nonce(), asked) else { return };
        let reply = self.outside.call(&channel.id, Operation::Keys, call, channel.timeout).await;
        let adopted = match reply {
            Ok(reply) => channel.provider.read_keys(&reply, self.clock.now()),
            Err(error) => Err(error.to_string()),
        };
        match adopted {
            Ok(count) => tracing::debug!(channel = %channel.id, count, "verification keys are fresh"),
            Err(why) => tracing::warn!(channel = %channel.id, why, "verification keys could not be fetched"),
        }
    }
}
