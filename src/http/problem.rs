//! The only maker of problem documents (RFC 9457).
//!
//! Invariants: every refusal of the API is one of these, with a stable code, what the caller can do next and a
//! sentence for people in China; 429 and 503 always say when to come back; no document carries a secret, a stack or
//! another merchant's existence. The words stand in `catalogue`, headers here, and no arm is a wildcard: a new refusal
//! does not compile until it has its words.

mod advice;
mod catalogue;

#[cfg(test)]
mod tests;

pub(crate) use advice::{for_payer, for_payer_zh};
pub(crate) use catalogue::{Code, Entry};

use crate::flow::{FlowError, OverrideError, ResolveError};
use crate::ports::StoreError;
use crate::request_scope;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tongdao_core::charge::{Charge, Refused};
use tongdao_core::ids::ChargeId;
use tongdao_core::overrides;
use utoipa::ToSchema;

const CONTENT_TYPE: &str = "application/problem+json";

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldFault {
    /// Where: a JSON pointer into the body (`/payer/id`), or `?name` for the query string.
    pub(crate) pointer: String,
    /// What is wrong there.
    pub(crate) detail: String,
}

impl FieldFault {
    pub(crate) fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// How far a caller is over its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverRate {
    /// Calls at once.
    pub(crate) burst: u32,
    /// Seconds until a used-up burst is whole again.
    pub(crate) window_s: u64,
    /// Seconds until the next call is taken.
    pub(crate) retry_after_s: u64,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    MalformedRequest(String),
    Unauthenticated,
    TokenWanted,
    /// In the contract for keys that may not do everything.
    #[allow(dead_code)]
    Forbidden(String),
    NotFound,
    MethodNotAllowed,
    IdempotencyConflict,
    InvalidState(String),
    RequestInProgress {
        retry_after_s: i64,
    },
    WouldLeaveNoChannel(String),
    VersionChanged(String),
    BodyTooLarge {
        bytes_max: usize,
    },
    UnsupportedMediaType(String),
    InvalidRequest(Vec<FieldFault>),
    AmountExceedsRefundable,
    RateLimited(OverRate),
    ChannelRejected(Uncollected),
    NoChannelAvailable(Uncollected),
    StoreUnavailable,
    Overloaded,
}

/// A charge that stays open because no channel gave a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uncollected {
    pub(crate) charge: ChargeId,
    pub(crate) detail: String,
    pub(crate) advice: &'static str,
    pub(crate) advice_zh: &'static str,
}

impl From<&Charge> for Uncollected {
    fn from(charge: &Charge) -> Self {
        let failure = charge.failure.as_ref();
        Self {
            charge: charge.id,
            detail: failure.map(|failure| failure.detail.clone()).unwrap_or_default(),
            advice: failure.map_or("", |failure| for_payer(failure.class)),
            advice_zh: failure.map_or("", |failure| for_payer_zh(failure.class)),
        }
    }
}

/// A refusal as the caller reads it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// A name for the kind of problem; it equals `code`.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in a few words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// This occurrence in a sentence.
    detail: String,
    /// What programs branch on.
    #[schema(value_type = Code)]
    code: &'static str,
    /// The `Request-Id` of the answer.
    request_id: String,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// What can be done next; for a payment failure, what to tell the payer.
    advice: &'static str,
    /// The problem for people, in Chinese.
    message_zh: String,
    /// Everything that is wrong with the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldFault>,
    /// The charge that stays open and can be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    charge_id: Option<ChargeId>,
}

impl Problem {
    /// What programs branch on.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::MalformedRequest(_) => Code::MalformedRequest,
            Self::Unauthenticated | Self::TokenWanted => Code::Unauthenticated,
            Self::Forbidden(_) => Code::Forbidden,
            Self::NotFound => Code::NotFound,
            Self::MethodNotAllowed => Code::MethodNotAllowed,
            Self::IdempotencyConflict => Code::IdempotencyConflict,
            Self::InvalidState(_) => Code::InvalidState,
            Self::RequestInProgress { .. } => Code::RequestInProgress,
            Self::WouldLeaveNoChannel(_) => Code::WouldLeaveNoChannel,
            Self::VersionChanged(_) => Code::VersionChanged,
            Self::BodyTooLarge { .. } => Code::BodyTooLarge,
            Self::UnsupportedMediaType(_) => Code::UnsupportedMediaType,
            Self::InvalidRequest(_) => Code::InvalidRequest,
            Self::AmountExceedsRefundable => Code::AmountExceedsRefundable,
            Self::RateLimited(_) => Code::RateLimited,
            Self::ChannelRejected(_) => Code::ChannelRejected,
            Self::NoChannelAvailable(_) => Code::NoChannelAvailable,
            Self::StoreUnavailable => Code::StoreUnavailable,
            Self::Overloaded => Code::Overloaded,
        }
    }

    /// The document, under the id of the request that it answers.
    pub(crate) fn document(&self, request_id: &str) -> ProblemDocument {
        let code = self.code();
        let entry = code.entry();
        let uncollected = self.uncollected();
        let advice = uncollected.map(|of| of.advice).filter(|advice| !advice.is_empty());
        let advice_zh = uncollected.map(|of| of.advice_zh).filter(|advice| !advice.is_empty());
        let message_zh = match advice_zh {
            Some(advice) => format!("{}。{advice}", entry.message_zh),
            None => entry.message_zh.to_owned(),
        };
        ProblemDocument {
            kind: format!("urn:tongdao:problem:{}", code.as_str()),
            title: entry.title,
            status: entry.status,
            detail: self.detail(&entry),
            code: code.as_str(),
            request_id: request_id.to_owned(),
            retryable: entry.retryable,
            advice: advice.or(self.own_advice()).unwrap_or(entry.advice),
            message_zh,
            errors: self.errors().to_vec(),
            charge_id: uncollected.map(|of| of.charge),
        }
    }

    fn detail(&self, entry: &Entry) -> String {
        match self {
            Self::MalformedRequest(detail)
            | Self::Forbidden(detail)
            | Self::InvalidState(detail)
            | Self::WouldLeaveNoChannel(detail)
            | Self::VersionChanged(detail)
            | Self::UnsupportedMediaType(detail) => detail.clone(),
            Self::ChannelRejected(of) | Self::NoChannelAvailable(of) if !of.detail.is_empty() => of.detail.clone(),
            Self::InvalidRequest(errors) => match errors.as_slice() {
                [one] if one.pointer.is_empty() => format!("The request {}.", one.detail),
                [one] => format!("{} {}.", one.pointer, one.detail),
                many => format!("{} fields are wrong; see errors.", many.len()),
            },
            Self::BodyTooLarge { bytes_max } => format!("The body is larger than {bytes_max} bytes."),
            Self::TokenWanted => "The admin token is wrong or absent.".to_owned(),
            Self::RateLimited(over) => {
                format!("More calls than allowed; the next one is taken in {} s.", over.retry_after_s)
            }
            Self::Unauthenticated
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::IdempotencyConflict
            | Self::RequestInProgress { .. }
            | Self::AmountExceedsRefundable
            | Self::ChannelRejected(_)
            | Self::NoChannelAvailable(_)
            | Self::StoreUnavailable
            | Self::Overloaded => entry.detail.to_owned(),
        }
    }

    /// Where the catalogue's advice would lead astray.
    fn own_advice(&self) -> Option<&'static str> {
        matches!(self, Self::TokenWanted).then_some(
            "Send Authorization: Bearer with the token of [server] admin_token, or use the admin socket on this machine.",
        )
    }

    fn errors(&self) -> &[FieldFault] {
        if let Self::InvalidRequest(errors) = self { errors } else { &[] }
    }

    const fn uncollected(&self) -> Option<&Uncollected> {
        match self {
            Self::ChannelRejected(of) | Self::NoChannelAvailable(of) => Some(of),
            Self::MalformedRequest(_)
            | Self::Unauthenticated
            | Self::TokenWanted
            | Self::Forbidden(_)
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::IdempotencyConflict
            | Self::InvalidState(_)
            | Self::RequestInProgress { .. }
            | Self::WouldLeaveNoChannel(_)
            | Self::VersionChanged(_)
            | Self::BodyTooLarge { .. }
            | Self::UnsupportedMediaType(_)
            | Self::InvalidRequest(_)
            | Self::AmountExceedsRefundable
            | Self::RateLimited(_)
            | Self::StoreUnavailable
            | Self::Overloaded => None,
        }
    }

    /// Headers that belong to this refusal.
    fn headers(&self) -> Vec<(HeaderName, String)> {
        let policy = HeaderName::from_static("ratelimit-policy");
        let limit = HeaderName::from_static("ratelimit");
        match self {
            Self::Unauthenticated => vec![(header::WWW_AUTHENTICATE, "TONGDAO-HMAC-SHA256".to_owned())],
            Self::TokenWanted => vec![(header::WWW_AUTHENTICATE, "Bearer".to_owned())],
            Self::RequestInProgress { retry_after_s } => {
                vec![(header::RETRY_AFTER, retry_after_s.max(&1).to_string())]
            }
            Self::RateLimited(over) => vec![
                (header::RETRY_AFTER, over.retry_after_s.to_string()),
                (policy, format!("\"merchant\";q={};w={}", over.burst, over.window_s)),
                (limit, format!("\"merchant\";r=0;t={}", over.retry_after_s)),
            ],
            Self::NoChannelAvailable(_) | Self::StoreUnavailable => vec![(header::RETRY_AFTER, "5".to_owned())],
            Self::Overloaded => vec![(header::RETRY_AFTER, "1".to_owned())],
            Self::MalformedRequest(_)
            | Self::Forbidden(_)
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::IdempotencyConflict
            | Self::InvalidState(_)
            | Self::WouldLeaveNoChannel(_)
            | Self::VersionChanged(_)
            | Self::BodyTooLarge { .. }
            | Self::UnsupportedMediaType(_)
            | Self::InvalidRequest(_)
            | Self::AmountExceedsRefundable
            | Self::ChannelRejected(_) => Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = self.document(&request_scope::current_id());
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response();
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::NotFound => Self::NotFound,
            FlowError::Refused(refused) => refused.into(),
            FlowError::Conflict => Self::IdempotencyConflict,
            FlowError::InProgress { retry_after_s } => Self::RequestInProgress { retry_after_s },
            FlowError::NoChannel(charge) => Self::NoChannelAvailable(Uncollected::from(charge.as_ref())),
            FlowError::ChannelRejected(charge) => Self::ChannelRejected(Uncollected::from(charge.as_ref())),
            FlowError::Store(error) => error.into(),
        }
    }
}

impl From<overrides::Refused> for Problem {
    fn from(refused: overrides::Refused) -> Self {
        let said = refused.to_string();
        match refused {
            overrides::Refused::NotFound => Self::NotFound,
            overrides::Refused::Changed { .. } => Self::VersionChanged(format!("Nothing was done: {said}.")),
            overrides::Refused::WouldLeaveNoChannel(_) => {
                Self::WouldLeaveNoChannel(format!("Nothing was done: {said}."))
            }
        }
    }
}

impl From<OverrideError> for Problem {
    fn from(error: OverrideError) -> Self {
        match error {
            OverrideError::Refused(refused) => refused.into(),
            OverrideError::Store(error) => error.into(),
        }
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        let said = error.to_string();
        match error {
            ResolveError::Unfitting { .. } | ResolveError::NotOpen(_) => {
                Self::InvalidState(format!("Nothing was done: {said}."))
            }
            ResolveError::Flow(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            // Somebody else was faster with the same thing: what won is there on the next look.
            StoreError::Changed | StoreError::Taken { .. } => Self::RequestInProgress { retry_after_s: 1 },
            StoreError::Overloaded => Self::Overloaded,
            StoreError::Unknown | StoreError::Closed => Self::StoreUnavailable,
            StoreError::Unreadable(why) => {
                tracing::error!(error = %why, "something stored could not be read");
                Self::StoreUnavailable
            }
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let state = |detail: &str| Self::InvalidState(detail.to_owned());
        match refused {
            Refused::NotFound => Self::NotFound,
            Refused::ExceedsRefundable => Self::AmountExceedsRefundable,
            // Its answer is seconds away and decides.
            Refused::DeliveryInFlight => Self::RequestInProgress { retry_after_s: 2 },
            Refused::Foreign => state("This belongs to another order."),
            Refused::InvalidState => state("The charge's status does not allow this."),
            Refused::Expired => state("The charge is past its end: no attempt opens any more. Make a new charge."),
            Refused::AttemptPayable => state("An earlier code can still be paid."),
            Refused::Disputed => state("A payment of another amount is being looked into by a person."),
            Refused::DeliveryFenced => {
                state("The money is on its way back to the payer: do not hand anything over any more.")
            }
            Refused::TooManyRefunds => state("The provider takes no further refund of this payment."),
            Refused::Unfitting => state("The decision does not fit this break, or not any more."),
            Refused::AlreadyDelivered => state("The delivery was reported as delivered, which is final."),
        }
    }
}
