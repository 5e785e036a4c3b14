//! Webhooks to the merchant, and what its answers and reports mean.
//!
//! Invariants: one try is in flight per webhook; what may have arrived is a doubt, never a "not delivered", and is kept
//! until it is stored; a merchant that is slow holds up nobody else (a cap per merchant). The body is the charge at the time of the try.

use super::busy::sending;
use super::change::Along;
use super::{Flow, FlowError};
use crate::clock::Stopwatch;
use crate::config::Merchant;
use crate::metrics::WebhookResult;
use crate::ports::{StoreError, WebhookAnswer, WebhookCall, WebhookError};
use std::time::Duration;
use tongdao_core::charge::{Charge, Input, Topic};
use tongdao_core::delivery::{Answer, Report};
use tongdao_core::effect::EffectKey;
use tongdao_core::ids::{ChargeId, EventId};
use tongdao_core::planted::{Defect, planted};

const DEADLINE: Duration = Duration::from_secs(10);
/// Tries in flight to one merchant: a slow shop holds up nobody else.
const AT_ONCE_MAX: u32 = 16;
/// An answer that an overloaded store turned away is brought again after this.
const STORE_AGAIN_MS: i64 = 200;

impl Flow {
    /// One try of a webhook.
    pub(crate) async fn send_webhook(
        &self,
        id: ChargeId,
        event: EventId,
        due_before_boot: bool,
    ) -> Result<(), FlowError> {
        let fired = Some(EffectKey::Webhook(event));
        let busy = || FlowError::InProgress { retry_after_s: 1 };
        let _held = self.busy.hold(format!("webhook {event}")).ok_or_else(busy)?;
        let charge = self.charge(id).await?;
        let _place =
            self.busy.hold_one_of(&format!("webhooks of {}", charge.merchant), AT_ONCE_MAX).ok_or_else(busy)?;
        let Some(topic) = topic_of(&charge, event) else {
            self.clear(id, fired).await?;
            return Ok(());
        };
        let sending = (topic == Topic::ChargePaid).then(|| self.busy.hold(sending(id)).ok_or_else(busy));
        let _sending = sending.transpose()?;
        // Whoever fences holds the same name over its commit: read again behind it.
        let charge = self.charge(id).await?;
        let owed = charge.delivery.is_owed() || planted(Defect::DeliverAfterFence);
        if topic == Topic::ChargePaid && !owed {
            self.clear(id, fired).await?;
            return Ok(());
        }
        if due_before_boot && topic == Topic::ChargePaid && !charge.delivery.doubt {
            let why = "the process ended while a try may have been in flight".to_owned();
            self.tried(id, event, Answer::Doubtful(why)).await?;
        }
        let answer = self.post(&charge, event, topic).await;
        self.heard(id, event, answer).await
    }

    /// The merchant reports on the delivery.
    ///
    /// # Errors
    /// `Refused` when nothing is to be delivered, after the fence, or after `delivered`.
    pub async fn report_delivery(&self, id: ChargeId, report: Report) -> Result<Charge, FlowError> {
        let delivered = matches!(report, Report::Delivered(_));
        // A report of failure may send the money back, which no try in flight may cross.
        let quiet = (!delivered).then(|| self.busy.hold(sending(id)));
        if matches!(quiet, Some(None)) {
            return Err(FlowError::InProgress { retry_after_s: 2 });
        }
        let changed = self.change(id, &[Input::Delivery(report)], Along::default()).await?;
        // Judged on what was committed: the fence may have been set while this report was on its way, and a merchant
        // that is answered 200 hands over.
        if delivered && changed.charge.delivery.fenced && !planted(Defect::DeliverAfterFence) {
            return Err(tongdao_core::charge::Refused::DeliveryFenced.into());
        }
        Ok(changed.charge)
    }

    /// Sends `charge.paid` again now; a try that is in flight is joined.
    ///
    /// # Errors
    /// `Refused` when nothing is owed.
    pub async fn notify(&self, id: ChargeId) -> Result<Charge, FlowError> {
        if self.busy.is_held(&sending(id)) {
            return self.charge(id).await;
        }
        Ok(self.change(id, &[Input::Notify], Along::default()).await?.charge)
    }

    /// Keeps an answer until it is stored. Lost, a try that may have delivered would count as never made, and the money
    /// could go back for goods that were handed over.
    async fn heard(&self, id: ChargeId, event: EventId, answer: Answer) -> Result<(), FlowError> {
        loop {
            match self.tried(id, event, answer.clone()).await {
                Err(FlowError::Store(StoreError::Overloaded) | FlowError::InProgress { .. }) => {
                    self.clock.sleep_until(self.clock.now().plus_ms(STORE_AGAIN_MS)).await;
                }
                other => return other,
            }
        }
    }

    async fn tried(&self, id: ChargeId, event: EventId, answer: Answer) -> Result<(), FlowError> {
        let along = Along { fired: Some(EffectKey::Webhook(event)), ..Along::default() };
        self.change(id, &[Input::WebhookTried { event, answer }], along).await?;
        Ok(())
    }

    async fn post(&self, charge: &Charge, event: EventId, topic: Topic) -> Answer {
        let config = self.config.load();
        let of_charge = |merchant: &&Merchant| merchant.id == charge.merchant || planted(Defect::AnyMerchantsWebhook);
        let Some(merchant) = config.merchants.iter().find(of_charge) else {
            return Answer::Refused("the merchant is not configured any more".to_owned());
        };
        let body = self.webhook_body(charge, event, topic);
        let call = WebhookCall {
            url: charge.notify_url.clone(),
            headers: self.webhook_headers(merchant, event, &body),
            body,
            deadline: DEADLINE,
        };
        let took = Stopwatch::start();
        let answer = self.outside.webhook(call).await;
        let (answer, label) = meaning(&answer, topic);
        self.metrics.webhook(label, took.elapsed());
        answer
    }

    fn webhook_headers(&self, merchant: &Merchant, event: EventId, body: &[u8]) -> Vec<(String, String)> {
        let timestamp = self.clock.now().as_secs().to_string();
        let id = if planted(Defect::WebhookNumberChanges) { self.nonce().0 } else { event.to_string() };
        let secrets = merchant.webhook_secrets.iter().map(crate::config::Credential::bytes);
        let signature = super::webhook_body::signatures(secrets, &id, &timestamp, body);
        [
            ("content-type", "application/json; charset=utf-8".to_owned()),
            ("user-agent", concat!("tongdao/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("webhook-id", id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

fn topic_of(charge: &Charge, event: EventId) -> Option<Topic> {
    if charge.delivery.event == Some(event) {
        return Some(Topic::ChargePaid);
    }
    charge.webhooks.iter().find(|webhook| webhook.event == event).map(|webhook| webhook.topic)
}

/// What an answer means, by the table of the API.
fn meaning(answer: &Result<WebhookAnswer, WebhookError>, topic: Topic) -> (Answer, WebhookResult) {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return no_answer(error),
    };
    let success = (200..300).contains(&answer.status);
    if topic != Topic::ChargePaid && success {
        return (Answer::Accepted, WebhookResult::Accepted);
    }
    let said = Said::read(answer);
    match (answer.status, said.status.as_deref()) {
        (_, Some("delivered")) if success => (Answer::Delivered, WebhookResult::Delivered),
        (_, Some("accepted")) if success => (Answer::Accepted, WebhookResult::Accepted),
        (202, _) => (Answer::Accepted, WebhookResult::Accepted),
        (409 | 422, Some("undeliverable")) => {
            (Answer::Undeliverable(said.detail.unwrap_or_default()), WebhookResult::Undeliverable)
        }
        _ if success => (Answer::Doubtful(in_words(answer)), WebhookResult::Http5xx),
        (300..400, _) => (Answer::Refused(in_words(answer)), WebhookResult::Http3xx),
        (400..500, _) => (Answer::Refused(in_words(answer)), WebhookResult::Http4xx),
        _ => (Answer::Refused(in_words(answer)), WebhookResult::Http5xx),
    }
}

fn no_answer(error: &WebhookError) -> (Answer, WebhookResult) {
    let words = error.to_string();
    match error {
        WebhookError::Blocked(_) => (Answer::Refused(words), WebhookResult::Blocked),
        WebhookError::Connect(_) => (Answer::Refused(words), WebhookResult::Connect),
        WebhookError::Tls(_) => (Answer::Refused(words), WebhookResult::Tls),
        WebhookError::Timeout => (Answer::Doubtful(words), WebhookResult::Timeout),
        WebhookError::Broken(_) => (Answer::Doubtful(words), WebhookResult::Connect),
    }
}

/// What a body says: JSON with a status, or the text `success`.
#[derive(Debug, Default, serde::Deserialize)]
struct Said {
    status: Option<String>,
    detail: Option<String>,
}

impl Said {
    fn read(answer: &WebhookAnswer) -> Self {
        if answer.body.trim_ascii() == b"success" {
            return Self { status: Some("delivered".to_owned()), detail: None };
        }
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}

/// The reason of a failed try in words that the merchant's developer can act on.
fn in_words(answer: &WebhookAnswer) -> String {
    let status = answer.status;
    let html = answer.content_type.as_deref().is_some_and(|kind| kind.contains("html"));
    match (&answer.location, html) {
        (Some(location), _) if (300..400).contains(&status) => {
            let location: String = location.chars().filter(|c| !c.is_control()).take(200).collect();
            format!("HTTP {status}: redirected to {location}; redirects are not followed, configure that address")
        }
        (_, true) => format!("HTTP {status} with an HTML page: a login wall, a firewall or an error page answered"),
        _ if (200..300).contains(&status) => {
            format!("HTTP {status}, but the body is neither `success` nor {{\"status\":\"delivered\"}}")
        }
        _ => format!("HTTP {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<WebhookAnswer, WebhookError> {
        Ok(WebhookAnswer { status, content_type: None, location: None, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn answers_to_charge_paid_mean_what_the_api_says() {
        let rows: [(u16, &str, &str); 9] = [
            (200, r#"{"status":"delivered"}"#, "delivered"),
            (200, "success", "delivered"),
            (200, " success\n", "delivered"),
            (202, "", "accepted"),
            (200, r#"{"status":"accepted"}"#, "accepted"),
            (409, r#"{"status":"undeliverable","detail":"sold out"}"#, "undeliverable"),
            (409, "conflict", "http_4xx"),
            (200, "<html>ok</html>", "http_5xx"),
            (503, r#"{"status":"delivered"}"#, "http_5xx"),
        ];
        for (status, body, label) in rows {
            assert_eq!(meaning(&answer(status, body), Topic::ChargePaid).1.as_str(), label, "{status} {body}");
        }
    }

    #[test]
    fn only_a_whole_refusal_or_no_connection_is_certainly_not_delivered() {
        let certain = |answer| matches!(meaning(&answer, Topic::ChargePaid).0, Answer::Refused(_));
        assert!(certain(answer(500, "")) && certain(answer(302, "")) && certain(answer(404, "")));
        assert!(certain(Err(WebhookError::Connect("refused".into()))));
        assert!(!certain(Err(WebhookError::Timeout)) && !certain(Err(WebhookError::Broken("reset".into()))));
        assert!(!certain(answer(200, "ok")));
    }

    #[test]
    fn other_topics_are_acknowledged_by_any_2xx() {
        assert_eq!(meaning(&answer(204, ""), Topic::ChargeClosed).1, WebhookResult::Accepted);
        assert_eq!(meaning(&answer(404, ""), Topic::ChargeClosed).1, WebhookResult::Http4xx);
    }

    #[test]
    fn a_redirect_names_its_target() {
        let redirect = WebhookAnswer {
            status: 301,
            content_type: None,
            location: Some("https://shop.example/notify/".into()),
            body: Vec::new(),
        };
        assert!(in_words(&redirect).contains("https://shop.example/notify/"));
    }
}
