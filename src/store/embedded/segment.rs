//! Journal segments as files: `NNNNNNNN.log`, filled with zeros ahead of their use so that a commit's sync writes
//! data only, never file metadata.
//!
//! Invariant: a segment appears under its name only after its head and its whole length are on disk, and the
//! directory is synced before anything is written to it. So a named segment with a bad head is damage, never a torn
//! creation; and a segment's existence proves that every record before it was durable.
//! Head: magic 8 · number 8 · first seq 8 · hash before it 32 · salt 4 · crc32c 4.

use super::bytes::Reader;
use super::error::{Damage, OpenError, at};
use super::record::Hash;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes before the first record.
pub(super) const HEAD_LEN: usize = 64;
const MAGIC: [u8; 8] = *b"TDJRNL01";
const MAGIC_FAMILY: &[u8] = b"TDJRNL";
const SPARE: &str = "spare.new";
const ZEROS_LEN: usize = 1 << 20;
const ZEROS_PER_SYNC: u64 = 8 << 20;

/// What the journal writes to; tests put a failing one in between.
pub(crate) trait JournalFile: Send {
    /// Writes all bytes at the offset.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// Turns an opened segment into what the journal writes to.
pub(crate) type WrapFile = Arc<dyn Fn(File) -> Box<dyn JournalFile> + Send + Sync>;

impl JournalFile for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A segment's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub(super) number: u64,
    pub(super) first_seq: u64,
    pub(super) before: Hash,
    pub(super) salt: u32,
}

/// A segment found in the directory.
#[derive(Debug, Clone)]
pub(super) struct SegmentFile {
    pub(super) head: SegmentHead,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

impl SegmentHead {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_LEN);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.first_seq.to_be_bytes());
        out.extend_from_slice(&self.before);
        out.extend_from_slice(&self.salt.to_be_bytes());
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8; HEAD_LEN]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if *reader.array::<8>()? != MAGIC {
            return None;
        }
        let head =
            Self { number: reader.u64()?, first_seq: reader.u64()?, before: *reader.array()?, salt: reader.u32()? };
        let checksum = reader.u32()?;
        (head.encode().last_chunk::<4>() == Some(&checksum.to_be_bytes())).then_some(head)
    }
}

/// The segments of a journal in order, their heads read, the numbers without a gap from 1.
pub(super) fn list_segments(journal: &Path) -> Result<Vec<SegmentFile>, OpenError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(journal).map_err(at(journal))? {
        let path = entry.map_err(at(journal))?.path();
        if let Some(number) = number_of(&path) {
            paths.push((number, path));
        }
    }
    paths.sort();
    let mut segments: Vec<SegmentFile> = Vec::with_capacity(paths.len());
    for (expected, (number, path)) in (1_u64..).zip(paths) {
        let next_seq = segments.last().map_or(1, |segment| segment.head.first_seq);
        if number != expected {
            let damage = Damage::Missing;
            return Err(OpenError::JournalDamaged { segment: expected, offset: 0, seq: next_seq, damage });
        }
        segments.push(read_segment_head(number, next_seq, path)?);
    }
    Ok(segments)
}

/// Creates a segment under its name, taking the spare file when there is one.
pub(super) fn create_segment(journal: &Path, head: &SegmentHead, bytes: u64, spare: Option<File>) -> io::Result<File> {
    let (file, made_at) = match spare {
        Some(file) => (file, journal.join(SPARE)),
        None => {
            let path = journal.join(format!("{:08}.new", head.number));
            (zeroed_file(&path, bytes, &AtomicBool::new(false))?, path)
        }
    };
    file.write_all_at(&head.encode(), 0)?;
    file.sync_all()?;
    std::fs::rename(&made_at, segment_path(journal, head.number))?;
    sync_dir(journal)?;
    Ok(file)
}

/// Makes the spare file; `None` when told to stop.
pub(super) fn make_spare(journal: &Path, bytes: u64, stop: &AtomicBool) -> io::Result<File> {
    zeroed_file(&journal.join(SPARE), bytes, stop)
}

/// Removes what an interrupted creation left behind.
pub(super) fn remove_unfinished(journal: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(journal)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "new") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn segment_path(journal: &Path, number: u64) -> PathBuf {
    journal.join(format!("{number:08}.log"))
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (name.len() >= 8 && name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.parse().ok())?
}

fn read_segment_head(number: u64, next_seq: u64, path: PathBuf) -> Result<SegmentFile, OpenError> {
    let mut file = File::open(&path).map_err(at(&path))?;
    let bytes = file.metadata().map_err(at(&path))?.len();
    let mut head = [0; HEAD_LEN];
    let damaged = OpenError::JournalDamaged { segment: number, offset: 0, seq: next_seq, damage: Damage::Header };
    match file.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged),
        Err(error) => return Err(at(&path)(error)),
    }
    if head.starts_with(MAGIC_FAMILY) && !head.starts_with(&MAGIC) {
        return Err(OpenError::NewerFormat { segment: number });
    }
    let head = SegmentHead::decode(&head).filter(|head| head.number == number).ok_or(damaged)?;
    Ok(SegmentFile { head, path, bytes })
}

/// A file of zeros. They are synced in portions, so that a commit's sync never queues behind the whole file.
fn zeroed_file(path: &Path, bytes: u64, stop: &AtomicBool) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    let zeros = vec![0; ZEROS_LEN];
    let (mut left, mut unsynced) = (bytes, 0_u64);
    while left > 0 {
        if stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let portion = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS_LEN);
        file.write_all(zeros.get(..portion).unwrap_or_default())?;
        let portion = super::bytes::to_u64(portion);
        (left, unsynced) = (left.saturating_sub(portion), unsynced.saturating_add(portion));
        if unsynced >= ZEROS_PER_SYNC {
            file.sync_data()?;
            unsynced = 0;
        }
    }
    file.sync_all()?;
    Ok(file)
}
