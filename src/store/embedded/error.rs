//! Why a store did not open, verify or rebuild.
//!
//! Invariant: each refusal names the place, so that a person can look there. Whoever shows these must not soften
//! them: a refused journal means that acknowledged money may be missing.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory.
    #[error("another process uses {}: stop it first", .dir.display())]
    Locked {
        /// The store's directory.
        dir: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record that was acknowledged is not intact. Nothing was changed.
    #[error("the journal is damaged in segment {segment} at byte {offset}, at or before record {seq}: {damage}")]
    JournalDamaged {
        /// The segment's number, as in its file name.
        segment: u64,
        /// The byte where the damage was seen.
        offset: u64,
        /// The record that was expected there.
        seq: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// The index or the checkpoint knows more than the journal holds: journal files are missing or old.
    #[error(
        "the journal ends at record {journal_seq}, but record {known_seq} was acknowledged: journal files are missing or older than the index"
    )]
    JournalLost {
        /// The journal's last record.
        journal_seq: u64,
        /// The last record known to be acknowledged.
        known_seq: u64,
    },
    /// A newer release wrote the journal.
    #[error("segment {segment} was written by a newer release")]
    NewerFormat {
        /// The segment's number.
        segment: u64,
    },
    /// The index could not be used even when new.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Why offline verification failed.
pub(crate) type VerifyError = OpenError;
/// Why an offline rebuild failed.
pub(crate) type RebuildError = OpenError;

/// What is wrong with a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The segment's head does not match its checksum or name.
    #[error("the segment's head is not intact")]
    Header,
    /// A segment is missing.
    #[error("a segment is missing")]
    Missing,
    /// A record does not match its checksum.
    #[error("a record is not intact")]
    Record,
    /// A record does not follow from the one before.
    #[error("the chain of hashes is broken")]
    Chain,
    /// A record's content cannot be read.
    #[error("a record's content cannot be read")]
    Payload,
}

/// What went wrong with the index, which can be made anew.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// sled refused.
    #[error("the index failed: {0}")]
    Sled(#[from] sled::Error),
    /// sled panicked.
    #[error("the index panicked")]
    Panicked,
    /// sled did not answer in time.
    #[error("the index did not open in time")]
    TimedOut,
    /// The index's files are still locked, though our own lock is held.
    #[error("the index is locked by another process")]
    Busy,
    /// An entry does not match its checksum or key, or entries are missing.
    #[error("the index is damaged")]
    Damaged,
    /// A thread could not be started.
    #[error("no thread for the index: {0}")]
    Thread(io::Error),
}

/// Puts a path beside an I/O error.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError + '_ {
    move |source| OpenError::Io { path: path.to_path_buf(), source }
}
