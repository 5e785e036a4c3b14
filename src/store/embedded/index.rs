//! The index: one sled tree that answers reads, with the journal's position in every batch.
//!
//! Invariant: a group of the journal is applied in one sled batch together with `Applied` (position, hash, counts and
//! a digest of all entries), so whatever sled loses or brings back, the difference shows. The index is a view: it is
//! never repaired, only made anew from the journal.
//! sled's `flush` is not an fsync, so `sync` also syncs our own descriptor of sled's file.

use super::error::IndexError;
use super::record::{GENESIS, Hash};
use super::segment::sync_dir;
use super::value::{Head, META, NONCE, PART, RECORD, TIMER, parts_of, put_head, timer_mark};
use crate::store::engine::{Expect, NonceTaken, Put, RawBatch, ReadError, Record};
use crate::store::nonces::{self, Ending};
use sled::{Batch, Db, IVec};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tongdao_core::time::UnixMillis;

mod applied;
mod guard;
mod scan;

pub(super) use applied::Applied;
pub(super) use guard::{guarded, open_guarded, remove_half_written_snapshots};

const APPLIED_KEY: &[u8] = b"m/applied";
/// A record that changes under a reader this often in a row cannot be told from a damaged one.
const RELOADS_MAX: usize = 64;

/// The index.
pub(super) struct Index {
    db: Db,
    dir: PathBuf,
    /// Ours alone, open from the start: the kernel reports a failed write-back once to each open descriptor.
    own: File,
}

/// What a group of journal records changes, last writer winning.
#[derive(Default)]
pub(super) struct Changes<'a> {
    records: BTreeMap<&'a [u8], Option<&'a Put>>,
    timers: BTreeMap<&'a [u8], Option<UnixMillis>>,
    nonces: Vec<&'a NonceTaken>,
    ended: Vec<&'a Ending>,
}

impl<'a> Changes<'a> {
    /// Adds what a batch changes.
    pub(super) fn batch(&mut self, batch: &'a RawBatch) {
        self.records.extend(batch.deletes.iter().map(|key| (key.as_slice(), None)));
        self.records.extend(batch.puts.iter().map(|put| (put.key.as_slice(), Some(put))));
        self.timers.extend(batch.timers_cleared.iter().map(|id| (id.as_slice(), None)));
        self.timers.extend(batch.timers_set.iter().map(|timer| (timer.id.as_slice(), Some(timer.due_at))));
    }

    /// Adds nonces taken.
    pub(super) fn nonces(&mut self, nonces: &'a [NonceTaken]) {
        self.nonces.extend(nonces);
    }

    /// Adds nonces run out.
    pub(super) fn ended(&mut self, ended: &'a [Ending]) {
        self.ended.extend(ended);
    }
}

impl Index {
    fn open(dir: &Path, cache_bytes: u64) -> Result<Self, IndexError> {
        // The flush thread stays on: it is sled's only true fsync.
        let config = sled::Config::new().path(dir).cache_capacity(cache_bytes).flush_every_ms(Some(500));
        let db = config.open()?;
        let own = File::open(dir.join("db")).map_err(sled::Error::from)?;
        Ok(Self { db, dir: dir.to_path_buf(), own })
    }

    /// Applies a group in one batch and moves `applied` on.
    pub(super) fn apply(
        &self,
        changes: &Changes<'_>,
        applied: &mut Applied,
        end: (u64, Hash),
    ) -> Result<(), IndexError> {
        let mut next = Applied { seq: end.0, hash: end.1, ..*applied };
        let mut batch = Batch::default();
        let (mut key, mut entry) = (Vec::new(), Vec::new());
        for (record_key, put) in &changes.records {
            self.drop_record(record_key, &mut batch, &mut next)?;
            if let Some(put) = put {
                write_record(put, &mut batch, &mut next, (&mut key, &mut entry))?;
            }
        }
        for (id, due_at) in &changes.timers {
            self.change_timer(id, *due_at, &mut batch, &mut next)?;
        }
        for ending in &changes.ended {
            batch.remove(nonce_key(ending.0, &ending.1));
        }
        for nonce in &changes.nonces {
            batch.insert(nonce_key(nonce.until, &nonces::key(&nonce.key_id, &nonce.nonce)), &[]);
        }
        batch.insert(APPLIED_KEY, next.encode());
        self.db.apply_batch(batch)?;
        *applied = next;
        Ok(())
    }

    /// Reads one record.
    pub(super) fn load(&self, key: &[u8]) -> Result<Option<Record>, ReadError> {
        let index_key = prefixed(RECORD, key);
        let mut entry = self.entry(&index_key)?;
        for _ in 0..RELOADS_MAX {
            let Some(now) = entry else { return Ok(None) };
            let read = Head::read(key, &now).and_then(|head| head.assemble(|part| self.entry(&part_key(key, part))));
            if let Ok(record) = read {
                return Ok(Some(record));
            }
            // The parts may have changed between two reads; only an entry that stayed the same is damaged.
            let again = self.entry(&index_key)?;
            if again.as_ref() == Some(&now) {
                return Err(ReadError::Damaged);
            }
            entry = again;
        }
        Err(ReadError::Damaged)
    }

    /// Whether a put's condition holds.
    pub(super) fn holds(&self, put: &Put) -> Result<bool, ReadError> {
        Ok(match put.expect {
            Expect::Any => true,
            Expect::Absent => self.entry(&prefixed(RECORD, &put.key))?.is_none(),
            Expect::AbsentOrSame => self.load(&put.key)?.is_none_or(|record| record.value == put.value),
            Expect::Version(version) => {
                let entry = self.entry(&prefixed(RECORD, &put.key))?;
                let stored = entry.map(|entry| Head::read(&put.key, &entry).map(|head| head.version)).transpose()?;
                stored == Some(version)
            }
        })
    }

    /// Reads records in key order, or backwards.
    pub(super) fn scan(
        &self,
        keys: Range<Vec<u8>>,
        limit: usize,
        backwards: bool,
    ) -> Result<Vec<(Vec<u8>, Record)>, ReadError> {
        if keys.start >= keys.end {
            return Ok(Vec::new());
        }
        let entries = self.db.range(prefixed(RECORD, &keys.start)..prefixed(RECORD, &keys.end));
        if backwards { self.collect(entries.rev(), limit) } else { self.collect(entries, limit) }
    }

    /// Reads records from a key on.
    pub(super) fn scan_from(&self, from: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Record)>, ReadError> {
        self.collect(self.db.range(prefixed(RECORD, from)..vec![RECORD.saturating_add(1)]), limit)
    }

    /// Writes everything applied to the disk.
    pub(super) fn sync(&self) -> Result<(), IndexError> {
        self.db.flush()?;
        self.own.sync_data().map_err(sled::Error::from)?;
        sync_dir(&self.dir).map_err(sled::Error::from)?;
        Ok(())
    }

    /// Bytes on disk.
    pub(super) fn size_on_disk(&self) -> Option<u64> {
        self.db.size_on_disk().ok()
    }

    fn collect(
        &self,
        entries: impl Iterator<Item = sled::Result<(IVec, IVec)>>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Record)>, ReadError> {
        let mut found = Vec::new();
        for entry in entries {
            if found.len() >= limit {
                break;
            }
            let (index_key, entry) = entry.map_err(|error| read_error(&error))?;
            let key = index_key.get(1..).unwrap_or_default();
            let read = Head::read(key, &entry).and_then(|head| head.assemble(|part| self.entry(&part_key(key, part))));
            // Changed under the scan: read it once more by itself.
            let record = match read {
                Ok(record) => Some(record),
                Err(_) => self.load(key)?,
            };
            found.extend(record.map(|record| (key.to_vec(), record)));
        }
        Ok(found)
    }

    fn entry(&self, index_key: &[u8]) -> Result<Option<IVec>, ReadError> {
        self.db.get(index_key).map_err(|error| read_error(&error))
    }

    fn drop_record(&self, key: &[u8], batch: &mut Batch, next: &mut Applied) -> Result<(), IndexError> {
        let index_key = prefixed(RECORD, key);
        let Some(entry) = self.db.get(&index_key)? else { return Ok(()) };
        let head = Head::read(key, &entry).map_err(|_| IndexError::Damaged)?;
        batch.remove(index_key);
        for part in 0..head.parts() {
            batch.remove(part_key(key, part));
        }
        next.forget_record(head.mark());
        Ok(())
    }

    fn change_timer(
        &self,
        id: &[u8],
        due_at: Option<UnixMillis>,
        batch: &mut Batch,
        next: &mut Applied,
    ) -> Result<(), IndexError> {
        let index_key = prefixed(TIMER, id);
        if let Some(before) = self.db.get(&index_key)? {
            next.forget_timer(timer_mark(id, scan::due_of(&before).ok_or(IndexError::Damaged)?));
            batch.remove(index_key.as_slice());
        }
        if let Some(due_at) = due_at {
            next.add_timer(timer_mark(id, due_at));
            batch.insert(index_key, &due_at.0.to_be_bytes());
        }
        Ok(())
    }
}

fn write_record(
    put: &Put,
    batch: &mut Batch,
    next: &mut Applied,
    (key, entry): (&mut Vec<u8>, &mut Vec<u8>),
) -> Result<(), IndexError> {
    key.clear();
    key.push(RECORD);
    key.extend_from_slice(&put.key);
    entry.clear();
    put_head(entry, put);
    next.add_record(Head::read(&put.key, entry).map_err(|_| IndexError::Damaged)?.mark());
    batch.insert(key.as_slice(), entry.as_slice());
    for (number, part) in parts_of(&put.value) {
        batch.insert(part_key(&put.key, number), part);
    }
    Ok(())
}

fn prefixed(kind: u8, key: &[u8]) -> Vec<u8> {
    [&[kind], key].concat()
}

fn part_key(key: &[u8], part: u32) -> Vec<u8> {
    [&[PART], key, &part.to_be_bytes()].concat()
}

fn nonce_key(until: UnixMillis, key: &[u8]) -> Vec<u8> {
    [&[NONCE], until.0.to_be_bytes().as_slice(), key].concat()
}

fn read_error(error: &sled::Error) -> ReadError {
    match error {
        sled::Error::Io(error) => ReadError::Io(error.kind()),
        sled::Error::Corruption { .. } => ReadError::Damaged,
        sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) | sled::Error::ReportableBug(_) => {
            ReadError::Io(io::ErrorKind::Other)
        }
    }
}

const _: () = assert!(META == b'm', "the applied key starts with the kind of meta entries");
