//! What the three providers' statements share: which lines a day holds, what faults plant in them, whether the file is
//! ready, and the files that wait to be fetched.
//!
//! Guards: a line stands in exactly one day's file; a fetched file is byte for byte the one that was announced.
//! Must not know: how a line or a file is written.

mod fill;
mod line;
mod plant;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

pub(crate) use fill::fill;
pub use fill::{Fill, FillRefused, Filled, Returned};
pub(crate) use line::{Line, Span};
pub use plant::{Planted, PlantedKind};

use crate::faults::{Operation, Scope, StatementTwist};
use crate::ledger::Book;
use crate::options::ProviderName;
use crate::world::World;

const FILES_MAX: usize = 32;

/// The state of one sandbox's statements.
#[derive(Debug)]
pub(crate) struct Statements {
    at_once: AtomicBool,
    filled: AtomicU64,
    files: Mutex<VecDeque<Kept>>,
    planted: Mutex<BTreeMap<(ProviderName, String, i64), Vec<Planted>>>,
}

/// A file that waits at an address.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    token: String,
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
    until: i64,
}

/// Whether a day's file can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The day is not over, or has not come.
    NotOver,
    /// Over, but not written yet.
    Creating,
    /// So long ago that nobody keeps it.
    TooOld,
    Ready,
}

impl Statements {
    pub(crate) fn new(at_once: bool) -> Self {
        Self {
            at_once: AtomicBool::new(at_once),
            filled: AtomicU64::new(0),
            files: Mutex::default(),
            planted: Mutex::default(),
        }
    }

    pub(crate) fn ready_at_once(&self) -> bool {
        self.at_once.load(Ordering::Relaxed)
    }

    /// Counts the numbers given to orders that nobody made over HTTP.
    pub(crate) fn next_count(&self) -> u64 {
        self.filled.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn set_ready_at_once(&self, at_once: bool) {
        self.at_once.store(at_once, Ordering::Relaxed);
    }

    /// Everything planted, by provider, account and day.
    pub(crate) fn planted(&self) -> Vec<Planted> {
        let planted = self.planted.lock().unwrap_or_else(PoisonError::into_inner);
        planted.values().flatten().cloned().collect()
    }

    /// Keeps a file until a time; answers the name nobody guesses.
    pub(crate) fn keep(&self, account: &str, name: &str, bytes: Vec<u8>, (now, until): (i64, i64)) -> String {
        let mut secret = [0; 32];
        let drawn = aws_lc_rs::rand::fill(&mut secret);
        assert!(drawn.is_ok(), "the system has randomness");
        let token = URL_SAFE.encode(secret);
        let (account, name) = (account.to_owned(), name.to_owned());
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|kept| now < kept.until);
        if files.len() >= FILES_MAX {
            files.pop_front();
        }
        files.push_back(Kept { token: token.clone(), account, name, bytes: bytes.into(), until });
        token
    }

    /// The file of this name, while it is there.
    pub(crate) fn kept(&self, token: &str, now: i64) -> Option<Kept> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().find(|kept| kept.token == token && now < kept.until).cloned()
    }
}

/// Whether the day's file is ready: some hours after the day, unless statements are ready at once or a fault delays it.
pub(crate) fn readiness(world: &World, span: &Span<'_>, age_max_ms: i64) -> Readiness {
    let scope = Scope { provider: span.provider, account: span.account, operation: Operation::Statement };
    let now = world.now();
    let at_once = world.statements.ready_at_once();
    if now < if at_once { span.starts_at } else { span.ends_at } {
        Readiness::NotOver
    } else if now.saturating_sub(span.starts_at) > age_max_ms {
        Readiness::TooOld
    } else if world.faults.delays_statement(&scope, now) || (now < span.ready_at && !at_once) {
        Readiness::Creating
    } else {
        Readiness::Ready
    }
}

/// Shows the lines of a day, as faults leave them, to whoever writes the file. None when there are none: no file is
/// written then.
pub(crate) fn with_lines<R>(
    world: &World,
    span: &Span<'_>,
    twist: StatementTwist,
    write: impl FnOnce(&Book, &[Line<'_>]) -> R,
) -> Option<R> {
    if twist.fault.absent {
        return None;
    }
    let strangers = plant::strangers(world, span, twist);
    world.ledger.read(|book| {
        let lines = line::of_day(book, span);
        let (lines, planted) = plant::plant(lines, &strangers, span, twist);
        let key = (span.provider, span.account.to_owned(), span.starts_at);
        world.statements.planted.lock().unwrap_or_else(PoisonError::into_inner).insert(key, planted);
        (!lines.is_empty()).then(|| write(book, &lines))
    })
}

#[cfg(test)]
mod tests;
