//! What is kept of reconciliations reads back whole from both engines, in the order of kind and number.

use super::super::RecordStore;
use super::super::embedded::{EmbeddedEngine, EmbeddedOptions};
use super::super::memory::MemoryEngine;
use super::*;
use crate::ports::{Batch, Reconciliation, Store, Urgency, reconciliation_id};
use proptest::prelude::*;
use std::sync::Arc;
use tongdao_core::ids::ReconciliationId;

const NOW: UnixMillis = UnixMillis(1_796_100_000_000);

fn day(off: i64) -> Day {
    Day::new(2026, 12, 1).unwrap().plus(off)
}

fn channel(name: &str) -> ChannelId {
    name.parse().unwrap()
}

fn entry_of(kind: LineKind, number: &str, on: Day) -> Entry {
    Entry {
        channel: channel("a"),
        day: on,
        kind,
        number: number.to_owned(),
        provider_trade_no: format!("T{number}"),
        charge: ChargeId::new(NOW, 1),
        attempt: AttemptId::new(NOW, 2),
        refund: (kind == LineKind::Refund).then(|| RefundId::new(NOW, 3)),
        amount: Money::cny(1999),
        status: if kind == LineKind::Refund { EntryStatus::Pending } else { EntryStatus::Counted },
    }
}

fn booked_line(number: &str, ordinal: u64, place: Place) -> BookedLine {
    let key = LineKey { kind: LineKind::Payment, number: number.to_owned(), ordinal };
    BookedLine { key, run: 3, line: None, ours: Some(1999), charge: Some(ChargeId::new(NOW, 1)), place }
}

async fn on_both<F: Future<Output = ()>>(test: impl Fn(Arc<dyn Store>) -> F) {
    test(Arc::new(RecordStore::new(MemoryEngine::new()))).await;
    let dir = tempfile::tempdir().unwrap();
    let engine = EmbeddedEngine::open(dir.path(), EmbeddedOptions::small()).unwrap();
    test(Arc::new(RecordStore::new(engine))).await;
}

async fn commit(store: &dyn Store, batch: Batch) {
    store.commit(batch, Urgency::Vital).await.unwrap();
}

fn entered(entry: &Entry, moved_from: Option<Day>) -> Batch {
    Batch { entries: vec![EntryWrite { entry: entry.clone(), moved_from }], ..Batch::default() }
}

async fn numbers_on(store: &dyn Store, on: Day) -> Vec<String> {
    let listed = store.entries(&channel("a"), on, None, 100).await.unwrap();
    listed.into_iter().map(|one| one.number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_found_by_number_and_listed_by_day_in_order() {
    on_both(|store| async move {
        let all = [
            entry_of(LineKind::Refund, "R1", day(0)),
            entry_of(LineKind::Payment, "N2", day(0)),
            entry_of(LineKind::Payment, "N10", day(0)),
            entry_of(LineKind::Payment, "N1", day(1)),
        ];
        for entry in &all {
            commit(store.as_ref(), entered(entry, None)).await;
        }
        commit(store.as_ref(), entered(&Entry { channel: channel("b"), ..all[1].clone() }, None)).await;
        let names = [(LineKind::Payment, "N2".to_owned()), (LineKind::Refund, "N2".to_owned())];
        let found = store.entries_named(&channel("a"), &names).await.unwrap();
        assert_eq!(found, [Some(all[1].clone()), None]);
        assert_eq!(numbers_on(store.as_ref(), day(0)).await, ["N2", "N10", "R1"]);
        let after = Some((LineKind::Payment, "N10".to_owned()));
        let rest = store.entries(&channel("a"), day(0), after, 100).await.unwrap();
        let wanted =
            DayEntry { kind: LineKind::Refund, number: "R1".to_owned(), amount: 1999, status: EntryStatus::Pending };
        assert_eq!(rest, [wanted]);
        assert_eq!(store.entries(&channel("a"), day(0), None, 1).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_moves_stands_on_one_day() {
    on_both(|store| async move {
        let entry = entry_of(LineKind::Payment, "N1", day(0));
        commit(store.as_ref(), entered(&entry, None)).await;
        commit(store.as_ref(), entered(&Entry { day: day(1), ..entry.clone() }, Some(day(0)))).await;
        assert_eq!(numbers_on(store.as_ref(), day(0)).await, [""; 0]);
        assert_eq!(numbers_on(store.as_ref(), day(1)).await, ["N1"]);
        // One that is said to move and stays is kept.
        commit(store.as_ref(), entered(&Entry { day: day(1), ..entry }, Some(day(1)))).await;
        assert_eq!(numbers_on(store.as_ref(), day(1)).await, ["N1"]);
    })
    .await;
}

fn lines_batch(id: ReconciliationId, lines: &[(BookedLine, bool)]) -> Batch {
    let of = |(line, was_open): &(BookedLine, bool)| LineWrite {
        reconciliation: id,
        line: line.clone(),
        was_open: *was_open,
        breach: line.is_open().then(|| BreakId::new(NOW, 9)),
    };
    Batch { lines: lines.iter().map(of).collect(), ..Batch::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_kept_by_key_and_the_open_ones_are_listed_until_they_settle() {
    on_both(|store| async move {
        let id = reconciliation_id(&channel("a"), day(0));
        let matched = booked_line("N1", 0, Place::Matched);
        let again = booked_line("N1", 7, Place::Break(BreakKind::Duplicate));
        let waits = booked_line("N2", LineKey::OURS_ALONE, Place::CarriedOver);
        let all = [matched.clone(), again.clone(), waits.clone()];
        commit(store.as_ref(), lines_batch(id, &all.clone().map(|line| (line, false)))).await;
        let other = reconciliation_id(&channel("b"), day(0));
        commit(store.as_ref(), lines_batch(other, &[(again.clone(), false)])).await;
        assert_eq!(store.lines(id, None, 100).await.unwrap(), all);
        let behind = store.lines(id, Some(matched.key.clone()), 1).await.unwrap();
        assert_eq!(behind, std::slice::from_ref(&again));
        let named = store.lines_named(id, &[waits.key.clone(), booked_line("N3", 0, Place::Matched).key]).await;
        assert_eq!(named.unwrap(), [Some(waits.clone()), None]);
        let open = |line: &BookedLine| OpenLine {
            key: line.key.clone(),
            place: line.place,
            breach: Some(BreakId::new(NOW, 9)),
        };
        assert_eq!(store.open_lines(id, None, 100).await.unwrap(), [open(&again), open(&waits)]);

        let settled = BookedLine { place: Place::Matched, ..again.clone() };
        commit(store.as_ref(), lines_batch(id, &[(settled.clone(), true)])).await;
        assert_eq!(store.open_lines(id, None, 100).await.unwrap(), [open(&waits)]);
        let gone = Batch { gone_lines: vec![(id, waits.key.clone())], ..Batch::default() };
        commit(store.as_ref(), gone).await;
        assert_eq!(store.open_lines(id, None, 100).await.unwrap(), []);
        assert_eq!(store.lines(id, None, 100).await.unwrap(), [matched, settled]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strays_and_documents_are_listed_by_their_day() {
    on_both(|store| async move {
        let of = |number: &str, on: Day| Stray {
            channel: channel("a"),
            entry_day: on,
            kind: LineKind::Payment,
            number: number.to_owned(),
            file_day: on.plus(1),
        };
        let documents: Vec<_> =
            [("a", 0), ("b", 0), ("a", 1)].map(|(name, on)| Reconciliation::new(&channel(name), day(on), NOW)).into();
        let batch = Batch {
            strays: vec![of("N1", day(0)), of("N2", day(1))],
            reconciliations: documents.clone(),
            ..Batch::default()
        };
        commit(store.as_ref(), batch).await;
        assert_eq!(store.strays(&channel("a"), day(0), None, 100).await.unwrap(), [of("N1", day(0))]);
        assert_eq!(store.reconciliation(documents[0].id).await.unwrap(), Some(documents[0].clone()));
        let of_a = store.reconciliations(Some(&channel("a")), None, 100).await.unwrap();
        assert_eq!(of_a, [documents[2].clone(), documents[0].clone()]);
        let older = store.reconciliations(None, Some(documents[2].id), 100).await.unwrap();
        assert_eq!(older.len(), 2);
        assert_eq!(store.reconciliations(Some(&channel("a")), None, 1).await.unwrap(), [documents[2].clone()]);
    })
    .await;
}

#[test]
fn an_entry_takes_less_than_two_hundred_bytes_beside_its_keys() {
    let entry = Entry {
        number: "01KCR000000000000000000001".to_owned(),
        provider_trade_no: "4200001832202612011234567890".to_owned(),
        ..entry_of(LineKind::Payment, "", day(0))
    };
    let pairs = of_entry(&EntryWrite { entry, moved_from: None }).unwrap();
    assert!(pairs.iter().map(|(_, value)| value.len()).sum::<usize>() < 200);
}

fn any_line() -> impl Strategy<Value = StatementLine> {
    let text = || proptest::option::of("[A-Z0-9]{0,12}");
    let status = prop_oneof![Just(LineStatus::Done), Just(LineStatus::Pending), Just(LineStatus::Failed)];
    (
        any::<u64>(),
        any::<bool>(),
        status,
        (text(), text(), text()),
        0_i64..=i64::MAX,
        proptest::option::of(any::<i64>()),
    )
        .prop_map(|(line, back, status, numbers, amount, fee)| StatementLine {
            line,
            kind: if back { LineKind::Refund } else { LineKind::Payment },
            status,
            provider_order_no: numbers.0,
            provider_trade_no: numbers.1,
            provider_refund_no: numbers.2,
            amount: Money::cny(amount),
            fee,
            at: fee.map(UnixMillis),
        })
}

proptest! {
    #[test]
    fn a_line_is_read_back_as_it_was_written(
        line in proptest::option::of(any_line()),
        number in "[A-Z0-9+]{0,12}",
        ours in proptest::option::of(-1_000_i64..=i64::MAX),
        same in any::<bool>(),
        ordinal in any::<u64>(),
    ) {
        let ours = if same { line.as_ref().map(|line| line.amount.amount) } else { ours };
        let kind = line.as_ref().map_or(LineKind::Payment, |line| line.kind);
        let key = LineKey { kind, number, ordinal };
        let place = if same { Place::Matched } else { Place::Break(BreakKind::FeeDiffers) };
        let line = BookedLine { key: key.clone(), run: 1, line, ours, charge: None, place };
        let id = reconciliation_id(&channel("a"), day(0));
        let write = LineWrite { reconciliation: id, line: line.clone(), was_open: false, breach: None };
        let (stored_key, value) = of_line(&write).unwrap();
        let rest = stored_key.get(keys::line_list(id).len()..).unwrap();
        prop_assert_eq!(keys::line_key_of(rest), Some(key.clone()));
        prop_assert_eq!(super::line(key, &value).unwrap(), line);
    }
}
