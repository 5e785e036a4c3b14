//! Where statements lie while they are checked and booked: a directory of our own on the disk.
//!
//! Invariant: a file is readable by its owner only, its name is ours and never the provider's, and it is gone when
//! whoever holds it lets go of it; what a dead process left is removed at the next start. It knows no statement.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What every file's name ends in; nothing else in the directory is touched.
const ENDING: &str = "statement";

/// The directory.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

/// A place for one file, which is removed when this is dropped.
#[derive(Debug)]
pub struct Spooled {
    path: PathBuf,
}

impl Spool {
    /// A spool in this directory, which is made when the first file comes.
    #[must_use]
    pub const fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Removes what a process that is gone left; answers how many files that were.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn sweep(&self) -> io::Result<usize> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut removed = 0_usize;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                fs::remove_file(&path)?;
                removed = removed.saturating_add(1);
            }
        }
        Ok(removed)
    }

    /// A place for a file that does not exist yet. `draw` makes its name unlike any other.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn place(&self, draw: u128) -> io::Result<Spooled> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        Ok(Spooled { path: self.dir.join(format!("{draw:032x}.{ENDING}")) })
    }
}

impl Spooled {
    /// Where the file goes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file, empty.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)
    }

    /// Makes the file with this content.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, content: &[u8]) -> io::Result<()> {
        self.create()?.write_all(content)
    }

    /// Opens the file for reading.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %self.path.display(), %error, "a spooled file could not be removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_private_and_gone_when_it_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().join("spool"));
        let spooled = spool.place(7).unwrap();
        spooled.write(b"a,b\n").unwrap();
        assert_eq!(fs::metadata(spooled.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(dir.path().join("spool")).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(io::read_to_string(spooled.open().unwrap()).unwrap(), "a,b\n");
        assert!(spooled.write(b"again").is_err(), "a file was written over");
        let path = spooled.path().to_owned();
        drop(spooled);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_process_left_is_swept_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().to_owned());
        assert_eq!(Spool::new(dir.path().join("absent")).sweep().unwrap(), 0);
        let left = spool.place(1).unwrap();
        left.write(b"half").unwrap();
        std::mem::forget(left);
        fs::write(dir.path().join("notes.txt"), "a person's").unwrap();
        assert_eq!((spool.sweep().unwrap(), spool.sweep().unwrap()), (1, 0));
        assert!(dir.path().join("notes.txt").exists());
    }
}
