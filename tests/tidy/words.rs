//! Which words stand in names, and which must not stand anywhere.
//!
//! Invariant: names are judged where they are defined, never where a library's name is used. A provider's own spelling
//! on the wire is kept and listed here with its reason.

use crate::lexer::Token;
use crate::tree::{Offence, Tree};

/// Parts of a name that say nothing.
const EMPTY_WORDS: &[&str] =
    &["manager", "helper", "helpers", "util", "utils", "common", "misc", "data", "process", "processes", "processor"];

/// Names that are not ours to choose: (the file's beginning, the name).
const FOREIGN_NAMES: &[(&str, &str)] = &[
    // WeChat Pay's spelling of a resource's additional data.
    ("providers/wechatpay/", "associated_data"),
    ("sandbox/src/wechatpay/", "associated_data"),
    // WeChat Pay's list of platform certificates.
    ("providers/wechatpay/wire.rs", "data"),
    // The associated type of hyper's `Body`.
    ("src/transport/sending.rs", "Data"),
    // The API's lists, batches and webhooks carry their content in `data` (Standard Webhooks, and our contract).
    ("src/http/", "data"),
    ("src/http.rs", "data"),
    ("src/cli/", "data"),
    ("src/flow/webhook_body.rs", "data"),
];

const DEFINING: &[&str] =
    &["fn", "struct", "enum", "trait", "mod", "type", "const", "static", "union", "let", "macro_rules"];
/// What may stand between a defining word and the name.
const BETWEEN: &[&str] = &["mut", "ref", "!"];

/// Definitions and files named with an empty word.
pub(crate) fn names(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in &tree.rust {
        for (kind, token) in definitions(&file.production()) {
            let foreign = FOREIGN_NAMES.iter().any(|(start, name)| file.path.starts_with(start) && *name == token.text);
            if let Some(rule) = fault_of(&token.text, kind, file.is_in("src/http")).filter(|_| !foreign) {
                offences.push(Offence::new(&file.path, token.line, rule));
            }
        }
    }
    let named = tree.rust.iter().map(|file| file.path.as_str()).chain(tree.others.iter().map(String::as_str));
    for path in named.filter(|path| !path.contains("/fixtures")) {
        let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
        if let Some(word) = parts(name).into_iter().find(|part| EMPTY_WORDS.contains(&part.as_str())) {
            offences.push(Offence::new(path, 1, format!("`{word}` in a file's name says nothing")));
        }
    }
    offences
}

/// Macros and attributes of work that is not done, and checks that are switched off.
pub(crate) fn leftovers(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in &tree.rust {
        for (at, token) in file.tokens.iter().enumerate() {
            let next = file.tokens.get(at + 1).map_or("", |token| token.text.as_str());
            let attribute = at >= 2 && file.tokens[at - 1].text == "[" && file.tokens[at - 2].text == "#";
            let rule = match token.text.as_str() {
                "todo" | "unimplemented" | "dbg" if next == "!" => format!("`{}!` is work not done", token.text),
                "ignore" if attribute => "a test that does not run is no test".to_owned(),
                text if text.starts_with("danger_accept_invalid") => "certificates are always verified".to_owned(),
                _ => continue,
            };
            offences.push(Offence::new(&file.path, token.line, rule));
        }
    }
    offences
}

/// Marks of a merge that nobody finished.
pub(crate) fn unfinished_merges(tree: &Tree) -> Vec<Offence> {
    let marks = ["<", ">", "|"].map(|mark| format!("{} ", mark.repeat(7)));
    let mut offences = Vec::new();
    for file in &tree.text {
        let lines = file.text.lines().enumerate();
        let marked = lines.filter(|(_, line)| marks.iter().any(|mark| line.starts_with(mark)));
        offences.extend(marked.map(|(n, _)| Offence::new(&file.path, n + 1, "a merge was not finished here")));
    }
    offences
}

/// Test files without a test: a promise of one that nobody kept.
pub(crate) fn empty_tests(tree: &Tree) -> Vec<Offence> {
    let is_test = |text: &str| ["test", "rstest", "proptest", "mod"].contains(&text);
    let files = tree.rust.iter().filter(|file| file.path.ends_with("/tests.rs"));
    let empty = files.filter(|file| !file.tokens.iter().any(|token| is_test(&token.text)));
    empty.map(|file| Offence::new(&file.path, 1, "a file of tests without a test")).collect()
}

/// Paths of the machine that something was written on, and settings of a private package index.
pub(crate) fn machine(tree: &Tree) -> Vec<Offence> {
    // In halves, so that this file does not offend against itself.
    let folders: Vec<String> = ["work", "root", "home", "Users"].iter().map(|name| format!("/{name}/")).collect();
    let settings = ["index-url", "find-links", "replace-with", "--registry", "[source."];
    let mut offences = Vec::new();
    let own = |path: &str| path.starts_with("tests/tidy") || path == "Cargo.lock";
    for file in tree.text.iter().filter(|file| !own(&file.path)) {
        for (n, line) in file.text.lines().enumerate() {
            if folders.iter().any(|folder| names_path(line, folder)) {
                offences.push(Offence::new(&file.path, n + 1, "a path of somebody's machine"));
            }
            if !file.path.ends_with(".rs") && settings.iter().any(|setting| line.contains(setting)) {
                offences.push(Offence::new(&file.path, n + 1, "where packages come from is the machine's business"));
            }
        }
    }
    offences
}

/// Whether the folder stands at the beginning of a path in the line (not after another folder's name).
fn names_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-/}>*".contains(c)))
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    Other,
}

fn fault_of(name: &str, kind: Kind, in_http: bool) -> Option<String> {
    let parts = parts(name);
    let first = parts.first().map_or("", String::as_str);
    if first == "get" && parts.len() > 1 {
        return Some(format!("`{name}`: a getter is named by what it returns"));
    }
    if kind == Kind::Function && first == "handle" && !in_http {
        return Some(format!("`{name}`: handle_ stays in http"));
    }
    let empty = parts.iter().find(|part| EMPTY_WORDS.contains(&part.as_str()))?;
    Some(format!("`{name}`: `{empty}` says nothing"))
}

/// Names where they are defined: items, locals, fields and parameters.
fn definitions(tokens: &[Token]) -> Vec<(Kind, &Token)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| is_name(token)) {
        let before = tokens[..at].iter().rev().find(|token| !BETWEEN.contains(&token.text.as_str()));
        let before = before.map_or("", |token| token.text.as_str());
        let next = |n: usize| tokens.get(at + n).map_or("", |token| token.text.as_str());
        let typed = next(1) == ":" && next(2) != ":";
        if before == "fn" {
            found.push((Kind::Function, token));
        } else if DEFINING.contains(&before) || (typed && matches!(before, "{" | "(" | "," | ")" | "]" | "pub" | "|")) {
            found.push((Kind::Other, token));
        }
    }
    found
}

fn is_name(token: &Token) -> bool {
    token.is_word() && !BETWEEN.contains(&token.text.as_str())
}

/// The words of a name, in lower case: `HttpCall` and `http_call` are `http` and `call`.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let starts = c == '_' || c == '-' || c == '.' || (c.is_uppercase() && was_lower);
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        if starts {
            parts.push(String::new());
        }
        if c.is_alphanumeric() {
            parts.last_mut().expect("one part").extend(c.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[test]
fn a_name_is_judged_by_its_words() {
    for bad in ["get_charge", "ChargeManager", "raw_data", "process_callback", "StringUtils"] {
        assert!(fault_of(bad, Kind::Function, false).is_some(), "{bad}");
    }
    for good in ["get", "target_of", "processed", "dataset", "metadata", "budget_ms", "Handle"] {
        assert_eq!(fault_of(good, Kind::Other, false), None, "{good}");
    }
    assert!(fault_of("handle_create", Kind::Function, false).is_some());
    assert_eq!(fault_of("handle_create", Kind::Function, true), None);
}

#[test]
fn a_name_counts_where_it_is_defined() {
    let tokens =
        crate::lexer::tokens("fn a(data: u8) { let mut util = x.get_mut(1); S { common: 2 } } macro_rules! misc {}");
    let names: Vec<&str> = definitions(&tokens).iter().map(|(_, token)| token.text.as_str()).collect();
    assert_eq!(names, ["a", "data", "util", "common", "misc"]);
}

#[test]
fn a_machine_path_is_known_from_a_relative_one() {
    let folder = format!("/{}/", "work");
    assert!(names_path(&format!("see {folder}x"), &folder) && names_path(&format!("\"{folder}x\""), &folder));
    assert!(!names_path(&format!("frame{folder}x"), &folder) && !names_path(&format!("$X}}{folder}x"), &folder));
}
