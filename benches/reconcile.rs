//! A day of a million payments against a statement of as many lines, in the embedded store with its default options:
//! how long the matching takes, what a line costs at ten thousand and at a million, and the most memory it took. The
//! file's own parsing is not in it. Our numbers are of their second, as the daemon makes them; lines come in the order
//! of payment, up to ten minutes later; one in a thousand is not honest. The matching runs in a process of its own on a
//! store that another one filled, as after a restart. `--any-order` gives the lines in no order at all.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
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
const CHUNK: usize = 256;
/// Coprime with every count used: a walk through all numbers in no order.
const STEP: u64 = 7_919_003;
const DAY_MS: u64 = 86_400_000;
/// How long a payer takes at most.
const PAYS_WITHIN_MS: u64 = 600_000;
const ODD_EVERY: u64 = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, dir, count, order] = arguments.as_slice()
        && word == "match"
    {
        return match_in(Path::new(dir), count.parse().unwrap(), order == "any");
    }
    // `cargo test --benches` runs this too: a thousand lines show that it still works.
    let whole = arguments.iter().any(|argument| argument == "--bench");
    let order = if arguments.iter().any(|argument| argument == "--any-order") { "any" } else { "paid" };
    let (few, many) = if whole { (10_000, 1_000_000) } else { (500, 1_000) };
    let rounds: Vec<(f64, u64)> = (0..3).map(|_| measure(few, order)).collect();
    let small = rounds.iter().map(|round| round.0).fold(f64::INFINITY, f64::min);
    let (large, peak_kib) = measure(many, order);
    let per_line = |took: f64, count: u64| took * 1e6 / Duration::from_secs(count).as_secs_f64();
    let (at_few, at_many) = (per_line(small, few), per_line(large, many));
    println!("{few} lines: {small:.2} s, {at_few:.1} us a line");
    println!("{many} lines: {large:.2} s, {at_many:.1} us a line, {:.0} lines/s", 1e6 / at_many);
    println!("a line costs {:.2} times as much; the most memory {} MiB", at_many / at_few, peak_kib / 1024);
}

/// Fills a store, and has another process match it: seconds, and the most memory in KiB.
fn measure(count: u64, order: &str) -> (f64, u64) {
    let dir = tempfile::tempdir_in(".").unwrap();
    let path = dir.path().join("store");
    runtime().block_on(async {
        let store = open_store(&path).unwrap();
        fill(store.as_ref(), count).await;
        store.close().await;
    });
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.arg("match").arg(&path).arg(count.to_string()).arg(order).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (took, peak) = text.trim().split_once(' ').unwrap();
    (took.parse().unwrap(), peak.parse().unwrap())
}

fn match_in(path: &Path, count: u64, any_order: bool) {
    runtime().block_on(async {
        let store = open_store(path).unwrap();
        let lines = lines(count, any_order);
        let (took, books) = reconcile(Arc::clone(&store), &lines).await;
        let (odd, matched) = (count.div_ceil(ODD_EVERY), books.matched.theirs.count);
        // An odd line is unknown here, and its entry is missing there.
        assert_eq!((books.broken(), matched), (2 * odd, count - odd));
        println!("{} {}", took.as_secs_f64(), peak_kib());
        store.close().await;
    });
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The payments in the order of their lines.
fn lines(count: u64, any_order: bool) -> Vec<u32> {
    let mut lines: Vec<u32> = (0..u32::try_from(count).unwrap()).collect();
    if any_order {
        lines.sort_by_key(|n| u64::from(*n) * STEP % count);
    } else {
        lines.sort_by_key(|n| made_at(u64::from(*n)) + scrambled(u64::from(*n)) % PAYS_WITHIN_MS);
    }
    lines
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

async fn reconcile(store: Arc<dyn Store>, lines: &[u32]) -> (Duration, Books) {
    let watch = Stopwatch::start();
    let mut booking = Booking::begin(store, order()).await.unwrap();
    let mut place = 0;
    for chunk in lines.chunks(CHUNK) {
        let chunk = chunk.iter().map(|n| {
            place += 1;
            line(place, u64::from(*n))
        });
        booking.book(chunk.collect(), NOW).await.unwrap();
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

/// A number as ours are: of its moment, then random; 26 letters and digits.
fn number(n: u64) -> String {
    let at = UnixMillis(NOW.0 + i64::try_from(made_at(n)).unwrap());
    AttemptId::new(at, u128::from(scrambled(n)) << 16).bare()
}

/// Milliseconds into the day. A million payments fall evenly on it, fewer into its first part.
const fn made_at(n: u64) -> u64 {
    n * DAY_MS / 1_000_000
}

const fn scrambled(n: u64) -> u64 {
    n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
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
