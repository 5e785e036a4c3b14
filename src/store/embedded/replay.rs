//! Giving the index the journal records that it lacks.
//!
//! Invariant: records are applied in order from the one after `Applied`, each group in one batch, so an interrupted
//! replay goes on where it stopped and a repeated one changes nothing.

use super::error::OpenError;
use super::index::{Applied, Changes, Index};
use super::payload::{Payload, read_payload};
use super::record::Hash;
use super::segment::SegmentFile;
use super::walk::walk;

const GROUP_RECORDS_MAX: usize = 256;
const GROUP_BYTES_MAX: usize = 1 << 20;

/// Applies every record behind `start` and returns where the index then stands.
pub(super) fn replay(index: &Index, start: Applied, segments: &[SegmentFile]) -> Result<Applied, OpenError> {
    let first = from_segment_of(segments, start.seq.saturating_add(1));
    let mut group = Group { payloads: Vec::new(), bytes: 0, end: (start.seq, start.hash), applied: start };
    walk(segments.get(first..).unwrap_or_default(), 0, &mut |entry| {
        if entry.seq <= start.seq {
            return Ok(());
        }
        group.payloads.push(read_payload(entry.payload).ok_or_else(|| entry.unreadable())?);
        group.bytes = group.bytes.saturating_add(entry.payload.len());
        group.end = (entry.seq, entry.hash);
        if group.payloads.len() >= GROUP_RECORDS_MAX || group.bytes >= GROUP_BYTES_MAX {
            group.apply(index)?;
        }
        Ok(())
    })?;
    group.apply(index)?;
    Ok(group.applied)
}

/// The last segment that begins at or before a record.
pub(super) fn from_segment_of(segments: &[SegmentFile], seq: u64) -> usize {
    segments.iter().rposition(|segment| segment.head.first_seq <= seq).unwrap_or(0)
}

struct Group {
    payloads: Vec<Payload>,
    bytes: usize,
    end: (u64, Hash),
    applied: Applied,
}

impl Group {
    fn apply(&mut self, index: &Index) -> Result<(), OpenError> {
        if self.payloads.is_empty() {
            return Ok(());
        }
        let mut changes = Changes::default();
        for payload in &self.payloads {
            match payload {
                Payload::Batch(batch) => changes.batch(batch),
                Payload::Nonces(nonces) => changes.nonces(nonces),
            }
        }
        index.apply(&changes, &mut self.applied, self.end)?;
        self.payloads.clear();
        self.bytes = 0;
        Ok(())
    }
}
