//! Random histories of a charge against the model.

use super::moves::{Move, beginning, moves};
use super::world::World;
use super::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const LENGTH_MAX: usize = 80;

fn history() -> impl Strategy<Value = (Policy, Vec<Move>)> {
    let policy = prop_oneof![Just(DELIVER_ON), Just(GIVE_BACK)];
    let rest = proptest::collection::vec(moves(), 1..LENGTH_MAX);
    (policy, beginning(), rest).prop_map(|(policy, beginning, rest)| (policy, [beginning, rest].concat()))
}

fn live(policy: Policy, history: &[Move]) -> World {
    let mut world = World::of(policy);
    for what in history {
        world.happen(what);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_history_breaks_a_rule((policy, history) in history()) {
        live(policy, &history);
    }

    #[test]
    fn a_charge_survives_being_written_and_read((policy, history) in history()) {
        let charge = live(policy, &history).charge;
        let text = serde_json::to_string(&charge).unwrap();
        prop_assert_eq!(serde_json::from_str::<Charge>(&text).unwrap(), charge);
    }
}

#[test]
fn random_histories_reach_every_corner() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
    for _ in 0..500 {
        let (policy, history) = history().new_tree(&mut runner).unwrap().current();
        for (word, times) in live(policy, &history).model.seen {
            *seen.entry(word).or_default() += times;
        }
    }
    let corners = [
        "paid late",
        "fenced",
        "in doubt",
        "delivered",
        "refunded",
        "closed",
        "surplus",
        "two payable",
        "next number",
        "deliver",
        "refund",
        "accept",
        "write_off",
        "taken",
        "returned",
        "bounced",
        "replaced",
    ];
    let breaks = [
        BreakKind::AmountDiffers,
        BreakKind::Duplicate,
        BreakKind::Undelivered,
        BreakKind::Undeliverable,
        BreakKind::RefundDiffers,
        BreakKind::DeliveredAfterRefund,
    ];
    for corner in corners.into_iter().chain(breaks.map(BreakKind::as_str)) {
        assert!(seen.get(corner).is_some_and(|times| *times >= 10), "{corner} was hardly reached: {seen:?}");
    }
}

#[test]
fn an_old_record_without_the_newer_fields_is_read() {
    let charge = Story::of(DELIVER_ON).paid().take(refunds(1, 500)).charge;
    let mut value = serde_json::to_value(&charge).unwrap();
    for field in ["judged", "surplus", "refunded_outside"] {
        value.as_object_mut().unwrap().remove(field).unwrap();
    }
    value["refunds"][0].as_object_mut().unwrap().remove("accepted").unwrap();
    assert_eq!(serde_json::from_value::<Charge>(value).unwrap(), charge);
}
