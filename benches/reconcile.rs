//! A day of a million payments against a statement of as many lines, in the embedded store with its default options:
//! how long the matching takes, what a line costs at ten thousand and at a million, and the most memory it took. The
//! file's own parsing is not in it. Lines come in another order than our numbers; one in a thousand is not honest.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::sync::Arc;
use std::time::Duration;
use tongdao::clock::Stopwatch;
use tongdao::flow::{BookOrder, Booking};
use tongdao::ports::{Batch, EntryWrite, Reconciliation, ReconciliationStatus, Store, Urgency};
use tongdao::store::bench_api::open_store;
use tongdao_core::day::Day;
use tongdao_core::ids::{AttemptId, ChargeId};
use tongdao_core::money::Money;
use tongdao_core::provider::{LineKind, LineStatus, StatementLine};
use tongdao_core::reconcile::{Books, Entry, EntryStatus, FeeRule};
use tongdao_core::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_796_100_000_000);
const CHUNK: u64 = 1_024;
/// Coprime with every count used: a walk through all numbers in no order.
const STEP: u64 = 7_919_003;
const ODD_EVERY: u64 = 1_000;

fn main() {
    // `cargo test --benches` runs this too: a thousand lines show that it still works.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (few, many) = if whole { (10_000, 1_000_000) } else { (500, 1_000) };
    let small = (0..3).map(|_| measure(few).0).min().expect("three rounds");
    let (large, books) = measure(many);
    let per_line = |took: Duration, count: u64| took.as_secs_f64() * 1e6 / Duration::from_secs(count).as_secs_f64();
    let (at_few, at_many) = (per_line(small, few), per_line(large, many));
    println!("{few} lines: {:.2} s, {at_few:.1} us a line", small.as_secs_f64());
    println!("{many} lines: {:.2} s, {at_many:.1} us a line, {:.0} lines/s", large.as_secs_f64(), 1e6 / at_many);
    println!("a line costs {:.2} times as much; the most memory {} MiB", at_many / at_few, peak_kib() / 1024);
    println!("matched {}, breaks {}", books.matched.theirs.count, books.broken());
    assert_eq!(books.broken(), 2 * many.div_ceil(ODD_EVERY), "an odd line is unknown here, its entry missing there");
}

fn measure(count: u64) -> (Duration, Books) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir_in(".").unwrap();
        let store = open_store(&dir.path().join("store")).unwrap();
        fill(store.as_ref(), count).await;
        let result = reconcile(Arc::clone(&store), count).await;
        store.close().await;
        result
    })
}

async fn fill(store: &dyn Store, count: u64) {
    for first in (0..count).step_by(2_000) {
        let entries = (first..count.min(first + 2_000)).map(|n| EntryWrite { entry: entry(n), moved_from: None });
        let batch = Batch { entries: entries.collect(), ..Batch::default() };
        store.commit(batch, Urgency::Vital).await.unwrap();
    }
    let running = Reconciliation {
        run: 1,
        status: ReconciliationStatus::Running,
        ..Reconciliation::new(&order().channel, day(), NOW)
    };
    let batch = Batch { reconciliations: vec![running], ..Batch::default() };
    store.commit(batch, Urgency::Vital).await.unwrap();
}

async fn reconcile(store: Arc<dyn Store>, count: u64) -> (Duration, Books) {
    let watch = Stopwatch::start();
    let mut booking = Booking::begin(store, order()).await.unwrap();
    for first in (0..count).step_by(usize::try_from(CHUNK).unwrap()) {
        let places = first..count.min(first + CHUNK);
        let lines = places.map(|place| line(place + 1, place * STEP % count)).collect();
        booking.book(lines, NOW).await.unwrap();
    }
    let booked = booking.finish(NOW).await.unwrap();
    (watch.elapsed(), booked.books)
}

fn day() -> Day {
    Day::new(2026, 12, 1).unwrap()
}

fn order() -> BookOrder {
    BookOrder {
        channel: "wechat-main".parse().unwrap(),
        provider: "wechatpay".parse().unwrap(),
        account: "1900000001".to_owned(),
        day: day(),
        run: 1,
        strays_days: 0,
        fee: FeeRule { fee_bps: 60, fixed: 0 },
    }
}

/// A number as ours are: random to look at, 26 letters and digits.
fn number(n: u64) -> String {
    AttemptId::new(NOW, u128::from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 16).bare()
}

fn entry(n: u64) -> Entry {
    let random = u128::from(n) << 8;
    Entry {
        channel: order().channel,
        day: day(),
        kind: LineKind::Payment,
        number: number(n),
        provider_trade_no: format!("42000018{n:020}"),
        charge: ChargeId::new(NOW, random),
        attempt: AttemptId::new(NOW, random),
        refund: None,
        amount: Money::cny(amount(n)),
        status: EntryStatus::Counted,
    }
}

fn amount(n: u64) -> i64 {
    100 + i64::try_from(n % 100_000).unwrap()
}

fn line(place: u64, n: u64) -> StatementLine {
    let odd = n.is_multiple_of(ODD_EVERY);
    StatementLine {
        line: place,
        kind: LineKind::Payment,
        status: LineStatus::Done,
        provider_order_no: Some(if odd { format!("X{n:025}") } else { number(n) }),
        provider_trade_no: Some(format!("42000018{n:020}")),
        provider_refund_no: None,
        amount: Money::cny(amount(n)),
        fee: Some(order().fee.expected(amount(n))),
        at: Some(NOW),
    }
}

/// The most memory that this process ever held, by the kernel's word; 0 where it does not say.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
