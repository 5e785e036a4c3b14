//! A whole day with a thousand differences of every kind: each is found under its right name, and nothing else is.
//!
//! In CI a day has 10,000 payments; `TONGDAO_DAY_PAYMENTS=100000 cargo test --release --test it planted` is the full
//! size.

use super::Day;
use std::collections::BTreeSet;
use tongdao::ports::{Batch, EntryWrite, Reconciliation, ReconciliationStatus, Urgency};
use tongdao_core::ids::{AttemptId, ChargeId, RefundId};
use tongdao_core::money::Money;
use tongdao_core::provider::LineKind;
use tongdao_core::reconcile::{BookedLine, Entry, EntryStatus, Place};
use tongdao_core::time::UnixMillis;
use tongdao_sandbox::{Fill, Filled, Planted, PlantedKind, ProviderName, StatementFault};

fn payments() -> usize {
    std::env::var("TONGDAO_DAY_PAYMENTS").map_or(10_000, |count| count.parse().unwrap())
}

/// WeChat Pay's lines alone have a status of their own; at the others such a line is no line of the protocol.
const fn fault(provider: ProviderName) -> StatementFault {
    match provider {
        ProviderName::Wechatpay => StatementFault { changed_status: 150, lost: 100, ..FAULT },
        ProviderName::Alipay | ProviderName::Unionpay => FAULT,
    }
}

/// A thousand in all.
const FAULT: StatementFault = StatementFault {
    seed: 7,
    lost: 250,
    extra: 300,
    doubled: 200,
    wrong_amount: 250,
    wrong_amount_line: None,
    wrong_fee: 0,
    changed_status: 0,
    other_merchant: 0,
    reordered: true,
    columns: false,
    wrong_sums: false,
    truncated: false,
    wrong_encoding: false,
    bomb_mib: 0,
    traversal: false,
    absent: false,
    not_ready: 0,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_differences_in_a_day_of_wechat_are_found_and_no_other() {
    planted(ProviderName::Wechatpay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_differences_in_a_day_of_alipay_are_found_and_no_other() {
    planted(ProviderName::Alipay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_differences_in_a_day_of_unionpay_are_found_and_no_other() {
    planted(ProviderName::Unionpay).await;
}

async fn planted(provider: ProviderName) {
    let day = Day::in_memory(provider).await;
    fill(&day, payments()).await;
    day.statement_fault(fault(provider));
    day.next_morning();
    let first = day.reconcile().await;
    assert_eq!((first.status, first.failure.as_deref()), (ReconciliationStatus::Done, None), "{provider:?}");
    // What a file lacks may stand in the next day's; only then it is missing.
    day.statement_fault(StatementFault::default());
    day.world.advance_s(86_400);
    let next = day.order(day.day.plus(1)).await;
    assert_eq!(next.status, ReconciliationStatus::Done, "{provider:?}: {next:?}");
    let one = day.known(day.day).await;
    assert!(one.books.check().is_ok(), "{:?}", one.books);
    compare(&day, &one).await;
    let breaks = day.breaks().await.len();
    // A second run over the same file changes nothing.
    day.statement_fault(fault(provider));
    let again = day.reconcile().await;
    assert_eq!((again.books, day.breaks().await.len()), (one.books, breaks), "{provider:?}");
}

/// Puts the same day into both books: every tenth payment is refunded in part.
pub async fn fill(day: &Day, count: usize) {
    let wish = |n: usize| {
        let paid = Fill::paid(format!("N{n:025}"), 1000 + i64::try_from(n % 900).unwrap());
        if n.is_multiple_of(10) { paid.refunded(format!("R{n:031}"), 300) } else { paid }
    };
    let wishes: Vec<Fill> = (0..count).map(wish).collect();
    let sandbox = &day.world.sandbox;
    let filled = sandbox.fill(day.provider, &day.account(), &day.day.to_string(), &wishes).unwrap();
    let flow = &day.world.daemon.as_ref().unwrap().flow;
    for chunk in filled.chunks(500) {
        let entries = chunk.iter().flat_map(|filled| entries_of(day, filled)).collect();
        flow.store().commit(Batch { entries, ..Batch::default() }, Urgency::Vital).await.unwrap();
    }
}

fn entries_of(day: &Day, filled: &Filled) -> Vec<EntryWrite> {
    let number = |text: &str| text.bytes().fold(0_u128, |sum, byte| sum.wrapping_mul(31) + u128::from(byte));
    let at = UnixMillis(filled.paid_at);
    let payment = Entry {
        channel: day.channel_id(),
        day: day.day,
        kind: LineKind::Payment,
        number: filled.order_no.clone(),
        provider_trade_no: filled.trade_no.clone(),
        charge: ChargeId::new(at, number(&filled.order_no)),
        attempt: AttemptId::new(at, number(&filled.order_no)),
        refund: None,
        amount: Money::cny(filled.amount),
        status: EntryStatus::Counted,
    };
    let refund = filled.refund.as_ref().map(|refund| Entry {
        kind: LineKind::Refund,
        number: refund.refund_no.clone(),
        refund: Some(RefundId::new(at, number(&refund.refund_no))),
        amount: Money::cny(refund.amount),
        status: EntryStatus::Succeeded,
        ..payment.clone()
    });
    std::iter::once(payment).chain(refund).map(|entry| EntryWrite { entry, moved_from: None }).collect()
}

/// Every planted difference under its name, and no other.
async fn compare(day: &Day, one: &Reconciliation) {
    let expected: BTreeSet<(String, &str)> = day.world.sandbox.planted().iter().map(expected).collect();
    let found: BTreeSet<(String, &str)> = lines(day, one).await.iter().filter_map(found).collect();
    let missed: Vec<_> = expected.difference(&found).take(5).collect();
    let invented: Vec<_> = found.difference(&expected).take(5).collect();
    assert!(missed.is_empty() && invented.is_empty(), "missed {missed:?}, invented {invented:?}");
    assert_eq!(found.len(), 1000, "{:?}", day.provider);
    assert_eq!(one.books.broken(), 1000, "{:#?}", one.books);
    assert_eq!(day.open_breaks().await.len(), 1000);
    assert_eq!(day.world.daemon.as_ref().unwrap().flow.board().open_breaks().count(), 1000);
}

/// The lines of the run that counts.
pub async fn lines(day: &Day, one: &Reconciliation) -> Vec<BookedLine> {
    let flow = &day.world.daemon.as_ref().unwrap().flow;
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = flow.store().lines(one.id, after, 1000).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.key.clone());
        all.extend(page.into_iter().filter(|line| Some(line.run) == one.done_run));
    }
}

fn expected(planted: &Planted) -> (String, &'static str) {
    let refund = planted.refund_no.is_some();
    let kind = match planted.kind {
        PlantedKind::Lost => "missing_there",
        PlantedKind::Extra => "missing_here",
        PlantedKind::Doubled if refund => "refund_differs",
        PlantedKind::Doubled => "duplicate",
        PlantedKind::WrongAmount if refund => "refund_differs",
        PlantedKind::WrongAmount => "amount_differs",
        PlantedKind::ChangedStatus => "status_differs",
        PlantedKind::WrongFee | PlantedKind::OtherMerchant => panic!("not planted here"),
    };
    (planted.refund_no.clone().unwrap_or_else(|| planted.order_no.clone()), kind)
}

fn found(line: &BookedLine) -> Option<(String, &'static str)> {
    match line.place {
        Place::Break(kind) => Some((line.key.number.clone(), kind.as_str())),
        Place::Matched | Place::CarriedOver => None,
    }
}
