//! What a day's differences want asked, and the looks again that follow: repair without a person.
//!
//! Invariants: a line only causes the question (L1); the provider's verified answer credits, delivers, refunds or
//! settles by the charge's own rules, and the break that named the difference closes as repaired. The questions keep
//! to the channel's limits; one without a definite answer leaves its break open, and the day is looked at again.

use super::Mending;
use crate::config::Channel;
use crate::flow::book::{BookError, settle};
use crate::flow::change::Along;
use crate::flow::prove_end::Word;
use crate::flow::{Flow, FlowError};
use crate::ports::{BreakStatus, StoreError};
use futures_util::{StreamExt as _, stream};
use std::collections::BTreeSet;
use tongdao_core::effect::{BreakKind, Source};
use tongdao_core::ids::{AttemptId, ChargeId, RefundId};
use tongdao_core::provider::{Failure, Outcome};
use tongdao_core::reconcile::Repair;

/// Questions of one day that are under way together.
const AT_ONCE: usize = 8;
/// What one answer brings to light is asked about too, and what that brings.
const ROUNDS_MAX: usize = 3;
/// Waiting for room in the channel's limits: two minutes in all.
const WAITS_MAX: usize = 600;
const WAIT_MS: i64 = 200;
/// Undelivered charges whose webhook goes out again after a day's run.
const REDELIVERED_MAX: usize = 1000;
const BREAKS_AT_ONCE: usize = 200;

impl Flow {
    /// Asks what the differences want asked and looks at the days again, until nothing new comes of it. Answers how
    /// many questions had no definite answer.
    pub(super) async fn mend(&self, channel: &Channel, mut mending: Mending) -> Result<u64, BookError> {
        let mut unanswered = 0_u64;
        let mut asked = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let wanted: Vec<Repair> = mending.repairs.difference(&asked).copied().collect();
            asked.extend(wanted.iter().copied());
            let answers = stream::iter(wanted).map(|repair| self.repair(channel, repair)).buffer_unordered(AT_ONCE);
            let open = answers.filter(|answered| std::future::ready(!*answered)).count().await;
            unanswered = unanswered.saturating_add(u64::try_from(open).unwrap_or(u64::MAX));
            for order in &mending.orders {
                let settled = settle(self.store.as_ref(), order, self.clock.now()).await?;
                mending.repairs.extend(settled.repairs);
            }
            if mending.repairs.is_subset(&asked) {
                break;
            }
        }
        self.look_at_breaks(channel).await?;
        Ok(unanswered)
    }

    /// Whether there was a definite answer.
    async fn repair(&self, channel: &Channel, repair: Repair) -> bool {
        let done = match repair {
            Repair::Nothing => return true,
            Repair::AskAttempt(charge, attempt) => self.ask_because_of_line(channel, charge, attempt).await,
            Repair::AskRefund(charge, refund) => self.ask_refund_because_of_line(channel, charge, refund).await,
        };
        if done == Err(FlowError::NotFound) {
            tracing::error!(channel = %channel.id, ?repair, "a difference names a charge that is not here");
            return true;
        }
        done.unwrap_or_else(|error| {
            tracing::warn!(channel = %channel.id, ?repair, %error, "a difference could not be asked about");
            false
        })
    }

    async fn ask_because_of_line(
        &self,
        channel: &Channel,
        id: ChargeId,
        attempt: AttemptId,
    ) -> Result<bool, FlowError> {
        self.wait_for_room(channel).await;
        let charge = self.charge(id).await?;
        let Some(order) = charge.attempt(attempt).map(|attempt| charge.order_of(attempt)) else { return Ok(true) };
        let outcome = self.ask_query(channel, &order, channel.timeout).await;
        let definite = match &outcome {
            Outcome::Unknown(Failure { provider_code, .. }) | Outcome::Failed(Failure { provider_code, .. })
                if provider_code == Failure::OUR_LIMIT || provider_code == Failure::NOT_SENT =>
            {
                return Ok(false);
            }
            Outcome::Unknown(_) => false,
            Outcome::Paid(_) | Outcome::Pending { .. } | Outcome::Closed | Outcome::Absent | Outcome::Failed(_) => true,
        };
        let word = Word { attempt, outcome, source: Source::Statement };
        self.report_along(id, word, Along::default()).await?;
        Ok(definite)
    }

    async fn ask_refund_because_of_line(
        &self,
        channel: &Channel,
        id: ChargeId,
        refund: RefundId,
    ) -> Result<bool, FlowError> {
        self.wait_for_room(channel).await;
        match self.pursue_refund(id, refund, None).await {
            Ok(_) => Ok(true),
            // It is being asked about right now.
            Err(FlowError::InProgress { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// New charges go first: a question of yesterday's can wait a moment.
    async fn wait_for_room(&self, channel: &Channel) {
        for _ in 0..WAITS_MAX {
            if self.outside.has_room(&channel.id) {
                return;
            }
            self.clock.sleep_until(self.clock.now().plus_ms(WAIT_MS)).await;
        }
    }

    /// What the day opened and closed is counted, and goods that are overdue are announced again: the shop may be well
    /// by now.
    async fn look_at_breaks(&self, channel: &Channel) -> Result<(), StoreError> {
        let (mut before, mut sent) = (None, 0_usize);
        loop {
            let page = self.store.breaks(before, BREAKS_AT_ONCE).await?;
            before = page.last().map(|last| last.id);
            self.board.note_breaks(&page);
            let owed = page.iter().filter(|one| one.status == BreakStatus::Open && one.kind == BreakKind::Undelivered);
            let here = owed.filter(|one| one.channel.as_ref() == Some(&channel.id)).filter_map(|one| one.charge);
            for charge in here.take(REDELIVERED_MAX.saturating_sub(sent)) {
                sent = sent.saturating_add(1);
                if let Err(error) = self.notify(charge).await {
                    tracing::debug!(charge_id = %charge, %error, "an overdue delivery was not announced again");
                }
            }
            if page.len() < BREAKS_AT_ONCE {
                return Ok(());
            }
        }
    }
}
