//! What a run came to: success, net value, waiting, and how fast trouble was left and forgiven.
//!
//! Invariant: only payments that arrived after the warm-up count; the log is read and nothing is simulated here.

use super::Replayed;
use super::trace::{Trace, Trouble};
use super::world::{Answer, Log, Payment, Sent};
use crate::routing::router::{float, whole};
use serde::Serialize;

const RUN: usize = 20;
const RUN_LEFT_MAX: usize = 2;

/// The figures of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The trace.
    pub scenario: String,
    /// The seed of the run.
    pub seed: u64,
    /// The router.
    pub router: Replayed,
    /// Payments that count.
    pub payments: usize,
    /// Those that were paid.
    pub paid: usize,
    /// Paid of all, in percent.
    pub sr_pct: f64,
    /// Margin on what was paid, less fees.
    pub net_cents: i64,
    /// The sum that was asked for.
    pub amount_cents: i64,
    /// Fees paid.
    pub fee_cents: i64,
    /// Median wait for a code.
    pub p50_ms: f64,
    /// Wait that one in a hundred exceeds.
    pub p99_ms: f64,
    /// Calls sent.
    pub attempts: usize,
    /// Calls beyond the first of a payment.
    pub failovers: usize,
    /// Calls refused for their number.
    pub rate_limited: usize,
    /// Calls without an answer.
    pub timeouts: usize,
    /// Calls sent to a dead channel.
    pub dead_charges: usize,
    /// Those that had somewhere better to go.
    pub dead_avoidable: usize,
    /// Mean time until trouble was left.
    pub detect_s: Option<f64>,
    /// Mean time until a channel was used again after its trouble.
    pub return_s: Option<f64>,
    /// Orders asked about.
    pub queries: u64,
    /// Payments that took money twice.
    pub double_payments: usize,
}

pub(super) fn figures(trace: &Trace, seed: u64, router: Replayed, log: &Log) -> Figures {
    let counts = |p: &Payment| p.arrived_ms >= trace.warmup_ms;
    let scored: Vec<&Payment> = log.payments.iter().filter(|p| counts(p)).collect();
    let sent: Vec<&Sent> = log.sent.iter().filter(|s| log.payments.get(s.payment).is_some_and(counts)).collect();
    let (mut net, mut fees, mut paid) = (0.0, 0.0, 0);
    for payment in &scored {
        let Some(channel) = payment.paid_by.and_then(|c| trace.channels.get(c)) else { continue };
        let amount = float(payment.amount);
        let fee = amount * channel.fee_bps / 10_000.0 + channel.fee_fixed_cents;
        net += amount * trace.margin - fee;
        fees += fee;
        paid += 1;
    }
    let mut waits: Vec<f64> = scored.iter().map(|p| p.waited_ms).collect();
    waits.sort_by(f64::total_cmp);
    let number = |answer| sent.iter().filter(|s| s.answer == answer).count();
    let dead: Vec<&&Sent> = sent.iter().filter(|s| trace.is_dead(s.channel, s.at_ms)).collect();
    let elsewhere = |s: &Sent| {
        let mut others = (0..trace.channels.len()).filter(|c| *c != s.channel && s.open & (1 << c) != 0);
        others.any(|c| !trace.is_dead(c, s.at_ms))
    };
    let avoidable = dead.iter().filter(|s| elsewhere(s)).count();
    let reactions: Vec<Reaction> = trace.events.iter().filter_map(|event| reaction(trace, log, event)).collect();
    Figures {
        scenario: trace.id.clone(),
        seed,
        router,
        payments: scored.len(),
        paid,
        sr_pct: 100.0 * count(paid) / count(scored.len()).max(1.0),
        net_cents: whole(net),
        amount_cents: scored.iter().map(|p| p.amount).sum(),
        fee_cents: whole(fees),
        p50_ms: quantile(&waits, 0.5),
        p99_ms: quantile(&waits, 0.99),
        attempts: sent.len(),
        failovers: sent.iter().filter(|s| s.number > 0).count(),
        rate_limited: number(Answer::Refused),
        timeouts: number(Answer::TimedOut),
        dead_charges: dead.len(),
        dead_avoidable: avoidable,
        detect_s: mean(reactions.iter().filter_map(|r| r.detect_s)),
        return_s: mean(reactions.iter().filter_map(|r| r.return_s)),
        queries: log.queries,
        double_payments: log.doubles,
    }
}

struct Reaction {
    detect_s: Option<f64>,
    return_s: Option<f64>,
}

/// How first attempts of payers with a choice left a channel in trouble, and came back.
fn reaction(trace: &Trace, log: &Log, event: &Trouble) -> Option<Reaction> {
    let channel = trace.channels.iter().position(|c| Some(&c.id) == event.channel.as_ref())?;
    let choices: Vec<(f64, bool)> = log
        .sent
        .iter()
        .filter(|s| s.number == 0 && s.eligible & (1 << channel) != 0 && s.eligible.count_ones() > 1)
        .map(|s| (s.at_ms, s.channel == channel))
        .collect();
    let since = |ms: f64| choices.partition_point(|(at, _)| *at < ms);
    let before = choices.get(since(event.from_ms - 60_000.0)..since(event.from_ms)).unwrap_or_default();
    let share = count(before.iter().filter(|(_, on)| *on).count()) / count(before.len()).max(1.0);
    if share < 0.1 {
        return None;
    }
    let run = |from: usize, fits: &dyn Fn(usize) -> bool| {
        let opens = |(at, run): (usize, &[(f64, bool)])| {
            fits(run.iter().filter(|(_, on)| *on).count()).then(|| choices.get(at + from).map(|(ms, _)| *ms)).flatten()
        };
        choices.get(from..).unwrap_or_default().windows(RUN).enumerate().find_map(opens)
    };
    let same = |e: &&Trouble| e.channel == event.channel && e.from_ms >= event.to_ms;
    let until = trace.events.iter().filter(same).map(|e| e.from_ms).fold(trace.duration_ms, f64::min);
    let left = run(since(event.from_ms), &|on| on <= RUN_LEFT_MAX).filter(|ms| *ms < event.to_ms);
    let back = run(since(event.to_ms), &|on| count(on) >= share / 2.0 * count(RUN)).filter(|ms| *ms < until);
    Some(Reaction {
        detect_s: left.map(|ms| (ms - event.from_ms) / 1000.0),
        return_s: back.map(|ms| (ms - event.to_ms) / 1000.0),
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let all: Vec<f64> = values.collect();
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / count(all.len()))
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = usize::try_from(whole((count(last) * share).round())).unwrap_or(last);
    sorted.get(place).copied().unwrap_or(0.0)
}

fn count(n: usize) -> f64 {
    float(i64::try_from(n).unwrap_or(i64::MAX))
}
