//! How much a statement may hold: bytes in all, and bytes for each byte that came over the wire.
//!
//! Invariant (attack 73): what a packed file says of its own size is never believed; the bytes that come out of it
//! are counted, and one byte over the limit is an error. It knows no format.

use std::io::{Error, ErrorKind, Read, Result, SeekFrom};
use tongdao_core::provider::{StatementBytes, StatementFault};

/// The most that a statement may hold unpacked: some fifteen million lines.
pub(crate) const BYTES_MAX: u64 = 4 << 30;
/// Deflate packs a statement ten to thirty times; a bomb a thousand.
const RATIO_MAX: u64 = 200;
/// Small files may be packed better than that.
const SMALL_BYTES: u64 = 1 << 20;

/// A reader that fails when more than `left` bytes come out of it.
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Bounded<R> {
    /// Lets `limit` bytes through.
    pub(crate) const fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit }
    }

    /// What is read from.
    pub(crate) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.inner.read(buffer)?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(count).ok_or_else(|| {
            Error::new(ErrorKind::InvalidData, "more comes out of it than a statement of its size holds")
        })?;
        Ok(read)
    }
}

/// The most that may come out of a packed file of that many bytes.
pub(crate) fn unpacked_max(packed_bytes: u64) -> u64 {
    packed_bytes.saturating_mul(RATIO_MAX).clamp(SMALL_BYTES, BYTES_MAX)
}

/// Winds a file back and answers its length.
pub(crate) fn rewound(file: &mut dyn StatementBytes) -> std::result::Result<u64, StatementFault> {
    let length = file.seek(SeekFrom::End(0)).map_err(|error| super::io_fault(&error))?;
    file.seek(SeekFrom::Start(0)).map_err(|error| super::io_fault(&error))?;
    match length {
        0 => Err(super::file_fault("the file is empty")),
        1..=BYTES_MAX => Ok(length),
        _ => Err(super::file_fault("the file is larger than any statement")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn one_byte_over_the_limit_is_an_error() {
        let mut text = String::new();
        assert_eq!(Bounded::new(&b"four"[..], 4).read_to_string(&mut text).unwrap(), 4);
        let error = Bounded::new(&b"fives"[..], 4).read_to_string(&mut text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn small_files_may_be_packed_well_and_none_grows_without_end() {
        assert_eq!(unpacked_max(100), SMALL_BYTES);
        assert_eq!(unpacked_max(1_000_000), 200_000_000);
        assert_eq!(unpacked_max(u64::MAX), BYTES_MAX);
    }

    #[test]
    fn a_file_is_wound_back_and_an_empty_one_refused() {
        let mut file = Cursor::new(b"abc".to_vec());
        file.set_position(2);
        assert_eq!(rewound(&mut file), Ok(3));
        assert_eq!(file.position(), 0);
        assert!(rewound(&mut Cursor::new(Vec::new())).is_err());
    }
}
