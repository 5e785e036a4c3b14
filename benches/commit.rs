//! Commits of 600-byte records by 64 submitters, beside the floor under them: the same bytes appended by one thread
//! with one fdatasync a group, without an index. Both run in one process on one disk; the ratio is what to compare
//! between machines. It measures the engine alone, with its default options.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tongdao::clock::Stopwatch;
use tongdao::store::bench_api::BenchStore;

const SUBMITTERS: u64 = 64;
const VALUE: [u8; 600] = [0x5A; 600];
const GROUP_MAX: usize = 256;
const FLOOR_FILE_BYTES: u64 = 64 << 20;

/// What every submitter waits for.
trait Sink: Send + Sync + 'static {
    fn put(&self, number: u64) -> impl Future<Output = ()> + Send;
}

impl Sink for BenchStore {
    async fn put(&self, number: u64) {
        assert!(self.insert(number.to_be_bytes().to_vec(), VALUE.to_vec()).await);
    }
}

/// One thread, one file of zeros, one write and one fdatasync a group.
struct Floor(SyncSender<oneshot::Sender<()>>);

impl Floor {
    fn open(dir: &Path) -> Self {
        let mut file = File::create(dir.join("floor")).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..FLOOR_FILE_BYTES >> 20 {
            file.write_all(&zeros).unwrap();
        }
        file.sync_all().unwrap();
        let (queue, waiting) = sync_channel(4096);
        std::thread::spawn(move || append(file, &waiting));
        Self(queue)
    }
}

fn append(mut file: File, waiting: &Receiver<oneshot::Sender<()>>) {
    let mut at = 0;
    file.seek(SeekFrom::Start(0)).unwrap();
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        let bytes = VALUE.repeat(group.len());
        at += u64::try_from(bytes.len()).unwrap();
        if at > FLOOR_FILE_BYTES {
            at = 0;
            file.seek(SeekFrom::Start(0)).unwrap();
        }
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        for reply in group {
            reply.send(()).unwrap();
        }
    }
}

impl Sink for Floor {
    async fn put(&self, _number: u64) {
        let (reply, answer) = oneshot::channel();
        self.0.send(reply).unwrap();
        answer.await.unwrap();
    }
}

/// Writes `count` records from this many tasks and tells how long it took.
fn submit(runtime: &Runtime, sink: &Arc<impl Sink>, next: &Arc<AtomicU64>, count: u64, submitters: u64) -> Duration {
    let end = next.load(Ordering::Relaxed) + count;
    let watch = Stopwatch::start();
    let tasks: Vec<_> = (0..submitters)
        .map(|_| {
            let (sink, next) = (Arc::clone(sink), Arc::clone(next));
            runtime.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return;
                    }
                    sink.put(number).await;
                }
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    next.store(end, Ordering::Relaxed);
    watch.elapsed()
}

fn rate(count: u64, took: Duration) -> f64 {
    Duration::from_secs(count).as_secs_f64() / took.as_secs_f64()
}

fn commits(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = tempfile::tempdir_in(".").unwrap();
    let store = Arc::new(BenchStore::open(&dir.path().join("store")).unwrap());
    let floor = Arc::new(Floor::open(dir.path()));
    let (stored, appended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    for submitters in [1, SUBMITTERS] {
        let mut group = criterion.benchmark_group(format!("commit/{submitters}"));
        group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(5));
        group.bench_function("floor", |bencher| {
            bencher.iter_custom(|count| submit(&runtime, &floor, &appended, count, submitters));
        });
        group.bench_function("engine", |bencher| {
            bencher.iter_custom(|count| submit(&runtime, &store, &stored, count, submitters));
        });
        group.finish();
        ratio(&runtime, (&floor, &appended), (&store, &stored), submitters);
    }
    assert!(store.contains(&0_u64.to_be_bytes()));
    runtime.block_on(store.close());
}

/// Both in turn, so that whatever else the machine does falls on both.
fn ratio(
    runtime: &Runtime,
    (floor, appended): (&Arc<Floor>, &Arc<AtomicU64>),
    (store, stored): (&Arc<BenchStore>, &Arc<AtomicU64>),
    submitters: u64,
) {
    let count = 1_000 * submitters.min(40);
    let (mut floor_took, mut engine_took) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..4 {
        floor_took += submit(runtime, floor, appended, count, submitters);
        engine_took += submit(runtime, store, stored, count, submitters);
    }
    let (floor_rate, engine_rate) = (rate(4 * count, floor_took), rate(4 * count, engine_took));
    eprintln!(
        "{submitters} submitters: floor {floor_rate:.0}/s, engine {engine_rate:.0}/s, ratio {:.2}",
        engine_rate / floor_rate
    );
}

criterion_group!(benches, commits);
criterion_main!(benches);
