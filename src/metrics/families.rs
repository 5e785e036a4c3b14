//! Every metric that exists: its name, kind, help, labels and buckets, in the order in which on-call reads them.
//!
//! Invariant: nothing is registered that does not stand here. Buckets have an edge exactly at each objective.

use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Kind {
    /// Prometheus' word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    pub(crate) labels: &'static [&'static str],
    pub(crate) buckets: &'static [f64],
}

impl Family {
    pub(crate) fn counters(&self, registry: &Registry) -> prometheus::Result<IntCounterVec> {
        assert!(self.kind == Kind::Counter, "{} is no counter", self.name);
        register(registry, IntCounterVec::new(Opts::new(self.name, self.help), self.labels)?)
    }

    pub(crate) fn gauges(&self, registry: &Registry) -> prometheus::Result<IntGaugeVec> {
        assert!(self.kind == Kind::Gauge, "{} is no gauge", self.name);
        register(registry, IntGaugeVec::new(Opts::new(self.name, self.help), self.labels)?)
    }

    pub(crate) fn decimal_gauges(&self, registry: &Registry) -> prometheus::Result<GaugeVec> {
        assert!(self.kind == Kind::Gauge, "{} is no gauge", self.name);
        register(registry, GaugeVec::new(Opts::new(self.name, self.help), self.labels)?)
    }

    pub(crate) fn histograms(&self, registry: &Registry) -> prometheus::Result<HistogramVec> {
        assert!(self.kind == Kind::Histogram, "{} is no histogram", self.name);
        let opts = HistogramOpts::new(self.name, self.help).buckets(self.buckets.to_vec());
        register(registry, HistogramVec::new(opts, self.labels)?)
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help, labels, buckets: &[] }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help, labels, buckets: &[] }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    buckets: &'static [f64],
    help: &'static str,
) -> Family {
    Family { name, kind: Kind::Histogram, help, labels, buckets }
}

macro_rules! families {
    ($($ident:ident = $family:expr;)+) => {
        $(pub(crate) const $ident: Family = $family;)+
        /// All of them.
        pub(crate) const ALL: &[Family] = &[$($ident,)+];
    };
}

const HTTP: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
const DECISION: &[f64] = &[0.000_001, 0.000_002_5, 0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.001];
const CALL: &[f64] = &[0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.0, 5.0, 10.0];
const FAILOVER: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0];
const WAIT: &[f64] = &[5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0];
const DELIVERY: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];
const ACK: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];
const WEBHOOK: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const COMMIT: &[f64] = &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1];
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

families! {
    BUILD_INFO = gauge("tongdao_build_info", &["version", "revision"], "The running build; always 1.");
    OLDEST_UNDELIVERED = gauge("tongdao_oldest_undelivered_paid_charge_timestamp_seconds", &[],
        "When the oldest paid charge whose goods are not delivered was paid; 0 for none.");
    CHARGES = counter("tongdao_charges_total", &["event"], "What happened to charges.");
    CHARGES_OPEN = gauge("tongdao_charges_open", &["stage"], "Charges that are not at their end, by what the payer sees.");
    PAYMENT_WAIT = histogram("tongdao_payment_wait_seconds", &["provider"], WAIT,
        "From showing a code to its payment.");
    DELIVERY_DURATION = histogram("tongdao_delivery_duration_seconds", &[], DELIVERY,
        "From a payment to the delivery of its goods.");
    PAYMENT_CONFIRMATIONS = counter("tongdao_payment_confirmations_total", &["channel", "source"],
        "Payments by how they became known first; a growing share not from callbacks means lost callbacks.");
    FAILOVER_DURATION = histogram("tongdao_failover_duration_seconds", &[], FAILOVER,
        "From a charge's first failed create to the answer of another channel.");
    CHANNEL_STATE = gauge("tongdao_channel_state", &["channel", "state"], "1 for the state a channel is in.");
    CHANNEL_TRANSITIONS = counter("tongdao_channel_transitions_total", &["channel", "to", "cause"],
        "Moves of a channel into a state.");
    CHANNEL_SCORE = gauge("tongdao_channel_score", &["channel"], "The ranking number of the last decision.");
    CHANNEL_HEALTH = gauge("tongdao_channel_health", &["channel"], "The share of calls answered, 0 to 1, recent ones first.");
    CHANNEL_IN_FLIGHT = gauge("tongdao_channel_in_flight", &["channel"], "Calls to the provider without an answer yet.");
    CHANNEL_LIMIT_USED = gauge("tongdao_channel_limit_used_ratio", &["channel", "limit"], "The used share of a limit, 0 to 1.");
    ALL_CHANNELS_FAIL = gauge("tongdao_all_channels_failing_timestamp_seconds", &[],
        "When all channels began to fail at once, which is probably our own fault; 0 for none.");
    OVERRIDE_EXPIRES = gauge("tongdao_override_expires_timestamp_seconds", &["channel", "action"],
        "When an operator's override ends; 0 for none.");
    ROUTE_DECISIONS = counter("tongdao_route_decisions_total", &["channel", "because"], "Channels chosen, by the reason.");
    ROUTE_DECISION_DURATION = histogram("tongdao_route_decision_duration_seconds", &[], DECISION, "How long one choice takes.");
    ROUTE_EXCLUSIONS = counter("tongdao_route_exclusions_total", &["channel", "reason"], "Channels left out of a choice, by the reason.");
    PROVIDER_CALLS = counter("tongdao_provider_calls_total", &["channel", "operation", "outcome"],
        "Calls to providers, by what came of them.");
    PROVIDER_CALL_DURATION = histogram("tongdao_provider_call_duration_seconds", &["channel", "operation"], CALL,
        "How long calls to providers take.");
    CALLBACKS = counter("tongdao_callbacks_total", &["channel", "verdict"], "Calls of providers to us, by what they were worth.");
    CALLBACK_ACK_DURATION = histogram("tongdao_callback_ack_duration_seconds", &["channel"], ACK,
        "From a callback's arrival to its answer.");
    OLDEST_UNKNOWN = gauge("tongdao_oldest_unknown_attempt_timestamp_seconds", &["channel"],
        "When the oldest attempt in doubt was made; 0 for none.");
    WEBHOOKS = counter("tongdao_webhooks_total", &["result"], "Webhook tries, by what came of them.");
    WEBHOOK_QUEUE_DEPTH = gauge("tongdao_webhook_queue_depth", &[], "Webhooks that are due and wait for their turn.");
    WEBHOOK_DURATION = histogram("tongdao_webhook_duration_seconds", &[], WEBHOOK, "How long webhook tries take.");
    RECONCILIATION_LAST_SUCCESS = gauge("tongdao_reconciliation_last_success_timestamp_seconds", &["channel"],
        "When a day of the channel was reconciled last; 0 for never.");
    RECONCILIATION_LINES = counter("tongdao_reconciliation_lines_total", &["channel", "result"],
        "Statement lines and payments of ours, by where they ended.");
    RECONCILIATION_TRIES = counter("tongdao_reconciliation_tries_total", &["channel", "result"],
        "Tries to reconcile a day, by what came of them.");
    OPEN_BREAKS = gauge("tongdao_reconciliation_open_breaks", &["channel", "kind"],
        "Breaks that wait for a person, all of them.");
    OPEN_BREAK_AMOUNT = gauge("tongdao_reconciliation_open_break_amount_yuan", &["kind"],
        "The money at stake in open breaks.");
    OLDEST_OPEN_BREAK = gauge("tongdao_reconciliation_oldest_open_break_timestamp_seconds", &["channel"],
        "When the oldest open break was opened; 0 for none.");
    REFUNDS_STUCK = gauge("tongdao_refunds_stuck", &["channel"],
        "Refunds that wait for more than time: an empty account, a setting, a provider's word, or a day gone by.");
    REPAIRS = counter("tongdao_repairs_total", &["kind"], "What was mended without a person.");
    HTTP_REQUESTS = counter("tongdao_http_requests_total", &["method", "route", "code"], "Requests answered.");
    HTTP_REQUEST_DURATION = histogram("tongdao_http_request_duration_seconds", &["route"], HTTP, "How long requests take.");
    HTTP_IN_FLIGHT = gauge("tongdao_http_requests_in_flight", &[], "Requests without an answer yet.");
    AUTH_FAILURES = counter("tongdao_auth_failures_total", &["reason"], "Callers not let in, by the reason.");
    RATE_LIMITED = counter("tongdao_rate_limited_total", &["policy"], "Callers turned away by a limit.");
    IDEMPOTENCY = counter("tongdao_idempotency_total", &["result"], "Creating requests, by whether they are repeats.");
    COMMIT_DURATION = histogram("tongdao_commit_duration_seconds", &[], COMMIT, "How long one durable write takes.");
    COMMIT_BATCH_SIZE = histogram("tongdao_commit_batch_size", &[], BATCH, "Changes that share one durable write.");
    STORE_ERRORS = counter("tongdao_store_errors_total", &[], "Failed reads and writes of the store.");
    DISK_FREE = gauge("tongdao_disk_free_bytes", &[], "Free space where the store lies.");
    STORE_SIZE = gauge("tongdao_store_size_bytes", &[], "Space that the store uses.");
    CERTIFICATE_NOT_AFTER = gauge("tongdao_certificate_not_after_timestamp_seconds", &["channel", "use"],
        "When a certificate in use ends.");
    CLOCK_OFFSET = gauge("tongdao_clock_offset_seconds", &["channel"],
        "The provider's clock minus ours, by its last answer; whole seconds at best.");
    LOG_MESSAGES = counter("tongdao_log_messages_total", &["level"], "Log messages, by level.");
}
