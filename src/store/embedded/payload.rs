//! What a journal record carries: a batch, or the nonces taken since the last group.
//!
//! Invariant: what is decoded equals what was encoded, conditions aside: they were judged before the batch was
//! written and never again. Unknown versions and leftover bytes are refused, never skipped.

use super::bytes::{Reader, put_bytes, put_len};
use crate::store::engine::{Expect, NonceTaken, Put, RawBatch, Timer};
use tongdao_core::time::UnixMillis;

const BATCH_1: u8 = 1;
const NONCES_1: u8 = 2;

/// The content of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    /// A committed batch; every condition reads `Any`.
    Batch(RawBatch),
    /// Nonces taken.
    Nonces(Vec<NonceTaken>),
}

/// An upper bound of a batch's encoded length.
pub(super) fn batch_len_max(batch: &RawBatch) -> usize {
    let puts: usize = batch.puts.iter().map(|put| put.key.len() + put.value.len() + 16).sum();
    let keys: usize =
        batch.deletes.iter().chain(&batch.timers_cleared).chain(&batch.notes).map(|key| key.len() + 4).sum();
    let timers: usize = batch.timers_set.iter().map(|timer| timer.id.len() + 12).sum();
    puts + keys + timers + 32
}

/// Appends a batch.
pub(super) fn put_batch(out: &mut Vec<u8>, batch: &RawBatch) {
    out.push(BATCH_1);
    put_len(out, batch.puts.len());
    for put in &batch.puts {
        put_bytes(out, &put.key);
        out.extend_from_slice(&put.version.to_be_bytes());
        put_bytes(out, &put.value);
    }
    put_list(out, &batch.deletes);
    put_len(out, batch.timers_set.len());
    for timer in &batch.timers_set {
        put_bytes(out, &timer.id);
        out.extend_from_slice(&timer.due_at.0.to_be_bytes());
    }
    put_list(out, &batch.timers_cleared);
    put_list(out, &batch.notes);
}

/// Appends nonces.
pub(super) fn put_nonces(out: &mut Vec<u8>, nonces: &[NonceTaken]) {
    out.push(NONCES_1);
    put_len(out, nonces.len());
    for nonce in nonces {
        put_bytes(out, nonce.key_id.as_bytes());
        put_bytes(out, nonce.nonce.as_bytes());
        out.extend_from_slice(&nonce.until.0.to_be_bytes());
    }
}

/// Reads a payload; `None` when this release does not understand it.
pub(super) fn read_payload(bytes: &[u8]) -> Option<Payload> {
    let mut reader = Reader::new(bytes);
    let payload = match reader.u8()? {
        BATCH_1 => Payload::Batch(read_batch(&mut reader)?),
        NONCES_1 => Payload::Nonces(read_many(&mut reader, read_nonce)?),
        _ => return None,
    };
    reader.is_empty().then_some(payload)
}

fn put_list(out: &mut Vec<u8>, list: &[Vec<u8>]) {
    put_len(out, list.len());
    for bytes in list {
        put_bytes(out, bytes);
    }
}

fn read_batch(reader: &mut Reader<'_>) -> Option<RawBatch> {
    Some(RawBatch {
        puts: read_many(reader, read_put)?,
        deletes: read_many(reader, read_owned)?,
        timers_set: read_many(reader, read_timer)?,
        timers_cleared: read_many(reader, read_owned)?,
        notes: read_many(reader, read_owned)?,
    })
}

/// Reads a counted list. Each item takes at least one byte, so a false count ends at the end of the bytes; room is
/// made as items come, never by the count.
fn read_many<T>(reader: &mut Reader<'_>, read: fn(&mut Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    let count = reader.u32()?;
    (0..count).map(|_| read(reader)).collect()
}

fn read_owned(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    reader.bytes().map(<[u8]>::to_vec)
}

fn read_put(reader: &mut Reader<'_>) -> Option<Put> {
    let key = read_owned(reader)?;
    let version = reader.u64()?;
    Some(Put { key, version, value: read_owned(reader)?, expect: Expect::Any })
}

fn read_timer(reader: &mut Reader<'_>) -> Option<Timer> {
    Some(Timer { id: read_owned(reader)?, due_at: UnixMillis(reader.i64()?) })
}

fn read_nonce(reader: &mut Reader<'_>) -> Option<NonceTaken> {
    let key_id = String::from_utf8(read_owned(reader)?).ok()?;
    let nonce = String::from_utf8(read_owned(reader)?).ok()?;
    Some(NonceTaken { key_id, nonce, until: UnixMillis(reader.i64()?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batch() -> RawBatch {
        RawBatch {
            puts: vec![Put { key: b"k".to_vec(), version: 3, value: b"v".to_vec(), expect: Expect::Any }],
            deletes: vec![b"d".to_vec()],
            timers_set: vec![Timer { id: b"t".to_vec(), due_at: UnixMillis(-5) }],
            timers_cleared: vec![b"c".to_vec(), Vec::new()],
            notes: vec![b"note".to_vec()],
        }
    }

    #[test]
    fn a_batch_reads_as_written_within_its_bound() {
        let mut out = Vec::new();
        put_batch(&mut out, &batch());
        assert!(out.len() <= batch_len_max(&batch()));
        assert_eq!(read_payload(&out), Some(Payload::Batch(batch())));
    }

    #[test]
    fn nonces_read_as_written() {
        let nonces = vec![NonceTaken { key_id: "k".into(), nonce: "n".into(), until: UnixMillis(9) }];
        let mut out = Vec::new();
        put_nonces(&mut out, &nonces);
        assert_eq!(read_payload(&out), Some(Payload::Nonces(nonces)));
    }

    #[test]
    fn leftover_bytes_and_unknown_versions_are_refused() {
        let mut out = Vec::new();
        put_batch(&mut out, &batch());
        out.push(0);
        assert_eq!(read_payload(&out), None);
        assert_eq!(read_payload(&[9, 0, 0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..4) {
            let framed = [vec![kind], bytes].concat();
            drop(read_payload(&framed));
        }
    }
}
