//! Differences of every kind planted in the files of three days: each found once, none beside, and a second run in
//! another order changes nothing.

use super::*;
use proptest::prelude::*;

/// What happens to one payment or refund on its way into the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Honest,
    Later,
    Earlier,
    Lost,
    Twice,
    TwiceLater,
    TwiceEarlier,
    Dearer,
    Unknown,
    Overcharged,
    RefundPending,
    RefundUnheard,
    RefundBounced,
    RefundSpent,
}

const FATES: [Fate; 14] = [
    Fate::Honest,
    Fate::Later,
    Fate::Earlier,
    Fate::Lost,
    Fate::Twice,
    Fate::TwiceLater,
    Fate::TwiceEarlier,
    Fate::Dearer,
    Fate::Unknown,
    Fate::Overcharged,
    Fate::RefundPending,
    Fate::RefundUnheard,
    Fate::RefundBounced,
    Fate::RefundSpent,
];

/// A planted item: its entry, its lines by day, and what must come of it: (file day, place, has a line).
struct Planted {
    entry: Option<Entry>,
    lines: Vec<(i64, StatementLine)>,
    wanted: Vec<(i64, &'static str, bool)>,
}

fn plant(n: u32, on: i64, fate: Fate, back: bool) -> Planted {
    let own = if back { refund(n, day(on), EntryStatus::Succeeded) } else { entry(n, day(on)) };
    let line = line_of(&own);
    let twice = if back { "refund_differs" } else { "duplicate" };
    let one = |entry: &Entry, at: i64, place| Planted {
        entry: Some(entry.clone()),
        lines: vec![(at, line.clone())],
        wanted: vec![(at, place, true)],
    };
    let two = |first: i64, second: i64| Planted {
        entry: Some(own.clone()),
        lines: vec![(first, line.clone()), (second, line.clone())],
        wanted: Vec::new(),
    };
    match fate {
        Fate::Honest => one(&own, on, "matched"),
        Fate::Later | Fate::Earlier => {
            let at = if fate == Fate::Later { on + 1 } else { on - 1 };
            let mut planted = one(&own, at, "carried_over");
            planted.wanted.push((on, "carried_over", false));
            planted
        }
        Fate::Lost => Planted { entry: Some(own), lines: Vec::new(), wanted: vec![(on, "missing_there", false)] },
        Fate::Twice => Planted { wanted: vec![(on, "matched", true), (on, twice, true)], ..two(on, on) },
        Fate::TwiceLater => Planted { wanted: vec![(on, "matched", true), (on + 1, twice, true)], ..two(on, on + 1) },
        Fate::TwiceEarlier => {
            let wanted = vec![(on - 1, "carried_over", true), (on, twice, true), (on, "carried_over", false)];
            Planted { wanted, ..two(on - 1, on) }
        }
        Fate::Dearer => {
            let place = if back { "refund_differs" } else { "amount_differs" };
            let mut planted = one(&own, on, place);
            planted.lines[0].1.amount = Money::cny(own.amount.amount + 1);
            planted
        }
        Fate::Unknown => Planted { entry: None, ..one(&own, on, if back { "refund_differs" } else { "missing_here" }) },
        Fate::Overcharged => {
            let mut planted = one(&entry(n, day(on)), on, "fee_differs");
            planted.lines[0].1 = line_of(&entry(n, day(on)));
            planted.lines[0].1.fee = Some(99);
            planted
        }
        Fate::RefundPending => {
            let own = refund(n, day(on), EntryStatus::Pending);
            Planted { entry: Some(own), lines: Vec::new(), wanted: vec![(on, "carried_over", false)] }
        }
        Fate::RefundUnheard | Fate::RefundBounced | Fate::RefundSpent => {
            let (status, stated, place) = if fate == Fate::RefundUnheard {
                (EntryStatus::Called, LineStatus::Done, "status_differs")
            } else if fate == Fate::RefundBounced {
                (EntryStatus::Succeeded, LineStatus::Failed, "status_differs")
            } else {
                (EntryStatus::Failed, LineStatus::Failed, "matched")
            };
            let own = refund(n, day(on), status);
            let line = StatementLine { status: stated, ..line_of(&own) };
            Planted { entry: Some(own), lines: vec![(on, line)], wanted: vec![(on, place, true)] }
        }
    }
}

/// Plants, books four days in order, and answers the world with each day's file.
async fn booked(planted: &[Planted], seed: u64) -> (World, Vec<Vec<StatementLine>>) {
    let world = World::new();
    world.enter(planted.iter().filter_map(|one| one.entry.clone())).await;
    let mut files = Vec::new();
    for on in 0..4 {
        let of_day = planted.iter().flat_map(|one| &one.lines).filter(|(at, _)| *at == on);
        let mut lines: Vec<_> = of_day.map(|(_, line)| line.clone()).collect();
        let len = lines.len().max(1);
        let turn = usize::try_from(seed % 1000).unwrap();
        lines.rotate_left(turn % len);
        if seed.is_multiple_of(2) {
            lines.reverse();
        }
        files.push(numbered(lines));
    }
    for (on, file) in (0_i64..).zip(&files) {
        world.run(day(on), file).await;
    }
    (world, files)
}

async fn standing(world: &World) -> (Vec<Places>, Vec<Books>, Vec<Break>) {
    let (mut places, mut books) = (Vec::new(), Vec::new());
    for on in 0..4 {
        places.push(world.places(day(on)).await);
        books.push(world.document(day(on)).await.books);
    }
    (places, books, world.breaks().await)
}

fn wanted_places(planted: &[Planted], names: &[String], on: i64) -> Places {
    let of_day = planted.iter().zip(names).flat_map(|(one, name)| {
        one.wanted.iter().filter(move |(at, ..)| *at == on).map(|(_, place, line)| (name.clone(), *place, *line))
    });
    let mut all: Places = of_day.collect();
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn every_line_has_one_place_every_difference_is_named_once_and_a_second_run_changes_nothing(
        items in prop::collection::vec((0_usize..FATES.len(), 1_i64..3, any::<bool>()), 1..40),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async move {
            let of = |(n, (fate, on, back)): (u32, &(usize, i64, bool))| plant(n, *on, FATES[*fate], *back);
            let planted: Vec<_> = (0..).zip(&items).map(of).collect();
            let names: Vec<_> = planted.iter().map(|one| match (&one.entry, one.lines.first()) {
                (Some(entry), _) => entry.number.clone(),
                (None, Some((_, line))) => {
                    line.provider_refund_no.clone().or_else(|| line.provider_order_no.clone()).unwrap()
                }
                (None, None) => unreachable!(),
            }).collect();
            let (world, files) = booked(&planted, seed).await;
            let first = standing(&world).await;
            for on in 0..4_i64 {
                let mut found = world.places(day(on)).await;
                found.sort();
                assert_eq!(found, wanted_places(&planted, &names, on), "day {on}");
                let books = world.document(day(on)).await.books;
                assert_eq!(books.check(), Ok(()));
                let file = &files[usize::try_from(on).unwrap()];
                assert_eq!(books.whole.theirs.count, u64::try_from(file.len()).unwrap());
                let moved: i64 = file.iter().map(theirs).sum();
                assert_eq!(books.whole.theirs.amount, moved);
            }
            let places_broken = |(_, place, _): &&(usize, &'static str, bool)| !matches!(*place, "matched" | "carried_over");
            let wanted = planted.iter().flat_map(|one| &one.wanted).map(|(_, place, line)| (0, *place, *line));
            let all: Vec<_> = wanted.collect();
            assert_eq!(world.open_breaks().await.len(), all.iter().filter(places_broken).count());

            // Again, in another order: the same places, books and breaks.
            for on in [2, 0, 3, 1] {
                world.run(day(on), &files[usize::try_from(on).unwrap()]).await;
            }
            let second = standing(&world).await;
            assert_eq!(first.0, second.0);
            assert_eq!(first.1, second.1);
            assert_eq!(first.2, second.2);
        });
    }
}
