//! The timeline of a charge: one line a step, with the time, how long after the start, the step and what it was.
//!
//! Invariant: every step that the daemon stored is a line, in order; a step of a kind that is not known here is shown
//! with its fields rather than left out.

use crate::cli::documents::{ChargeDoc, EventDoc, FailureDoc};
use crate::cli::out::{Out, Tone};
use crate::cli::{route, show};
use serde_json::Value;

/// The whole timeline.
pub(super) fn timeline(out: &Out, charge: &ChargeDoc, events: &[EventDoc]) -> String {
    let started = events.first().map_or(charge.created_at.as_str(), |event| event.at.as_str());
    let mut lines = vec![out.paint(
        Tone::Strong,
        &format!(
            "{}  {} {}  {} of {}  {}, {} {}",
            charge.id,
            show::yuan(charge.amount),
            charge.currency,
            charge.merchant_order_no,
            charge.merchant,
            charge.status,
            charge.stage,
            show::stage_zh(&charge.stage)
        ),
    )];
    lines.push(out.paint(Tone::Faint, &format!("{}, Beijing time", show::date(started))));
    let started_ms = show::millis_of(started);
    for event in events {
        let elapsed = show::millis_of(&event.at).zip(started_ms).map(|(at, from)| at.saturating_sub(from));
        let elapsed = format!("+{}", show::span(elapsed.unwrap_or_default()));
        let step = format!("{:<18}", event.kind);
        let step = tone(&event.kind).map_or(step.clone(), |tone| out.paint(tone, &step));
        let line = format!("{}  {elapsed:>10}  {step}  {}", show::time_of_day(&event.at), what(charge, event));
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

fn tone(kind: &str) -> Option<Tone> {
    match kind {
        "paid" | "delivered" | "refund_succeeded" => Some(Tone::Good),
        "attempt_failed" | "no_code" | "break_opened" | "amount_differs" | "paid_again" | "delivery_failed" => {
            Some(Tone::Bad)
        }
        "attempt_unknown" | "delivery_overdue" | "refund_failed" => Some(Tone::Warn),
        _ => None,
    }
}

/// The step in words.
fn what(charge: &ChargeDoc, event: &EventDoc) -> String {
    let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| event.data.get(name).and_then(Value::as_i64).unwrap_or_default();
    let flag = |name: &str| event.data.get(name).and_then(Value::as_bool).unwrap_or_default();
    let attempt = || attempt(charge, text("attempt"));
    let failure = || failure(event.data.get("error"));
    match event.kind.as_str() {
        "charge_created" => format!("{} {}, {}", show::yuan(number("amount")), charge.currency, charge.subject),
        "attempt_creating" => format!("{}, because: {}", attempt(), because(charge, event)),
        "attempt_pending" => format!("{} gave a code", attempt()),
        "attempt_failed" => format!("{} refused: {}", attempt(), failure()),
        "attempt_unknown" => format!("{} did not answer clearly: {}", attempt(), failure()),
        "attempt_ending" => format!("{} is to be closed", attempt()),
        "attempt_closed" => format!("{} can not be paid any more", attempt()),
        "no_code" => format!("no channel gave a code: {}", failure()),
        "paid" => {
            let late = if flag("late") { ", after the close" } else { "" };
            format!("{} as {}, known by {}{late}", attempt(), text("provider_trade_no"), text("source"))
        }
        "paid_again" => format!("{} as {}: this one goes back", attempt(), text("provider_trade_no")),
        "amount_differs" => {
            let stated = show::yuan(number("stated_amount"));
            format!("{} states {stated} as {}", attempt(), text("provider_trade_no"))
        }
        "charge_ending" if flag("asked_by_merchant") => "the merchant closes it".to_owned(),
        "charge_ending" => "it expired".to_owned(),
        "webhook_tried" => format!("{}: {}", text("webhook_type"), text("answer")),
        "delivery_due" => format!("goods are due by {}", show::moment(text("deadline_at"))),
        "delivered" if !text("reference").is_empty() => format!("reference {}", text("reference")),
        "delivery_failed" => text("detail").to_owned(),
        "delivery_fenced" => "the money goes back: nothing may be handed over any more".to_owned(),
        "refund_opened" => format!("{} {}: {}", text("refund"), show::yuan(number("amount")), text("reason")),
        "refund_failed" => format!("{}: {}", text("refund"), failure()),
        "refund_accepted" | "refund_succeeded" => text("refund").to_owned(),
        "break_opened" => format!("{}: a person is needed", text("kind")),
        "charge_closed" | "delivery_accepted" | "delivery_overdue" | "delivered" => String::new(),
        _ => other(event),
    }
}

fn attempt(charge: &ChargeDoc, id: &str) -> String {
    let known = charge.attempts.iter().find(|attempt| attempt.id == id);
    known.map_or_else(|| id.to_owned(), |attempt| format!("#{} {}", attempt.seq, attempt.channel))
}

/// The stored decision as `route explain` would tell it; of a charge without one, the word of the step.
fn because(charge: &ChargeDoc, event: &EventDoc) -> String {
    let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
    let attempt = charge.attempts.iter().find(|attempt| attempt.id == text("attempt"));
    let decided = attempt.map(|attempt| &attempt.route).filter(|route| !route.candidates.is_empty());
    decided.map_or_else(|| text("chosen_because").to_owned(), route::in_short)
}

fn failure(written: Option<&Value>) -> String {
    let failure = written.and_then(|failure| serde_json::from_value::<FailureDoc>(failure.clone()).ok());
    let failure = failure.unwrap_or_default();
    format!("{} {}, {}", failure.class, failure.provider_code, failure.detail)
}

fn other(event: &EventDoc) -> String {
    event.data.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tongdao_core::time::UnixMillis;

    fn charge() -> ChargeDoc {
        serde_json::from_value(json!({
            "id": "ch_01", "merchant": "m_demo", "merchant_order_no": "order-1", "amount": 1999, "currency": "CNY",
            "subject": "演示月卡", "status": "paid", "stage": "completed", "created_at": "2025-12-17T11:33:20.000Z",
            "attempts": [{"id": "at_1", "seq": 1, "channel": "wechat-main", "route": {"chosen_because": "score", "reason": "best",
                "candidates": [{"channel": "wechat-main", "score": 0.9512}, {"channel": "alipay-main", "score": 0.9301},
                               {"channel": "unionpay-main", "excluded": "method"}]}}, {"id": "at_2", "seq": 2, "channel": "alipay-main"}]
        }))
        .unwrap()
    }

    fn drawn(events: Value) -> String {
        let events: Vec<EventDoc> = serde_json::from_value(events).unwrap();
        timeline(&Out::plain(), &charge(), &events)
    }

    #[test]
    fn a_failover_that_was_paid_and_delivered_reads_as_a_story() {
        let failure = json!({"class": "congested", "provider_code": "FREQUENCY_LIMITED", "detail": "too many calls"});
        let step = |ms: i64, kind: &str, of: Value| json!({ "at": crate::clock::rfc3339(UnixMillis(1_765_971_200_000 + ms)), "type": kind, "data": of });
        let story = json!([
            step(0, "charge_created", json!({"amount": 1999})),
            step(
                0,
                "attempt_creating",
                json!({"attempt": "at_1", "channel": "wechat-main", "chosen_because": "score"})
            ),
            step(212, "attempt_failed", json!({"attempt": "at_1", "error": failure})),
            step(
                212,
                "attempt_creating",
                json!({"attempt": "at_2", "channel": "alipay-main", "chosen_because": "failover"})
            ),
            step(480, "attempt_pending", json!({"attempt": "at_2"})),
            step(31_480, "paid", json!({"attempt": "at_2", "provider_trade_no": "2025000001", "source": "callback"})),
            step(31_480, "delivery_due", json!({"deadline_at": "2025-12-17T11:38:51.480Z"})),
            step(31_601, "webhook_tried", json!({"webhook_type": "charge.paid", "answer": "delivered"})),
            step(31_601, "delivered", json!({"reference": null})),
        ]);
        let drawn = drawn(story);
        insta::assert_snapshot!(drawn);
    }

    #[test]
    fn a_step_of_a_later_release_is_shown_and_not_left_out() {
        let line = drawn(json!([
            {"seq": 1000, "at": "2025-12-17T11:33:20.000Z", "type": "teleported", "data": {"to": "moon"}}
        ]));
        assert!(line.ends_with("teleported          to=\"moon\""), "{line}");
    }
}
