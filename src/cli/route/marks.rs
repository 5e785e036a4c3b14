//! What replayed runs are measured by: reference figures of each trace and seed, and the pass marks of each trace.
//!
//! Invariant: a figure without its reference counts as missed, never as met. It reads two files and judges; it knows
//! nothing of how the figures came about.

use super::replay::Runs;
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use tongdao_core::routing::replay::{Figures, Replayed};

/// Simple routers that stray further from their reference show a fault of the engine.
const STRAY_MAX_PCT: f64 = 0.15;
/// The mean over all traces with marks.
const MEAN_MIN_PCT: f64 = 99.3;
/// How far a trace may lie under a static order behind a breaker.
const UNDER_STATIC_MAX_PCT: f64 = 0.6;
/// Where a quota is the trouble: refusals per thousand payments.
const REFUSED_MAX: (&str, f64) = ("s07", 10.0);

/// Net value in minor units by trace, seed and router.
#[derive(Debug)]
pub(super) struct Reference {
    net: BTreeMap<(String, String, String), f64>,
}

impl Reference {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines();
        let heading: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let place =
            |name: &str| heading.iter().position(|column| *column == name).with_context(|| format!("no column {name}"));
        let (scenario, seed, policy, net) = (place("scenario")?, place("seed")?, place("policy")?, place("net_cents")?);
        let mut all = BTreeMap::new();
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let cells: Vec<&str> = line.split(',').collect();
            let cell = |at: usize| cells.get(at).map(|cell| (*cell).to_owned()).with_context(|| line.to_owned());
            let value: f64 = cell(net)?.parse().with_context(|| line.to_owned())?;
            all.insert((cell(scenario)?, cell(seed)?, cell(policy)?), value);
        }
        if all.is_empty() {
            bail!("no figures");
        }
        Ok(Self { net: all })
    }

    /// Net value as a share of the oracle's with the same luck, in percent.
    pub(super) fn of_oracle(&self, figures: &Figures) -> Option<f64> {
        self.share(figures, "oracle")
    }

    /// What is wrong with a router that the reference has too.
    pub(super) fn strayed(&self, runs: &Runs) -> Vec<String> {
        let Some(share) = runs.mean(|figures| self.share(figures, runs.router.as_str())) else {
            return vec!["no reference".to_owned()];
        };
        let off = share - 100.0;
        if off.abs() <= STRAY_MAX_PCT { Vec::new() } else { vec![format!("{off:+.2} % off its reference")] }
    }

    /// What our own oracle reached, where there are no published figures; none when it was not replayed.
    pub(super) fn of_oracle_runs(all: &[Runs]) -> Option<Self> {
        let oracle = all.iter().filter(|runs| runs.router == Replayed::Oracle).flat_map(|runs| &runs.figures);
        let key = |f: &Figures| (f.scenario.clone(), f.seed.to_string(), Replayed::Oracle.as_str().to_owned());
        let net: BTreeMap<_, _> = oracle.filter_map(|f| Some((key(f), number(f.net_cents)?))).collect();
        (!net.is_empty()).then_some(Self { net })
    }

    /// What a router of ours misses on any trace, whatever its own marks say.
    pub(super) fn always_missed(&self, runs: &Runs) -> Vec<String> {
        let mut missed = Vec::new();
        if runs.figures.iter().any(|figures| figures.double_payments > 0) {
            missed.push("payments taken twice".to_owned());
        }
        let fixed = |figures: &Figures| self.reference_share(figures, Replayed::StaticBreaker.as_str());
        if let (Some(net), Some(fixed)) = (runs.mean(|figures| self.of_oracle(figures)), runs.mean(fixed))
            && net < fixed - UNDER_STATIC_MAX_PCT
        {
            missed.push(format!("{:.2} under static_breaker", fixed - net));
        }
        let (trace, refused_max) = REFUSED_MAX;
        let refused = |f: &Figures| Some(1000.0 * number(f.rate_limited)? / number(f.payments)?);
        if runs.scenario.starts_with(trace) && runs.mean(refused).is_none_or(|refused| refused > refused_max) {
            missed.push(format!("refused > {refused_max} per 1000"));
        }
        missed
    }

    /// What another router's published net value is of the oracle's, in percent.
    fn reference_share(&self, figures: &Figures, policy: &str) -> Option<f64> {
        let of = |policy: &str| self.net.get(&(figures.scenario.clone(), figures.seed.to_string(), policy.to_owned()));
        Some(100.0 * of(policy)? / of("oracle")?)
    }

    fn share(&self, figures: &Figures, policy: &str) -> Option<f64> {
        let key = (figures.scenario.clone(), figures.seed.to_string(), policy.to_owned());
        let net = number(figures.net_cents)?;
        self.net.get(&key).map(|reference| 100.0 * net / reference)
    }
}

/// The pass marks of all traces.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Marks(BTreeMap<String, Entry>);

#[derive(Debug, Deserialize)]
struct Entry {
    accept: Accept,
}

#[derive(Debug, Deserialize)]
struct Accept {
    net_pct_oracle_min: Option<f64>,
    p99_ms_max: Option<f64>,
    dead_avoidable_max: Option<f64>,
    detect_s_max: Option<f64>,
    return_s_max: Option<f64>,
}

impl Marks {
    /// The named file, or the one beside the reference figures if there is one.
    pub(super) fn find(named: Option<&Path>, reference: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let beside = reference.map(|path| path.with_file_name("acceptance.json")).filter(|path| path.exists());
        let Some(path) = named.map(Path::to_path_buf).or(beside) else { return Ok(None) };
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).map(Some).with_context(|| path.display().to_string())
    }

    /// What our router misses over all traces, once every trace with marks was replayed.
    pub(super) fn headline(&self, all: &[Runs], reference: &Reference) -> Vec<String> {
        let ours: Vec<&Runs> = all.iter().filter(|runs| runs.router == Replayed::Fuse).collect();
        let of = |scenario: &String| ours.iter().find(|runs| runs.scenario == *scenario);
        let Some(marked) = self.0.keys().map(of).collect::<Option<Vec<_>>>() else { return Vec::new() };
        let shares: Option<Vec<f64>> = marked.iter().map(|runs| runs.mean(|f| reference.of_oracle(f))).collect();
        let mean = shares.and_then(|shares| Some(shares.iter().sum::<f64>() / number(shares.len())?));
        match mean {
            Some(mean) if mean >= MEAN_MIN_PCT => Vec::new(),
            Some(mean) => vec![format!("mean net {mean:.2} < {MEAN_MIN_PCT}")],
            None => vec!["no mean: reference figures are missing".to_owned()],
        }
    }

    /// The marks that these runs miss; a trace without marks misses none.
    pub(super) fn missed(&self, runs: &Runs, reference: &Reference) -> Vec<String> {
        let Some(Entry { accept }) = self.0.get(&runs.scenario) else { return Vec::new() };
        let mut missed = Vec::new();
        let net = runs.mean(|figures| reference.of_oracle(figures));
        if let Some(min) = accept.net_pct_oracle_min
            && net.is_none_or(|net| net < min)
        {
            missed.push(format!("net < {min}"));
        }
        let dead = |f: &Figures| number(f.dead_avoidable);
        let maxima: [(&str, Option<f64>, Option<f64>); 4] = [
            ("p99", accept.p99_ms_max, runs.mean(|f| Some(f.p99_ms))),
            ("dead", accept.dead_avoidable_max, runs.mean(dead)),
            ("detect", accept.detect_s_max, runs.mean(|f| f.detect_s)),
            ("return", accept.return_s_max, runs.mean(|f| f.return_s)),
        ];
        for (name, max, value) in maxima {
            if let Some(max) = max
                && value.is_none_or(|value| value > max)
            {
                missed.push(format!("{name} > {max}"));
            }
        }
        missed
    }
}

/// A count as a number to reckon with.
fn number(count: impl ToString) -> Option<f64> {
    count.to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongdao_core::routing::replay::{Trace, replay};

    fn runs(router: Replayed) -> Runs {
        let trace = Trace::read(include_str!("../../../tests/fixtures/routing/low_traffic.json")).unwrap();
        Runs { scenario: trace.id.clone(), router, figures: vec![replay(&trace, 0, router)] }
    }

    fn reference(runs: &Runs, factor: f64) -> Reference {
        let figures = &runs.figures[0];
        let net: f64 = figures.net_cents.to_string().parse().unwrap();
        let (scenario, seed) = (&figures.scenario, figures.seed);
        let text = format!(
            "scenario,seed,policy,net_cents\n{scenario},{seed},oracle,{net}\n{scenario},{seed},{},{}\n",
            figures.router.as_str(),
            net * factor
        );
        Reference::parse(&text).unwrap()
    }

    #[test]
    fn a_router_that_strays_from_its_reference_is_named() {
        let runs = runs(Replayed::RoundRobin);
        assert!(reference(&runs, 1.001).strayed(&runs).is_empty());
        assert_eq!(reference(&runs, 0.99).strayed(&runs), ["+1.01 % off its reference"]);
    }

    #[test]
    fn each_missed_mark_is_named() {
        let runs = runs(Replayed::RoundRobin);
        let entry = |net: f64, p99: f64| {
            let text = format!(
                r#"{{"{}": {{"accept": {{"net_pct_oracle_min": {net}, "p99_ms_max": {p99}}}}}}}"#,
                runs.scenario
            );
            serde_json::from_str::<Marks>(&text).unwrap()
        };
        let reference = reference(&runs, 1.0);
        assert!(entry(99.9, 9000.0).missed(&runs, &reference).is_empty());
        assert_eq!(entry(100.1, 1.0).missed(&runs, &reference), ["net < 100.1", "p99 > 1"]);
    }

    #[test]
    fn the_headline_is_judged_once_all_traces_with_marks_are_there() {
        let ours = [runs(Replayed::Fuse)];
        let marks = |more: &str| {
            let text = format!(r#"{{"{}": {{"accept": {{}}}}{more}}}"#, ours[0].scenario);
            serde_json::from_str::<Marks>(&text).unwrap()
        };
        let dear = reference_with(&ours[0], "oracle", 1.02);
        assert_eq!(marks("").headline(&ours, &dear), ["mean net 98.04 < 99.3"]);
        assert!(marks(r#", "other": {"accept": {}}"#).headline(&ours, &dear).is_empty());
        assert!(marks("").headline(&ours, &reference_with(&ours[0], "oracle", 1.0)).is_empty());
    }

    #[test]
    fn a_static_order_that_earns_more_and_money_taken_twice_are_named() {
        let mut ours = runs(Replayed::Fuse);
        assert!(reference_with(&ours, "static_breaker", 1.005).always_missed(&ours).is_empty());
        ours.figures[0].double_payments = 1;
        let missed = reference_with(&ours, "static_breaker", 1.007).always_missed(&ours);
        assert_eq!(missed, ["payments taken twice", "0.70 under static_breaker"]);
    }

    #[test]
    fn our_own_oracle_stands_in_for_published_figures() {
        let oracle = runs(Replayed::Oracle);
        let reference = Reference::of_oracle_runs(std::slice::from_ref(&oracle)).unwrap();
        assert!((reference.of_oracle(&oracle.figures[0]).unwrap() - 100.0).abs() < 1e-9);
        assert!(Reference::of_oracle_runs(&[runs(Replayed::RoundRobin)]).is_none());
    }

    /// Figures of an oracle that reached what these runs did, and of another router some factor of it.
    fn reference_with(runs: &Runs, policy: &str, factor: f64) -> Reference {
        let figures = &runs.figures[0];
        let net: f64 = number(figures.net_cents).unwrap();
        let key = |policy: &str| (figures.scenario.clone(), figures.seed.to_string(), policy.to_owned());
        Reference { net: BTreeMap::from([(key("oracle"), net), (key(policy), net * factor)]) }
    }

    #[test]
    fn figures_without_columns_are_refused() {
        assert!(Reference::parse("a,b\n1,2\n").is_err());
        assert!(Reference::parse("scenario,seed,policy,net_cents\n").is_err());
    }
}
