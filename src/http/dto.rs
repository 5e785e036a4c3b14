//! What the API shows beside charges: refunds, events, pages, batches; and the documents that webhooks carry.
//!
//! Invariant: a webhook's body is the very document that the API answers with.

use super::charge_document::{AttemptErrorDocument, ChargeDocument, moment};
use super::problem::ProblemDocument;
use super::words;
use crate::clock::rfc3339;
use crate::flow::Documents;
use serde::Serialize;
use tongdao_core::charge::Charge;
use tongdao_core::refund::Refund;
use utoipa::ToSchema;

/// Money back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
pub(crate) struct RefundDocument {
    /// `rf_` and a ULID.
    id: String,
    object: &'static str,
    charge: String,
    /// The attempt whose payment goes back.
    attempt: String,
    channel: Option<String>,
    /// The merchant's number; null for refunds that Tongdao makes by itself.
    refund_no: Option<String>,
    /// Our number at the provider.
    provider_refund_no: String,
    /// Minor units.
    amount: i64,
    currency: String,
    reason: String,
    #[schema(value_type = words::RefundStatus)]
    status: &'static str,
    /// The last trouble.
    error: Option<AttemptErrorDocument>,
    created_at: String,
    ended_at: Option<String>,
}

impl RefundDocument {
    pub(crate) fn of(charge: &Charge, refund: &Refund) -> Self {
        Self {
            id: refund.id.to_string(),
            object: "refund",
            charge: charge.id.to_string(),
            attempt: refund.attempt.to_string(),
            channel: charge.attempt(refund.attempt).map(|attempt| attempt.channel.to_string()),
            refund_no: refund.refund_no.clone(),
            provider_refund_no: refund.provider_refund_no.clone(),
            amount: refund.amount,
            currency: charge.amount.currency.to_string(),
            reason: refund.reason.clone(),
            status: refund.status().as_str(),
            error: refund.error.as_ref().map(AttemptErrorDocument::of),
            created_at: rfc3339(refund.created_at),
            ended_at: moment(refund.ended_at),
        }
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    /// Where the next page begins; null at the end.
    pub(crate) next_cursor: Option<String>,
}

/// What came of each charge of a batch, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchDocument {
    pub(crate) data: Vec<BatchOutcome>,
}

/// What came of one charge of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BatchOutcome {
    /// It was accepted, now or before.
    Charge(Box<ChargeDocument>),
    /// It was not.
    Problem(Box<ProblemDocument>),
}

/// The API's documents for webhooks.
#[derive(Debug, Clone)]
pub struct ApiDocuments {
    public_url: String,
}

impl ApiDocuments {
    /// Documents that give payers this address, without a slash at the end.
    #[must_use]
    pub const fn new(public_url: String) -> Self {
        Self { public_url }
    }
}

impl Documents for ApiDocuments {
    fn charge(&self, charge: &Charge) -> serde_json::Value {
        value(&ChargeDocument::of(charge, &self.public_url))
    }

    fn refund(&self, charge: &Charge, refund: &Refund) -> serde_json::Value {
        value(&RefundDocument::of(charge, refund))
    }
}

fn value(document: &impl Serialize) -> serde_json::Value {
    // These documents have string keys and finite numbers only.
    serde_json::to_value(document).unwrap_or_default()
}
