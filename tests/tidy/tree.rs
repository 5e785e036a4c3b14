//! The repository as the rules see it: every text file, and every Rust file as tokens.
//!
//! Invariant: paths are relative to the repository and use `/`. What builds and tests leave behind is not part of it.
//! A Rust file is a test where it lies among tests or benches, or is reached only through `#[cfg(test)]`.

use crate::lexer::{Token, test_modules, tokens};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

const NOT_OURS: &[&str] = &["target", ".git", "node_modules", "__pycache__", ".venv", ".idea", ".vscode"];
const MADE_BY_RUNS: &[&str] = &["data"];

/// A text file.
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A Rust file.
pub(crate) struct RustFile {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    pub(crate) is_test: bool,
}

impl RustFile {
    /// The tokens that are compiled outside of tests.
    pub(crate) fn production(&self) -> Vec<Token> {
        if self.is_test { Vec::new() } else { self.tokens.iter().filter(|token| !token.test).cloned().collect() }
    }

    /// Whether it is `area.rs` or lies in `area/`.
    pub(crate) fn is_in(&self, area: &str) -> bool {
        let rest = self.path.strip_prefix(area);
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }
}

/// The repository.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) text: Vec<TextFile>,
    pub(crate) rust: Vec<RustFile>,
    /// Files that are not text, and folders.
    pub(crate) others: Vec<String>,
}

impl Tree {
    pub(crate) fn load() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut tree = Self { root, text: Vec::new(), rust: Vec::new(), others: Vec::new() };
        tree.walk("");
        tree.text.sort_by(|a, b| a.path.cmp(&b.path));
        let mut rust: Vec<RustFile> = tree.text.iter().filter(|file| file.path.ends_with(".rs")).map(read).collect();
        mark_test_files(&mut rust);
        tree.rust = rust;
        tree
    }

    /// The text of a file; empty when there is none.
    pub(crate) fn read(&self, path: &str) -> &str {
        self.text.iter().find(|file| file.path == path).map_or("", |file| &file.text)
    }

    fn walk(&mut self, folder: &str) {
        for entry in std::fs::read_dir(self.root.join(folder)).expect("a folder of the repository") {
            let entry = entry.expect("an entry of the repository");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type().expect("a file's kind");
            let left_behind =
                NOT_OURS.contains(&name.as_str()) || name.starts_with(".venv") || name.starts_with(".tmp");
            if left_behind
                || (folder.is_empty() && MADE_BY_RUNS.contains(&name.as_str()))
                || name.ends_with(".snap.new")
            {
                continue;
            }
            if kind.is_dir() {
                self.walk(&path);
                self.others.push(path);
            } else if kind.is_file() {
                self.add(&entry.path(), path);
            }
        }
    }

    fn add(&mut self, at: &Path, path: String) {
        match std::fs::read_to_string(at) {
            Ok(text) => self.text.push(TextFile { path, text }),
            Err(_) => self.others.push(path),
        }
    }
}

fn read(file: &TextFile) -> RustFile {
    let among_tests = file.path.split('/').any(|part| part == "tests" || part == "benches");
    let (path, text, tokens) = (file.path.clone(), file.text.clone(), tokens(&file.text));
    RustFile { is_test: among_tests || path.ends_with("/tests.rs"), path, text, tokens }
}

fn mark_test_files(files: &mut [RustFile]) {
    let mut stems = BTreeSet::new();
    for file in files.iter() {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let stem = name.trim_end_matches(".rs");
        let own = if ["lib", "main", "mod"].contains(&stem) { folder.to_owned() } else { format!("{folder}/{stem}") };
        stems.extend(test_modules(&file.tokens).into_iter().map(|module| format!("{own}/{module}")));
    }
    for file in files.iter_mut() {
        let behind = |stem: &String| file.is_in(stem);
        file.is_test = file.is_test || stems.iter().any(behind);
    }
}

/// A broken rule and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offence {
    path: String,
    line: usize,
    rule: String,
}

impl Offence {
    pub(crate) fn new(path: &str, line: usize, rule: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule: rule.into() }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}
