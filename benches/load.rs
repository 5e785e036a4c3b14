//! The whole daemon under load, as a process of its own: `cargo bench --bench load -- --seconds 10`. The same as
//! `tongdao bench`; here cargo builds the daemon first.
#![allow(missing_docs)]

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: tongdao::load::Args,
    /// Given by cargo to every bench
    #[arg(long, hide = true)]
    bench: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let Cli { mut args, bench: _, json } = Cli::parse();
    let own = || PathBuf::from(env!("CARGO_BIN_EXE_tongdao"));
    (args.json, args.daemon) = (json, Some(args.daemon.unwrap_or_else(own)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(tongdao::load::run(args))
}
