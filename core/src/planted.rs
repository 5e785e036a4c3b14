//! Defects on purpose, so that the simulation can show that it would find them.
//!
//! Invariant: without the feature `planted` every switch is the constant `false` and leaves nothing in the code; with
//! it, a defect is on only in the thread that chose it. A daemon built with the feature does not start.

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The names say what is wrong; the simulation prints them.
pub enum Defect {
    AmountUnchecked,
    CreditUnclaimed,
    AcknowledgeBeforeCommit,
    AttemptTimerDropped,
    WebhookTimerDropped,
    BelieveAnySignature,
    SurplusForgotten,
    ClosedAttemptReopens,
    RefundNumberAfterDoubt,
    TimeoutIsFailure,
    CloseIsProof,
    DeliverAfterFence,
    LatePaymentIgnored,
    DoubtfulEndIsEnd,
    RefundsUnbounded,
    DoubtForgotten,
    OrderNumberUnclaimed,
    RefundNumberUnclaimed,
    AbsentIsProof,
    AcceptedRefundIsDone,
    BreakForgotten,
    ChargeClosesEarly,
    RefundWithoutFence,
    AnyMerchantsWebhook,
    SecondPrincipal,
    OverlapAgainstPolicy,
    StoreAnswersEarly,
    StoreLosesTimers,
    StoreIgnoresVersions,
    WebhookNumberChanges,
}

impl Defect {
    /// All defects.
    pub const ALL: &'static [Self] = &[
        Self::AmountUnchecked,
        Self::CreditUnclaimed,
        Self::AcknowledgeBeforeCommit,
        Self::AttemptTimerDropped,
        Self::WebhookTimerDropped,
        Self::BelieveAnySignature,
        Self::SurplusForgotten,
        Self::ClosedAttemptReopens,
        Self::RefundNumberAfterDoubt,
        Self::TimeoutIsFailure,
        Self::CloseIsProof,
        Self::DeliverAfterFence,
        Self::LatePaymentIgnored,
        Self::DoubtfulEndIsEnd,
        Self::RefundsUnbounded,
        Self::DoubtForgotten,
        Self::OrderNumberUnclaimed,
        Self::RefundNumberUnclaimed,
        Self::AbsentIsProof,
        Self::AcceptedRefundIsDone,
        Self::BreakForgotten,
        Self::ChargeClosesEarly,
        Self::RefundWithoutFence,
        Self::AnyMerchantsWebhook,
        Self::SecondPrincipal,
        Self::OverlapAgainstPolicy,
        Self::StoreAnswersEarly,
        Self::StoreLosesTimers,
        Self::StoreIgnoresVersions,
        Self::WebhookNumberChanges,
    ];
}

#[cfg(feature = "planted")]
mod chosen {
    use super::Defect;
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    /// Switches a defect on in this thread, or all off.
    pub fn plant(defect: Option<Defect>) {
        CHOSEN.set(defect);
    }

    /// Whether the defect is on.
    #[must_use]
    pub fn planted(defect: Defect) -> bool {
        CHOSEN.get() == Some(defect)
    }
}

#[cfg(feature = "planted")]
pub use chosen::{plant, planted};

/// Whether the defect is on: never.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn planted(_: Defect) -> bool {
    false
}
