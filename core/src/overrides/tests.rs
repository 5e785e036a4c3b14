//! A test a rule. `w1` and `w2` are two accounts of one method, `a1` is the only one of another.

use super::*;

const NOW: UnixMillis = UnixMillis(1_766_000_000_000);

fn standing(channel: &str, provider: &str) -> Standing {
    Standing {
        channel: channel.parse().unwrap(),
        provider: provider.parse().unwrap(),
        enabled: true,
        routable: true,
        open_attempts: 3,
        in_flight_max: 64,
        per_second_max: 300,
        day_amount_left: None,
        day_count_left: None,
    }
}

fn three() -> Vec<Standing> {
    vec![standing("w1", "wechatpay"), standing("w2", "wechatpay"), standing("a1", "alipay")]
}

fn channel(name: &str) -> Target {
    Target::Channel(name.parse().unwrap())
}

fn provider(name: &str) -> Target {
    Target::Provider(name.parse().unwrap())
}

fn order(n: u128, action: Action, target: Target) -> Override {
    Override {
        id: OverrideId::new(NOW, n),
        action,
        target,
        reason: "the bank is down".to_owned(),
        actor: "li".to_owned(),
        created_at: NOW,
        ends_at: NOW.plus_s(900),
        version: 0,
    }
}

fn with(orders: &[Override]) -> Overrides {
    let insist = Terms { even_if_last: true, ..Terms::default() };
    let place = |all: Overrides, order: &Override| all.place(order.clone(), &three(), insist, NOW).unwrap().next;
    orders.iter().fold(Overrides::default(), place)
}

/// Drained, forced.
fn stands(all: &Overrides, name: &str, now: UnixMillis) -> (bool, bool) {
    let one = three().into_iter().find(|one| one.channel.as_str() == name).unwrap();
    (all.is_drained(&one.channel, &one.provider, now), all.is_forced(&one.channel, &one.provider, now))
}

#[test]
fn an_override_covers_its_channel_or_every_channel_of_its_provider() {
    let one = with(&[order(1, Action::Drain, channel("w1"))]);
    assert_eq!([stands(&one, "w1", NOW), stands(&one, "w2", NOW)], [(true, false), (false, false)]);
    let all = with(&[order(1, Action::Force, provider("wechatpay"))]);
    assert_eq!([stands(&all, "w1", NOW), stands(&all, "w2", NOW)], [(false, true); 2]);
    assert_eq!(stands(&all, "a1", NOW), (false, false));
}

#[test]
fn an_override_ends_by_the_clock_alone() {
    let all = with(&[order(1, Action::Drain, channel("w1"))]);
    assert_eq!(stands(&all, "w1", NOW.plus_ms(899_999)), (true, false));
    assert_eq!(stands(&all, "w1", NOW.plus_s(900)), (false, false));
    assert_eq!(all.in_force(NOW.plus_s(900)).count(), 0);
}

#[test]
fn drain_beats_force_however_they_were_ordered() {
    let (drain, force) = (order(1, Action::Drain, channel("w1")), order(2, Action::Force, provider("wechatpay")));
    for orders in [[drain.clone(), force.clone()], [force, drain]] {
        let all = with(&orders);
        assert_eq!(stands(&all, "w1", NOW), (true, false));
        assert_eq!(stands(&all, "w2", NOW), (false, true));
    }
}

#[test]
fn the_end_that_is_shown_is_the_last_one() {
    let mut longer = order(2, Action::Drain, provider("wechatpay"));
    longer.ends_at = NOW.plus_s(3600);
    let all = with(&[order(1, Action::Drain, channel("w1")), longer]);
    let (w1, wechatpay) = ("w1".parse().unwrap(), "wechatpay".parse().unwrap());
    assert_eq!(all.ends_at(&w1, &wechatpay, Action::Drain, NOW), Some(NOW.plus_s(3600)));
    assert_eq!(all.over(&w1, &wechatpay, NOW).map(|one| one.id), Some(OverrideId::new(NOW, 2)));
    assert_eq!(all.ends_at(&w1, &wechatpay, Action::Force, NOW), None);
}

#[test]
fn the_same_order_again_replaces_the_first() {
    let mut longer = order(2, Action::Drain, channel("w1"));
    longer.ends_at = NOW.plus_s(1800);
    let all = with(&[order(1, Action::Drain, channel("w1")), order(3, Action::Force, channel("w1")), longer]);
    let ids: Vec<OverrideId> = all.in_force(NOW).map(|one| one.id).collect();
    assert_eq!(ids, [OverrideId::new(NOW, 3), OverrideId::new(NOW, 2)]);
}

#[test]
fn a_method_is_never_left_without_a_channel_unless_the_operator_insists() {
    let refused = |all: &Overrides, target: Target, channels: &[Standing]| {
        let placed = all.place(order(9, Action::Drain, target), channels, Terms::default(), NOW);
        placed.err().map(|refused| refused.to_string())
    };
    let none = Overrides::default();
    let alone = Some("no channel would be left for alipay".to_owned());
    let wechat = Some("no channel would be left for wechatpay".to_owned());
    assert_eq!(refused(&none, channel("w1"), &three()), None, "w2 is left");
    assert_eq!(refused(&none, channel("a1"), &three()), alone);
    assert_eq!(refused(&none, provider("wechatpay"), &three()), wechat);
    assert_eq!(refused(&with(&[order(1, Action::Drain, channel("w2"))]), channel("w1"), &three()), wechat);
    let mut sick = three();
    sick[1].routable = false;
    assert_eq!(refused(&none, channel("w1"), &sick), wechat, "an ejected channel is no channel");
    sick[1].enabled = false;
    assert_eq!(refused(&none, channel("w2"), &sick), None, "one that is switched off takes nothing away");
    let force = none.place(order(9, Action::Force, channel("a1")), &three(), Terms::default(), NOW);
    assert!(force.is_ok(), "a force takes nothing away");
    let insist = Terms { even_if_last: true, ..Terms::default() };
    assert!(none.place(order(9, Action::Drain, channel("a1")), &three(), insist, NOW).is_ok());
}

#[test]
fn a_dry_run_counts_what_is_in_flight_and_what_is_left_elsewhere() {
    let all = with(&[order(1, Action::Drain, channel("w2"))]);
    let seen = all.consequence(Action::Drain, &channel("w1"), &three(), NOW);
    assert_eq!(seen.open_attempts(), 3);
    let elsewhere: Vec<&str> = seen.elsewhere.iter().map(|one| one.channel.as_str()).collect();
    assert_eq!(elsewhere, ["a1"], "what is drained already is no capacity");
    assert_eq!((seen.stranded.len(), seen.replaces, seen.version), (1, None, 1));
    let again = all.consequence(Action::Drain, &channel("w2"), &three(), NOW);
    assert_eq!(again.replaces, Some(OverrideId::new(NOW, 1)));
}

#[test]
fn a_change_is_made_only_on_what_was_looked_at() {
    let all = with(&[order(1, Action::Force, channel("w1"))]);
    let terms = |version| Terms { if_version: Some(version), even_if_last: false };
    let place = |version, now| all.place(order(2, Action::Drain, channel("a1")), &three(), terms(version), now);
    assert_eq!(place(0, NOW), Err(Refused::Changed { now_at: 1 }), "and the guard comes before the safety rule");
    assert!(matches!(place(1, NOW), Err(Refused::WouldLeaveNoChannel(_))));
    let ended = NOW.plus_s(900);
    assert_eq!(place(1, ended), Err(Refused::Changed { now_at: 2 }), "an end is a change too");
    assert_eq!(all.restore(OverrideId::new(NOW, 1), Some(7), NOW), Err(Refused::Changed { now_at: 1 }));
}

#[test]
fn an_override_is_restored_once() {
    let all = with(&[order(1, Action::Drain, channel("w1")), order(2, Action::Force, channel("a1"))]);
    let id = OverrideId::new(NOW, 1);
    let (left, ended) = all.restore(id, Some(2), NOW).unwrap();
    assert_eq!((ended.id, left.version(NOW), left.in_force(NOW).count()), (id, 3, 1));
    assert_eq!(left.restore(id, None, NOW), Err(Refused::NotFound));
    assert_eq!(all.restore(id, None, NOW.plus_s(900)), Err(Refused::NotFound), "it ended by itself");
}

#[test]
fn the_version_never_goes_back() {
    let mut all = Overrides::default();
    let mut last = 0;
    for n in 0..20_u32 {
        let now = NOW.plus_s(i64::from(n) * 400);
        let mut next = order(u128::from(n), Action::Force, channel(if n % 2 == 0 { "w1" } else { "w2" }));
        next.ends_at = now.plus_s(900);
        all = all.place(next, &three(), Terms::default(), now).unwrap().next;
        assert!(all.version(now) > last, "{n}");
        last = all.version(now);
    }
    assert_eq!(all.version(NOW.plus_s(1_000_000)), last + 2, "each end that nobody saw counts");
}
