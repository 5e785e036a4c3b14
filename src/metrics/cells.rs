//! Metrics of one closed label, made once and found without a lookup by text.
//!
//! Invariant: every value of the label has its metric from the start, so each series exists as 0. It knows neither
//! names nor registries.

use super::labels::Label;

/// One metric (or a further row of metrics) per value of a closed label; all exist from the start.
pub(crate) struct Cells<L, M>(Vec<(L, M)>);

impl<L: Label, M> Cells<L, M> {
    pub(crate) fn of(mut make: impl FnMut(&'static str) -> M) -> Self {
        Self(L::EVERY.iter().map(|label| (*label, make(label.word()))).collect())
    }

    /// The metric of one value; `Option` only in type, since every value has one.
    pub(crate) fn at(&self, label: L) -> Option<&M> {
        self.0.iter().find(|(known, _)| *known == label).map(|(_, metric)| metric)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(L, M)> {
        self.0.iter()
    }
}
