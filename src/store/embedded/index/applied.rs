//! What the index says about itself: how far it came and what it should hold.
//!
//! Invariant: written in the same sled batch as the entries it counts. The digest is a sum over all records and
//! timers, so it follows each change in constant time and a full scan can be compared with it in any order.

use super::{GENESIS, Hash};
use crate::store::embedded::bytes::Reader;

/// The index's position and content in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::embedded) struct Applied {
    /// The last journal record applied.
    pub(in crate::store::embedded) seq: u64,
    /// The journal's hash after it.
    pub(in crate::store::embedded) hash: Hash,
    /// Records held.
    pub(in crate::store::embedded) records: u64,
    /// Timers held.
    pub(in crate::store::embedded) timers: u64,
    /// The sum over all their marks.
    pub(in crate::store::embedded) digest: u64,
}

impl Applied {
    /// An empty index.
    pub(in crate::store::embedded) const NOTHING: Self =
        Self { seq: 0, hash: GENESIS, records: 0, timers: 0, digest: 0 };

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(68);
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.hash);
        for number in [self.records, self.timers, self.digest] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_be_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let (seq, hash) = (reader.u64()?, *reader.array()?);
        let (records, timers, digest) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let read = Self { seq, hash, records, timers, digest };
        (read.encode() == bytes).then_some(read)
    }

    pub(super) fn add_record(&mut self, mark: u64) {
        self.records = self.records.saturating_add(1);
        self.digest = self.digest.wrapping_add(mark);
    }

    pub(super) fn forget_record(&mut self, mark: u64) {
        self.records = self.records.saturating_sub(1);
        self.digest = self.digest.wrapping_sub(mark);
    }

    pub(super) fn add_timer(&mut self, mark: u64) {
        self.timers = self.timers.saturating_add(1);
        self.digest = self.digest.wrapping_add(mark);
    }

    pub(super) fn forget_timer(&mut self, mark: u64) {
        self.timers = self.timers.saturating_sub(1);
        self.digest = self.digest.wrapping_sub(mark);
    }
}
