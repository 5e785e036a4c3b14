//! Entries of charges told step by step, and of random histories against the rules of money.

use super::*;
use crate::charge::{Input, Policy};
use crate::effect::Source;
use crate::fixtures::{
    AMOUNT, DELIVER_ON, T0, attempt_id, failure, gives_code, new_attempt, new_charge, new_refund, payment, refund_id,
};
use crate::provider::{ErrorClass, Outcome, Payment, RefundOutcome, RefundRules};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn on(input: Input) -> Box<dyn Fn(Charge) -> Charge> {
    at(T0, input)
}

fn at(now: UnixMillis, input: Input) -> Box<dyn Fn(Charge) -> Charge> {
    Box::new(move |charge| charge.apply(input.clone(), now).unwrap().next)
}

fn open(n: u8) -> Input {
    Input::OpenAttempt { new: Box::new(new_attempt(n, T0)), overlap: true }
}

fn reported(n: u8, outcome: Outcome) -> Input {
    Input::Reported { attempt: attempt_id(n), outcome, source: Source::Query }
}

fn paid(n: u8, tx: &str, amount: i64) -> Input {
    reported(n, Outcome::Paid(payment(n, tx, amount)))
}

fn charge_with(policy: Policy, steps: &[Box<dyn Fn(Charge) -> Charge>]) -> Charge {
    steps.iter().fold(Charge::open(new_charge(policy), T0).next, |charge, step| step(charge))
}

fn of(charge: &Charge) -> Vec<(LineKind, String, String, i64, EntryStatus)> {
    let mut entries: Vec<_> = entries_of(charge, &|_| 0)
        .into_iter()
        .map(|one| (one.kind, one.number, one.provider_trade_no, one.amount.amount, one.status))
        .collect();
    entries.sort();
    entries
}

#[test]
fn what_was_not_paid_has_no_entry() {
    assert_eq!(of(&charge_with(DELIVER_ON, &[on(open(1)), on(reported(1, gives_code()))])), []);
}

#[test]
fn principal_surplus_a_second_payment_and_a_wrong_sum_each_have_theirs() {
    let steps = [
        on(open(1)),
        on(reported(1, gives_code())),
        on(open(2)),
        on(reported(2, gives_code())),
        on(paid(1, "T1", AMOUNT)),
        on(paid(2, "T2", AMOUNT)),
        on(paid(1, "T3", AMOUNT)),
        on(paid(2, "T4", AMOUNT + 1)),
    ];
    let charge = charge_with(DELIVER_ON, &steps);
    let numbers = |n: u8| crate::fixtures::order_no(n);
    let payment = |number: String, tx: &str, amount, status| (LineKind::Payment, number, tx.to_owned(), amount, status);
    let mut wanted = vec![
        payment(numbers(1), "T1", AMOUNT, EntryStatus::Counted),
        payment(numbers(2), "T2", AMOUNT, EntryStatus::GoingBack),
        payment(Entry::further(&numbers(1), "T3"), "T3", AMOUNT, EntryStatus::GoingBack),
        payment(Entry::further(&numbers(2), "T4"), "T4", AMOUNT + 1, EntryStatus::Disputed),
    ];
    wanted.sort();
    assert_eq!(of(&charge), wanted);
}

#[test]
fn a_wrong_sum_gives_its_number_up_to_the_right_one() {
    let wrong = charge_with(DELIVER_ON, &[on(open(1)), on(reported(1, gives_code())), on(paid(1, "T1", 1))]);
    assert_eq!(of(&wrong)[0].1, crate::fixtures::order_no(1));
    let right = on(paid(1, "T2", AMOUNT))(wrong);
    let numbers: Vec<_> = of(&right).into_iter().map(|one| (one.1, one.4)).collect();
    let number = crate::fixtures::order_no(1);
    let further = Entry::further(&number, "T1");
    assert_eq!(numbers, [(number, EntryStatus::Counted), (further, EntryStatus::Disputed)]);
}

#[test]
fn a_refund_has_an_entry_from_its_first_call_and_its_day_is_the_day_it_was_taken_on() {
    let day_ms = 86_400_000;
    let refund = Input::Refund { new: Box::new(new_refund(1, 500)), sending: false, rules: RefundRules::default() };
    let word = |outcome| Input::RefundReported { refund: refund_id(1), outcome };
    let steps = [on(open(1)), on(reported(1, gives_code())), on(paid(1, "T1", AMOUNT)), on(refund)];
    let ordered = charge_with(DELIVER_ON, &steps);
    assert_eq!(of(&ordered).len(), 1);
    let entry = |charge: &Charge| entries_of(charge, &|_| 0).into_iter().find(|one| one.refund.is_some()).unwrap();
    let called = on(Input::RefundCalling { refund: refund_id(1), rules: RefundRules::default() })(ordered);
    assert_eq!((entry(&called).status, entry(&called).day), (EntryStatus::Called, Day::of(T0, 0)));
    let taken = at(T0.plus_ms(day_ms), word(RefundOutcome::Pending))(called.clone());
    assert_eq!((entry(&taken).status, entry(&taken).day), (EntryStatus::Pending, Day::of(T0, 0).plus(1)));
    let through = at(T0.plus_ms(3 * day_ms), word(RefundOutcome::Succeeded { amount: None }))(taken);
    assert_eq!((entry(&through).status, entry(&through).day), (EntryStatus::Succeeded, Day::of(T0, 0).plus(1)));
    let refused = on(word(RefundOutcome::Refused(failure(ErrorClass::Rejected))))(called);
    assert_eq!((entry(&refused).status, entry(&refused).day), (EntryStatus::Failed, Day::of(T0, 0)));
}

#[test]
fn the_day_is_the_providers_settlement_day_or_by_its_own_turn() {
    let midnight = Day::of(T0, 0).plus(1).midnight();
    let late = Payment { paid_at: Some(midnight.plus_ms(-60_000)), ..payment(1, "T1", AMOUNT) };
    let settled = Payment { settled_on: Some(Day::of(T0, 0).plus(2)), ..late.clone() };
    let day = |payment: Payment, turns_ms| {
        let steps = [on(open(1)), on(reported(1, gives_code())), on(reported(1, Outcome::Paid(payment)))];
        entries_of(&charge_with(DELIVER_ON, &steps), &|_| turns_ms)[0].day
    };
    assert_eq!(day(late.clone(), 0), Day::of(T0, 0));
    assert_eq!(day(late, -3_600_000), Day::of(T0, 0).plus(1));
    assert_eq!(day(settled, -3_600_000), Day::of(T0, 0).plus(2));
}

proptest! {
    /// S1, S8 and S13, as the books see them: one principal, a refund for every payment beside it, and never more back
    /// of a payment than it was.
    #[test]
    fn whatever_happens_entries_agree_with_the_rules_of_money(
        steps in prop::collection::vec((0_u8..6, 1_u8..3, 0_u8..4, 1_i64..3_000), 1..40)
    ) {
        let mut charge = charge_with(DELIVER_ON, &[
            on(open(1)), on(reported(1, gives_code())), on(open(2)), on(reported(2, gives_code())),
        ]);
        for (what, n, tx, amount) in steps {
            let refund = charge.refunds.get(usize::from(tx)).map_or(refund_id(9), |refund| refund.id);
            let word = |outcome| Input::RefundReported { refund, outcome };
            let input = match what {
                0 => paid(n, &format!("T{tx}"), AMOUNT),
                1 => paid(n, &format!("T{tx}"), AMOUNT + 1),
                2 => Input::Refund { new: Box::new(new_refund(tx + 1, amount)), sending: false, rules: RefundRules::default() },
                3 => Input::RefundCalling { refund, rules: RefundRules::default() },
                4 => word(if amount % 2 == 0 { RefundOutcome::Pending } else { RefundOutcome::Succeeded { amount: None } }),
                _ => word(RefundOutcome::Ended(failure(ErrorClass::Rejected))),
            };
            if let Ok(step) = charge.clone().apply(input, T0) {
                charge = step.next;
            }
        }
        let entries = entries_of(&charge, &|_| 0);
        let names: BTreeSet<_> = entries.iter().map(|one| (one.kind, one.number.clone())).collect();
        prop_assert_eq!(names.len(), entries.len(), "a number names one thing");
        let counted = entries.iter().filter(|one| one.status == EntryStatus::Counted).count();
        prop_assert_eq!(counted, usize::from(charge.principal.is_some()));
        for paid in entries.iter().filter(|one| one.kind == LineKind::Payment) {
            let back: i64 = entries.iter().filter(|one| {
                one.kind == LineKind::Refund && one.status != EntryStatus::Failed
                    && one.provider_trade_no == paid.provider_trade_no
            }).map(|one| one.amount.amount).sum();
            prop_assert!(back <= paid.amount.amount, "S13");
            if paid.status == EntryStatus::GoingBack {
                let ordered: Vec<_> = charge.refunds.iter()
                    .filter(|refund| refund.provider_trade_no == paid.provider_trade_no).collect();
                prop_assert_eq!(ordered.len(), 1, "S8: once");
                prop_assert_eq!(ordered[0].amount, paid.amount.amount, "S8: whole");
            }
        }
    }
}
