//! A provider calls back.
//!
//! Invariants: S12 (success is answered only after the effect is durable, repeats included); the path fixes channel
//! and account, and the message must be of that account; a message that is not believed changes nothing and is
//! answered like every other such message. No state of a channel stops its callbacks.

use super::change::{Along, apply_all};
use super::prove_end::Word;
use super::{Flow, FlowError};
use crate::clock::Stopwatch;
use crate::config::Channel;
use crate::metrics::CallbackVerdict;
use crate::ports::{Break, BreakStatus, Owner, Reference};
use tongdao_core::charge::Input;
use tongdao_core::effect::{BreakKind, Source};
use tongdao_core::ids::ChannelId;
use tongdao_core::planted::{Defect, planted};
use tongdao_core::provider::{
    CallbackRequest, HttpReply, Notice, NoticeKind, Outcome, Payment, RefundNotice, RefundOutcome, Rejected, Verdict,
};

/// One minute: a stale callback or an unknown key starts one question of ours a minute, however many come.
const ASK_EVERY_MS: i64 = 60_000;

impl Flow {
    /// Takes a callback; `None` when no such channel is configured.
    pub async fn callback(&self, channel: &ChannelId, request: CallbackRequest) -> Option<HttpReply> {
        let channel = self.channel(channel)?;
        let took = Stopwatch::start();
        let verdict = match channel.provider.read_callback(&request, self.clock.now()) {
            Ok(notice) => self.noticed(&channel, &notice, request.body).await,
            Err(rejected) => {
                self.rejected(&channel, &rejected).await;
                Verdict::Refused
            }
        };
        self.metrics.callback_acknowledged(&channel.id, took.elapsed());
        Some(channel.provider.callback_reply(verdict))
    }

    async fn noticed(&self, channel: &Channel, notice: &Notice, body: Vec<u8>) -> Verdict {
        let taken = match notice.kind() {
            NoticeKind::Payment(payment) => self.payment_noticed(channel, payment, body).await,
            NoticeKind::Refund(refund) => self.refund_noticed(channel, refund, body).await,
            NoticeKind::Nothing { status } => {
                tracing::debug!(channel = %channel.id, %status, "a callback without effect");
                Ok(CallbackVerdict::Accepted)
            }
        };
        match taken {
            Ok(label) => {
                self.metrics.callback(&channel.id, label);
                Verdict::Accepted
            }
            Err(error) => {
                tracing::error!(channel = %channel.id, %error, "a genuine callback could not be stored");
                if planted(Defect::AcknowledgeBeforeCommit) { Verdict::Accepted } else { Verdict::TryLater }
            }
        }
    }

    async fn payment_noticed(
        &self,
        channel: &Channel,
        payment: &Payment,
        body: Vec<u8>,
    ) -> Result<CallbackVerdict, FlowError> {
        let account = channel.provider.account().to_owned();
        let no = payment.provider_order_no.clone();
        let reference = Reference::ProviderOrder(channel.provider_id.clone(), account, no);
        let Some(Owner::Attempt(charge, attempt)) = self.store.find(&reference).await? else {
            self.unknown_order(channel, payment).await?;
            return Ok(CallbackVerdict::UnknownOrder);
        };
        let before = self.charge(charge).await?;
        let word = Word { attempt, outcome: Outcome::Paid(payment.clone()), source: Source::Callback };
        if payment.amount != before.amount {
            let along = Along { note: Some(body), ..Along::default() };
            self.report_along(charge, word, along).await?;
            return Ok(CallbackVerdict::AmountDiffers);
        }
        let known = before.attempt(attempt).and_then(|attempt| attempt.provider_trade_no.as_deref());
        let duplicate = known == Some(payment.provider_trade_no.as_str()) && payment.refunded == 0;
        if duplicate {
            return Ok(CallbackVerdict::Duplicate);
        }
        let along = Along { note: Some(body), ..Along::default() };
        self.report_along(charge, word, along).await?;
        Ok(CallbackVerdict::Accepted)
    }

    pub(super) async fn refund_noticed(
        &self,
        channel: &Channel,
        notice: &RefundNotice,
        body: Vec<u8>,
    ) -> Result<CallbackVerdict, FlowError> {
        let account = channel.provider.account().to_owned();
        let no = notice.provider_refund_no.clone();
        let reference = Reference::ProviderRefund(channel.provider_id.clone(), account, no);
        let Some(Owner::Refund(charge, refund)) = self.store.find(&reference).await? else {
            self.refunded_by_others(channel, notice, body).await?;
            return Ok(CallbackVerdict::UnknownOrder);
        };
        let before = self.charge(charge).await?;
        let provider_refund_no = notice.provider_refund_no.clone();
        let input = Input::RefundNoticed { refund, provider_refund_no, outcome: notice.outcome.clone() };
        // What changes nothing needs no evidence kept.
        let repeated = apply_all(before, std::slice::from_ref(&input), self.clock.now())?.events.is_empty();
        let note = (!repeated).then_some(body);
        self.change(charge, &[input], Along { note, ..Along::default() }).await?;
        Ok(if repeated { CallbackVerdict::Duplicate } else { CallbackVerdict::Accepted })
    }

    /// Money went back under a number that is not ours. If it is a payment of ours, its charge says so: a named break.
    async fn refunded_by_others(
        &self,
        channel: &Channel,
        notice: &RefundNotice,
        body: Vec<u8>,
    ) -> Result<(), FlowError> {
        tracing::warn!(channel = %channel.id, "a callback about a refund that is not ours");
        let moved = matches!(notice.outcome, RefundOutcome::Succeeded { .. } | RefundOutcome::Pending);
        let Some(provider_order_no) = notice.provider_order_no.clone().filter(|_| moved) else { return Ok(()) };
        let account = channel.provider.account().to_owned();
        let reference = Reference::ProviderOrder(channel.provider_id.clone(), account, provider_order_no.clone());
        let Some(Owner::Attempt(id, attempt)) = self.store.find(&reference).await? else { return Ok(()) };
        let charge = self.charge(id).await?;
        let Some(provider_trade_no) = charge.attempt(attempt).and_then(|known| known.provider_trade_no.clone()) else {
            // Whoever gets money back has paid: the provider knows more.
            self.look(&charge, attempt).await?;
            return Ok(());
        };
        // Some messages name no sum: one fen at least.
        let stated = notice.amount.map_or(1, |amount| amount.amount);
        let refunded = charge.refunds_ordered(&provider_trade_no).saturating_add(stated);
        let amount = charge.amount;
        let payment =
            Payment { provider_order_no, provider_trade_no, amount, paid_at: None, settled_on: None, refunded };
        let word = Word { attempt, outcome: Outcome::Paid(payment), source: Source::Callback };
        self.report_along(id, word, Along { note: Some(body), ..Along::default() }).await?;
        Ok(())
    }

    /// Money for a number that nobody here knows: a named break, once a payment.
    async fn unknown_order(&self, channel: &Channel, payment: &Payment) -> Result<(), FlowError> {
        // The break's id sorts by the provider's own time, so that a repeat makes the same one.
        let at = payment.paid_at.unwrap_or_default();
        let of = (&channel.provider_id, channel.provider.account());
        let breach = Break {
            id: super::batch::unknown_order_break_id(of, &payment.provider_trade_no, at),
            kind: BreakKind::MissingHere,
            status: BreakStatus::Open,
            channel: Some(channel.id.clone()),
            charge: None,
            attempt: None,
            merchant_order_no: None,
            provider_order_no: Some(payment.provider_order_no.clone()),
            provider_trade_no: Some(payment.provider_trade_no.clone()),
            amount: payment.amount,
            opened_at: self.clock.now(),
            resolved_at: None,
            resolution: None,
            actor: None,
            evidence: "a verified callback for an order number that is not ours".to_owned(),
        };
        tracing::error!(channel = %channel.id, break_id = %breach.id, "a payment for an unknown order");
        self.open_break_once(breach).await
    }

    /// Stores a break unless it is known already.
    pub(crate) async fn open_break_once(&self, breach: Break) -> Result<(), FlowError> {
        if self.store.find_break(breach.id).await?.is_some() {
            return Ok(());
        }
        let batch = crate::ports::Batch { breaks: vec![breach], ..crate::ports::Batch::default() };
        self.commit_breaks(batch).await
    }

    async fn rejected(&self, channel: &Channel, rejected: &Rejected) {
        let label = match rejected {
            Rejected::BadSignature => CallbackVerdict::BadSignature,
            Rejected::Stale { .. } => CallbackVerdict::Stale,
            Rejected::UnknownKey => CallbackVerdict::UnknownKey,
            Rejected::Foreign => CallbackVerdict::Foreign,
            Rejected::Malformed => CallbackVerdict::Malformed,
        };
        self.metrics.callback(&channel.id, label);
        tracing::warn!(channel = %channel.id, reason = label.as_str(), "a callback was refused");
        match rejected {
            Rejected::Stale { provider_order_no: Some(no) } => self.ask_because_stale(channel, no).await,
            Rejected::UnknownKey => {
                let name = format!("keys {}", channel.id);
                if self.busy.may_ask(&name, ASK_EVERY_MS, self.clock.now()) {
                    self.refresh_keys(channel, true).await;
                }
            }
            Rejected::Stale { provider_order_no: None }
            | Rejected::BadSignature
            | Rejected::Foreign
            | Rejected::Malformed => {}
        }
    }

    async fn ask_because_stale(&self, channel: &Channel, no: &str) {
        let account = channel.provider.account().to_owned();
        let reference = Reference::ProviderOrder(channel.provider_id.clone(), account, no.to_owned());
        let found = self.store.find(&reference).await;
        let Ok(Some(Owner::Attempt(id, attempt))) = found else { return };
        if !self.busy.may_ask(&format!("stale {id}"), ASK_EVERY_MS, self.clock.now()) {
            return;
        }
        let Ok(charge) = self.charge(id).await else { return };
        if let Err(error) = self.look(&charge, attempt).await {
            tracing::warn!(charge_id = %id, %error, "could not ask about a stale callback's order");
        }
    }
}
