//! The webhooks of a charge and their ladder.
//!
//! Invariant: each has one id for ever and is tried until it is acknowledged or 72 h have passed. `charge.paid` is a
//! delivery and follows the delivery's own ladder; the others are news, acknowledged by any 2xx.

use super::number::derived_event;
use super::{Change, Refused};
use crate::delivery::Answer;
use crate::effect::{Effect, EffectKey};
use crate::ids::{EventId, RefundId};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// What a webhook tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Topic {
    /// Paid: hand over the goods.
    #[serde(rename = "charge.paid")]
    ChargePaid,
    /// Closed unpaid.
    #[serde(rename = "charge.closed")]
    ChargeClosed,
    /// Paid and not delivered at the deadline.
    #[serde(rename = "charge.delivery_overdue")]
    DeliveryOverdue,
    /// A refund is through.
    #[serde(rename = "refund.succeeded")]
    RefundSucceeded,
    /// A refund will not go through.
    #[serde(rename = "refund.failed")]
    RefundFailed,
}

impl Topic {
    /// The word in the webhook's `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChargePaid => "charge.paid",
            Self::ChargeClosed => "charge.closed",
            Self::DeliveryOverdue => "charge.delivery_overdue",
            Self::RefundSucceeded => "refund.succeeded",
            Self::RefundFailed => "refund.failed",
        }
    }
}

/// News that is still to be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id, the same on every try.
    pub event: EventId,
    /// What it tells.
    pub topic: Topic,
    /// The refund it tells of.
    pub refund: Option<RefundId>,
    /// How often it was tried.
    pub tries: u32,
    /// When it arose.
    pub created_at: UnixMillis,
}

const GAPS_S: [i64; 8] = [1, 5, 15, 30, 60, 60, 300, 900];
const TRIES_END_S: i64 = 72 * 3600;

impl Change {
    pub(super) fn announce(&mut self, topic: Topic) {
        self.announce_of(topic, None);
    }

    pub(super) fn announce_of(&mut self, topic: Topic, refund: Option<RefundId>) {
        let of = refund.map(|id| id.to_string()).unwrap_or_default();
        let event = derived_event(self.now, &[&self.charge.id.to_string(), topic.as_str(), &of]);
        self.charge.webhooks.push(Webhook { event, topic, refund, tries: 0, created_at: self.now });
        self.effects.push(Effect::SendWebhook { event, at: self.now });
    }

    pub(super) fn webhook_tried(&mut self, event: EventId, answer: Answer) -> Result<(), Refused> {
        if self.charge.delivery.event == Some(event) {
            self.note_webhook(event, Topic::ChargePaid, &answer);
            return self.paid_webhook_tried(answer);
        }
        let now = self.now;
        let webhook = self.charge.webhooks.iter_mut().find(|w| w.event == event).ok_or(Refused::NotFound)?;
        webhook.tries = webhook.tries.saturating_add(1);
        let topic = webhook.topic;
        let tried = usize::try_from(webhook.tries.saturating_sub(1)).unwrap_or(usize::MAX);
        let at = now.plus_s(GAPS_S.get(tried).copied().unwrap_or(3600));
        let exhausted = at.since_ms(webhook.created_at) > TRIES_END_S.saturating_mul(1000);
        self.note_webhook(event, topic, &answer);
        let acknowledged = matches!(answer, Answer::Delivered | Answer::Accepted);
        if acknowledged || exhausted {
            self.charge.webhooks.retain(|webhook| webhook.event != event);
            self.effects.push(Effect::Forget(EffectKey::Webhook(event)));
        } else {
            self.effects.push(Effect::SendWebhook { event, at });
        }
        Ok(())
    }
}
