//! Our side of the statements: the entries that a change of a charge adds, changes or moves.
//!
//! Invariant: they are written in the batch of the change itself, so a payment that counts always has its entry, and a
//! change that concerns no money writes none. Pure: no store is asked.

use crate::ports::EntryWrite;
use std::collections::BTreeMap;
use tongdao_core::charge::Charge;
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::LineKind;
use tongdao_core::reconcile::{Entry, EntryStatus, entries_of};

/// The entries that differ between two states of a charge.
pub(super) fn changed_entries(
    before: Option<&Charge>,
    after: &Charge,
    turns: &dyn Fn(&ChannelId) -> i64,
) -> Vec<EntryWrite> {
    let mut old = before.map(|charge| by_name(entries_of(charge, turns))).unwrap_or_default();
    let mut writes = Vec::new();
    for entry in entries_of(after, turns) {
        let was = old.remove(&name(&entry));
        if was.as_ref() != Some(&entry) {
            let moved_from = was.map(|was| was.day).filter(|day| *day != entry.day);
            writes.push(EntryWrite { entry, moved_from });
        }
    }
    // A number that was given up, and that its provider proved to be without effect.
    let given_up = old.into_values().map(|entry| Entry { status: EntryStatus::Failed, ..entry });
    writes.extend(given_up.map(|entry| EntryWrite { entry, moved_from: None }));
    writes
}

fn name(entry: &Entry) -> (ChannelId, LineKind, String) {
    (entry.channel.clone(), entry.kind, entry.number.clone())
}

fn by_name(entries: Vec<Entry>) -> BTreeMap<(ChannelId, LineKind, String), Entry> {
    entries.into_iter().map(|entry| (name(&entry), entry)).collect()
}
