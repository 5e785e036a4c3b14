//! What replayed runs are measured by: reference figures of each trace and seed, and the pass marks of each trace.
//!
//! Invariant: a figure without its reference counts as missed, never as met. It reads two files and judges; it knows
//! nothing of how the figures came about.

use super::replay::Runs;
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use tongdao_core::routing::replay::Figures;

/// Simple routers that stray further from their reference show a fault of the engine.
const STRAY_MAX_PCT: f64 = 0.15;

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

    fn share(&self, figures: &Figures, policy: &str) -> Option<f64> {
        let key = (figures.scenario.clone(), figures.seed.to_string(), policy.to_owned());
        let net: f64 = figures.net_cents.to_string().parse().ok()?;
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
        let dead = |f: &Figures| f.dead_avoidable.to_string().parse().ok();
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

#[cfg(test)]
mod tests {
    use super::*;
    use tongdao_core::routing::replay::{Replayed, Trace, replay};

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
    fn figures_without_columns_are_refused() {
        assert!(Reference::parse("a,b\n1,2\n").is_err());
        assert!(Reference::parse("scenario,seed,policy,net_cents\n").is_err());
    }
}
