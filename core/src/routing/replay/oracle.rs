//! The router that is told everything but the luck: what could be earned at all.
//!
//! Each second it plans which part of which payers goes to which channel, from the true parameters and the true quotas,
//! and follows the plan; a channel without a token is passed over. Why a plan and not the best channel: where quotas
//! bind, the best channel belongs to those payers who have no other. Invariant: it sees the trace and the calls sent,
//! never a draw.

use super::trace::{Parameter, Parameters, Trace};
use super::{Routes, plan};
use crate::routing::router::{Ask, Input, float};
use crate::time::UnixMillis;

/// Channels that fail more often than this are not planned with.
const FAILS_MAX: f64 = 0.95;
const CAPACITY_SHARE: f64 = 0.95;
/// Room beyond the demand from which a failure may count on another channel.
const SPARE: f64 = 1.25;

pub(super) struct Oracle<'a> {
    trace: &'a Trace,
    second: i64,
    channels: Vec<Known>,
    /// For each kind of payer its channels, the planned split and what was sent so far in this second.
    payers: Vec<Payers>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    tokens: f64,
    filled_ms: f64,
    in_flight: f64,
    /// Calls in flight from which answers grow slow.
    knee: f64,
    capacity: f64,
    accepts: f64,
    /// Of an accepted call, as a share of the amount, before the payer's own factor.
    value: f64,
}

struct Payers {
    eligible: u64,
    weight: f64,
    factors: Vec<f64>,
    values: Vec<f64>,
    split: Vec<f64>,
    sent: Vec<f64>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(trace: &'a Trace) -> Self {
        let mut payers: Vec<Payers> = Vec::new();
        let count = trace.channels.len();
        for (class, of) in trace.classes.iter().enumerate() {
            let eligible = trace.eligible(class);
            let place = payers.iter().position(|p| p.eligible == eligible).unwrap_or(payers.len());
            if place == payers.len() {
                let none = vec![0.0; count];
                let (factors, values, split, sent) = (none.clone(), none.clone(), none.clone(), none);
                payers.push(Payers { eligible, weight: 0.0, factors, values, split, sent });
            }
            let kind = &mut payers[place];
            for channel in 0..count {
                let sum = kind.factors[channel] * kind.weight + trace.factor(class, channel) * of.weight;
                kind.factors[channel] = sum / (kind.weight + of.weight);
            }
            kind.weight += of.weight;
        }
        let total: f64 = payers.iter().map(|kind| kind.weight).sum();
        payers.iter_mut().for_each(|kind| kind.weight /= total);
        let known =
            |c: &super::trace::TraceChannel| Known { tokens: c.at(0.0).of(Parameter::Burst), ..Known::default() };
        Self { trace, second: -1, channels: trace.channels.iter().map(known).collect(), payers }
    }

    fn fill(&mut self, at_ms: f64) {
        for (known, channel) in self.channels.iter_mut().zip(&self.trace.channels) {
            let now = channel.at(at_ms);
            let more = now.of(Parameter::CapRps) * (at_ms - known.filled_ms) / 1000.0;
            known.tokens = (known.tokens + more).min(now.of(Parameter::Burst));
            known.filled_ms = at_ms;
        }
    }

    fn plan(&mut self, at_ms: f64) {
        let amounts = &self.trace.amount;
        let mean_amount = (amounts.median_cents * (amounts.sigma * amounts.sigma / 2.0).exp()).min(amounts.max_cents);
        for (known, channel) in self.channels.iter_mut().zip(&self.trace.channels) {
            let now = channel.at(at_ms);
            let latency_ms = mean_latency_ms(&now);
            let fails = fails(&now, self.trace);
            let fee = channel.fee_bps * 1e-4 + channel.fee_fixed_cents / mean_amount;
            known.knee = now.of(Parameter::Knee);
            known.accepts = 1.0 - fails;
            known.value = now.of(Parameter::Conv) * stays(self.trace, latency_ms) * (self.trace.margin - fee);
            let flow = now.of(Parameter::Knee) / (latency_ms / 1000.0);
            let usable = fails <= FAILS_MAX && known.value > 0.0;
            known.capacity = if usable { (CAPACITY_SHARE * now.of(Parameter::CapRps)).min(flow) } else { 0.0 };
        }
        let demand = self.trace.traffic.iter().find(|t| t.from_ms <= at_ms && at_ms < t.to_ms).map_or(0.0, |t| t.rps);
        let capacity: f64 = self.channels.iter().map(|known| known.capacity).sum();
        self.value_payers(capacity > SPARE * demand, at_ms);
        let demands: Vec<f64> = self.payers.iter().map(|kind| kind.weight * demand).collect();
        let capacities: Vec<f64> = self.channels.iter().map(|known| known.capacity).collect();
        let values: Vec<&[f64]> = self.payers.iter().map(|kind| kind.values.as_slice()).collect();
        let splits = plan::most_valuable(&demands, &capacities, &values);
        for (kind, split) in self.payers.iter_mut().zip(splits) {
            let total: f64 = split.iter().sum::<f64>().max(1e-9);
            kind.split = split.iter().map(|flow| flow / total).collect();
            kind.sent.iter_mut().for_each(|sent| *sent = 0.0);
        }
    }

    /// What each channel is worth to each kind of payer, a second try included when there is room for it.
    fn value_payers(&mut self, spare: bool, at_ms: f64) {
        for kind in 0..self.payers.len() {
            for channel in 0..self.channels.len() {
                let mut value = self.once(kind, channel);
                if spare && value > 0.0 {
                    let others = (0..self.channels.len()).filter(|other| *other != channel);
                    let other = others.map(|other| self.once(kind, other)).fold(0.0, f64::max);
                    let now = self.trace.channels[channel].at(at_ms);
                    let hangs = now.of(Parameter::ApiHang) / fails(&now, self.trace).max(1e-9);
                    let (err_ms, timeout_ms) = (now.of(Parameter::ErrMs), self.trace.api.timeout_ms);
                    let lost_ms = err_ms + hangs.min(1.0) * (timeout_ms - err_ms);
                    value += (1.0 - self.channels[channel].accepts) * other * stays(self.trace, lost_ms);
                }
                self.payers[kind].values[channel] = value;
            }
        }
    }

    fn once(&self, kind: usize, channel: usize) -> f64 {
        self.channels[channel].accepts * self.channels[channel].value * self.payers[kind].factors[channel]
    }
}

fn stays(trace: &Trace, wait_ms: f64) -> f64 {
    let over_s = (wait_ms - trace.payer.free_wait_ms).max(0.0) / 1000.0;
    (-trace.payer.abandon_per_s * over_s).exp()
}

fn mean_latency_ms(now: &Parameters) -> f64 {
    now.of(Parameter::LatMs) * (now.of(Parameter::LatSigma).powi(2) / 2.0).exp()
}

/// The share of calls that fail: errors, hangs, and answers that come after the time-out.
fn fails(now: &Parameters, trace: &Trace) -> f64 {
    let z = (trace.api.timeout_ms / now.of(Parameter::LatMs)).ln() / now.of(Parameter::LatSigma).max(1e-6);
    // The upper tail of a normal, to a hundredth: good enough to plan with.
    let late = 1.0 / (1.0 + (1.5976 * z + 0.07056 * z.powi(3)).exp());
    let definite = now.of(Parameter::ApiErr) + now.of(Parameter::ApiHang);
    (definite + (1.0 - definite).max(0.0) * late).min(1.0)
}

impl Routes for Oracle<'_> {
    fn choose(&mut self, ask: &Ask, now: UnixMillis) -> Option<(usize, bool)> {
        let at_ms = float(now.0);
        self.fill(at_ms);
        let second = now.0.div_euclid(1000);
        if second != self.second {
            self.second = second;
            self.plan(at_ms);
        }
        let kind = self
            .payers
            .iter()
            .position(|kind| kind.eligible & ask.open == ask.open && (!ask.first || kind.eligible == ask.open))?;
        let open: Vec<usize> = (0..self.channels.len()).filter(|c| ask.open & (1 << c) != 0).collect();
        let has_token = |c: &usize| self.channels[*c].tokens >= 1.0;
        let is_quick = |c: &usize| has_token(c) && self.channels[*c].in_flight < self.channels[*c].knee;
        let of = &self.payers[kind];
        let sent: f64 = of.sent.iter().sum::<f64>() + 1.0;
        let due = |c: usize| of.split[c] * sent - of.sent[c];
        let planned = open.iter().copied().filter(is_quick).filter(|c| of.split[*c] > 0.0);
        let planned = if ask.first { planned.max_by(|a, b| due(*a).total_cmp(&due(*b))) } else { None };
        let worth = |c: &usize| self.once(kind, *c);
        let best = |fits: &dyn Fn(&usize) -> bool| {
            open.iter().copied().filter(fits).max_by(|a, b| worth(a).total_cmp(&worth(b)))
        };
        let chosen = planned.or_else(|| best(&is_quick)).or_else(|| best(&has_token)).or_else(|| best(&|_| true))?;
        if ask.first {
            self.payers[kind].sent[chosen] += 1.0;
        }
        Some((chosen, false))
    }

    fn hear(&mut self, input: Input, now: UnixMillis) {
        self.fill(float(now.0));
        match input {
            Input::Sent { channel, .. } => {
                let known = &mut self.channels[channel];
                known.in_flight += 1.0;
                known.tokens = if known.tokens >= 1.0 { known.tokens - 1.0 } else { known.tokens };
            }
            Input::Accepted { channel, latency_ms: Some(_), .. }
            | Input::Failed { channel, .. }
            | Input::TimedOut { channel, .. }
            | Input::Refused { channel }
            | Input::Void { channel }
            | Input::Misconfigured { channel } => self.channels[channel].in_flight -= 1.0,
            Input::Accepted { .. } | Input::Paid { .. } | Input::Expired { .. } | Input::Queried { .. } => {}
        }
    }

    fn tick(&mut self, _now: UnixMillis) -> Vec<(usize, u64)> {
        Vec::new()
    }
}
