//! The writing end of the journal.
//!
//! Invariant: records are written in groups: one write, one sync, and the next group only after it. A group lies in
//! one segment. After any error here the journal must not be used again: a failed sync is never repeated, since the
//! kernel may have dropped the pages it could not write.
//! It must not know the index or who waits.

use super::bytes::to_u64;
use super::record::{Hash, Place, write_record};
use super::segment::{HEAD_LEN, JournalFile, SegmentHead, WrapFile, create_segment, make_spare};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Where to go on writing.
pub(super) struct JournalEnd {
    pub(super) file: File,
    pub(super) number: u64,
    pub(super) salt: u32,
    /// The offset behind the last record.
    pub(super) end: u64,
    /// The file's length.
    pub(super) capacity: u64,
    pub(super) last_seq: u64,
    pub(super) last_hash: Hash,
}

/// The journal, open for appending.
pub(super) struct Journal {
    dir: PathBuf,
    segment_bytes: u64,
    wrap: WrapFile,
    spare: SpareMaker,
    file: Box<dyn JournalFile>,
    number: u64,
    salt: u32,
    offset: u64,
    capacity: u64,
    last_seq: u64,
    last_hash: Hash,
    group: Vec<u8>,
    group_first: u64,
    group_before: Hash,
}

impl Journal {
    /// Goes on at the end that recovery found.
    pub(super) fn resume(dir: &Path, segment_bytes: u64, wrap: WrapFile, end: JournalEnd) -> io::Result<Self> {
        let spare = SpareMaker::start(dir, segment_bytes)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            segment_bytes,
            spare,
            file: wrap(end.file),
            wrap,
            number: end.number,
            salt: end.salt,
            offset: end.end,
            capacity: end.capacity,
            last_seq: end.last_seq,
            last_hash: end.last_hash,
            group: Vec::new(),
            group_first: end.last_seq.saturating_add(1),
            group_before: end.last_hash,
        })
    }

    /// Adds a record to the group and returns its number. Nothing is on disk yet.
    pub(super) fn add(&mut self, payload: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let seq = self.last_seq.saturating_add(1);
        let place = Place { seq, group_first: self.group_first, before: self.last_hash };
        self.last_hash = write_record(&mut self.group, self.salt, place, payload);
        self.last_seq = seq;
        seq
    }

    /// The group's bytes so far.
    pub(super) fn group_len(&self) -> usize {
        self.group.len()
    }

    /// Writes the group and makes it durable.
    pub(super) fn sync_group(&mut self) -> io::Result<()> {
        let length = to_u64(self.group.len());
        if length > self.capacity.saturating_sub(self.offset) {
            self.next_segment(length)?;
        }
        self.file.write_at(&self.group, self.offset)?;
        self.file.sync()?;
        self.offset = self.offset.saturating_add(length);
        self.group.clear();
        self.group_first = self.last_seq.saturating_add(1);
        self.group_before = self.last_hash;
        Ok(())
    }

    /// The last record's number and the hash after it.
    pub(super) fn last(&self) -> (u64, Hash) {
        (self.last_seq, self.last_hash)
    }

    fn next_segment(&mut self, group_len: u64) -> io::Result<()> {
        let number = self.number.saturating_add(1);
        let head = SegmentHead { number, first_seq: self.group_first, before: self.group_before, salt: self.salt };
        let needed = group_len.saturating_add(to_u64(HEAD_LEN));
        let spare = if needed <= self.segment_bytes { self.spare.take()? } else { None };
        let took_spare = spare.is_some();
        let capacity = needed.max(self.segment_bytes);
        let file = create_segment(&self.dir, &head, capacity, spare)?;
        (self.file, self.number) = ((self.wrap)(file), number);
        (self.offset, self.capacity) = (to_u64(HEAD_LEN), capacity);
        // Never while a spare lies ready: both would be the same file.
        if took_spare {
            self.spare.ask();
        }
        Ok(())
    }
}

/// A thread that fills the next segment with zeros while this one is written.
struct SpareMaker {
    ask: Option<SyncSender<()>>,
    made: Receiver<io::Result<File>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SpareMaker {
    fn start(dir: &Path, bytes: u64) -> io::Result<Self> {
        let (ask, asked) = sync_channel::<()>(1);
        let (give, made) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let (dir, told) = (dir.to_path_buf(), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("store-spare".into()).spawn(move || {
            while asked.recv().is_ok() {
                if give.send(make_spare(&dir, bytes, &told)).is_err() {
                    return;
                }
            }
        })?;
        let spare = Self { ask: Some(ask), made, stop, thread: Some(thread) };
        spare.ask();
        Ok(spare)
    }

    /// Asks for one more.
    fn ask(&self) {
        if let Some(ask) = &self.ask
            && ask.try_send(()).is_err()
        {
            tracing::debug!("a spare segment is being made already");
        }
    }

    /// The spare if it is ready. While one is still being made the caller waits for it: two files of zeros at once
    /// would be slower.
    fn take(&self) -> io::Result<Option<File>> {
        self.made.recv().map_or(Ok(None), |made| made.map(Some))
    }
}

impl Drop for SpareMaker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.ask.take());
        // The thread may be blocked on handing over a spare; it gives up once nobody can receive it.
        let (_, nobody) = sync_channel(1);
        drop(std::mem::replace(&mut self.made, nobody));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the spare segment's thread panicked");
        }
    }
}
