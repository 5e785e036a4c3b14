//! Tests of the life of an attempt: every status against every input as rows, and the ladders rung by rung.

use super::*;
use crate::fixtures::{T0, attempt, attempt_id, code, failure, gives_code, in_words, new_attempt, not_paid, payment};
use crate::provider::{ErrorClass, Outcome};

const SOURCES: [Source; 3] = [Source::Create, Source::Callback, Source::Query];

fn after(attempt: Attempt, input: AttemptInput) -> Attempt {
    attempt.apply(input, T0).unwrap().next
}

fn created(outcome: Outcome) -> Attempt {
    after(attempt(1), AttemptInput::Reported(outcome, Source::Create))
}

fn pays(surplus: bool) -> AttemptInput {
    AttemptInput::Paid { payment: payment(1, "tx1", 1999), surplus }
}

/// Every status, and where one hides two different situations, both.
fn starts() -> Vec<(&'static str, Attempt)> {
    vec![
        ("creating", attempt(1)),
        ("creating, ending", after(attempt(1), AttemptInput::End)),
        ("pending, shown", created(gives_code())),
        ("pending, no code", created(not_paid())),
        ("pending, ending", after(created(gives_code()), AttemptInput::End)),
        ("unknown", created(Outcome::Unknown(failure(ErrorClass::Unknown)))),
        ("failed", created(Outcome::Failed(failure(ErrorClass::Declined)))),
        ("closed", created(Outcome::Closed)),
        ("succeeded", after(created(gives_code()), pays(false))),
        ("duplicate", after(created(gives_code()), pays(true))),
    ]
}

fn row(start: &str, said: &str, before: &Attempt, input: AttemptInput, after_s: i64) -> String {
    let now = T0.plus_s(after_s);
    let result = match before.clone().apply(input, now) {
        Err(refused) => format!("refused {refused}"),
        Ok(step) => {
            let payable = if step.next.is_payable() { " payable" } else { "" };
            format!("{}{payable} {}", step.next.status().as_str(), in_words(&step, now))
        }
    };
    format!("{start:<17}| {said:<32} -> {result}\n")
}

#[test]
fn every_status_takes_every_word_as_the_table_says() {
    let words = [
        ("pending with a code", gives_code(), 7),
        ("pending", not_paid(), 7),
        ("closed", Outcome::Closed, 7),
        ("absent at once", Outcome::Absent, 7),
        ("absent after two minutes", Outcome::Absent, 120),
        ("failed", Outcome::Failed(failure(ErrorClass::Declined)), 7),
        ("unknown", Outcome::Unknown(failure(ErrorClass::Unknown)), 7),
        ("paid, not compared", Outcome::Paid(payment(1, "tx1", 1999)), 7),
    ];
    let mut table = String::new();
    for (start, before) in starts() {
        for (said, outcome, after_s) in &words {
            for source in SOURCES {
                let said = format!("{}: {said}", source.as_str());
                let input = AttemptInput::Reported(outcome.clone(), source);
                table.push_str(&row(start, &said, &before, input, *after_s));
            }
        }
        table.push_str(&row(start, "paid, the principal", &before, pays(false), 7));
        table.push_str(&row(start, "paid, beside the principal", &before, pays(true), 7));
        table.push_str(&row(start, "end", &before, AttemptInput::End, 7));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_table_starts_from_every_status() {
    for status in AttemptStatus::ALL {
        assert!(starts().iter().any(|(_, start)| start.status() == status), "{}", status.as_str());
    }
}

#[test]
fn a_query_that_overtakes_the_create_does_not_lose_the_code() {
    for overtaking in [not_paid(), Outcome::Absent, Outcome::Unknown(failure(ErrorClass::Unavailable))] {
        let asked = after(attempt(1), AttemptInput::Reported(overtaking.clone(), Source::Query));
        let answered = after(asked, AttemptInput::Reported(gives_code(), Source::Create));
        assert_eq!(answered.pay, Some(code(T0)), "{overtaking:?}");
        assert!(answered.is_payable());
    }
}

#[test]
fn a_code_that_comes_when_the_end_is_wanted_is_shown_to_nobody() {
    let left_behind = after(attempt(1), AttemptInput::End);
    let answered = after(left_behind, AttemptInput::Reported(gives_code(), Source::Create));
    assert_eq!((answered.status(), answered.pay.clone()), (AttemptStatus::Pending, None));
    assert!(!answered.is_payable() && answered.end_wanted);
}

#[test]
fn a_code_that_was_shown_is_not_replaced() {
    let other = Outcome::Pending { pay: Some(code(T0.plus_s(9))), closable: true };
    let asked = after(created(gives_code()), AttemptInput::Reported(other, Source::Create));
    assert_eq!(asked.pay, Some(code(T0)));
}

#[test]
fn a_shown_code_is_never_proved_absent() {
    let shown = created(gives_code());
    let input = AttemptInput::Reported(Outcome::Absent, Source::Query);
    let still = shown.apply(input, T0.plus_s(86_400)).unwrap().next;
    assert_eq!(still.status(), AttemptStatus::Pending);
}

#[test]
fn a_payment_clears_the_trouble_before_it() {
    let failed = created(Outcome::Failed(failure(ErrorClass::Declined)));
    assert!(failed.error.is_some());
    let paid = after(failed, pays(false));
    assert_eq!((paid.status(), paid.error), (AttemptStatus::Succeeded, None));
}

/// Seconds from birth of each look, when every answer comes at once and says "not paid".
fn rungs(attempt: &Attempt, count: usize) -> Vec<i64> {
    let mut now = T0;
    let mut rungs = Vec::new();
    for _ in 0..count {
        now = next_query_at(attempt, now);
        rungs.push(now.since_ms(T0).div_euclid(1000));
    }
    rungs
}

fn lives(seconds: i64) -> Attempt {
    let end = T0.plus_s(seconds);
    let new = NewAttempt { life: CodeLife { code_ends_at: end, payable_until: end }, ..new_attempt(1, T0) };
    Attempt::new(new, 1, T0)
}

#[test]
fn the_query_ladder_is_the_one_of_the_design() {
    let five_minutes = [5, 10, 20, 35, 60, 120, 180, 240, 300];
    // After the end: 1, 3, 5, 10 min apart, then every 10.
    let end_of_five = [360, 540, 840, 1440, 2040, 2640];
    assert_eq!(rungs(&lives(300), 15), [&five_minutes[..], &end_of_five[..]].concat());
    let each_two = [360, 480, 600, 720, 840, 960, 1080, 1200, 1320, 1440, 1560, 1680, 1800];
    let end_of_thirty = [1860, 2040, 2340, 2940, 3540];
    assert_eq!(rungs(&lives(1800), 27), [&five_minutes[..], &each_two[..], &end_of_thirty[..]].concat());
}

#[test]
fn the_ladder_does_not_sleep_across_the_end_of_a_code() {
    assert_eq!(rungs(&lives(330), 11)[8..], [300, 390, 570]);
}

#[test]
fn a_front_trade_is_first_asked_about_after_thirty_seconds() {
    let mut slow = lives(300);
    slow.first_query_ms = 30_000;
    assert_eq!(rungs(&slow, 3), [30, 35, 60]);
}

#[test]
fn an_answer_that_takes_long_costs_no_rung_twice() {
    let at = next_query_at(&lives(300), T0.plus_s(19));
    assert_eq!(at, T0.plus_s(20));
    assert_eq!(next_query_at(&lives(300), T0.plus_s(20)), T0.plus_s(35));
}

#[test]
fn jitter_adds_at_most_a_tenth_of_the_gap_and_never_asks_early() {
    for draw in [0_u8, 1, 128, 255] {
        let mut attempt = lives(300);
        attempt.id = AttemptId::new(T0, u128::from(draw));
        for age_s in [0, 5, 61, 299, 301, 5000] {
            let now = T0.plus_s(age_s);
            let exact_ms = next_query_at(&lives(300), now).since_ms(now);
            let ms = next_query_at(&attempt, now).since_ms(now);
            assert!((exact_ms..=exact_ms + exact_ms / 10).contains(&ms), "{draw} {age_s}: {ms} for {exact_ms}");
        }
    }
}

#[test]
fn a_clock_that_steps_back_makes_no_gap_longer_than_ten_minutes_and_a_tenth() {
    let mut attempt = lives(1800);
    attempt.id = AttemptId::new(T0, 255);
    for back_s in [1, 3600, 86_400 * 365] {
        let now = T0.plus_s(-back_s);
        assert!(next_query_at(&attempt, now).since_ms(now) <= 660_000, "{back_s}");
    }
}

#[test]
fn an_end_is_tried_again_after_1_2_4_to_60_seconds() {
    let mut attempt = attempt(1);
    let gaps: Vec<i64> = (0..9)
        .map(|tries| {
            attempt.end_tries = tries;
            end_retry_at(&attempt, T0).since_ms(T0)
        })
        .collect();
    assert_eq!(gaps, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
}

#[test]
fn each_doubtful_look_at_an_ending_attempt_spaces_the_next() {
    let mut ending = after(created(gives_code()), AttemptInput::End);
    for tries in 1..=3 {
        let input = AttemptInput::Reported(Outcome::Unknown(failure(ErrorClass::Unavailable)), Source::Query);
        let step = ending.apply(input, T0).unwrap();
        let at = T0.plus_s(1 << tries);
        assert_eq!(step.effects, [Effect::CallProvider { attempt: attempt_id(1), at }]);
        ending = step.next;
    }
}
