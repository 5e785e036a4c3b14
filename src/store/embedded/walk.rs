//! Reading the journal from a segment's start to its end, and judging what the end means.
//!
//! Invariant: a bad record is cut off as a torn tail only when nothing shows that it had been acknowledged. Proof
//! that it had been is any of: a later segment, an intact record of a later group (a group is written only after
//! the one before it was synced), or a sequence number that the index or the checkpoint already knows.
//! It changes no file and must not know the index.

use super::bytes::to_u64;
use super::error::{Damage, OpenError, at};
use super::record::{GENESIS, Hash, MAGIC, read_record};
use super::segment::{HEAD_LEN, SegmentFile, SegmentHead};

/// A record as the walk hands it out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) seq: u64,
    /// The hash after it.
    pub(super) hash: Hash,
    pub(super) payload: &'a [u8],
    pub(super) segment: u64,
    pub(super) offset: u64,
}

impl Entry<'_> {
    /// The error for a record whose content cannot be read.
    pub(super) fn unreadable(&self) -> OpenError {
        let damage = Damage::Payload;
        OpenError::JournalDamaged { segment: self.segment, offset: self.offset, seq: self.seq, damage }
    }
}

/// Called for each record.
pub(super) type Visit<'v> = dyn FnMut(&Entry<'_>) -> Result<(), OpenError> + 'v;

/// Where a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walked {
    pub(super) records: u64,
    pub(super) last_seq: u64,
    pub(super) last_hash: Hash,
    /// The offset behind the last record, in the last segment.
    pub(super) end: u64,
    /// The offset where the last group begins, in the last segment.
    pub(super) last_group: u64,
    /// Bytes of a torn, never acknowledged tail behind it.
    pub(super) torn_bytes: u64,
}

/// Walks segments to the journal's end. `known_seq` is the last record known to be acknowledged.
pub(super) fn walk(segments: &[SegmentFile], known_seq: u64, visit: &mut Visit<'_>) -> Result<Walked, OpenError> {
    let mut walked = start_of(segments);
    for (at, segment) in segments.iter().enumerate() {
        let next = segments.get(at.saturating_add(1)).map(|next| next.head);
        walk_segment(segment, &mut walked, next, known_seq, visit)?;
    }
    if walked.last_seq < known_seq {
        return Err(OpenError::JournalLost { journal_seq: walked.last_seq, known_seq });
    }
    Ok(walked)
}

/// Walks one sealed segment, which ends where `next` begins.
pub(super) fn walk_sealed(segment: &SegmentFile, next: SegmentHead) -> Result<(), OpenError> {
    let mut walked = start_of(std::slice::from_ref(segment));
    walk_segment(segment, &mut walked, Some(next), 0, &mut |_| Ok(()))
}

fn start_of(segments: &[SegmentFile]) -> Walked {
    let (first_seq, last_hash) =
        segments.first().map_or((1, GENESIS), |first| (first.head.first_seq, first.head.before));
    Walked { records: 0, last_seq: first_seq.saturating_sub(1), last_hash, end: 0, last_group: 0, torn_bytes: 0 }
}

fn walk_segment(
    segment: &SegmentFile,
    walked: &mut Walked,
    next: Option<SegmentHead>,
    known_seq: u64,
    visit: &mut Visit<'_>,
) -> Result<(), OpenError> {
    let head = segment.head;
    let damaged =
        |offset: u64, seq: u64, damage| OpenError::JournalDamaged { segment: head.number, offset, seq, damage };
    let is_first = head.number == 1;
    if head.first_seq != walked.last_seq.saturating_add(1)
        || head.before != walked.last_hash
        || (is_first && (head.first_seq != 1 || head.before != GENESIS))
    {
        return Err(damaged(0, walked.last_seq.saturating_add(1), Damage::Chain));
    }
    let bytes = std::fs::read(&segment.path).map_err(at(&segment.path))?;
    let mut rest = bytes.get(HEAD_LEN..).unwrap_or_default();
    let mut offset = to_u64(HEAD_LEN);
    walked.last_group = offset;
    while let Some(record) = read_record(rest, head.salt) {
        let seq = walked.last_seq.saturating_add(1);
        if record.place.seq != seq || record.place.before != walked.last_hash {
            return Err(damaged(offset, seq, Damage::Chain));
        }
        if record.place.group_first == seq {
            walked.last_group = offset;
        }
        let hash = record.hash();
        visit(&Entry { seq, hash, payload: record.payload, segment: head.number, offset })?;
        (walked.last_seq, walked.last_hash, walked.records) = (seq, hash, walked.records.saturating_add(1));
        rest = rest.get(record.len()..).unwrap_or_default();
        offset = offset.saturating_add(to_u64(record.len()));
    }
    walked.end = offset;
    let seq = walked.last_seq.saturating_add(1);
    let left = without_zeros(rest);
    walked.torn_bytes = to_u64(left);
    let acknowledged = || next.is_some() || seq <= known_seq || has_later_group(rest, left, head.salt, seq);
    if left > 0 && acknowledged() {
        return Err(damaged(offset, seq, Damage::Record));
    }
    // Zeros where the next segment says that records were.
    if next.is_some_and(|next| next.first_seq != seq || next.before != walked.last_hash) {
        return Err(damaged(offset, seq, Damage::Record));
    }
    Ok(())
}

/// How many bytes stand before the zeros at the end. Block by block: a young segment's tail is tens of megabytes, and a
/// restart waits for this.
fn without_zeros(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let is_zero = |block: &&[u8]| Some(*block) == ZEROS.get(..block.len());
    let blocks = bytes.rchunks(ZEROS.len()).take_while(is_zero);
    let before_blocks = bytes.len().saturating_sub(blocks.map(<[u8]>::len).sum());
    let last = bytes.get(..before_blocks).unwrap_or_default();
    before_blocks.saturating_sub(last.iter().rev().take_while(|byte| **byte == 0).count())
}

/// Whether an intact record of a group later than `seq` begins anywhere in the first `left` of these bytes: no record
/// begins with a zero, though one may end with them.
fn has_later_group(bytes: &[u8], left: usize, salt: u32, seq: u64) -> bool {
    let begun = bytes.get(..left).unwrap_or_default();
    let starts = begun.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
    let mut records = starts.filter_map(|(start, _)| read_record(bytes.get(start..)?, salt));
    records.any(|record| record.place.group_first > seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_are_found_wherever_the_blocks_fall() {
        for len in [0, 1, 4095, 4096, 4097, 10_000] {
            for left in [0, 1, 4096, 5000, 9999].into_iter().filter(|left| *left <= len) {
                let mut bytes = vec![0; len];
                bytes[..left].fill(7);
                assert_eq!(without_zeros(&bytes), left, "{left} of {len}");
            }
        }
    }
}
