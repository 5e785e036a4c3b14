//! What the last process left: did it stop in order, or may something have been in flight when it died?
//!
//! Invariant: only a stop whose tasks all ended by themselves leaves the mark, and a start takes it away before anything
//! runs; so whatever was due before this start may have been in flight unless the mark says otherwise. A wrong mark
//! could make a try that delivered look like none, so in doubt there is none.

use super::Flow;
use crate::ports::{Batch, Store, StoreError, Urgency};
use tongdao_core::time::UnixMillis;

const KEPT_AS: &str = "stopped_in_order";

/// The moment up to which tries may have been in flight; the start of time after an orderly stop.
pub(super) async fn doubtful_until(store: &dyn Store, booted_at: UnixMillis) -> Result<UnixMillis, StoreError> {
    let in_order = store.kept(KEPT_AS).await?.is_some_and(|mark| mark == b"1");
    if !in_order {
        return Ok(booted_at);
    }
    store.commit(mark(b"0"), Urgency::Vital).await?;
    Ok(UnixMillis(i64::MIN))
}

impl Flow {
    /// Says that everything that ran has ended by itself. The last thing before the store is closed.
    ///
    /// # Errors
    /// The store's; the next start then takes everything for doubtful, which is safe.
    pub async fn stopped_in_order(&self) -> Result<(), StoreError> {
        self.store.commit(mark(b"1"), Urgency::Vital).await
    }
}

fn mark(value: &[u8]) -> Batch {
    Batch { keeps: vec![(KEPT_AS.to_owned(), value.to_vec())], ..Batch::default() }
}
