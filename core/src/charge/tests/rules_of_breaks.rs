//! Rules of a person's decisions over breaks, one by one.

use super::*;
use crate::attempt::AttemptStatus;
use crate::refund::Refund;

const LESS: i64 = AMOUNT - 1;

fn differs() -> Story {
    Story::of(DELIVER_ON).shown(1, false).take(reports(1, payment(1, "tx0", LESS)))
}

fn last(story: &Story) -> Refund {
    story.charge.refunds.last().unwrap().clone()
}

fn amount(resolution: Resolution) -> Input {
    resolves(BreakKind::AmountDiffers, "tx0", resolution)
}

fn bounced() -> Story {
    let story = Story::of(DELIVER_ON).paid().tried(Answer::Delivered).take(refunds(1, 500));
    story.take(refund_says(refund_id(1), through())).take(refund_says(refund_id(1), ended()))
}

#[test]
fn a_payment_of_another_sum_may_count_by_decision_and_is_refunded_in_its_own_sum() {
    let story = differs().take(amount(Resolution::Deliver));
    assert_eq!((story.charge.status(), story.charge.stage()), (ChargeStatus::Paid, Stage::Delivering));
    assert_eq!(story.status_of(1), AttemptStatus::Succeeded);
    assert!(
        story
            .events
            .contains(&EventKind::BreakResolved { kind: BreakKind::AmountDiffers, resolution: Resolution::Deliver })
    );
    assert_eq!(story.charge.captured().amount, LESS);
    let story = story.tried(Answer::Delivered);
    let mut more = story.clone();
    assert_eq!(more.try_take(refunds(1, AMOUNT)), Err(Refused::ExceedsRefundable));
    let story = story.take(refunds(1, LESS));
    let order = story.charge.refund_order_of(&last(&story)).unwrap();
    assert_eq!((order.total.amount, order.amount.amount), (LESS, LESS));
    let story = story.take(refund_says(refund_id(1), through()));
    assert_eq!((story.charge.status(), story.charge.amount_refunded()), (ChargeStatus::Refunded, LESS));
    let again = story.clone().take(reports(1, payment(1, "tx0", LESS)));
    assert_eq!(again.charge, story.charge, "the same word again is nothing new");
}

#[test]
fn a_late_payment_of_another_sum_is_delivered_where_a_person_says_so() {
    let closed = Story::of(GIVE_BACK).shown(1, false).take(Input::Close).take(says(1, Outcome::Closed, Source::Query));
    let story = closed.take(reports(1, payment(1, "tx0", LESS))).take(amount(Resolution::Deliver));
    assert!(story.charge.late && story.charge.delivery.status() == DeliveryStatus::Pending);
    assert!(story.charge.refunds.is_empty());
}

#[test]
fn a_payment_of_another_sum_goes_back_whole_and_once_by_decision() {
    let story = differs().take(amount(Resolution::Refund));
    let refund = last(&story);
    assert_eq!((refund.kind, refund.amount, refund.provider_trade_no.as_str()), (RefundKind::Decided, LESS, "tx0"));
    let order = story.charge.refund_order_of(&refund).unwrap();
    assert_eq!((order.total.amount, order.amount.amount), (LESS, LESS));
    assert_eq!(refund.provider_refund_no, derived_number(&[&story.charge.id.to_string(), "tx0"]));
    assert_eq!((story.charge.status(), story.status_of(1)), (ChargeStatus::Open, AttemptStatus::Closed));
    assert_ne!(story.charge.stage(), Stage::Attention);
    let exact = story.take(pays(1, "tx0"));
    assert_eq!((exact.charge.status(), exact.charge.refunds.len()), (ChargeStatus::Open, 1), "it is on its way back");
    let through = exact.take(refund_says(refund.id, through()));
    assert_eq!((through.charge.status(), through.charge.amount_refunded()), (ChargeStatus::Open, 0));
}

#[test]
fn a_payment_of_another_sum_cannot_count_beside_the_principal() {
    let mut story = differs().take(pays(1, "tx1"));
    assert_eq!(story.try_take(amount(Resolution::Deliver)), Err(Refused::Unfitting));
    assert_eq!(last(&story.take(amount(Resolution::Refund))).amount, LESS);
    let mut counted = differs().take(pays(1, "tx0"));
    for resolution in [Resolution::Deliver, Resolution::Refund] {
        assert_eq!(counted.try_take(amount(resolution)), Err(Refused::Unfitting), "it counts already");
    }
    assert_ne!(counted.take(amount(Resolution::Accept)).charge.stage(), Stage::Attention);
}

#[test]
fn undeliverable_goods_go_out_again_and_are_a_break_again_if_they_do_not_arrive() {
    let story = Story::of(DELIVER_ON).paid().tried(undeliverable());
    let story = story.take(resolves(BreakKind::Undeliverable, "", Resolution::Deliver));
    let webhook = EffectKey::Webhook(story.charge.delivery.event.unwrap());
    assert_eq!((story.due(webhook), story.due(EffectKey::Deadline)), (Some(0), Some(900)));
    assert_eq!(story.charge.stage(), Stage::Delivering);
    let story = story.tried(refused()).later(900).take(Input::Deadline { sending: false });
    assert_eq!((story.breaks(), story.charge.stage()), (vec![BreakKind::Undelivered], Stage::Attention));
    assert_eq!(story.tried(Answer::Delivered).charge.stage(), Stage::Completed);
}

#[test]
fn what_a_person_wants_delivered_is_not_refunded_by_itself_before_its_time() {
    let story = Story::of(GIVE_BACK).paid().tried(doubtful()).later(300).take(Input::Deadline { sending: false });
    let story = story.later(600).take(Input::Deadline { sending: false });
    assert_eq!(story.breaks(), [BreakKind::Undelivered], "in doubt nothing is refunded");
    let story = story.take(resolves(BreakKind::Undelivered, "", Resolution::Deliver)).tried(Answer::Accepted);
    let story = story.later(300).take(Input::Deadline { sending: false });
    assert!(!story.charge.delivery.fenced);
    assert!(story.later(300).take(Input::Deadline { sending: false }).charge.delivery.fenced);
}

#[test]
fn undelivered_goods_are_fenced_before_the_money_goes_back_by_decision() {
    let mut story = Story::of(DELIVER_ON).paid().tried(undeliverable());
    let refund = |sending| Input::Resolve {
        kind: BreakKind::Undeliverable,
        key: String::new(),
        resolution: Resolution::Refund,
        sending,
    };
    assert_eq!(story.try_take(refund(true)), Err(Refused::DeliveryInFlight));
    let story = story.take(refund(false));
    assert!(story.charge.delivery.fenced);
    assert_eq!((last(&story).amount, last(&story).kind), (AMOUNT, RefundKind::Undelivered));
    let story = story.clone().take(refund_says(last(&story).id, through()));
    assert_eq!(story.charge.stage(), Stage::Refunded);
}

#[test]
fn a_matter_that_a_person_closed_asks_for_nothing_more() {
    for resolution in [Resolution::Accept, Resolution::WriteOff] {
        let story = Story::of(DELIVER_ON).paid().tried(refused()).later(300).take(Input::Deadline { sending: false });
        let story = story.later(600).take(Input::Deadline { sending: false });
        let story = story.take(resolves(BreakKind::Undelivered, "", resolution));
        assert_eq!(story.charge.stage(), Stage::Completed);
        assert!(!story.charge.delivery.is_owed());
        let webhook = EffectKey::Webhook(story.charge.delivery.event.unwrap());
        assert!(story.effects.contains(&Effect::Forget(webhook)));
        assert!(story.effects.contains(&Effect::Forget(EffectKey::Deadline)));
        let again = story.take(Input::Notify);
        assert!(again.charge.delivery.is_owed() && again.due(EffectKey::Deadline).is_some(), "unless somebody asks");
    }
}

#[test]
fn money_that_bounced_goes_back_again_under_the_next_number_and_counts_once() {
    let story = bounced();
    assert_eq!((story.breaks(), story.charge.amount_refunded()), (vec![BreakKind::RefundDiffers], 500));
    let first = last(&story);
    assert!(first.lost);
    let story = story.take(resolves(BreakKind::RefundDiffers, "tx1", Resolution::Refund));
    let second = last(&story);
    assert_eq!((second.amount, second.kind, second.generation), (500, RefundKind::Decided, 1));
    assert_eq!(second.provider_refund_no, derived_number(&[&first.provider_refund_no, "next", "1"]));
    assert_eq!(story.charge.refund(first.id).unwrap().replaced_by, Some(second.id));
    assert_eq!((story.charge.amount_refunded(), story.charge.refunds_ordered("tx1")), (500, 500));
    let mut too_much = story.clone();
    assert_eq!(too_much.try_take(refunds(2, AMOUNT - 499)), Err(Refused::ExceedsRefundable));
    let story = story.take(refund_says(second.id, through()));
    assert_eq!((story.charge.amount_refunded(), story.charge.status()), (500, ChargeStatus::PartiallyRefunded));
    let twice = story.take(refund_says(first.id, through()));
    assert_eq!(twice.breaks(), [BreakKind::RefundDiffers], "both are through: a person must know");
}

#[test]
fn a_surplus_refund_that_failed_goes_on_under_the_next_number() {
    let story = Story::of(DELIVER_ON).paid().take(pays(1, "tx2"));
    let first = last(&story);
    let refused = RefundOutcome::Refused(failure(ErrorClass::Declined));
    let story = story.take(calls(first.id)).take(refund_says(first.id, refused));
    let story = story.take(resolves(BreakKind::RefundDiffers, "tx2", Resolution::Refund));
    let second = last(&story);
    assert_eq!((second.kind, second.amount), (RefundKind::Surplus, AMOUNT));
    assert_ne!(second.provider_refund_no, first.provider_refund_no);
    assert_eq!(story.charge.delivery.status(), DeliveryStatus::Pending, "the principal is not concerned");
}

#[test]
fn what_went_back_by_other_hands_is_delivered_refunded_for_the_rest_or_accepted() {
    let mut elsewhere = payment(1, "tx1", AMOUNT);
    elsewhere.refunded = 500;
    let held = Story::of(DELIVER_ON).shown(1, false).take(reports(1, elsewhere));
    let decide = |resolution| held.clone().take(resolves(BreakKind::RefundDiffers, "tx1", resolution));
    assert_eq!(decide(Resolution::Deliver).charge.delivery.status(), DeliveryStatus::Pending);
    let refunded = decide(Resolution::Refund);
    assert_eq!((last(&refunded).amount, refunded.charge.delivery.fenced), (AMOUNT - 500, true));
    assert_eq!(decide(Resolution::Accept).charge.stage(), Stage::Completed);
    let delivered = held.take(resolves(BreakKind::RefundDiffers, "tx1", Resolution::Deliver)).tried(Answer::Delivered);
    let mut all = payment(1, "tx1", AMOUNT);
    all.refunded = AMOUNT;
    let mut story = delivered.take(reports(1, all));
    let refund = resolves(BreakKind::RefundDiffers, "tx1", Resolution::Refund);
    assert_eq!(story.try_take(refund), Err(Refused::ExceedsRefundable), "nothing is left");
}

#[test]
fn a_refund_of_another_sum_that_a_person_accepts_is_over() {
    let story = Story::of(DELIVER_ON).paid().tried(Answer::Delivered).take(refunds(1, 500)).take(calls(refund_id(1)));
    let stated = RefundOutcome::Succeeded { amount: Some(Money::cny(499)) };
    let story = story.take(refund_says(refund_id(1), stated));
    let story = story.take(resolves(BreakKind::RefundDiffers, "tx1", Resolution::Accept));
    assert_eq!(story.charge.refund(refund_id(1)).unwrap().status(), RefundStatus::Succeeded);
    assert_eq!(story.charge.stage(), Stage::Completed);
}

#[test]
fn a_refund_that_failed_and_moved_after_all_takes_its_sum_for_good() {
    let story = Story::of(DELIVER_ON).paid().tried(Answer::Delivered).take(refunds(1, 1500));
    let mut story = story.take(refund_says(refund_id(1), ended())).take(refund_says(refund_id(1), through()));
    assert_eq!(story.breaks(), [BreakKind::RefundDiffers]);
    assert_eq!(story.try_take(refunds(2, 500)), Err(Refused::ExceedsRefundable));
    let refund = resolves(BreakKind::RefundDiffers, "tx1", Resolution::Refund);
    assert_eq!(story.try_take(refund), Err(Refused::Unfitting), "nothing was lost");
}

#[test]
fn a_decision_that_does_not_fit_changes_nothing() {
    let mut story = Story::of(GIVE_BACK).paid().tried(undeliverable()).tried(Answer::Delivered);
    assert_eq!(story.breaks(), [BreakKind::DeliveredAfterRefund]);
    let before = story.charge.clone();
    for resolution in [Resolution::Deliver, Resolution::Refund] {
        let input = resolves(BreakKind::DeliveredAfterRefund, "", resolution);
        assert_eq!(story.try_take(input), Err(Refused::Unfitting));
    }
    assert_eq!(story.charge, before);
    let story = story.take(resolves(BreakKind::DeliveredAfterRefund, "", Resolution::WriteOff));
    assert!(story.charge.breaks.is_empty());
}

#[test]
fn a_refund_waits_its_turn_behind_another_of_its_payment_and_a_query_behind_its_call() {
    let rules = RefundRules { apart_ms: 60_000, ask_after_ms: 10_000, parts_max: Some(2) };
    let call = |n: u8| Input::RefundCalling { refund: refund_id(n), rules };
    let order = |n: u8| Input::Refund { new: Box::new(new_refund(n, 100)), sending: false, rules };
    let story = Story::of(DELIVER_ON).paid().tried(Answer::Delivered).take(order(1)).take(order(2));
    let mut story = story.take(call(1)).later(1).take(call(2));
    assert_eq!(story.due(EffectKey::Refund(refund_id(2))), Some(59));
    assert_eq!(story.charge.refund(refund_id(2)).unwrap().calls, 0, "it was not made");
    assert_eq!(story.try_take(order(3)), Err(Refused::TooManyRefunds));
    let early = story.clone().take(call(1));
    assert_eq!(
        (early.due(EffectKey::Refund(refund_id(1))), early.charge.refund(refund_id(1)).unwrap().calls),
        (Some(9), 1)
    );
    let story = story.later(59).take(call(2));
    assert_eq!(story.charge.refund(refund_id(2)).unwrap().calls, 1);
    assert_eq!(story.take(call(1)).charge.refund(refund_id(1)).unwrap().calls, 2, "asking waits for no other refund");
}
