//! One day of each provider: what agrees, what only the statement knows, and what mends itself.

use super::Day;
use tongdao::ports::{BreakStatus, ReconciliationStatus};
use tongdao_core::effect::BreakKind;
use tongdao_sandbox::ProviderName;

/// The same story for each provider.
macro_rules! for_each_provider {
    ($($story:ident: $wechatpay:ident $alipay:ident $unionpay:ident;)+) => {$(
        #[tokio::test]
        async fn $wechatpay() {
            $story(ProviderName::Wechatpay).await;
        }
        #[tokio::test]
        async fn $alipay() {
            $story(ProviderName::Alipay).await;
        }
        #[tokio::test]
        async fn $unionpay() {
            $story(ProviderName::Unionpay).await;
        }
    )+};
}

for_each_provider! {
    agrees: a_quiet_day_of_wechat_agrees_to_the_fen a_quiet_day_of_alipay_agrees_to_the_fen
        a_quiet_day_of_unionpay_agrees_to_the_fen;
    finds: a_payment_that_only_wechats_statement_knows_is_credited a_payment_that_only_alipays_statement_knows_is_credited
        a_payment_that_only_unionpays_statement_knows_is_credited;
}

async fn agrees(provider: ProviderName) {
    let day = Day::of(provider).await;
    for _ in 0..3 {
        day.delivered().await;
    }
    let refunded = day.delivered().await;
    let path = format!("/v1/charges/{}/refunds", refunded["id"].as_str().unwrap());
    let (status, refund) = day.world.post(&path, serde_json::json!({ "refund_no": "R1", "amount": 500 })).await;
    assert_eq!(status, 201, "{refund}");
    day.world
        .advance_until(refunded["id"].as_str().unwrap(), 5, "refunded", |charge| charge["amount_refunded"] == 500)
        .await;
    day.next_morning();
    let one = day.reconcile().await;
    assert_eq!((one.status, one.failure.as_deref()), (ReconciliationStatus::Done, None), "{provider:?}");
    let whole = one.books.whole;
    assert_eq!((whole.theirs, whole.ours), (whole.ours, whole.theirs), "{provider:?}: {:#?}", one.books);
    assert_eq!((whole.ours.count, whole.ours.amount), (5, 4 * 1999 - 500), "{provider:?}: {:#?}", one.books);
    assert_eq!((one.books.matched.theirs.count, one.books.broken()), (5, 0), "{provider:?}: {:#?}", one.books);
    assert_eq!(day.breaks().await.len(), 0, "{provider:?}");
}

async fn finds(provider: ProviderName) {
    let day = Day::automatic(provider).await;
    day.delivered().await;
    let (id, _) = day.lost().await;
    day.next_morning();
    let one = day.ended_by_itself().await;
    assert_eq!((one.books.matched.theirs.count, one.books.broken()), (2, 0), "{provider:?}: {:#?}", one.books);
    assert_eq!((one.books.repaired, one.books.difference()), (1, 0), "{provider:?}: {:#?}", one.books);
    let breaks = day.breaks().await;
    let named: Vec<_> = breaks.iter().map(|one| (one.kind, one.status)).collect();
    assert_eq!(named, [(BreakKind::MissingHere, BreakStatus::Repaired)], "{provider:?}");
    let charge = day.world.until(&id, "delivered", |charge| charge["delivery"]["status"] == "delivered").await;
    assert_eq!(charge["status"], "paid", "{provider:?}: {charge:#}");
    let confirmations =
        format!("tongdao_payment_confirmations_total{{channel=\"{}\",source=\"statement\"}}", day.channel());
    assert_eq!(day.counted(&confirmations).await, 1, "{provider:?}");
    assert_eq!(day.counted("tongdao_repairs_total{kind=\"credited\"}").await, 1, "{provider:?}");
    assert_eq!(day.world.provider_net(), 2 * 1999, "{provider:?}");
    // A second run changes nothing.
    let again = day.reconcile().await;
    assert_eq!(again.books.matched, one.books.matched, "{provider:?}");
    assert_eq!((again.books.broken(), day.breaks().await.len()), (0, 1), "{provider:?}");
    assert_eq!(day.world.merchant.of("charge.paid").len(), 2, "{provider:?}");
}

#[tokio::test]
async fn a_statement_that_is_absent_on_an_active_day_is_never_all_fine() {
    let day = Day::of(ProviderName::Wechatpay).await;
    let quiet = day.order(day.day.plus(-1)).await;
    assert_eq!((quiet.status, quiet.books.whole.theirs.count), (ReconciliationStatus::Done, 0));
    day.delivered().await;
    day.next_morning();
    let fault = tongdao_sandbox::StatementFault { absent: true, ..Default::default() };
    day.statement_fault(fault);
    let first = day.reconcile().await;
    assert_eq!(first.status, ReconciliationStatus::Queued);
    assert!(first.failure.as_deref().is_some_and(|why| why.contains("there is none")), "{first:?}");
    day.world.advance_s(7 * 3600);
    let late = day.ended_as(ReconciliationStatus::Failed).await;
    assert!(late.failure.as_deref().is_some_and(|why| why.contains("still")), "{late:?}");
    day.statement_fault(tongdao_sandbox::StatementFault::default());
    day.world.advance_s(3600);
    let done = day.ended_as(ReconciliationStatus::Done).await;
    assert_eq!((done.books.matched.theirs.count, done.books.broken()), (1, 0));
}
