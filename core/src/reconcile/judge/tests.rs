//! Every place by example, and the tolerance of fees by property.

use super::*;
use crate::fixtures::{T0, attempt_id, refund_id};
use crate::money::Money;
use proptest::prelude::*;

const FEE: FeeRule = FeeRule { fee_bps: 60, fixed: 0 };

fn day() -> Day {
    Day::new(2026, 12, 1).unwrap()
}

fn entry(kind: LineKind, status: EntryStatus) -> Entry {
    Entry {
        channel: "wechat-main".parse().unwrap(),
        day: day(),
        kind,
        number: "N1".to_owned(),
        provider_trade_no: "T1".to_owned(),
        charge: ChargeId::new(T0, 7),
        attempt: attempt_id(1),
        refund: (kind == LineKind::Refund).then(|| refund_id(1)),
        amount: Money::cny(1999),
        status,
    }
}

fn line(kind: LineKind, status: LineStatus) -> StatementLine {
    StatementLine {
        line: 1,
        kind,
        status,
        provider_order_no: Some("N1".to_owned()),
        provider_trade_no: Some("T1".to_owned()),
        provider_refund_no: (kind == LineKind::Refund).then(|| "N1".to_owned()),
        amount: Money::cny(1999),
        fee: Some(if kind == LineKind::Payment { 12 } else { -12 }),
        at: None,
    }
}

const fn facts(entry: Option<&Entry>, day: Day) -> Facts<'_> {
    Facts { day, entry, known: Known::Nobody, seen: false, owed: None, fee: FEE }
}

fn place_of(line: &StatementLine, entry: &Entry) -> &'static str {
    judge(line, &facts(Some(entry), day())).place.as_str()
}

#[test]
fn what_both_sides_say_alike_matches_and_asks_nobody() {
    let entry = entry(LineKind::Payment, EntryStatus::Counted);
    let verdict = judge(&line(LineKind::Payment, LineStatus::Done), &facts(Some(&entry), day()));
    let wanted = Verdict { place: Place::Matched, ours: Some(1999), repair: Repair::Nothing, named_by_charge: false };
    assert_eq!(verdict, wanted);
}

#[test]
fn every_status_of_a_refund_line_meets_every_status_here() {
    let rows = [
        (EntryStatus::Called, ["status_differs", "status_differs", "status_differs"]),
        (EntryStatus::Pending, ["status_differs", "matched", "status_differs"]),
        (EntryStatus::Succeeded, ["matched", "matched", "status_differs"]),
        (EntryStatus::Failed, ["refund_differs", "status_differs", "matched"]),
    ];
    for (ours, wanted) in rows {
        let found = [LineStatus::Done, LineStatus::Pending, LineStatus::Failed]
            .map(|status| place_of(&line(LineKind::Refund, status), &entry(LineKind::Refund, ours)));
        assert_eq!(found, wanted, "{ours:?}");
    }
}

#[test]
fn a_fen_too_many_is_a_break_of_its_kind() {
    let mut paid = line(LineKind::Payment, LineStatus::Done);
    paid.amount = Money::cny(2000);
    assert_eq!(place_of(&paid, &entry(LineKind::Payment, EntryStatus::Counted)), "amount_differs");
    let mut back = line(LineKind::Refund, LineStatus::Done);
    back.amount = Money::cny(1998);
    assert_eq!(place_of(&back, &entry(LineKind::Refund, EntryStatus::Succeeded)), "refund_differs");
}

#[test]
fn a_line_of_a_number_that_nobody_paid_here_asks_about_its_attempt_and_takes_nothing_of_ours() {
    let known = Known::Attempt(ChargeId::new(T0, 7), attempt_id(1));
    let verdict = judge(&line(LineKind::Payment, LineStatus::Done), &Facts { known, ..facts(None, day()) });
    let wanted = Repair::AskAttempt(ChargeId::new(T0, 7), attempt_id(1));
    assert_eq!((verdict.place.as_str(), verdict.ours, verdict.repair), ("missing_here", None, wanted));
    let nobody = judge(&line(LineKind::Refund, LineStatus::Done), &facts(None, day()));
    assert_eq!((nobody.place.as_str(), nobody.repair), ("refund_differs", Repair::Nothing));
}

#[test]
fn the_same_payment_twice_or_a_second_payment_of_one_order_is_a_duplicate() {
    let entry = entry(LineKind::Payment, EntryStatus::Counted);
    let paid = line(LineKind::Payment, LineStatus::Done);
    let again = judge(&paid, &Facts { seen: true, ..facts(Some(&entry), day()) });
    assert_eq!((again.place.as_str(), again.ours), ("duplicate", None));
    let second = StatementLine { provider_trade_no: Some("T2".to_owned()), ..paid };
    assert_eq!(place_of(&second, &entry), "duplicate");
}

#[test]
fn a_line_of_a_neighbours_entry_is_carried_over_and_takes_nothing_of_this_day() {
    let entry = Entry { day: day().plus(1), ..entry(LineKind::Payment, EntryStatus::Counted) };
    let verdict = judge(&line(LineKind::Payment, LineStatus::Done), &facts(Some(&entry), day()));
    assert_eq!((verdict.place, verdict.ours), (Place::CarriedOver, None));
}

#[test]
fn goods_that_are_owed_keep_the_name_that_the_charge_gave_them() {
    let entry = entry(LineKind::Payment, EntryStatus::Counted);
    let owed = Facts { owed: Some(BreakKind::Undeliverable), ..facts(Some(&entry), day()) };
    let verdict = judge(&line(LineKind::Payment, LineStatus::Done), &owed);
    assert_eq!((verdict.place.as_str(), verdict.named_by_charge), ("undeliverable", true));
}

#[test]
fn an_entry_without_a_line_waits_for_its_neighbours_and_is_then_missing_there() {
    let entry = entry(LineKind::Payment, EntryStatus::Counted);
    let place = |elsewhere, waits| judge_unlined(&entry, elsewhere, waits).unwrap().place.as_str();
    assert_eq!(place(false, true), "carried_over");
    assert_eq!(place(true, false), "carried_over");
    assert_eq!(place(false, false), "missing_there");
    assert_eq!(judge_unlined(&entry, false, false).unwrap().repair, entry.ask());
}

#[test]
fn a_refund_that_is_not_through_is_missed_by_nobody() {
    let of = |status| judge_unlined(&entry(LineKind::Refund, status), false, false).map(|verdict| verdict.place);
    assert_eq!(of(EntryStatus::Called), None);
    assert_eq!(of(EntryStatus::Failed), None);
    assert_eq!(of(EntryStatus::Pending), Some(Place::CarriedOver));
    assert_eq!(of(EntryStatus::Succeeded), Some(Place::Break(BreakKind::MissingThere)));
}

#[test]
fn fees_are_rounded_half_up_to_the_fen() {
    // Rows of a real settlement file.
    for (amount, fee) in [(83_800, 503), (9_900, 59), (142_200, 853), (476_800, 2_861), (1, 0)] {
        assert_eq!(FEE.expected(amount), fee);
    }
}

proptest! {
    #[test]
    fn a_fee_differs_only_past_one_fen(amount in 1_i64..1_000_000_000, off in -3_i64..=3) {
        let mut paid = line(LineKind::Payment, LineStatus::Done);
        paid.amount = Money::cny(amount);
        paid.fee = Some(FEE.expected(amount) + off);
        prop_assert_eq!(FEE.holds(&paid), off.abs() <= 1);
    }

    #[test]
    fn a_refund_gives_at_most_its_fee_back(amount in 1_i64..1_000_000_000, share in 0_i64..=100) {
        let mut back = line(LineKind::Refund, LineStatus::Done);
        back.amount = Money::cny(amount);
        back.fee = Some(-FEE.expected(amount) * share / 100);
        prop_assert!(FEE.holds(&back));
        back.fee = Some(-FEE.expected(amount) - 2);
        prop_assert!(!FEE.holds(&back));
    }
}
