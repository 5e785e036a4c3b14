//! The six scenes, in their order, and what each shows.
//!
//! Invariant: every scene breaks something real (a provider's answers, its callbacks, the shop's socket, the daemon
//! itself) and then shows by numbers from outside what became of it. Nothing is asserted here: that is the books' part.

use super::Stage;
use super::cast::{Cast, percent};
use super::narrator::{Tone, table};
use super::payers::{code_of, order, pay, place_order, text, try_again};
use super::scratch::CHANNELS;
use crate::clock::Stopwatch;
use serde_json::{Value, json};
use std::time::Duration;
use tongdao_sandbox::{Fault, FaultKind, FaultScope, FaultSetting, Operation, ProviderName};

/// Without an `Idempotency-Key` a second try sooner than 3 s after the first counts as a client's repeat.
const BEFORE_SECOND_TRY: Duration = Duration::from_millis(3200);
const LOST_SHARE: f64 = 0.1;
const TWICE_PAYERS: u64 = 3;
/// Shares are read over so long.
const SHARE_WINDOW_MS: i64 = 3000;
/// Traffic that has not come back by then is not coming back.
const BACK_MAX_MS: i64 = 17_000;
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Stage {
    /// Plays all of them.
    pub(super) async fn play(&mut self) -> anyhow::Result<()> {
        self.steady().await;
        self.congested().await;
        self.lost_callbacks().await;
        self.shop_closed().await?;
        self.paid_twice().await;
        self.killed().await
    }

    async fn steady(&self) {
        self.scene("1/6", "平稳收款 steady charges", "每秒约 10 笔，三个通道 about 10 a second over three channels");
        self.wait(6).await;
        let tally = self.cast.tally().clone();
        let text = format!("已付 {} paid, 已发货 {} shipped", tally.paid, self.platform.counts().shipped);
        self.say(Tone::Good, &text);
    }

    async fn congested(&self) {
        self.scene(
            "2/6",
            "微信支付拥堵 WeChat Pay is congested",
            "下单一律答“频率超限” every create is refused for 6 s",
        );
        let scope = scope(ProviderName::Wechatpay, Operation::Create);
        let start_ms = self.cast.narrator.elapsed_ms();
        let fault = Fault::kind(FaultKind::Congested);
        self.cast.sandbox.set_fault(FaultSetting { scope: scope.clone(), fault });
        self.wait(6).await;
        self.cast.sandbox.remove_fault(&scope);
        let end_ms = self.cast.narrator.elapsed_ms();
        self.say(Tone::Plain, "拥堵解除 congestion is over; 等流量回来 waiting for the traffic to return");
        let [before, _, _] = percent(self.cast.tally().codes_between(0, start_ms));
        let back_ms = self.until_wechat_has(before / 2, end_ms).await;
        self.wait(2).await;
        let now_ms = self.cast.narrator.elapsed_ms();
        let after_ms = now_ms.saturating_sub(SHARE_WINDOW_MS).max(end_ms);
        let shares = [(0, start_ms), (start_ms, end_ms), (after_ms, now_ms)]
            .map(|(from, to)| percent(self.cast.tally().codes_between(from, to)));
        self.cast.narrator.block(&share_table(shares));
        match back_ms {
            Some(ms) => {
                let seconds = format!("{}.{} s", ms.div_euclid(1000), ms.rem_euclid(1000).div_euclid(100));
                self.say(Tone::Good, &format!("流量自动回到微信 traffic came back by itself within {seconds}"));
            }
            None => self.say(Tone::Bad, "微信没有恢复流量 the traffic did not come back to WeChat"),
        }
    }

    /// How long after `since_ms` WeChat Pay had so many percent of the traffic again, in ms.
    async fn until_wechat_has(&self, share: u64, since_ms: i64) -> Option<i64> {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now_ms = self.cast.narrator.elapsed_ms();
            let took_ms = now_ms.saturating_sub(since_ms);
            let from_ms = now_ms.saturating_sub(SHARE_WINDOW_MS).max(since_ms);
            let [now, _, _] = percent(self.cast.tally().codes_between(from_ms, now_ms));
            // One payer's code is no traffic.
            if now >= share && took_ms > 1000 {
                return Some(took_ms);
            }
            if took_ms > BACK_MAX_MS {
                return None;
            }
        }
    }

    async fn lost_callbacks(&mut self) {
        self.scene(
            "3/6",
            "丢失 10% 的异步通知 10 % of callbacks are lost",
            "不靠通知，主动查单 found by asking instead",
        );
        let fault = Fault { lost_ratio: LOST_SHARE, ..Fault::default() };
        let scopes = CHANNELS.map(|channel| scope(channel.provider, Operation::Callback));
        self.lost_from = self.cast.sandbox.callbacks().len();
        for scope in &scopes {
            self.cast.sandbox.set_fault(FaultSetting { scope: scope.clone(), fault: fault.clone() });
        }
        self.wait(8).await;
        for scope in &scopes {
            self.cast.sandbox.remove_fault(scope);
        }
        self.lost_to = self.cast.sandbox.callbacks().len();
        self.read_confirmations().await;
        let (lost, found) = (self.lost(), self.cast.tally().by_query.total());
        self.say(Tone::Plain, &format!("丢失 {lost} 个通知 lost, 至今查单确认 {found} 笔 confirmed by asking so far"));
    }

    async fn shop_closed(&mut self) -> anyhow::Result<()> {
        self.scene(
            "4/6",
            "商户服务器宕机 the merchant's server is down",
            "webhook 连不上，将重试 refused for 10 s, to be retried",
        );
        self.platform.close().await;
        let before = self.platform.counts().shipped;
        self.wait(10).await;
        let paid = self.cast.tally().paid;
        self.say(Tone::Plain, &format!("已付 {paid} paid, 仍发货 {before} shipped; 商户恢复 the shop opens again"));
        self.platform.open().await?;
        self.read_confirmations().await;
        let (lost, found) = (self.lost(), self.cast.tally().by_query.total());
        let tone = if found >= lost { Tone::Good } else { Tone::Plain };
        self.say(
            tone,
            &format!(
                "第 3 幕丢失的 {lost} 个通知：查单确认 {found} 笔 of the lost callbacks' payments found by asking"
            ),
        );
        self.wait(3).await;
        Ok(())
    }

    async fn paid_twice(&self) {
        self.scene(
            "5/6",
            "付款人换方式重试并付了两次 a payer tries another way and pays both codes",
            "多付的自动退回 the second payment goes back",
        );
        let all = (0..TWICE_PAYERS).map(|n| pay_twice(&self.cast, n));
        let twice = futures_util::future::join_all(all).await;
        let charges: Vec<String> = twice.into_iter().flatten().collect();
        if charges.is_empty() {
            self.say(Tone::Bad, "没有付款人能付两次 no payer came to hold two codes");
            return;
        }
        let took = Stopwatch::start();
        let mut back = 0;
        while back < charges.len() && took.elapsed() < Duration::from_secs(8) {
            tokio::time::sleep(LOOK_EVERY).await;
            back = 0;
            for charge in &charges {
                back = back.saturating_add(usize::from(surplus_is_back(&self.cast, charge).await));
            }
        }
        let (all, ms) = (charges.len(), took.elapsed_ms());
        let tone = if back == all { Tone::Good } else { Tone::Plain };
        self.say(tone, &format!("{all} 人付了两次 paid twice, {back} 笔多付已退 refunded after {ms} ms"));
    }

    async fn killed(&mut self) -> anyhow::Result<()> {
        self.scene(
            "6/6",
            "强杀本系统 kill -9 of the daemon under load",
            "同目录重启，平台用原单号重试 same directory, same order numbers",
        );
        self.read_confirmations().await;
        let before = self.cast.tally().clone();
        let pid = self.daemon.pid();
        self.daemon.kill().await?;
        self.say(Tone::Plain, &format!("pid {pid} 已被杀 is gone; 请求失败 requests fail"));
        self.wait(2).await;
        let ms = self.daemon.start().await?;
        self.say(Tone::Good, &format!("{ms} ms 后恢复 back, pid {}", self.daemon.pid()));
        self.wait(5).await;
        let unanswered = self.cast.tally().unanswered.saturating_sub(before.unanswered);
        self.say(Tone::Good, &format!("{unanswered} 个请求无人应答，已按原单号重试 unanswered requests repeated"));
        Ok(())
    }

    /// Callbacks that were lost in the third scene.
    fn lost(&self) -> u64 {
        let sent = self.cast.sandbox.callbacks();
        let window = sent.iter().take(self.lost_to).skip(self.lost_from);
        let lost = window.filter(|sent| sent.event == "paid" && sent.status.is_none()).count();
        u64::try_from(lost).unwrap_or(u64::MAX)
    }

    fn scene(&self, number: &str, what: &str, how: &str) {
        self.cast.waiting_for(format!("{number} {what}"));
        self.say(Tone::Scene, &format!("{number} {what}"));
        self.say(Tone::Faint, how);
    }

    fn say(&self, tone: Tone, text: &str) {
        self.cast.narrator.say(tone, text);
    }
}

fn scope(provider: ProviderName, operation: Operation) -> FaultScope {
    FaultScope { provider, account: None, operation: Some(operation) }
}

fn share_table(shares: [[u64; 3]; 3]) -> String {
    let [a, b, c] = CHANNELS.map(|channel| channel.name);
    let names = ["之前 before", "拥堵中 during", "之后 after"];
    let rows = names.iter().zip(shares).map(|(name, shares)| {
        let cells = shares.map(|share| format!("{share} %"));
        [vec![(*name).to_owned()], cells.to_vec()].concat()
    });
    table(&["流量 share", a, b, c], rows.collect())
}

/// A payer opens an Alipay code, does not scan it, takes WeChat Pay instead, and then pays both; answers the charge.
async fn pay_twice(cast: &Cast, n: u64) -> Option<String> {
    let payer = json!({ "methods": ["alipay", "wechatpay"], "preferred": "alipay" });
    for turn in 0..4 {
        let number = format!("D{}-twice-{n}-{turn}-{}", cast.seed, cast.narrator.elapsed_ms());
        let charge = place_order(cast, &order(&number, 6600, &payer)).await?;
        let Some((first, _)) = code_of(&charge).filter(|(_, channel)| channel == "alipay-main") else { continue };
        tokio::time::sleep(BEFORE_SECOND_TRY).await;
        let charge = try_again(cast, text(&charge, "id"), &json!({ "provider": "wechatpay" })).await?;
        let Some((second, _)) = code_of(&charge).filter(|(_, channel)| channel == "wechat-main") else { continue };
        // In one breath: the daemon has no time to close the other code.
        if pay(cast, &second) && pay(cast, &first) {
            return Some(text(&charge, "id").to_owned());
        }
    }
    None
}

async fn surplus_is_back(cast: &Cast, charge_id: &str) -> bool {
    let Ok((200, page)) = cast.client.get(&format!("/v1/refunds?charge={charge_id}")).await else { return false };
    let refunds = page.get("data").and_then(Value::as_array);
    refunds.is_some_and(|refunds| refunds.iter().any(|refund| text(refund, "status") == "succeeded"))
}
