//! One question to a provider, with everything that may go wrong turned into an outcome.
//!
//! Invariant: a call that was certainly not sent is a definite failure; everything else without a readable, verified
//! answer is `Unknown`. What an answer shows of its channel is `feed`'s business.

use super::Flow;
use super::feed::Went;
use crate::clock::Stopwatch;
use crate::config::Channel;
use crate::metrics::CallOutcome;
use crate::ports::{Operation, SendError};
use std::time::Duration;
use tongdao_core::provider::{
    AttemptOrder, ErrorClass, Failure, HttpCall, HttpReply, Next, Outcome, RefundOrder, RefundOutcome, Unsupported,
};

/// An answer may need further calls; more than this is a loop.
const CALLS_MAX: usize = 3;
/// A call that ends so close to its deadline was given up.
const CLOSE_TO: Duration = Duration::from_millis(20);

/// How a question about something is written and its answers are read.
struct Question<'a, T> {
    channel: &'a Channel,
    operation: Operation,
    first: Result<Next<T>, Unsupported>,
    read: &'a (dyn Fn(&HttpReply) -> Next<T> + Send + Sync),
    deadline: Duration,
}

impl Flow {
    /// Makes an order at a provider, and says how that went.
    pub(crate) async fn ask_create(
        &self,
        channel: &Channel,
        order: &AttemptOrder,
        deadline: Duration,
    ) -> (Outcome, Went) {
        let now = self.clock.now();
        let first = channel.provider.create(order, now, self.nonce());
        let called = matches!(first, Ok(Next::Call(_)));
        let read = |reply: &HttpReply| channel.provider.read_create(order, reply, self.clock.now());
        let took = Stopwatch::start();
        let question = Question { channel, operation: Operation::Create, first, read: &read, deadline };
        let outcome = self.question(question, Outcome::Failed, Outcome::Unknown).await;
        let timed_out = called && took.elapsed().saturating_add(CLOSE_TO) >= deadline;
        (outcome, Went { latency_ms: called.then(|| took.elapsed_ms()), timed_out })
    }

    /// Asks a provider about an order.
    pub(crate) async fn ask_query(&self, channel: &Channel, order: &AttemptOrder, deadline: Duration) -> Outcome {
        let first = channel.provider.query(order, self.clock.now(), self.nonce());
        let read = |reply: &HttpReply| channel.provider.read_query(order, reply, self.clock.now());
        let question = Question { channel, operation: Operation::Query, first, read: &read, deadline };
        self.question(question, Outcome::Unknown, Outcome::Unknown).await
    }

    /// Asks a provider to give an unpaid order up.
    pub(crate) async fn ask_close(&self, channel: &Channel, order: &AttemptOrder, deadline: Duration) -> Outcome {
        let first = channel.provider.close(order, self.clock.now(), self.nonce());
        let read = |reply: &HttpReply| channel.provider.read_close(order, reply, self.clock.now());
        let question = Question { channel, operation: Operation::Close, first, read: &read, deadline };
        self.question(question, Outcome::Unknown, Outcome::Unknown).await
    }

    /// Sends a refund.
    pub(crate) async fn ask_refund(&self, channel: &Channel, order: &RefundOrder, deadline: Duration) -> RefundOutcome {
        let first = channel.provider.refund(order, self.clock.now(), self.nonce());
        let read = |reply: &HttpReply| channel.provider.read_refund(order, reply, self.clock.now());
        let question = Question { channel, operation: Operation::Refund, first, read: &read, deadline };
        self.question(question, RefundOutcome::Later, RefundOutcome::Unknown).await
    }

    /// Asks about a refund.
    pub(crate) async fn ask_refund_query(
        &self,
        channel: &Channel,
        order: &RefundOrder,
        deadline: Duration,
    ) -> RefundOutcome {
        let first = channel.provider.refund_query(order, self.clock.now(), self.nonce());
        let read = |reply: &HttpReply| channel.provider.read_refund_query(order, reply, self.clock.now());
        let question = Question { channel, operation: Operation::RefundQuery, first, read: &read, deadline };
        self.question(question, RefundOutcome::Unknown, RefundOutcome::Unknown).await
    }

    async fn question<T: Labelled>(
        &self,
        question: Question<'_, T>,
        not_sent: fn(Failure) -> T,
        unknown: fn(Failure) -> T,
    ) -> T {
        let (answer, sent) = self.exchange(&question, not_sent, unknown).await;
        if sent {
            self.metrics.call_answered(&question.channel.id, question.operation, answer.label());
        }
        answer
    }

    async fn exchange<T>(
        &self,
        question: &Question<'_, T>,
        not_sent: fn(Failure) -> T,
        unknown: fn(Failure) -> T,
    ) -> (T, bool)
    where
        T: Labelled,
    {
        let mut next = match &question.first {
            Ok(Next::Done(answer)) => return (answer.clone(), false),
            Ok(Next::Call(call)) => call.clone(),
            Err(Unsupported(why)) => {
                return (not_sent(Failure::new(ErrorClass::Rejected, "unsupported", *why)), false);
            }
        };
        let took = Stopwatch::start();
        for _ in 0..CALLS_MAX {
            let left = question.deadline.saturating_sub(took.elapsed());
            match self.send(question, next, left).await {
                Ok(reply) => match (question.read)(&reply) {
                    Next::Done(answer) => return (answer, true),
                    Next::Call(call) => next = call,
                },
                Err(SendError::MaybeSent(why)) => {
                    return (unknown(Failure::new(ErrorClass::Unknown, "no_answer", why)), true);
                }
                Err(SendError::NotSent(why)) => {
                    return (not_sent(Failure::new(ErrorClass::Unavailable, Failure::NOT_SENT, why)), true);
                }
                Err(SendError::Limited) => {
                    let why = "our own limit for this channel is reached";
                    return (not_sent(Failure::new(ErrorClass::Congested, Failure::OUR_LIMIT, why)), false);
                }
            }
        }
        (unknown(Failure::new(ErrorClass::Unknown, "no_end", "the answer asks for ever more calls")), true)
    }

    async fn send<T>(
        &self,
        question: &Question<'_, T>,
        call: HttpCall,
        left: Duration,
    ) -> Result<HttpReply, SendError> {
        self.outside.call(&question.channel.id, question.operation, call, left).await
    }
}

/// An answer that the metrics can count.
pub(crate) trait Labelled: Clone {
    /// The word of `tongdao_provider_calls_total`.
    fn label(&self) -> CallOutcome;
}

pub(super) fn label_of(failure: &Failure) -> CallOutcome {
    match failure.class {
        ErrorClass::Declined => CallOutcome::Declined,
        ErrorClass::Congested => CallOutcome::Congested,
        ErrorClass::Unavailable if failure.provider_code == Failure::NOT_SENT => CallOutcome::Transport,
        ErrorClass::Unavailable => CallOutcome::Unavailable,
        ErrorClass::Misconfigured => CallOutcome::Misconfigured,
        ErrorClass::Rejected => CallOutcome::Rejected,
        ErrorClass::Unknown if failure.provider_code == "no_answer" => CallOutcome::Timeout,
        ErrorClass::Unknown if failure.provider_code == "bad_signature" => CallOutcome::BadSignature,
        ErrorClass::Unknown => CallOutcome::Unknown,
    }
}

impl Labelled for Outcome {
    fn label(&self) -> CallOutcome {
        match self {
            Self::Pending { .. } | Self::Paid(_) | Self::Closed | Self::Absent => CallOutcome::Ok,
            Self::Failed(failure) | Self::Unknown(failure) => label_of(failure),
        }
    }
}

impl Labelled for RefundOutcome {
    fn label(&self) -> CallOutcome {
        match self {
            Self::Succeeded { .. } | Self::Pending | Self::Absent => CallOutcome::Ok,
            Self::Stuck(failure)
            | Self::Ended(failure)
            | Self::Later(failure)
            | Self::Refused(failure)
            | Self::Unknown(failure) => label_of(failure),
        }
    }
}
