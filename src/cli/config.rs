//! `tongdao config …`: check a file, print it without its secrets, put it in force.
//!
//! Invariant: checking and printing need no daemon and change nothing; everything that is wrong is listed at once.

use super::Context;
use super::exit::{Exit, Stop};
use super::show::count;
use crate::config::Config;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The commands about the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// List everything that is wrong with a configuration
    #[command(after_help = "Example:\n  tongdao config check /etc/tongdao.toml")]
    Check(FileArgs),
    /// Print a configuration with its defaults filled in and its secrets hidden
    #[command(after_help = "Example:\n  tongdao config print /etc/tongdao.toml")]
    Print(FileArgs),
    /// Let the running daemon read its file again; a bad file changes nothing
    #[command(after_help = "Example:\n  tongdao config check FILE && tongdao config reload --dry-run")]
    Reload(ReloadArgs),
}

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The file [default: --config, else the built-in configuration]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// How to reload.
#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// Say what would change and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(context: &Context, command: ConfigCommand) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Check(args) => check(context, args.file),
        ConfigCommand::Print(args) => {
            let config = load(context, args.file)?;
            let printed = config.redacted_print();
            context.out.either(&json!({ "toml": printed }), || printed.clone())?;
            Ok(Exit::Fine)
        }
        ConfigCommand::Reload(args) => reload(context, args.dry_run).await,
    }
}

fn check(context: &Context, file: Option<PathBuf>) -> anyhow::Result<Exit> {
    let config = match load(context, file) {
        Ok(config) => config,
        Err(Stop::BadConfig(faults)) if context.out.wants_json() => {
            let list = faults.list.iter().map(|fault| {
                let origin = fault.origin.to_string();
                json!({ "origin": origin.trim_end_matches([':', ' ']), "path": fault.path, "message": fault.message })
            });
            context.out.document(&json!({ "name": faults.name, "faults": list.collect::<Vec<Value>>() }))?;
            return Ok(Exit::BadConfig);
        }
        Err(stop) => return Err(stop.into()),
    };
    let (merchants, channels) = (config.merchants.len(), config.channels.len());
    let document = json!({
        "name": config.name, "faults": [], "warnings": config.warnings, "merchants": merchants, "channels": channels
    });
    let said = || {
        let warnings = config.warnings.iter().map(|warning| format!("\n  ‼ {warning}"));
        let warnings = warnings.collect::<String>();
        format!("√ {}: {}, {}{warnings}", config.name, count(merchants, "merchant"), count(channels, "channel"))
    };
    context.out.either(&document, said)?;
    Ok(Exit::Fine)
}

fn load(context: &Context, file: Option<PathBuf>) -> Result<Config, Stop> {
    match file {
        Some(file) => Ok(Config::load(Some(&file), &context.env)?),
        None => context.load_config(),
    }
}

async fn reload(context: &Context, dry_run: bool) -> anyhow::Result<Exit> {
    let actor = context.env.get("USER").filter(|user| !user.is_empty());
    let ask = json!({ "dry_run": dry_run, "actor": actor });
    let answer = match context.admin().send("/admin/v1/config/reload", &ask).await {
        Ok(answer) => answer,
        Err(Stop::Problem(problem)) if problem.code == "invalid_request" => {
            context.out.remark(&format!("the file is wrong, nothing was changed: {problem}"))?;
            return Ok(Exit::BadConfig);
        }
        Err(stop) => return Err(stop.into()),
    };
    let names = |key: &str| {
        let list = answer.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        list.collect::<Vec<_>>().join(", ")
    };
    let said = || {
        let verb = if dry_run { "would be in force" } else { "is in force" };
        let configuration = answer.get("configuration").and_then(Value::as_str).unwrap_or("the configuration");
        let mut lines = vec![format!("√ {configuration} {verb}")];
        for (key, word) in [("added", "new channels"), ("removed", "channels gone"), ("warnings", "‼")] {
            let names = names(key);
            if !names.is_empty() {
                lines.push(format!("  {word}: {names}"));
            }
        }
        if dry_run {
            lines.push("apply: tongdao config reload".to_owned());
        }
        lines.join("\n")
    };
    context.out.either(&answer, said)?;
    Ok(Exit::Fine)
}
