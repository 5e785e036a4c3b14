//! Files that lie: each is refused with its reason, or handled; never is half a day booked.

use super::Day;
use super::planted::{fill, lines};
use tongdao::ports::ReconciliationStatus;
use tongdao_core::effect::BreakKind;
use tongdao_sandbox::{Fault, Operation, ProviderName, StatementFault};

const PAYMENTS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wechat_file_that_lies_books_nothing() {
    lies(ProviderName::Wechatpay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alipay_file_that_lies_books_nothing() {
    lies(ProviderName::Alipay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unionpay_file_that_lies_books_nothing() {
    lies(ProviderName::Unionpay).await;
}

async fn lies(provider: ProviderName) {
    let day = Day::in_memory(provider).await;
    fill(&day, PAYMENTS).await;
    day.next_morning();
    let none = StatementFault::default();
    let refused = [
        ("truncated", StatementFault { truncated: true, ..none }),
        ("wrong sums", StatementFault { wrong_sums: true, ..none }),
        ("a bomb", StatementFault { bomb_mib: 300, ..none }),
        ("another merchant's", StatementFault { other_merchant: 1, ..none }),
    ];
    for (what, fault) in refused {
        day.statement_fault(fault);
        let one = day.reconcile().await;
        assert_eq!(one.status, ReconciliationStatus::Failed, "{provider:?} {what}: {one:?}");
        assert!(one.failure.as_deref().is_some_and(|why| why.contains("not believed")), "{what}: {one:?}");
        assert_eq!((one.run, lines(&day, &one).await.len()), (0, 0), "{provider:?} {what} was booked");
    }
    // Where a provider publishes no hash, the sums are wrong.
    day.world.fault(provider, Operation::Statement, Fault { wrong_hash: true, ..Fault::default() });
    let one = day.reconcile().await;
    assert_eq!((one.status, one.run), (ReconciliationStatus::Failed, 0), "{provider:?} wrong hash: {one:?}");
    let whole = u64::try_from(PAYMENTS + PAYMENTS / 10).unwrap();
    let handled = [
        ("in no order", StatementFault { reordered: true, ..none }),
        ("columns added and moved", StatementFault { columns: true, ..none }),
        ("another encoding", StatementFault { wrong_encoding: true, ..none }),
        ("names that lead out", StatementFault { traversal: true, ..none }),
        ("as it should be", none),
    ];
    let before = day.breaks().await.len();
    for (what, fault) in handled {
        day.statement_fault(fault);
        let one = day.reconcile().await;
        match one.status {
            ReconciliationStatus::Failed => assert!(one.failure.is_some(), "{provider:?} {what}"),
            ReconciliationStatus::Queued | ReconciliationStatus::Running | ReconciliationStatus::Done => {
                assert_eq!((one.books.matched.theirs.count, one.books.broken()), (whole, 0), "{provider:?} {what}")
            }
        }
    }
    assert_eq!(day.known(day.day).await.status, ReconciliationStatus::Done, "{provider:?}");
    assert_eq!((before, day.breaks().await.len()), (0, 0), "{provider:?}");
    assert_eq!(std::fs::read_dir(day.world.directory().join("spool")).unwrap().count(), 0, "{provider:?}");
}

#[tokio::test]
async fn another_fee_than_the_contracts_is_named_line_by_line() {
    let day = Day::in_memory(ProviderName::Alipay).await;
    fill(&day, PAYMENTS).await;
    day.set_fee_bps(38);
    day.next_morning();
    let one = day.reconcile().await;
    let fees = one.books.breaks.get(&BreakKind::FeeDiffers).copied().unwrap_or_default();
    assert_eq!(fees.theirs.count, u64::try_from(PAYMENTS).unwrap(), "{:#?}", one.books);
}
