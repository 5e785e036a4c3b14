//! Can payers pay there: the share of orders that end paid, known long before the orders end.
//!
//! Why exposure: whoever waits for orders to expire is blind for minutes. Here an order counts from the start, by the
//! share of payments that should be known at its age, so what is unpaid so far weighs exactly what it should. Why two
//! tests: a mean that is slow enough to be calm is too slow for an outage; a likelihood ratio over every possible start
//! finds the outage and its beginning within seconds, and its twin notices that a channel became better.
//! Left out: exposure 1.8 of net value (6.5 on troubles never seen before), the test for worse 0.4 (1.9).
//! Invariant: an order counts once, paid or not; what lies before a change that was believed is forgotten.

use super::delay::{Curve, Delays};
use super::number::float;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const BIN_MS: i64 = 1_000;
const BINS_MAX: usize = 600;
const ORDERS_MAX: usize = 4_096;
const HALF_LIFE_S: f64 = 120.0;
const HALF_LIFE_VOLATILE_S: f64 = 30.0;
const VOLATILE_MS: i64 = 300_000;
const SUSPECT_MS: i64 = 150_000;
const MEMORY: f64 = 3_000.0;
const START: f64 = 0.9;
const FROZEN_FROM: f64 = 4.0;
const DELAYS_MIN: f64 = 30.0;
const ASKED_MAX: usize = 40;
/// A share of 0 or 1 would make a single order certain evidence.
const SHARE_MIN: f64 = 0.02;
const SHARE_MAX: f64 = 0.99;
const HOT_FROM: f64 = 2.0;
/// The ages at which orders are asked about when news is late, as shares of payments made by then.
const POLLS: [f64; 3] = [0.6, 0.9, 0.98];

/// The orders of one second.
#[derive(Debug, Clone, Copy)]
struct Bin {
    at: UnixMillis,
    orders: f64,
    paid: f64,
    /// How much of its exposure and payments the long-run share has taken in.
    taken: (f64, f64),
}

#[derive(Debug, Clone, Copy)]
struct Order {
    number: u64,
    at: UnixMillis,
    settled: bool,
    polls: u8,
}

/// Payers can pay less than they should since a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alarm {
    pub(super) since: UnixMillis,
}

#[derive(Debug, Clone)]
pub(super) struct Conversion {
    delays: Delays,
    curve: Curve,
    curve_at: UnixMillis,
    /// Set while news is late: the ages at which is asked, and the share that is known then.
    polls: Option<[(i64, f64); 3]>,
    bins: VecDeque<Bin>,
    orders: VecDeque<Order>,
    forgotten: UnixMillis,
    volatile_until: UnixMillis,
    long_run: f64,
    long_run_weight: f64,
    share: f64,
    exposure: f64,
    in_last_minute: f64,
    better: f64,
    better_since: UnixMillis,
    judged: UnixMillis,
}

/// What is kept of it over a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LongRun {
    share: f64,
    weight: f64,
    delays: Delays,
}

/// What one walk over the bins adds up.
#[derive(Debug, Default)]
struct Walk {
    paid: f64,
    exposure: f64,
    fresh: (f64, f64),
    sums: [f64; 2],
    worst: f64,
    since: UnixMillis,
}

impl Conversion {
    pub(super) fn new() -> Self {
        let delays = Delays::new();
        Self {
            curve: delays.curve(&delays),
            delays,
            curve_at: UnixMillis(0),
            polls: None,
            bins: VecDeque::new(),
            orders: VecDeque::new(),
            forgotten: UnixMillis(0),
            volatile_until: UnixMillis(0),
            long_run: START,
            long_run_weight: 5.0,
            share: START,
            exposure: 0.0,
            in_last_minute: 0.0,
            better: 0.0,
            better_since: UnixMillis(0),
            judged: UnixMillis(0),
        }
    }

    /// What should be kept over a restart.
    pub(super) fn long_run(&self) -> LongRun {
        LongRun { share: self.long_run, weight: self.long_run_weight, delays: self.delays.clone() }
    }

    /// Takes up what was kept.
    pub(super) fn recall(&mut self, kept: &LongRun, now: UnixMillis) {
        if kept.share.is_finite() && kept.weight.is_finite() {
            self.long_run = kept.share.clamp(SHARE_MIN, SHARE_MAX);
            self.long_run_weight = kept.weight.clamp(5.0, MEMORY);
            self.share = self.long_run;
        }
        self.delays.add(&kept.delays, now);
        self.curve_at = UnixMillis(0);
    }

    pub(super) const fn delays(&self) -> &Delays {
        &self.delays
    }

    /// The share of orders that end paid.
    pub(super) const fn share(&self) -> f64 {
        self.share
    }

    /// How many orders stand behind the share, as far as they could be paid by now.
    pub(super) const fn exposure(&self) -> f64 {
        self.exposure
    }

    /// Orders of the last minute.
    pub(super) const fn in_last_minute(&self) -> f64 {
        self.in_last_minute
    }

    /// Whether there are signs that it became better.
    pub(super) fn is_hot(&self) -> bool {
        self.better > HOT_FROM
    }

    pub(super) fn accepted(&mut self, number: u64, now: UnixMillis) {
        let at = UnixMillis(now.0.div_euclid(BIN_MS) * BIN_MS);
        match self.bins.back_mut() {
            Some(bin) if bin.at >= at => bin.orders += 1.0,
            Some(_) | None => self.bins.push_back(Bin { at, orders: 1.0, paid: 0.0, taken: (0.0, 0.0) }),
        }
        if self.bins.len() > BINS_MAX {
            self.bins.pop_front();
        }
        self.orders.push_back(Order { number, at: now, settled: false, polls: 0 });
        if self.orders.len() > ORDERS_MAX {
            self.orders.pop_front();
        }
    }

    /// When an order was accepted, as long as it is remembered.
    pub(super) fn accepted_at(&self, number: u64) -> Option<UnixMillis> {
        self.orders.iter().rev().find(|order| order.number == number).map(|order| order.at)
    }

    /// An order was paid; false when that was known.
    pub(super) fn paid(&mut self, number: u64, accepted_at: UnixMillis) -> bool {
        let from = self.orders.partition_point(|order| order.at < accepted_at);
        let known = self.orders.iter_mut().skip(from).take_while(|o| o.at == accepted_at).find(|o| o.number == number);
        if let Some(order) = known {
            if order.settled {
                return false;
            }
            order.settled = true;
        }
        let at = UnixMillis(accepted_at.0.div_euclid(BIN_MS) * BIN_MS);
        let place = self.bins.partition_point(|bin| bin.at < at);
        if let Some(bin) = self.bins.get_mut(place).filter(|bin| bin.at == at) {
            bin.paid += 1.0;
        }
        true
    }

    /// Nothing more will be heard of an order.
    pub(super) fn settled(&mut self, number: u64) {
        if let Some(order) = self.orders.iter_mut().find(|order| order.number == number) {
            order.settled = true;
        }
    }

    /// How long a payer took, callback included.
    pub(super) fn delayed(&mut self, delay_ms: i64, now: UnixMillis) {
        self.delays.note(delay_ms, now);
    }

    /// Moves time on: the share, the long run and both tests. `caution` below 1 asks the test for less evidence;
    /// `out` says that only probes and payers without a choice come here.
    pub(super) fn tick(&mut self, all: &Delays, caution: (f64, bool), now: UnixMillis) -> Option<Alarm> {
        let (caution, out) = caution;
        if self.polls.is_none() && now.since_ms(self.curve_at) >= 1_000 {
            self.curve = self.delays.curve(all);
            self.curve_at = now;
        }
        let walk = self.walk(now);
        let prior = self.long_run_weight.clamp(20.0, if now < self.volatile_until { 20.0 } else { 100.0 });
        self.share = (walk.paid + prior * self.long_run) / (walk.exposure + prior);
        self.exposure = walk.exposure;
        if walk.worst < FROZEN_FROM && !self.is_hot() && !out {
            self.take_in(walk.fresh, now);
        }
        self.test_better(now);
        let rate = (self.in_last_minute / 60.0).max(0.1);
        let sure = walk.worst > (8.0 + rate.ln()) * caution && self.delays.seen() >= DELAYS_MIN;
        sure.then_some(Alarm { since: walk.since })
    }

    fn walk(&mut self, now: UnixMillis) -> Walk {
        let half_life_s = if now < self.volatile_until { HALF_LIFE_VOLATILE_S } else { HALF_LIFE_S };
        let mut walk = Walk::default();
        self.in_last_minute = 0.0;
        for bin in self.bins.iter().rev().take_while(|bin| bin.at >= self.forgotten) {
            let age_ms = age(bin, now);
            let exposed = bin.orders * self.curve.at(age_ms);
            let weight = (float(age_ms) / -1000.0 / half_life_s).exp2();
            walk.paid += weight * bin.paid;
            walk.exposure += weight * exposed;
            walk.fresh.0 += exposed - bin.taken.0;
            walk.fresh.1 += bin.paid - bin.taken.1;
            if age_ms < 60_000 {
                self.in_last_minute += bin.orders;
            }
            if age_ms > SUSPECT_MS {
                continue;
            }
            for (sum, ratio) in walk.sums.iter_mut().zip([0.5_f64, 0.15]) {
                *sum += bin.paid * ratio.ln() + (1.0 - ratio) * self.long_run * exposed;
                if *sum > walk.worst {
                    (walk.worst, walk.since) = (*sum, bin.at);
                }
            }
        }
        walk
    }

    /// The long run takes in what came to light since the last tick, and forgets the oldest of 3000 orders.
    fn take_in(&mut self, (exposed, paid): (f64, f64), now: UnixMillis) {
        let weight = (self.long_run_weight + exposed).max(1.0);
        self.long_run = ((self.long_run * self.long_run_weight + paid) / weight).clamp(SHARE_MIN, SHARE_MAX);
        self.long_run_weight = weight.min(MEMORY);
        for bin in self.bins.iter_mut().rev().take_while(|bin| bin.at >= self.forgotten) {
            bin.taken = (bin.orders * self.curve.at(age(bin, now)), bin.paid);
        }
    }

    /// A likelihood ratio of "half of what was lost is now paid" over orders that are old enough to tell.
    fn test_better(&mut self, now: UnixMillis) {
        let ripe_ms = self.curve.age_of(0.9);
        let usual = self.long_run.clamp(SHARE_MIN, SHARE_MAX);
        let hoped = usual + (1.0 - usual) / 2.0;
        let (judged, forgotten) = (self.judged, self.forgotten);
        let first = self.bins.partition_point(|bin| bin.at <= judged || bin.at < forgotten);
        for bin in self.bins.iter().skip(first).take_while(|bin| age(bin, now) >= ripe_ms) {
            self.judged = bin.at;
            let known = self.curve.at(age(bin, now));
            let unpaid = (bin.orders - bin.paid).max(0.0);
            let ratio = bin.paid * (hoped / usual).ln() + unpaid * ((1.0 - hoped * known) / (1.0 - usual * known)).ln();
            if self.better <= 0.0 {
                self.better_since = bin.at;
            }
            self.better = (self.better + ratio).max(0.0);
        }
        let rate = (self.in_last_minute / 60.0).max(0.1);
        if self.better > 9.0 + rate.ln() {
            self.better = 0.0;
            self.forgotten = self.better_since;
            let (paid, exposed) = self.since(self.better_since, now);
            let share = (paid / exposed.max(1.0)).max(self.long_run).min(SHARE_MAX);
            (self.long_run, self.long_run_weight) = (share, exposed.clamp(20.0, 100.0));
            self.mark_taken(now);
        }
    }

    /// Payments and exposure since a moment.
    fn since(&self, since: UnixMillis, now: UnixMillis) -> (f64, f64) {
        let bins = self.bins.iter().rev().take_while(|bin| bin.at >= since);
        bins.fold((0.0, 0.0), |(paid, exposed), bin| {
            (paid + bin.paid, exposed + bin.orders * self.curve.at(age(bin, now)))
        })
    }

    fn mark_taken(&mut self, now: UnixMillis) {
        for bin in &mut self.bins {
            bin.taken = (bin.orders * self.curve.at(age(bin, now)), bin.paid);
        }
    }

    /// Up to forty unpaid orders since a moment, and how many of them should be paid if only the news is late.
    pub(super) fn unpaid_since(&self, since: UnixMillis, now: UnixMillis) -> (Vec<u64>, f64) {
        let open = self.orders.iter().filter(|order| order.at >= since && !order.settled);
        let asked: Vec<&Order> = open.take(ASKED_MAX).collect();
        let expected = asked.iter().map(|o| self.long_run * self.curve.at(now.since_ms(o.at))).sum();
        (asked.into_iter().map(|order| order.number).collect(), expected)
    }

    /// Believes that it became worse; true when it is so bad that it must be taken out.
    pub(super) fn believe(&mut self, since: UnixMillis, now: UnixMillis) -> bool {
        let (paid, exposed) = self.since(since, now);
        let share = paid / exposed.max(1.0);
        let dead = share < 0.4 * self.long_run;
        if dead {
            self.forgotten = now;
        } else {
            self.forgotten = since;
            self.volatile_until = now.plus_ms(VOLATILE_MS);
            self.long_run = ((paid + 5.0 * self.long_run) / (exposed + 5.0)).clamp(SHARE_MIN, SHARE_MAX);
            self.long_run_weight = exposed.clamp(20.0, 100.0);
        }
        self.mark_taken(now);
        (self.better, self.judged) = (0.0, now);
        dead
    }

    /// It is back after it was out: what was seen before this moment says nothing.
    pub(super) fn restart(&mut self, from: UnixMillis, now: UnixMillis) {
        self.forgotten = from;
        (self.better, self.judged) = (0.0, from);
        self.mark_taken(now);
    }

    /// News is late: from now on orders are asked about at three ages, and nothing is expected in between.
    pub(super) fn wait_for_news(&mut self) {
        if self.polls.is_none() {
            let polls = POLLS.map(|share| (self.curve.age_of(share), share));
            self.curve = self.curve.of_polls(&polls);
            self.polls = Some(polls);
        }
    }

    /// News comes by itself again.
    pub(super) fn news_is_prompt(&mut self) {
        if self.polls.take().is_some() {
            self.curve_at = UnixMillis(0);
        }
    }

    /// The orders that have reached an age at which they are asked about.
    pub(super) fn due_for_news(&mut self, now: UnixMillis) -> Vec<u64> {
        let Some(polls) = self.polls else { return Vec::new() };
        let mut due = Vec::new();
        let recent = self.orders.iter_mut().rev().take_while(|o| now.since_ms(o.at) < 2 * SUSPECT_MS);
        for order in recent.filter(|order| !order.settled) {
            let next = polls.get(usize::from(order.polls));
            if next.is_some_and(|(age_ms, _)| now.since_ms(order.at) >= *age_ms) {
                order.polls += 1;
                due.push(order.number);
            }
        }
        due
    }
}

/// The age of a bin's middle.
fn age(bin: &Bin, now: UnixMillis) -> i64 {
    now.since_ms(bin.at).saturating_sub(BIN_MS / 2).max(0)
}
