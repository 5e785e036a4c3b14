//! What the store keeps of reconciliations: our entries by number and by day, each line with its place, and the day's
//! document.
//!
//! Invariant: a channel's day has one reconciliation for ever; its id follows from both, so a run that is repeated
//! writes over the same keys and a crashed one leaves nothing that counts (lines carry their run).

use super::{Io, StoreError};
use serde::{Deserialize, Serialize};
use tongdao_core::charge::derived_number;
use tongdao_core::day::Day;
use tongdao_core::ids::{BreakId, ChannelId, ReconciliationId};
use tongdao_core::provider::LineKind;
use tongdao_core::reconcile::{BookedLine, Books, Entry, EntryStatus, LineKey, Place};
use tongdao_core::time::UnixMillis;

/// An entry to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryWrite {
    /// Its new value.
    pub entry: Entry,
    /// The day it stood on before, where that was another one.
    pub moved_from: Option<Day>,
}

/// An entry in the list of its day: enough to add it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayEntry {
    /// Payment or refund.
    pub kind: LineKind,
    /// Its number.
    pub number: String,
    /// Minor units.
    pub amount: i64,
    /// How far it is here.
    pub status: EntryStatus,
}

/// A line that stood in another day's file than its entry's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// The channel.
    pub channel: ChannelId,
    /// The entry's day.
    pub entry_day: Day,
    /// Payment or refund.
    pub kind: LineKind,
    /// The entry's number.
    pub number: String,
    /// The day whose file named it.
    pub file_day: Day,
}

/// A line to be written. One that may still change is also listed as open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineWrite {
    /// Whose.
    pub reconciliation: ReconciliationId,
    /// The line.
    pub line: BookedLine,
    /// Whether it was listed as open before.
    pub was_open: bool,
    /// The break that names it, while it is one.
    pub breach: Option<BreakId>,
}

/// A line that may still change, as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLine {
    /// The line's key.
    pub key: LineKey,
    /// Its place when it was listed.
    pub place: Place,
    /// The break that named it then.
    pub breach: Option<BreakId>,
}

/// How far a reconciliation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReconciliationStatus {
    /// It waits for its turn or for the provider's file.
    Queued,
    /// Lines are being matched.
    Running,
    /// Every line has its place.
    Done,
    /// The last run ended early; it is tried again.
    Failed,
}

impl ReconciliationStatus {
    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// The reconciliation of a channel's day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Its id: see [`reconciliation_id`].
    pub id: ReconciliationId,
    /// The channel.
    pub channel: ChannelId,
    /// The statement's day.
    pub day: Day,
    /// How far it is.
    pub status: ReconciliationStatus,
    /// Counts its runs: the lines of this one count.
    pub run: u32,
    /// When this run was ordered or began.
    pub started_at: UnixMillis,
    /// When this run ended.
    pub finished_at: Option<UnixMillis>,
    /// The run whose books these are, when one ever ended.
    pub done_run: Option<u32>,
    /// The books of that run.
    pub books: Books,
    /// Why the last run ended early.
    pub failure: Option<String>,
}

impl Reconciliation {
    /// A new one, queued.
    #[must_use]
    pub fn new(channel: &ChannelId, day: Day, now: UnixMillis) -> Self {
        Self {
            id: reconciliation_id(channel, day),
            channel: channel.clone(),
            day,
            status: ReconciliationStatus::Queued,
            run: 0,
            started_at: now,
            finished_at: None,
            done_run: None,
            books: Books::default(),
            failure: None,
        }
    }
}

/// The id of a channel's day: it sorts by day, and whoever names the day means the same.
#[must_use]
pub fn reconciliation_id(channel: &ChannelId, day: Day) -> ReconciliationId {
    let number = derived_number(&[channel.as_str(), &day.to_string(), "reconciliation"]);
    ReconciliationId::new(day.midnight(), u128::from_str_radix(&number, 16).unwrap_or_default())
}

/// What may be asked of the store about reconciliations. Lists are in the order of kind and number.
pub trait BookReads: Send + Sync {
    /// Our entries by kind and number, in the order asked.
    fn entries_named<'a>(
        &'a self,
        channel: &'a ChannelId,
        names: &'a [(LineKind, String)],
    ) -> Io<'a, Result<Vec<Option<Entry>>, StoreError>>;
    /// Our entries of a day behind `after`.
    fn entries<'a>(
        &'a self,
        channel: &'a ChannelId,
        day: Day,
        after: Option<(LineKind, String)>,
        limit: usize,
    ) -> Io<'a, Result<Vec<DayEntry>, StoreError>>;
    /// The entries of a day that another day's file named.
    fn strays<'a>(
        &'a self,
        channel: &'a ChannelId,
        entry_day: Day,
        after: Option<(LineKind, String)>,
        limit: usize,
    ) -> Io<'a, Result<Vec<Stray>, StoreError>>;
    /// Lines by key, in the order asked, whatever run they are of.
    fn lines_named<'a>(
        &'a self,
        id: ReconciliationId,
        keys: &'a [LineKey],
    ) -> Io<'a, Result<Vec<Option<BookedLine>>, StoreError>>;
    /// Lines behind `after`, whatever run they are of.
    fn lines(
        &self,
        id: ReconciliationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Io<'_, Result<Vec<BookedLine>, StoreError>>;
    /// The lines that may still change behind `after`, of any run.
    fn open_lines(
        &self,
        id: ReconciliationId,
        after: Option<LineKey>,
        limit: usize,
    ) -> Io<'_, Result<Vec<OpenLine>, StoreError>>;
    /// A reconciliation.
    fn reconciliation(&self, id: ReconciliationId) -> Io<'_, Result<Option<Reconciliation>, StoreError>>;
    /// A channel's reconciliations (all without one), newest day first, older than `before`.
    fn reconciliations<'a>(
        &'a self,
        channel: Option<&'a ChannelId>,
        before: Option<ReconciliationId>,
        limit: usize,
    ) -> Io<'a, Result<Vec<Reconciliation>, StoreError>>;
}
