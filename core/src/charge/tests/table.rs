//! Every situation of a charge against every input, as rows of text.

use super::*;

/// Every status, and where one hides different situations, each.
fn starts() -> Vec<(&'static str, Story)> {
    let open = || Story::of(DELIVER_ON);
    let mut elsewhere = payment(1, "tx1", AMOUNT);
    elsewhere.refunded = 1;
    vec![
        ("open", open()),
        ("open, creating", {
            let story = open();
            let input = story.opening(1, false);
            story.take(input)
        }),
        ("open, shown", open().shown(1, false)),
        ("open, two shown", open().shown(1, false).shown(2, true)),
        ("open, ending", open().shown(1, false).take(Input::Close)),
        ("open, disputed", open().shown(1, false).take(reports(1, payment(1, "tx0", AMOUNT - 1)))),
        ("closed", open().take(Input::Close)),
        ("closed, had shown", closed(DELIVER_ON)),
        ("closed, gives back", closed(GIVE_BACK)),
        ("paid", open().paid()),
        ("paid, in doubt", open().paid().tried(doubtful())),
        ("paid, accepted", open().paid().tried(Answer::Accepted)),
        ("paid, delivered", open().paid().tried(Answer::Delivered)),
        ("paid, undeliverable", open().paid().tried(undeliverable())),
        ("paid, held", open().shown(1, false).take(reports(1, elsewhere))),
        ("paid, gives back", Story::of(GIVE_BACK).paid()),
        ("paid, fenced", Story::of(GIVE_BACK).paid().tried(undeliverable())),
        ("partly refunded", open().paid().take(refunds(9, 500)).take(refund_says(refund_id(9), through()))),
        ("refunded", open().paid().take(refunds(9, AMOUNT)).take(refund_says(refund_id(9), through()))),
    ]
}

fn closed(policy: Policy) -> Story {
    let closed = says(1, Outcome::Closed, Source::Query);
    Story::of(policy).shown(1, false).take(Input::Close).take(closed)
}

fn inputs(story: &Story) -> Vec<(&'static str, Input)> {
    let foreign = payment(2, "tx9", AMOUNT);
    let mut elsewhere = payment(1, "tx1", AMOUNT);
    elsewhere.refunded = 7;
    let event = story.charge.delivery.event.unwrap_or(EventId::new(T0, 99));
    let tried = |answer| Input::WebhookTried { event, answer };
    let refund = story.charge.refunds.first().map_or(refund_id(99), |refund| refund.id);
    vec![
        ("open a new attempt", story.opening(5, false)),
        ("open a new one, overlap", story.opening(5, true)),
        ("attempt 1: a code", says(1, gives_code(), Source::Create)),
        ("attempt 1: not paid", says(1, not_paid(), Source::Query)),
        ("attempt 1: closed", says(1, Outcome::Closed, Source::Query)),
        ("attempt 1: failed", says(1, Outcome::Failed(failure(ErrorClass::Declined)), Source::Create)),
        ("attempt 1: unknown", says(1, Outcome::Unknown(failure(ErrorClass::Unknown)), Source::Create)),
        ("attempt 1: paid tx1", pays(1, "tx1")),
        ("attempt 1: paid tx2", pays(1, "tx2")),
        ("attempt 1: paid 1 fen less", reports(1, payment(1, "tx3", AMOUNT - 1))),
        ("attempt 1: tx1 refunded", reports(1, elsewhere)),
        ("attempt 1: foreign", reports(1, foreign)),
        ("attempt 2: paid tx5", pays(2, "tx5")),
        ("end attempt 1", Input::EndAttempt(attempt_id(1))),
        ("no code", Input::NoCode(failure(ErrorClass::Unavailable))),
        ("expire", Input::Expire),
        ("close", Input::Close),
        ("answered delivered", tried(Answer::Delivered)),
        ("answered accepted", tried(Answer::Accepted)),
        ("answered undeliverable", tried(undeliverable())),
        ("answered 500", tried(refused())),
        ("no answer", tried(doubtful())),
        ("notify", Input::Notify),
        ("reported delivered", Input::Delivery(Report::Delivered(None))),
        ("reported failed", Input::Delivery(Report::Failed(None))),
        ("deadline", Input::Deadline { sending: false }),
        ("deadline, sending", Input::Deadline { sending: true }),
        ("refund of 500", refunds(5, 500)),
        ("refund of all", refunds(5, AMOUNT)),
        (
            "refund of all, sending",
            Input::Refund { new: Box::new(new_refund(5, AMOUNT)), sending: true, rules: RefundRules::default() },
        ),
        ("refund of too much", refunds(5, AMOUNT + 1)),
        ("refund of nothing", refunds(5, 0)),
        ("refund is called", calls(refund)),
        ("refund is through", refund_says(refund, through())),
        ("refund ended", refund_says(refund, ended())),
    ]
}

fn row(start: &str, said: &str, mut story: Story, input: Input) -> String {
    let result = match story.try_take(input) {
        Err(refused) => format!("refused {refused}"),
        Ok(()) => {
            let charge = &story.charge;
            let delivery = charge.delivery.status().as_str();
            let late = if charge.late { " late" } else { "" };
            let events = story.events.into_iter().map(|kind| Event { at: story.now, kind }).collect();
            let step = Step { next: (), events, effects: story.effects };
            let words = in_words(&step, story.now);
            format!("{}{late}, {}, {delivery} {words}", charge.status().as_str(), charge.stage().as_str())
        }
    };
    format!("{start:<20}| {said:<26} -> {result}\n")
}

#[test]
fn every_situation_takes_every_input_as_the_table_says() {
    let mut table = String::new();
    for (start, story) in starts() {
        let story = story.later(300);
        for (said, input) in inputs(&story) {
            table.push_str(&row(start, said, story.clone(), input));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_table_starts_from_every_status_and_stage() {
    for status in ChargeStatus::ALL {
        assert!(starts().iter().any(|(_, story)| story.charge.status() == status), "{}", status.as_str());
    }
    for stage in Stage::ALL {
        assert!(starts().iter().any(|(_, story)| story.charge.stage() == stage), "{}", stage.as_str());
    }
}
