//! A disk that fails, a queue that fills, and what is read after the opening.

use super::super::JournalFile;
use super::*;
use crate::store::engine::CommitObserver;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A file whose writes and syncs fail once the countdown is over, or wait while the gate is shut.
struct FaultyFile {
    file: File,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    syncs_left: AtomicI64,
    writes_left: AtomicI64,
    syncs: AtomicU64,
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Faults {
    fn new(writes_left: i64, syncs_left: i64) -> Arc<Self> {
        Arc::new(Self { syncs_left: syncs_left.into(), writes_left: writes_left.into(), ..Self::default() })
    }

    fn options(self: &Arc<Self>) -> EmbeddedOptions {
        let faults = Arc::clone(self);
        let wrap_file = Arc::new(move |file| -> Box<dyn JournalFile> {
            Box::new(FaultyFile { file, faults: Arc::clone(&faults) })
        });
        EmbeddedOptions { wrap_file, ..EmbeddedOptions::small() }
    }

    fn shut(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

impl JournalFile for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.faults.writes_left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        JournalFile::write_at(&mut self.file, bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        let shut = self.faults.shut.lock().unwrap();
        drop(self.faults.opened.wait_while(shut, |shut| *shut).unwrap());
        self.faults.syncs.fetch_add(1, Ordering::SeqCst);
        if self.faults.syncs_left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(io::Error::other("EIO"));
        }
        self.file.sync()
    }
}

#[derive(Default)]
struct Counting {
    committed: AtomicUsize,
    failed: AtomicUsize,
}

impl CommitObserver for Counting {
    fn committed(&self, batch_size: usize, _took: Duration) {
        self.committed.fetch_add(batch_size, Ordering::SeqCst);
    }

    fn failed(&self) {
        self.failed.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_failed_sync_is_unknown_then_closed_and_never_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (faults, observer) = (Faults::new(i64::MAX, 3), Arc::new(Counting::default()));
    let options = EmbeddedOptions { observer: observer.clone(), ..faults.options() };
    let engine = EmbeddedEngine::open(dir.path(), options).unwrap();
    let mut poisoned = engine.poisoned();
    fill(&engine, 3).await;
    assert!(!*poisoned.borrow());
    assert_eq!(commit(&engine, put("lost", 1, b"x", Expect::Absent)).await, Err(CommitError::Unknown));
    assert_eq!(commit(&engine, put("next", 1, b"x", Expect::Absent)).await, Err(CommitError::Closed));
    assert!(poisoned.wait_for(|poisoned| *poisoned).await.is_ok());
    assert_eq!(engine.load(b"lost"), Ok(None), "what is not durable is not shown");
    assert_filled(&engine, 3);
    engine.close().await;
    drop(engine);
    assert_eq!(faults.syncs.load(Ordering::SeqCst), 4);
    assert_eq!((observer.committed.load(Ordering::SeqCst), observer.failed.load(Ordering::SeqCst)), (3, 1));
    assert_filled(&open(dir.path()), 3);
}

#[tokio::test]
async fn a_full_disk_is_unknown_then_closed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = EmbeddedEngine::open(dir.path(), Faults::new(2, i64::MAX).options()).unwrap();
    fill(&engine, 2).await;
    assert_eq!(commit(&engine, put("lost", 1, b"x", Expect::Absent)).await, Err(CommitError::Unknown));
    assert_eq!(commit(&engine, put("next", 1, b"x", Expect::Absent)).await, Err(CommitError::Closed));
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(engine.load(b"lost"), Ok(None));
    assert_filled(&engine, 2);
}

#[tokio::test]
async fn everybody_who_waits_at_a_failed_sync_learns_that_the_outcome_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::new(i64::MAX, 0);
    let engine = EmbeddedEngine::open(dir.path(), faults.options()).unwrap();
    faults.shut(true);
    let waiting = (0..40).map(|number| {
        // Half of them are twins: their refusal rests on a batch that may not be there.
        let batch = put(&format!("k{}", number / 2), 1, &[number], Expect::Absent);
        engine.commit(batch, Urgency::Vital)
    });
    let opening = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        faults.shut(false);
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(waiting), opening);
    assert_eq!(answers, vec![Err(CommitError::Unknown); 40]);
}

#[tokio::test]
async fn a_full_queue_turns_new_work_away_first_and_callbacks_last() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::new(i64::MAX, i64::MAX);
    let engine = EmbeddedEngine::open(dir.path(), faults.options()).unwrap();
    faults.shut(true);
    let commit_all = |from: usize, to: usize, urgency| {
        let all: Vec<_> =
            (from..to).map(|n| engine.commit(put(&format!("k{n}"), 1, b"", Expect::Absent), urgency)).collect();
        futures_util::future::join_all(all)
    };
    let taken = |answers: &[Result<Committed, CommitError>]| answers.iter().filter(|answer| answer.is_ok()).count();
    let opening = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let depth = engine.queue_depth();
        faults.shut(false);
        depth
    };
    let new_work = commit_all(0, 4_000, Urgency::Sheddable);
    let vital = commit_all(4_000, 6_000, Urgency::Vital);
    let (new_work, vital, depth) = tokio::join!(new_work, vital, opening);
    assert_eq!(depth, 4_096);
    // The group that was already taken from the queue comes on top.
    let (new_taken, all_taken) = (taken(&new_work), taken(&new_work) + taken(&vital));
    assert!((3_072..=3_072 + 256).contains(&new_taken), "{new_taken}");
    assert!((4_096..=4_096 + 256).contains(&all_taken), "{all_taken}");
    let refused = new_work.iter().chain(&vital).filter(|answer| **answer == Err(CommitError::Overloaded)).count();
    assert_eq!(refused + all_taken, 6_000, "never a silent drop");
    assert_eq!(engine.scan(b"k".to_vec()..b"l".to_vec(), usize::MAX, false).unwrap().len(), all_taken);
}

#[tokio::test]
async fn closing_finishes_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let writes = (0..300).map(|n| engine.commit(put(&format!("k{n}"), 1, b"", Expect::Absent), Urgency::Vital));
    let (answers, ()) = tokio::join!(futures_util::future::join_all(writes), engine.close());
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test]
async fn damage_in_an_old_segment_is_found_after_the_opening_and_refused_at_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    fill(&engine, 200).await;
    engine.close().await;
    drop(engine);
    edit(&segments(dir.path())[0], |bytes| bytes[700] ^= 1);
    let lazy = EmbeddedOptions { full_walk_bytes_max: 0, full_count_records_max: 0, ..EmbeddedOptions::small() };
    let engine = EmbeddedEngine::open(dir.path(), lazy.clone()).unwrap();
    assert!(engine.poisoned().wait_for(|poisoned| *poisoned).await.is_ok());
    drop(engine);
    let again = EmbeddedEngine::open(dir.path(), lazy.clone());
    assert!(matches!(again, Err(OpenError::JournalDamaged { segment: 1, .. })));
    edit(&segments(dir.path())[0], |bytes| bytes[700] ^= 1);
    let engine = EmbeddedEngine::open(dir.path(), lazy).unwrap();
    assert_filled(&engine, 200);
    assert!(engine.report().quarantined.is_some());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!*engine.poisoned().borrow());
}
