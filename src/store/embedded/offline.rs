//! What the command line does with a store that no daemon has open: verify the journal, read it, make the index anew.
//!
//! Invariant: verifying and reading change nothing, not even a torn tail; rebuilding puts the old index aside and
//! never touches the journal.

use super::error::{OpenError, RebuildError, VerifyError, at};
use super::lock::lock;
use super::mark::{Checkpoint, ask_recheck};
use super::options::EmbeddedOptions;
use super::payload::{Payload, read_payload};
use super::record::Hash;
use super::recover::{OpenReport, journal_dir, recover};
use super::segment::list_segments;
use super::walk::walk;
use std::path::{Path, PathBuf};

/// What verification saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerifyReport {
    /// Segments walked.
    pub(crate) segments: u64,
    /// Records walked.
    pub(crate) records: u64,
    /// The last record's number.
    pub(crate) last_seq: u64,
    /// The hash after it: compare it with one noted elsewhere.
    pub(crate) hash: Hash,
    /// Bytes of a torn, never acknowledged record at the end.
    pub(crate) torn_bytes: u64,
    /// The last record that the checkpoint knows.
    pub(crate) checkpoint_seq: Option<u64>,
}

/// What a rebuild did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RebuildReport {
    /// Journal records applied.
    pub(crate) replayed: u64,
    /// Records now in the index.
    pub(crate) records: u64,
    /// Timers now in the index.
    pub(crate) timers: u64,
    /// Where the old index went.
    pub(crate) quarantined: Option<PathBuf>,
}

/// A journal record for reading.
#[derive(Debug)]
pub(crate) struct JournalRecord {
    /// Its number.
    pub(crate) seq: u64,
    /// The hash after it.
    pub(crate) hash: Hash,
    /// Its content.
    pub(crate) payload: Payload,
}

/// Walks the whole journal and checks each record and the chain.
pub(crate) fn verify(dir: &Path) -> Result<VerifyReport, VerifyError> {
    read_journal(dir, &mut |_| {})
}

/// Walks the whole journal and hands out each record in order.
pub(crate) fn read_journal(dir: &Path, visit: &mut dyn FnMut(JournalRecord)) -> Result<VerifyReport, VerifyError> {
    // Before the walk: a running daemon may write a later one meanwhile.
    let checkpoint = Checkpoint::read(dir).map_err(at(dir))?;
    let segments = list_segments(&journal_dir(dir))?;
    let known_seq = checkpoint.map_or(0, |checkpoint| checkpoint.seq);
    let walked = walk(&segments, known_seq, &mut |entry| {
        let payload = read_payload(entry.payload).ok_or_else(|| entry.unreadable())?;
        visit(JournalRecord { seq: entry.seq, hash: entry.hash, payload });
        Ok(())
    })?;
    Ok(VerifyReport {
        segments: super::bytes::to_u64(segments.len()),
        records: walked.records,
        last_seq: walked.last_seq,
        hash: walked.last_hash,
        torn_bytes: walked.torn_bytes,
        checkpoint_seq: checkpoint.map(|checkpoint| checkpoint.seq),
    })
}

/// Puts the index aside and makes it anew from the journal.
pub(crate) fn rebuild(dir: &Path) -> Result<RebuildReport, RebuildError> {
    let held = lock(dir)?;
    ask_recheck(dir);
    let recovered = recover(dir, &EmbeddedOptions::default())?;
    recovered.index.sync()?;
    let checkpoint = Checkpoint { seq: recovered.applied.seq, hash: recovered.applied.hash };
    checkpoint.write(dir).map_err(at(dir))?;
    let OpenReport { replayed, records, timers, quarantined, last_seq: _, torn_bytes: _ } = recovered.report;
    drop(recovered.index);
    drop(held);
    Ok(RebuildReport { replayed, records, timers, quarantined })
}

/// Room on the disk that holds a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskSpace {
    /// Bytes that this process may still write.
    pub(crate) free_bytes: u64,
    /// Bytes in all.
    pub(crate) total_bytes: u64,
}

/// Asks how much room is left.
pub(crate) fn disk_space(dir: &Path) -> Result<DiskSpace, OpenError> {
    let stat = rustix::fs::statvfs(dir).map_err(|error| at(dir)(error.into()))?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(DiskSpace { free_bytes: bytes(stat.f_bavail), total_bytes: bytes(stat.f_blocks) })
}
