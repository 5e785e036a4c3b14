//! A crash in the middle, the provider's midnight, and a day that is asked for by hand over the admin API.

use super::Day;
use super::bench::turns_ms;
use super::planted::fill;
use serde_json::{Value, json};
use std::time::Duration;
use tongdao::client::{Ask, Verb, Way, ask};
use tongdao::ports::{Clock as _, ReconciliationStatus};
use tongdao_sandbox::ProviderName;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_dies_in_the_middle_is_begun_again_and_books_nothing_twice() {
    let mut day = Day::of(ProviderName::Wechatpay).await;
    fill(&day, 3000).await;
    day.next_morning();
    let flow = day.world.daemon.as_ref().unwrap().flow.clone();
    let asked = day.ask().await;
    for _ in 0..3000 {
        let one = flow.reconciliation(asked.id).await.unwrap();
        if flow.reconciliation_progress(&one).is_some_and(|(lines, _)| lines > 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(flow);
    day.world.restart().await;
    let one = day.ended_as(ReconciliationStatus::Done).await;
    assert_eq!((one.books.matched.theirs.count, one.books.broken()), (3300, 0), "{:#?}", one.books);
    assert!(one.books.check().is_ok());
    assert_eq!(day.breaks().await.len(), 0);
}

#[tokio::test]
async fn a_wechat_payment_before_midnight_and_one_after_it_are_on_two_days() {
    straddles(ProviderName::Wechatpay).await;
}

#[tokio::test]
async fn an_alipay_payment_before_midnight_and_one_after_it_are_on_two_days() {
    straddles(ProviderName::Alipay).await;
}

#[tokio::test]
async fn a_unionpay_payment_before_eleven_and_one_after_it_are_on_two_days() {
    straddles(ProviderName::Unionpay).await;
}

async fn straddles(provider: ProviderName) {
    let day = Day::of(provider).await;
    let turn = day.day.plus(1).midnight().plus_ms(turns_ms(provider));
    day.world.clock.advance_ms(turn.since_ms(day.world.clock.now()) - 60_000);
    day.delivered().await;
    day.world.advance_s(120);
    day.delivered().await;
    day.next_morning();
    day.world.advance_s(86_400);
    for which in [day.day, day.day.plus(1)] {
        let one = day.order(which).await;
        assert_eq!((one.books.matched.theirs.count, one.books.matched.ours.count), (1, 1), "{provider:?} {which}");
        assert_eq!((one.books.carried_over.ours.count, one.books.broken()), (0, 0), "{provider:?} {which}");
    }
    assert_eq!(day.breaks().await.len(), 0);
}

#[tokio::test]
async fn a_day_is_asked_for_watched_and_taken_home_over_the_admin_api() {
    let day = Day::of(ProviderName::Wechatpay).await;
    day.delivered().await;
    day.next_morning();
    let date = day.day.to_string();
    let (status, refused) = post(&day, &json!({ "channel": "nobody", "date": date })).await;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/channel")), "{refused}");
    let (status, refused) = post(&day, &json!({ "channel": "wechat-main", "date": day.day.plus(9) })).await;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/date")), "{refused}");
    let (status, asked) = post(&day, &json!({ "channel": "wechat-main", "date": date, "actor": "li" })).await;
    assert_eq!((status, &asked["status"]), (202, &json!("queued")), "{asked}");
    day.ended_as(ReconciliationStatus::Done).await;
    let path = format!("/admin/v1/reconciliations/{}", asked["id"].as_str().unwrap());
    let one: Value = serde_json::from_str(&load(&day, &path).await).unwrap();
    assert_eq!((&one["ours"]["amount"], &one["theirs"]["amount"]), (&json!(1999), &json!(1999)), "{one}");
    assert_eq!((&one["matched"], &one["breaks"], &one["difference"]), (&json!(1), &json!(0), &json!(0)));
    let list: Value = serde_json::from_str(&load(&day, "/admin/v1/reconciliations?limit=1").await).unwrap();
    assert_eq!(list["data"][0]["id"], one["id"], "{list}");
    let table = load(&day, &format!("{path}/export.csv")).await;
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows.len() == 2 && rows[0].starts_with("\u{feff}kind,number,result"), "{table}");
    assert!(rows[1].starts_with("payment,") && rows[1].contains(",matched,相符,19.99,19.99,0.12,done,"), "{table}");
    let audit = load(&day, "/admin/v1/audit?limit=1").await;
    assert!(audit.contains("\"actor\":\"li\"") && audit.contains("\"action\":\"reconcile\""), "{audit}");
}

#[tokio::test]
async fn a_file_that_a_person_hands_in_goes_through_the_same_checks() {
    let day = Day::of(ProviderName::Wechatpay).await;
    day.delivered().await;
    day.next_morning();
    let dir = tempfile::tempdir().unwrap();
    let forged = dir.path().join("forged.csv");
    std::fs::write(&forged, "交易时间,公众账号ID\n`2026-12-01 00:00:00,`wx\n").unwrap();
    let path = format!("/admin/v1/reconciliations/import?channel=wechat-main&date={}&actor=li", day.day);
    let answer = call(&day, &path, Verb::Upload(&forged)).await;
    assert_eq!(answer.0, 202, "{}", answer.1);
    let one = day.ended_as(ReconciliationStatus::Failed).await;
    assert!(one.failure.as_deref().is_some_and(|why| why.contains("not believed")), "{one:?}");
    assert_eq!((one.run, day.breaks().await.len()), (0, 0));
    let absent = format!("/admin/v1/reconciliations/import?channel=nobody&date={}", day.day);
    assert_eq!(call(&day, &absent, Verb::Upload(&forged)).await.0, 422);
}

#[tokio::test]
async fn the_command_line_says_how_a_day_came_out_in_finances_words() {
    let day = Day::of(ProviderName::Alipay).await;
    day.delivered().await;
    day.next_morning();
    let date = day.day.to_string();
    let fine = shell(&day, &["reconcile", "alipay-main", &date]).await;
    assert_eq!((fine.0, fine.2.as_str()), (0, ""), "a bar in a pipe, or a wrong code: {fine:?}");
    assert!(
        fine.1.contains("alipay-main") && fine.1.contains("相符 matched") && fine.1.contains("19.99"),
        "{}",
        fine.1
    );
    day.statement_fault(tongdao_sandbox::StatementFault { extra: 1, ..Default::default() });
    let broken = shell(&day, &["reconcile", "alipay-main", &date]).await;
    assert!(broken.0 == 1 && broken.1.contains("平台漏单 missing_here"), "{broken:?}");
    let table = shell(&day, &["reconcile", "export", "alipay-main", &date]).await;
    assert!(table.0 == 0 && table.1.contains(",missing_here,平台漏单,1.00,,"), "{table:?}");
    let days = shell(&day, &["reconciliations", "--channel", "alipay-main"]).await;
    assert!(days.0 == 0 && days.1.contains(&date), "{days:?}");
    let would = shell(&day, &["reconcile", "alipay-main", &date, "--dry-run"]).await;
    assert!(would.0 == 0 && would.1.contains("nothing was changed"), "{would:?}");
    assert_eq!(shell(&day, &["reconcile", "alipay-main", "yesterday"]).await.0, 2);
}

async fn shell(day: &Day, arguments: &[&str]) -> (i32, String, String) {
    let socket = day.world.directory().join("admin.sock");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tongdao"));
    command.arg("--admin-socket").arg(socket).args(arguments).env_clear().env("NO_COLOR", "1");
    let output = command.current_dir(day.world.directory()).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

async fn post(day: &Day, body: &Value) -> (u16, Value) {
    let (status, text) = call(day, "/admin/v1/reconciliations", Verb::Post(body)).await;
    (status, serde_json::from_str(&text).unwrap())
}

async fn load(day: &Day, path: &str) -> String {
    let (status, text) = call(day, path, Verb::Get).await;
    assert_eq!(status, 200, "{text}");
    text
}

async fn call(day: &Day, path: &str, verb: Verb<'_>) -> (u16, String) {
    let way = Way::Socket(day.world.directory().join("admin.sock"));
    let answer = ask(&way, Ask { path, verb, token: None, deadline: Duration::from_secs(10) }).await.unwrap();
    (answer.status, answer.body)
}
