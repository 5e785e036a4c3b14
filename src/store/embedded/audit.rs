//! What opening left unread, read once after it: older journal segments and the records of a large index.
//!
//! Invariant: damage found here is as serious as damage found at the opening: the store is poisoned, and the next
//! opening checks everything before it serves. It changes nothing.

use super::error::{IndexError, OpenError};
use super::index::Index;
use super::mark::ask_recheck;
use super::segment::SegmentFile;
use super::shared::Shared;
use super::walk::walk_sealed;
use crate::store::engine::ReadError;
use std::sync::atomic::Ordering;

const RECORDS_A_STEP: usize = 512;

/// Reads what was left; ends early when the store closes.
pub(super) fn audit(shared: &Shared, index: &Index, unwalked: &[SegmentFile], counted: bool) {
    let walked = walk_segments(shared, unwalked);
    let read =
        if counted { Ok(()) } else { read_records(shared, index).map_err(|_| OpenError::Index(IndexError::Damaged)) };
    if let Err(error) = walked.and(read) {
        ask_recheck(&shared.dir);
        shared.poison("audit", &error);
    }
}

fn walk_segments(shared: &Shared, segments: &[SegmentFile]) -> Result<(), OpenError> {
    for (segment, next) in segments.iter().zip(segments.iter().skip(1)) {
        if shared.closing.load(Ordering::SeqCst) {
            return Ok(());
        }
        walk_sealed(segment, next.head)?;
    }
    Ok(())
}

fn read_records(shared: &Shared, index: &Index) -> Result<(), ReadError> {
    let mut from = Vec::new();
    while !shared.closing.load(Ordering::SeqCst) {
        let read = index.scan_from(&from, RECORDS_A_STEP)?;
        let Some((last, _)) = read.last() else { return Ok(()) };
        // The key right behind the last one read.
        from = [last.as_slice(), &[0]].concat();
    }
    Ok(())
}
