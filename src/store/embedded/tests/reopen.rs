//! Closing, dying and opening again.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[tokio::test]
async fn a_closed_store_reopens_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    fill(&engine, 200).await;
    engine.close().await;
    drop(engine);
    let engine = open(dir.path());
    assert_filled(&engine, 200);
    assert_eq!((engine.report().replayed, engine.report().last_seq), (0, 200));
    assert!(segments(dir.path()).len() > 2, "the test must cross segments");
}

#[tokio::test]
async fn what_a_kill_leaves_holds_everything_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { checkpoint_every: Duration::from_millis(20), ..EmbeddedOptions::small() };
    let engine = Arc::new(EmbeddedEngine::open(dir.path(), options).unwrap());
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let writing = async {
        for number in 0..400 {
            commit(&engine, put(&format!("k{number}"), 1, &value(number), Expect::Absent)).await.unwrap();
            acknowledged.store(number + 1, Ordering::SeqCst);
        }
    };
    let killing = async {
        for _ in 0..6 {
            let before = acknowledged.load(Ordering::SeqCst);
            let copy = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().to_path_buf(), copy.path().to_path_buf());
            tokio::task::spawn_blocking(move || copy_dir(&from, &to)).await.unwrap();
            // A copy is no instant: a mark copied late may know of records whose segment was copied early.
            std::fs::remove_file(copy.path().join("checkpoint")).unwrap_or_default();
            std::fs::remove_dir_all(copy.path().join("index")).unwrap_or_default();
            let path = copy.path().to_path_buf();
            let survivor = tokio::task::spawn_blocking(move || open(&path)).await.unwrap();
            for number in 0..before {
                let stored = survivor.load(format!("k{number}").as_bytes());
                assert_eq!(stored, Ok(Some(record(1, &value(number)))));
            }
        }
    };
    tokio::join!(writing, killing);
}

#[tokio::test]
async fn an_index_that_lags_is_given_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    fill(&engine, 60).await;
    engine.close().await;
    drop(engine);
    let old_index = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("index"), old_index.path());
    let engine = open(dir.path());
    commit(&engine, put("k00001", 2, b"newer", Expect::Version(1))).await.unwrap();
    let timers_cleared = vec![b"t0".to_vec()];
    commit(&engine, RawBatch { timers_cleared, deletes: vec![b"k00000".to_vec()], ..RawBatch::default() })
        .await
        .unwrap();
    engine.close().await;
    drop(engine);
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    copy_dir(old_index.path(), &dir.path().join("index"));
    let engine = open(dir.path());
    assert_eq!((engine.report().replayed, engine.report().quarantined.clone()), (2, None));
    assert_eq!(engine.load(b"k00001"), Ok(Some(record(2, b"newer"))));
    assert_eq!(engine.load(b"k00000"), Ok(None));
    assert_eq!(engine.due(UnixMillis(0), 10), []);
}

#[tokio::test]
async fn a_nonce_is_remembered_over_a_restart_even_when_taken_alone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    assert!(engine.take_nonce(nonce("alone", 1000), UnixMillis(0)));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(engine.last_seq(), 1);
    assert!(engine.take_nonce(nonce("at the end", 1000), UnixMillis(0)));
    engine.close().await;
    drop(engine);
    for round in 0..2 {
        let engine = open(dir.path());
        assert!(!engine.take_nonce(nonce("alone", 1000), UnixMillis(999)));
        assert!(!engine.take_nonce(nonce("at the end", 1000), UnixMillis(999)));
        drop(engine);
        if round == 0 {
            std::fs::remove_dir_all(dir.path().join("index")).unwrap();
        }
    }
}

#[tokio::test]
async fn an_ended_nonce_leaves_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    assert!(engine.take_nonce(nonce("a", 10), UnixMillis(0)));
    commit(&engine, put("k", 1, b"", Expect::Absent)).await.unwrap();
    assert!(engine.take_nonce(nonce("b", 100), UnixMillis(50)));
    commit(&engine, put("l", 1, b"", Expect::Absent)).await.unwrap();
    drop(engine);
    // An ended nonce that had stayed would refuse this at a time before its end.
    assert!(open(dir.path()).take_nonce(nonce("a", 10), UnixMillis(0)));
}

#[tokio::test]
async fn a_second_opening_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    assert!(matches!(refusal(dir.path()), OpenError::Locked { .. }));
    assert!(matches!(super::super::rebuild(dir.path()), Err(OpenError::Locked { .. })));
    drop(engine);
    drop(open(dir.path()));
}

#[tokio::test]
async fn a_half_written_snapshot_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    fill(&engine, 20).await;
    drop(engine);
    let half = dir.path().join("index/snap.0000000000000000.generating");
    std::fs::write(&half, b"half").unwrap();
    let engine = open(dir.path());
    assert!(!half.exists());
    assert_eq!(engine.report().quarantined, None);
    assert_filled(&engine, 20);
}

#[tokio::test]
async fn a_batch_longer_than_a_segment_gets_a_segment_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let long = vec![5; 100_000];
    for round in 0..3 {
        commit(&engine, put(&format!("long{round}"), 1, &long, Expect::Absent)).await.unwrap();
        commit(&engine, put(&format!("short{round}"), 1, b"s", Expect::Absent)).await.unwrap();
    }
    drop(engine);
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let engine = open(dir.path());
    for round in 0..3 {
        assert_eq!(engine.load(format!("long{round}").as_bytes()), Ok(Some(record(1, &long))));
        assert_eq!(engine.load(format!("short{round}").as_bytes()), Ok(Some(record(1, b"s"))));
    }
}

#[tokio::test]
async fn the_journal_verifies_and_reads_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    fill(&engine, 50).await;
    engine.close().await;
    let mut seqs = Vec::new();
    let report = super::super::read_journal(dir.path(), &mut |read| seqs.push(read.seq)).unwrap();
    assert_eq!(seqs, (1..=50).collect::<Vec<_>>());
    assert_eq!((report.records, report.last_seq, report.checkpoint_seq), (50, 50, Some(50)));
    assert_eq!(report, super::super::verify(dir.path()).unwrap());
    let space = super::super::disk_space(dir.path()).unwrap();
    assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes);
    assert!(engine.size().unwrap().journal_bytes > 0);
}

#[tokio::test]
async fn a_rebuilt_index_holds_everything_and_keeps_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    fill(&engine, 50).await;
    drop(engine);
    let report = super::super::rebuild(dir.path()).unwrap();
    assert_eq!((report.replayed, report.records, report.timers), (50, 50, 50));
    assert!(report.quarantined.unwrap().join("db").exists());
    let engine = open(dir.path());
    assert_eq!(engine.report().replayed, 0);
    assert_filled(&engine, 50);
}
