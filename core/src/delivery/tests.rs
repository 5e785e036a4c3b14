//! Tests of the life of a delivery: every status against every input as rows, and the ladder of `charge.paid`.

use super::*;
use crate::fixtures::{T0, in_words};

fn event() -> EventId {
    EventId::new(T0, 1)
}

fn after(delivery: Delivery, input: DeliveryInput) -> Delivery {
    delivery.apply(input, T0).unwrap().next
}

fn started() -> Delivery {
    after(Delivery::new(300), DeliveryInput::Start(event()))
}

fn tried(answer: Answer) -> DeliveryInput {
    DeliveryInput::Tried(answer)
}

fn overdue(delivery: Delivery) -> Delivery {
    delivery.apply(DeliveryInput::Deadline, T0.plus_s(300)).unwrap().next
}

fn refused() -> Answer {
    Answer::Refused("HTTP 500".to_owned())
}

fn doubtful() -> Answer {
    Answer::Doubtful("no answer in 10 s".to_owned())
}

/// Every status, and where one hides different situations, each.
fn starts() -> Vec<(&'static str, Delivery)> {
    let accepted = || after(started(), tried(Answer::Accepted));
    vec![
        ("none", Delivery::new(300)),
        ("pending", started()),
        ("pending, refused", after(started(), tried(refused()))),
        ("pending, in doubt", after(started(), tried(doubtful()))),
        ("pending, overdue", overdue(started())),
        ("accepted", accepted()),
        ("accepted, overdue", overdue(accepted())),
        ("delivered", after(started(), tried(Answer::Delivered))),
        ("failed", after(started(), tried(Answer::Undeliverable("sold out".to_owned())))),
        ("fenced", after(started(), DeliveryInput::Fence)),
    ]
}

fn inputs() -> Vec<(&'static str, DeliveryInput, i64)> {
    vec![
        ("start", DeliveryInput::Start(EventId::new(T0, 2)), 7),
        ("answered delivered", tried(Answer::Delivered), 7),
        ("answered accepted", tried(Answer::Accepted), 7),
        ("answered undeliverable", tried(Answer::Undeliverable("sold out".to_owned())), 7),
        ("answered 500", tried(refused()), 7),
        ("no answer", tried(doubtful()), 7),
        ("reported delivered", DeliveryInput::Report(Report::Delivered(Some("KEY-1".to_owned()))), 7),
        ("reported failed", DeliveryInput::Report(Report::Failed(Some("sold out".to_owned()))), 7),
        ("send now", DeliveryInput::SendNow, 7),
        ("deadline rings early", DeliveryInput::Deadline, 299),
        ("deadline rings", DeliveryInput::Deadline, 300),
        ("deadline rings 10 min later", DeliveryInput::Deadline, 900),
        ("fence", DeliveryInput::Fence, 7),
    ]
}

fn row(start: &str, said: &str, before: &Delivery, input: DeliveryInput, now: UnixMillis) -> String {
    let result = match before.clone().apply(input, now) {
        Err(refused) => format!("refused {refused}"),
        Ok(step) => {
            let next = &step.next;
            let marks = [(next.overdue, " overdue"), (next.doubt, " doubt"), (next.fenced, " fenced")];
            let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
            format!("{}{marks} {}", next.status().as_str(), in_words(&step, now))
        }
    };
    format!("{start:<18}| {said:<27} -> {result}\n")
}

#[test]
fn every_status_takes_every_input_as_the_table_says() {
    let mut table = String::new();
    for (start, before) in starts() {
        for (said, input, after_s) in inputs() {
            table.push_str(&row(start, said, &before, input, T0.plus_s(after_s)));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_table_starts_from_every_status() {
    for status in DeliveryStatus::ALL {
        assert!(starts().iter().any(|(_, start)| start.status() == status), "{}", status.as_str());
    }
}

/// The gaps in seconds between tries that all end at once with a 500, from the first to the last.
fn gaps(deadline_s: i64) -> Vec<i64> {
    let mut delivery = after(Delivery::new(deadline_s), DeliveryInput::Start(event()));
    let mut now = T0;
    let mut gaps = Vec::new();
    loop {
        let step = delivery.apply(tried(refused()), now).unwrap();
        delivery = step.next;
        let Some(Effect::SendWebhook { event: sent, at }) = step.effects.first() else { return gaps };
        assert_eq!(*sent, event(), "the same webhook id on every try");
        gaps.push(at.since_ms(now).div_euclid(1000));
        now = *at;
    }
}

#[test]
fn the_webhook_ladder_is_the_one_of_the_api() {
    let gaps = gaps(300);
    // 111 s of early tries, then each minute to the deadline at 300 s, which the fourth of them passes.
    assert_eq!(gaps[..12], [1, 5, 15, 30, 60, 60, 60, 60, 60, 300, 900, 3600]);
    assert!(gaps[12..].iter().all(|gap_s| *gap_s == 3600));
    let total: i64 = gaps.iter().sum();
    assert!((71 * 3600..=72 * 3600).contains(&total), "{total}");
}

#[test]
fn a_short_deadline_leaves_the_early_tries_in_place() {
    assert_eq!(gaps(10)[..8], [1, 5, 15, 30, 60, 300, 900, 3600]);
}

#[test]
fn the_gap_counts_from_the_end_of_the_last_try() {
    let ended_at = T0.plus_s(9);
    let step = started().apply(tried(doubtful()), ended_at).unwrap();
    assert_eq!(step.effects, [Effect::SendWebhook { event: event(), at: ended_at.plus_s(1) }]);
}

#[test]
fn a_doubt_stays_until_somebody_speaks() {
    let in_doubt = after(started(), tried(doubtful()));
    assert!(after(in_doubt.clone(), tried(refused())).doubt, "a later 500 says nothing of the try before");
    for spoken in [Answer::Accepted, Answer::Delivered, Answer::Undeliverable(String::new())] {
        assert!(!after(in_doubt.clone(), tried(spoken.clone())).doubt, "{spoken:?}");
    }
}

#[test]
fn a_deadline_that_rings_twice_is_set_again_to_its_break() {
    let late = overdue(started());
    let at = T0.plus_s(300);
    let step = late.apply(DeliveryInput::Deadline, at).unwrap();
    assert_eq!(step.effects, [Effect::WakeAt { key: EffectKey::Deadline, at: T0.plus_s(900) }]);
    assert!(!step.next.is_break_due(T0.plus_s(899)) && step.next.is_break_due(T0.plus_s(900)));
}

#[test]
fn a_far_deadline_is_looked_at_every_hour() {
    let step = Delivery::new(86_400).apply(DeliveryInput::Start(event()), T0).unwrap();
    let hour = Effect::WakeAt { key: EffectKey::Deadline, at: T0.plus_s(3600) };
    assert!(step.effects.contains(&hour));
    let step = step.next.apply(DeliveryInput::Deadline, T0.plus_s(86_400 - 60)).unwrap();
    assert_eq!(step.effects, [Effect::WakeAt { key: EffectKey::Deadline, at: T0.plus_s(86_400) }]);
}
