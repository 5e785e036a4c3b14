//! One suite that every engine passes: what the flows rely on, whatever lies underneath.

use super::embedded::{EmbeddedEngine, EmbeddedOptions};
use super::engine::{CommitError, Committed, Engine, Expect, NonceTaken, Put, RawBatch, Record, Timer, Urgency};
use super::memory::MemoryEngine;
use std::ops::Range;
use std::sync::Arc;
use tongdao_core::time::UnixMillis;

/// An engine, and the directory that it needs to stay.
pub(super) struct Opened {
    pub(super) engine: Arc<dyn Engine>,
    _dir: Option<tempfile::TempDir>,
}

fn memory() -> Opened {
    Opened { engine: Arc::new(MemoryEngine::new()), _dir: None }
}

fn embedded() -> Opened {
    let dir = tempfile::tempdir().unwrap();
    let engine = EmbeddedEngine::open(dir.path(), EmbeddedOptions::small()).unwrap();
    Opened { engine: Arc::new(engine), _dir: Some(dir) }
}

macro_rules! contract {
    ($($name:ident)*) => {
        mod memory_engine {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::memory().engine).await })*
        }
        mod embedded_engine {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let opened = super::embedded();
                super::$name(Arc::clone(&opened.engine)).await;
            }
            )*
            use std::sync::Arc;
        }
    };
}

contract! {
    what_is_put_is_loaded
    a_new_record_is_refused_where_one_is
    a_claim_made_twice_by_its_owner_holds_and_by_another_does_not
    a_stale_version_is_refused_and_shown_what_is_there
    one_failed_condition_stops_the_whole_batch
    a_record_both_deleted_and_put_stays
    a_shrunken_record_leaves_nothing_behind
    scans_keep_order_bounds_and_limit_both_ways
    timers_are_due_in_order_move_and_clear
    a_timer_both_cleared_and_set_stays
    a_nonce_is_taken_once_until_its_end
    numbers_rise_and_refusals_take_none
    of_sixteen_twins_one_wins
    a_counter_raised_by_many_misses_none
    readers_never_see_half_a_long_record
    a_closed_store_reads_but_takes_nothing
}

pub(super) fn put(key: &str, version: u64, value: &[u8], expect: Expect) -> RawBatch {
    let put = Put { key: key.into(), version, value: value.to_vec(), expect };
    RawBatch { puts: vec![put], ..RawBatch::default() }
}

pub(super) fn record(version: u64, value: &[u8]) -> Record {
    Record { version, value: value.to_vec() }
}

async fn commit(engine: &dyn Engine, batch: RawBatch) -> Result<Committed, CommitError> {
    engine.commit(batch, Urgency::Vital).await
}

fn conflict(key: &str, found: Option<Record>) -> Result<Committed, CommitError> {
    Err(CommitError::Conflict { key: key.into(), found })
}

async fn what_is_put_is_loaded(engine: Arc<dyn Engine>) {
    for length in [0, 1, 600, 4_000, 4_096, 5_000, 70_000] {
        let value = vec![7; length];
        let key = format!("k{length}");
        commit(&*engine, put(&key, 1, &value, Expect::Absent)).await.unwrap();
        assert_eq!(engine.load(key.as_bytes()), Ok(Some(record(1, &value))));
    }
    assert_eq!(engine.load(b"none"), Ok(None));
}

async fn a_new_record_is_refused_where_one_is(engine: Arc<dyn Engine>) {
    commit(&*engine, put("k", 1, b"first", Expect::Absent)).await.unwrap();
    let again = commit(&*engine, put("k", 1, b"second", Expect::Absent)).await;
    assert_eq!(again, conflict("k", Some(record(1, b"first"))));
    commit(&*engine, RawBatch { deletes: vec![b"k".to_vec()], ..RawBatch::default() }).await.unwrap();
    assert_eq!(engine.load(b"k"), Ok(None));
    assert!(commit(&*engine, put("k", 1, b"third", Expect::Absent)).await.is_ok());
}

async fn a_claim_made_twice_by_its_owner_holds_and_by_another_does_not(engine: Arc<dyn Engine>) {
    assert!(commit(&*engine, put("claim", 1, b"mine", Expect::AbsentOrSame)).await.is_ok());
    assert!(commit(&*engine, put("claim", 1, b"mine", Expect::AbsentOrSame)).await.is_ok());
    let other = commit(&*engine, put("claim", 1, b"other", Expect::AbsentOrSame)).await;
    assert_eq!(other, conflict("claim", Some(record(1, b"mine"))));
}

async fn a_stale_version_is_refused_and_shown_what_is_there(engine: Arc<dyn Engine>) {
    let absent = commit(&*engine, put("k", 2, b"b", Expect::Version(1))).await;
    assert_eq!(absent, conflict("k", None));
    commit(&*engine, put("k", 1, b"a", Expect::Any)).await.unwrap();
    commit(&*engine, put("k", 2, b"b", Expect::Version(1))).await.unwrap();
    let stale = commit(&*engine, put("k", 2, b"c", Expect::Version(1))).await;
    assert_eq!(stale, conflict("k", Some(record(2, b"b"))));
}

async fn one_failed_condition_stops_the_whole_batch(engine: Arc<dyn Engine>) {
    commit(&*engine, put("taken", 1, b"x", Expect::Absent)).await.unwrap();
    let mut batch = put("free", 1, b"y", Expect::Absent);
    batch.puts.extend(put("taken", 1, b"z", Expect::Absent).puts);
    batch.deletes.push(b"taken".to_vec());
    batch.timers_set.push(Timer { id: b"t".to_vec(), due_at: UnixMillis(1) });
    assert_eq!(commit(&*engine, batch).await, conflict("taken", Some(record(1, b"x"))));
    assert_eq!(engine.load(b"free"), Ok(None));
    assert_eq!(engine.load(b"taken"), Ok(Some(record(1, b"x"))));
    assert_eq!(engine.next_due(), None);
}

async fn a_record_both_deleted_and_put_stays(engine: Arc<dyn Engine>) {
    commit(&*engine, put("k", 1, b"a", Expect::Absent)).await.unwrap();
    let mut batch = put("k", 2, b"b", Expect::Version(1));
    batch.deletes.push(b"k".to_vec());
    commit(&*engine, batch).await.unwrap();
    assert_eq!(engine.load(b"k"), Ok(Some(record(2, b"b"))));
}

async fn a_shrunken_record_leaves_nothing_behind(engine: Arc<dyn Engine>) {
    for (version, length) in (1..).zip([30_000, 10, 9_000, 0, 5_000]) {
        let value = vec![u8::try_from(version).unwrap(); length];
        commit(&*engine, put("k", version, &value, Expect::Any)).await.unwrap();
        assert_eq!(engine.load(b"k"), Ok(Some(record(version, &value))));
    }
    let all = engine.scan(b"".to_vec()..vec![0xFF], 100, false).unwrap();
    assert_eq!(all.len(), 1);
}

async fn scans_keep_order_bounds_and_limit_both_ways(engine: Arc<dyn Engine>) {
    for key in ["b", "a/2", "a/1", "a/3", "a", "c"] {
        commit(&*engine, put(key, 1, key.as_bytes(), Expect::Absent)).await.unwrap();
    }
    let keys = |range: Range<&str>, limit, backwards| {
        let range = range.start.as_bytes().to_vec()..range.end.as_bytes().to_vec();
        let found = engine.scan(range, limit, backwards).unwrap();
        found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(keys("a/".."a0", 10, false), ["a/1", "a/2", "a/3"]);
    assert_eq!(keys("a/".."a0", 2, true), ["a/3", "a/2"]);
    assert_eq!(keys("a/2".."b", 10, false), ["a/2", "a/3"]);
    assert_eq!(keys("".."zz", 2, false), ["a", "a/1"]);
    assert_eq!(keys("".."zz", 0, false), [""; 0]);
    assert_eq!(keys("b".."b", 10, false), [""; 0]);
    assert_eq!(keys("c".."a", 10, true), [""; 0]);
}

async fn timers_are_due_in_order_move_and_clear(engine: Arc<dyn Engine>) {
    let timer = |id: &str, due_at| Timer { id: id.into(), due_at: UnixMillis(due_at) };
    let timers_set = vec![timer("late", 30), timer("early", 10), timer("middle", 20), timer("same", 20)];
    commit(&*engine, RawBatch { timers_set, ..RawBatch::default() }).await.unwrap();
    assert_eq!(engine.next_due(), Some(UnixMillis(10)));
    assert_eq!(engine.due(UnixMillis(9), 10), []);
    assert_eq!(engine.due(UnixMillis(20), 10), [timer("early", 10), timer("middle", 20), timer("same", 20)]);
    assert_eq!(engine.due(UnixMillis(99), 2), [timer("early", 10), timer("middle", 20)]);
    let moved = RawBatch {
        timers_set: vec![timer("early", 40)],
        timers_cleared: vec![b"middle".to_vec(), b"absent".to_vec()],
        ..RawBatch::default()
    };
    commit(&*engine, moved).await.unwrap();
    assert_eq!(engine.due(UnixMillis(99), 10), [timer("same", 20), timer("late", 30), timer("early", 40)]);
}

async fn a_timer_both_cleared_and_set_stays(engine: Arc<dyn Engine>) {
    let timer = Timer { id: b"t".to_vec(), due_at: UnixMillis(5) };
    let batch =
        RawBatch { timers_set: vec![timer.clone()], timers_cleared: vec![b"t".to_vec()], ..RawBatch::default() };
    commit(&*engine, batch).await.unwrap();
    assert_eq!(engine.due(UnixMillis(5), 10), [timer]);
}

async fn a_nonce_is_taken_once_until_its_end(engine: Arc<dyn Engine>) {
    let nonce =
        |key_id: &str, nonce: &str| NonceTaken { key_id: key_id.into(), nonce: nonce.into(), until: UnixMillis(100) };
    assert!(engine.take_nonce(nonce("k", "n"), UnixMillis(0)));
    assert!(!engine.take_nonce(nonce("k", "n"), UnixMillis(99)));
    assert!(engine.take_nonce(nonce("k", "m"), UnixMillis(0)));
    assert!(engine.take_nonce(nonce("j", "n"), UnixMillis(0)));
    assert!(engine.take_nonce(nonce("k", "n"), UnixMillis(100)));
}

async fn numbers_rise_and_refusals_take_none(engine: Arc<dyn Engine>) {
    let first = commit(&*engine, put("a", 1, b"", Expect::Absent)).await.unwrap();
    assert_eq!(first.seq, 1);
    assert!(commit(&*engine, put("a", 1, b"", Expect::Absent)).await.is_err());
    assert_eq!(commit(&*engine, put("b", 1, b"", Expect::Absent)).await.unwrap().seq, 2);
}

async fn of_sixteen_twins_one_wins(engine: Arc<dyn Engine>) {
    for round in 0..20 {
        let key = format!("k{round}");
        let twins = (0..16_u8).map(|twin| {
            let (engine, key) = (Arc::clone(&engine), key.clone());
            async move { (twin, engine.commit(put(&key, 1, &[twin], Expect::Absent), Urgency::Sheddable).await) }
        });
        let answers = futures_util::future::join_all(twins).await;
        let winners: Vec<_> = answers.iter().filter(|(_, answer)| answer.is_ok()).collect();
        assert_eq!(winners.len(), 1);
        let stored = record(1, &[winners[0].0]);
        assert_eq!(engine.load(key.as_bytes()), Ok(Some(stored.clone())));
        let refused = answers.iter().filter(|(_, answer)| *answer == conflict(&key, Some(stored.clone())));
        assert_eq!(refused.count(), 15);
    }
}

async fn a_counter_raised_by_many_misses_none(engine: Arc<dyn Engine>) {
    commit(&*engine, put("n", 0, b"", Expect::Absent)).await.unwrap();
    let raise = |engine: Arc<dyn Engine>| async move {
        for _ in 0..10 {
            let mut version = engine.load(b"n").unwrap().unwrap().version;
            let raised = |version: u64| put("n", version + 1, b"", Expect::Version(version));
            while let Err(error) = engine.commit(raised(version), Urgency::Vital).await {
                let CommitError::Conflict { found: Some(found), .. } = error else { panic!("{error}") };
                version = found.version;
            }
        }
    };
    futures_util::future::join_all((0..8).map(|_| raise(Arc::clone(&engine)))).await;
    assert_eq!(engine.load(b"n").unwrap().unwrap().version, 80);
}

#[allow(clippy::disallowed_methods)]
async fn readers_never_see_half_a_long_record(engine: Arc<dyn Engine>) {
    commit(&*engine, put("long", 0, &[0; 20_000], Expect::Absent)).await.unwrap();
    let reading = Arc::clone(&engine);
    let reader = tokio::spawn(async move {
        let mut last = 0;
        while last < 100 {
            let seen = reading.load(b"long").unwrap().unwrap();
            let scanned = reading.scan(b"a".to_vec()..b"z".to_vec(), 1, false).unwrap().remove(0).1;
            for record in [seen, scanned] {
                assert!(record.value.iter().all(|byte| u64::from(*byte) == record.version));
                assert!(record.version >= last);
                last = record.version;
            }
            tokio::task::yield_now().await;
        }
    });
    for version in 1..=100_u8 {
        let value = vec![version; 20_000 - usize::from(version % 7) * 2_500];
        commit(&*engine, put("long", u64::from(version), &value, Expect::Any)).await.unwrap();
    }
    reader.await.unwrap();
}

async fn a_closed_store_reads_but_takes_nothing(engine: Arc<dyn Engine>) {
    commit(&*engine, put("k", 1, b"v", Expect::Absent)).await.unwrap();
    engine.close().await;
    engine.close().await;
    assert_eq!(commit(&*engine, put("l", 1, b"v", Expect::Absent)).await, Err(CommitError::Closed));
    assert_eq!(engine.load(b"k"), Ok(Some(record(1, b"v"))));
    assert_eq!(engine.queue_depth(), 0);
}
