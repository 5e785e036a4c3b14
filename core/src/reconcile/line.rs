//! A statement line with its place: what a reconciliation keeps of every line, and of ours that no line names.
//!
//! Invariant: a line has one place. The key sorts as entries sort, by kind and number, so that both sides of a day can
//! be walked side by side.

use crate::effect::BreakKind;
use crate::ids::ChargeId;
use crate::provider::{LineKind, StatementLine};
use serde::{Deserialize, Serialize};

/// Where a line of a reconciliation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Both sides say the same.
    Matched,
    /// The other side stands on a neighbouring day, or may still come.
    CarriedOver,
    /// A difference with a name.
    Break(BreakKind),
}

impl Place {
    /// The word used in the API and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::CarriedOver => "carried_over",
            Self::Break(kind) => kind.as_str(),
        }
    }
}

/// What a line is kept under in its reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LineKey {
    /// Payment or refund.
    pub kind: LineKind,
    /// The number by which it was found here (an entry's); of an unknown line the best number that it has.
    pub number: String,
    /// 0 for the first line of that number, the line's place in the file for a further one, `OURS_ALONE` for an entry
    /// that no line names.
    pub ordinal: u64,
}

impl LineKey {
    /// The ordinal of an entry that no line names.
    pub const OURS_ALONE: u64 = u64::MAX;
}

impl BookedLine {
    /// Whether it may still change: a difference, or an entry of ours that waits for its line.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self.place {
            Place::Matched => false,
            Place::CarriedOver => self.line.is_none(),
            Place::Break(_) => true,
        }
    }

    /// The statement's sum as the books count it.
    #[must_use]
    pub fn theirs(&self) -> Option<i64> {
        self.line.as_ref().map(super::theirs)
    }
}

/// A line of a reconciliation: theirs, ours, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedLine {
    /// What it is kept under.
    pub key: LineKey,
    /// The run of the reconciliation that booked it; those of earlier runs do not count any more.
    pub run: u32,
    /// The statement's line; `None` for an entry that no line names.
    pub line: Option<StatementLine>,
    /// Our sum in minor units; `None` when nothing here belongs to the line.
    pub ours: Option<i64>,
    /// Whose; `None` when nobody's.
    pub charge: Option<ChargeId>,
    /// Where it ended.
    pub place: Place,
}
