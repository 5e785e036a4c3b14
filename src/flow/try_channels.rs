//! Tries channels for a charge until one gives a code, within one request's budget.
//!
//! Invariants: an attempt is durable before its provider is asked, and the failure of one rides in the batch that
//! opens the next; a code that may exist but was shown to nobody is left behind, ended and watched; at most
//! `max_channels` channels and `budget` in all. A charge is never sent to two channels at once.

use super::change::{Along, Changed, apply_all};
use super::feed::Sending;
use super::route::Wanted;
use super::{Flow, FlowError};
use crate::clock::Stopwatch;
use crate::config::Channel;
use crate::ports::{Claim, StoreError, Urgency};
use std::time::Duration;
use tongdao_core::attempt::NewAttempt;
use tongdao_core::charge::{Charge, Input};
use tongdao_core::effect::{Source, Step};
use tongdao_core::ids::{AttemptId, ChannelId};
use tongdao_core::provider::{ErrorClass, Failure, Outcome, Scene};
use tongdao_core::routing::Decision;

/// What each channel still to try is left with.
const RESERVE: Duration = Duration::from_secs(1);
/// Less than this is not worth a call.
const CALL_MIN: Duration = Duration::from_millis(100);

/// How channels are to be tried.
pub(crate) struct Plan<'a> {
    pub(crate) scene: Scene,
    pub(crate) pin: Option<&'a ChannelId>,
    pub(crate) provider: Option<&'a str>,
    /// Whether a second payable attempt is allowed.
    pub(crate) overlap: bool,
    /// What has been used of the request's budget.
    pub(crate) took: Stopwatch,
}

/// A charge that is read and perhaps not stored yet.
pub(crate) struct Start {
    /// The stored value, or `None` for a new charge.
    pub(crate) before: Option<Charge>,
    /// What is to be committed with the first attempt.
    pub(crate) step: Step<Charge>,
    /// Names to be taken with it.
    pub(crate) claims: Vec<Claim>,
}

impl Flow {
    /// Tries channels; the charge comes back with a code, or `NoChannel`/`ChannelRejected` with the charge.
    pub(crate) async fn try_channels(&self, start: Start, plan: &Plan<'_>) -> Result<Charge, FlowError> {
        let mut tried: Vec<ChannelId> = Vec::new();
        let mut failures: Vec<Failure> = Vec::new();
        let mut first_failed: Option<Stopwatch> = None;
        let Start { before, step, claims } = start;
        let mut pending = Some((before, step, Along { claims, ..Along::default() }));
        let mut charge = None;
        let mut report: Option<(AttemptId, Outcome)> = None;
        loop {
            let now_charge = charge.as_ref().or(pending.as_ref().map(|(_, step, _)| &step.next));
            let Some(picked) = now_charge.and_then(|charge| self.pick(charge, plan, &tried)) else { break };
            let (channel, new, sending) = picked?;
            let id = new.id;
            let open = Input::OpenAttempt { new: Box::new(new), overlap: plan.overlap };
            let changed = self.open_on(&mut pending, charge.as_ref(), report.take(), open).await?;
            let left = self.share_of_budget(&channel, plan, tried.len());
            tried.push(channel.id.clone());
            let Some(attempt) = changed.charge.attempt(id) else { return Err(FlowError::NotFound) };
            let order = changed.charge.order_of(attempt);
            let (outcome, went) = self.ask_create(&channel, &order, left).await;
            sending.answered((changed.charge.id, id), &outcome, went);
            match &outcome {
                Outcome::Failed(failure) | Outcome::Unknown(failure) => {
                    tracing::info!(charge_id = %changed.charge.id, channel = %channel.id, class = failure.class.as_str(),
                        code = %failure.provider_code, "a channel gave no code");
                    failures.push(failure.clone());
                    first_failed.get_or_insert_with(Stopwatch::start);
                    charge = Some(changed.charge);
                    report = Some((id, outcome));
                }
                Outcome::Pending { .. } | Outcome::Paid(_) | Outcome::Closed | Outcome::Absent => {
                    let done = self.report(changed.charge.id, id, outcome, Source::Create).await?;
                    if let Some(since) = first_failed {
                        self.metrics.failed_over(since.elapsed());
                    }
                    return Ok(done);
                }
            }
        }
        self.no_code(pending, charge, report, &failures).await
    }

    /// Chooses the next channel, or none when the budget or the channels are spent.
    fn pick(
        &self,
        charge: &Charge,
        plan: &Plan<'_>,
        tried: &[ChannelId],
    ) -> Option<Result<(Channel, NewAttempt, Sending<'_>), FlowError>> {
        let config = self.config.load();
        let spent = config.routing.budget.saturating_sub(plan.took.elapsed()) < CALL_MIN;
        if tried.len() >= config.routing.max_channels || (spent && !tried.is_empty()) {
            return None;
        }
        let wanted = Wanted {
            amount: charge.amount,
            scene: plan.scene,
            payer: &charge.payer,
            merchant: Some(&charge.merchant),
            pin: plan.pin,
            provider: plan.provider,
            tried,
        };
        let (decision, sending) = self.route(&wanted);
        let channel = self.channel(decision.channel.as_ref()?)?;
        let new = self.new_attempt(charge, &channel, plan.scene, decision);
        Some(Ok((channel, new, sending?)))
    }

    fn new_attempt(&self, charge: &Charge, channel: &Channel, scene: Scene, route: Decision) -> NewAttempt {
        let now = self.clock.now();
        let id = AttemptId::new(now, self.rng.draw());
        NewAttempt {
            id,
            channel: channel.id.clone(),
            provider: channel.provider_id.clone(),
            account: channel.provider.account().to_owned(),
            provider_order_no: id.bare(),
            scene,
            life: channel.provider.code_life(scene, now, charge.expires_at),
            callback_url: format!("{}/callbacks/{}", self.config.load().server.public_url, channel.id),
            first_query_ms: (channel.provider.capabilities().first_query_ms)(scene),
            route,
        }
    }

    /// Commits the attempt, together with what came before it.
    async fn open_on(
        &self,
        pending: &mut Option<(Option<Charge>, Step<Charge>, Along)>,
        charge: Option<&Charge>,
        report: Option<(AttemptId, Outcome)>,
        open: Input,
    ) -> Result<Changed, FlowError> {
        if let Some((before, step, along)) = pending.take() {
            let next = apply_all(step.next, &[open], self.clock.now())?;
            let mut whole = Step { next: next.next, events: step.events, effects: step.effects };
            whole.events.extend(next.events);
            whole.effects.extend(next.effects);
            return match self.commit_step(before.as_ref(), whole, &along, Urgency::Sheddable).await {
                // Somebody else changed it since it was read: the caller looks again.
                Err(FlowError::Store(StoreError::Changed)) => Err(FlowError::InProgress { retry_after_s: 1 }),
                other => other,
            };
        }
        let Some(charge) = charge else { return Err(FlowError::NotFound) };
        let inputs: Vec<Input> = reported(report).chain([open]).collect();
        self.change(charge.id, &inputs, Along::default()).await
    }

    async fn no_code(
        &self,
        pending: Option<(Option<Charge>, Step<Charge>, Along)>,
        charge: Option<Charge>,
        report: Option<(AttemptId, Outcome)>,
        failures: &[Failure],
    ) -> Result<Charge, FlowError> {
        let none = || Failure::new(ErrorClass::Unavailable, "no_channel", "no channel can take this charge now");
        let failure = failures.last().cloned().unwrap_or_else(none);
        let input = Input::NoCode(failure);
        let charge = match (pending, charge) {
            (Some((before, step, along)), _) => {
                let next = apply_all(step.next, &[input], self.clock.now())?;
                let mut whole = Step { next: next.next, events: step.events, effects: step.effects };
                whole.events.extend(next.events);
                self.commit_step(before.as_ref(), whole, &along, Urgency::Sheddable).await?.charge
            }
            (None, Some(charge)) => {
                let inputs: Vec<Input> = reported(report).chain([input]).collect();
                self.change(charge.id, &inputs, Along::default()).await?.charge
            }
            (None, None) => return Err(FlowError::NotFound),
        };
        let definite = |class: ErrorClass| {
            matches!(class, ErrorClass::Declined | ErrorClass::Rejected | ErrorClass::Misconfigured)
        };
        if !failures.is_empty() && failures.iter().all(|failure| definite(failure.class)) {
            return Err(FlowError::ChannelRejected(Box::new(charge)));
        }
        Err(FlowError::NoChannel(Box::new(charge)))
    }

    /// A try waits for the channel's timeout, or what is left less a second for each channel still to try.
    fn share_of_budget(&self, channel: &Channel, plan: &Plan<'_>, tried: usize) -> Duration {
        let routing = self.config.load().routing;
        let left = routing.budget.saturating_sub(plan.took.elapsed());
        let still = if plan.pin.is_some() { 0 } else { routing.max_channels.saturating_sub(tried.saturating_add(1)) };
        let reserve = RESERVE.saturating_mul(u32::try_from(still).unwrap_or(0));
        channel.timeout.min(left.saturating_sub(reserve)).max(CALL_MIN)
    }
}

fn reported(report: Option<(AttemptId, Outcome)>) -> impl Iterator<Item = Input> {
    report.map(|(attempt, outcome)| Input::Reported { attempt, outcome, source: Source::Create }).into_iter()
}
