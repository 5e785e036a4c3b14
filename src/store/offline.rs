//! What may be done with a store that no daemon has open: verify the journal, make the index anew, look at the disk.
//!
//! Invariant: these take a directory and no running engine; what changes anything takes the directory's lock first.

pub(crate) use super::embedded::{OpenError, disk_space, rebuild, verify};
pub(crate) use super::export::{ExportError, export};
