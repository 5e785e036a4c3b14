//! Records as the index keeps them: one head entry, and for what is longer than 4 KiB further parts under their own
//! keys. Entry kinds are told apart by the first byte of the index key.
//! Head: format 1 · record version 8 · crc32c of the own key 4 · crc32c of version and value 4 · value length 4 ·
//! the value's first bytes.
//!
//! Invariant: what is read is what was written under this very key, or an error. It must not know sled.

use super::bytes::{Reader, put_len};
use crate::store::engine::{Put, ReadError, Record};
use tongdao_core::time::UnixMillis;

/// Kinds of entries in the one tree.
pub(super) const RECORD: u8 = b'r';
pub(super) const PART: u8 = b'p';
pub(super) const TIMER: u8 = b't';
pub(super) const NONCE: u8 = b'n';
pub(super) const META: u8 = b'm';

const FORMAT: u8 = 1;
const HEAD_LEN: usize = 21;
const ENTRY_MAX: usize = 4096;
const FIRST_MAX: usize = ENTRY_MAX - HEAD_LEN;

/// A record's head entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) version: u64,
    key_check: u32,
    checksum: u32,
    value_len: usize,
    first: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads a head entry and checks that it belongs to this key.
    pub(super) fn read(key: &[u8], entry: &'a [u8]) -> Result<Self, ReadError> {
        let head = Self::parse(entry).ok_or(ReadError::Damaged)?;
        let whole = head.first.len() == head.value_len.min(FIRST_MAX);
        if whole && head.key_check == crc32c::crc32c(key) { Ok(head) } else { Err(ReadError::Damaged) }
    }

    fn parse(entry: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(entry);
        if reader.u8()? != FORMAT {
            return None;
        }
        let (version, key_check, checksum) = (reader.u64()?, reader.u32()?, reader.u32()?);
        let value_len = usize::try_from(reader.u32()?).ok()?;
        Some(Self { version, key_check, checksum, value_len, first: reader.rest() })
    }

    /// How many further parts hold the rest of the value.
    pub(super) fn parts(&self) -> u32 {
        let parts = self.value_len.saturating_sub(FIRST_MAX).div_ceil(ENTRY_MAX);
        u32::try_from(parts).unwrap_or(u32::MAX)
    }

    /// The record, once all parts are there.
    pub(super) fn assemble<P: AsRef<[u8]>>(
        &self,
        mut part: impl FnMut(u32) -> Result<Option<P>, ReadError>,
    ) -> Result<Record, ReadError> {
        let mut value = self.first.to_vec();
        for number in 0..self.parts() {
            value.extend_from_slice(part(number)?.ok_or(ReadError::Damaged)?.as_ref());
        }
        let intact = value.len() == self.value_len && checksum(self.version, &value) == self.checksum;
        if intact { Ok(Record { version: self.version, value }) } else { Err(ReadError::Damaged) }
    }

    /// What this record adds to the index's digest.
    pub(super) fn mark(&self) -> u64 {
        mix(u64::from(self.key_check) << 32 | u64::from(self.checksum), self.version)
    }
}

/// Writes the head entry of a record.
pub(super) fn put_head(out: &mut Vec<u8>, put: &Put) {
    out.push(FORMAT);
    out.extend_from_slice(&put.version.to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(&put.key).to_be_bytes());
    out.extend_from_slice(&checksum(put.version, &put.value).to_be_bytes());
    put_len(out, put.value.len());
    out.extend_from_slice(put.value.get(..FIRST_MAX).unwrap_or(&put.value));
}

/// The further parts of a value.
pub(super) fn parts_of(value: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    (0_u32..).zip(value.get(FIRST_MAX..).unwrap_or_default().chunks(ENTRY_MAX))
}

/// What a timer adds to the index's digest.
pub(super) fn timer_mark(id: &[u8], due_at: UnixMillis) -> u64 {
    mix(u64::from(crc32c::crc32c(id)) | 1 << 40, u64::from_ne_bytes(due_at.0.to_ne_bytes()))
}

fn checksum(version: u64, value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&version.to_be_bytes()), value)
}

/// Mixes two words so that sums of many results hardly ever agree by chance (the finaliser of splitmix64).
fn mix(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::Expect;

    fn put(length: usize) -> Put {
        let value = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        Put { key: b"key".to_vec(), version: 7, value, expect: Expect::Any }
    }

    fn read(put: &Put, key: &[u8]) -> Result<Record, ReadError> {
        let mut entry = Vec::new();
        put_head(&mut entry, put);
        assert!(entry.len() <= ENTRY_MAX);
        let parts: Vec<_> = parts_of(&put.value).map(|(_, part)| part.to_vec()).collect();
        Head::read(key, &entry)?.assemble(|number| Ok(parts.get(usize::try_from(number).unwrap())))
    }

    #[test]
    fn values_around_the_split_read_as_written() {
        for length in [0, 1, FIRST_MAX - 1, FIRST_MAX, FIRST_MAX + 1, FIRST_MAX + ENTRY_MAX, 20_000] {
            let put = put(length);
            assert_eq!(read(&put, b"key"), Ok(Record { version: 7, value: put.value.clone() }), "{length}");
        }
    }

    #[test]
    fn an_entry_under_a_foreign_key_is_damage() {
        assert_eq!(read(&put(10), b"other"), Err(ReadError::Damaged));
    }

    #[test]
    fn every_flipped_bit_of_an_entry_is_seen() {
        let mut whole = Vec::new();
        put_head(&mut whole, &put(40));
        for at in 0..whole.len() * 8 {
            let mut entry = whole.clone();
            entry[at / 8] ^= 1 << (at % 8);
            let read = Head::read(b"key", &entry).and_then(|head| head.assemble(|_| Ok(None::<&[u8]>)));
            assert!(read.is_err(), "bit {at}");
        }
    }
}
