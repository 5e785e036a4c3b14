//! ZIP files of a few entries, read without believing them: the directory at the end, then one entry as a stream.
//!
//! Invariant (attack 73): names are compared and never used as paths, and one with a folder in it is refused; the number
//! of entries, the directory's size, and what an entry declares and what really comes out of it are bounded; length and
//! CRC-32 must be the declared ones.
//! Only what providers use is read: stored or deflated entries of one disk, not encrypted, no ZIP64. It holds one
//! small directory and one buffer, however large the file is. It knows no provider's names.

use super::bounded::{Bounded, unpacked_max};
use super::{file_fault, io_fault};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::io::{BufReader, Error, ErrorKind, Read, Result as IoResult, Seek, SeekFrom, Take};
use tongdao_core::provider::StatementFault;

/// One entry of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name's bytes, in whatever encoding the packer used.
    pub(crate) name: Vec<u8>,
    is_deflated: bool,
    crc: u32,
    packed_bytes: u64,
    bytes: u64,
    starts_at: u64,
}

/// Reads the directory of a file of that length.
pub(crate) fn entries<F: Read + Seek + ?Sized>(file: &mut F, length: u64) -> Result<Vec<Entry>, StatementFault> {
    let tail = at(file, length.saturating_sub(TAIL_BYTES), TAIL_BYTES)?;
    let ends = |place: &usize| {
        let comment = u16_at(&tail, place.saturating_add(20)).map(usize::from);
        comment.and_then(|comment| place.checked_add(END_BYTES)?.checked_add(comment)) == Some(tail.len())
    };
    let mut starts = tail.windows(4).enumerate().filter(|(_, window)| *window == END).map(|(place, _)| place);
    let place = starts.rfind(ends).ok_or_else(|| file_fault("the file is no whole ZIP file"))?;
    let end = tail.get(place..).unwrap_or_default();
    let after_tail = u64::try_from(tail.len().saturating_sub(place)).unwrap_or(u64::MAX);
    let (count, size, start) = match (u32_at(end, 4), u16_at(end, 8), u16_at(end, 10), u32_at(end, 12), u32_at(end, 16))
    {
        (Some(0), Some(here), Some(count), Some(size), Some(start)) if here == count => (count, size, start),
        (_, _, _, _, _) => return Err(directory()),
    };
    let fits = u64::from(start).checked_add(u64::from(size)) == length.checked_sub(after_tail);
    if count == 0 || count > ENTRIES_MAX || u64::from(size) > DIRECTORY_BYTES_MAX || !fits {
        return Err(directory());
    }
    let bytes = at(file, u64::from(start), u64::from(size))?;
    let mut rest = bytes.as_slice();
    let mut found = Vec::new();
    for _ in 0..count {
        let (entry, after) = entry(rest)?;
        found.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(found) } else { Err(directory()) }
}

/// What one entry holds, as it unpacks. Its end is reached only when length and checksum hold.
pub(crate) fn open<'a, F: Read + Seek + ?Sized>(
    file: &'a mut F,
    entry: &Entry,
) -> Result<impl Read + use<'a, F>, StatementFault> {
    let head = at(file, entry.starts_at, LOCAL_BYTES)?;
    let lengths = (u16_at(&head, 26).map(u64::from), u16_at(&head, 28).map(u64::from));
    let (Some(name), Some(extra)) = lengths else { return Err(directory()) };
    let same_name = at(file, entry.starts_at.saturating_add(LOCAL_BYTES), name)? == entry.name;
    if !head.starts_with(&LOCAL) || !same_name {
        return Err(directory());
    }
    let starts_at = entry.starts_at.saturating_add(LOCAL_BYTES).saturating_add(name).saturating_add(extra);
    file.seek(SeekFrom::Start(starts_at)).map_err(|error| io_fault(&error))?;
    let packed = BufReader::with_capacity(BUFFER_BYTES, file.take(entry.packed_bytes));
    let content =
        if entry.is_deflated { Content::Deflated(DeflateDecoder::new(packed)) } else { Content::Stored(packed) };
    Ok(Checked { content: Bounded::new(content, entry.bytes), crc: Crc::new(), entry: entry.clone(), read: 0 })
}

const END: [u8; 4] = *b"PK\x05\x06";
const DIRECTORY: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const END_BYTES: usize = 22;
const LOCAL_BYTES: u64 = 30;
/// The end and the longest comment behind it.
const TAIL_BYTES: u64 = 22 + 65_535;
const DIRECTORY_BYTES_MAX: u64 = 64 << 10;
const ENTRIES_MAX: u16 = 32;
const BUFFER_BYTES: usize = 64 << 10;

fn directory() -> StatementFault {
    file_fault("the ZIP file's directory is not one of a statement")
}

/// Up to `count` bytes from a place.
fn at<F: Read + Seek + ?Sized>(file: &mut F, place: u64, count: u64) -> Result<Vec<u8>, StatementFault> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(place)).map_err(|error| io_fault(&error))?;
    file.take(count).read_to_end(&mut bytes).map_err(|error| io_fault(&error))?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    let slice = bytes.get(place..place.checked_add(2)?)?;
    slice.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    let slice = bytes.get(place..place.checked_add(4)?)?;
    slice.try_into().ok().map(u32::from_le_bytes)
}

fn entry(bytes: &[u8]) -> Result<(Entry, &[u8]), StatementFault> {
    read_entry(bytes).ok_or_else(directory)
}

fn read_entry(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    const HEAD_BYTES: usize = 46;
    let is_encrypted = u16_at(bytes, 8)? & 1 == 1;
    let method = u16_at(bytes, 10)?;
    let (name, extra, comment) = (u16_at(bytes, 28)?, u16_at(bytes, 30)?, u16_at(bytes, 32)?);
    let name_end = HEAD_BYTES.checked_add(usize::from(name))?;
    let end = name_end.checked_add(usize::from(extra))?.checked_add(usize::from(comment))?;
    let entry = Entry {
        name: bytes.get(HEAD_BYTES..name_end)?.to_vec(),
        is_deflated: method == 8,
        crc: u32_at(bytes, 16)?,
        packed_bytes: u64::from(u32_at(bytes, 20)?),
        bytes: u64::from(u32_at(bytes, 24)?),
        starts_at: u64::from(u32_at(bytes, 42)?),
    };
    let is_read = bytes.starts_with(&DIRECTORY) && !is_encrypted && matches!(method, 0 | 8) && is_bare(&entry.name);
    // What it declares is bounded here, what comes out where it is read.
    let is_sound = is_read && entry.bytes <= unpacked_max(entry.packed_bytes);
    Some((entry, bytes.get(end..)?)).filter(|_| is_sound)
}

/// A name without a folder. GBK has the backslash's byte inside of characters, so that one counts in ASCII names alone.
fn is_bare(name: &[u8]) -> bool {
    let parts = |byte: &u8| matches!(byte, b'/' | 0) || (*byte == b'\\' && name.is_ascii());
    !name.is_empty() && name != b".." && !name.iter().any(parts)
}

enum Content<R: Read> {
    Stored(BufReader<Take<R>>),
    Deflated(DeflateDecoder<BufReader<Take<R>>>),
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        match self {
            Self::Stored(content) => content.read(buffer),
            Self::Deflated(content) => content.read(buffer),
        }
    }
}

/// A reader whose end is an error unless everything came through.
struct Checked<R: Read> {
    content: Bounded<Content<R>>,
    crc: Crc,
    entry: Entry,
    read: u64,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let read = self.content.read(buffer)?;
        self.crc.update(buffer.get(..read).unwrap_or_default());
        self.read = self.read.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        let ended = read == 0 && !buffer.is_empty();
        if ended && (self.read != self.entry.bytes || self.crc.sum() != self.entry.crc) {
            return Err(Error::new(ErrorKind::InvalidData, "an entry's length or checksum does not hold"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
