//! Rules of attempts and payments, one by one: S2, S4, S5, S7, S8, S20 and what is about them.

use super::*;
use crate::attempt::AttemptStatus;

fn one_fen_less() -> Input {
    reports(1, payment(1, "tx0", AMOUNT - 1))
}

#[test]
fn a_payment_after_the_close_counts_and_is_late() {
    let closed = Story::of(DELIVER_ON).shown(1, false).take(Input::Close);
    let closed = closed.take(says(1, Outcome::Closed, Source::Query));
    assert_eq!(closed.charge.status(), ChargeStatus::Closed);
    let late = closed.take(pays(1, "tx1"));
    assert_eq!((late.charge.status(), late.charge.late), (ChargeStatus::Paid, true));
    assert_eq!(late.charge.delivery.status(), DeliveryStatus::Pending);
}

#[test]
fn late_payment_after_close_is_refunded_where_the_merchant_wants_it() {
    let closed = Story::of(GIVE_BACK).shown(1, false).take(Input::Close);
    let late = closed.take(says(1, Outcome::Closed, Source::Query)).take(pays(1, "tx1"));
    assert!(late.charge.delivery.fenced);
    let [refund] = late.charge.refunds.as_slice() else { panic!("{:?}", late.charge.refunds) };
    assert_eq!((refund.kind, refund.amount), (RefundKind::Late, AMOUNT));
    assert!(!late.effects.iter().any(|effect| matches!(effect, Effect::SendWebhook { .. })));
}

#[test]
fn a_payment_while_the_charge_is_ending_is_in_time() {
    let ending = Story::of(GIVE_BACK).shown(1, false).take(Input::Close).take(pays(1, "tx1"));
    assert!(!ending.charge.late && ending.charge.delivery.status() == DeliveryStatus::Pending);
}

#[test]
fn every_payment_beside_the_principal_goes_back_whole_under_a_derived_number() {
    let story = Story::of(DELIVER_ON).shown(1, false).shown(2, true);
    // The second code is paid first, then the first one, then the first one again.
    let story = story.take(pays(2, "tx2")).take(pays(1, "tx1")).take(pays(1, "tx3"));
    assert_eq!(story.charge.principal, Some(attempt_id(2)));
    assert_eq!(story.status_of(1), AttemptStatus::Duplicate);
    let charge = story.charge.id.to_string();
    let numbers: Vec<_> = story.charge.refunds.iter().map(|r| (r.provider_refund_no.clone(), r.amount)).collect();
    let number = |tx| (derived_number(&[charge.as_str(), tx]), AMOUNT);
    assert_eq!(numbers, [number("tx1"), number("tx3")]);
}

#[test]
fn a_surplus_payment_that_went_back_already_is_credited_once_and_never_refunded_by_a_late_callback() {
    let mut back = payment(1, "tx2", AMOUNT);
    back.refunded = AMOUNT;
    let story = Story::of(DELIVER_ON).paid().take(reports(1, back.clone()));
    assert_eq!(story.breaks(), [BreakKind::RefundDiffers]);
    for repeat in [back, payment(1, "tx2", AMOUNT)] {
        let again = story.clone().take(reports(1, repeat));
        assert!(again.effects.is_empty() && again.charge == story.charge);
    }
}

#[test]
fn one_trade_number_never_counts_for_two_attempts() {
    let story = Story::of(DELIVER_ON).shown(1, false).shown(2, true).take(pays(1, "tx1"));
    let story = story.take(pays(2, "tx1"));
    assert_eq!((story.status_of(2), story.charge.refunds.len()), (AttemptStatus::Pending, 0));
    assert_eq!(story.breaks(), [BreakKind::Duplicate]);
    assert!(story.due(EffectKey::Attempt(attempt_id(2))).is_some(), "it stays watched");
}

#[test]
fn a_payment_of_another_sum_never_pays_and_is_one_break_for_ever() {
    let story = Story::of(DELIVER_ON).shown(1, false).take(one_fen_less());
    assert_eq!((story.charge.status(), story.charge.stage()), (ChargeStatus::Open, Stage::Attention));
    assert_eq!(story.breaks(), [BreakKind::AmountDiffers]);
    let again = story.take(one_fen_less());
    assert_eq!((again.breaks(), again.events.len()), (vec![], 0));
    let settled = again.take(resolves(BreakKind::AmountDiffers, "tx0", Resolution::Accept));
    assert_eq!(settled.take(one_fen_less()).breaks(), [], "a repeat after a person settled it opens no second one");
}

#[test]
fn a_disputed_charge_opens_no_attempt_and_does_not_expire_by_itself() {
    let mut story = Story::of(DELIVER_ON).shown(1, false).take(one_fen_less()).later(1800);
    let open = story.opening(2, true);
    assert_eq!(story.try_take(open), Err(Refused::Disputed));
    assert_eq!(story.try_take(Input::Close), Err(Refused::Disputed));
    let story = story.take(Input::Expire);
    assert!(!story.charge.ending && story.charge.status() == ChargeStatus::Open);
}

#[test]
fn a_disputed_charge_is_never_left_without_an_alarm() {
    let story = Story::of(DELIVER_ON).shown(1, false).take(one_fen_less());
    assert!(story.due(EffectKey::Attempt(attempt_id(1))).is_some());
    let story = story.later(1800).take(Input::Expire);
    assert_eq!(story.due(EffectKey::Expire), Some(3600));
}

#[test]
fn a_settled_dispute_ends_the_attempt_and_with_it_the_charge() {
    let story = Story::of(DELIVER_ON).shown(1, false).take(one_fen_less()).later(1800).take(Input::Expire);
    let story = story.take(resolves(BreakKind::AmountDiffers, "tx0", Resolution::WriteOff));
    assert_eq!((story.status_of(1), story.due(EffectKey::Expire)), (AttemptStatus::Closed, Some(0)));
    let story = story.take(Input::Expire).take(one_fen_less());
    assert_eq!((story.status_of(1), story.charge.status()), (AttemptStatus::Closed, ChargeStatus::Closed));
}

#[test]
fn a_dispute_over_an_ended_attempt_that_is_settled_lets_the_charge_close_at_its_next_alarm() {
    let ended = says(1, Outcome::Closed, Source::Query);
    let mut story = Story::of(DELIVER_ON).shown(1, false).take(one_fen_less()).take(ended).later(1800);
    story = story.take(Input::Expire);
    let story = story.take(resolves(BreakKind::AmountDiffers, "tx0", Resolution::Accept)).take(Input::Expire);
    assert_eq!(story.charge.status(), ChargeStatus::Closed);
}

#[test]
fn the_alarm_of_a_charge_stays_set_until_it_is_over() {
    let early = Story::of(DELIVER_ON).shown(1, false).take(Input::Expire);
    assert_eq!(early.due(EffectKey::Expire), Some(1800));
    let ending = early.later(1800).take(Input::Expire);
    assert!(ending.charge.ending && ending.due(EffectKey::Expire) == Some(3600));
    let over = ending.take(says(1, Outcome::Closed, Source::Query));
    assert!(over.effects.contains(&Effect::Forget(EffectKey::Expire)));
}

#[test]
fn an_order_number_of_another_attempt_is_foreign() {
    let mut story = Story::of(DELIVER_ON).shown(1, false);
    assert_eq!(story.try_take(reports(1, payment(2, "tx1", AMOUNT))), Err(Refused::Foreign));
}

#[test]
fn a_second_payable_attempt_needs_an_overlap_and_a_third_never_opens() {
    let mut story = Story::of(DELIVER_ON).shown(1, false);
    let second = story.opening(2, false);
    assert_eq!(story.try_take(second), Err(Refused::AttemptPayable));
    let mut story = story.shown(2, true);
    for overlap in [false, true] {
        let third = story.opening(3, overlap);
        assert_eq!(story.try_take(third), Err(Refused::AttemptPayable));
    }
}

#[test]
fn a_code_of_an_attempt_that_was_left_behind_never_becomes_the_second_payable_one() {
    let story = Story::of(DELIVER_ON);
    let first = story.opening(1, false);
    let story = story.take(first).shown(2, false).take(says(1, gives_code(), Source::Create));
    assert_eq!(story.charge.attempts.iter().filter(|attempt| attempt.is_payable()).count(), 1);
    assert_eq!(story.due(EffectKey::Attempt(attempt_id(1))), Some(0), "it is ended at once");
}

#[test]
fn the_same_opening_twice_opens_one_attempt() {
    let story = Story::of(DELIVER_ON);
    let open = story.opening(1, false);
    let story = story.take(open.clone()).take(open);
    assert_eq!((story.charge.attempts.len(), story.effects.len()), (1, 0));
}

#[test]
fn the_other_code_of_a_paid_charge_is_ended() {
    let story = Story::of(DELIVER_ON).shown(1, false).shown(2, true).take(pays(1, "tx1"));
    assert_eq!(story.due(EffectKey::Attempt(attempt_id(2))), Some(0));
}

#[test]
fn a_shown_code_takes_back_the_failure_and_an_unshown_one_does_not() {
    let failed = Story::of(DELIVER_ON).take(Input::NoCode(failure(ErrorClass::Unavailable)));
    let left_behind = failed.opening(1, false);
    let unshown = failed.clone().take(left_behind).take(Input::EndAttempt(attempt_id(1)));
    let unshown = unshown.take(says(1, gives_code(), Source::Create));
    assert!(unshown.charge.failure.is_some());
    assert!(failed.shown(1, false).charge.failure.is_none());
}

#[test]
fn a_step_with_events_always_has_a_version_of_its_own() {
    let again = Input::NoCode(failure(ErrorClass::Unavailable));
    let once = Story::of(DELIVER_ON).take(again.clone());
    let version = once.charge.version;
    let twice = once.take(again);
    assert_eq!((twice.events.len(), twice.charge.version), (1, version + 1));
}

#[test]
fn a_repeated_payment_changes_nothing_at_all() {
    let paid = Story::of(DELIVER_ON).paid();
    let again = paid.clone().take(pays(1, "tx1"));
    assert_eq!(again.charge, paid.charge);
    assert!(again.events.is_empty() && again.effects.is_empty());
}

#[test]
fn resolving_a_break_that_is_not_open_is_no_change() {
    let mut story = Story::of(DELIVER_ON).shown(1, false).take(one_fen_less());
    let version = story.charge.version;
    let other = resolves(BreakKind::AmountDiffers, "tx9", Resolution::Accept);
    assert_eq!(story.try_take(other), Err(Refused::NotFound));
    assert_eq!((story.charge.version, story.charge.breaks.len()), (version, 1));
    let settled = story.take(resolves(BreakKind::AmountDiffers, "tx0", Resolution::Accept));
    assert_eq!((settled.charge.version, settled.charge.breaks.len()), (version + 1, 0));
}
