//! What can happen in a random history: inputs in any order, repeated, about things that may not exist, and a clock
//! that advances or steps.

use super::*;
use proptest::prelude::*;

/// One thing that happens. Small numbers choose among what is there when it happens.
#[derive(Debug, Clone)]
pub(super) enum Move {
    /// The clock goes on, or steps back.
    Tick(i64),
    /// The timer that is due first (of the `n`th kind) fires, with the answer the outside gives.
    Fire { choice: usize, word: Word },
    /// An attempt opens.
    Open { overlap: bool },
    /// A provider speaks of an attempt.
    Report { attempt: u8, word: Word, source: Source },
    /// A provider states a payment; `off` fen beside the sum, of the number `tx`.
    Pay { attempt: u8, tx: u8, off: i64, refunded: i64 },
    /// Somebody wants an attempt ended.
    End { attempt: u8 },
    /// No channel gave a code.
    NoCode,
    /// The alarm of the charge rings, perhaps early.
    Expire,
    /// The merchant closes.
    Close,
    /// A webhook try ends.
    Tried { choice: usize, word: Word },
    /// The merchant wants `charge.paid` again.
    Notify,
    /// The merchant reports on the goods.
    Goods { delivered: bool },
    /// The alarm of the delivery rings, perhaps early or twice.
    Deadline { sending: bool },
    /// The merchant orders a refund of so many thousandths.
    Refund { thousandths: i64, sending: bool },
    /// A provider speaks of a refund; `old`: of the number before.
    RefundWord { choice: usize, word: Word, call: bool, old: bool },
    /// A person resolves a break.
    Resolve { choice: usize, word: Word },
    /// The input before the last `n` is heard again.
    Again { back: usize },
}

/// A draw that becomes whatever answer is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word(pub(super) u8);

impl Word {
    pub(super) fn outcome(self) -> Outcome {
        match self.0 % 8 {
            0 | 1 => gives_code(),
            2 | 3 => not_paid(),
            4 => Outcome::Closed,
            5 => Outcome::Absent,
            6 => Outcome::Failed(failure(ErrorClass::Declined)),
            _ => Outcome::Unknown(failure(ErrorClass::Unknown)),
        }
    }

    pub(super) fn answer(self) -> Answer {
        match self.0 % 8 {
            0 => Answer::Delivered,
            1 | 2 => Answer::Accepted,
            3 => undeliverable(),
            4 | 5 => refused(),
            _ => doubtful(),
        }
    }

    pub(super) fn refund_outcome(self) -> RefundOutcome {
        let why = || failure(ErrorClass::Unavailable);
        match self.0 % 12 {
            0 | 1 => through(),
            2 => RefundOutcome::Succeeded { amount: Some(Money::cny(1)) },
            3 | 4 => RefundOutcome::Pending,
            5 => RefundOutcome::Stuck(why()),
            6 | 7 => ended(),
            8 => RefundOutcome::Absent,
            9 => RefundOutcome::Later(why()),
            10 => RefundOutcome::Refused(why()),
            _ => RefundOutcome::Unknown(why()),
        }
    }
}

fn word() -> impl Strategy<Value = Word> {
    any::<u8>().prop_map(Word)
}

fn tick() -> impl Strategy<Value = Move> {
    let advance = prop_oneof![Just(1), Just(900), Just(5_000), Just(61_000), Just(301_000), Just(3_600_000)];
    let jump = prop_oneof![Just(80_000_000), Just(-1), Just(-61_000), Just(-3_600_000), Just(-90_000_000)];
    prop_oneof![5 => advance, 1 => jump].prop_map(Move::Tick)
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![2 => Just(Source::Create), 1 => Just(Source::Callback), 1 => Just(Source::Query)]
}

fn pay() -> impl Strategy<Value = Move> {
    let off = prop_oneof![6 => Just(0_i64), 1 => Just(-1_i64), 1 => Just(1_i64)];
    let refunded = prop_oneof![6 => Just(0_i64), 1 => Just(1_i64), 1 => Just(AMOUNT)];
    (0_u8..4, 0_u8..6, off, refunded).prop_map(|(attempt, tx, off, refunded)| Move::Pay { attempt, tx, off, refunded })
}

fn of_attempts() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => any::<bool>().prop_map(|overlap| Move::Open { overlap }),
        8 => (0_u8..4, word(), source()).prop_map(|(attempt, word, source)| Move::Report { attempt, word, source }),
        6 => pay(),
        2 => (0_u8..4).prop_map(|attempt| Move::End { attempt }),
        1 => Just(Move::NoCode),
        1 => Just(Move::Expire),
        1 => Just(Move::Close),
    ]
}

fn of_goods() -> impl Strategy<Value = Move> {
    let refund = (1_i64..=1000, any::<bool>(), any::<bool>());
    prop_oneof![
        3 => (0_usize..3, word()).prop_map(|(choice, word)| Move::Tried { choice, word }),
        1 => Just(Move::Notify),
        1 => any::<bool>().prop_map(|delivered| Move::Goods { delivered }),
        1 => any::<bool>().prop_map(|sending| Move::Deadline { sending }),
        2 => refund.prop_map(|(part, whole, sending)| Move::Refund {
            thousandths: if whole { 1000 } else { part },
            sending,
        }),
        3 => (0_usize..3, word(), any::<bool>(), any::<bool>())
            .prop_map(|(choice, word, call, old)| Move::RefundWord { choice, word, call, old }),
        6 => (0_usize..3, word()).prop_map(|(choice, word)| Move::Resolve { choice, word }),
    ]
}

/// How a history begins: with nothing, a code, two codes, or a payment.
pub(super) fn beginning() -> impl Strategy<Value = Vec<Move>> {
    let shown = |overlap| {
        let code = Move::Report { attempt: 0, word: Word(0), source: Source::Create };
        vec![Move::Open { overlap }, code]
    };
    let paid = Move::Pay { attempt: 0, tx: 0, off: 0, refunded: 0 };
    let differing = Move::Pay { attempt: 0, tx: 0, off: -1, refunded: 0 };
    let order = Move::Refund { thousandths: 300, sending: false };
    let says = |word| Move::RefundWord { choice: 0, word: Word(word), call: true, old: false };
    // Through, and then not.
    let back = vec![says(0), says(6)];
    prop_oneof![
        1 => Just(Vec::new()),
        2 => Just(shown(false)),
        2 => Just([shown(false), shown(true)].concat()),
        3 => Just([shown(false), shown(true), vec![paid.clone()]].concat()),
        2 => Just([shown(false), vec![differing]].concat()),
        1 => Just([shown(false), vec![paid, order], back].concat()),
    ]
}

/// One move of a history, as likely as keeps histories going.
pub(super) fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => tick(),
        6 => (0_usize..6, word()).prop_map(|(choice, word)| Move::Fire { choice, word }),
        6 => of_attempts(),
        5 => of_goods(),
        2 => (0_usize..4).prop_map(|back| Move::Again { back }),
    ]
}
