//! The figures of a run: named numbers with a unit, the ratio to a floor and the mark that they should meet.
//!
//! Invariant: a name means the same in every run, so two files can be compared; what went wrong is counted here and
//! makes the run unsound, however good its figures.

use super::compare::change;
use crate::demo::narrator::table;
use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What a figure should meet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mark {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

/// One figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) unit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mark: Option<Mark>,
}

/// All of them, in the order in which they were taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    order: Vec<String>,
    figures: BTreeMap<String, Figure>,
    /// What was refused, lost or wrong, and how often.
    troubles: BTreeMap<String, u64>,
}

impl Figures {
    /// Reads the file of an earlier run.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} holds no figures of a bench", path.display()))
    }

    /// Writes them for a later comparison.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Takes a figure.
    pub(crate) fn put(&mut self, name: impl Into<String>, value: f64, unit: &str) {
        self.add(name.into(), value, unit, None);
    }

    /// Takes a figure that should meet a mark.
    pub(crate) fn put_marked(&mut self, name: impl Into<String>, value: f64, unit: &str, mark: Mark) {
        self.add(name.into(), value, unit, Some(mark));
    }

    /// Takes the quantiles of latencies in microseconds, as milliseconds.
    pub(crate) fn put_latency(&mut self, name: &str, latency: &Histogram<u64>, marks: [Option<Mark>; 2]) {
        let ms = |micros: u64| micros_to_ms(micros);
        for (quantile, label, mark) in [(0.5, "p50", marks[0]), (0.99, "p99", marks[1]), (0.999, "p99.9", None)] {
            self.add(format!("{name} {label}"), ms(latency.value_at_quantile(quantile)), "ms", mark);
        }
        self.add(format!("{name} max"), ms(latency.max()), "ms", None);
    }

    /// Counts something that went wrong.
    pub(crate) fn trouble(&mut self, what: impl Into<String>, times: u64) {
        if times > 0 {
            let count = self.troubles.entry(what.into()).or_default();
            *count = count.saturating_add(times);
        }
    }

    /// A figure's value, taken before.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.figures.get(name).map(|figure| figure.value)
    }

    /// Whether nothing went wrong.
    pub(crate) fn is_sound(&self) -> bool {
        self.troubles.is_empty()
    }

    /// The table for people, with an earlier run beside it.
    pub(crate) fn table(&self, earlier: Option<&Self>) -> String {
        let taken = self.order.iter().filter_map(|name| self.figures.get(name).map(|figure| (name, figure)));
        let rows = taken.map(|(name, figure)| {
            let before = earlier.and_then(|earlier| earlier.value(name));
            let (mark, met) = figure.mark.map_or_else(Default::default, |mark| mark.judge(figure.value));
            let shown = format!("{} {}", number(figure.value), figure.unit);
            vec![name.clone(), shown, mark, met, before.map_or_else(String::new, |old| change(old, figure.value))]
        });
        let mut text = table(&["figure", "value", "mark", "", "earlier"], rows.collect());
        for (what, times) in &self.troubles {
            text.push_str(&format!("\n× {what}: {times}"));
        }
        text
    }

    fn add(&mut self, name: String, value: f64, unit: &str, mark: Option<Mark>) {
        if !self.figures.contains_key(&name) {
            self.order.push(name.clone());
        }
        self.figures.insert(name, Figure { value, unit: unit.to_owned(), mark });
    }
}

impl Mark {
    fn judge(self, value: f64) -> (String, String) {
        let (text, met) = match self {
            Self::AtMost(limit) => (format!("<= {}", number(limit)), value <= limit),
            Self::AtLeast(limit) => (format!(">= {}", number(limit)), value >= limit),
        };
        (text, if met { "√".to_owned() } else { "×".to_owned() })
    }
}

/// Whole numbers from a hundred on, two places below.
pub(crate) fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn micros_to_ms(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_a_trouble_is_not_sound_and_says_so() {
        let mut figures = Figures::default();
        figures.put_marked("creates", 812.4, "/s", Mark::AtLeast(900.0));
        assert!(figures.is_sound());
        figures.trouble("status 500", 2);
        let text = figures.table(None);
        assert!(!figures.is_sound() && text.contains("× status 500: 2") && text.contains(">= 900"), "{text}");
    }

    #[test]
    fn figures_are_read_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("figures.json");
        let mut figures = Figures::default();
        figures.put("a", 1.5, "ms");
        figures.write(&path).unwrap();
        assert_eq!(Figures::read(&path).unwrap().value("a"), Some(1.5));
        assert!(Figures::read(&dir.path().join("none")).is_err());
    }
}
