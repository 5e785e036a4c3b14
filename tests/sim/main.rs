//! Deterministic simulation: the rules, the flows and the worker as they run, in worlds where everything else goes wrong.
//! See docs/verification.md. Each seed is a world; the same seed is the same world, to the last step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout)]
#![allow(clippy::as_conversions, clippy::wildcard_enum_match_arm, clippy::disallowed_methods, clippy::too_many_lines)]
#![allow(
    clippy::excessive_nesting,
    clippy::too_many_arguments,
    clippy::type_complexity,
    clippy::let_underscore_must_use
)]

mod arguments;
mod ask;
mod bank;
mod books;
mod callbacks;
mod check;
mod commit;
mod config;
mod defects;
mod dice;
mod entries;
mod faults;
mod happen;
mod live;
mod message;
mod order;
mod plan;
mod ports;
mod provider;
mod shop;
mod store;
mod tally;
mod world;

use arguments::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read(std::env::args().skip(1)) else {
        println!("0 simulations: another test was asked for");
        return ExitCode::SUCCESS;
    };
    std::panic::set_hook(Box::new(|info| {
        // Inside a world it is a finding of that world; outside of one it is the simulation's own.
        live::PANIC.with(|panic| *panic.borrow_mut() = Some(info.to_string()));
        let outside = tokio::runtime::Handle::try_current().is_err();
        if outside || std::env::var_os("RUST_BACKTRACE").is_some() {
            println!("{info}");
        }
    }));
    if let Some(seed) = arguments.seed {
        return tally::replay(seed, arguments.world);
    }
    if arguments.defects {
        return defects::hunt(&arguments);
    }
    tally::run(&arguments)
}
