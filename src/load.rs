//! `tongdao bench`: the release daemon as its own process with its store on this disk, the providers' servers and a
//! generator beside it, and what they reach together on this machine.
//!
//! Invariant: every figure is taken in one run with the floor that limits it (a bare HTTP server, a bare journal, RSA
//! signatures), since machines and their noise differ and only ratios compare. Latencies count from the moment at
//! which a request was due, not from when it was sent, so a stall is paid for by everybody who waited in it. It looks
//! at the daemon from outside only: API, `/proc`, response headers. An error is a figure too.

mod compare;
mod drive;
mod figures;
mod floor;
mod pace;
mod probe;
mod stage;

use crate::clock::Stopwatch;
use crate::demo::narrator::{Narrator, Tone};
use figures::Figures;
use stage::Stage;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What the bench takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How long each measurement lasts
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=300))]
    pub seconds: u64,
    /// Charges per second at which latency is taken
    #[arg(long, value_delimiter = ',', default_value = "50,200,500", value_name = "N,N,…")]
    pub rates: Vec<u32>,
    /// Charges that are prepared for the callback measurement; 0 leaves it out
    #[arg(long, default_value_t = 20_000)]
    pub callbacks: u32,
    /// Charges and lives under way at the same time at saturation
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub lanes: u32,
    /// Where the store lies while it is measured: a directory on the disk in question
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub dir: PathBuf,
    /// Write all figures as JSON here
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Figures of an earlier run, shown beside these
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// The daemon's program [default: this one]
    #[arg(long, value_name = "FILE")]
    pub daemon: Option<PathBuf>,
    /// One JSON document on standard output: the command line's `--json`.
    #[arg(skip)]
    pub json: bool,
    /// No colours: the command line's `--no-color`.
    #[arg(skip)]
    pub no_color: bool,
}

/// Runs every measurement; exit code 1 when anything was refused, lost or wrong on the way.
///
/// # Errors
/// When something could not be set up, or the daemon does not start.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let earlier = args.compare.as_deref().map(Figures::read).transpose()?;
    let narrator = Narrator::new(args.json, args.no_color);
    narrator.say(Tone::Scene, "通道 Tongdao: 压测 bench on this machine, figures beside their floors");
    let mut figures = Figures::default();
    let mut stage = Stage::set(&args, narrator).await?;
    let measured = tokio::select! {
        measured = measure(&args, &mut stage, &mut figures) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let narrator = stage.strike().await?;
    measured?;
    narrator.block(&figures.table(earlier.as_ref()));
    if let Some(path) = &args.out {
        figures.write(path)?;
        narrator.say(Tone::Faint, &format!("figures in {}", path.display()));
    }
    narrator.document(&serde_json::to_value(&figures)?);
    Ok(if figures.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(args: &Args, stage: &mut Stage, figures: &mut Figures) -> anyhow::Result<()> {
    let took = Stopwatch::start();
    let length = Duration::from_secs(args.seconds);
    let scene = |stage: &Stage, text: &str| stage.narrator.say(Tone::Scene, text);
    scene(stage, "底线 floors: RSA-2048, a bare HTTP server, a bare journal");
    floor::measure(&args.dir, args.lanes, length / 2, figures).await?;
    scene(stage, "预热 warming up");
    drive::warm_up(stage, args.lanes).await?;
    for rate in &args.rates {
        scene(stage, &format!("定速 open loop: {rate} whole lives per second"));
        pace::at_rate(stage, *rate, length, figures).await?;
    }
    scene(stage, "满载下单 creates at saturation");
    drive::creates(stage, args.lanes, length, figures).await?;
    scene(stage, "满载全程 whole lives at saturation: create, pay, callback, webhook, delivered");
    drive::lives(stage, args.lanes, length, figures).await?;
    if args.callbacks > 0 {
        scene(stage, &format!("回调 callbacks: {} signed beforehand", args.callbacks));
        drive::callbacks(stage, args.callbacks, args.lanes, figures).await?;
    }
    figures.put("elapsed", took.elapsed().as_secs_f64(), "s");
    Ok(())
}
