//! One process for one directory.
//!
//! Invariant: whoever holds the lock is the only writer; the system lets go of it when the process ends, however it
//! ends.

use super::error::{OpenError, at};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// Takes the directory's lock or says who is in the way. Dropping the file lets go.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(at(&path)(error)),
    }
}
