//! A provider is one folder, a `mod` line and a `REGISTRY` line.
//!
//! Invariant: nothing of the rules, the flows, the API or the metrics names a provider, so that the next one is added
//! without touching them; and a notice, which moves money, is made only where its signature was verified.

use crate::tree::{Offence, RustFile, Tree};

/// Where a provider's name would be everybody's merge conflict.
const NAMELESS: &[&str] = &["core/src", "src/flow", "src/http", "src/worker", "src/metrics", "src/ports", "src/store"];
/// The API's contract names a provider: `payer.methods` and `payer.openid` are checked against it.
const NAMELESS_BUT: &[&str] = &[];

/// Folders that are not whole, and providers named elsewhere.
pub(crate) fn folders(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    let names: Vec<&str> = tree.rust.iter().filter_map(folder_of).collect();
    let registry = tree.read("providers/lib.rs");
    let list = registry.split_once("REGISTRY: &[Registration] = &[").map_or("", |(_, rest)| rest);
    let list: Vec<&str> = list.split(']').next().unwrap_or("").split(',').map(str::trim).collect();
    for name in &names {
        let folder = format!("providers/{name}");
        if tree.read(&format!("{folder}/README.md")).is_empty() {
            offences.push(Offence::new(
                &folder,
                1,
                "a provider has a README.md: the protocol's facts and their sections",
            ));
        }
        let fixtures = format!("{folder}/fixtures/");
        let others = tree.others.iter().map(String::as_str);
        if !tree.text.iter().map(|file| file.path.as_str()).chain(others).any(|path| path.starts_with(&fixtures)) {
            offences.push(Offence::new(&folder, 1, "a provider has fixtures/: published or recorded messages"));
        }
        let entry = format!("{name}::REGISTRATION");
        let (listed, declared) = (
            list.iter().filter(|listed| **listed == entry).count(),
            registry.lines().filter(|line| *line == format!("mod {name};")).count(),
        );
        if (listed, declared) != (1, 1) {
            let rule = format!("{name} has {declared} mod lines and {listed} REGISTRY lines; it needs one of each");
            offences.push(Offence::new("providers/lib.rs", 1, rule));
        }
    }
    offences.extend(named_elsewhere(tree, &names));
    offences
}

/// `Notice::verified` outside a provider's callback reader.
pub(crate) fn notices(tree: &Tree) -> Vec<Offence> {
    let allowed = |file: &&RustFile| {
        file.path == "core/src/provider/callback.rs"
            || (file.path.starts_with("providers/") && file.path.ends_with("/callback.rs"))
    };
    let mut offences = Vec::new();
    for file in tree.rust.iter().filter(|file| !allowed(file)) {
        let tokens = file.production();
        let made = tokens.windows(4).filter(|w| w[0].text == "Notice" && w[1].text == ":" && w[3].text == "verified");
        let rule = "a notice is made only in a provider's callback.rs, behind its signature";
        offences.extend(made.map(|w| Offence::new(&file.path, w[0].line, rule)));
    }
    offences
}

fn folder_of(file: &RustFile) -> Option<&str> {
    let name = file.path.strip_prefix("providers/")?.strip_suffix("/mod.rs")?;
    (!name.contains('/')).then_some(name)
}

fn named_elsewhere(tree: &Tree, names: &[&str]) -> Vec<Offence> {
    let mut offences = Vec::new();
    let nameless =
        |file: &&RustFile| NAMELESS.iter().any(|area| file.is_in(area)) && !NAMELESS_BUT.contains(&&*file.path);
    for file in tree.rust.iter().filter(nameless) {
        for token in file.production() {
            if names.iter().any(|name| token.text.eq_ignore_ascii_case(name)) {
                let rule = format!("`{}` in code: a provider is named in its folder and the registry only", token.text);
                offences.push(Offence::new(&file.path, token.line, rule));
            }
        }
    }
    offences
}
