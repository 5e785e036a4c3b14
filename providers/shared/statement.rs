//! What every statement needs to be read: lines of bounded length, strict figures, Beijing times, bounded files.
//!
//! Invariant: memory does not grow with a file, whatever it holds; a file that is cut, swollen or damaged ends in a
//! fault and never in fewer lines. What a fault says never carries a cell's text: cells hold payers' names.
//! Nothing here knows a provider's columns.

pub(crate) mod archive;
pub(crate) mod bounded;
pub(crate) mod figure;
pub(crate) mod header;
pub(crate) mod lines;
pub(crate) mod moment;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod totals;

use std::io::ErrorKind;
use tongdao_core::provider::StatementFault;

/// A fault of one line.
pub(crate) fn line_fault(line: u64, reason: impl Into<String>) -> StatementFault {
    StatementFault::Line { line, reason: reason.into() }
}

/// A fault of the file.
pub(crate) fn file_fault(reason: impl Into<String>) -> StatementFault {
    StatementFault::File(reason.into())
}

/// A reading error: of the file when its bytes are wrong, else of the disk.
pub(crate) fn io_fault(error: &std::io::Error) -> StatementFault {
    let kind = error.kind();
    if kind == ErrorKind::UnexpectedEof {
        return file_fault("the file is cut off");
    }
    if [ErrorKind::InvalidData, ErrorKind::InvalidInput].contains(&kind) {
        return file_fault(format!("the file is damaged: {error}"));
    }
    StatementFault::Stopped(kind.to_string())
}
