//! One record of the journal, as bytes:
//! magic 4 · length of the payload 4 · seq 8 · first seq of its group 8 · hash before it 32 · payload · crc32c 4.
//!
//! Invariant: a record proves itself (checksum, salted so that no payload can pose as a record), its place in the
//! chain (the hash of everything before it) and that every record before its group was durable when it was
//! written, since a group is written only after the group before it was synced.
//! The hash after a record is SHA-256 over all of it but the checksum. It must not know what a payload means.

use super::bytes::Reader;
use sha2::{Digest, Sha256};

/// The running hash of the journal.
pub(crate) type Hash = [u8; 32];

/// The hash before the first record.
pub(super) const GENESIS: Hash = [0; 32];
/// How each record starts.
pub(super) const MAGIC: [u8; 4] = *b"TDR1";
const LENGTH_AT: usize = 4;
/// Bytes before the payload.
pub(super) const HEAD_LEN: usize = 56;
const CHECKSUM_LEN: usize = 4;

/// A record's place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) seq: u64,
    pub(super) group_first: u64,
    pub(super) before: Hash,
}

/// A record whose checksum holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordView<'a> {
    pub(super) place: Place,
    pub(super) payload: &'a [u8],
    hashed: &'a [u8],
}

impl RecordView<'_> {
    /// The hash after this record.
    pub(super) fn hash(&self) -> Hash {
        Sha256::digest(self.hashed).into()
    }

    /// Its length on disk.
    pub(super) fn len(&self) -> usize {
        self.hashed.len().saturating_add(CHECKSUM_LEN)
    }
}

/// Appends a record and returns the hash after it.
pub(super) fn write_record(out: &mut Vec<u8>, salt: u32, place: Place, payload: impl FnOnce(&mut Vec<u8>)) -> Hash {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&place.seq.to_be_bytes());
    out.extend_from_slice(&place.group_first.to_be_bytes());
    out.extend_from_slice(&place.before);
    payload(out);
    let payload_len = out.len().saturating_sub(start).saturating_sub(HEAD_LEN);
    let checked = u32::try_from(payload_len);
    assert!(checked.is_ok(), "a payload of {payload_len} bytes does not fit a record");
    let length_at = start.saturating_add(LENGTH_AT);
    if let Some(field) = out.get_mut(length_at..length_at.saturating_add(4)) {
        field.copy_from_slice(&checked.unwrap_or(u32::MAX).to_be_bytes());
    }
    let hashed = out.get(start..).unwrap_or_default();
    let hash = Sha256::digest(hashed).into();
    let checksum = crc32c::crc32c_append(salt, hashed);
    out.extend_from_slice(&checksum.to_be_bytes());
    hash
}

/// Reads the record that starts at the first byte, if one whole record does.
pub(super) fn read_record(bytes: &[u8], salt: u32) -> Option<RecordView<'_>> {
    let mut reader = Reader::new(bytes);
    if *reader.array::<4>()? != MAGIC {
        return None;
    }
    let payload_len = usize::try_from(reader.u32()?).ok()?;
    let place = Place { seq: reader.u64()?, group_first: reader.u64()?, before: *reader.array()? };
    let payload = reader.take(payload_len)?;
    let checksum = reader.u32()?;
    let hashed = bytes.get(..HEAD_LEN.checked_add(payload_len)?)?;
    (crc32c::crc32c_append(salt, hashed) == checksum).then_some(RecordView { place, payload, hashed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Vec<u8> {
        let mut out = Vec::new();
        let place = Place { seq: 7, group_first: 5, before: [9; 32] };
        write_record(&mut out, 1, place, |out| out.extend_from_slice(b"payload"));
        out
    }

    #[test]
    fn a_record_reads_as_written() {
        let bytes = one();
        let read = read_record(&bytes, 1).unwrap();
        assert_eq!((read.place.seq, read.place.group_first, read.place.before), (7, 5, [9; 32]));
        assert_eq!((read.payload, read.len()), (b"payload".as_slice(), bytes.len()));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        for at in 0..one().len() * 8 {
            let mut bytes = one();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(read_record(&bytes, 1).is_none(), "bit {at}");
        }
    }

    #[test]
    fn a_record_under_another_salt_is_no_record() {
        assert!(read_record(&one(), 2).is_none());
    }
}
