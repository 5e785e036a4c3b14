//! What the flows need from the world, as traits: time, randomness, HTTP out, and a store.
//!
//! Invariant: nothing above this line names a concrete adapter; `daemon.rs` alone puts them together. The traits are
//! object-safe and small enough that a simulation can play every one of them.

mod books;
mod outside;
mod store;

pub use books::{
    BookReads, DayEntry, EntryWrite, LineWrite, OpenLine, Reconciliation, ReconciliationStatus, Stray,
    reconciliation_id,
};
pub use outside::{
    Clock, Download, Downloaded, Operation, Outside, Rng, SendError, WebhookAnswer, WebhookCall, WebhookError,
};
pub use store::{
    Batch, Break, BreakStatus, ChargePage, ChargeWrite, Claim, Due, Owner, Reference, Space, Store, StoreError,
    StoredEvent, TimerChange, Urgency,
};

use std::future::Future;
use std::pin::Pin;

/// A boxed future, so that ports stay object-safe.
pub type Io<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
