//! The only sender of HTTP: to providers within a channel's limits, to merchants past a guard.
//!
//! Invariant: it says `NotSent` only where the bytes certainly did not go out, because that word lets a charge move to
//! another channel at once; all else is `MaybeSent`. No redirect, cookie, proxy or retry; one deadline spans all of a
//! call, its body included. Errors and logs carry no body, header or query string. It knows nothing of what is sent.

mod call;
mod exact;
mod file;
mod guard;
mod lane;
mod resolve;
mod sending;
mod webhook;

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

pub use guard::{UrlFault, check_webhook_url, is_public};
pub use sending::{MaybeSent, NotSent, TransportError};

use crate::config::{Channel, Config};
use crate::metrics::{Limit, Metrics};
use crate::ports::{
    Clock, Download, Downloaded, Io, Operation, Outside, SendError, WebhookAnswer, WebhookCall, WebhookError,
};
use arc_swap::ArcSwap;
use lane::Lane;
use reqwest::Client;
use resolve::{Lookup, PublicOnly};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::{HttpCall, HttpReply};

/// How long making a connection may take, within the call's own deadline.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The HTTP clients could not be made: TLS does not work on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP clients cannot be made: {0}")]
pub struct TransportStartError(#[from] reqwest::Error);

/// What a reload swaps.
struct Settings {
    lanes: BTreeMap<ChannelId, Arc<Lane>>,
    allow_private_webhook_targets: bool,
}

/// HTTP over the network.
pub struct HttpTransport {
    providers: Client,
    public_webhooks: Client,
    private_webhooks: Client,
    settings: ArcSwap<Settings>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

impl HttpTransport {
    /// A sender with the limits of this configuration.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &Config, metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Result<Self, TransportStartError> {
        Self::with_lookup(config, metrics, clock, resolve::system_lookup())
    }

    fn with_lookup(
        config: &Config,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        lookup: Lookup,
    ) -> Result<Self, TransportStartError> {
        let transport = Self {
            providers: build(|| client().pool_max_idle_per_host(64))?,
            public_webhooks: build(|| client().dns_resolver(PublicOnly::new(lookup.clone(), false)))?,
            private_webhooks: build(|| client().dns_resolver(PublicOnly::new(lookup.clone(), true)))?,
            settings: ArcSwap::from_pointee(Settings { lanes: BTreeMap::new(), allow_private_webhook_targets: false }),
            metrics,
            clock,
        };
        transport.apply(config);
        Ok(transport)
    }

    /// Takes over a reloaded configuration. A channel whose capacity stays keeps its calls in flight counted.
    pub fn apply(&self, config: &Config) {
        let before = self.settings.load();
        let lane = |channel: &Channel| {
            let kept = before.lanes.get(&channel.id).filter(|lane| lane.capacity() == channel.capacity);
            kept.cloned().unwrap_or_else(|| Arc::new(Lane::new(channel.capacity)))
        };
        let lanes = config.channels.iter().map(|channel| (channel.id.clone(), lane(channel))).collect();
        let allow_private_webhook_targets = config.server.allow_private_webhook_targets;
        self.settings.store(Arc::new(Settings { lanes, allow_private_webhook_targets }));
    }

    /// Sends a call to a provider within the channel's limits and the deadline. The backup address is tried only after
    /// a refused connection.
    ///
    /// # Errors
    /// When there is no whole reply; `NotSent` and `Limited` prove that nothing went out.
    pub async fn send_provider(
        &self,
        channel: &ChannelId,
        operation: Operation,
        call: HttpCall,
        deadline: Duration,
    ) -> Result<HttpReply, TransportError> {
        let lane = self.settings.load().lanes.get(channel).cloned();
        let lane = lane.ok_or(TransportError::NotSent(NotSent::UnknownChannel))?;
        let permit = lane.admit(operation).ok_or(TransportError::Limited)?;
        let result = self.call_provider(channel, operation, call, deadline).await;
        drop(permit);
        result
    }

    /// Fetches a file from a provider within the channel's limits, straight to the disk.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn fetch(&self, channel: &ChannelId, download: &Download) -> Result<Downloaded, TransportError> {
        let lane = self.settings.load().lanes.get(channel).cloned();
        let lane = lane.ok_or(TransportError::NotSent(NotSent::UnknownChannel))?;
        let permit = lane.admit(Operation::Statement).ok_or(TransportError::Limited)?;
        let result = self.fetch_file(channel, download).await;
        drop(permit);
        result
    }

    /// Sends a webhook once. The caller signs it; the guard is asked here and again for the address dialled.
    ///
    /// # Errors
    /// When there is no whole answer; `Blocked`, `Connect` and `Tls` prove that nothing went out.
    pub async fn send_webhook(&self, call: WebhookCall) -> Result<WebhookAnswer, WebhookError> {
        let allow_private = self.settings.load().allow_private_webhook_targets;
        check_webhook_url(&call.url, allow_private).map_err(|fault| WebhookError::Blocked(fault.to_string()))?;
        let client = if allow_private { &self.private_webhooks } else { &self.public_webhooks };
        webhook::send(client, call).await
    }

    /// Writes how much of each channel's calls a second was used since the last time: every few seconds.
    pub fn measure(&self) {
        for (channel, lane) in &self.settings.load().lanes {
            self.metrics.limit_used(channel, Limit::PerSecond, lane.used_since_measured());
        }
    }
}

impl Outside for HttpTransport {
    fn call<'a>(
        &'a self,
        channel: &'a ChannelId,
        operation: Operation,
        call: HttpCall,
        deadline: Duration,
    ) -> Io<'a, Result<HttpReply, SendError>> {
        Box::pin(async move { self.send_provider(channel, operation, call, deadline).await.map_err(SendError::from) })
    }

    fn download<'a>(&'a self, channel: &'a ChannelId, download: Download) -> Io<'a, Result<Downloaded, SendError>> {
        Box::pin(async move { self.fetch(channel, &download).await.map_err(SendError::from) })
    }

    fn has_room(&self, channel: &ChannelId) -> bool {
        self.settings.load().lanes.get(channel).is_some_and(|lane| lane.has_room())
    }

    fn webhook(&self, call: WebhookCall) -> Io<'_, Result<WebhookAnswer, WebhookError>> {
        Box::pin(self.send_webhook(call))
    }
}

/// A machine without CA certificates still runs the sandbox over plain http; each https call fails there, unsent.
fn build(make: impl Fn() -> reqwest::ClientBuilder) -> Result<Client, TransportStartError> {
    make().build().or_else(|error| {
        tracing::warn!(?error, "there are no CA certificates on this machine: no https call can succeed");
        Ok(make().tls_certs_only([]).build()?)
    })
}

fn client() -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(concat!("tongdao/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_MAX)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(8)
}
