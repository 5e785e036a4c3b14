//! The choice as a table: who is tried first, who is left out, and that equal arguments choose equally.

use super::*;
use crate::routing::Signal;
use proptest::prelude::*;

const NOW: UnixMillis = UnixMillis(1_766_000_000_000);

fn candidate(channel: &str, fee_bps: i64) -> Candidate {
    Candidate {
        channel: channel.parse().unwrap(),
        fee_bps,
        health: Health::new(NOW),
        preferred: false,
        forced: false,
        excluded: None,
    }
}

fn sick(mut candidate: Candidate) -> Candidate {
    for _ in 0..3 {
        candidate.health = candidate.health.noted(Signal::Failed { latency_ms: 50 }, NOW);
    }
    candidate
}

fn choice(candidates: &[Candidate], seed: u64) -> (Option<String>, Because) {
    let decision = choose(candidates, &Weights::default(), Because::Score, seed, NOW);
    (decision.channel.map(|c| c.to_string()), decision.chosen_because)
}

#[test]
fn the_cheaper_of_two_equal_channels_gets_most() {
    let two = [candidate("dear", 100), candidate("cheap", 38)];
    let cheap = (0..1000_u64).filter(|n| choice(&two, n << 54).0.as_deref() == Some("cheap")).count();
    assert!(cheap > 990, "{cheap}");
}

#[test]
fn a_sick_channel_is_left_and_tried_when_nothing_else_is_left() {
    let (a, b) = (sick(candidate("a", 38)), candidate("b", 60));
    assert_eq!(choice(&[a.clone(), b], 7), (Some("b".into()), Because::OnlyOne));
    assert_eq!(choice(&[a], 7), (Some("a".into()), Because::OnlyOne));
}

#[test]
fn a_channel_whose_pause_is_over_gets_one_probe() {
    let mut a = sick(candidate("a", 38));
    let later = NOW.plus_s(2);
    let b = candidate("b", 60);
    let decide =
        |a: &Candidate| choose(&[a.clone(), b.clone()], &Weights::default(), Because::Score, 7, later).chosen_because;
    assert_eq!(decide(&a), Because::Probe);
    a.health = a.health.probed(later);
    assert_eq!(decide(&a), Because::OnlyOne);
}

#[test]
fn a_forced_channel_goes_first_and_a_drained_one_never() {
    let mut forced = candidate("forced", 500);
    forced.forced = true;
    assert_eq!(choice(&[candidate("a", 1), forced.clone()], 7), (Some("forced".into()), Because::Forced));
    forced.excluded = Some(Exclusion::Drained);
    assert_eq!(choice(&[candidate("a", 1), forced], 7), (Some("a".into()), Because::OnlyOne));
}

proptest! {
    #[test]
    fn the_choice_is_never_an_excluded_channel(excluded in proptest::collection::vec(any::<bool>(), 1..8), seed: u64) {
        let candidates: Vec<_> = excluded.iter().enumerate().map(|(n, out)| {
            let mut c = candidate(&format!("c{n}"), 30);
            c.excluded = out.then_some(Exclusion::Scene);
            c
        }).collect();
        let decision = choose(&candidates, &Weights::default(), Because::Score, seed, NOW);
        prop_assert_eq!(&decision, &choose(&candidates, &Weights::default(), Because::Score, seed, NOW));
        match decision.channel {
            Some(chosen) => prop_assert!(candidates.iter().any(|c| c.channel == chosen && c.excluded.is_none())),
            None => prop_assert!(excluded.iter().all(|out| *out)),
        }
    }
}
