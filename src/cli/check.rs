//! `tongdao check`: everything that can be known before a start, and on a live daemon too.
//!
//! Invariant: it changes nothing and calls no provider; each failure carries its cause and its mend; exit code 1 when
//! something would keep money from moving, 64 when the configuration itself is wrong.

mod local;
mod look;

use super::Context;
use super::exit::{Exit, Stop};
use super::out::{Out, Tone};
use super::show;
use clap::Args;
use serde_json::{Value, json};

/// How far to look.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tongdao check --config /etc/tongdao.toml\n  tongdao check --json | jq '.findings[] | select(.level != \"fine\")'"
)]
pub(crate) struct CheckArgs {
    /// Do not look whether the merchants' notify URLs can be reached
    #[arg(long)]
    offline: bool,
}

/// How a finding is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Fine,
    Warn,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    category: &'static str,
    level: Level,
    text: String,
    mend: Option<String>,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn fine(&mut self, category: &'static str, text: impl Into<String>) {
        self.0.push(Finding { category, level: Level::Fine, text: text.into(), mend: None });
    }

    fn warn(&mut self, category: &'static str, text: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { category, level: Level::Warn, text: text.into(), mend: Some(mend.into()) });
    }

    fn bad(&mut self, category: &'static str, text: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { category, level: Level::Bad, text: text.into(), mend: Some(mend.into()) });
    }
}

pub(crate) async fn run(context: &Context, args: &CheckArgs) -> anyhow::Result<Exit> {
    let mut findings = Findings::default();
    let config = match context.load_config() {
        Ok(config) => Some(config),
        Err(Stop::BadConfig(faults)) => {
            for fault in &faults.list {
                findings.bad(
                    "configuration",
                    format!("{}: {fault}", faults.name),
                    "mend the line; then: tongdao config check",
                );
            }
            None
        }
        Err(stop @ Stop::NotMade) => {
            findings.bad("configuration", stop.to_string(), "tongdao serve, or tongdao check --config FILE");
            None
        }
        Err(other) => return Err(other.into()),
    };
    let alive = look::daemon(context, &mut findings).await;
    if let Some(config) = &config {
        local::configuration(config, &mut findings);
        local::keys(config, &mut findings);
        local::clock(&mut findings);
        local::store(config, &mut findings);
        look::listeners(config, alive, &mut findings);
        look::network(config, !args.offline, &mut findings).await;
    }
    context.out.either(&document(&findings), || drawn(&context.out, &findings))?;
    Ok(verdict(&findings, config.is_some()))
}

fn verdict(findings: &Findings, config_is_good: bool) -> Exit {
    match findings.0.iter().any(|finding| finding.level == Level::Bad) {
        _ if !config_is_good => Exit::BadConfig,
        true => Exit::Problem,
        false => Exit::Fine,
    }
}

fn document(findings: &Findings) -> Value {
    let level = |level| match level {
        Level::Fine => "fine",
        Level::Warn => "warning",
        Level::Bad => "problem",
    };
    let list = findings.0.iter().map(|finding| {
        let Finding { category, level: meant, text, mend } = finding;
        json!({ "category": category, "level": level(*meant), "text": text, "mend": mend })
    });
    json!({ "findings": list.collect::<Vec<Value>>() })
}

fn drawn(out: &Out, findings: &Findings) -> String {
    let mut lines = Vec::new();
    let mut categories: Vec<&str> = Vec::new();
    for finding in &findings.0 {
        if !categories.contains(&finding.category) {
            categories.push(finding.category);
        }
    }
    for category in categories {
        lines.push(out.paint(Tone::Strong, category));
        for finding in findings.0.iter().filter(|finding| finding.category == category) {
            let (mark, tone) = match finding.level {
                Level::Fine => ("√", Tone::Good),
                Level::Warn => ("‼", Tone::Warn),
                Level::Bad => ("×", Tone::Bad),
            };
            lines.push(format!("  {} {}", out.paint(tone, mark), finding.text));
            lines.extend(finding.mend.iter().map(|mend| format!("      mend: {mend}")));
        }
    }
    let count = |level| findings.0.iter().filter(|finding| finding.level == level).count();
    lines.push(format!(
        "\n{}, {}",
        show::count(count(Level::Bad), "problem"),
        show::count(count(Level::Warn), "warning")
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let mut findings = Findings::default();
        findings.fine("configuration", "config.toml: 1 merchants, 3 channels");
        findings.warn("keys", "wechat-main: the platform certificate ends in 9 days", "ask for a new one");
        findings.fine("keys", "wechat-main signs");
        findings.bad("listeners", "127.0.0.1:8080 is taken", "stop the other process");
        findings
    }

    #[test]
    fn findings_stand_under_their_category_with_the_mend_below() {
        insta::assert_snapshot!(drawn(&Out::plain(), &findings()));
    }

    #[test]
    fn only_a_problem_fails_the_check() {
        assert_eq!(verdict(&findings(), true), Exit::Problem);
        assert_eq!(verdict(&findings(), false), Exit::BadConfig);
        let mut mild = Findings::default();
        mild.warn("keys", "soon", "later");
        assert_eq!(verdict(&mild, true), Exit::Fine);
    }
}
