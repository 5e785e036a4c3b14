//! The metrics of channels: which one is used, why, and how it answers.
//!
//! Invariant: a channel's series exist as 0 from the moment the configuration names it; a channel that the
//! configuration does not name is not counted.

use super::cells::Cells;
use super::families as f;
use super::labels::{
    CallOutcome, CallbackVerdict, Cause, ChannelState, ConfirmedBy, Limit, LineResult, OverrideAction,
    ReconciliationResult,
};
use crate::ports::Operation;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};
use tongdao_core::effect::BreakKind;
use tongdao_core::routing::{Because, Exclusion};

/// The families whose series belong to channels.
pub(super) struct ChannelFamilies {
    decisions: IntCounterVec,
    exclusions: IntCounterVec,
    state: IntGaugeVec,
    transitions: IntCounterVec,
    score: GaugeVec,
    health: GaugeVec,
    calls: IntCounterVec,
    call_duration: HistogramVec,
    in_flight: IntGaugeVec,
    limit_used: GaugeVec,
    override_expires: IntGaugeVec,
    confirmations: IntCounterVec,
    callbacks: IntCounterVec,
    callback_ack: HistogramVec,
    oldest_unknown: IntGaugeVec,
    reconciled_at: IntGaugeVec,
    reconciled_lines: IntCounterVec,
    reconciliations: IntCounterVec,
    clock_offset: GaugeVec,
    open_breaks: IntGaugeVec,
    oldest_break: IntGaugeVec,
    refunds_stuck: IntGaugeVec,
    pub(super) certificate_end: IntGaugeVec,
}

/// One channel's series.
pub(super) struct ChannelSeries {
    pub(super) decisions: Cells<Because, IntCounter>,
    pub(super) exclusions: Cells<Exclusion, IntCounter>,
    pub(super) state: Cells<ChannelState, IntGauge>,
    pub(super) transitions: Cells<ChannelState, Cells<Cause, IntCounter>>,
    pub(super) score: Gauge,
    pub(super) health: Gauge,
    pub(super) calls: Cells<Operation, Cells<CallOutcome, IntCounter>>,
    pub(super) call_duration: Cells<Operation, Histogram>,
    pub(super) in_flight: IntGauge,
    pub(super) limit_used: Cells<Limit, Gauge>,
    pub(super) override_expires: Cells<OverrideAction, IntGauge>,
    pub(super) confirmations: Cells<ConfirmedBy, IntCounter>,
    pub(super) callbacks: Cells<CallbackVerdict, IntCounter>,
    pub(super) callback_ack: Histogram,
    pub(super) oldest_unknown: IntGauge,
    pub(super) reconciled_at: IntGauge,
    pub(super) reconciled_lines: Cells<LineResult, IntCounter>,
    pub(super) reconciliations: Cells<ReconciliationResult, IntCounter>,
    pub(super) clock_offset: Gauge,
    pub(super) open_breaks: Cells<BreakKind, IntGauge>,
    pub(super) oldest_break: IntGauge,
    pub(super) refunds_stuck: IntGauge,
}

impl ChannelFamilies {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            decisions: f::ROUTE_DECISIONS.counters(registry)?,
            exclusions: f::ROUTE_EXCLUSIONS.counters(registry)?,
            state: f::CHANNEL_STATE.gauges(registry)?,
            transitions: f::CHANNEL_TRANSITIONS.counters(registry)?,
            score: f::CHANNEL_SCORE.decimal_gauges(registry)?,
            health: f::CHANNEL_HEALTH.decimal_gauges(registry)?,
            calls: f::PROVIDER_CALLS.counters(registry)?,
            call_duration: f::PROVIDER_CALL_DURATION.histograms(registry)?,
            in_flight: f::CHANNEL_IN_FLIGHT.gauges(registry)?,
            limit_used: f::CHANNEL_LIMIT_USED.decimal_gauges(registry)?,
            override_expires: f::OVERRIDE_EXPIRES.gauges(registry)?,
            confirmations: f::PAYMENT_CONFIRMATIONS.counters(registry)?,
            callbacks: f::CALLBACKS.counters(registry)?,
            callback_ack: f::CALLBACK_ACK_DURATION.histograms(registry)?,
            oldest_unknown: f::OLDEST_UNKNOWN.gauges(registry)?,
            reconciled_at: f::RECONCILIATION_LAST_SUCCESS.gauges(registry)?,
            reconciled_lines: f::RECONCILIATION_LINES.counters(registry)?,
            reconciliations: f::RECONCILIATION_TRIES.counters(registry)?,
            clock_offset: f::CLOCK_OFFSET.decimal_gauges(registry)?,
            open_breaks: f::OPEN_BREAKS.gauges(registry)?,
            oldest_break: f::OLDEST_OPEN_BREAK.gauges(registry)?,
            refunds_stuck: f::REFUNDS_STUCK.gauges(registry)?,
            certificate_end: f::CERTIFICATE_NOT_AFTER.gauges(registry)?,
        })
    }

    /// All series of one channel, made at once so that each is there as 0.
    pub(super) fn series(&self, channel: &str) -> ChannelSeries {
        ChannelSeries {
            decisions: Cells::of(|because| self.decisions.with_label_values(&[channel, because])),
            exclusions: Cells::of(|reason| self.exclusions.with_label_values(&[channel, reason])),
            state: Cells::of(|state| self.state.with_label_values(&[channel, state])),
            transitions: Cells::of(|to| Cells::of(|cause| self.transitions.with_label_values(&[channel, to, cause]))),
            score: self.score.with_label_values(&[channel]),
            health: self.health.with_label_values(&[channel]),
            calls: Cells::of(|operation| {
                Cells::of(|outcome| self.calls.with_label_values(&[channel, operation, outcome]))
            }),
            call_duration: Cells::of(|operation| self.call_duration.with_label_values(&[channel, operation])),
            in_flight: self.in_flight.with_label_values(&[channel]),
            limit_used: Cells::of(|limit| self.limit_used.with_label_values(&[channel, limit])),
            override_expires: Cells::of(|action| self.override_expires.with_label_values(&[channel, action])),
            confirmations: Cells::of(|source| self.confirmations.with_label_values(&[channel, source])),
            callbacks: Cells::of(|verdict| self.callbacks.with_label_values(&[channel, verdict])),
            callback_ack: self.callback_ack.with_label_values(&[channel]),
            oldest_unknown: self.oldest_unknown.with_label_values(&[channel]),
            reconciled_at: self.reconciled_at.with_label_values(&[channel]),
            reconciled_lines: Cells::of(|result| self.reconciled_lines.with_label_values(&[channel, result])),
            reconciliations: Cells::of(|result| self.reconciliations.with_label_values(&[channel, result])),
            clock_offset: self.clock_offset.with_label_values(&[channel]),
            open_breaks: Cells::of(|kind| self.open_breaks.with_label_values(&[channel, kind])),
            oldest_break: self.oldest_break.with_label_values(&[channel]),
            refunds_stuck: self.refunds_stuck.with_label_values(&[channel]),
        }
    }
}
