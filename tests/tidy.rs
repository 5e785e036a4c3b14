//! The house rules that no compiler keeps: who may know whom, how files are shaped, which words are used, what a
//! provider's folder holds, what the manifests pin and what the documents promise.
//!
//! Invariant: every offence is printed with its file, its line and the rule, all of them at once. A rule reads the
//! repository as it lies on the disk and nothing else: no network, no clock, no built binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/providers.rs"]
mod providers;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/words.rs"]
mod words;

use std::sync::OnceLock;
use tree::{Offence, Tree};

fn tree() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(Tree::load)
}

fn refuse(mut offences: Vec<Offence>) {
    offences.sort();
    let list: String = offences.iter().map(|offence| format!("\n  {offence}")).collect();
    assert!(offences.is_empty(), "{} offences:{list}\n", offences.len());
}

#[test]
fn the_tree_is_really_read() {
    let rust = tree().rust.len();
    assert!(rust > 100, "only {rust} Rust files were found");
    for known in ["core/src/charge.rs", "providers/lib.rs", "sandbox/src/lib.rs", "src/daemon.rs"] {
        assert!(tree().rust.iter().any(|file| file.path == known), "{known} was not found");
    }
}

#[test]
fn modules_know_only_what_they_may() {
    refuse(arrows::modules(tree()));
}

#[test]
fn foreign_libraries_stay_in_their_place() {
    refuse(arrows::libraries(tree()));
}

#[test]
fn concrete_adapters_are_named_in_one_place() {
    refuse(arrows::adapters(tree()));
}

#[test]
fn files_stay_short_enough_to_read() {
    refuse(shape::lengths(tree()));
}

#[test]
fn every_module_opens_with_its_job() {
    refuse(shape::heads(tree()));
}

#[test]
fn modules_lie_beside_their_folder() {
    refuse(shape::folders(tree()));
}

#[test]
fn names_say_what_they_mean() {
    refuse(words::names(tree()));
}

#[test]
fn nothing_half_done_is_left() {
    refuse(words::leftovers(tree()));
    refuse(words::empty_tests(tree()));
    refuse(words::unfinished_merges(tree()));
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    refuse(words::machine(tree()));
}

#[test]
fn a_provider_is_a_whole_folder_and_two_lines() {
    refuse(providers::folders(tree()));
}

#[test]
fn only_a_callback_reader_makes_a_notice() {
    refuse(providers::notices(tree()));
}

#[test]
fn crates_depend_in_one_direction() {
    refuse(manifests::directions(tree()));
}

#[test]
fn versions_are_released_and_the_index_is_pinned() {
    refuse(manifests::versions(tree()));
}

#[test]
fn the_lock_file_names_the_public_index_only() {
    refuse(manifests::sources(tree()));
}

#[test]
fn the_changelog_keeps_its_sections() {
    refuse(documents::changelog(tree()));
}

#[test]
fn the_readme_shows_how_to_run_and_test() {
    refuse(documents::readme(tree()));
}

#[test]
fn links_between_documents_lead_somewhere() {
    refuse(documents::links(tree()));
}

#[test]
fn documents_name_only_metrics_that_exist() {
    refuse(documents::metrics(tree()));
}

#[test]
fn documents_show_only_commands_that_exist() {
    refuse(documents::command_lines(tree()));
}

#[test]
fn every_runbook_entry_starts_with_a_command() {
    refuse(documents::runbook(tree()));
}

#[test]
fn decisions_give_their_reasons() {
    refuse(documents::decisions(tree()));
}
