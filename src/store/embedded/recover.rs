//! Opening: the journal is walked, the index is brought up to it, or made anew from it.
//!
//! Invariant: the journal is judged before it or a readable index is changed, and a damaged or shortened journal is
//! refused. The index is never trusted: it must name a record and hash of this journal, and hold what it counts; else it is
//! renamed to `quarantine-<time>` (never deleted) and made anew, without a person.

use super::bytes::to_u64;
use super::error::{Damage, IndexError, OpenError, at};
use super::index::{Applied, Index, guarded, open_guarded, remove_half_written_snapshots};
use super::journal::JournalEnd;
use super::mark::{Checkpoint, recheck_asked, recheck_done};
use super::options::EmbeddedOptions;
use super::record::{GENESIS, Hash};
use super::replay::{from_segment_of, replay};
use super::segment::{HEAD_LEN, SegmentFile, SegmentHead, create_segment, list_segments, remove_unfinished, sync_dir};
use super::walk::{Walked, walk};
use crate::clock::SystemClock;
use crate::ports::Clock;
use crate::store::nonces::Nonces;
use crate::store::timers::Timers;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Replaying and counting take as long as they take; only a panic is caught.
const NO_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenReport {
    /// The journal's last record.
    pub(crate) last_seq: u64,
    /// Journal records that the index lacked and was given.
    pub(crate) replayed: u64,
    /// Bytes of a torn, never acknowledged record that were cut off.
    pub(crate) torn_bytes: u64,
    /// Where the old index was put when it had to be made anew.
    pub(crate) quarantined: Option<PathBuf>,
    /// Records in the index.
    pub(crate) records: u64,
    /// Timers in the index.
    pub(crate) timers: u64,
}

/// Everything that the engine starts from.
pub(super) struct Recovered {
    pub(super) index: Arc<Index>,
    pub(super) applied: Applied,
    pub(super) timers: Timers,
    pub(super) nonces: Nonces,
    pub(super) end: JournalEnd,
    pub(super) report: OpenReport,
    /// Segments that were not walked, with the one after them.
    pub(super) unwalked: Vec<SegmentFile>,
    /// Whether every record of the index was counted.
    pub(super) counted: bool,
}

/// The journal's directory.
pub(super) fn journal_dir(dir: &Path) -> PathBuf {
    dir.join("journal")
}

/// The index's directory.
pub(super) fn index_dir(dir: &Path) -> PathBuf {
    dir.join("index")
}

/// Opens what is in the directory, whose lock is held.
pub(super) fn recover(dir: &Path, options: &EmbeddedOptions) -> Result<Recovered, OpenError> {
    let journal = journal_dir(dir);
    std::fs::create_dir_all(&journal).map_err(at(&journal))?;
    sync_dir(dir).map_err(at(dir))?;
    let checkpoint = Checkpoint::read(dir).map_err(at(dir))?;
    let segments = list_segments(&journal)?;
    let recheck = recheck_asked(dir);
    let mut slot = Slot::open(dir, options)?;
    let known_seq = checkpoint.map_or(0, |checkpoint| checkpoint.seq).max(slot.applied.seq);
    let whole_max = if recheck { u64::MAX } else { options.full_walk_bytes_max };
    let from = first_to_walk(&segments, checkpoint, &slot.applied, whole_max);
    let (walked, hash) =
        walk_and_compare(segments.get(from..).unwrap_or_default(), known_seq, checkpoint, slot.applied.seq)?;
    if hash != Some(slot.applied.hash) {
        tracing::error!(applied_seq = slot.applied.seq, "the index does not belong to this journal; making it anew");
        slot = slot.set_aside(dir, options)?;
    } else if recheck && slot.applied.seq > 0 {
        tracing::warn!("a full check was asked for; making the index anew");
        slot = slot.set_aside(dir, options)?;
    }
    // Before the index is given anything: it must never know more than the disk.
    let end = writing_end(&journal, &segments, &walked, options.segment_bytes)?;
    let (slot, ready) = slot.bring_up(dir, options, &segments)?;
    remove_unfinished(&journal).map_err(at(&journal))?;
    recheck_done(dir).map_err(at(dir))?;
    let report = OpenReport {
        last_seq: walked.last_seq,
        replayed: ready.replayed,
        torn_bytes: walked.torn_bytes,
        quarantined: slot.quarantined,
        records: ready.applied.records,
        timers: ready.applied.timers,
    };
    let unwalked = if from == 0 { Vec::new() } else { segments.get(..=from).unwrap_or_default().to_vec() };
    let Ready { applied, timers, nonces, counted, replayed: _ } = ready;
    Ok(Recovered { index: slot.index, applied, timers, nonces, end, report, unwalked, counted })
}

/// The index and how it came about.
struct Slot {
    index: Arc<Index>,
    applied: Applied,
    quarantined: Option<PathBuf>,
}

/// The index brought up to the journal.
struct Ready {
    applied: Applied,
    replayed: u64,
    timers: Timers,
    nonces: Nonces,
    counted: bool,
}

impl Slot {
    fn open(dir: &Path, options: &EmbeddedOptions) -> Result<Self, OpenError> {
        match open_and_read(dir, options) {
            Ok((index, applied)) => Ok(Self { index, applied, quarantined: None }),
            Err(OpenError::Index(error)) if !matches!(error, IndexError::Busy | IndexError::Thread(_)) => {
                tracing::error!(%error, "the index did not open; making it anew from the journal");
                Self::fresh(dir, options, Some(quarantine(dir)?))
            }
            Err(error) => Err(error),
        }
    }

    fn fresh(dir: &Path, options: &EmbeddedOptions, quarantined: Option<PathBuf>) -> Result<Self, OpenError> {
        let (index, applied) = open_and_read(dir, options)?;
        Ok(Self { index, applied, quarantined })
    }

    fn set_aside(self, dir: &Path, options: &EmbeddedOptions) -> Result<Self, OpenError> {
        let index = self.index;
        // Dropping sled writes to its files and may fail in any way; the files are given up either way.
        if let Err(error) = guarded(options.index_open_limit, move || {
            drop(index);
            Ok(())
        }) {
            tracing::warn!(%error, "the old index did not close");
        }
        Self::fresh(dir, options, Some(quarantine(dir)?))
    }

    /// Replays what is missing and counts; whatever fails in the index, it is made anew once.
    fn bring_up(
        self,
        dir: &Path,
        options: &EmbeddedOptions,
        segments: &[SegmentFile],
    ) -> Result<(Self, Ready), OpenError> {
        match self.try_bring_up(options, segments) {
            Ok(ready) => Ok((self, ready)),
            Err(OpenError::Index(error)) => {
                tracing::error!(%error, "the index is not what it should be; making it anew from the journal");
                let anew = self.set_aside(dir, options)?;
                let ready = anew.try_bring_up(options, segments)?;
                Ok((anew, ready))
            }
            Err(error) => Err(error),
        }
    }

    fn try_bring_up(&self, options: &EmbeddedOptions, segments: &[SegmentFile]) -> Result<Ready, OpenError> {
        let (index, start) = (Arc::clone(&self.index), self.applied);
        let (segments, count_max) = (segments.to_vec(), options.full_count_records_max);
        guarded(NO_LIMIT, move || Ok(ready(&index, start, &segments, count_max)))?
    }
}

fn ready(index: &Index, start: Applied, segments: &[SegmentFile], count_max: u64) -> Result<Ready, OpenError> {
    let applied = replay(index, start, segments)?;
    let counted = applied.records <= count_max;
    if counted && index.check(&applied, &AtomicBool::new(false))? != Some(true) {
        return Err(IndexError::Damaged.into());
    }
    let (timers, nonces) = (index.timers()?, index.nonces()?);
    Ok(Ready { applied, replayed: applied.seq.saturating_sub(start.seq), timers, nonces, counted })
}

fn open_and_read(dir: &Path, options: &EmbeddedOptions) -> Result<(Arc<Index>, Applied), OpenError> {
    let path = index_dir(dir);
    std::fs::create_dir_all(&path).map_err(at(&path))?;
    remove_half_written_snapshots(&path).map_err(at(&path))?;
    let cache_bytes = options.cache_bytes;
    let index = Arc::new(open_guarded(&path, cache_bytes, options.index_open_limit)?);
    let reading = Arc::clone(&index);
    let applied = guarded(options.index_open_limit, move || match reading.applied()? {
        Some(applied) => Ok(applied),
        None if reading.is_empty() => Ok(Applied::NOTHING),
        None => Err(IndexError::Damaged),
    })?;
    Ok((index, applied))
}

/// Renames the index's directory. It is kept for a person to look at.
fn quarantine(dir: &Path) -> Result<PathBuf, OpenError> {
    let now = SystemClock::new().now().0;
    let free = (0_u32..)
        .map(|n| dir.join(format!("quarantine-{now}{}", if n == 0 { String::new() } else { format!("-{n}") })));
    let target = free.into_iter().find(|path| !path.exists()).unwrap_or_else(|| dir.join("quarantine"));
    let index = index_dir(dir);
    std::fs::rename(&index, &target).map_err(at(&index))?;
    sync_dir(dir).map_err(at(dir))?;
    Ok(target)
}

/// The first segment to walk before the store is ready.
fn first_to_walk(segments: &[SegmentFile], checkpoint: Option<Checkpoint>, applied: &Applied, whole_max: u64) -> usize {
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let sure_seq = checkpoint.map_or(0, |checkpoint| checkpoint.seq).min(applied.seq);
    if bytes <= whole_max { 0 } else { from_segment_of(segments, sure_seq.saturating_add(1)) }
}

/// Walks to the end and tells the hash after record `applied_seq`.
fn walk_and_compare(
    segments: &[SegmentFile],
    known_seq: u64,
    checkpoint: Option<Checkpoint>,
    applied_seq: u64,
) -> Result<(Walked, Option<Hash>), OpenError> {
    let first = segments.first().map(|first| first.head);
    let before = first.map_or((0, GENESIS), |head| (head.first_seq.saturating_sub(1), head.before));
    let mut hash = (before.0 == applied_seq).then_some(before.1);
    let walked = walk(segments, known_seq, &mut |entry| {
        if entry.seq == applied_seq {
            hash = Some(entry.hash);
        }
        if checkpoint.is_some_and(|checkpoint| checkpoint.seq == entry.seq && checkpoint.hash != entry.hash) {
            let damage = Damage::Chain;
            return Err(OpenError::JournalDamaged {
                segment: entry.segment,
                offset: entry.offset,
                seq: entry.seq,
                damage,
            });
        }
        Ok(())
    })?;
    Ok((walked, hash))
}

/// Opens the last segment for writing, its torn tail cut off; or creates the first.
fn writing_end(
    journal: &Path,
    segments: &[SegmentFile],
    walked: &Walked,
    segment_bytes: u64,
) -> Result<JournalEnd, OpenError> {
    let (last_seq, last_hash) = (walked.last_seq, walked.last_hash);
    let Some(last) = segments.last() else {
        let salt = u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or_default();
        let head = SegmentHead { number: 1, first_seq: 1, before: GENESIS, salt };
        let capacity = segment_bytes.max(to_u64(HEAD_LEN));
        let file = create_segment(journal, &head, capacity, None).map_err(at(journal))?;
        return Ok(JournalEnd { file, number: 1, salt, end: to_u64(HEAD_LEN), capacity, last_seq, last_hash });
    };
    let file = OpenOptions::new().read(true).write(true).open(&last.path).map_err(at(&last.path))?;
    if walked.torn_bytes > 0 {
        tracing::warn!(segment = last.head.number, torn_bytes = walked.torn_bytes, "cutting off a torn record");
        let cut = file.set_len(walked.end).and_then(|()| file.set_len(last.bytes)).and_then(|()| file.sync_all());
        cut.map_err(at(&last.path))?;
    }
    write_again(&file, walked.last_group, walked.end).map_err(at(&last.path))?;
    let (number, salt) = (last.head.number, last.head.salt);
    Ok(JournalEnd { file, number, salt, end: walked.end, capacity: last.bytes, last_seq, last_hash })
}

/// Writes the last group again and syncs it. It may be here only in the page cache: its writer was killed before its
/// sync, or the sync failed and the kernel took the pages for clean. It is about to be shown, so it must be durable.
fn write_again(file: &File, from: u64, to: u64) -> io::Result<()> {
    let mut group = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or_default()];
    file.read_exact_at(&mut group, from)?;
    file.write_all_at(&group, from)?;
    file.sync_all()
}
