//! What the benches need of the store, and nothing else. Not for use.
//!
//! Invariant: it adds nothing to the engine: what is measured through it is the engine with its default options.

use super::embedded::{EmbeddedEngine, EmbeddedOptions};
use super::engine::{Engine, Expect, Put, RawBatch, Urgency};
use super::records::RecordStore;
use crate::ports::Store;
use std::path::Path;
use std::sync::Arc;

/// Opens a whole store with the default options.
///
/// # Errors
/// When the store does not open, as text.
pub fn open_store(dir: &Path) -> Result<Arc<dyn Store>, String> {
    let engine = EmbeddedEngine::open(dir, EmbeddedOptions::default()).map_err(|error| error.to_string())?;
    Ok(Arc::new(RecordStore::new(engine)))
}

/// An embedded engine for measuring.
pub struct BenchStore(EmbeddedEngine);

impl BenchStore {
    /// Opens a store with the default options.
    ///
    /// # Errors
    /// When the store does not open, as text.
    pub fn open(dir: &Path) -> Result<Self, String> {
        EmbeddedEngine::open(dir, EmbeddedOptions::default()).map(Self).map_err(|error| error.to_string())
    }

    /// Writes one new record, durable on return. False when the store refused.
    pub async fn insert(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let put = Put { key, version: 1, value, expect: Expect::Absent };
        let batch = RawBatch { puts: vec![put], ..RawBatch::default() };
        self.0.commit(batch, Urgency::Vital).await.is_ok()
    }

    /// Whether a record is there.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.0.load(key).is_ok_and(|record| record.is_some())
    }

    /// Stops taking batches and checkpoints.
    pub async fn close(&self) {
        self.0.close().await;
    }
}
