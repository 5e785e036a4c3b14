//! What can happen to a charge, and why it may not be taken.
//!
//! Invariant: these are all the ways in; whoever wants a charge changed says so in one of these words. Nothing here
//! judges or changes anything.

use crate::attempt::NewAttempt;
use crate::delivery::{Answer, Report};
use crate::effect::{BreakKind, Source};
use crate::ids::{AttemptId, EventId, RefundId};
use crate::provider::{Failure, Outcome, RefundOutcome, RefundRules};
use crate::refund::NewRefund;
use crate::resolution::Resolution;

/// What can happen to a charge.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A try through a channel begins. `overlap`: an older code's end cannot be proved and policy allows two.
    OpenAttempt {
        /// The new attempt.
        new: Box<NewAttempt>,
        /// Whether a second payable attempt is allowed now.
        overlap: bool,
    },
    /// A provider's word on an attempt.
    Reported {
        /// The attempt.
        attempt: AttemptId,
        /// The word.
        outcome: Outcome,
        /// Where it came from.
        source: Source,
    },
    /// End an attempt at its provider.
    EndAttempt(AttemptId),
    /// No channel gave a code.
    NoCode(Failure),
    /// `expires_at` is there.
    Expire,
    /// The merchant wants it closed.
    Close,
    /// A try of a webhook ended.
    WebhookTried {
        /// The webhook.
        event: EventId,
        /// What the answer means.
        answer: Answer,
    },
    /// Send `charge.paid` again now.
    Notify,
    /// The merchant reports on the delivery.
    Delivery(Report),
    /// The delivery's alarm rang. `sending`: a try of `charge.paid` is in flight.
    Deadline {
        /// Whether a try is in flight.
        sending: bool,
    },
    /// The merchant wants money back. `sending`: a try of `charge.paid` is in flight.
    Refund {
        /// The refund.
        new: Box<NewRefund>,
        /// Whether a try is in flight.
        sending: bool,
        /// The provider's rules.
        rules: RefundRules,
    },
    /// A call about a refund is about to be made. Where the provider's rules want it later, only its timer moves.
    RefundCalling {
        /// The refund.
        refund: RefundId,
        /// The provider's rules.
        rules: RefundRules,
    },
    /// A provider's word on a refund, about its present number.
    RefundReported {
        /// The refund.
        refund: RefundId,
        /// The word.
        outcome: RefundOutcome,
    },
    /// A provider's word on a number of a refund, which may be one that was spent: a late callback, or the answer to
    /// a call that another word has overtaken.
    RefundNoticed {
        /// The refund.
        refund: RefundId,
        /// The number that the word is about.
        provider_refund_no: String,
        /// The word.
        outcome: RefundOutcome,
    },
    /// A person decides over a break. `sending`: a try of `charge.paid` is in flight.
    Resolve {
        /// The break's kind.
        kind: BreakKind,
        /// What tells it from others of its kind: the provider's number of the payment, or nothing.
        key: String,
        /// The decision.
        resolution: Resolution,
        /// Whether a try is in flight.
        sending: bool,
    },
}

/// Why an input was not taken; the charge is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// No such attempt, refund or webhook in this charge.
    #[error("not_found")]
    NotFound,
    /// The message is about another order.
    #[error("foreign")]
    Foreign,
    /// Its status does not allow it.
    #[error("invalid_state")]
    InvalidState,
    /// The charge is past its end.
    #[error("expired")]
    Expired,
    /// An earlier code can still be paid.
    #[error("attempt_payable")]
    AttemptPayable,
    /// A payment of another sum must be settled by a person first.
    #[error("disputed")]
    Disputed,
    /// More than what is left of the principal.
    #[error("amount_exceeds_refundable")]
    ExceedsRefundable,
    /// A webhook try is in flight that may deliver: ask again.
    #[error("delivery_in_flight")]
    DeliveryInFlight,
    /// The money is on its way back; nothing is handed over any more.
    #[error("delivery_fenced")]
    DeliveryFenced,
    /// It was delivered, which is final.
    #[error("already_delivered")]
    AlreadyDelivered,
    /// The provider takes no further refund of this payment.
    #[error("too_many_refunds")]
    TooManyRefunds,
    /// The decision does not fit this break, or not any more.
    #[error("unfitting")]
    Unfitting,
}
