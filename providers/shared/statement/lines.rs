//! The lines of a text, one at a time in one buffer, with their numbers.
//!
//! Invariant: a line longer than the limit is a fault before it is held, and a text whose last line does not end is
//! one too: it was cut. A line's end (CRLF or LF) is not part of it. It knows no encoding.

use super::{file_fault, io_fault, line_fault};
use std::io::{BufRead, Read as _};
use tongdao_core::provider::StatementFault;

/// Longer than any line of any provider, by far.
const LINE_BYTES_MAX: u64 = 16 << 10;

/// Reads a text line by line.
pub(crate) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Begins before the first line.
    pub(crate) const fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), number: 0 }
    }

    /// The next line with its number, 1 for the first; `None` at the end of the text.
    pub(crate) fn advance(&mut self) -> Result<Option<(u64, &[u8])>, StatementFault> {
        self.buffer.clear();
        let mut limited = (&mut self.source).take(LINE_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut self.buffer).map_err(|error| io_fault(&error))?;
        if read == 0 {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        let Some(line) = self.buffer.strip_suffix(b"\n") else {
            let is_long = u64::try_from(read).is_ok_and(|read| read >= LINE_BYTES_MAX);
            return Err(if is_long {
                line_fault(self.number, "the line is longer than any of a statement")
            } else {
                file_fault("the file is cut off: its last line does not end")
            });
        };
        Ok(Some((self.number, line.strip_suffix(b"\r").unwrap_or(line))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Result<Vec<String>, StatementFault> {
        let mut lines = Lines::new(text);
        let mut read = Vec::new();
        while let Some((number, line)) = lines.advance()? {
            read.push(String::from_utf8_lossy(line).into_owned());
            assert_eq!(number, u64::try_from(read.len()).unwrap());
        }
        Ok(read)
    }

    #[test]
    fn both_line_ends_are_taken_off_and_a_cut_text_is_a_fault() {
        assert_eq!(all(b"a\r\nb\n\r\n").unwrap(), ["a", "b", ""]);
        assert_eq!(all(b"").unwrap(), [""; 0]);
        assert!(matches!(all(b"a\r\nb"), Err(StatementFault::File(_))));
        assert!(matches!(all(b"a\r"), Err(StatementFault::File(_))));
    }

    #[test]
    fn a_line_without_end_is_never_held() {
        let long = vec![b'x'; 1 << 20];
        assert!(matches!(all(&long), Err(StatementFault::Line { line: 1, .. })));
    }
}
