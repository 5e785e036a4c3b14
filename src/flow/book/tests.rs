//! Days booked on a memory store: honest ones without a false break, and planted differences each found once.

use super::*;
use crate::ports::{Break, BreakStatus, EntryWrite, Reconciliation, ReconciliationStatus};
use crate::store::RecordStore;
use crate::store::memory::MemoryEngine;
use tongdao_core::ids::{AttemptId, RefundId};
use tongdao_core::money::Money;
use tongdao_core::provider::LineStatus;
use tongdao_core::reconcile::{Entry, EntryStatus};

mod planted;

const NOW: UnixMillis = UnixMillis(1_796_100_000_000);

fn day(off: i64) -> Day {
    Day::new(2026, 12, 1).unwrap().plus(off)
}

struct World {
    store: Arc<dyn Store>,
    order: BookOrder,
}

/// A day as it stands: place and number of each line, and who was asked.
type Places = Vec<(String, &'static str, bool)>;

impl World {
    fn new() -> Self {
        let store: Arc<dyn Store> = Arc::new(RecordStore::new(MemoryEngine::new()));
        let order = BookOrder {
            channel: "wechat-main".parse().unwrap(),
            provider: "wechatpay".parse().unwrap(),
            account: "1900000001".to_owned(),
            day: day(0),
            run: 0,
            strays_days: 1,
            fee: FeeRule { fee_bps: 60, fixed: 0 },
        };
        Self { store, order }
    }

    async fn enter(&self, entries: impl IntoIterator<Item = Entry>) {
        let entries = entries.into_iter().map(|entry| EntryWrite { entry, moved_from: None }).collect();
        let batch = Batch { entries, ..Batch::default() };
        self.store.commit(batch, Urgency::Vital).await.unwrap();
    }

    async fn document(&self, on: Day) -> Reconciliation {
        let id = reconciliation_id(&self.order.channel, on);
        let known = self.store.reconciliation(id).await.unwrap();
        known.unwrap_or_else(|| Reconciliation::new(&self.order.channel, on, NOW))
    }

    async fn write(&self, one: Reconciliation) {
        let batch = Batch { reconciliations: vec![one], ..Batch::default() };
        self.store.commit(batch, Urgency::Vital).await.unwrap();
    }

    /// One whole run of a day, and a look at every day that it touches.
    async fn run(&self, on: Day, file: &[StatementLine]) -> Vec<Repair> {
        let known = self.document(on).await;
        let one = Reconciliation { run: known.run + 1, status: ReconciliationStatus::Running, ..known };
        self.write(one.clone()).await;
        let order = BookOrder { day: on, run: one.run, ..self.order.clone() };
        let mut booking = Booking::begin(Arc::clone(&self.store), order).await.unwrap();
        let mut repairs = Vec::new();
        for chunk in file.chunks(3) {
            repairs.extend(booking.book(chunk.to_vec(), NOW).await.unwrap());
        }
        let booked = booking.finish(NOW).await.unwrap();
        repairs.extend(booked.repairs);
        let status = ReconciliationStatus::Done;
        self.write(Reconciliation { status, done_run: Some(one.run), books: booked.books, ..one }).await;
        for touched in booked.touched {
            repairs.extend(self.settle(touched).await.repairs);
        }
        repairs
    }

    async fn settle(&self, on: Day) -> Settled {
        let order = BookOrder { day: on, ..self.order.clone() };
        settle(self.store.as_ref(), &order, NOW).await.unwrap()
    }

    async fn places(&self, on: Day) -> Places {
        let one = self.document(on).await;
        let lines = self.store.lines(one.id, None, 10_000).await.unwrap();
        let current = lines.into_iter().filter(|line| line.run == one.run);
        current.map(|line| (line.key.number, line.place.as_str(), line.line.is_some())).collect()
    }

    async fn breaks(&self) -> Vec<Break> {
        self.store.breaks(None, 10_000).await.unwrap()
    }

    async fn open_breaks(&self) -> Vec<(&'static str, Option<String>)> {
        let open = self.breaks().await.into_iter().filter(|one| one.status == BreakStatus::Open);
        let mut named: Vec<_> = open.map(|one| (one.kind.as_str(), one.provider_trade_no)).collect();
        named.sort();
        named
    }
}

fn entry(n: u32, on: Day) -> Entry {
    Entry {
        channel: "wechat-main".parse().unwrap(),
        day: on,
        kind: LineKind::Payment,
        number: format!("N{n:04}"),
        provider_trade_no: format!("T{n:04}"),
        charge: ChargeId::new(NOW, u128::from(n)),
        attempt: AttemptId::new(NOW, u128::from(n)),
        refund: None,
        amount: Money::cny(1000 + i64::from(n)),
        status: EntryStatus::Counted,
    }
}

fn refund(n: u32, on: Day, status: EntryStatus) -> Entry {
    let refund = Some(RefundId::new(NOW, u128::from(n)));
    Entry { kind: LineKind::Refund, number: format!("R{n:04}"), refund, status, ..entry(n, on) }
}

fn line_of(entry: &Entry) -> StatementLine {
    let back = entry.kind == LineKind::Refund;
    StatementLine {
        line: 0,
        kind: entry.kind,
        status: LineStatus::Done,
        provider_order_no: (!back).then(|| entry.number.clone()),
        provider_trade_no: Some(entry.provider_trade_no.clone()),
        provider_refund_no: back.then(|| entry.number.clone()),
        amount: entry.amount,
        fee: (!back).then(|| FeeRule { fee_bps: 60, fixed: 0 }.expected(entry.amount.amount)),
        at: Some(NOW),
    }
}

fn numbered(mut lines: Vec<StatementLine>) -> Vec<StatementLine> {
    for (index, line) in (1_u64..).zip(&mut lines) {
        line.line = index;
    }
    lines
}

#[tokio::test]
async fn a_lost_line_is_carried_until_the_neighbours_file_and_then_missing_once() {
    let world = World::new();
    world.enter([entry(1, day(0)), entry(2, day(0))]).await;
    let asked = world.run(day(0), &numbered(vec![line_of(&entry(2, day(0)))])).await;
    assert_eq!((asked, world.open_breaks().await), (Vec::new(), Vec::new()));
    let asked = world.run(day(1), &[]).await;
    assert_eq!(asked, vec![entry(1, day(0)).ask()]);
    assert_eq!(world.open_breaks().await, vec![("missing_there", Some("T0001".to_owned()))]);
    assert_eq!(world.settle(day(0)).await.repairs, Vec::new());
    // Two days late it comes after all.
    world.run(day(2), &numbered(vec![line_of(&entry(1, day(0)))])).await;
    assert_eq!(world.open_breaks().await, Vec::new());
    let books = world.document(day(0)).await.books;
    assert_eq!((books.broken(), books.repaired, books.carried_over.ours.count), (0, 1, 1));
}

#[tokio::test]
async fn a_payment_that_only_the_statement_knew_is_repaired_once_the_provider_confirmed_it() {
    let world = World::new();
    let file = numbered(vec![line_of(&entry(1, day(0)))]);
    world.run(day(0), &file).await;
    assert_eq!(world.open_breaks().await, vec![("missing_here", Some("T0001".to_owned()))]);
    // The query's answer credits it, on the day that the provider says.
    world.enter([entry(1, day(0))]).await;
    let settled = world.settle(day(0)).await;
    assert_eq!((settled.repaired, world.open_breaks().await), (1, Vec::new()));
    let books = settled.reconciliation.unwrap().books;
    assert_eq!((books.matched.ours.count, books.difference(), books.repaired), (1, 0, 1));
    assert_eq!(world.settle(day(0)).await.repaired, 0);
    world.run(day(0), &file).await;
    assert_eq!(world.breaks().await.len(), 1);
    assert_eq!(world.open_breaks().await, Vec::new());
}

#[tokio::test]
async fn a_break_that_a_person_resolved_stays_resolved_and_one_that_comes_back_opens_again() {
    let world = World::new();
    let file = numbered(vec![line_of(&entry(1, day(0)))]);
    world.run(day(0), &file).await;
    let mut known = world.breaks().await.remove(0);
    known.status = BreakStatus::Resolved;
    let batch = Batch { breaks: vec![known], ..Batch::default() };
    world.store.commit(batch, Urgency::Vital).await.unwrap();
    world.run(day(0), &file).await;
    assert_eq!(world.breaks().await[0].status, BreakStatus::Resolved);

    let world = World::new();
    world.run(day(0), &file).await;
    world.run(day(0), &[]).await;
    assert_eq!(world.breaks().await[0].status, BreakStatus::Repaired);
    assert_eq!(world.places(day(0)).await, Vec::new());
    world.run(day(0), &file).await;
    assert_eq!(world.breaks().await[0].status, BreakStatus::Open);
}

#[tokio::test]
async fn a_line_that_differs_otherwise_on_the_next_run_changes_its_break() {
    let world = World::new();
    world.enter([entry(1, day(0))]).await;
    let right = line_of(&entry(1, day(0)));
    let dearer = StatementLine { amount: Money::cny(5000), ..right.clone() };
    let overcharged = StatementLine { fee: Some(99), ..right };
    world.run(day(0), &numbered(vec![dearer])).await;
    world.run(day(0), &numbered(vec![overcharged])).await;
    assert_eq!(world.open_breaks().await, vec![("fee_differs", Some("T0001".to_owned()))]);
}

#[tokio::test]
async fn a_second_payment_of_one_order_is_a_duplicate_until_it_has_an_entry() {
    let world = World::new();
    world.enter([entry(1, day(0))]).await;
    let second = StatementLine { provider_trade_no: Some("T0002".to_owned()), ..line_of(&entry(1, day(0))) };
    // The second payment's line comes first.
    let file = numbered(vec![second, line_of(&entry(1, day(0)))]);
    let asked = world.run(day(0), &file).await;
    assert_eq!(asked, vec![entry(1, day(0)).ask()]);
    assert_eq!(world.open_breaks().await, vec![("duplicate", Some("T0002".to_owned()))]);
    let number = Entry::further("N0001", "T0002");
    let going_back =
        Entry { number, provider_trade_no: "T0002".to_owned(), status: EntryStatus::GoingBack, ..entry(1, day(0)) };
    world.enter([going_back]).await;
    world.settle(day(0)).await;
    assert_eq!(world.open_breaks().await, Vec::new());
    let books = world.document(day(0)).await.books;
    assert_eq!((books.matched.theirs.count, books.matched.ours.count), (2, 2));
}

#[tokio::test]
async fn fees_that_differ_on_every_line_open_a_thousand_breaks_and_no_more() {
    let mut world = World::new();
    world.order.fee = FeeRule { fee_bps: 38, fixed: 0 };
    let entries: Vec<_> = (0..1_200).map(|n| Entry { amount: Money::cny(100_000), ..entry(n, day(0)) }).collect();
    world.enter(entries.clone()).await;
    world.run(day(0), &numbered(entries.iter().map(line_of).collect())).await;
    assert_eq!(world.document(day(0)).await.books.broken(), 1_200);
    assert_eq!(world.breaks().await.len(), 1_000);
    assert_eq!(world.breaks().await[0].amount, Money::cny(220));
}
