//! The router's pulse, four times a second: its tests run, pauses end, and what it wants to ask is asked.
//!
//! Invariants: a question goes the attempt's own way (a query of its channel, reported like any other), and its answer
//! reaches the router before the report does, so that a payment which we asked for is not taken for one that came by
//! itself. A question without an answer says nothing.

use super::channels::{Order, number_of};
use super::prove_end::Word;
use super::{Flow, FlowError};
use crate::metrics::Cause;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tongdao_core::attempt::AttemptStatus;
use tongdao_core::effect::Source;
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::Outcome;
use tongdao_core::routing::Standing;
use tongdao_core::routing::router::Input;
use tongdao_core::time::UnixMillis;

/// What the last beat saw.
#[derive(Default)]
pub(super) struct Pulse(Mutex<Last>);

#[derive(Default)]
struct Last {
    at: UnixMillis,
    /// The channels that were due for a probe.
    due: BTreeSet<ChannelId>,
    /// Since when everything fails at once.
    all_fail_since: Option<UnixMillis>,
}

/// An order that the router wants to know about.
#[derive(Debug, Clone, Copy)]
pub struct Question(Order);

impl Flow {
    /// Moves the router's time on, and gives back what it wants to ask.
    pub fn pulse(&self) -> Vec<Question> {
        let now = self.clock.now();
        let (moves, asked) = self.channels.tick(now);
        self.moved(moves, true);
        self.note_probes();
        self.note_whose_fault();
        self.pulse.last().at = now;
        asked.into_iter().map(Question).collect()
    }

    /// When the router's time was moved on last.
    #[must_use]
    pub fn pulsed_at(&self) -> UnixMillis {
        self.pulse.last().at
    }

    /// Asks a provider about an order, once.
    ///
    /// # Errors
    /// The store's; the attempt's own timer asks again in any case.
    pub async fn ask_for_router(&self, Question(order): Question) -> Result<(), FlowError> {
        let charge = self.charge(order.charge).await?;
        let Some(attempt) = charge.attempt(order.attempt) else { return Ok(()) };
        let Some(channel) = self.channel(&attempt.channel) else { return Ok(()) };
        let number = number_of(attempt.id);
        let tell = |paid| self.told(&attempt.channel, |channel| Input::Queried { channel, order: number, paid });
        if !attempt.status().is_open() {
            tell(matches!(attempt.status(), AttemptStatus::Succeeded | AttemptStatus::Duplicate));
            return Ok(());
        }
        let outcome = self.ask_query(&channel, &charge.order_of(attempt), channel.timeout).await;
        match &outcome {
            Outcome::Unknown(_) | Outcome::Failed(_) => return Ok(()),
            Outcome::Paid(_) => tell(true),
            Outcome::Pending { .. } | Outcome::Closed | Outcome::Absent => tell(false),
        }
        if !matches!(outcome, Outcome::Pending { .. }) {
            let word = Word { attempt: attempt.id, outcome, source: Source::Query };
            self.report_along(charge.id, word, super::change::Along::default()).await?;
        }
        Ok(())
    }

    /// A pause that ends by time is a move like any other, and so is the probe that ends the waiting.
    fn note_probes(&self) {
        let (config, now) = (self.config.load(), self.clock.now());
        let mut last = self.pulse.last();
        for channel in &config.channels {
            let (id, standing) = (&channel.id, self.channels.standing(&channel.id, now));
            if standing == Standing::ProbeDue && last.due.insert(id.clone()) {
                tracing::debug!(channel = %id, "a channel is due for a probe");
                self.count_move(id, standing, Cause::Expiry);
            } else if standing != Standing::ProbeDue && last.due.remove(id) && standing == Standing::Out {
                tracing::debug!(channel = %id, "a probe is on its way");
                self.count_move(id, standing, Cause::Probe);
            }
        }
    }

    fn note_whose_fault(&self) {
        let now = self.clock.now();
        let mut last = self.pulse.last();
        match (last.all_fail_since, self.channels.is_it_us(now)) {
            (None, true) => {
                last.all_fail_since = Some(now);
                tracing::error!(
                    "all channels fail at once: it is probably us (network, clock, keys); none is taken out for it"
                );
            }
            (Some(_), false) => {
                last.all_fail_since = None;
                tracing::info!("the channels do not all fail any more");
            }
            (None, false) | (Some(_), true) => {}
        }
        self.metrics.all_channels_fail(last.all_fail_since);
    }
}

impl Pulse {
    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
