//! How files are shaped: their length, their head, their place.
//!
//! Invariant: a limit may only be lowered. Files over the second-look length are counted, so that their number falls
//! rather than grows (a ratchet).

use crate::tree::{Offence, RustFile, Tree};

const LINES_MAX: usize = 600;
const SECOND_LOOK_LINES: usize = 400;
/// How many files may be longer than `SECOND_LOOK_LINES`.
const LONG_FILES_MAX: usize = 1;
const HEAD_LINES_MIN: usize = 3;
const HEAD_LINES_MAX: usize = 15;
/// `mod.rs` outside a provider's folder would hide a module's name from its file's name.
const MOD_RS_HOME: &str = "providers/";

/// Files too long to read in one sitting.
pub(crate) fn lengths(tree: &Tree) -> Vec<Offence> {
    let lines = |file: &RustFile| file.text.lines().count();
    let too_long = tree.rust.iter().filter(|file| lines(file) > LINES_MAX);
    let mut offences: Vec<Offence> = too_long
        .map(|file| Offence::new(&file.path, lines(file), format!("more than {LINES_MAX} lines: split it")))
        .collect();
    let long: Vec<&RustFile> = tree.rust.iter().filter(|file| lines(file) > SECOND_LOOK_LINES).collect();
    for file in &long {
        eprintln!("{}: {} lines, look twice", file.path, lines(file));
    }
    if long.len() > LONG_FILES_MAX {
        let rule = |file: &&RustFile| {
            let (count, path) = (long.len(), &file.path);
            let rule =
                format!("one of {count} files over {SECOND_LOOK_LINES} lines; {LONG_FILES_MAX} may be: split one");
            Offence::new(path, lines(file), rule)
        };
        offences.extend(long.iter().map(rule));
    }
    offences
}

/// Modules without a head, or with an essay.
pub(crate) fn heads(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in &tree.rust {
        let head = file.text.lines().take_while(|line| line.starts_with("//!")).count();
        let min = if file.is_test { 1 } else { HEAD_LINES_MIN };
        if !(min..=HEAD_LINES_MAX).contains(&head) {
            let rule =
                format!("opens with {head} lines of `//!`; {min} to {HEAD_LINES_MAX} say its job and its invariant");
            offences.push(Offence::new(&file.path, 1, rule));
        }
    }
    offences
}

/// `mod.rs` where `foo.rs` beside `foo/` is the rule.
pub(crate) fn folders(tree: &Tree) -> Vec<Offence> {
    let hidden = tree.rust.iter().filter(|file| file.path.ends_with("/mod.rs"));
    let outside = hidden.filter(|file| !file.path.starts_with(MOD_RS_HOME) && !file.is_test);
    outside
        .map(|file| Offence::new(&file.path, 1, "mod.rs only in a provider's folder: use foo.rs beside foo/"))
        .collect()
}
