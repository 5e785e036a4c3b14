//! What the router learns, and from what: the table of signals.
//!
//! Invariants: each call that was counted is told its end exactly once, however its request ends; a refusal speaks of
//! room, a failure of health, our own mistakes and the payer's declines of nothing; a payment counts for its order, and
//! only once. Nothing here decides about money: a step is learnt from after it is durable.

use super::Flow;
use super::channels::Moved;
use super::route::state_of;
use crate::metrics::{Cause, ChannelState};
use tongdao_core::attempt::{Attempt, AttemptStatus};
use tongdao_core::charge::Charge;
use tongdao_core::effect::{Event, EventKind};
use tongdao_core::ids::{AttemptId, ChannelId, ChargeId};
use tongdao_core::provider::{ErrorClass, Failure, Outcome};
use tongdao_core::routing::Standing;
use tongdao_core::routing::router::{Cause as Trouble, Input};

/// A create that the router counts as on its way. Dropped without an answer it says nothing about the channel.
pub(crate) struct Sending<'f> {
    flow: &'f Flow,
    channel: ChannelId,
    told: bool,
}

/// How a create went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Went {
    /// How long its call took; none when there was no call.
    pub(crate) latency_ms: Option<i64>,
    /// It was given up for its time.
    pub(crate) timed_out: bool,
}

impl<'f> Sending<'f> {
    pub(super) const fn new(flow: &'f Flow, channel: ChannelId) -> Self {
        Self { flow, channel, told: false }
    }

    /// What came of it.
    pub(crate) fn answered(mut self, order: (ChargeId, AttemptId), outcome: &Outcome, went: Went) {
        self.told = true;
        let (flow, channel, now) = (self.flow, &self.channel, self.flow.clock.now());
        match (outcome, went.latency_ms) {
            (Outcome::Pending { .. } | Outcome::Paid(_), Some(latency_ms)) => {
                flow.moved(flow.channels.accepted(channel, order, Some(latency_ms), now), false);
            }
            (Outcome::Pending { .. } | Outcome::Paid(_), None) => {
                // A code that was made without a call: payers may or may not be able to pay it, the rest is unknown.
                flow.told(channel, |channel| Input::Void { channel });
                flow.moved(flow.channels.accepted(channel, order, None, now), false);
            }
            (Outcome::Closed | Outcome::Absent, _) => flow.told(channel, |channel| Input::Void { channel }),
            (Outcome::Failed(failure) | Outcome::Unknown(failure), _) => {
                flow.told(channel, |channel| failed(channel, failure, went));
                if let Some(said) = worth_noting(failure, went) {
                    flow.channels.failed(channel, said, now);
                }
            }
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.flow.told(&self.channel, |channel| Input::Void { channel });
        }
    }
}

/// The signal of a create that gave no code.
fn failed(channel: usize, failure: &Failure, went: Went) -> Input {
    let latency_ms = went.latency_ms.unwrap_or(0);
    match failure.class {
        ErrorClass::Declined | ErrorClass::Rejected => Input::Void { channel },
        // Our own limit was reached: the provider was not asked.
        ErrorClass::Congested if failure.provider_code == Failure::OUR_LIMIT => Input::Void { channel },
        ErrorClass::Congested => Input::Refused { channel },
        ErrorClass::Misconfigured => Input::Misconfigured { channel },
        ErrorClass::Unavailable | ErrorClass::Unknown if went.timed_out => Input::TimedOut { channel, latency_ms },
        ErrorClass::Unavailable | ErrorClass::Unknown => Input::Failed { channel, latency_ms },
    }
}

/// What on-call reads of a failed create; nothing of what is not the channel's.
fn worth_noting(failure: &Failure, went: Went) -> Option<String> {
    let latency_ms = went.latency_ms.unwrap_or(0);
    match failure.class {
        ErrorClass::Declined | ErrorClass::Rejected => None,
        ErrorClass::Congested | ErrorClass::Misconfigured => {
            Some(format!("{}: {}", failure.class.as_str(), failure.provider_code))
        }
        ErrorClass::Unavailable | ErrorClass::Unknown => Some(format!("failed after {latency_ms} ms")),
    }
}

impl Flow {
    /// Tells the router, and everybody else what came of it.
    pub(super) fn told(&self, channel: &ChannelId, input: impl FnOnce(usize) -> Input) {
        self.moved(self.channels.tell(channel, self.clock.now(), input), false);
    }

    /// What a step that is durable shows of its channels.
    pub(super) fn learn(&self, before: Option<&Charge>, after: &Charge, event: &Event) {
        match &event.kind {
            EventKind::Paid { attempt, .. } => {
                let Some(attempt) = after.attempt(*attempt) else { return };
                self.learn_paid(attempt);
                if let Some(payer) = &after.payer.id {
                    self.channels.payer_paid(&after.merchant, payer, &attempt.provider);
                }
            }
            EventKind::PaidAgain { attempt, .. } => {
                if let Some(attempt) = after.attempt(*attempt) {
                    self.learn_paid(attempt);
                }
            }
            EventKind::AttemptPending { attempt } => {
                let doubted = before.and_then(|charge| charge.attempt(*attempt)).map(Attempt::status);
                let found = after.attempt(*attempt).filter(|attempt| attempt.is_payable() && !attempt.end_wanted);
                if let (Some(AttemptStatus::Unknown), Some(found)) = (doubted, found) {
                    // A query found what the create left in doubt. Only a code that somebody was shown can be paid.
                    let order = (after.id, found.id);
                    self.moved(self.channels.accepted(&found.channel, order, None, self.clock.now()), false);
                }
            }
            EventKind::AttemptFailed { attempt, .. } | EventKind::AttemptClosed { attempt } => {
                if let Some(attempt) = after.attempt(*attempt) {
                    self.channels.order_ended(attempt, self.clock.now());
                }
            }
            EventKind::ChargeCreated { .. }
            | EventKind::AmountDiffers { .. }
            | EventKind::NoCode { .. }
            | EventKind::AttemptCreating { .. }
            | EventKind::AttemptUnknown { .. }
            | EventKind::AttemptEnding { .. }
            | EventKind::ChargeEnding { .. }
            | EventKind::ChargeClosed
            | EventKind::WebhookTried { .. }
            | EventKind::DeliveryDue { .. }
            | EventKind::DeliveryAccepted
            | EventKind::Delivered { .. }
            | EventKind::DeliveryFailed { .. }
            | EventKind::DeliveryOverdue
            | EventKind::DeliveryFenced
            | EventKind::RefundOpened { .. }
            | EventKind::RefundAccepted { .. }
            | EventKind::RefundSucceeded { .. }
            | EventKind::RefundFailed { .. }
            | EventKind::BreakOpened { .. }
            | EventKind::BreakResolved { .. } => {}
        }
    }

    fn learn_paid(&self, attempt: &Attempt) {
        self.moved(self.channels.order_paid(attempt, self.clock.now()), false);
    }

    /// Says aloud who went out or came back. `by_time`: nothing happened, time went by.
    pub(super) fn moved(&self, moves: Vec<Moved>, by_time: bool) {
        for Moved { channel, from, to, cause } in moves {
            let why = cause.as_str();
            match (from, to) {
                (_, Standing::Out) if cause == Trouble::Account => {
                    tracing::error!(%channel, why, "a channel is left: somebody must look at our account there");
                }
                (_, Standing::Out) => tracing::warn!(%channel, why, "a channel is left"),
                (Standing::Out, Standing::In) => {
                    tracing::info!(%channel, "a channel is used again: it is not its fault")
                }
                (_, Standing::Returning | Standing::ProbeDue) => {
                    tracing::info!(%channel, why, by_time, "a channel comes back by degrees");
                }
                (_, Standing::In) => tracing::info!(%channel, "a channel is back"),
            }
            let metric = match to {
                Standing::Out => Cause::Health,
                _ if by_time => Cause::Expiry,
                Standing::In if from == Standing::Out => Cause::Health,
                Standing::In | Standing::Returning | Standing::ProbeDue => Cause::Probe,
            };
            self.count_move(&channel, to, metric);
        }
    }

    /// Whatever its health, a channel that was taken out stays out.
    pub(super) fn count_move(&self, channel: &ChannelId, to: Standing, cause: Cause) {
        match self.channel_state(channel) {
            ChannelState::Disabled | ChannelState::Drained => {}
            ChannelState::Open | ChannelState::Probing | ChannelState::Ejected => {
                self.metrics.channel_moved(channel, state_of(to), cause);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Wanted;
    use crate::flow::channels::number_of;
    use crate::testbed::Bed;
    use tongdao_core::money::Money;
    use tongdao_core::provider::{Pay, PayKind, Payer, Scene};
    use tongdao_core::routing::router::{Ask, Offered};

    const WENT: Went = Went { latency_ms: Some(40), timed_out: false };

    #[test]
    fn each_class_of_failure_speaks_of_what_it_shows_and_of_nothing_else() {
        let signal = |class, code: &str, timed_out| {
            failed(3, &Failure::new(class, code, "for the test"), Went { timed_out, ..WENT })
        };
        let (channel, latency_ms) = (3, 40);
        for (class, code, timed_out, wanted) in [
            (ErrorClass::Declined, "USERPAYING", false, Input::Void { channel }),
            (ErrorClass::Rejected, "PARAM_ERROR", false, Input::Void { channel }),
            (ErrorClass::Congested, "FREQUENCY_LIMITED", false, Input::Refused { channel }),
            (ErrorClass::Congested, Failure::OUR_LIMIT, false, Input::Void { channel }),
            (ErrorClass::Unavailable, "SYSTEM_ERROR", false, Input::Failed { channel, latency_ms }),
            (ErrorClass::Unavailable, Failure::NOT_SENT, true, Input::TimedOut { channel, latency_ms }),
            (ErrorClass::Unknown, "no_answer", false, Input::Failed { channel, latency_ms }),
            (ErrorClass::Unknown, "no_answer", true, Input::TimedOut { channel, latency_ms }),
            (ErrorClass::Misconfigured, "NO_AUTH", false, Input::Misconfigured { channel }),
        ] {
            assert_eq!(signal(class, code, timed_out), wanted, "{class:?} {code}");
        }
    }

    fn sent(bed: &Bed) -> Sending<'_> {
        let payer = Payer::default();
        let pin = "a".parse().unwrap();
        let wanted = Wanted {
            amount: Money::cny(1999),
            scene: Scene::Qr,
            payer: &payer,
            merchant: None,
            pin: Some(&pin),
            provider: None,
            tried: &[],
        };
        bed.flow.route(&wanted).1.unwrap()
    }

    fn seen(bed: &Bed) -> Offered {
        let now = bed.flow.clock.now();
        bed.flow.channels.lock().router.explain(&Ask { amount: 1999, open: 1, ..Ask::default() }, 0, now).offers[0]
    }

    fn code(bed: &Bed) -> Outcome {
        let kind = PayKind::QrCode { url: "weixin://x".to_owned() };
        Outcome::Pending { pay: Some(Pay { kind, expires_at: bed.flow.clock.now().plus_s(300) }), closable: true }
    }

    fn order(bed: &Bed) -> (ChargeId, AttemptId) {
        let now = bed.flow.clock.now();
        (ChargeId::new(now, 1), AttemptId::new(now, 2))
    }

    #[tokio::test]
    async fn a_call_counts_from_the_decision_to_its_end_however_its_request_ends() {
        let bed = Bed::start(&[]).await;
        let (one, other) = (sent(&bed), sent(&bed));
        assert_eq!(seen(&bed).in_flight, 2);
        drop(one);
        assert_eq!(seen(&bed).in_flight, 1, "the request was given up");
        let before = seen(&bed).accepts;
        other.answered(order(&bed), &code(&bed), WENT);
        assert_eq!(seen(&bed).in_flight, 0);
        assert!(seen(&bed).accepts > before);
    }

    #[tokio::test]
    async fn a_code_that_was_made_without_a_call_says_nothing_about_calls() {
        let bed = Bed::start(&[]).await;
        let before = seen(&bed);
        sent(&bed).answered(order(&bed), &code(&bed), Went { latency_ms: None, timed_out: false });
        let after = seen(&bed);
        assert_eq!((after.in_flight, after.accepts), (0, before.accepts));
        let made = bed.flow.channels.lock().orders.find(number_of(order(&bed).1));
        assert!(made.is_some(), "whether payers can pay it is looked at all the same");
    }
}
