//! Closing, dying and opening again.

use super::*;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
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

const KILLED_IN: &str = "TONGDAO_TEST_STORE_DIR";

/// Starts this very test again in a process of its own, which writes until it is killed.
#[test]
fn what_a_kill_leaves_holds_everything_acknowledged() {
    if let Some(dir) = std::env::var_os(KILLED_IN) {
        return write_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for kill_after in [1, 40, 150, 7, 260, 90] {
        let name = "store::embedded::tests::reopen::what_a_kill_leaves_holds_everything_acknowledged";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(KILLED_IN, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut keys = lines.filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned));
        acknowledged.extend(keys.by_ref().take(kill_after));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had still acknowledged when the kill came.
        acknowledged.extend(keys);
        let engine = open(dir.path());
        for key in &acknowledged {
            assert_eq!(engine.load(key.as_bytes()), Ok(Some(record(1, key.as_bytes()))), "{key}");
        }
    }
    assert!(acknowledged.len() >= 548);
}

fn write_until_killed(dir: &Path) {
    let options = EmbeddedOptions { checkpoint_every: Duration::from_millis(5), ..EmbeddedOptions::small() };
    let engine = EmbeddedEngine::open(dir, options).unwrap();
    let start = engine.last_seq();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let write = async |writer: u64| {
        for number in 0_u64.. {
            let key = format!("k{start}-{writer}-{number}");
            commit(&engine, put(&key, 1, key.as_bytes(), Expect::Absent)).await.unwrap();
            println!("\nacknowledged {key}");
        }
    };
    runtime.block_on(futures_util::future::join_all((0..8).map(write)));
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
