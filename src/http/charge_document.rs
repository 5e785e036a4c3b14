//! A charge as the API shows it.
//!
//! Invariants: the document is made from the stored charge and nothing else, so API, webhook and event stream agree; a
//! code is shown only while its attempt can still be paid; times are RFC 3339 in UTC with milliseconds. Core types
//! never leave the process by themselves: a field that is not written here is not public.

use super::problem::{for_payer, for_payer_zh};
use super::words;
use crate::clock::rfc3339;
use serde::Serialize;
use std::collections::BTreeMap;
use tongdao_core::attempt::{Attempt, AttemptStatus};
use tongdao_core::charge::Charge;
use tongdao_core::delivery::Delivery;
use tongdao_core::provider::{Failure, Pay, PayKind, Payer};
use tongdao_core::routing::{Decision, Exclusion, Reason, Seen, Standing};
use tongdao_core::time::UnixMillis;
use utoipa::ToSchema;

/// A merchant's demand for one sum from one payer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Charge)]
pub(crate) struct ChargeDocument {
    /// `ch_` and a ULID.
    id: String,
    object: &'static str,
    /// The merchant's number, unique per merchant for ever.
    merchant_order_no: String,
    /// Minor units: 1999 is 19.99 CNY.
    amount: i64,
    currency: String,
    subject: String,
    #[schema(value_type = words::Scene)]
    scene: &'static str,
    /// What the money did. It never goes back.
    #[schema(value_type = words::ChargeStatus)]
    status: &'static str,
    /// What a payer sees.
    #[schema(value_type = words::Stage)]
    stage: &'static str,
    /// The money came after the charge had closed.
    late: bool,
    created_at: String,
    /// From here on no attempt opens.
    expires_at: String,
    paid_at: Option<String>,
    closed_at: Option<String>,
    /// Minor units that are proved to be back at the payer.
    amount_refunded: i64,
    /// The page to send the payer to.
    cashier_url: String,
    /// The one channel that may be used, if the merchant named one.
    channel: Option<String>,
    /// The newest attempt, or the one whose payment counts.
    attempt: Option<AttemptDocument>,
    /// Oldest first.
    attempts: Vec<AttemptDocument>,
    /// Why no channel gave a code, last time.
    failure: Option<FailureDocument>,
    delivery: DeliveryDocument,
    payer: PayerDocument,
    metadata: BTreeMap<String, String>,
    /// Counts the charge's changes.
    version: u64,
}

/// One try to collect a charge through one channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(crate) struct AttemptDocument {
    /// `at_` and a ULID.
    id: String,
    seq: u32,
    channel: String,
    provider: String,
    /// Our number at the provider.
    provider_order_no: String,
    /// The provider's number of the payment.
    provider_trade_no: Option<String>,
    #[schema(value_type = words::AttemptStatus)]
    status: &'static str,
    #[schema(value_type = words::Scene)]
    scene: &'static str,
    /// What the payer pays with, while it can be paid.
    pay: Option<PayDocument>,
    route: RouteDocument,
    error: Option<AttemptErrorDocument>,
    created_at: String,
    ended_at: Option<String>,
}

/// What the payer pays with; each with the end of this code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Pay)]
pub(crate) enum PayDocument {
    /// Text to be drawn as a QR code.
    QrCode { url: String, expires_at: String },
    /// A page to send the payer's browser to.
    Redirect { url: String, expires_at: String },
    /// A form that the payer's browser must post.
    Form { action: String, fields: BTreeMap<String, String>, expires_at: String },
    /// Parameters for a page inside the wallet.
    Jsapi { params: BTreeMap<String, String>, expires_at: String },
    /// Parameters for the merchant's app.
    App { params: BTreeMap<String, String>, expires_at: String },
}

/// Why this channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Route)]
pub(crate) struct RouteDocument {
    #[schema(value_type = words::ChosenBecause)]
    chosen_because: &'static str,
    /// How the router came to it, among the channels that were left; null when none was.
    #[schema(value_type = Option<words::RouteReason>)]
    reason: Option<&'static str>,
    candidates: Vec<CandidateDocument>,
}

/// A channel as it was seen when the choice was made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Candidate)]
pub(crate) struct CandidateDocument {
    channel: String,
    /// What a try there is worth, as a share of the order's margin: acceptance, conversion, waiting, fee and the payer's
    /// liking in one. 0 when excluded.
    score: f64,
    /// The share of calls that it accepts, 0 to 1.
    health: f64,
    /// The share of its orders that end paid, 0 to 1.
    converts: Option<f64>,
    latency_ms: i64,
    fee_bps: i64,
    /// Whether it is in, out, due for a probe, or coming back by degrees.
    #[schema(value_type = Option<words::Standing>)]
    standing: Option<&'static str>,
    /// Calls that may go to it at once; null when nothing limits it or it was not offered.
    tokens: Option<i64>,
    /// Why it could not be chosen.
    #[schema(value_type = Option<words::Exclusion>)]
    excluded: Option<&'static str>,
}

/// Why an attempt failed or is unknown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AttemptError)]
pub(crate) struct AttemptErrorDocument {
    #[schema(value_type = words::ErrorClass)]
    class: &'static str,
    provider_code: String,
    detail: String,
}

/// Why no channel gave a code.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChargeFailure)]
pub(crate) struct FailureDocument {
    #[schema(value_type = words::ErrorClass)]
    code: &'static str,
    detail: String,
    /// What to tell the payer.
    advice: &'static str,
    /// The same in Chinese.
    message_zh: &'static str,
}

/// What the goods did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryDocument {
    #[schema(value_type = words::DeliveryStatus)]
    status: &'static str,
    overdue: bool,
    tries: u32,
    last_error: Option<String>,
    deadline_at: Option<String>,
    delivered_at: Option<String>,
    /// The merchant's own reference of the goods.
    reference: Option<String>,
}

/// Who pays.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payer)]
pub(crate) struct PayerDocument {
    id: Option<String>,
    client_ip: Option<String>,
    openid: Option<String>,
    /// Providers that this payer can use; empty means all.
    methods: Vec<String>,
    preferred: Option<String>,
}

/// The address of a charge's cashier page.
pub(crate) fn cashier_url(public_url: &str, token: &str) -> String {
    format!("{public_url}/pay/{token}")
}

impl ChargeDocument {
    pub(crate) fn of(charge: &Charge, public_url: &str) -> Self {
        Self {
            id: charge.id.to_string(),
            object: "charge",
            merchant_order_no: charge.merchant_order_no.clone(),
            amount: charge.amount.amount,
            currency: charge.amount.currency.to_string(),
            subject: charge.subject.clone(),
            scene: charge.scene.as_str(),
            status: charge.status().as_str(),
            stage: charge.stage().as_str(),
            late: charge.late,
            created_at: rfc3339(charge.created_at),
            expires_at: rfc3339(charge.expires_at),
            paid_at: moment(charge.paid_at),
            closed_at: moment(charge.closed_at),
            amount_refunded: charge.amount_refunded(),
            cashier_url: cashier_url(public_url, &charge.token),
            channel: charge.pin.as_ref().map(ToString::to_string),
            attempt: charge.current_attempt().map(AttemptDocument::of),
            attempts: charge.attempts.iter().map(AttemptDocument::of).collect(),
            failure: charge.failure.as_ref().map(FailureDocument::of),
            delivery: DeliveryDocument::of(&charge.delivery),
            payer: PayerDocument::of(&charge.payer),
            metadata: charge.metadata.clone(),
            version: charge.version,
        }
    }
}

impl AttemptDocument {
    fn of(attempt: &Attempt) -> Self {
        let payable = attempt.status() == AttemptStatus::Pending;
        Self {
            id: attempt.id.to_string(),
            seq: attempt.seq,
            channel: attempt.channel.to_string(),
            provider: attempt.provider.to_string(),
            provider_order_no: attempt.provider_order_no.clone(),
            provider_trade_no: attempt.provider_trade_no.clone(),
            status: attempt.status().as_str(),
            scene: attempt.scene.as_str(),
            pay: attempt.pay.as_ref().filter(|_| payable).map(PayDocument::of),
            route: RouteDocument::of(&attempt.route),
            error: attempt.error.as_ref().map(AttemptErrorDocument::of),
            created_at: rfc3339(attempt.created_at),
            ended_at: moment(attempt.ended_at),
        }
    }
}

impl PayDocument {
    fn of(pay: &Pay) -> Self {
        let expires_at = rfc3339(pay.expires_at);
        match &pay.kind {
            PayKind::QrCode { url } => Self::QrCode { url: url.clone(), expires_at },
            PayKind::Redirect { url } => Self::Redirect { url: url.clone(), expires_at },
            PayKind::Form { action, fields } => {
                Self::Form { action: action.clone(), fields: fields.clone(), expires_at }
            }
            PayKind::Jsapi { params } => Self::Jsapi { params: params.clone(), expires_at },
            PayKind::App { params } => Self::App { params: params.clone(), expires_at },
        }
    }
}

impl RouteDocument {
    /// A decision with every candidate.
    pub(crate) fn of(route: &Decision) -> Self {
        Self {
            chosen_because: route.chosen_because.as_str(),
            reason: route.reason.map(Reason::as_str),
            candidates: route.candidates.iter().map(CandidateDocument::of).collect(),
        }
    }
}

impl CandidateDocument {
    fn of(seen: &Seen) -> Self {
        Self {
            channel: seen.channel.to_string(),
            score: seen.score,
            health: seen.health,
            converts: seen.converts,
            latency_ms: seen.latency_ms,
            fee_bps: seen.fee_bps,
            standing: seen.standing.map(Standing::as_str),
            tokens: seen.tokens,
            excluded: seen.excluded.map(Exclusion::as_str),
        }
    }
}

impl AttemptErrorDocument {
    pub(crate) fn of(failure: &Failure) -> Self {
        Self {
            class: failure.class.as_str(),
            provider_code: failure.provider_code.clone(),
            detail: failure.detail.clone(),
        }
    }
}

impl FailureDocument {
    fn of(failure: &Failure) -> Self {
        Self {
            code: failure.class.as_str(),
            detail: failure.detail.clone(),
            advice: for_payer(failure.class),
            message_zh: for_payer_zh(failure.class),
        }
    }
}

impl DeliveryDocument {
    fn of(delivery: &Delivery) -> Self {
        Self {
            status: delivery.status().as_str(),
            overdue: delivery.overdue,
            tries: delivery.tries,
            last_error: delivery.last_error.clone(),
            deadline_at: moment(delivery.deadline_at),
            delivered_at: moment(delivery.delivered_at),
            reference: delivery.reference.clone(),
        }
    }
}

impl PayerDocument {
    fn of(payer: &Payer) -> Self {
        Self {
            id: payer.id.clone(),
            client_ip: payer.client_ip.clone(),
            openid: payer.openid.clone(),
            methods: payer.methods.clone(),
            preferred: payer.preferred.clone(),
        }
    }
}

/// A moment that may not have come.
pub(crate) fn moment(at: Option<UnixMillis>) -> Option<String> {
    at.map(rfc3339)
}
