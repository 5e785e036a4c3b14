//! `tongdao reconcile`, `reconcile export` and `reconciliations`: the day's end, for finance and for whoever was woken.
//!
//! Invariants: it asks the daemon and judges nothing; a bar is drawn on a terminal's standard error and never in a
//! pipe; a day with differences, or one that could not be reconciled, is exit code 1.

mod show_day;

use super::Context;
use super::charge::encoded;
use super::client::AdminClient;
use super::documents::{PageDoc, ReconciliationDoc};
use super::exit::{Exit, Stop};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use show_day::{summary, table, would};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;
use tongdao_core::day::Day;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Which day, or what else.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  tongdao reconcile wechat-main 2026-12-01\n  tongdao reconcile alipay-main 2026-12-01 \
                  --file bill.zip\n  tongdao reconcile export wechat-main 2026-12-01 > day.csv"
)]
pub(crate) struct ReconcileArgs {
    #[command(subcommand)]
    command: Option<ReconcileCommand>,
    #[command(flatten)]
    day: Option<DayArgs>,
    /// A file as the provider made it, instead of fetching one
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Who asks, for the audit [default: $USER]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Order it and do not wait for the end
    #[arg(long)]
    no_wait: bool,
    /// Show what would be reconciled and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// A channel's day.
#[derive(Debug, Clone, Args)]
pub(super) struct DayArgs {
    /// The channel
    #[arg(value_name = "CHANNEL")]
    channel: String,
    /// The statement's day, in Beijing
    #[arg(value_name = "DATE")]
    date: Day,
}

#[derive(Debug, Subcommand)]
enum ReconcileCommand {
    /// Every line of a day with the place where it ended, as CSV for spreadsheets
    #[command(after_help = "Example:\n  tongdao reconcile export wechat-main 2026-12-01 > day.csv")]
    Export(DayArgs),
}

/// Which days.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tongdao reconciliations\n  tongdao reconciliations --channel wechat-main --limit 7"
)]
pub(crate) struct ListArgs {
    /// Of this channel only
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// How many, at most 200
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
}

pub(crate) async fn run(context: &Context, args: ReconcileArgs) -> anyhow::Result<Exit> {
    if let Some(ReconcileCommand::Export(day)) = &args.command {
        return export(context, day).await;
    }
    let Some(day) = &args.day else {
        return Err(Stop::Usage("which channel and which day? (`tongdao reconcile --help`)".to_owned()).into());
    };
    let admin = context.admin();
    if args.dry_run {
        let known = find(&admin, day).await?;
        let seen = json!({ "dry_run": true, "channel": day.channel, "date": day.date, "reconciliation": known });
        context.out.either(&seen, || would(day, known.as_ref()))?;
        return Ok(Exit::Fine);
    }
    let asked = ask(context, &admin, &args, day).await?;
    if args.no_wait {
        context.out.either(&asked, || format!("{} {} is queued", day.channel, day.date))?;
        return Ok(Exit::Fine);
    }
    let ended = watch(context, &admin, asked).await?;
    let one: ReconciliationDoc = serde_json::from_value(ended.clone())?;
    context.out.either(&ended, || summary(&one))?;
    Ok(if one.status == "done" && one.breaks == 0 { Exit::Fine } else { Exit::Problem })
}

pub(crate) async fn list(context: &Context, args: &ListArgs) -> anyhow::Result<Exit> {
    let channel = args.channel.as_deref().map(|id| format!("&channel={}", encoded(id))).unwrap_or_default();
    let path = format!("/admin/v1/reconciliations?limit={}{channel}", args.limit);
    let page = context.admin().load(&path).await?;
    let days: PageDoc<ReconciliationDoc> = serde_json::from_value(page.clone())?;
    context.out.either(&page, || table(&days.data))?;
    Ok(Exit::Fine)
}

async fn ask(context: &Context, admin: &AdminClient, args: &ReconcileArgs, day: &DayArgs) -> Result<Value, Stop> {
    let actor = args.actor.clone().or_else(|| context.env.get("USER").cloned()).filter(|name| !name.is_empty());
    let actor = actor.unwrap_or_else(|| "command line".to_owned());
    match &args.file {
        Some(file) => {
            let (channel, actor) = (encoded(&day.channel), encoded(&actor));
            let path = format!("/admin/v1/reconciliations/import?channel={channel}&date={}&actor={actor}", day.date);
            admin.upload(&path, file).await
        }
        None => {
            let body = json!({ "channel": day.channel, "date": day.date, "actor": actor });
            admin.send("/admin/v1/reconciliations", &body).await
        }
    }
}

/// Looks at a run until it ends.
async fn watch(context: &Context, admin: &AdminClient, mut seen: Value) -> anyhow::Result<Value> {
    let bar = bar(context);
    loop {
        let one: ReconciliationDoc = serde_json::from_value(seen.clone())?;
        let waits = one.status == "queued" && one.failure.is_some();
        if waits || matches!(one.status.as_str(), "done" | "failed") {
            bar.finish_and_clear();
            return Ok(seen);
        }
        if let Some(progress) = one.progress {
            bar.set_length(progress.of);
            bar.set_position(progress.lines);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        seen = admin.load(&format!("/admin/v1/reconciliations/{}", one.id)).await?;
    }
}

fn bar(context: &Context) -> ProgressBar {
    let shown = io::stderr().is_terminal() && !context.out.wants_json();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} lines  {elapsed}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

async fn export(context: &Context, day: &DayArgs) -> anyhow::Result<Exit> {
    let admin = context.admin();
    let Some(one) = find(&admin, day).await? else {
        let mend = format!("{0} {1} was never reconciled: `tongdao reconcile {0} {1}`", day.channel, day.date);
        return Err(Stop::Usage(mend).into());
    };
    let one: ReconciliationDoc = serde_json::from_value(one)?;
    let path = format!("/admin/v1/reconciliations/{}/export.csv", one.id);
    let mut stdout = io::stdout();
    admin.long(&path, &mut |chunk| stdout.write_all(chunk)).await?;
    io::stdout().flush()?;
    Ok(Exit::Fine)
}

async fn find(admin: &AdminClient, day: &DayArgs) -> anyhow::Result<Option<Value>> {
    let path = format!("/admin/v1/reconciliations?channel={}&date={}", encoded(&day.channel), day.date);
    let page: PageDoc<Value> = serde_json::from_value(admin.load(&path).await?)?;
    Ok(page.data.into_iter().next())
}
