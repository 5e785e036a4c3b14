//! Two small files beside the journal: the checkpoint, and the wish for a full check at the next opening.
//!
//! Invariant: the checkpoint is written only after the index holds everything up to its record durably, and it is
//! replaced by a rename, so it is never half there. It tells recovery a record that must exist in the journal, even
//! when the index is gone.

use super::bytes::Reader;
use super::record::Hash;
use super::segment::sync_dir;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

const CHECKPOINT: &str = "checkpoint";
const CHECKPOINT_NEW: &str = "checkpoint.new";
const RECHECK: &str = "recheck";
const MAGIC: [u8; 8] = *b"TDCKPT01";

/// A record that was acknowledged and is in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) seq: u64,
    pub(super) hash: Hash,
}

impl Checkpoint {
    /// Reads the checkpoint. A damaged one reads as absent: it only ever adds a reason to refuse.
    pub(super) fn read(dir: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(dir.join(CHECKPOINT)) {
            Ok(bytes) => Ok(Self::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the checkpoint, durable on return.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        let new = dir.join(CHECKPOINT_NEW);
        let mut file = File::create(&new)?;
        file.write_all(&self.encode())?;
        file.sync_all()?;
        std::fs::rename(&new, dir.join(CHECKPOINT))?;
        sync_dir(dir)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = [MAGIC.as_slice(), &self.seq.to_be_bytes(), &self.hash].concat();
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let _magic: &[u8; 8] = reader.array()?;
        let read = Self { seq: reader.u64()?, hash: *reader.array()? };
        (read.encode() == bytes).then_some(read)
    }
}

/// Asks the next opening to make the index anew and to walk the whole journal.
pub(super) fn ask_recheck(dir: &Path) {
    let asked = File::create(dir.join(RECHECK)).and_then(|file| file.sync_all()).and_then(|()| sync_dir(dir));
    if let Err(error) = asked {
        tracing::error!(%error, "could not ask for a full check at the next start");
    }
}

/// Whether a full check was asked for.
pub(super) fn recheck_asked(dir: &Path) -> bool {
    dir.join(RECHECK).exists()
}

/// Forgets the wish, once the check was done.
pub(super) fn recheck_done(dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(dir.join(RECHECK)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_as_written_and_a_damaged_one_as_absent() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Checkpoint::read(dir.path()).unwrap(), None);
        let checkpoint = Checkpoint { seq: 9, hash: [3; 32] };
        checkpoint.write(dir.path()).unwrap();
        assert_eq!(Checkpoint::read(dir.path()).unwrap(), Some(checkpoint));
        let path = dir.path().join(CHECKPOINT);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[12] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Checkpoint::read(dir.path()).unwrap(), None);
    }
}
