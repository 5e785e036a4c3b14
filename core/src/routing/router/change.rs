//! Who went out, came back or was let in again, and why: for logs and counts.
//!
//! Why a list and not a return value: what changes a standing is sometimes an answer, sometimes the passing of time,
//! sometimes another channel's failure. Invariant: changes are in order of time; a reader who never comes costs no more
//! than the newest few hundred.

use super::breaker::{Cause, Standing};
use crate::time::UnixMillis;

const KEPT_MAX: usize = 256;

/// One change of one channel's standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The channel.
    pub channel: usize,
    /// When.
    pub at: UnixMillis,
    /// What it was.
    pub from: Standing,
    /// What it is. From `Out` straight to `In` means: its failures were found to be ours.
    pub to: Standing,
    /// Why it was taken out: now, or when it comes back from it, then.
    pub cause: Cause,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    kept: Vec<Change>,
}

impl Changes {
    pub(super) fn note(&mut self, change: Change) {
        if self.kept.len() >= KEPT_MAX {
            self.kept.remove(0);
        }
        self.kept.push(change);
    }

    pub(super) fn take(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.kept)
    }
}
