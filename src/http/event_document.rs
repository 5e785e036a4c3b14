//! A step of a charge as the API shows it.
//!
//! Invariant: every kind of event has its own fields here, by name; nothing of the core's own form reaches a client.

use crate::clock::rfc3339;
use crate::ports::StoredEvent;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tongdao_core::effect::EventKind;
use tongdao_core::ids::{ChargeId, EventId};
use tongdao_core::provider::Failure;
use utoipa::ToSchema;

/// One thing that happened to a charge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventDocument {
    /// `evt_` and a ULID.
    id: String,
    object: &'static str,
    charge: String,
    /// Rises within the charge; what `Last-Event-ID` takes.
    pub(crate) seq: u64,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    at: String,
    /// What belongs to this kind of event.
    #[schema(value_type = Object)]
    data: Value,
}

impl EventDocument {
    pub(crate) fn of(charge: ChargeId, stored: &StoredEvent) -> Self {
        Self {
            id: event_id(charge, stored).to_string(),
            object: "event",
            charge: charge.to_string(),
            seq: stored.seq,
            kind: stored.event.kind.as_str(),
            at: rfc3339(stored.event.at),
            data: describe(&stored.event.kind),
        }
    }
}

/// The same event has the same id on every look.
fn event_id(charge: ChargeId, stored: &StoredEvent) -> EventId {
    let digest = Sha256::new().chain_update(charge.to_bytes()).chain_update(stored.seq.to_be_bytes()).finalize();
    let random = digest.iter().take(16).fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    EventId::new(stored.event.at, random)
}

fn describe(kind: &EventKind) -> Value {
    match kind {
        EventKind::ChargeCreated { amount } => json!({ "amount": amount }),
        EventKind::NoCode { failure } => json!({ "error": error(failure) }),
        EventKind::AttemptCreating { attempt, channel, because } => {
            json!({ "attempt": attempt, "channel": channel, "chosen_because": because })
        }
        EventKind::AttemptPending { attempt }
        | EventKind::AttemptClosed { attempt }
        | EventKind::AttemptEnding { attempt } => json!({ "attempt": attempt }),
        EventKind::AttemptFailed { attempt, failure } | EventKind::AttemptUnknown { attempt, failure } => {
            json!({ "attempt": attempt, "error": error(failure) })
        }
        EventKind::Paid { attempt, provider_trade_no, source, late } => {
            json!({ "attempt": attempt, "provider_trade_no": provider_trade_no, "source": source.as_str(), "late": late })
        }
        EventKind::PaidAgain { attempt, provider_trade_no, source } => {
            json!({ "attempt": attempt, "provider_trade_no": provider_trade_no, "source": source.as_str() })
        }
        EventKind::AmountDiffers { attempt, provider_trade_no, stated } => json!({
            "attempt": attempt, "provider_trade_no": provider_trade_no,
            "stated_amount": stated.amount, "stated_currency": stated.currency.as_str(),
        }),
        EventKind::ChargeEnding { asked_by_merchant } => json!({ "asked_by_merchant": asked_by_merchant }),
        EventKind::WebhookTried { event, topic, answer } => {
            json!({ "webhook_id": event, "webhook_type": topic, "answer": answer })
        }
        EventKind::DeliveryDue { deadline_at } => json!({ "deadline_at": rfc3339(*deadline_at) }),
        EventKind::Delivered { reference } => json!({ "reference": reference }),
        EventKind::DeliveryFailed { detail } => json!({ "detail": detail }),
        EventKind::ChargeClosed
        | EventKind::DeliveryAccepted
        | EventKind::DeliveryOverdue
        | EventKind::DeliveryFenced => json!({}),
        EventKind::RefundOpened { refund, amount, reason } => {
            json!({ "refund": refund, "amount": amount, "reason": reason })
        }
        EventKind::RefundAccepted { refund } | EventKind::RefundSucceeded { refund } => json!({ "refund": refund }),
        EventKind::RefundFailed { refund, failure } => json!({ "refund": refund, "error": error(failure) }),
        EventKind::BreakOpened { kind } => json!({ "kind": kind.as_str() }),
        EventKind::BreakResolved { kind, resolution } => {
            json!({ "kind": kind.as_str(), "resolution": resolution.as_str() })
        }
    }
}

fn error(failure: &Failure) -> Value {
    json!({ "class": failure.class.as_str(), "provider_code": failure.provider_code, "detail": failure.detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongdao_core::effect::{Event, Source};
    use tongdao_core::time::UnixMillis;

    #[test]
    fn an_event_has_its_own_words_and_one_id() {
        let charge = ChargeId::new(UnixMillis(1_766_000_000_000), 1);
        let attempt = tongdao_core::ids::AttemptId::new(UnixMillis(1_766_000_000_000), 2);
        let kind = EventKind::Paid { attempt, provider_trade_no: "42".into(), source: Source::Callback, late: false };
        let stored = StoredEvent { seq: 3, event: Event { at: UnixMillis(1_766_000_001_000), kind } };
        let document = serde_json::to_value(EventDocument::of(charge, &stored)).unwrap();
        let again = serde_json::to_value(EventDocument::of(charge, &stored)).unwrap();
        assert_eq!(document, again);
        assert!(document["id"].as_str().unwrap().starts_with("evt_"));
        assert_eq!((&document["type"], &document["seq"]), (&json!("paid"), &json!(3)));
        assert_eq!(document["data"]["source"], "callback");
        assert_eq!(document["at"], "2025-12-17T19:33:21.000Z");
    }
}
