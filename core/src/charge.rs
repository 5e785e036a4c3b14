//! The life of a charge, and with it everything that belongs to one demand for money: its attempts, its delivery,
//! its refunds and its webhooks. One value, changed by one function, stored in one batch.
//!
//! Invariants kept here, whatever the order, repetition or loss of inputs: at most one principal, for ever (S2);
//! nothing is delivered without a payment that was compared to the fen (S3, S4); a status never goes back (S5); at
//! most two attempts are payable, and two only by policy (S7); each payment beside the principal is refunded once,
//! under a number derived from it (S8); a payment counts however late it comes (S20).
//! It knows no store, no provider and no clock.

use crate::attempt::Attempt;
use crate::delivery::{Delivery, DeliveryStatus};
use crate::effect::{BreakDraft, BreakKind, Effect, EffectKey, Event, EventKind, Step};
use crate::ids::{AttemptId, ChannelId, ChargeId, MerchantId, RefundId};
use crate::money::Money;
use crate::planted::{Defect, planted};
use crate::provider::{AttemptOrder, Failure, Outcome, Payer, RefundOrder, Scene};
use crate::refund::{Refund, RefundStatus};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

mod attempts;
mod deliver;
mod input;
mod number;
mod pay;
mod refunds;
mod resolve;
mod webhook;

pub use input::{Input, Refused};
pub use number::derived_number;
pub use resolve::Differing;
pub use webhook::{Topic, Webhook};

/// What the money of a charge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeStatus {
    /// The payer can still be asked.
    Open,
    /// Nothing was paid and nothing can be.
    Closed,
    /// The principal is in.
    Paid,
    /// Some of the principal went back.
    PartiallyRefunded,
    /// All of it did.
    Refunded,
}

impl ChargeStatus {
    /// All statuses.
    pub const ALL: [Self; 5] = [Self::Open, Self::Closed, Self::Paid, Self::PartiallyRefunded, Self::Refunded];

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Paid => "paid",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
        }
    }
}

/// What a payer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// 待支付
    AwaitingPayment,
    /// 权益发放中
    Delivering,
    /// 已完成
    Completed,
    /// 已关闭
    Closed,
    /// 已退款
    Refunded,
    /// 处理中: a person is needed or is at it.
    Attention,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 6] =
        [Self::AwaitingPayment, Self::Delivering, Self::Completed, Self::Closed, Self::Refunded, Self::Attention];

    /// The word used in the API and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingPayment => "awaiting_payment",
            Self::Delivering => "delivering",
            Self::Completed => "completed",
            Self::Closed => "closed",
            Self::Refunded => "refunded",
            Self::Attention => "attention",
        }
    }
}

/// Who has the last word where the rules leave a choice: the merchant's settings when the charge was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// A payment after the close: refund it instead of delivering.
    pub refund_late: bool,
    /// An overdue delivery: refund it instead of trying on.
    pub refund_overdue: bool,
    /// A code whose end cannot be proved in time: wait for its own end instead of opening a second.
    pub wait_for_end: bool,
}

/// What a charge is born with.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCharge {
    /// Its id.
    pub id: ChargeId,
    /// Whose it is.
    pub merchant: MerchantId,
    /// The merchant's number.
    pub merchant_order_no: String,
    /// The exact sum.
    pub amount: Money,
    /// What the payer reads.
    pub subject: String,
    /// Where the payer stands.
    pub scene: Scene,
    /// Who pays.
    pub payer: Payer,
    /// The one channel that may be used, if the merchant names one.
    pub pin: Option<ChannelId>,
    /// Where webhooks go.
    pub notify_url: String,
    /// Where the payer's browser goes afterwards.
    pub return_url: Option<String>,
    /// Handed back untouched.
    pub metadata: BTreeMap<String, String>,
    /// Seconds that it stays open.
    pub expires_in_s: i64,
    /// Seconds from payment until the delivery is overdue.
    pub delivery_deadline_s: i64,
    /// The merchant's choices.
    pub policy: Policy,
    /// The cashier page's token: 128 random bits as text.
    pub token: String,
}

/// A merchant's demand for one sum from one payer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// Its id.
    pub id: ChargeId,
    /// Whose it is.
    pub merchant: MerchantId,
    /// The merchant's number, unique per merchant for ever.
    pub merchant_order_no: String,
    /// The exact sum.
    pub amount: Money,
    /// What the payer reads.
    pub subject: String,
    /// Where the payer stands.
    pub scene: Scene,
    /// Who pays.
    pub payer: Payer,
    /// The one channel that may be used.
    pub pin: Option<ChannelId>,
    /// Where webhooks go.
    pub notify_url: String,
    /// Where the payer's browser goes afterwards.
    pub return_url: Option<String>,
    /// Handed back untouched.
    pub metadata: BTreeMap<String, String>,
    /// The merchant's choices.
    pub policy: Policy,
    /// The cashier page's token.
    pub token: String,
    /// When it was accepted.
    pub created_at: UnixMillis,
    /// From here on no attempt opens.
    pub expires_at: UnixMillis,
    /// When the principal's evidence was committed.
    pub paid_at: Option<UnixMillis>,
    /// When its close was proved.
    pub closed_at: Option<UnixMillis>,
    /// It is being closed: no attempt opens any more.
    pub ending: bool,
    /// The principal came after the close.
    pub late: bool,
    /// Why no channel gave a code, last time.
    pub failure: Option<Failure>,
    /// Oldest first.
    pub attempts: Vec<Attempt>,
    /// The attempt whose payment counts, for ever.
    pub principal: Option<AttemptId>,
    /// What the goods do.
    pub delivery: Delivery,
    /// Oldest first.
    pub refunds: Vec<Refund>,
    /// Webhooks that are still to be acknowledged.
    pub webhooks: Vec<Webhook>,
    /// Breaks opened for this charge and not resolved: a person is needed.
    pub breaks: Vec<(BreakKind, String)>,
    /// Breaks about one payment that were ever opened: one a payment, also after a person resolved it.
    #[serde(default)]
    pub judged: BTreeSet<(BreakKind, String)>,
    /// Payments beside the principal that were seen, by attempt and the provider's number: each goes back once.
    #[serde(default)]
    pub surplus: BTreeSet<(AttemptId, String)>,
    /// The most that the provider stated as given back beyond our refunds, by its number of the payment.
    #[serde(default)]
    pub refunded_outside: BTreeMap<String, i64>,
    /// Payments of another sum that were stated, by the provider's number: a person decides over each.
    #[serde(default)]
    pub differing: BTreeMap<String, Differing>,
    /// The sum of the principal, where a person took one of another sum for it.
    #[serde(default)]
    pub taken: Option<Money>,
    /// Counts its changes.
    pub version: u64,
    status: ChargeStatus,
}

impl Charge {
    /// Accepts a charge.
    #[must_use]
    pub fn open(new: NewCharge, now: UnixMillis) -> Step<Self> {
        let expires_at = now.plus_s(new.expires_in_s);
        let charge = Self {
            id: new.id,
            merchant: new.merchant,
            merchant_order_no: new.merchant_order_no,
            amount: new.amount,
            subject: new.subject,
            scene: new.scene,
            payer: new.payer,
            pin: new.pin,
            notify_url: new.notify_url,
            return_url: new.return_url,
            metadata: new.metadata,
            policy: new.policy,
            token: new.token,
            created_at: now,
            expires_at,
            paid_at: None,
            closed_at: None,
            ending: false,
            late: false,
            failure: None,
            attempts: Vec::new(),
            principal: None,
            delivery: Delivery::new(new.delivery_deadline_s),
            refunds: Vec::new(),
            webhooks: Vec::new(),
            breaks: Vec::new(),
            judged: BTreeSet::new(),
            surplus: BTreeSet::new(),
            refunded_outside: BTreeMap::new(),
            differing: BTreeMap::new(),
            taken: None,
            version: 1,
            status: ChargeStatus::Open,
        };
        let events = vec![Event { at: now, kind: EventKind::ChargeCreated { amount: charge.amount.amount } }];
        Step { next: charge, events, effects: vec![Effect::wake(EffectKey::Expire, expires_at, now)] }
    }

    /// Takes one input. A step without events and effects changed nothing (a repeat).
    ///
    /// # Errors
    /// See `Refused`; the charge is unchanged.
    pub fn apply(self, input: Input, now: UnixMillis) -> Result<Step<Self>, Refused> {
        let before = self.clone();
        let mut change = Change { charge: self, events: Vec::new(), effects: Vec::new(), now };
        change.take(input)?;
        let Change { mut charge, events, effects, .. } = change;
        // The store numbers events by the version that they led to: a step with events always has its own.
        if charge != before || !events.is_empty() {
            charge.version = before.version.saturating_add(1);
        }
        Ok(Step { next: charge, events, effects })
    }

    /// What the money did.
    #[must_use]
    pub const fn status(&self) -> ChargeStatus {
        self.status
    }

    /// What a payer sees.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let stuck = self.refunds.iter().any(|refund| refund.stuck);
        match self.status {
            _ if !self.breaks.is_empty() || stuck => Stage::Attention,
            ChargeStatus::Open => Stage::AwaitingPayment,
            ChargeStatus::Closed => Stage::Closed,
            ChargeStatus::Refunded => Stage::Refunded,
            ChargeStatus::Paid | ChargeStatus::PartiallyRefunded => match self.delivery.status() {
                DeliveryStatus::Delivered => Stage::Completed,
                // A person has closed the matter.
                DeliveryStatus::None | DeliveryStatus::Pending | DeliveryStatus::Accepted | DeliveryStatus::Failed
                    if self.delivery.settled =>
                {
                    Stage::Completed
                }
                DeliveryStatus::Failed if self.delivery.fenced && !self.is_going_back() => Stage::Completed,
                DeliveryStatus::None | DeliveryStatus::Pending | DeliveryStatus::Accepted | DeliveryStatus::Failed => {
                    Stage::Delivering
                }
            },
        }
    }

    /// Minor units of the principal that were proved to be back. One that bounced counts until its successor does.
    #[must_use]
    pub fn amount_refunded(&self) -> i64 {
        let is_through = |refund: &Refund| refund.status() == RefundStatus::Succeeded;
        self.principal_refunds()
            .filter(|refund| is_through(refund))
            .filter(|refund| !refund.replaced_by.and_then(|id| self.refund(id)).is_some_and(is_through))
            .fold(0_i64, |sum, refund| sum.saturating_add(refund.amount))
    }

    /// The sum of the principal: the charge's own, unless a person took another one for it.
    #[must_use]
    pub fn captured(&self) -> Money {
        self.taken.unwrap_or(self.amount)
    }

    /// The sum of a payment of this charge.
    #[must_use]
    pub fn sum_of(&self, provider_trade_no: &str) -> Money {
        let counts = self.principal_trade_no() == Some(provider_trade_no);
        let differing = self.differing.get(provider_trade_no).filter(|one| one.returned);
        if counts { self.captured() } else { differing.map_or(self.amount, |one| one.amount) }
    }

    /// The provider's number of the payment that counts.
    #[must_use]
    pub fn principal_trade_no(&self) -> Option<&str> {
        self.principal.and_then(|id| self.attempt(id)).and_then(|attempt| attempt.provider_trade_no.as_deref())
    }

    /// The attempt of that id.
    #[must_use]
    pub fn attempt(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }

    /// The newest attempt, or the one whose payment counts.
    #[must_use]
    pub fn current_attempt(&self) -> Option<&Attempt> {
        self.principal.and_then(|id| self.attempt(id)).or_else(|| self.attempts.last())
    }

    /// The refund of that id.
    #[must_use]
    pub fn refund(&self, id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// The attempt as its provider sees it.
    #[must_use]
    pub fn order_of(&self, attempt: &Attempt) -> AttemptOrder {
        AttemptOrder {
            provider_order_no: attempt.provider_order_no.clone(),
            amount: self.amount,
            subject: self.subject.clone(),
            scene: attempt.scene,
            payer: self.payer.clone(),
            created_at: attempt.created_at,
            life: attempt.life,
            callback_url: attempt.callback_url.clone(),
            return_url: self.return_url.clone(),
            provider_trade_no: attempt.provider_trade_no.clone(),
        }
    }

    /// The refund as its provider sees it; `None` when its attempt is unknown.
    #[must_use]
    pub fn refund_order_of(&self, refund: &Refund) -> Option<RefundOrder> {
        let attempt = self.attempt(refund.attempt)?;
        let total = self.sum_of(&refund.provider_trade_no);
        Some(RefundOrder {
            provider_refund_no: refund.provider_refund_no.clone(),
            provider_order_no: attempt.provider_order_no.clone(),
            provider_trade_no: Some(refund.provider_trade_no.clone()),
            total,
            amount: Money { amount: refund.amount, currency: total.currency },
            reason: refund.reason.clone(),
            created_at: refund.numbered_at,
            callback_url: attempt.callback_url.clone(),
        })
    }

    /// Paid, never on its way to the payer, and no person has to be waited for (any more).
    fn is_held(&self) -> bool {
        let paid = matches!(self.status, ChargeStatus::Paid | ChargeStatus::PartiallyRefunded);
        let asked = self.breaks.iter().any(|(kind, _)| *kind == BreakKind::RefundDiffers);
        paid && self.delivery.status() == DeliveryStatus::None && !asked
    }

    fn is_going_back(&self) -> bool {
        self.principal_refunds().any(|refund| refund.status() == RefundStatus::Pending)
    }

    fn has_open_attempt(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.status().is_open())
    }

    fn payable_count(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.is_payable()).count()
    }

    /// Whether a payment of another sum waits for a person; until then no attempt opens and nothing expires.
    #[must_use]
    pub fn is_disputed(&self) -> bool {
        self.breaks.iter().any(|(kind, _)| *kind == BreakKind::AmountDiffers)
    }

    fn principal_refunds(&self) -> impl Iterator<Item = &Refund> {
        let trade_no = self.principal_trade_no();
        self.refunds.iter().filter(move |refund| {
            Some(refund.attempt) == self.principal
                && refund.kind != crate::refund::RefundKind::Surplus
                && Some(refund.provider_trade_no.as_str()) == trade_no
        })
    }
}

/// A change in the making: the charge and what the change leaves behind.
struct Change {
    charge: Charge,
    events: Vec<Event>,
    effects: Vec<Effect>,
    now: UnixMillis,
}

impl Change {
    fn take(&mut self, input: Input) -> Result<(), Refused> {
        match input {
            Input::OpenAttempt { new, overlap } => self.open_attempt(*new, overlap),
            Input::Reported { attempt, outcome: Outcome::Paid(payment), source } => self.pay(attempt, payment, source),
            Input::Reported { attempt, outcome, source } => self.report(attempt, outcome, source),
            Input::EndAttempt(attempt) => self.end_attempt(attempt),
            Input::NoCode(failure) => self.no_code(failure),
            Input::Expire => self.expire(),
            Input::Close => self.close(),
            Input::WebhookTried { event, answer } => self.webhook_tried(event, answer),
            Input::Notify => self.notify(),
            Input::Delivery(report) => self.delivery_report(report),
            Input::Deadline { sending } => self.deadline(sending),
            Input::Refund { new, sending, rules } => self.merchant_refund(*new, sending, rules),
            Input::RefundCalling { refund, rules } => self.refund_calling(refund, rules),
            Input::RefundReported { refund, outcome } => self.refund_reported(refund, outcome),
            Input::RefundNoticed { refund, provider_refund_no, outcome } => {
                self.refund_noticed(refund, &provider_refund_no, outcome)
            }
            Input::Resolve { kind, key, resolution, sending } => self.resolve(kind, &key, resolution, sending),
        }
    }

    fn event(&mut self, kind: EventKind) {
        self.events.push(Event { at: self.now, kind });
    }

    fn set_status(&mut self, status: ChargeStatus) {
        assert!(status >= self.charge.status, "a charge's status never goes back");
        self.charge.status = status;
    }

    /// A break over the whole sum of the charge.
    fn draft(&self, kind: BreakKind, attempt: Option<AttemptId>, tx: Option<&str>, evidence: String) -> BreakDraft {
        BreakDraft { kind, attempt, provider_trade_no: tx.map(str::to_owned), amount: self.charge.amount, evidence }
    }

    fn open_break(&mut self, draft: BreakDraft) {
        let key = draft.provider_trade_no.clone().unwrap_or_default();
        let known = self.charge.breaks.iter().any(|(open, of)| *open == draft.kind && *of == key);
        if !known {
            self.charge.breaks.push((draft.kind, key));
            self.event(EventKind::BreakOpened { kind: draft.kind });
            self.effects.push(Effect::OpenBreak(draft));
        }
    }

    /// Once nothing can be paid any more, an ending charge is closed.
    fn close_if_ended(&mut self) {
        let charge = &self.charge;
        if charge.status == ChargeStatus::Open
            && charge.ending
            && (!charge.has_open_attempt() || planted(Defect::ChargeClosesEarly))
            && !charge.is_disputed()
        {
            self.set_status(ChargeStatus::Closed);
            self.charge.closed_at = Some(self.now);
            self.event(EventKind::ChargeClosed);
            self.effects.push(Effect::Forget(EffectKey::Expire));
            self.announce(Topic::ChargeClosed);
        }
    }

    /// The attempts whose end is not proved yet.
    fn open_attempts(&self) -> Vec<AttemptId> {
        self.charge.attempts.iter().filter(|attempt| attempt.status().is_open()).map(|attempt| attempt.id).collect()
    }
}

#[cfg(test)]
mod tests;
