//! `tongdao route replay`: replays traces of recorded troubles on all cores and shows what a router earns in them.
//!
//! Invariant: the figures depend on the files, the seeds and the router only; how many cores there are changes nothing.
//! It asks no daemon. With reference figures the net value is shown as a share of what an oracle reaches.

use super::marks::{Marks, Reference};
use crate::cli::Context;
use crate::cli::exit::{Exit, Stop};
use crate::cli::out;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tongdao_core::routing::replay::{Figures, Replayed, Trace, replay};

/// What to replay.
#[derive(Debug, Args)]
#[command(
    after_help = "With --reference, net value is shown in percent of the oracle's with the same luck, and judged:\n  \
                        fuse            the marks of each trace in acceptance.json; none more than 0.6 under \
                        static_breaker;\n                  no payment taken twice; in s07 at most 10 refusals per \
                        1000 payments;\n                  and, once all traces with marks are given, a mean of \
                        at least 99.3\n  static_breaker, round_robin\n                  within 0.15 % of their own \
                        reference: else the engine is at fault\nThe command ends with 0 when every mark is met, \
                        with 1 when one is missed. Without --reference, `--router fuse --router oracle`\nmeasures \
                        traces that have none.\n\nExamples:\n  tongdao route replay traces/s*.json \
                        --reference traces/reference_per_seed.csv\n  \
                        tongdao route replay traces/s02.json --router static_breaker --seeds 3 --json"
)]
pub(in crate::cli) struct ReplayArgs {
    /// Traces of the format payroute-scenario/1
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Runs of each trace, each with its own luck
    #[arg(long, default_value_t = 10, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// The router; may be repeated
    #[arg(long, value_enum, value_name = "ROUTER", default_values_t = [Router::Fuse])]
    router: Vec<Router>,
    /// Reference figures: a line per trace, seed and router, those of an oracle among them
    #[arg(long, value_name = "CSV")]
    reference: Option<PathBuf>,
    /// Pass marks [default: acceptance.json beside the reference figures]
    #[arg(long, value_name = "FILE")]
    acceptance: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Router {
    /// The router of the daemon
    Fuse,
    /// The preferred channel behind a breaker
    StaticBreaker,
    /// All channels in turn
    RoundRobin,
    /// Knows everything of a trace but the luck
    Oracle,
}

impl Router {
    const fn replayed(self) -> Replayed {
        match self {
            Self::Fuse => Replayed::Fuse,
            Self::StaticBreaker => Replayed::StaticBreaker,
            Self::RoundRobin => Replayed::RoundRobin,
            Self::Oracle => Replayed::Oracle,
        }
    }
}

/// All runs of one trace by one router.
pub(super) struct Runs {
    pub(super) scenario: String,
    pub(super) router: Replayed,
    pub(super) figures: Vec<Figures>,
}

impl Runs {
    pub(super) fn mean(&self, of: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        let all: Vec<f64> = self.figures.iter().filter_map(of).collect();
        let count = f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX));
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / count)
    }
}

pub(super) fn run(context: &Context, args: &ReplayArgs) -> anyhow::Result<Exit> {
    let traces = args.files.iter().map(read_trace).collect::<anyhow::Result<Vec<_>>>()?;
    let reference = args.reference.as_deref().map(Reference::read).transpose()?;
    let marks = Marks::find(args.acceptance.as_deref(), args.reference.as_deref())?;
    if marks.is_some() && reference.is_none() {
        return Err(Stop::Usage("pass marks are shares of the oracle: --acceptance needs --reference".into()).into());
    }
    let runs = replay_all(&traces, args);
    let headline = match (&reference, &marks) {
        (Some(reference), Some(marks)) => marks.headline(&runs, reference),
        (None, _) | (_, None) => Vec::new(),
    };
    let judged: Vec<Vec<String>> = runs.iter().map(|runs| missed(runs, reference.as_ref(), marks.as_ref())).collect();
    let reference = reference.or_else(|| Reference::of_oracle_runs(&runs));
    if context.out.wants_json() {
        for figures in runs.iter().flat_map(|runs| &runs.figures) {
            context.out.text(&line(figures, reference.as_ref())?.to_string())?;
        }
    } else {
        context.out.text(&drawn(&runs, reference.as_ref(), &judged, &headline))?;
    }
    let met = headline.is_empty() && judged.iter().all(Vec::is_empty);
    Ok(if met { Exit::Fine } else { Exit::Problem })
}

fn read_trace(path: &PathBuf) -> anyhow::Result<Trace> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Trace::read(&text).with_context(|| path.display().to_string())
}

/// Every run is a job; each core takes the next one.
fn replay_all(traces: &[Trace], args: &ReplayArgs) -> Vec<Runs> {
    let mut jobs = Vec::new();
    for router in &args.router {
        jobs.extend(traces.iter().flat_map(|trace| (0..args.seeds).map(move |run| (trace, run, router.replayed()))));
    }
    let bar = progress(jobs.len());
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(jobs.len())));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let work = || {
            while let Some((place, job)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)).map(|job| (job, *job)) {
                let figures = replay(job.0, job.1, job.2);
                done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((place, figures));
                bar.inc(1);
            }
        };
        for _ in 0..cores.min(jobs.len()) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut all = Vec::new();
    for router in &args.router {
        all.extend(traces.iter().map(|trace| {
            let mine = |figures: &&Figures| figures.scenario == trace.id && figures.router == router.replayed();
            let mut figures: Vec<Figures> = done.iter().map(|(_, f)| f).filter(mine).cloned().collect();
            figures.sort_by_key(|figures| figures.seed);
            Runs { scenario: trace.id.clone(), router: router.replayed(), figures }
        }));
    }
    all
}

/// A bar on standard error, when somebody watches there.
fn progress(jobs: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(jobs).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("replaying {bar:30} {pos}/{len} runs, {eta} left");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn missed(runs: &Runs, reference: Option<&Reference>, marks: Option<&Marks>) -> Vec<String> {
    let Some(reference) = reference else { return Vec::new() };
    match (runs.router, marks) {
        (Replayed::Fuse, Some(marks)) => {
            let mut missed = marks.missed(runs, reference);
            missed.extend(reference.always_missed(runs));
            missed
        }
        (Replayed::Fuse, None) => reference.always_missed(runs),
        (Replayed::Oracle, _) => Vec::new(),
        (Replayed::StaticBreaker | Replayed::RoundRobin, _) => reference.strayed(runs),
    }
}

fn line(figures: &Figures, reference: Option<&Reference>) -> anyhow::Result<Value> {
    let mut line = serde_json::to_value(figures)?;
    if let (Some(line), Some(reference)) = (line.as_object_mut(), reference) {
        line.insert("net_pct_oracle".into(), json!(reference.of_oracle(figures)));
    }
    Ok(line)
}

fn drawn(runs: &[Runs], reference: Option<&Reference>, judged: &[Vec<String>], headline: &[String]) -> String {
    let heading = [
        "trace",
        "router",
        ">net %",
        ">success %",
        ">p99 ms",
        ">dead",
        ">detect s",
        ">return s",
        ">refused",
        ">queries",
        "",
    ];
    let rows = runs.iter().zip(judged).map(|(runs, missed)| row(runs, reference, missed));
    let mut text = out::table(&heading, rows.collect());
    let Some(reference) = reference else { return text };
    for router in Replayed::ALL {
        let shares: Vec<f64> =
            runs.iter().filter(|r| r.router == router).filter_map(|r| r.mean(|f| reference.of_oracle(f))).collect();
        if !shares.is_empty() {
            let count = f64::from(u32::try_from(shares.len()).unwrap_or(u32::MAX));
            let mean = shares.iter().sum::<f64>() / count;
            text.push_str(&format!("\n{}: mean net {mean:.2} % of the oracle", router.as_str()));
        }
    }
    headline.iter().for_each(|missed| text.push_str(&format!("\nmissed: {missed}")));
    text
}

fn row(runs: &Runs, reference: Option<&Reference>, missed: &[String]) -> Vec<String> {
    let count = |n: usize| Some(f64::from(u32::try_from(n).unwrap_or(u32::MAX)));
    let show = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let net = reference.and_then(|reference| runs.mean(|f| reference.of_oracle(f)));
    let verdict = if missed.is_empty() { "ok".to_owned() } else { format!("missed: {}", missed.join(", ")) };
    vec![
        runs.scenario.clone(),
        runs.router.as_str().to_owned(),
        show(net, 2),
        show(runs.mean(|f| Some(f.sr_pct)), 2),
        show(runs.mean(|f| Some(f.p99_ms)), 0),
        show(runs.mean(|f| count(f.dead_avoidable)), 0),
        show(runs.mean(|f| f.detect_s), 1),
        show(runs.mean(|f| f.return_s), 1),
        show(runs.mean(|f| count(f.rate_limited)), 0),
        show(runs.mean(|f| count(usize::try_from(f.queries).unwrap_or(usize::MAX))), 0),
        if reference.is_some() { verdict } else { String::new() },
    ]
}
