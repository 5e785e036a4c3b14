//! What the rest of the daemon says when something happened; each method is one fact, named by it.
//!
//! Nothing here decides, and nothing fails: an unknown channel or route is simply not counted under its own name.

use super::labels::{
    AuthFailure, CallOutcome, CallbackVerdict, Cause, ChannelState, ChargeEvent, ConfirmedBy, HttpCode, Idempotency,
    Limit, LineResult, OverrideAction, RatePolicy, ReconciliationResult, Repair, WebhookResult,
};
use super::{Metrics, ROUTE_OTHER};
use crate::ports::Operation;
use prometheus::{IntCounter, IntGauge};
use std::collections::BTreeMap;
use std::time::Duration;
use tongdao_core::charge::Stage;
use tongdao_core::effect::BreakKind;
use tongdao_core::ids::{ChannelId, ProviderId};
use tongdao_core::money::Money;
use tongdao_core::provider::CertificateEnd;
use tongdao_core::reconcile::{Books, Sides};
use tongdao_core::routing::Decision;
use tongdao_core::time::UnixMillis;

/// Counts one thing in flight until it is dropped.
#[must_use]
pub struct InFlight(Option<IntGauge>);

impl InFlight {
    fn of(gauge: Option<&IntGauge>) -> Self {
        if let Some(gauge) = gauge {
            gauge.inc();
        }
        Self(gauge.cloned())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(gauge) = &self.0 {
            gauge.dec();
        }
    }
}

fn count(counter: Option<&IntCounter>) {
    if let Some(counter) = counter {
        counter.inc();
    }
}

fn seconds(moment: Option<UnixMillis>) -> i64 {
    moment.map_or(0, UnixMillis::as_secs)
}

fn bounded(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The API.
impl Metrics {
    /// A request came in; it is in flight until the guard is dropped.
    pub fn request_started(&self) -> InFlight {
        InFlight::of(Some(&self.http_in_flight))
    }

    /// A request was answered. `route` is the template of a known route; others are counted as `other`.
    pub fn request_answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let series = self.routes.get(&(method, route)).or_else(|| self.routes.get(&(ROUTE_OTHER, ROUTE_OTHER)));
        let Some(series) = series else { return };
        count(series.codes.at(HttpCode::of(status)));
        series.duration.observe(took.as_secs_f64());
    }

    /// A caller was not let in.
    pub fn auth_failed(&self, reason: AuthFailure) {
        count(self.auth_failures.at(reason));
    }

    /// A caller was turned away by a limit.
    pub fn rate_limited(&self, policy: RatePolicy) {
        count(self.rate_limited.at(policy));
    }

    /// A creating request was recognised as a first one or a repeat.
    pub fn idempotency(&self, result: Idempotency) {
        count(self.idempotency.at(result));
    }
}

/// Channels.
impl Metrics {
    /// A choice was made.
    pub fn route_decided(&self, decision: &Decision, took: Duration) {
        self.decision_duration.observe(took.as_secs_f64());
        let channels = self.channels.load();
        if let Some(series) = decision.channel.as_ref().and_then(|channel| channels.get(channel)) {
            count(series.decisions.at(decision.chosen_because));
        }
        for seen in &decision.candidates {
            let Some(series) = channels.get(&seen.channel) else { continue };
            match seen.excluded {
                Some(reason) => count(series.exclusions.at(reason)),
                None => series.score.set(seen.score),
            }
            series.health.set(seen.health);
        }
    }

    /// A channel is in this state now.
    pub fn channel_state(&self, channel: &ChannelId, state: ChannelState) {
        let channels = self.channels.load();
        let Some(series) = channels.get(channel) else { return };
        for (known, gauge) in series.state.iter() {
            gauge.set(i64::from(*known == state));
        }
    }

    /// A channel moved into this state.
    pub fn channel_moved(&self, channel: &ChannelId, to: ChannelState, cause: Cause) {
        let channels = self.channels.load();
        count(channels.get(channel).and_then(|series| series.transitions.at(to)?.at(cause)));
        self.channel_state(channel, to);
    }

    /// Since when all channels fail at once.
    pub fn all_channels_fail(&self, since: Option<UnixMillis>) {
        self.all_channels_fail.set(seconds(since));
    }

    /// A channel's score and health as they are now.
    pub fn channel_fitness(&self, channel: &ChannelId, score: f64, health: f64) {
        let channels = self.channels.load();
        let Some(series) = channels.get(channel) else { return };
        series.score.set(score);
        series.health.set(health);
    }

    /// A call to a provider starts; it is in flight until the guard is dropped.
    pub fn call_started(&self, channel: &ChannelId) -> InFlight {
        InFlight::of(self.channels.load().get(channel).map(|series| &series.in_flight))
    }

    /// A call to a provider ended, whatever came of it.
    pub fn call_took(&self, channel: &ChannelId, operation: Operation, took: Duration) {
        let channels = self.channels.load();
        if let Some(duration) = channels.get(channel).and_then(|series| series.call_duration.at(operation)) {
            duration.observe(took.as_secs_f64());
        }
    }

    /// What came of a call that was sent: its reply as it was read, or that there was none.
    pub fn call_answered(&self, channel: &ChannelId, operation: Operation, outcome: CallOutcome) {
        let channels = self.channels.load();
        count(channels.get(channel).and_then(|series| series.calls.at(operation)?.at(outcome)));
    }

    /// The used share of a limit, 0 to 1.
    pub fn limit_used(&self, channel: &ChannelId, limit: Limit, ratio: f64) {
        let channels = self.channels.load();
        if let Some(gauge) = channels.get(channel).and_then(|series| series.limit_used.at(limit)) {
            gauge.set(ratio);
        }
    }

    /// An override ends then, or there is none.
    pub fn override_expires(&self, channel: &ChannelId, action: OverrideAction, at: Option<UnixMillis>) {
        let channels = self.channels.load();
        if let Some(gauge) = channels.get(channel).and_then(|series| series.override_expires.at(action)) {
            gauge.set(seconds(at));
        }
    }

    /// The provider's clock is ahead of ours by this much.
    pub fn clock_offset(&self, channel: &ChannelId, offset_ms: i64) {
        let channels = self.channels.load();
        if let Some(series) = channels.get(channel) {
            let offset_ms = i32::try_from(offset_ms).unwrap_or(if offset_ms < 0 { i32::MIN } else { i32::MAX });
            series.clock_offset.set(f64::from(offset_ms) / 1000.0);
        }
    }

    /// The certificates that a channel uses, and their ends.
    pub fn certificates(&self, channel: &ChannelId, ends: &[CertificateEnd]) {
        for end in ends {
            let gauge = self.channel_families.certificate_end.with_label_values(&[channel.as_str(), end.used_for]);
            gauge.set(end.not_after.as_secs());
        }
    }

    /// A callback was judged.
    pub fn callback(&self, channel: &ChannelId, verdict: CallbackVerdict) {
        let channels = self.channels.load();
        count(channels.get(channel).and_then(|series| series.callbacks.at(verdict)));
    }

    /// A callback was answered.
    pub fn callback_acknowledged(&self, channel: &ChannelId, took: Duration) {
        let channels = self.channels.load();
        if let Some(series) = channels.get(channel) {
            series.callback_ack.observe(took.as_secs_f64());
        }
    }

    /// When a channel's oldest attempt in doubt was made.
    pub fn oldest_unknown_attempt(&self, channel: &ChannelId, at: Option<UnixMillis>) {
        let channels = self.channels.load();
        if let Some(series) = channels.get(channel) {
            series.oldest_unknown.set(seconds(at));
        }
    }

    /// A payment became known for the first time.
    pub fn payment_confirmed(&self, channel: &ChannelId, by: ConfirmedBy) {
        let channels = self.channels.load();
        count(channels.get(channel).and_then(|series| series.confirmations.at(by)));
    }
}

/// Charges, webhooks and repairs.
impl Metrics {
    /// Something happened to a charge.
    pub fn charge(&self, event: ChargeEvent) {
        count(self.charges.at(event));
    }

    /// How many charges stand at a stage now.
    pub fn charges_open(&self, stage: Stage, charges: u64) {
        if let Some(gauge) = self.charges_open.at(stage) {
            gauge.set(bounded(charges));
        }
    }

    /// A payer paid this long after being shown a code.
    pub fn payment_waited(&self, provider: &ProviderId, waited: Duration) {
        if let Some(histogram) = self.payment_wait.load().get(provider) {
            histogram.observe(waited.as_secs_f64());
        }
    }

    /// Goods were delivered this long after their payment.
    pub fn delivered(&self, took: Duration) {
        self.delivery_duration.observe(took.as_secs_f64());
    }

    /// When the oldest charge that is paid and not delivered was paid.
    pub fn oldest_undelivered(&self, paid_at: Option<UnixMillis>) {
        self.oldest_undelivered.set(seconds(paid_at));
    }

    /// Another channel answered this long after the first one failed.
    pub fn failed_over(&self, took: Duration) {
        self.failover_duration.observe(took.as_secs_f64());
    }

    /// A webhook try ended.
    pub fn webhook(&self, result: WebhookResult, took: Duration) {
        count(self.webhooks.at(result));
        self.webhook_duration.observe(took.as_secs_f64());
    }

    /// How many webhooks are due and wait.
    pub fn webhook_queue_depth(&self, depth: u64) {
        self.webhook_queue_depth.set(bounded(depth));
    }

    /// A channel's breaks that wait for a person, and when the oldest of them was opened.
    pub fn open_breaks(&self, channel: &ChannelId, counts: &BTreeMap<BreakKind, i64>, oldest: Option<UnixMillis>) {
        let channels = self.channels.load();
        let Some(series) = channels.get(channel) else { return };
        for (kind, gauge) in series.open_breaks.iter() {
            gauge.set(counts.get(kind).copied().unwrap_or_default());
        }
        series.oldest_break.set(seconds(oldest));
    }

    /// The money at stake in open breaks of a kind.
    pub fn open_break_amount(&self, kind: BreakKind, fen: i64) {
        if let Some(gauge) = self.open_break_amount.at(kind) {
            gauge.set(Money::cny(fen).yuan().parse().unwrap_or_default());
        }
    }

    /// A channel's refunds that wait for more than time.
    pub fn refunds_stuck(&self, channel: &ChannelId, refunds: i64) {
        if let Some(series) = self.channels.load().get(channel) {
            series.refunds_stuck.set(refunds);
        }
    }

    /// Something was mended without a person.
    pub fn repaired(&self, kind: Repair) {
        count(self.repairs.at(kind));
    }
}

/// The day's end.
impl Metrics {
    /// A try to reconcile a day of the channel ended.
    pub fn reconciliation_ended(&self, channel: &ChannelId, result: ReconciliationResult) {
        count(self.channels.load().get(channel).and_then(|series| series.reconciliations.at(result)));
    }

    /// A day of the channel was reconciled then; what an older day tells is not said over a newer one.
    pub fn reconciled_at(&self, channel: &ChannelId, at: UnixMillis) {
        if let Some(series) = self.channels.load().get(channel) {
            series.reconciled_at.set(series.reconciled_at.get().max(at.as_secs()));
        }
    }

    /// Where the lines of a day ended.
    pub fn lines_reconciled(&self, channel: &ChannelId, books: &Books) {
        let channels = self.channels.load();
        let Some(series) = channels.get(channel) else { return };
        let of = |sides: Sides| sides.theirs.count.max(sides.ours.count);
        let counts = [
            (LineResult::Matched, of(books.matched)),
            (LineResult::CarriedOver, of(books.carried_over)),
            (LineResult::Break, books.broken()),
        ];
        for (result, lines) in counts {
            if let Some(counter) = series.reconciled_lines.at(result) {
                counter.inc_by(lines);
            }
        }
    }
}

/// The store and its disk.
impl Metrics {
    /// One durable write of that many changes.
    pub fn committed(&self, took: Duration, changes: usize) {
        self.commit_duration.observe(took.as_secs_f64());
        self.commit_batch_size.observe(u32::try_from(changes).map_or(f64::MAX, f64::from));
    }

    /// A read or write of the store failed.
    pub fn store_failed(&self) {
        self.store_errors.inc();
    }

    /// Free space on the store's disk.
    pub fn disk_free(&self, bytes: u64) {
        self.disk_free.set(bounded(bytes));
    }

    /// Space that the store uses.
    pub fn store_size(&self, bytes: u64) {
        self.store_size.set(bounded(bytes));
    }
}
