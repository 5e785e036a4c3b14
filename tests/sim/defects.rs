//! Plants each defect in turn and counts the charges until the simulation sees it.

use crate::arguments::Arguments;
use std::process::ExitCode;

/// Within so many charges each must be seen.
#[cfg(feature = "planted")]
const CHARGES_MAX: i64 = 10_000;

#[cfg(not(feature = "planted"))]
pub(crate) fn hunt(_: &Arguments) -> ExitCode {
    println!("built without defects: add --features planted");
    ExitCode::FAILURE
}

#[cfg(feature = "planted")]
pub(crate) fn hunt(arguments: &Arguments) -> ExitCode {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tongdao_core::planted::Defect;
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                while let Some(defect) = Defect::ALL.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let seen = charges_until_seen(*defect, arguments);
                    found.lock().unwrap().extend(seen);
                }
            });
        }
    });
    let mut found: Vec<i64> = found.into_inner().unwrap();
    found.sort_unstable();
    let missed = Defect::ALL.len() - found.len();
    println!("median {} charges", found.get(found.len() / 2).copied().unwrap_or_default());
    println!("{} passed, {missed} failed, 0 skipped", found.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(feature = "planted")]
fn charges_until_seen(defect: tongdao_core::planted::Defect, arguments: &Arguments) -> Option<i64> {
    use tongdao_core::planted::plant;
    let mut charges = 0;
    let mut seed = arguments.first;
    while charges < CHARGES_MAX {
        charges += arguments.world;
        plant(Some(defect));
        let violation = crate::live::play(seed, arguments.world, false).violation;
        plant(None);
        if let Some(words) = violation {
            let words: String = words.chars().take(90).collect();
            println!("{:<26} seen within {charges:>6} charges: {words}", format!("{defect:?}"));
            return Some(charges);
        }
        seed += 1;
    }
    println!("{:<26} NOT SEEN in {charges} charges", format!("{defect:?}"));
    None
}
