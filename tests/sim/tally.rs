//! Many worlds over all cores, their counts in one table; or one world again, with everything it said.

use crate::arguments::Arguments;
use crate::faults::{Counts, Fault};
use crate::live::{Told, play};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/regressions.txt");
/// Every so many worlds one is played twice: the traces must be equal.
const TWICE_EVERY: u64 = 50;

#[derive(Default)]
struct Sums {
    counts: Option<Counts>,
    crashed_on: BTreeMap<(&'static str, &'static str), u64>,
    failures: Vec<(u64, i64, String)>,
    worlds: u64,
    again: u64,
}

/// The seeds that failed once, each with its number of charges.
fn kept() -> Vec<(u64, i64)> {
    let text = std::fs::read_to_string(REGRESSIONS).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        })
        .collect()
}

fn keep(seed: u64, world: i64, words: &str) {
    if kept().contains(&(seed, world)) {
        return;
    }
    let mut text = std::fs::read_to_string(REGRESSIONS).unwrap_or_default();
    let words = words.lines().next().unwrap_or_default();
    text.push_str(&format!("{seed} {world} {words}\n"));
    drop(std::fs::write(REGRESSIONS, text));
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let started = std::time::Instant::now();
    let sums = Mutex::new(Sums::default());
    let (next, left, stop) =
        (AtomicU64::new(arguments.first), AtomicI64::new(arguments.charges), AtomicBool::new(false));
    for (seed, world) in kept() {
        add(&sums, seed, play(seed, world, false));
    }
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                while left.fetch_sub(arguments.world, Ordering::SeqCst) > 0 && !stop.load(Ordering::SeqCst) {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    let told = play(seed, arguments.world, false);
                    if seed % TWICE_EVERY == 0 {
                        repeat(&sums, seed, &told);
                    }
                    if add(&sums, seed, told) {
                        stop.store(true, Ordering::SeqCst);
                    }
                    let done = seed - arguments.first + 1;
                    if done.is_multiple_of(2000) {
                        let s = started.elapsed().as_secs_f64();
                        println!(
                            "{} charges, {:.0} a second",
                            done as i64 * arguments.world,
                            (done as i64 * arguments.world) as f64 / s
                        );
                    }
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap();
    report(arguments, &sums, started.elapsed().as_secs_f64())
}

fn repeat(sums: &Mutex<Sums>, seed: u64, told: &Told) {
    let again = play(seed, told.charges, false);
    let mut sums = sums.lock().unwrap();
    sums.again += 1;
    if again.hash != told.hash {
        sums.failures.push((
            seed,
            told.charges,
            format!("not deterministic: {:016x} and {:016x}", told.hash, again.hash),
        ));
    }
}

/// Adds a world's counts; true when it failed.
fn add(sums: &Mutex<Sums>, seed: u64, told: Told) -> bool {
    let mut sums = sums.lock().unwrap();
    sums.worlds += 1;
    sums.counts.get_or_insert_with(Counts::new).add(&told.counts);
    for (point, count) in told.crashed_on {
        *sums.crashed_on.entry(point).or_default() += count;
    }
    match told.violation {
        Some(words) => {
            sums.failures.push((seed, told.charges, words));
            true
        }
        None => false,
    }
}

fn report(arguments: &Arguments, sums: &Sums, seconds: f64) -> ExitCode {
    let counts = sums.counts.clone().unwrap_or_else(Counts::new);
    println!("\n{:<10} {:<42} {:>9}", "section", "fault", "fired");
    for fault in Fault::ALL {
        println!("{:<10} {:<42} {:>9}", fault.section(), fault.words(), counts.0[*fault as usize]);
    }
    println!("\n{:<22} {:<36} {:>9}", "durable write", "crash", "times");
    for ((kind, way), count) in &sums.crashed_on {
        println!("{kind:<22} {way:<36} {count:>9}");
    }
    let missing: Vec<&str> = Fault::ALL
        .iter()
        .filter(|fault| counts.0[**fault as usize] == 0 && fault.section() != "left")
        .map(|fault| fault.words())
        .collect();
    let charges = sums.worlds as i64 * arguments.world;
    println!(
        "\n{charges} charges in {} worlds, {} of them twice, {seconds:.1} s, {:.0} a second",
        sums.worlds,
        sums.again,
        charges as f64 / seconds
    );
    for (seed, world, words) in &sums.failures {
        keep(*seed, *world, words);
        println!("\nFAILED: seed {seed}: {words}");
        tell(*seed, *world, 40);
        println!("replay: cargo test --release -p tongdao --test sim -- --seed {seed} --world {world}");
    }
    let incomplete = arguments.complete && !missing.is_empty() && sums.failures.is_empty();
    if incomplete {
        println!("\nFAILED: never fired: {}", missing.join(", "));
    }
    let failed = sums.failures.len() + usize::from(incomplete);
    println!(
        "{} passed, {failed} failed, 0 skipped",
        sums.worlds as usize - sums.failures.len().min(sums.worlds as usize)
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(seed: u64, world: i64, lines: usize) -> Told {
    let told = play(seed, world, true);
    for line in told.talk.iter().rev().take(lines).rev() {
        println!("{line}");
    }
    println!("trace {:016x}", told.hash);
    told
}

/// Plays one world again and prints what happened last.
pub(crate) fn replay(seed: u64, world: i64) -> ExitCode {
    let lines = std::env::var("LINES").ok().and_then(|lines| lines.parse().ok()).unwrap_or(200);
    let told = tell(seed, world, lines);
    match told.violation {
        Some(words) => {
            println!("FAILED: seed {seed}: {words}");
            ExitCode::FAILURE
        }
        None => {
            println!("seed {seed} holds");
            ExitCode::SUCCESS
        }
    }
}
