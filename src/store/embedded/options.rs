//! How an embedded store is opened.
//!
//! Invariant: the defaults are the ones to run with; tests alone use smaller ones. Nothing here changes what is
//! promised, only sizes and times.

use super::segment::WrapFile;
use crate::store::engine::{CommitObserver, NoObserver};
use std::sync::Arc;
use std::time::Duration;

/// Sizes, times and who listens.
#[derive(Clone)]
pub(crate) struct EmbeddedOptions {
    /// The length of a journal segment.
    pub(crate) segment_bytes: u64,
    /// The index's page cache.
    pub(crate) cache_bytes: u64,
    /// How long the index may take to open before it is set aside and made anew.
    pub(crate) index_open_limit: Duration,
    /// How often the index is synced. Only the time of the next opening depends on it.
    pub(crate) checkpoint_every: Duration,
    /// A journal up to this size is walked whole before the store is ready; of a longer one the part before the last
    /// checkpoint is walked after.
    pub(crate) full_walk_bytes_max: u64,
    /// An index with up to so many records is counted before the store is ready.
    pub(crate) full_count_records_max: u64,
    /// Hears of commits.
    pub(crate) observer: Arc<dyn CommitObserver>,
    /// Stands between the journal and its files.
    pub(crate) wrap_file: WrapFile,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            cache_bytes: 128 << 20,
            index_open_limit: Duration::from_secs(60),
            checkpoint_every: Duration::from_secs(2),
            full_walk_bytes_max: 1 << 30,
            full_count_records_max: 1_000_000,
            observer: Arc::new(NoObserver),
            wrap_file: Arc::new(|file| Box::new(file)),
        }
    }
}

#[cfg(test)]
impl EmbeddedOptions {
    /// Small files, for tests.
    pub(crate) fn small() -> Self {
        Self { segment_bytes: 16 << 10, cache_bytes: 4 << 20, ..Self::default() }
    }
}
