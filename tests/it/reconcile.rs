//! The day's end over real HTTP: the sandbox's statements against what the daemon credited and refunded.

mod bench;
mod files;
mod planted;
mod story;
mod turns;

pub(crate) use bench::Day;
