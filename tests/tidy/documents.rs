//! What the documents promise: that the commands are shown, links lead somewhere, named metrics exist, every runbook
//! entry starts with what to type.
//!
//! Invariant: a document is held to the tree it lies in. Whether its sentences are true is for its readers; whether the
//! names in it exist is checked here.

use crate::tree::{Offence, TextFile, Tree};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use std::collections::BTreeSet;

const READMES: &[&str] = &["README.md", "README.zh-CN.md"];
const COMMANDS: &[&str] = &["cargo run --release", "bash tests/run.sh", "cargo run --release -- demo"];
const SECTIONS: &[&str] = &["### Safety", "### Features", "### Internals"];
const DECISION_PARTS: &[&str] = &["## Why", "## Decision", "## What follows"];

/// A changelog without its sections.
pub(crate) fn changelog(tree: &Tree) -> Vec<Offence> {
    let text = tree.read("CHANGELOG.md");
    let missing = SECTIONS.iter().filter(|section| !text.lines().any(|line| line == **section));
    missing.map(|section| Offence::new("CHANGELOG.md", 1, format!("has no section `{section}`"))).collect()
}

/// A front page without the commands, or two that show different ones.
pub(crate) fn readme(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for path in READMES {
        let shown = commands(tree.read(path));
        for command in COMMANDS.iter().filter(|command| !shown.iter().any(|line| line == *command)) {
            offences.push(Offence::new(path, 1, format!("does not show `{command}`")));
        }
    }
    let [english, chinese] = [commands(tree.read(READMES[0])), commands(tree.read(READMES[1]))];
    if english != chinese {
        let only: Vec<&String> = english.symmetric_difference(&chinese).collect();
        offences.push(Offence::new(READMES[1], 1, format!("the two front pages differ in their commands: {only:?}")));
    }
    offences
}

/// Relative links to files or headings that do not exist.
pub(crate) fn links(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.text.iter().filter(|file| file.path.ends_with(".md")) {
        for (n, line) in file.text.lines().enumerate() {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            for target in targets.filter(|target| !target.contains("://")) {
                if !leads_somewhere(tree, file, target) {
                    offences.push(Offence::new(&file.path, n + 1, format!("the link to {target} leads nowhere")));
                }
            }
        }
    }
    offences
}

/// Metrics that documents name and nothing exports.
pub(crate) fn metrics(tree: &Tree) -> Vec<Offence> {
    let exported = tree.read("src/metrics/families.rs");
    let mut offences = Vec::new();
    for file in tree.text.iter().filter(|file| is_document(&file.path)) {
        for (n, line) in file.text.lines().enumerate() {
            for name in line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| is_metric(word)) {
                let family =
                    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
                if !exported.contains(&format!("\"{name}\"")) && !exported.contains(&format!("\"{family}\"")) {
                    offences.push(Offence::new(&file.path, n + 1, format!("no metric is called {name}")));
                }
            }
        }
    }
    offences
}

/// Commands in documents that the command line does not understand.
pub(crate) fn command_lines(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.text.iter().filter(|file| is_document(&file.path)) {
        let mut typed = false;
        for (n, line) in file.text.lines().enumerate() {
            if line.starts_with("```") {
                typed = line == "```sh";
                continue;
            }
            // In a block a line is typed as it stands; in a sentence a command is named, perhaps without its arguments.
            let spans: Vec<&str> = if typed { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
            let commands = spans.iter().flat_map(|span| span.split(['|', '&', '#']));
            let faults = commands.filter_map(|command| fault_of(&own_arguments(command)?, typed));
            offences.extend(faults.map(|rule| Offence::new(&file.path, n + 1, rule)));
        }
    }
    offences
}

/// Runbook entries that do not start with what to type.
pub(crate) fn runbook(tree: &Tree) -> Vec<Offence> {
    let lines: Vec<&str> = tree.read("docs/runbook.md").lines().collect();
    let mut offences = Vec::new();
    let mut entries = 0;
    for (n, _) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("### ")) {
        entries += 1;
        let body: Vec<&&str> = lines[n + 1..].iter().filter(|line| !line.trim().is_empty()).take(2).collect();
        let starts = matches!(body.as_slice(), [fence, line] if **fence == "```sh" && !line.starts_with('#'));
        if !starts {
            offences.push(Offence::new("docs/runbook.md", n + 1, "an entry starts with the exact command line"));
        }
    }
    if entries < 5 {
        offences.push(Offence::new("docs/runbook.md", 1, format!("has {entries} entries (`###`)")));
    }
    offences
}

/// Decisions without their reasons.
pub(crate) fn decisions(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    let pages: Vec<&TextFile> = tree.text.iter().filter(|file| file.path.starts_with("docs/decisions/")).collect();
    if pages.is_empty() {
        offences.push(Offence::new("docs/decisions", 1, "has no page"));
    }
    for page in pages {
        for part in DECISION_PARTS.iter().filter(|part| !page.text.lines().any(|line| line == **part)) {
            offences.push(Offence::new(&page.path, 1, format!("has no `{part}`")));
        }
    }
    offences
}

fn is_document(path: &str) -> bool {
    path.ends_with(".md") && !path.starts_with("tests/")
}

/// The arguments of a command line of ours, its name first; `None` for anybody else's.
fn own_arguments(line: &str) -> Option<Vec<&str>> {
    let line = line.trim();
    let own = ["tongdao ", "target/release/tongdao ", "cargo run --release -- ", "cargo run -- "];
    let rest = own.iter().find_map(|start| line.strip_prefix(start))?;
    let words = rest.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    Some(std::iter::once("tongdao").chain(words).collect())
}

/// What the command line says against the arguments.
fn fault_of(arguments: &[&str], typed: bool) -> Option<String> {
    const ARGUMENTS_MISSING: &[ErrorKind] = &[
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let fault = tongdao::cli::Cli::command().try_get_matches_from(arguments).err()?;
    let kind = fault.kind();
    let understood = kind == ErrorKind::DisplayHelp || (!typed && ARGUMENTS_MISSING.contains(&kind));
    let said = fault.to_string();
    let said = said.lines().next().unwrap_or_default();
    (!understood).then(|| format!("`{}` is not understood: {said}", arguments.join(" ")))
}

/// `tongdao_…` with a unit or a count behind it; crates and modules have neither.
fn is_metric(word: &str) -> bool {
    word.strip_prefix("tongdao_").is_some_and(|rest| rest.contains('_')) && !word.ends_with('_')
}

/// The lines that a reader is to type: `sh` blocks without comments.
fn commands(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => {
                let typed = line.split(" #").next().unwrap_or(line).trim();
                if !typed.is_empty() && !typed.starts_with('#') {
                    found.insert(typed.to_owned());
                }
            }
            _ => {}
        }
    }
    found
}

fn leads_somewhere(tree: &Tree, from: &TextFile, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = from.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if path.is_empty() { from.path.clone() } else { joined(folder, path) };
    let there = tree.root.join(&path).exists();
    there && (anchor.is_empty() || tree.read(&path).lines().any(|line| anchor_of(line).as_deref() == Some(anchor)))
}

fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchor that a heading gets where Markdown is shown.
fn anchor_of(line: &str) -> Option<String> {
    let title = line.starts_with('#').then(|| line.trim_start_matches('#').trim())?;
    let kept = title
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    Some(kept.replace(' ', "-"))
}

#[test]
fn headings_and_paths_are_read_as_a_browser_does() {
    assert_eq!(anchor_of("## Paid, and not delivered").as_deref(), Some("paid-and-not-delivered"));
    assert_eq!(anchor_of("no heading"), None);
    assert_eq!(joined("docs/decisions", "../runbook.md"), "docs/runbook.md");
}
