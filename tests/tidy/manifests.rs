//! What the manifests and the lock file may say.
//!
//! Invariant: the crates depend in one direction, every version is a release, the index under the store is exactly the
//! one that was measured, and each package comes from the public index.

use crate::tree::{Offence, Tree};

/// A crate's manifest and the crates of ours that it may depend on, in any section.
const MAY_DEPEND: &[(&str, &[&str])] = &[
    ("core/Cargo.toml", &[]),
    ("providers/Cargo.toml", &["tongdao-core"]),
    ("sandbox/Cargo.toml", &[]),
    ("Cargo.toml", &["tongdao-core", "tongdao-providers", "tongdao-sandbox"]),
];
const SECTIONS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];
/// The index that cargo uses unless it is told otherwise.
const PUBLIC_INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Dependencies against the arrows.
pub(crate) fn directions(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (path, allowed) in MAY_DEPEND {
        let manifest = parsed(tree, path);
        let tables = SECTIONS.iter().filter_map(|section| manifest.get(*section)?.as_table());
        for name in tables.flat_map(|table| table.keys()).filter(|name| name.starts_with("tongdao")) {
            if !allowed.contains(&name.as_str()) {
                offences.push(Offence::new(path, 1, format!("{path} must not depend on {name}")));
            }
        }
    }
    offences
}

/// Versions that are no release, and an index under the store that was not measured.
pub(crate) fn versions(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (path, _) in MAY_DEPEND {
        let manifest = parsed(tree, path);
        let workspace = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
        let own = SECTIONS.iter().filter_map(|section| manifest.get(*section));
        let tables = own.chain(workspace).filter_map(|value| value.as_table());
        for (name, dependency) in tables.flatten() {
            let version = dependency.as_str().or_else(|| dependency.get("version")?.as_str()).unwrap_or_default();
            if version.contains('-') {
                offences.push(Offence::new(path, 1, format!("{name} = {version} is no release")));
            }
            if dependency.get("git").is_some() {
                offences.push(Offence::new(path, 1, format!("{name} comes from a repository, not from a release")));
            }
            if name == "sled" && !version.is_empty() && version != "=0.34.7" {
                offences.push(Offence::new(path, 1, "sled is pinned to =0.34.7: docs/decisions/0001 says why"));
            }
        }
    }
    if !tree.read("Cargo.toml").contains("sled = \"=0.34.7\"") {
        offences.push(Offence::new("Cargo.toml", 1, "sled is pinned to =0.34.7: docs/decisions/0001 says why"));
    }
    offences
}

/// Packages from elsewhere than the public index.
pub(crate) fn sources(tree: &Tree) -> Vec<Offence> {
    let lines = tree.read("Cargo.lock").lines().enumerate();
    let sources = lines.filter_map(|(n, line)| Some((n + 1, line.strip_prefix("source = \"")?.trim_end_matches('"'))));
    let foreign = sources.filter(|(_, source)| *source != PUBLIC_INDEX);
    foreign
        .map(|(line, source)| Offence::new("Cargo.lock", line, format!("{source} is not the public index")))
        .collect()
}

fn parsed(tree: &Tree, path: &str) -> toml::Table {
    tree.read(path).parse().expect("a manifest that cargo reads")
}
