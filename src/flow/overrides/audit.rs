//! Who changed what, when, why and until when: an entry for each order and each change of the configuration.
//!
//! Invariants: entries are numbered without gaps and never changed; an entry is in the same batch as what it tells of,
//! or durable before it. It lies in the journal a second time, as a note, for whoever reads that alone.

use crate::ports::{Batch, Store, StoreError};
use serde::{Deserialize, Serialize};
use tongdao_core::ids::OverrideId;
use tongdao_core::time::UnixMillis;

const COUNT_KEPT_AS: &str = "audit";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub actor: String,
    /// What: `drain`, `force`, `restore` or `reload`.
    pub action: String,
    /// To what.
    pub target: String,
    /// Why.
    pub reason: String,
    /// Until when it holds; `None` for what has no end.
    pub until: Option<UnixMillis>,
    /// The override concerned.
    pub override_id: Option<OverrideId>,
    /// What it came to.
    pub detail: String,
}

/// Entries with their numbers, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<(u64, AuditEntry)>,
    /// Whether there are older ones.
    pub more: bool,
}

/// How many entries there are; whoever holds it may write the next.
pub(super) struct Audit {
    count: u64,
}

impl Audit {
    pub(super) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let Some(bytes) = store.kept(COUNT_KEPT_AS).await? else { return Ok(Self { count: 0 }) };
        let count = serde_json::from_slice(&bytes).map_err(unreadable)?;
        Ok(Self { count })
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Puts an entry into a batch, and answers its number. It counts once the batch is durable.
    pub(super) fn add(&self, entry: AuditEntry, batch: &mut Batch) -> Result<u64, StoreError> {
        let number = self.count.saturating_add(1);
        let bytes = serde_json::to_vec(&entry).map_err(unreadable)?;
        batch.notes.push(bytes.clone());
        batch.keeps.push((name_of(number), bytes));
        batch.keeps.push((COUNT_KEPT_AS.to_owned(), serde_json::to_vec(&number).map_err(unreadable)?));
        Ok(number)
    }

    pub(super) const fn written(&mut self, number: u64) {
        self.count = number;
    }
}

/// The entries up to a number, that one included.
pub(super) async fn page(store: &dyn Store, newest: u64, limit: usize) -> Result<AuditPage, StoreError> {
    let mut page = AuditPage::default();
    for number in (1..=newest).rev() {
        if page.entries.len() == limit {
            page.more = true;
            break;
        }
        let bytes = store.kept(&name_of(number)).await?;
        let bytes = bytes.ok_or_else(|| StoreError::Unreadable(format!("entry {number} of the audit is absent")))?;
        page.entries.push((number, serde_json::from_slice(&bytes).map_err(unreadable)?));
    }
    Ok(page)
}

fn name_of(number: u64) -> String {
    format!("audit/{number:012}")
}

fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::Unreadable(format!("audit: {error}"))
}
