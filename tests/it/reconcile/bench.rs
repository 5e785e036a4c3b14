//! A world on the evening of a statement's day, and what its tests do over and over.

use crate::world::{Wishes, World};
use serde_json::{Value, json};
use std::time::Duration;
use tongdao::flow::AskedDay;
use tongdao::ports::{Break, BreakStatus, Clock as _, Reconciliation, ReconciliationStatus};
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::StatementTerms;
use tongdao_sandbox::{Fault, FaultKind, Operation, ProviderName, StatementFault};

/// A channel's day in a world.
pub struct Day {
    pub world: World,
    pub provider: ProviderName,
    pub day: tongdao_core::day::Day,
}

impl Day {
    /// The day that it is now for a provider, with nobody but the test asking for statements.
    pub async fn of(provider: ProviderName) -> Self {
        Self::with(provider, Wishes::default()).await
    }

    /// The day that it is now, and statements that come by themselves.
    pub async fn automatic(provider: ProviderName) -> Self {
        let instead = vec![("automatic = false", "automatic = true".to_owned())];
        Self::with(provider, Wishes { instead, ..Wishes::default() }).await
    }

    /// The day that it is now, on a store that writes nothing to the disk.
    pub async fn in_memory(provider: ProviderName) -> Self {
        let instead = vec![("embedded:@dir@/store", "memory:".to_owned())];
        Self::with(provider, Wishes { instead, ..Wishes::default() }).await
    }

    async fn with(provider: ProviderName, mut wishes: Wishes) -> Self {
        // The sandbox takes 0.6 % everywhere.
        wishes
            .instead
            .extend([("fee_bps = 38", "fee_bps = 60".to_owned()), ("fee_bps = 100", "fee_bps = 60".to_owned())]);
        let world = World::with(wishes).await;
        let day = tongdao_core::day::Day::of(world.clock.now(), turns_ms(provider));
        let one = Self { world, provider, day };
        one.leave_the_edge();
        Self { day: tongdao_core::day::Day::of(one.world.clock.now(), turns_ms(provider)), ..one }
    }

    /// A test that began within the day's last or first half hour would see two days.
    fn leave_the_edge(&self) {
        let into_ms = self.world.clock.now().since_ms(self.day.midnight().plus_ms(turns_ms(self.provider)));
        if !(30 * 60_000..86_400_000 - 90 * 60_000).contains(&into_ms) {
            self.world.advance_s(2 * 3600 + 1800);
        }
    }

    pub fn channel(&self) -> &'static str {
        match self.provider {
            ProviderName::Wechatpay => "wechat-main",
            ProviderName::Alipay => "alipay-main",
            ProviderName::Unionpay => "unionpay-main",
        }
    }

    pub fn account(&self) -> String {
        let accounts = self.world.sandbox.accounts();
        match self.provider {
            ProviderName::Wechatpay => accounts.wechatpay[0].mch_id.clone(),
            ProviderName::Alipay => accounts.alipay[0].app_id.clone(),
            ProviderName::Unionpay => accounts.unionpay[0].mer_id.clone(),
        }
    }

    pub fn channel_id(&self) -> ChannelId {
        self.channel().parse().unwrap()
    }

    pub fn terms(&self) -> StatementTerms {
        let config = self.world.daemon.as_ref().unwrap().flow.config();
        config.channel(&self.channel_id()).unwrap().provider.statement_terms().unwrap()
    }

    /// A charge through the channel.
    pub async fn open(&self) -> Value {
        self.world.open(json!({ "channel": self.channel() })).await
    }

    /// A charge that is paid and delivered.
    pub async fn delivered(&self) -> Value {
        let charge = self.open().await;
        self.world.pay(&charge);
        let id = charge["id"].as_str().unwrap();
        self.world.until(id, "delivered", |charge| charge["delivery"]["status"] == "delivered").await
    }

    /// A charge whose create was refused here, and that is paid at the provider all the same: only the statement
    /// tells. Answers the charge's id and our number at the provider.
    pub async fn lost(&self) -> (String, String) {
        if self.provider == ProviderName::Unionpay {
            return self.lied_about().await;
        }
        self.world.fault(self.provider, Operation::Create, Fault::kind(FaultKind::NoAuth));
        let (_, problem) = self.world.try_open(json!({ "channel": self.channel() })).await;
        self.world.fault(self.provider, Operation::Create, Fault::default());
        let id = problem["charge_id"].as_str().unwrap_or_else(|| panic!("{problem}")).to_owned();
        let charge = self.world.charge(&id).await;
        let number = charge["attempts"][0]["provider_order_no"].as_str().unwrap().to_owned();
        let paid = [tongdao_sandbox::Fill::paid(number.clone(), 1999)];
        self.world.sandbox.fill(self.provider, &self.account(), &self.day.to_string(), &paid).unwrap();
        (id, number)
    }

    /// A charge that is paid while no callback comes and the provider says that it does not know the order, until its
    /// end is proved by that.
    async fn lied_about(&self) -> (String, String) {
        self.world.fault(self.provider, Operation::Callback, Fault { lost_ratio: 1.0, ..Fault::default() });
        self.world.fault(self.provider, Operation::Query, Fault::kind(FaultKind::NotFoundLag));
        let charge = self.open().await;
        self.world.pay(&charge);
        let id = charge["id"].as_str().unwrap().to_owned();
        let closed = self.world.advance_until(&id, 120, "closed", |charge| charge["status"] == "closed").await;
        let number = closed["attempts"][0]["provider_order_no"].as_str().unwrap().to_owned();
        self.world.fault(self.provider, Operation::Query, Fault::default());
        (id, number)
    }

    /// Moves the clock to the hour at which the day's statement is there.
    pub fn next_morning(&self) {
        let ready_at = self.day.midnight().plus_ms(self.terms().ready_ms).plus_ms(11 * 60_000);
        self.world.clock.advance_ms(ready_at.since_ms(self.world.clock.now()).max(0));
    }

    /// Orders a run of the day and waits for its end.
    pub async fn reconcile(&self) -> Reconciliation {
        self.order(self.day).await
    }

    /// Orders a run and does not wait.
    pub async fn ask(&self) -> Reconciliation {
        let flow = &self.world.daemon.as_ref().unwrap().flow;
        let asked = AskedDay { channel: self.channel_id(), day: self.day, actor: "test".to_owned(), file: None };
        flow.ask_reconciliation(asked).await.unwrap()
    }

    /// A day as it stands.
    pub async fn known(&self, day: tongdao_core::day::Day) -> Reconciliation {
        let flow = &self.world.daemon.as_ref().unwrap().flow;
        flow.reconciliation(tongdao::ports::reconciliation_id(&self.channel_id(), day)).await.unwrap()
    }

    /// Another fee in the contract from now on.
    pub fn set_fee_bps(&self, fee_bps: u32) {
        let flow = &self.world.daemon.as_ref().unwrap().flow;
        let text = self.world.config_text().replace("fee_bps = 60", &format!("fee_bps = {fee_bps}"));
        let config = tongdao::config::Config::read("t", &text, &Default::default(), tongdao_providers::REGISTRY);
        flow.set_config(std::sync::Arc::new(config.unwrap_or_else(|faults| panic!("{faults}"))));
    }

    pub async fn order(&self, day: tongdao_core::day::Day) -> Reconciliation {
        let flow = &self.world.daemon.as_ref().unwrap().flow;
        let asked = AskedDay { channel: self.channel_id(), day, actor: "test".to_owned(), file: None };
        let asked = flow.ask_reconciliation(asked).await.unwrap();
        self.ended(&asked).await
    }

    /// Waits for the end of the run that an order began.
    pub async fn ended(&self, asked: &Reconciliation) -> Reconciliation {
        let flow = &self.world.daemon.as_ref().unwrap().flow;
        let mut last = asked.clone();
        for _ in 0..6000 {
            last = flow.reconciliation(asked.id).await.unwrap();
            let waits = last.status == ReconciliationStatus::Queued && last.failure.is_some();
            let ended = matches!(last.status, ReconciliationStatus::Done | ReconciliationStatus::Failed) || waits;
            if ended {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the run never ended: {last:#?}");
    }

    /// Waits until a run ended that nobody ordered.
    pub async fn ended_by_itself(&self) -> Reconciliation {
        self.ended_as(ReconciliationStatus::Done).await
    }

    /// Waits until the day's run ended so.
    pub async fn ended_as(&self, status: ReconciliationStatus) -> Reconciliation {
        let flow = &self.world.daemon.as_ref().unwrap().flow;
        let id = tongdao::ports::reconciliation_id(&self.channel_id(), self.day);
        let mut last = None;
        for _ in 0..1500 {
            last = flow.reconciliation(id).await.ok();
            if let Some(one) = last.clone().filter(|one| one.status == status) {
                return one;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {status:?}: {last:#?}");
    }

    /// What goes wrong in the statements from now on.
    pub fn statement_fault(&self, statement: StatementFault) {
        self.world.fault(self.provider, Operation::Statement, Fault { statement, ..Fault::default() });
    }

    /// Every break, newest first.
    pub async fn breaks(&self) -> Vec<Break> {
        let flow = &self.world.daemon.as_ref().unwrap().flow;
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = flow.store().breaks(before, 200).await.unwrap();
            before = page.last().map(|last| last.id);
            let full = page.len() == 200;
            all.extend(page);
            if !full {
                return all;
            }
        }
    }

    pub async fn open_breaks(&self) -> Vec<Break> {
        self.breaks().await.into_iter().filter(|one| one.status == BreakStatus::Open).collect()
    }

    /// A counter's value.
    pub async fn counted(&self, series: &str) -> u64 {
        let text = crate::attacks::metrics(&self.world).await;
        let line = text.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

pub const fn turns_ms(provider: ProviderName) -> i64 {
    match provider {
        ProviderName::Wechatpay | ProviderName::Alipay => 0,
        ProviderName::Unionpay => -3_600_000,
    }
}
