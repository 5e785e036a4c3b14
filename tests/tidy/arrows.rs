//! Who may know whom: modules of the daemon, foreign libraries, concrete adapters.
//!
//! Invariant: the arrows of ARCHITECTURE.md are tables here. A rule looks at code that is compiled outside of tests:
//! a test may put any two parts together.

use crate::lexer::Token;
use crate::tree::{Offence, RustFile, Tree};

/// What a part of the daemon must not name.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("src/ports", &["flow", "http", "cli", "worker", "store", "transport", "daemon", "config", "metrics"]),
    ("src/flow", &["http", "cli", "worker", "store", "transport", "daemon"]),
    ("src/http", &["store", "transport", "cli", "daemon", "worker"]),
    ("src/worker", &["store", "transport", "cli", "daemon", "http"]),
    ("src/cli", &["store", "transport", "worker"]),
    ("src/store", &["flow", "http", "cli", "worker", "transport", "daemon", "config"]),
    ("src/transport", &["flow", "http", "cli", "worker", "store", "daemon"]),
    ("src/config", &["flow", "http", "cli", "worker", "store", "daemon"]),
    ("src/metrics", &["flow", "http", "cli", "worker", "store", "transport", "daemon", "config"]),
    ("src/clock", &["flow", "http", "cli", "worker", "store", "transport", "daemon", "config"]),
    ("src/tasks", &["flow", "http", "cli", "worker", "store", "transport", "daemon", "config"]),
];

/// What an area may name all the same, with the reason: (area, module or library, item).
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    // Whether a URL may be called is a rule without I/O; the configuration, the API and the flows refuse with it early.
    ("src", "transport", "check_webhook_url"),
    // The journal's commands work on a directory that no daemon has open: there is no port to go through.
    ("src/cli", "store", "offline"),
    // The list of what is built in: a request names a provider, and is told which there are.
    ("src/http", "tongdao_providers", "REGISTRY"),
    // A URL parser, without the client around it.
    ("src", "reqwest", "Url"),
];

/// A library's crate name and the areas that may name it.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("anyhow", &["src/main", "src/cli", "src/demo", "src/load"]),
    ("axum", &["src/http", "src/demo", "src/load", "sandbox/src"]),
    ("clap", &["src/main", "src/cli", "src/demo", "src/load"]),
    ("governor", &["src/transport", "src/http"]),
    // A file that a person hands in is sent while it is read: the body of a request of ours.
    ("hyper", &["src/http", "src/transport", "src/client", "src/cli", "sandbox/src"]),
    ("hyper_util", &["src/http", "src/transport", "src/cli", "sandbox/src"]),
    ("prometheus", &["src/metrics"]),
    // The daemon's one sender is the transport; client and cli are the other side of its own API.
    ("reqwest", &["src/transport", "src/client", "src/cli", "src/demo", "src/load", "sandbox/src"]),
    ("sled", &["src/store"]),
    ("tongdao_sandbox", &["src/daemon", "src/demo", "src/load"]),
    ("tongdao_providers", &["src/config", "src/daemon"]),
];

/// What rules and protocols have no use for: `std` modules and names, and libraries.
const IMPURE_STD: &[&str] = &["fs", "thread", "process", "env"];
const IMPURE_NAMES: &[&str] = &[
    "SystemTime",
    "Instant",
    "HashMap",
    "HashSet",
    "RandomState",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "ToSocketAddrs",
    "tokio",
    "reqwest",
    "axum",
    "hyper",
    "getrandom",
];

/// A concrete adapter and the areas that may name it.
const ADAPTERS: &[(&str, &[&str])] = &[
    ("HttpTransport", &["src/daemon", "src/transport"]),
    ("EmbeddedEngine", &["src/daemon", "src/store"]),
    ("MemoryEngine", &["src/daemon", "src/store"]),
    ("RecordStore", &["src/daemon", "src/store"]),
    // A client signs with a nonce of its own: there is no flow behind it to ask.
    ("SystemRng", &["src/daemon", "src/random", "src/client", "src/cli", "src/demo"]),
];

/// The arrows between the daemon's own modules.
pub(crate) fn modules(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in &tree.rust {
        for (area, forbidden) in FORBIDDEN.iter().filter(|(area, _)| file.is_in(area)) {
            let named = named_modules(file).into_iter().filter(|named| forbidden.contains(&named.module.as_str()));
            for named in named.filter(|named| !is_excepted(file, &named.module, &named.item)) {
                let rule = format!("{area} must not know crate::{}", named.module);
                offences.push(Offence::new(&file.path, named.line, rule));
            }
        }
    }
    offences
}

/// Libraries outside their place, and a world inside the rules and protocols.
pub(crate) fn libraries(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in &tree.rust {
        let tokens = file.production();
        let pure = file.is_in("core/src") || file.is_in("providers");
        for (at, token) in tokens.iter().enumerate() {
            let rooted = follows(&tokens, at, &[":", ":"]) && !preceded_by_path(&tokens, at);
            let place = LIBRARIES.iter().find(|(name, _)| *name == token.text && rooted);
            let item = tokens.get(at + 3).map_or("", |token| token.text.as_str());
            let place = place.filter(|(name, _)| !is_excepted(file, name, item));
            if let Some((name, areas)) = place.filter(|(_, areas)| !areas.iter().any(|area| file.is_in(area))) {
                let rule = format!("{name} stays in {}", areas.join(", "));
                offences.push(Offence::new(&file.path, token.line, rule));
            }
            if pure && IMPURE_NAMES.contains(&token.text.as_str()) {
                let rule = format!("{} has no place in a pure crate", token.text);
                offences.push(Offence::new(&file.path, token.line, rule));
            }
        }
        if pure {
            let impure = children_of(&tokens, "std").into_iter().filter(|n| IMPURE_STD.contains(&n.module.as_str()));
            offences
                .extend(impure.map(|n| Offence::new(&file.path, n.line, format!("std::{} is the world", n.module))));
        }
    }
    offences
}

/// Concrete adapters named outside their own module and the composition root.
pub(crate) fn adapters(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.rust.iter().filter(|file| file.is_in("src")) {
        for token in file.production() {
            let adapter = ADAPTERS.iter().find(|(name, _)| *name == token.text);
            if adapter.is_some_and(|(_, areas)| !areas.iter().any(|area| file.is_in(area))) {
                let rule = format!("{} is a concrete adapter: only daemon.rs puts one in", token.text);
                offences.push(Offence::new(&file.path, token.line, rule));
            }
        }
    }
    offences
}

fn is_excepted(file: &RustFile, module: &str, item: &str) -> bool {
    EXCEPTIONS.iter().any(|(area, of, named)| file.is_in(area) && *of == module && *named == item)
}

#[derive(Debug, PartialEq, Eq)]
struct Named {
    module: String,
    /// The name after it, where one follows.
    item: String,
    line: usize,
}

/// The modules at the crate's root that a file names, by `crate::` or by climbing.
fn named_modules(file: &RustFile) -> Vec<Named> {
    let tokens = file.production();
    let mut named = children_of(&tokens, "crate");
    let depth = file.path.trim_start_matches("src/").split('/').count();
    named.extend(climbs(&tokens, depth));
    named
}

/// What follows `root::`, also within braces: `root::{a::b, c}` names a and c.
fn children_of(tokens: &[Token], root: &str) -> Vec<Named> {
    let starts = (0..tokens.len()).filter(|at| tokens[*at].text == root && !preceded_by_path(tokens, *at));
    let behind = starts.filter(|at| follows(tokens, *at, &[":", ":"]));
    behind.flat_map(|at| first_names(tokens, at + 3)).collect()
}

/// What follows `depth` times `super::`: the crate's root for a file that lies that deep.
fn climbs(tokens: &[Token], depth: usize) -> Vec<Named> {
    let step = ["super", ":", ":"];
    let chain: Vec<&str> = step.iter().copied().cycle().take(3 * depth).collect();
    let is_chain =
        |at: &usize| tokens[*at..].iter().map(|t| t.text.as_str()).take(chain.len()).eq(chain.iter().copied());
    let starts = (0..tokens.len()).filter(|at| !preceded_by_path(tokens, *at)).filter(is_chain);
    starts.flat_map(|at| first_names(tokens, at + chain.len())).collect()
}

fn first_names(tokens: &[Token], at: usize) -> Vec<Named> {
    let named = |at: usize| {
        let token = tokens.get(at)?;
        let item = if follows(tokens, at, &[":", ":"]) { tokens.get(at + 3).map(|t| t.text.clone()) } else { None };
        token.is_word().then(|| Named { module: token.text.clone(), item: item.unwrap_or_default(), line: token.line })
    };
    if tokens.get(at).is_none_or(|token| token.text != "{") {
        return named(at).into_iter().collect();
    }
    let mut names = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(token.text.as_str(), "{" | ",") {
            names.extend(named(at + 1));
        }
    }
    names
}

fn follows(tokens: &[Token], at: usize, expected: &[&str]) -> bool {
    expected.iter().enumerate().all(|(n, text)| tokens.get(at + 1 + n).is_some_and(|token| token.text == *text))
}

/// Whether the name is the continuation of a path (`a::name`) rather than its start.
fn preceded_by_path(tokens: &[Token], at: usize) -> bool {
    at >= 3 && tokens[at - 1].text == ":" && tokens[at - 2].text == ":" && tokens[at - 3].is_word()
}

#[test]
fn names_are_found_in_every_way_to_write_them() {
    let tokens = crate::lexer::tokens("use crate::{store::X, flow}; fn f() { crate::http::g(); a::crate::no() }");
    let names: Vec<String> = children_of(&tokens, "crate").into_iter().map(|named| named.module).collect();
    assert_eq!(names, ["store", "flow", "http"]);
    let tokens = crate::lexer::tokens("use super::super::store::X; use super::y;");
    assert_eq!(climbs(&tokens, 2), [Named { module: "store".into(), item: "X".into(), line: 1 }]);
}
