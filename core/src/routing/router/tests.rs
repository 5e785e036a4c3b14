//! Each part of the router, by what it does to choices.

use super::*;
use proptest::prelude::*;

const T0: UnixMillis = UnixMillis(1_766_000_000_000);
const BOTH: Ask = Ask { amount: 5_000, open: 0b11, preferred: 0, last_used: 0, direct: false, first: true };

fn two(fees: [f64; 2]) -> Router {
    let terms = fees.map(|fee_bps| Terms { fee_bps, fee_fixed: 0.0, contract_per_s: None, provider: 0, rank: 0 });
    Router::new(terms.to_vec(), 0.1)
}

/// How many of 1000 payments with a choice go to channel 0.
fn of_thousand(router: &Router, ask: &Ask, now: UnixMillis) -> usize {
    let mut router = router.clone();
    (0..1_000).filter(|seed| router.choose(ask, *seed, now).channel == Some(0)).count()
}

fn fail(router: &mut Router, channel: usize, times: usize, now: UnixMillis) {
    for _ in 0..times {
        router.apply(Input::Sent { channel, probe: false }, now);
        router.apply(Input::Failed { channel, latency_ms: 80 }, now);
    }
}

/// A minute of orders on both channels, twenty a second, nine in ten paid after some seconds; from the second `broken_s`
/// on channel 0's are not paid. Gives back the questions asked and the time of the end.
fn minutes(router: &mut Router, seconds: i64, broken_s: i64, answer: bool) -> (usize, UnixMillis) {
    let (mut asked, mut due) = (0, Vec::new());
    for quarter in 0..seconds * 4 {
        let now = T0.plus_ms(quarter * 250);
        for n in 0..10 {
            let (channel, order) = (usize::try_from(n % 2).unwrap(), u64::try_from(quarter * 10 + n).unwrap());
            router.apply(Input::Accepted { channel, order, latency_ms: Some(100) }, now);
            let dead = channel == 0 && quarter >= broken_s * 4;
            if order % 10 < 9 && !dead {
                due.push((quarter + 8 + (quarter * 7 + n) % 40, channel, order, now));
            }
        }
        for (_, channel, order, accepted_at) in due.iter().filter(|d| d.0 == quarter) {
            router.apply(Input::Paid { channel: *channel, order: *order, accepted_at: *accepted_at }, now);
        }
        for (channel, order) in router.tick(now) {
            asked += 1;
            router.apply(Input::Queried { channel, order, paid: answer }, now);
        }
    }
    (asked, T0.plus_s(seconds))
}

#[test]
fn equal_channels_share_the_traffic() {
    let to_first = of_thousand(&two([38.0, 38.0]), &BOTH, T0);
    assert!((400..600).contains(&to_first), "{to_first}");
}

#[test]
fn the_cheaper_of_two_equal_channels_gets_nearly_all() {
    assert!(of_thousand(&two([20.0, 60.0]), &BOTH, T0) > 950);
}

#[test]
fn nothing_outside_the_offer_is_chosen() {
    let mut router = two([20.0, 60.0]);
    fail(&mut router, 1, 9, T0);
    let only = Ask { open: 0b10, ..BOTH };
    assert_eq!(router.choose(&only, 1, T0).channel, Some(1));
    assert_eq!(router.choose(&Ask { open: 0, ..BOTH }, 1, T0).channel, None);
}

#[test]
fn the_same_seed_gives_the_same_choice() {
    let router = two([38.0, 38.0]);
    let choices = |mut r: Router| (0..200).map(|seed| r.choose(&BOTH, seed, T0)).collect::<Vec<_>>();
    assert_eq!(choices(router.clone()), choices(router));
}

#[test]
fn five_failures_in_a_row_take_a_channel_out_and_three_probes_bring_it_back() {
    let mut router = two([38.0, 38.0]);
    fail(&mut router, 0, 4, T0);
    assert_eq!(router.view(0, T0).unwrap().standing, Standing::In);
    fail(&mut router, 0, 1, T0);
    assert_eq!(router.view(0, T0).unwrap().standing, Standing::Out);
    assert_eq!(of_thousand(&router, &BOTH, T0), 0);
    let mut now = T0.plus_ms(1_000);
    for _ in 0..10 {
        let probe = Choice { channel: Some(0), reason: Reason::Probe };
        let due = (0..20).any(|seed| router.choose(&BOTH, seed, now) == probe);
        if due {
            router.apply(Input::Sent { channel: 0, probe: true }, now);
            router.apply(Input::Accepted { channel: 0, order: 1, latency_ms: Some(50) }, now.plus_ms(50));
        }
        now = now.plus_ms(500);
    }
    assert!(matches!(router.view(0, now).unwrap().standing, Standing::Returning | Standing::In));
    assert!(of_thousand(&router, &BOTH, now.plus_s(20)) > 300);
}

#[test]
fn refusals_never_touch_health_but_leave_no_room() {
    let mut router = two([38.0, 38.0]);
    for n in 0..50 {
        let at = T0.plus_ms(n * 20);
        router.apply(Input::Sent { channel: 0, probe: false }, at);
        router.apply(Input::Refused { channel: 0 }, at);
    }
    let now = T0.plus_ms(1_000);
    let view = router.view(0, now).unwrap();
    assert!((view.accepts - 0.98).abs() < 1e-9 && view.standing == Standing::In, "{view:?}");
    assert_eq!(of_thousand(&router, &BOTH, now), 0);
}

#[test]
fn silence_that_queries_confirm_takes_a_channel_out() {
    let mut router = two([38.0, 38.0]);
    let (asked, now) = minutes(&mut router, 140, 120, false);
    assert!((1..=40).contains(&asked), "{asked} questions");
    assert_eq!(router.view(0, now).unwrap().standing, Standing::Out);
    assert_eq!(router.view(1, now).unwrap().standing, Standing::In);
}

#[test]
fn late_news_takes_nothing_out() {
    let mut router = two([38.0, 38.0]);
    let (asked, now) = minutes(&mut router, 140, 120, true);
    assert!(asked > 40, "orders are asked about while news is late, not {asked}");
    let view = router.view(0, now).unwrap();
    assert!(view.standing == Standing::In && view.converts > 0.8, "{view:?}");
}

#[test]
fn three_misconfigured_answers_take_one_account_out_alone() {
    let mut router = two([38.0, 38.0]);
    for _ in 0..3 {
        router.apply(Input::Sent { channel: 0, probe: false }, T0);
        router.apply(Input::Misconfigured { channel: 0 }, T0);
    }
    assert_eq!(of_thousand(&router, &BOTH, T0), 0);
    assert!((router.view(0, T0).unwrap().accepts - 0.98).abs() < 1e-9);
}

#[test]
fn second_tries_without_room_run_out() {
    let mut router = two([38.0, 38.0]);
    for channel in 0..2 {
        router.apply(Input::Sent { channel, probe: false }, T0);
        router.apply(Input::Refused { channel }, T0);
    }
    let again = Ask { first: false, ..BOTH };
    let given = (0..500).filter(|seed| router.choose(&again, *seed, T0).channel.is_some()).count();
    assert_eq!(given, 100, "the budget of second tries");
}

#[test]
fn what_is_known_survives_a_restart_and_calls_in_flight_do_not() {
    let mut router = two([38.0, 38.0]);
    let (_, mut now) = minutes(&mut router, 60, 100, false);
    fail(&mut router, 0, 5, now);
    router.apply(Input::Sent { channel: 1, probe: false }, now);
    now = now.plus_ms(500);
    let mut again = two([38.0, 38.0]);
    let third = again.add(Terms { fee_bps: 20.0, fee_fixed: 0.0, contract_per_s: None, provider: 2, rank: 2 });
    assert_eq!(third, Some(2));
    for place in 0..2 {
        let text = serde_json::to_string(&router.memory(place).unwrap()).unwrap();
        assert!(text.len() < 3_000, "{} bytes are kept of a channel", text.len());
        again.recall(place, &serde_json::from_str(&text).unwrap(), now);
    }
    again.tick(now);
    assert_eq!(again.view(0, now).unwrap().standing, Standing::Out);
    assert!((router.view(1, now).unwrap().converts - again.view(1, now).unwrap().converts).abs() < 0.03);
    assert_eq!(again.explain(&BOTH, 5, now).offers[1].in_flight, 0);
}

#[test]
fn a_channel_that_no_bit_can_name_is_not_added() {
    let terms = Terms { fee_bps: 38.0, fee_fixed: 0.0, contract_per_s: None, provider: 0, rank: 0 };
    let mut router = Router::new(vec![terms; 63], 0.1);
    assert_eq!((router.add(terms), router.add(terms)), (Some(63), None));
    assert!(router.choose(&Ask { open: u64::MAX, ..BOTH }, 1, T0).channel.is_some_and(|channel| channel < 64));
}

#[test]
fn what_the_payer_likes_wins_near_ties_and_never_against_health() {
    let router = two([38.0, 38.0]);
    let liked = Ask { preferred: 0b01, ..BOTH };
    let used = Ask { last_used: 0b01, ..BOTH };
    assert!(of_thousand(&router, &liked, T0) > of_thousand(&router, &used, T0));
    assert!(of_thousand(&router, &used, T0) > 850);
    let mut router = router;
    fail(&mut router, 0, 4, T0);
    assert!(of_thousand(&router, &used, T0) < 300, "calls fail there");
    fail(&mut router, 0, 1, T0);
    assert_eq!(of_thousand(&router, &Ask { preferred: 0b01, last_used: 0b01, ..BOTH }, T0), 0);
}

#[test]
fn a_liking_that_made_the_difference_is_the_reason() {
    let mut router = two([38.0, 38.1]);
    let liked = Ask { preferred: 0b10, ..BOTH };
    let reasons: Vec<_> = (0..200).map(|seed| router.choose(&liked, seed, T0)).collect();
    let of = |channel| reasons.iter().find(|c| c.channel == Some(channel) && c.reason != Reason::Explore);
    assert_eq!(of(1).unwrap().reason, Reason::Preferred);
    assert!(of(0).is_none_or(|choice| choice.reason == Reason::Tie));
}

#[test]
fn every_change_of_standing_is_told_once_with_its_cause() {
    let mut router = two([38.0, 38.0]);
    fail(&mut router, 0, 5, T0);
    let told = router.changes();
    let out = Change { channel: 0, at: T0, from: Standing::In, to: Standing::Out, cause: Cause::Calls };
    assert_eq!((told, router.changes()), (vec![out], Vec::new()));
    let mut now = T0.plus_ms(1_000);
    for _ in 0..3 {
        router.apply(Input::Sent { channel: 0, probe: true }, now);
        router.apply(Input::Accepted { channel: 0, order: 1, latency_ms: Some(0) }, now);
        now = now.plus_ms(600);
    }
    while now < T0.plus_s(30) {
        router.tick(now);
        now = now.plus_ms(250);
    }
    let told: Vec<_> = router.changes().iter().map(|c| (c.from, c.to, c.cause)).collect();
    assert_eq!(
        told,
        [(Standing::Out, Standing::Returning, Cause::Calls), (Standing::Returning, Standing::In, Cause::Calls)]
    );
}

#[test]
fn a_siblings_outage_makes_three_failures_enough() {
    let terms = |provider| Terms { fee_bps: 38.0, fee_fixed: 0.0, contract_per_s: None, provider, rank: 0 };
    let mut router = Router::new(vec![terms(1), terms(1), terms(2), terms(1)], 0.1);
    fail(&mut router, 0, 5, T0);
    router.apply(Input::Accepted { channel: 3, order: 1, latency_ms: Some(20) }, T0);
    for channel in [3, 2, 1] {
        assert_eq!(router.view(channel, T0).unwrap().standing, Standing::In, "watched, not taken out");
        fail(&mut router, channel, 3, T0);
    }
    let standings = [1, 2, 3].map(|channel| router.view(channel, T0).unwrap().standing);
    assert_eq!(standings, [Standing::Out, Standing::In, Standing::In], "sibling, stranger, sibling that was cleared");
}

#[test]
fn outages_of_all_at_once_are_ours_and_take_nothing_out() {
    let terms = |provider| Terms { fee_bps: 38.0, fee_fixed: 0.0, contract_per_s: None, provider, rank: 0 };
    let mut router = Router::new(vec![terms(1), terms(2), terms(3)], 0.1);
    router.choose(&BOTH, 1, T0);
    fail(&mut router, 0, 5, T0);
    assert!(!router.is_it_us(T0));
    fail(&mut router, 1, 5, T0.plus_ms(4_000));
    let now = T0.plus_ms(4_000);
    assert!(router.is_it_us(now), "the third channel was never offered");
    fail(&mut router, 0, 20, now);
    assert!([0, 1].map(|channel| router.view(channel, now).unwrap().standing) == [Standing::In; 2]);
    for _ in 0..3 {
        router.apply(Input::Accepted { channel: 1, order: 1, latency_ms: Some(20) }, now);
    }
    assert!(!router.is_it_us(now));
    fail(&mut router, 0, 5, now);
    assert_eq!(router.view(0, now).unwrap().standing, Standing::Out, "and now it is that channel's own");
}

#[test]
fn outages_one_after_another_or_of_one_provider_are_not_ours() {
    for (second_at_ms, providers) in [(6_000, [1, 2]), (100, [1, 1])] {
        let terms = |provider| Terms { fee_bps: 38.0, fee_fixed: 0.0, contract_per_s: None, provider, rank: 0 };
        let mut router = Router::new(providers.map(terms).to_vec(), 0.1);
        let now = T0.plus_ms(second_at_ms);
        fail(&mut router, 0, 5, T0);
        router.choose(&BOTH, 1, now);
        fail(&mut router, 1, 5, now);
        assert!(!router.is_it_us(now), "{providers:?}");
        assert_eq!(router.view(1, now).unwrap().standing, Standing::Out);
    }
}

fn any_input() -> impl Strategy<Value = Input> {
    let channel = 0_usize..4;
    (channel, 0_u64..50, 0_i64..5_000, 0_u8..9).prop_map(|(channel, order, ms, kind)| match kind {
        0 => Input::Sent { channel, probe: ms % 2 == 0 },
        1 | 2 => Input::Accepted { channel, order, latency_ms: Some(ms) },
        3 => Input::Failed { channel, latency_ms: ms },
        4 => Input::TimedOut { channel, latency_ms: ms },
        5 => Input::Refused { channel },
        6 => Input::Paid { channel, order, accepted_at: T0.plus_ms(ms * 10) },
        7 => Input::Expired { channel, order },
        _ => Input::Queried { channel, order, paid: ms % 2 == 0 },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happens_the_choice_is_offered_and_every_number_is_sane(
        inputs in prop::collection::vec((any_input(), 0_i64..2_000, 0_u64..8), 1..300)
    ) {
        let terms = Terms { fee_bps: 38.0, fee_fixed: 0.0, contract_per_s: Some(20.0), provider: 0, rank: 0 };
        let mut router = Router::new(vec![terms; 3], 0.1);
        let mut now = T0;
        for (input, passed_ms, open) in inputs {
            now = now.plus_ms(passed_ms);
            router.apply(input, now);
            router.tick(now);
            let ask = Ask { open, first: passed_ms % 3 > 0, preferred: open & 2, last_used: open & 4, ..BOTH };
            let seed = u64::try_from(passed_ms).unwrap();
            let (mut one, mut other) = (router.clone(), router.clone());
            let explained = one.decide(&ask, seed, now);
            prop_assert_eq!(explained.choice, router.explain(&ask, seed, now).choice);
            prop_assert_eq!(explained.choice, other.choose(&ask, seed, now));
            prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
            if let Some(channel) = router.choose(&ask, seed, now).channel {
                prop_assert!(open & (1 << channel) != 0);
            }
            for channel in 0..3 {
                let view = router.view(channel, now).unwrap();
                prop_assert!((0.0..=1.0).contains(&view.accepts), "{:?}", view);
                prop_assert!((0.0..=1.2).contains(&view.converts), "{:?}", view);
                prop_assert!(view.latency_ms.is_finite() && router.value(channel, &BOTH, now).is_finite());
            }
        }
    }
}
