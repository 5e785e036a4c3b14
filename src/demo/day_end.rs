//! The day's end: each channel's statement against the daemon's books, with two payments planted that only a statement
//! can tell of.
//!
//! Invariant: nothing is mended from here. What the providers hold is planted in the sandbox; the daemon is asked for
//! a reconciliation the way anybody asks, and what became of it is read from outside.

use super::Stage;
use super::cast::Cast;
use super::narrator::{Tone, table, yuan};
use super::payers::{code_of, order, pay, text};
use super::scratch::{CHANNELS, Channel};
use crate::client::{Ask, Verb, Way, ask};
use crate::clock::{Stopwatch, SystemClock};
use crate::ports::Clock as _;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::time::Duration;
use tongdao_core::day::Day;
use tongdao_sandbox::{Fault, FaultKind, FaultScope, FaultSetting, Fill, Operation, ProviderName};

const LOOK_EVERY: Duration = Duration::from_millis(200);
const DEADLINE: Duration = Duration::from_secs(10);
/// A day of the demo's size takes a moment.
const RUN_MAX: Duration = Duration::from_secs(15);
const PLANTED_FEN: i64 = 8800;

impl Stage {
    /// Plants two differences, reconciles every channel and shows how the day came out.
    pub(super) async fn day_end(&self) -> anyhow::Result<()> {
        let narrator = &self.cast.narrator;
        self.cast.waiting_for("日终对账 the day's end");
        narrator.say(Tone::Scene, "日终对账 the day's end: 逐笔核对三家对账单 every line of three statements");
        self.cast.sandbox.set_statements_ready_at_once(true);
        let planted = self.plant().await?;
        narrator.say(
            Tone::Faint,
            "埋下两笔只有对账单知道的付款 planted: a payment whose callback and order we lost, and a second payment",
        );
        let mut rows = Vec::new();
        for channel in &CHANNELS {
            for day in self.days_of(channel) {
                rows.push(row(channel, &self.reconcile(channel, day).await?));
            }
        }
        let heading = [
            "日终 the day",
            "对账单 theirs",
            "我方 ours",
            "相符 matched",
            "自愈 repaired",
            "差异 breaks",
            "差额 difference",
        ];
        narrator.block(&table(&heading, rows));
        self.say_what_became_of(&planted).await;
        Ok(())
    }

    /// A charge that WeChat Pay refused and was paid there all the same, and one that was also paid elsewhere.
    async fn plant(&self) -> anyhow::Result<[String; 2]> {
        let scope = FaultScope { provider: ProviderName::Wechatpay, account: None, operation: Some(Operation::Create) };
        let fault = Fault::kind(FaultKind::NoAuth);
        self.cast.sandbox.set_fault(FaultSetting { scope: scope.clone(), fault });
        // Whatever the router thinks of it by now, WeChat Pay is asked first.
        let force = json!({
            "action": "force", "target": "wechat-main", "for": "1m", "reason": "a planted difference", "actor": "demo"
        });
        self.admin("/admin/v1/overrides", Verb::Post(&force)).await?;
        let lost = refused(&self.cast, "lost", &json!({ "methods": ["wechatpay"] })).await;
        let payer = json!({ "methods": ["alipay", "wechatpay"], "preferred": "wechatpay" });
        let twice = refused(&self.cast, "again", &payer).await;
        self.cast.sandbox.remove_fault(&scope);
        let (lost, twice) = (lost?, twice?);
        if let Some((code, _)) = code_of(&twice) {
            pay(&self.cast, &code);
        }
        let numbers = [number_at_wechat(&lost)?, number_at_wechat(&twice)?];
        let account = self.cast.sandbox.accounts().wechatpay.first().context("no WeChat Pay account")?.mch_id.clone();
        let today = Day::of(SystemClock::new().now(), 0).to_string();
        let paid = numbers.map(|number| Fill::paid(number, PLANTED_FEN));
        self.cast.sandbox.fill(ProviderName::Wechatpay, &account, &today, &paid)?;
        Ok([text(&lost, "id").to_owned(), text(&twice, "id").to_owned()])
    }

    /// The statement's days that the demo touched: two when it ran over the channel's turn.
    fn days_of(&self, channel: &Channel) -> Vec<Day> {
        let turns_ms = if channel.provider == ProviderName::Unionpay { -3_600_000 } else { 0 };
        let now = SystemClock::new().now();
        let (first, last) = (Day::of(now.plus_ms(-self.cast.narrator.elapsed_ms()), turns_ms), Day::of(now, turns_ms));
        if first == last { vec![last] } else { vec![first, last] }
    }

    /// Asks for a run and waits for its end.
    async fn reconcile(&self, channel: &Channel, day: Day) -> anyhow::Result<Value> {
        let body = json!({ "channel": channel.id, "date": day, "actor": "demo" });
        let mut one = self.admin("/admin/v1/reconciliations", Verb::Post(&body)).await?;
        let took = Stopwatch::start();
        while !matches!(text(&one, "status"), "done" | "failed") {
            anyhow::ensure!(took.elapsed() < RUN_MAX, "{} {day} was not reconciled in time: {one}", channel.id);
            tokio::time::sleep(LOOK_EVERY).await;
            one = self.admin(&format!("/admin/v1/reconciliations/{}", text(&one, "id")), Verb::Get).await?;
        }
        anyhow::ensure!(text(&one, "status") == "done", "{} {day} could not be reconciled: {one}", channel.id);
        Ok(one)
    }

    async fn admin(&self, path: &str, verb: Verb<'_>) -> anyhow::Result<Value> {
        let way = Way::Socket(self.scratch.path("admin.sock"));
        let answer = ask(&way, Ask { path, verb, token: None, deadline: DEADLINE }).await?;
        anyhow::ensure!(answer.status < 400, "{path} answered {}: {}", answer.status, answer.body);
        Ok(serde_json::from_str(&answer.body)?)
    }

    async fn say_what_became_of(&self, planted: &[String; 2]) {
        let [lost, twice] = planted;
        let found = self.cast.client.get(&format!("/v1/charges/{lost}")).await;
        let credited = found.is_ok_and(|(_, charge)| text(&charge, "status") == "paid");
        let refunds = self.cast.client.get(&format!("/v1/refunds?charge={twice}")).await;
        let back = refunds.is_ok_and(|(_, page)| {
            page.get("data").and_then(Value::as_array).is_some_and(|refunds| !refunds.is_empty())
        });
        let outcome = |done: bool| if done { Tone::Good } else { Tone::Bad };
        let narrator = &self.cast.narrator;
        narrator.say(outcome(credited), "漏单已由对账单补入账并发货 the lost payment was credited because of its line");
        narrator
            .say(outcome(back), "重复支付已由对账单发现并退回 the second payment was found by its line and goes back");
    }
}

/// An order whose create WeChat Pay refuses.
async fn refused(cast: &Cast, name: &str, payer: &Value) -> anyhow::Result<Value> {
    let number = format!("D{}-{name}-{}", cast.seed, cast.narrator.elapsed_ms());
    let (_, answer) = cast.client.post("/v1/charges", &order(&number, PLANTED_FEN, payer)).await?;
    let id = [text(&answer, "charge_id"), text(&answer, "id")].into_iter().find(|id| !id.is_empty());
    let (_, charge) = cast.client.get(&format!("/v1/charges/{}", id.unwrap_or_default())).await?;
    Ok(charge)
}

fn number_at_wechat(charge: &Value) -> anyhow::Result<String> {
    let attempts = charge.get("attempts").and_then(Value::as_array).into_iter().flatten();
    let mut at_wechat = attempts.filter(|attempt| text(attempt, "channel") == "wechat-main");
    let attempt = at_wechat.next().with_context(|| format!("WeChat Pay was not asked: {charge}"))?;
    Ok(text(attempt, "provider_order_no").to_owned())
}

fn row(channel: &Channel, one: &Value) -> Vec<String> {
    let number = |name: &str| one.get(name).and_then(Value::as_i64).unwrap_or_default();
    let side = |name: &str| {
        let side = one.get(name).cloned().unwrap_or_default();
        let of = |name: &str| side.get(name).and_then(Value::as_i64).unwrap_or_default();
        format!("{}·{}", of("count"), yuan(of("amount")))
    };
    vec![
        format!("{} {}", channel.name, text(one, "date")),
        side("theirs"),
        side("ours"),
        number("matched").to_string(),
        number("repaired").to_string(),
        number("breaks").to_string(),
        yuan(number("difference")),
    ]
}
