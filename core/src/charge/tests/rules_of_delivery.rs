//! Rules of the delivery and of its fence, one by one.

use super::*;

fn refund_kinds(story: &Story) -> Vec<RefundKind> {
    story.charge.refunds.iter().map(|refund| refund.kind).collect()
}

fn deadline(sending: bool) -> Input {
    Input::Deadline { sending }
}

#[test]
fn an_overdue_delivery_that_is_certainly_not_delivered_is_refunded_behind_a_fence() {
    let story = Story::of(GIVE_BACK).paid().tried(refused()).later(300).take(deadline(false));
    assert!(story.charge.delivery.fenced);
    assert_eq!(refund_kinds(&story), [RefundKind::Undelivered]);
}

#[test]
fn the_fence_waits_for_the_try_that_is_in_flight() {
    let story = Story::of(GIVE_BACK).paid().later(300).take(deadline(true));
    assert!(!story.charge.delivery.fenced);
    assert_eq!(story.due(EffectKey::Deadline), Some(1));
    let story = story.later(1).take(deadline(false));
    assert!(story.charge.delivery.fenced);
}

#[test]
fn in_doubt_the_merchant_is_asked_and_silence_becomes_a_break() {
    let story = Story::of(GIVE_BACK).paid().tried(doubtful()).later(300).take(deadline(false));
    assert_eq!((story.charge.delivery.fenced, refund_kinds(&story)), (false, vec![]));
    assert!(story.charge.webhooks.iter().any(|webhook| webhook.topic == Topic::DeliveryOverdue));
    let early = story.clone().later(1).take(deadline(false));
    assert_eq!(early.breaks(), [], "not before ten minutes after the deadline");
    assert_eq!(early.due(EffectKey::Deadline), Some(599));
    let silent = story.later(600).take(deadline(false));
    assert_eq!(silent.breaks(), [BreakKind::Undelivered]);
    let spoken = silent.take(Input::Delivery(Report::Failed(None)));
    assert_eq!(refund_kinds(&spoken), [RefundKind::Undelivered]);
    assert!(spoken.charge.breaks.is_empty(), "an explicit failed settles it");
}

#[test]
fn an_alarm_that_rings_twice_opens_no_break_early() {
    let story = Story::of(DELIVER_ON).paid().later(300).take(deadline(false)).take(deadline(false));
    assert_eq!((story.breaks(), story.due(EffectKey::Deadline)), (vec![], Some(600)));
    let overdue = story.charge.webhooks.iter().filter(|webhook| webhook.topic == Topic::DeliveryOverdue);
    assert_eq!(overdue.count(), 1);
    assert_eq!(story.later(600).take(deadline(false)).breaks(), [BreakKind::Undelivered]);
}

#[test]
fn a_delivery_by_webhook_settles_the_break_as_a_reported_one_does() {
    let stuck = Story::of(DELIVER_ON).paid().tried(undeliverable());
    assert_eq!((stuck.breaks(), stuck.charge.stage()), (vec![BreakKind::Undeliverable], Stage::Attention));
    let by_webhook = stuck.clone().take(Input::Notify).tried(Answer::Delivered);
    let by_report = stuck.take(Input::Delivery(Report::Delivered(None)));
    for story in [by_webhook, by_report] {
        assert_eq!((story.charge.breaks.len(), story.charge.stage()), (0, Stage::Completed));
    }
}

#[test]
fn goods_handed_over_after_the_fence_are_a_break_whoever_says_so() {
    let fenced = Story::of(GIVE_BACK).paid().tried(undeliverable());
    let by_webhook = fenced.clone().tried(Answer::Delivered);
    let by_report = fenced.take(Input::Delivery(Report::Delivered(None)));
    for story in [by_webhook, by_report] {
        assert_eq!(story.breaks(), [BreakKind::DeliveredAfterRefund]);
        assert_eq!(story.charge.delivery.status(), DeliveryStatus::Failed);
    }
}

#[test]
fn after_the_fence_nothing_is_sent_or_taken_any_more() {
    let mut story = Story::of(GIVE_BACK).paid().tried(undeliverable());
    assert_eq!(story.try_take(Input::Notify), Err(Refused::DeliveryFenced));
    assert_eq!(story.try_take(Input::Delivery(Report::Failed(None))), Err(Refused::DeliveryFenced));
    let event = story.charge.delivery.event.unwrap();
    let story = story.take(Input::WebhookTried { event, answer: refused() });
    assert!(story.effects.is_empty());
}

#[test]
fn delivered_is_final_and_its_repeat_is_welcome() {
    let mut story = Story::of(GIVE_BACK).paid().tried(Answer::Delivered);
    assert_eq!(story.try_take(Input::Delivery(Report::Delivered(None))), Ok(()));
    assert_eq!(story.try_take(Input::Delivery(Report::Failed(None))), Err(Refused::AlreadyDelivered));
    let story = story.tried(undeliverable()).later(900).take(deadline(false));
    assert_eq!((story.charge.delivery.status(), refund_kinds(&story)), (DeliveryStatus::Delivered, vec![]));
}

#[test]
fn a_try_that_ends_after_delivered_is_told_under_its_own_version() {
    let story = Story::of(DELIVER_ON).paid().take(Input::Delivery(Report::Delivered(None)));
    let version = story.charge.version;
    let story = story.tried(doubtful());
    assert_eq!((story.events.len(), story.charge.version), (1, version + 1));
}

#[test]
fn a_payment_that_went_back_elsewhere_is_held_until_a_person_has_spoken() {
    let mut elsewhere = payment(1, "tx1", AMOUNT);
    elsewhere.refunded = 1;
    let mut held = Story::of(DELIVER_ON).shown(1, false).take(reports(1, elsewhere));
    assert_eq!((held.breaks(), held.charge.delivery.status()), (vec![BreakKind::RefundDiffers], DeliveryStatus::None));
    assert_eq!(held.try_take(Input::Notify), Err(Refused::InvalidState));
    let sent = held.take(resolves(BreakKind::RefundDiffers, "tx1", Resolution::Deliver));
    assert_eq!(sent.charge.delivery.status(), DeliveryStatus::Pending);
    assert_eq!(sent.due(EffectKey::Webhook(sent.charge.delivery.event.unwrap())), Some(0));
}

#[test]
fn news_is_tried_on_its_ladder_until_it_is_acknowledged() {
    let mut story = Story::of(DELIVER_ON).take(Input::Close);
    let [webhook] = story.charge.webhooks.as_slice() else { panic!("{:?}", story.charge.webhooks) };
    let event = webhook.event;
    let mut gaps = Vec::new();
    for _ in 0..11 {
        story = story.take(Input::WebhookTried { event, answer: refused() });
        let gap_s = story.due(EffectKey::Webhook(event)).unwrap();
        gaps.push(gap_s);
        story = story.later(gap_s);
    }
    assert_eq!(gaps, [1, 5, 15, 30, 60, 60, 300, 900, 3600, 3600, 3600]);
    let heard = story.take(Input::WebhookTried { event, answer: Answer::Accepted });
    assert!(heard.charge.webhooks.is_empty());
    assert_eq!(heard.effects, [Effect::Forget(EffectKey::Webhook(event))]);
}

#[test]
fn news_that_nobody_takes_ends_after_72_hours() {
    let story = Story::of(DELIVER_ON).take(Input::Close);
    let event = story.charge.webhooks.first().unwrap().event;
    let tried = Input::WebhookTried { event, answer: refused() };
    let story = story.later(71 * 3600).take(tried.clone());
    assert_eq!(story.charge.webhooks.len(), 1);
    assert!(story.later(3600).take(tried).charge.webhooks.is_empty());
}

#[test]
fn a_delivered_charge_is_told_again_once_where_asked_and_stays_delivered() {
    for answer in [Answer::Delivered, undeliverable(), refused(), doubtful()] {
        let story = Story::of(GIVE_BACK).paid().tried(Answer::Delivered).take(Input::Notify);
        let webhook = EffectKey::Webhook(story.charge.delivery.event.unwrap());
        assert_eq!((story.due(webhook), story.charge.delivery.is_owed()), (Some(0), true));
        let story = story.tried(answer);
        assert_eq!((story.charge.stage(), story.charge.delivery.is_owed()), (Stage::Completed, false));
        assert!(story.due(webhook).is_none() && story.charge.refunds.is_empty() && story.charge.breaks.is_empty());
    }
}
