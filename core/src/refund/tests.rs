//! Tests of the life of a refund: every status against every word as rows, the ladder, and the number that stays.

use super::*;
use crate::fixtures::{T0, attempt_id, failure, in_words, new_refund, refund_id};
use crate::money::Money;
use crate::provider::ErrorClass;

const AMOUNT: i64 = 500;

fn refund(kind: RefundKind) -> Refund {
    Refund::new(NewRefund { kind, ..new_refund(1, AMOUNT) }, attempt_id(1), "tx1".to_owned(), T0)
}

fn after(refund: Refund, input: RefundInput) -> Refund {
    refund.apply(input, T0).unwrap().next
}

fn called(kind: RefundKind) -> Refund {
    after(refund(kind), RefundInput::Calling)
}

fn heard(refund: Refund, outcome: RefundOutcome) -> Refund {
    after(refund, RefundInput::Reported(outcome))
}

fn ended() -> RefundOutcome {
    RefundOutcome::Ended(failure(ErrorClass::Rejected))
}

fn words() -> Vec<(&'static str, RefundOutcome)> {
    let why = || failure(ErrorClass::Unknown);
    vec![
        ("succeeded", RefundOutcome::Succeeded { amount: None }),
        ("succeeded, the sum", RefundOutcome::Succeeded { amount: Some(Money::cny(AMOUNT)) }),
        ("succeeded, another sum", RefundOutcome::Succeeded { amount: Some(Money::cny(AMOUNT - 1)) }),
        ("pending", RefundOutcome::Pending),
        ("stuck", RefundOutcome::Stuck(why())),
        ("ended", ended()),
        ("absent", RefundOutcome::Absent),
        ("later", RefundOutcome::Later(why())),
        ("refused", RefundOutcome::Refused(why())),
        ("unknown", RefundOutcome::Unknown(why())),
    ]
}

fn starts() -> Vec<(&'static str, Refund)> {
    let stuck = RefundOutcome::Stuck(failure(ErrorClass::Unknown));
    vec![
        ("merchant, new", refund(RefundKind::Merchant)),
        ("merchant, called", called(RefundKind::Merchant)),
        ("merchant, stuck", heard(called(RefundKind::Merchant), stuck.clone())),
        ("surplus, new", refund(RefundKind::Surplus)),
        ("surplus, called", called(RefundKind::Surplus)),
        ("surplus, accepted", heard(called(RefundKind::Surplus), RefundOutcome::Pending)),
        ("surplus, stuck", heard(called(RefundKind::Surplus), stuck)),
        ("succeeded", heard(called(RefundKind::Late), RefundOutcome::Succeeded { amount: None })),
        ("failed", heard(called(RefundKind::Merchant), ended())),
    ]
}

fn row(start: &str, said: &str, before: &Refund, input: RefundInput) -> String {
    let now = T0.plus_s(7);
    let result = match before.clone().apply(input, now) {
        Err(refused) => format!("refused {refused}"),
        Ok(step) => {
            let next = &step.next;
            let renumbered = next.provider_refund_no != before.provider_refund_no;
            let marks = [(next.ask_first, " ask-first"), (next.stuck, " stuck"), (renumbered, " next-number")];
            let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
            format!("{}{marks} {}", next.status().as_str(), in_words(&step, now))
        }
    };
    format!("{start:<18}| {said:<22} -> {result}\n")
}

#[test]
fn every_status_takes_every_word_as_the_table_says() {
    let mut table = String::new();
    for (start, before) in starts() {
        table.push_str(&row(start, "a call begins", &before, RefundInput::Calling));
        for (said, outcome) in words() {
            table.push_str(&row(start, said, &before, RefundInput::Reported(outcome)));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_table_starts_from_every_status() {
    for status in RefundStatus::ALL {
        assert!(starts().iter().any(|(_, start)| start.status() == status), "{}", status.as_str());
    }
}

#[test]
fn the_refund_ladder_ends_in_half_hours_and_never_stops() {
    let mut refund = refund(RefundKind::Surplus);
    let mut gaps = Vec::new();
    for _ in 0..11 {
        let step = refund.apply(RefundInput::Calling, T0).unwrap();
        let [Effect::CallRefund { refund: of, at }] = step.effects.as_slice() else { panic!("{:?}", step.effects) };
        assert_eq!(*of, refund_id(1));
        gaps.push(at.since_ms(T0).div_euclid(1000));
        refund = step.next;
    }
    assert_eq!(gaps, [10, 15, 30, 60, 300, 600, 1200, 1800, 1800, 1800, 1800]);
}

#[test]
fn a_number_stays_through_every_word_but_a_proved_end() {
    for (said, outcome) in words() {
        let before = called(RefundKind::Surplus);
        let number = before.provider_refund_no.clone();
        let Ok(step) = before.apply(RefundInput::Reported(outcome.clone()), T0) else { continue };
        assert_eq!(step.next.provider_refund_no != number, matches!(outcome, RefundOutcome::Ended(_)), "{said}");
        assert_eq!(step.next.amount, AMOUNT, "{said}");
    }
}

#[test]
fn a_merchants_number_never_changes() {
    let failed = heard(called(RefundKind::Merchant), ended());
    assert_eq!(failed.status(), RefundStatus::Failed);
    assert_eq!(failed.provider_refund_no, new_refund(1, AMOUNT).provider_refund_no);
}

#[test]
fn an_end_that_is_heard_twice_spends_one_number_only() {
    let next = heard(called(RefundKind::Surplus), ended());
    assert_eq!((next.generation, next.provider_refund_no.len()), (1, 32));
    let again = heard(next.clone(), ended());
    assert_eq!(again.provider_refund_no, next.provider_refund_no, "no call is out under the next number yet");
    let ended_too = heard(after(again, RefundInput::Calling), ended());
    assert_eq!(ended_too.generation, 2);
}

#[test]
fn a_refund_that_ends_one_way_or_goes_on_is_not_stuck_any_more() {
    let stuck = |kind| heard(called(kind), RefundOutcome::Stuck(failure(ErrorClass::Unknown)));
    assert!(stuck(RefundKind::Merchant).stuck);
    assert!(!heard(stuck(RefundKind::Merchant), ended()).stuck, "failed");
    assert!(!heard(stuck(RefundKind::Surplus), ended()).stuck, "next number");
    assert!(!heard(stuck(RefundKind::Late), RefundOutcome::Succeeded { amount: None }).stuck);
}

#[test]
fn the_providers_acceptance_is_told_once() {
    let step = called(RefundKind::Merchant).apply(RefundInput::Reported(RefundOutcome::Pending), T0).unwrap();
    assert_eq!(step.events.len(), 1);
    let again = step.next.apply(RefundInput::Reported(RefundOutcome::Pending), T0).unwrap();
    assert!(again.events.is_empty());
}

#[test]
fn after_any_doubt_the_provider_is_asked_before_anything_is_repeated() {
    let in_doubt = heard(called(RefundKind::Merchant), RefundOutcome::Unknown(failure(ErrorClass::Unknown)));
    assert!(in_doubt.ask_first);
    assert!(called(RefundKind::Merchant).ask_first, "a crash in the call is a doubt");
    assert!(!heard(in_doubt, RefundOutcome::Absent).ask_first, "proved not received: the same number goes again");
}

#[test]
fn a_refund_that_is_not_through_after_a_day_is_stuck_and_a_success_still_ends_it() {
    let waits = [
        RefundOutcome::Unknown(failure(ErrorClass::Unknown)),
        RefundOutcome::Later(failure(ErrorClass::Congested)),
        RefundOutcome::Pending,
        RefundOutcome::Absent,
        ended(),
    ];
    let day_later = T0.plus_s(24 * 3600);
    for word in waits {
        let ordered = called(RefundKind::Surplus);
        let at = |now| ordered.clone().apply(RefundInput::Reported(word.clone()), now).unwrap().next;
        assert!(!at(day_later.plus_ms(-1)).stuck, "{word:?}");
        let stuck = at(day_later);
        assert!(stuck.stuck && stuck.status() == RefundStatus::Pending, "{word:?}");
        let through = RefundInput::Reported(RefundOutcome::Succeeded { amount: None });
        assert!(!stuck.apply(through, day_later).unwrap().next.stuck, "{word:?}");
    }
}

#[test]
fn an_empty_account_is_a_persons_matter_at_once_and_goes_on_by_itself_when_it_is_filled() {
    for class in [ErrorClass::Declined, ErrorClass::Misconfigured] {
        let short = heard(called(RefundKind::Merchant), RefundOutcome::Later(failure(class)));
        assert!(short.stuck && short.status() == RefundStatus::Pending && !short.ask_first);
        let filled = heard(after(short.clone(), RefundInput::Calling), RefundOutcome::Pending);
        assert!(!filled.stuck);
        assert_eq!(filled.provider_refund_no, short.provider_refund_no);
    }
    let crowded = RefundOutcome::Later(failure(ErrorClass::Congested));
    assert!(!heard(called(RefundKind::Merchant), crowded).stuck, "that passes by itself");
}

#[test]
fn a_number_is_dated_anew_only_while_no_call_can_have_arrived() {
    let at = |minutes: i64| T0.plus_s(minutes * 60);
    let apply = |refund: Refund, input: RefundInput, minutes: i64| refund.apply(input, at(minutes)).unwrap().next;
    let not_sent = || RefundOutcome::Later(Failure::new(ErrorClass::Unavailable, Failure::NOT_SENT, "refused"));
    let mut held_back = refund(RefundKind::Surplus);
    for minutes in [0, 7, 30] {
        held_back = apply(held_back, RefundInput::Calling, minutes);
        assert_eq!(held_back.numbered_at, at(minutes), "no call left this machine yet");
        held_back = apply(held_back, RefundInput::Reported(not_sent()), minutes);
    }
    let sent = apply(held_back, RefundInput::Calling, 31);
    let crashed = apply(sent.clone(), RefundInput::Calling, 40);
    assert_eq!(crashed.numbered_at, at(31), "after a crash in the call it may have arrived");
    let doubtful = apply(sent, RefundInput::Reported(RefundOutcome::Unknown(failure(ErrorClass::Unknown))), 31);
    let again = apply(doubtful, RefundInput::Calling, 40);
    let held_back_now = apply(again, RefundInput::Reported(not_sent()), 40);
    assert_eq!(apply(held_back_now, RefundInput::Calling, 41).numbered_at, at(31), "an earlier call may have arrived");
}
