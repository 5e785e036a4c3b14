//! The world: arrivals, calls in flight, quotas, payers who wait, pay, or leave; one queue of events in order of time.
//!
//! Invariant: a payment is tried again only when that cannot take money twice: after a definite error, a refusal, or a
//! time-out of an order that no payer has seen; a direct charge that timed out is asked about first.
//! It must not know which router it serves.

use super::Routes;
use super::draws::{Stream, normal, uniform};
use super::trace::{Parameter, Trace};
use crate::routing::router::{Ask, Input};
use crate::time::UnixMillis;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

const TICK_MS: f64 = 250.0;

/// What is remembered of a payment.
#[derive(Debug, Clone, Default)]
pub(super) struct Payment {
    pub(super) arrived_ms: f64,
    pub(super) amount: i64,
    class: usize,
    direct: bool,
    tried: u64,
    attempts: usize,
    sent_ms: f64,
    /// When the payer had a code, or the last call had failed.
    pub(super) waited_ms: f64,
    paid_ms: Option<f64>,
    pub(super) paid_by: Option<usize>,
}

/// One call as it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) payment: usize,
    pub(super) at_ms: f64,
    pub(super) channel: usize,
    pub(super) number: usize,
    pub(super) eligible: u64,
    /// The channels that could still have been tried, this one included.
    pub(super) open: u64,
    pub(super) answer: Answer,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    Error,
    TimedOut,
    Refused,
}

/// All that happened, for the figures.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) payments: Vec<Payment>,
    pub(super) sent: Vec<Sent>,
    pub(super) queries: u64,
    /// Payments that took money although it had been taken.
    pub(super) doubles: usize,
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    Arrival,
    Answered { payment: usize, channel: usize, number: usize, answer: Answer, latency_ms: f64 },
    TruthKnown { payment: usize, channel: usize, number: usize },
    Paid { payment: usize, channel: usize, accepted_ms: f64 },
    Expired { payment: usize, channel: usize },
    Tick,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    at_ms: f64,
    order: u64,
    what: Happening,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    /// The earliest is the greatest, as the heap gives out its greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at_ms.total_cmp(&self.at_ms).then(other.order.cmp(&self.order))
    }
}

struct Bucket {
    tokens: f64,
    filled_ms: f64,
    in_flight: u32,
}

pub(super) struct World<'a> {
    trace: &'a Trace,
    seed: u64,
    queue: BinaryHeap<Due>,
    order: u64,
    buckets: Vec<Bucket>,
    hazard: f64,
    log: Log,
}

impl<'a> World<'a> {
    pub(super) fn new(trace: &'a Trace, seed: u64) -> Self {
        let full = |c: &super::trace::TraceChannel| Bucket {
            tokens: c.at(0.0).of(Parameter::Burst),
            filled_ms: 0.0,
            in_flight: 0,
        };
        let buckets = trace.channels.iter().map(full).collect();
        Self { trace, seed, queue: BinaryHeap::new(), order: 0, buckets, hazard: 0.0, log: Log::default() }
    }

    pub(super) fn run(mut self, router: &mut dyn Routes) -> Log {
        self.due(0.0, Happening::Tick);
        self.next_arrival();
        while let Some(Due { at_ms, what, .. }) = self.queue.pop() {
            match what {
                Happening::Arrival => self.arrive(at_ms, router),
                Happening::Answered { payment, channel, number, answer, latency_ms } => {
                    self.answered((payment, channel, number), answer, latency_ms, (at_ms, router));
                }
                Happening::TruthKnown { payment, channel, number } => {
                    self.truth_known((payment, channel, number), at_ms, router);
                }
                Happening::Paid { payment, channel, accepted_ms } => {
                    let accepted_at = millis(accepted_ms);
                    router.hear(Input::Paid { channel, order: key(payment), accepted_at }, millis(at_ms));
                }
                Happening::Expired { payment, channel } => {
                    router.hear(Input::Expired { channel, order: key(payment) }, millis(at_ms));
                }
                Happening::Tick => self.tick(at_ms, router),
            }
        }
        self.log
    }

    fn due(&mut self, at_ms: f64, what: Happening) {
        self.order += 1;
        self.queue.push(Due { at_ms, order: self.order, what });
    }

    fn tick(&mut self, at_ms: f64, router: &mut dyn Routes) {
        for (channel, order) in router.tick(millis(at_ms)) {
            self.log.queries += 1;
            let paid_ms = self.log.payments.get(place(order)).and_then(|p| p.paid_ms);
            let paid = paid_ms.is_some_and(|paid_ms| at_ms >= paid_ms);
            router.hear(Input::Queried { channel, order, paid }, millis(at_ms));
        }
        if at_ms + TICK_MS <= self.trace.duration_ms {
            self.due(at_ms + TICK_MS, Happening::Tick);
        }
    }

    /// Arrivals are a Poisson process whose rate changes in steps: the next one comes when enough hazard went by.
    fn next_arrival(&mut self) {
        let number = self.log.payments.len();
        self.hazard -= (1.0 - uniform(self.seed, Stream::Arrival, key(number), 0)).ln();
        let mut left = self.hazard;
        for part in &self.trace.traffic {
            let whole = (part.to_ms - part.from_ms) * part.rps / 1000.0;
            if left < whole {
                let at_ms = part.from_ms + left * 1000.0 / part.rps;
                if at_ms < self.trace.duration_ms {
                    self.due(at_ms, Happening::Arrival);
                }
                return;
            }
            left -= whole;
        }
    }

    fn arrive(&mut self, at_ms: f64, router: &mut dyn Routes) {
        let number = self.log.payments.len();
        let (seed, i) = (self.seed, key(number));
        let amounts = &self.trace.amount;
        let cents = (amounts.median_cents * (amounts.sigma * normal(seed, Stream::Amount, i, 0)).exp()).round();
        let total: f64 = self.trace.classes.iter().map(|c| c.weight).sum();
        let drawn = uniform(seed, Stream::Class, i, 0) * total;
        let mut sum = 0.0;
        let class = self.trace.classes.iter().position(|c| {
            sum += c.weight;
            sum > drawn
        });
        self.log.payments.push(Payment {
            arrived_ms: at_ms,
            amount: crate::routing::router::whole(cents.clamp(amounts.min_cents, amounts.max_cents)),
            class: class.unwrap_or(self.trace.classes.len() - 1),
            direct: uniform(seed, Stream::Kind, i, 0) < self.trace.direct_share,
            ..Payment::default()
        });
        self.next_arrival();
        self.try_channel(number, at_ms, router);
    }

    fn fill_buckets(&mut self, at_ms: f64) {
        for (bucket, channel) in self.buckets.iter_mut().zip(&self.trace.channels) {
            let now = channel.at(at_ms);
            let more = now.of(Parameter::CapRps) * (at_ms - bucket.filled_ms) / 1000.0;
            bucket.tokens = (bucket.tokens + more).min(now.of(Parameter::Burst));
            bucket.filled_ms = at_ms;
        }
    }

    fn try_channel(&mut self, payment: usize, at_ms: f64, router: &mut dyn Routes) {
        self.fill_buckets(at_ms);
        let p = &self.log.payments[payment];
        let eligible = self.trace.eligible(p.class);
        let open = eligible & !p.tried;
        let number = p.attempts;
        let ask = Ask { amount: p.amount, open, direct: p.direct, first: number == 0, ..Ask::default() };
        let chosen = if open == 0 { None } else { router.choose(&ask, millis(at_ms)) };
        let Some((channel, probe)) = chosen else {
            self.log.payments[payment].waited_ms = at_ms - self.log.payments[payment].arrived_ms;
            return;
        };
        assert!(open & (1 << channel) != 0, "a router chose a channel that it was not offered");
        router.hear(Input::Sent { channel, probe }, millis(at_ms));
        let (answer, latency_ms) = self.call(payment, channel, number, at_ms);
        let p = &mut self.log.payments[payment];
        p.tried |= 1 << channel;
        p.attempts += 1;
        p.sent_ms = at_ms;
        self.log.sent.push(Sent { payment, at_ms, channel, number, eligible, open, answer });
        self.due(at_ms + latency_ms, Happening::Answered { payment, channel, number, answer, latency_ms });
    }

    /// What the provider does with a call, and when it is known.
    fn call(&mut self, payment: usize, channel: usize, number: usize, at_ms: f64) -> (Answer, f64) {
        let now = self.trace.channels[channel].at(at_ms);
        let api = &self.trace.api;
        let bucket = &mut self.buckets[channel];
        if bucket.tokens < 1.0 {
            return (Answer::Refused, api.ratelimit_ms);
        }
        bucket.tokens -= 1.0;
        let load = f64::from(bucket.in_flight) + 1.0;
        bucket.in_flight += 1;
        if load > now.of(Parameter::MaxInflight) {
            return (Answer::Error, now.of(Parameter::ErrMs));
        }
        let draw = key(8 * channel + number);
        let spread = (now.of(Parameter::LatSigma) * normal(self.seed, Stream::Latency, key(payment), draw)).exp();
        let growth = (load / now.of(Parameter::Knee)).max(1.0).powf(now.of(Parameter::Gamma));
        let latency_ms = now.of(Parameter::LatMs) * spread * growth;
        let luck = uniform(self.seed, Stream::Answer, key(payment), draw);
        if luck < now.of(Parameter::ApiErr) {
            (Answer::Error, now.of(Parameter::ErrMs))
        } else if luck < now.of(Parameter::ApiErr) + now.of(Parameter::ApiHang) || latency_ms > api.timeout_ms {
            (Answer::TimedOut, api.timeout_ms)
        } else {
            (Answer::Accepted, latency_ms)
        }
    }

    fn answered(
        &mut self,
        (payment, channel, number): (usize, usize, usize),
        answer: Answer,
        latency: f64,
        (at_ms, router): (f64, &mut dyn Routes),
    ) {
        let now = millis(at_ms);
        if answer != Answer::Refused {
            self.buckets[channel].in_flight -= 1;
        }
        let latency_ms = crate::routing::router::whole(latency);
        match answer {
            Answer::Accepted => {
                let order = key(payment);
                router.hear(Input::Accepted { channel, order, latency_ms: Some(latency_ms) }, now);
                self.accepted(payment, channel, at_ms);
                return;
            }
            Answer::Error => router.hear(Input::Failed { channel, latency_ms }, now),
            Answer::TimedOut => router.hear(Input::TimedOut { channel, latency_ms }, now),
            Answer::Refused => router.hear(Input::Refused { channel }, now),
        }
        if answer == Answer::TimedOut && self.log.payments[payment].direct {
            self.due(at_ms + self.trace.api.query_ms, Happening::TruthKnown { payment, channel, number });
        } else {
            self.fail_over(payment, at_ms, router);
        }
    }

    fn truth_known(&mut self, call: (usize, usize, usize), at_ms: f64, router: &mut dyn Routes) {
        let (payment, channel, number) = call;
        let luck = uniform(self.seed, Stream::TimeoutTruth, key(payment), key(8 * channel + number));
        if luck < self.trace.api.timeout_accept {
            router.hear(Input::Accepted { channel, order: key(payment), latency_ms: None }, millis(at_ms));
            self.accepted(payment, channel, at_ms);
        } else {
            self.fail_over(payment, at_ms, router);
        }
    }

    fn fail_over(&mut self, payment: usize, at_ms: f64, router: &mut dyn Routes) {
        let p = &mut self.log.payments[payment];
        let age_ms = at_ms - p.arrived_ms;
        if p.attempts < self.trace.api.max_attempts && age_ms < self.trace.api.deadline_ms {
            self.try_channel(payment, at_ms, router);
        } else {
            p.waited_ms = age_ms;
        }
    }

    /// The payer has a code (or was debited): pays after a while, or never does.
    fn accepted(&mut self, payment: usize, channel: usize, at_ms: f64) {
        let (seed, i, c) = (self.seed, key(payment), key(channel));
        let class = self.log.payments[payment].class;
        let factor = self.trace.factor(class, channel);
        let now = self.trace.channels[channel].at(self.log.payments[payment].sent_ms);
        let spread = |delay, sigma, stream| now.of(delay) * (now.of(sigma) * normal(seed, stream, i, c)).exp();
        let p = &mut self.log.payments[payment];
        p.waited_ms = at_ms - p.arrived_ms;
        let patience = &self.trace.payer;
        let over_s = (p.waited_ms - patience.free_wait_ms).max(0.0) / 1000.0;
        let willing = now.of(Parameter::Conv) * factor * (-patience.abandon_per_s * over_s).exp();
        if uniform(seed, Stream::Conversion, i, 0) < willing {
            let paid_ms = at_ms + spread(Parameter::PayDelayMs, Parameter::PayDelaySigma, Stream::PayDelay);
            self.log.doubles += usize::from(p.paid_by.is_some());
            (p.paid_ms, p.paid_by) = (Some(paid_ms), Some(channel));
            let told_ms = paid_ms + spread(Parameter::NotifyLagMs, Parameter::NotifyLagSigma, Stream::NotifyLag);
            self.due(told_ms, Happening::Paid { payment, channel, accepted_ms: at_ms });
        } else {
            let told_ms = at_ms + spread(Parameter::FailDelayMs, Parameter::FailDelaySigma, Stream::FailDelay);
            self.due(told_ms, Happening::Expired { payment, channel });
        }
    }
}

fn millis(ms: f64) -> UnixMillis {
    UnixMillis(crate::routing::router::whole(ms.floor()))
}

/// A place in a list, as a number that can be hashed and kept.
fn key(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}

fn place(key: u64) -> usize {
    usize::try_from(key).unwrap_or(usize::MAX)
}
