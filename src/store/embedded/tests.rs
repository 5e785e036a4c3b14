//! What an embedded store survives, and what it refuses.

mod damage;
mod faults;
mod model;
mod reopen;

use super::{EmbeddedEngine, EmbeddedOptions, OpenError};
use crate::store::contract::{put, record};
use crate::store::engine::{CommitError, Committed, Engine, Expect, NonceTaken, RawBatch, Timer, Urgency};
use std::path::{Path, PathBuf};
use tongdao_core::time::UnixMillis;

fn open(dir: &Path) -> EmbeddedEngine {
    EmbeddedEngine::open(dir, EmbeddedOptions::small()).unwrap()
}

fn refusal(dir: &Path) -> OpenError {
    match EmbeddedEngine::open(dir, EmbeddedOptions::small()) {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}

async fn commit(engine: &EmbeddedEngine, batch: RawBatch) -> Result<Committed, CommitError> {
    engine.commit(batch, Urgency::Vital).await
}

fn value(number: usize) -> Vec<u8> {
    format!("value {number} ").into_bytes().repeat(1 + number % 40)
}

/// Writes records 0 to `count`, each with a timer, one by one.
async fn fill(engine: &EmbeddedEngine, count: usize) {
    for number in 0..count {
        let mut batch = put(&format!("k{number:05}"), 1, &value(number), Expect::Absent);
        let due_at = UnixMillis(i64::try_from(number).unwrap());
        batch.timers_set.push(Timer { id: format!("t{number}").into_bytes(), due_at });
        commit(engine, batch).await.unwrap();
    }
}

fn assert_filled(engine: &EmbeddedEngine, count: usize) {
    for number in 0..count {
        let stored = engine.load(format!("k{number:05}").as_bytes());
        assert_eq!(stored, Ok(Some(record(1, &value(number)))), "record {number}");
    }
    assert_eq!(engine.scan(b"k".to_vec()..b"l".to_vec(), usize::MAX, false).unwrap().len(), count);
    assert_eq!(engine.due(UnixMillis(i64::MAX), usize::MAX).len(), count);
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(dir.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    paths
}

/// Copies a directory as it lies there, as a kill would leave it.
fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else if let Err(error) = std::fs::copy(&path, &target) {
            // The running store renames and removes files meanwhile.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn used_len(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn nonce(text: &str, until: i64) -> NonceTaken {
    NonceTaken { key_id: "key".into(), nonce: text.into(), until: UnixMillis(until) }
}
