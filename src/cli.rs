//! The command line: one binary, the daemon and the operator's tools.
//!
//! Invariants: commands about charges, channels and routing ask the daemon (over its Unix socket first) and touch no
//! store; `journal`, `store`, `config` and `check` work with the daemon dead. One JSON document on standard output
//! under `--json`; one exit code per kind of trouble (`exit`). It knows documents, not the flows behind them.

mod audit;
mod breaks;
mod channels;
mod charge;
mod check;
mod client;
mod config;
mod documents;
mod exit;
mod metrics;
mod offline;
mod out;
mod overrides;
mod qr;
mod reach;
mod reconcile;
mod route;
mod sandbox;
mod serve;
mod show;
mod status;

use crate::config::{Config, Env, inherited_env, read_duration};
use clap::{Args, Parser, Subcommand};
use client::AdminClient;
use exit::{Exit, Stop, exit_of};
use out::Out;
use reach::{Named, Reach};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0 fine   1 a problem was found   2 usage   3 daemon unreachable
  4 refused by a safety rule   5 changed since the dry run   64 bad configuration

First steps:
  tongdao serve                            start with the built-in configuration and sandbox providers
  tongdao charge create --amount 19.99     make a charge and see its code
  tongdao status                           is it well?";

/// Tongdao 通道: a payment router for card platforms.
///
/// Without a command it is the daemon, as `tongdao serve`.
#[derive(Debug, Parser)]
#[command(name = "tongdao", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For every command")]
struct Globals {
    /// The configuration file [default: the built-in configuration]
    #[arg(long, global = true, value_name = "FILE", env = "TONGDAO_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, global = true)]
    json: bool,
    /// Print without colours (as NO_COLOR does)
    #[arg(long, global = true)]
    no_color: bool,
    /// How long to wait for the daemon
    #[arg(long, global = true, value_name = "DURATION", default_value = "10s", value_parser = read_duration)]
    timeout: Duration,
    /// The admin listener's address; the token comes from TONGDAO_ADMIN_TOKEN [default: the configuration's]
    #[arg(long, global = true, value_name = "URL", env = "TONGDAO_ADMIN_URL")]
    admin_url: Option<String>,
    /// The admin socket [default: the configuration's]
    #[arg(long, global = true, value_name = "PATH", env = "TONGDAO_ADMIN_SOCKET")]
    admin_socket: Option<PathBuf>,
    /// A file with the admin token [default: TONGDAO_ADMIN_TOKEN, else the configuration's]
    #[arg(long, global = true, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon (the default)
    Serve(serve::ServeArgs),
    /// Look at everything that could keep money from moving, before a start or on a live daemon
    Check(check::CheckArgs),
    /// Is it well? The figures that on-call looks at first
    #[command(after_help = "Example:\n  tongdao status || page-someone")]
    Status,
    /// Make, find, follow and push on charges
    #[command(subcommand)]
    Charge(charge::ChargeCommand),
    /// How every channel stands: state, score, health, latency, limits, last error
    #[command(after_help = "Example:\n  tongdao channels --json | jq '.data[] | {id, state}'")]
    Channels,
    /// How one channel stands, and who ordered what about it
    #[command(after_help = "Example:\n  tongdao channel wechat-main")]
    Channel(channels::ChannelArgs),
    /// Take a channel out for a while; callbacks, queries and refunds go on
    Drain(overrides::DrainArgs),
    /// Let charges try a channel first for a while; failover stays on
    Force(overrides::ForceArgs),
    /// Take back what was ordered about a channel or provider
    Restore(overrides::RestoreArgs),
    /// What operators ordered, until when
    #[command(after_help = "Example:\n  tongdao overrides")]
    Overrides,
    /// What waits for a person: paid and not delivered, paid wrong, refunded wrong
    Breaks(breaks::BreaksArgs),
    /// Decide over a break
    #[command(subcommand)]
    Break(breaks::BreakCommand),
    /// Who changed what, when, why and until when
    Audit(audit::AuditArgs),
    /// Why a charge goes where it goes
    #[command(subcommand)]
    Route(route::RouteCommand),
    /// Compare a channel's day with the provider's statement, line by line
    Reconcile(reconcile::ReconcileArgs),
    /// How every day came out, the newest first
    Reconciliations(reconcile::ListArgs),
    /// Every metric with its type, labels and live series
    Metrics(metrics::MetricsArgs),
    /// Check, print and reload the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check and export the journal (works with the daemon dead)
    #[command(subcommand)]
    Journal(offline::JournalCommand),
    /// Mend the store (with the daemon stopped)
    #[command(subcommand)]
    Store(offline::StoreCommand),
    /// A minute of business with everything going wrong, and books that must agree
    #[command(after_help = "Example:\n  tongdao demo --seed 7")]
    Demo(crate::demo::Args),
    /// What this machine reaches: charges, whole lives, callbacks a second, beside the floors that limit them
    #[command(after_help = "Example:\n  tongdao bench --out today.json\n  tongdao bench --compare today.json")]
    Bench(crate::load::Args),
    /// Run the sandbox providers alone
    Sandbox(sandbox::SandboxArgs),
}

/// What a command works with.
pub(crate) struct Context {
    pub(crate) out: Out,
    pub(crate) env: Env,
    pub(crate) timeout: Duration,
    pub(crate) config_path: Option<PathBuf>,
    no_color: bool,
    reach: Reach,
}

impl Context {
    fn new(globals: Globals, env: Env) -> Self {
        let out = Out::new(globals.json, globals.no_color, &env);
        let named = Named {
            config: globals.config.as_deref(),
            socket: globals.admin_socket.as_deref(),
            url: globals.admin_url.as_deref(),
            token_file: globals.admin_token_file.as_deref(),
        };
        let reach = Reach::find(named, &env);
        Self { out, env, timeout: globals.timeout, config_path: globals.config, no_color: globals.no_color, reach }
    }

    /// The daemon's admin side.
    pub(crate) fn admin(&self) -> AdminClient {
        AdminClient::new(self.reach.clone(), self.env.clone(), self.timeout)
    }

    /// The whole configuration, with every fault.
    pub(crate) fn load_config(&self) -> Result<Config, Stop> {
        let unmade = self.config_path.is_none() && !Path::new(serve::DEMO_SECRETS).exists();
        let loaded = Config::load(self.config_path.as_deref(), &self.env);
        loaded.map_err(|faults| if unmade { Stop::NotMade } else { faults.into() })
    }
}

/// Reads the arguments, does what they say, and ends with the code that scripts rely on.
#[must_use]
pub fn run() -> ExitCode {
    let Cli { globals, command } = Cli::parse();
    let context = Context::new(globals, inherited_env());
    let command = command.unwrap_or_else(|| Command::Serve(serve::ServeArgs::default()));
    let ended = runtime(&command).map_err(Into::into).and_then(|runtime| runtime.block_on(dispatch(&context, command)));
    ended.unwrap_or_else(|error| complain(&context, &error).into())
}

/// A daemon uses every core; a question needs one.
fn runtime(command: &Command) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match command {
        Command::Serve(_) | Command::Demo(_) | Command::Bench(_) | Command::Sandbox(_) => {
            tokio::runtime::Builder::new_multi_thread()
        }
        Command::Check(_)
        | Command::Status
        | Command::Charge(_)
        | Command::Channels
        | Command::Channel(_)
        | Command::Drain(_)
        | Command::Force(_)
        | Command::Restore(_)
        | Command::Overrides
        | Command::Audit(_)
        | Command::Breaks(_)
        | Command::Break(_)
        | Command::Route(_)
        | Command::Reconcile(_)
        | Command::Reconciliations(_)
        | Command::Metrics(_)
        | Command::Config(_)
        | Command::Journal(_)
        | Command::Store(_) => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

fn complain(context: &Context, error: &anyhow::Error) -> Exit {
    let exit = exit_of(error);
    if exit != Exit::Fine {
        // Nobody is left to be told when standard error is gone too.
        let _told = context.out.remark(&told(error));
    }
    exit
}

/// The error and its causes, each once: most say themselves what their cause was.
fn told(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

async fn dispatch(context: &Context, command: Command) -> anyhow::Result<ExitCode> {
    let exit = match command {
        Command::Serve(args) => serve::run(context, &args).await,
        Command::Check(args) => check::run(context, &args).await,
        Command::Status => status::run(context).await,
        Command::Charge(command) => charge::run(context, command).await,
        Command::Channels => channels::run(context).await,
        Command::Channel(args) => channels::one(context, &args).await,
        Command::Drain(args) => overrides::drain(context, &args).await,
        Command::Force(args) => overrides::force(context, &args).await,
        Command::Restore(args) => overrides::restore(context, &args).await,
        Command::Overrides => overrides::list(context).await,
        Command::Audit(args) => audit::run(context, &args).await,
        Command::Breaks(args) => breaks::list(context, &args).await,
        Command::Break(command) => breaks::run(context, command).await,
        Command::Route(command) => route::run(context, command).await,
        Command::Reconcile(args) => reconcile::run(context, args).await,
        Command::Reconciliations(args) => reconcile::list(context, &args).await,
        Command::Metrics(args) => metrics::run(context, &args).await,
        Command::Config(command) => config::run(context, command).await,
        Command::Journal(command) => offline::journal(context, command),
        Command::Store(command) => offline::store(context, command),
        Command::Demo(mut args) => {
            (args.json, args.no_color) = (context.out.wants_json(), context.no_color);
            return crate::demo::run(args).await;
        }
        Command::Bench(mut args) => {
            (args.json, args.no_color) = (context.out.wants_json(), context.no_color);
            return crate::load::run(args).await;
        }
        Command::Sandbox(args) => sandbox::run(context, &args).await,
    };
    exit.map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_cause_is_told_once() {
        let taken = std::io::Error::other("Address already in use");
        let error = anyhow::Error::new(taken).context("cannot listen on x: Address already in use").context("no start");
        assert_eq!(told(&error), "no start: cannot listen on x: Address already in use");
    }

    #[test]
    fn every_command_has_a_help_text_and_every_leaf_an_example() {
        fn walk(command: &clap::Command, path: &str) {
            assert!(command.get_about().is_some(), "{path} says nothing");
            let leaf = command.get_subcommands().next().is_none();
            let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(!leaf || example.contains("tongdao "), "{path} has no example");
            for sub in command.get_subcommands() {
                walk(sub, &format!("{path} {}", sub.get_name()));
            }
        }
        walk(&Cli::command(), "tongdao");
    }
}
