//! The command line of the simulation.

/// What was asked for.
pub(crate) struct Arguments {
    pub(crate) charges: i64,
    /// Charges of one world.
    pub(crate) world: i64,
    pub(crate) first: u64,
    pub(crate) jobs: usize,
    pub(crate) seed: Option<u64>,
    pub(crate) defects: bool,
    /// Whether a fault that never fired fails the run.
    pub(crate) complete: bool,
}

const USAGE: &str = "sim [--charges N] [--world N] [--first SEED] [--jobs N] [--seed SEED] [--defects]";

impl Arguments {
    /// Reads the command line; `None` when only tests of other names were asked for.
    pub(crate) fn read(words: impl Iterator<Item = String>) -> Option<Self> {
        let few = if cfg!(debug_assertions) { 3_000 } else { 20_000 };
        let mut read = Self { charges: few, world: 60, first: 1, jobs: 2, seed: None, defects: false, complete: false };
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let mut number = || {
                words
                    .next()
                    .and_then(|word| word.replace('_', "").parse::<u64>().ok())
                    .unwrap_or_else(|| panic!("{USAGE}"))
            };
            match word.as_str() {
                "--charges" => read.charges = number() as i64,
                "--world" => read.world = number() as i64,
                "--first" => read.first = number(),
                "--jobs" => read.jobs = number() as usize,
                "--seed" => read.seed = Some(number()),
                "--defects" => read.defects = true,
                "--list" => return None,
                // Flags of the usual test harness mean nothing here.
                flag if flag.starts_with("--") => {}
                filter if "simulation".contains(filter) => {}
                _ => return None,
            }
        }
        read.complete = read.charges >= 20_000;
        Some(read)
    }
}
