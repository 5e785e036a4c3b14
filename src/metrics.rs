//! Every number the daemon shows, in one place: `/metrics`, `tongdao metrics` and the console read it.
//!
//! Invariant: names, labels and buckets stand in `families`, label words in `labels`; all combinations that can occur
//! exist as 0 from the start, so that a rate over a first error is a number. No ids and no merchants in labels. Hot
//! paths touch handles made beforehand and allocate nothing.

mod cells;
mod channel;
mod families;
mod happened;
mod labels;
mod read;

#[cfg(test)]
mod tests;

pub use families::Kind;
pub use happened::InFlight;
pub use labels::{
    AuthFailure, CallOutcome, CallbackVerdict, Cause, ChannelState, ChargeEvent, ConfirmedBy, HttpCode, Idempotency,
    Limit, LineResult, LogLevel, OverrideAction, RatePolicy, ReconciliationResult, Repair, WebhookResult,
};
pub use read::Latency;

use arc_swap::ArcSwap;
use cells::Cells;
use channel::{ChannelFamilies, ChannelSeries};
use families as f;
use prometheus::{Gauge, Histogram, HistogramVec, IntCounter, IntGauge, Registry, TextEncoder};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tongdao_core::charge::Stage;
use tongdao_core::effect::BreakKind;
use tongdao_core::ids::{ChannelId, ProviderId};

/// The method and route of requests that match no route.
pub(crate) const ROUTE_OTHER: &str = "other";

/// A route that the API serves: its method and its template, both as they stand in labels.
pub type Route = (&'static str, &'static str);

/// A metric could not be registered: two have one name.
#[derive(Debug, thiserror::Error)]
#[error("a metric could not be registered: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// All metrics.
pub struct Metrics {
    registry: Registry,
    channel_families: ChannelFamilies,
    channels: ArcSwap<BTreeMap<ChannelId, Arc<ChannelSeries>>>,
    payment_waits: HistogramVec,
    payment_wait: ArcSwap<BTreeMap<ProviderId, Histogram>>,
    routes: HashMap<Route, RouteSeries>,
    http_in_flight: IntGauge,
    auth_failures: Cells<AuthFailure, IntCounter>,
    rate_limited: Cells<RatePolicy, IntCounter>,
    idempotency: Cells<Idempotency, IntCounter>,
    decision_duration: Histogram,
    failover_duration: Histogram,
    all_channels_fail: IntGauge,
    charges: Cells<ChargeEvent, IntCounter>,
    charges_open: Cells<Stage, IntGauge>,
    delivery_duration: Histogram,
    oldest_undelivered: IntGauge,
    webhooks: Cells<WebhookResult, IntCounter>,
    webhook_queue_depth: IntGauge,
    webhook_duration: Histogram,
    repairs: Cells<Repair, IntCounter>,
    open_break_amount: Cells<BreakKind, Gauge>,
    commit_duration: Histogram,
    commit_batch_size: Histogram,
    store_errors: IntCounter,
    disk_free: IntGauge,
    store_size: IntGauge,
    log_messages: Arc<LogMessages>,
}

/// The counters of log messages, apart because the log starts before anything else.
pub struct LogMessages(Cells<LogLevel, IntCounter>);

impl LogMessages {
    /// One message was written.
    pub fn written(&self, level: LogLevel) {
        if let Some(counter) = self.0.at(level) {
            counter.inc();
        }
    }
}

struct RouteSeries {
    codes: Cells<HttpCode, IntCounter>,
    duration: Histogram,
}

/// One metric, for `tongdao metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Prometheus' word for its kind.
    pub kind: &'static str,
    /// What it says.
    pub help: String,
    /// Its labels' names.
    pub labels: Vec<String>,
    /// The series that exist now; a histogram's buckets, sum and count are one each.
    pub series: usize,
}

impl Metrics {
    /// All metrics for an API of these routes; channels come with the configuration (`set_channels`).
    ///
    /// # Errors
    /// When two metrics have one name, which a test excludes.
    pub fn new(routes: &[Route]) -> Result<Self, MetricsError> {
        let none: [&str; 0] = [];
        let registry = Registry::new();
        let at = &registry;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let build = f::BUILD_INFO.gauges(at)?;
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION"), option_env!("TONGDAO_REVISION").unwrap_or("unknown")])
            .set(1);
        let auth_failures = f::AUTH_FAILURES.counters(at)?;
        let rate_limited = f::RATE_LIMITED.counters(at)?;
        let idempotency = f::IDEMPOTENCY.counters(at)?;
        let charges = f::CHARGES.counters(at)?;
        let charges_open = f::CHARGES_OPEN.gauges(at)?;
        let webhooks = f::WEBHOOKS.counters(at)?;
        let repairs = f::REPAIRS.counters(at)?;
        let open_break_amount = f::OPEN_BREAK_AMOUNT.decimal_gauges(at)?;
        let log_messages = f::LOG_MESSAGES.counters(at)?;
        Ok(Self {
            channel_families: ChannelFamilies::register(at)?,
            channels: ArcSwap::default(),
            payment_waits: f::PAYMENT_WAIT.histograms(at)?,
            payment_wait: ArcSwap::default(),
            routes: route_series(at, routes)?,
            http_in_flight: f::HTTP_IN_FLIGHT.gauges(at)?.with_label_values(&none),
            auth_failures: Cells::of(|reason| auth_failures.with_label_values(&[reason])),
            rate_limited: Cells::of(|policy| rate_limited.with_label_values(&[policy])),
            idempotency: Cells::of(|result| idempotency.with_label_values(&[result])),
            decision_duration: f::ROUTE_DECISION_DURATION.histograms(at)?.with_label_values(&none),
            all_channels_fail: f::ALL_CHANNELS_FAIL.gauges(at)?.with_label_values(&none),
            failover_duration: f::FAILOVER_DURATION.histograms(at)?.with_label_values(&none),
            charges: Cells::of(|event| charges.with_label_values(&[event])),
            charges_open: Cells::of(|stage| charges_open.with_label_values(&[stage])),
            delivery_duration: f::DELIVERY_DURATION.histograms(at)?.with_label_values(&none),
            oldest_undelivered: f::OLDEST_UNDELIVERED.gauges(at)?.with_label_values(&none),
            webhooks: Cells::of(|result| webhooks.with_label_values(&[result])),
            webhook_queue_depth: f::WEBHOOK_QUEUE_DEPTH.gauges(at)?.with_label_values(&none),
            webhook_duration: f::WEBHOOK_DURATION.histograms(at)?.with_label_values(&none),
            open_break_amount: Cells::of(|kind| open_break_amount.with_label_values(&[kind])),
            repairs: Cells::of(|kind| repairs.with_label_values(&[kind])),
            commit_duration: f::COMMIT_DURATION.histograms(at)?.with_label_values(&none),
            commit_batch_size: f::COMMIT_BATCH_SIZE.histograms(at)?.with_label_values(&none),
            store_errors: f::STORE_ERRORS.counters(at)?.with_label_values(&none),
            disk_free: f::DISK_FREE.gauges(at)?.with_label_values(&none),
            store_size: f::STORE_SIZE.gauges(at)?.with_label_values(&none),
            log_messages: Arc::new(LogMessages(Cells::of(|level| log_messages.with_label_values(&[level])))),
            registry,
        })
    }

    /// Makes the series of the channels that the configuration names; those of removed channels stay as they are.
    pub fn set_channels(&self, channels: impl IntoIterator<Item = (ChannelId, ProviderId)>) {
        let known = self.channels.load();
        let mut series = BTreeMap::new();
        let mut waits = BTreeMap::new();
        for (channel, provider) in channels {
            let kept = known.get(&channel).cloned();
            let kept = kept.unwrap_or_else(|| Arc::new(self.channel_families.series(channel.as_str())));
            series.insert(channel, kept);
            let wait = self.payment_waits.with_label_values(&[provider.as_str()]);
            waits.insert(provider, wait);
        }
        self.channels.store(Arc::new(series));
        self.payment_wait.store(Arc::new(waits));
    }

    /// The counters that the log feeds.
    #[must_use]
    pub fn log_messages(&self) -> Arc<LogMessages> {
        self.log_messages.clone()
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let encoded = TextEncoder::new().encode_to_string(&self.registry.gather());
        encoded.unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// Every metric with its help and the number of its series, in the order of their importance.
    #[must_use]
    pub fn describe(&self) -> Vec<Described> {
        let gathered = self.registry.gather();
        let metrics = |name: &str| {
            gathered.iter().find(|family| family.name() == name).map_or(0, |family| family.get_metric().len())
        };
        let ours = f::ALL.iter().map(|family| {
            let per_metric = match family.kind {
                Kind::Counter | Kind::Gauge => 1,
                Kind::Histogram => family.buckets.len().saturating_add(3),
            };
            Described {
                name: family.name.to_owned(),
                kind: family.kind.as_str(),
                help: family.help.to_owned(),
                labels: family.labels.iter().map(|label| (*label).to_owned()).collect(),
                series: metrics(family.name).saturating_mul(per_metric),
            }
        });
        let machine = gathered.iter().filter(|family| family.name().starts_with("process_")).map(|family| Described {
            name: family.name().to_owned(),
            kind: if family.name().ends_with("_total") { "counter" } else { "gauge" },
            help: family.help().to_owned(),
            labels: Vec::new(),
            series: family.get_metric().len(),
        });
        ours.chain(machine).collect()
    }
}

fn route_series(registry: &Registry, routes: &[Route]) -> prometheus::Result<HashMap<Route, RouteSeries>> {
    let requests = f::HTTP_REQUESTS.counters(registry)?;
    let durations = f::HTTP_REQUEST_DURATION.histograms(registry)?;
    let all = routes.iter().copied().chain([(ROUTE_OTHER, ROUTE_OTHER)]);
    let series = all.map(|(method, route)| {
        let codes = Cells::of(|code| requests.with_label_values(&[method, route, code]));
        ((method, route), RouteSeries { codes, duration: durations.with_label_values(&[route]) })
    });
    Ok(series.collect())
}
