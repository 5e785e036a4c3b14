//! Rules of refunds, one by one: S13 and the numbers.

use super::*;
use crate::money::{Currency, Money};

fn surplus() -> (Story, RefundId) {
    let story = Story::of(DELIVER_ON).paid().take(pays(1, "tx2"));
    let refund = story.charge.refunds.first().unwrap().id;
    (story, refund)
}

fn number_of(story: &Story, refund: RefundId) -> String {
    story.charge.refund(refund).unwrap().provider_refund_no.clone()
}

#[test]
fn refunds_that_may_still_succeed_reserve_their_amount() {
    let mut story = Story::of(DELIVER_ON).paid().tried(Answer::Delivered).take(refunds(1, 1500));
    assert_eq!(story.try_take(refunds(2, 500)), Err(Refused::ExceedsRefundable));
    let failed = story.take(refund_says(refund_id(1), ended()));
    let story = failed.take(refunds(2, AMOUNT)).take(refund_says(refund_id(2), through()));
    assert_eq!((story.charge.amount_refunded(), story.charge.status()), (AMOUNT, ChargeStatus::Refunded));
}

#[test]
fn the_same_refund_order_twice_is_one_refund() {
    let story = Story::of(DELIVER_ON).paid().take(refunds(1, 500)).take(refunds(1, 500));
    assert_eq!((story.charge.refunds.len(), story.effects.len()), (1, 0));
}

#[test]
fn a_whole_refund_of_undelivered_goods_sets_the_fence_and_settles_the_break() {
    let story = Story::of(DELIVER_ON).paid().tried(undeliverable());
    assert_eq!(story.charge.breaks.len(), 1);
    let story = story.take(refunds(1, AMOUNT));
    assert!(story.charge.delivery.fenced && story.charge.breaks.is_empty());
}

#[test]
fn the_last_part_of_an_undelivered_charge_sets_the_fence_too() {
    let story = Story::of(DELIVER_ON).paid().take(refunds(1, 1000));
    assert!(!story.charge.delivery.fenced);
    assert!(story.take(refunds(2, AMOUNT - 1000)).charge.delivery.fenced);
}

#[test]
fn a_refund_behind_the_fence_that_fails_leaves_a_break_and_not_silence() {
    let story = Story::of(DELIVER_ON).paid().take(refunds(1, AMOUNT)).take(refund_says(refund_id(1), ended()));
    assert_eq!((story.breaks(), story.charge.stage()), (vec![BreakKind::RefundDiffers], Stage::Attention));
    let delivered = Story::of(DELIVER_ON).paid().tried(Answer::Delivered).take(refunds(1, AMOUNT));
    assert_eq!(delivered.take(refund_says(refund_id(1), ended())).breaks(), [], "the merchant ordered it and is told");
}

#[test]
fn a_spent_number_of_a_surplus_refund_is_followed_by_one_next_number() {
    let (story, refund) = surplus();
    let first = number_of(&story, refund);
    let word = |no: &str, outcome| Input::RefundNoticed { refund, provider_refund_no: no.to_owned(), outcome };
    let story = story.take(calls(refund)).take(word(&first, ended()));
    let second = number_of(&story, refund);
    assert_ne!(first, second);
    // The next call is out when the provider repeats its callback about the first number.
    let story = story.take(calls(refund)).take(word(&first, ended()));
    assert_eq!(number_of(&story, refund), second);
    let story = story.take(word(&second, through()));
    assert_eq!(story.charge.refund(refund).unwrap().status(), RefundStatus::Succeeded);
    let twice = story.take(word(&first, through()));
    assert_eq!(twice.breaks(), [BreakKind::RefundDiffers], "a closed number that pays after all is a break");
}

#[test]
fn money_that_moves_against_a_known_end_is_a_break_and_no_status_goes_back() {
    let ordered = Story::of(DELIVER_ON).paid().take(refunds(1, 500));
    let stuck = RefundOutcome::Stuck(failure(ErrorClass::Unknown));
    for (end, against) in [(through(), ended()), (through(), stuck), (ended(), through())] {
        let story = ordered.clone().take(refund_says(refund_id(1), end));
        let status = story.charge.refund(refund_id(1)).unwrap().status();
        let story = story.take(refund_says(refund_id(1), against));
        assert_eq!(story.breaks(), [BreakKind::RefundDiffers]);
        assert_eq!(story.charge.refund(refund_id(1)).unwrap().status(), status);
    }
}

#[test]
fn a_repeated_end_of_a_refund_is_nothing_new() {
    let story = Story::of(DELIVER_ON).paid().take(refunds(1, 500)).take(refund_says(refund_id(1), through()));
    for word in [through(), RefundOutcome::Pending, RefundOutcome::Absent] {
        let again = story.clone().take(refund_says(refund_id(1), word));
        assert!(again.charge == story.charge && again.events.is_empty());
    }
}

#[test]
fn a_refund_of_another_sum_or_currency_is_a_break_and_stays_pending() {
    let yen = Money { amount: 500, currency: Currency::read("JPY").unwrap() };
    for stated in [Money::cny(499), yen] {
        let story = Story::of(DELIVER_ON).paid().take(refunds(1, 500));
        let story = story.take(refund_says(refund_id(1), RefundOutcome::Succeeded { amount: Some(stated) }));
        assert_eq!(story.breaks(), [BreakKind::RefundDiffers]);
        assert_eq!(story.charge.amount_refunded(), 0);
    }
}

#[test]
fn what_went_back_elsewhere_is_raised_once_for_each_further_sum() {
    let stated = |refunded| {
        let mut payment = payment(1, "tx1", AMOUNT);
        payment.refunded = refunded;
        reports(1, payment)
    };
    let story = Story::of(DELIVER_ON).paid().take(stated(100));
    assert_eq!(story.breaks(), [BreakKind::RefundDiffers]);
    let story = story.take(resolves(BreakKind::RefundDiffers, "tx1", Resolution::Accept));
    let story = story.take(stated(100));
    assert_eq!(story.breaks(), [], "a person has spoken about these 100");
    assert_eq!(story.take(stated(101)).breaks(), [BreakKind::RefundDiffers]);
}

#[test]
fn our_own_refunds_explain_what_went_back_unless_they_failed() {
    let mut stated = payment(1, "tx1", AMOUNT);
    stated.refunded = 500;
    let ordered = Story::of(DELIVER_ON).paid().take(refunds(1, 500));
    assert_eq!(ordered.clone().take(reports(1, stated.clone())).breaks(), []);
    let failed = ordered.take(refund_says(refund_id(1), ended()));
    assert_eq!(failed.take(reports(1, stated)).breaks(), [BreakKind::RefundDiffers]);
}

#[test]
fn a_stuck_refund_needs_attention_until_it_goes_on() {
    let (story, refund) = surplus();
    let story = story.take(calls(refund));
    let story = story.take(refund_says(refund, RefundOutcome::Stuck(failure(ErrorClass::Unknown))));
    assert_eq!(story.charge.stage(), Stage::Attention);
    assert_eq!(story.clone().take(refund_says(refund, ended())).charge.stage(), Stage::Delivering);
    assert_eq!(story.take(refund_says(refund, through())).charge.stage(), Stage::Delivering);
}
