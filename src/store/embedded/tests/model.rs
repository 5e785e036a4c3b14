//! Random histories against a plain map, with reopenings and lost indexes in between.

use super::*;
use crate::store::engine::{Put, Record};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Commit(RawBatch),
    Reopen,
    LoseIndex,
}

#[derive(Default)]
struct Model {
    records: BTreeMap<Vec<u8>, Record>,
    timers: BTreeMap<Vec<u8>, UnixMillis>,
}

impl Model {
    fn commit(&mut self, batch: &RawBatch) -> Result<(), CommitError> {
        for put in &batch.puts {
            let found = self.records.get(&put.key);
            let holds = match put.expect {
                Expect::Any => true,
                Expect::Absent => found.is_none(),
                Expect::AbsentOrSame => found.is_none() || found.unwrap().value == put.value,
                Expect::Version(version) => found.is_some() && found.unwrap().version == version,
            };
            if !holds {
                return Err(CommitError::Conflict { key: put.key.clone(), found: found.cloned() });
            }
        }
        batch.deletes.iter().for_each(|key| drop(self.records.remove(key)));
        for put in &batch.puts {
            self.records.insert(put.key.clone(), Record { version: put.version, value: put.value.clone() });
        }
        batch.timers_cleared.iter().for_each(|id| self.timers.retain(|set, _| set != id));
        for timer in &batch.timers_set {
            self.timers.insert(timer.id.clone(), timer.due_at);
        }
        Ok(())
    }
}

fn keys() -> impl Strategy<Value = Vec<u8>> {
    // Few and close to each other, among them the empty key and keys that are prefixes of others.
    prop::collection::vec(prop::sample::select(vec![0, 1, b'r', 0xFF]), 0..3)
}

fn puts() -> impl Strategy<Value = Put> {
    let value = prop_oneof![4 => prop::collection::vec(any::<u8>(), 0..40), 1 => (4_000..20_000_usize).prop_map(|n| vec![3; n])];
    let expect = prop_oneof![
        3 => Just(Expect::Any),
        1 => Just(Expect::Absent),
        1 => Just(Expect::AbsentOrSame),
        2 => (0..3_u64).prop_map(Expect::Version)
    ];
    (keys(), 0..3_u64, value, expect).prop_map(|(key, version, value, expect)| Put { key, version, value, expect })
}

fn batches() -> impl Strategy<Value = RawBatch> {
    let timer = (keys(), 0..5_i64).prop_map(|(id, due_at)| Timer { id, due_at: UnixMillis(due_at) });
    let few = 0..3_usize;
    (
        prop::collection::vec(puts(), few.clone()),
        prop::collection::vec(keys(), few.clone()),
        prop::collection::vec(timer, few.clone()),
        prop::collection::vec(keys(), few.clone()),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), few),
    )
        .prop_map(|(puts, deletes, timers_set, timers_cleared, notes)| RawBatch {
            puts,
            deletes,
            timers_set,
            timers_cleared,
            notes,
        })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![20 => batches().prop_map(Step::Commit), 1 => Just(Step::Reopen), 1 => Just(Step::LoseIndex)];
    prop::collection::vec(step, 1..40)
}

fn check(engine: &EmbeddedEngine, model: &Model) {
    let all = engine.scan(Vec::new()..vec![0xFF; 4], usize::MAX, false).unwrap();
    assert_eq!(all, model.records.clone().into_iter().collect::<Vec<_>>());
    let mut backwards = engine.scan(Vec::new()..vec![0xFF; 4], usize::MAX, true).unwrap();
    backwards.reverse();
    assert_eq!(backwards, all);
    let mut timers: Vec<_> = model.timers.iter().map(|(id, due_at)| (*due_at, id.clone())).collect();
    timers.sort();
    let due: Vec<_> = engine.due(UnixMillis(i64::MAX), usize::MAX).into_iter().map(|t| (t.due_at, t.id)).collect();
    assert_eq!(due, timers);
}

async fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let (mut engine, mut model) = (open(dir.path()), Model::default());
    for step in steps.into_iter().chain([Step::Reopen]) {
        match step {
            Step::Commit(batch) => {
                let wanted = model.commit(&batch);
                assert_eq!(commit(&engine, batch).await.map(|_| ()), wanted);
            }
            Step::Reopen | Step::LoseIndex => {
                check(&engine, &model);
                drop(engine);
                if matches!(step, Step::LoseIndex) {
                    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
                }
                engine = open(dir.path());
                assert_eq!(engine.report().quarantined, None);
                check(&engine, &model);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_histories_read_like_a_map(steps in steps()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps));
    }
}
