//! `tongdao audit`: every order and every change of the configuration, newest first.
//!
//! It draws what the daemon says and judges nothing.

use super::Context;
use super::documents::{AuditDoc, PageDoc};
use super::exit::Exit;
use super::{out, show};
use clap::Args;

/// How much of it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tongdao audit --limit 10")]
pub(crate) struct AuditArgs {
    /// How many entries, at most 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
}

pub(crate) async fn run(context: &Context, args: &AuditArgs) -> anyhow::Result<Exit> {
    let page = context.admin().load(&format!("/admin/v1/audit?limit={}", args.limit)).await?;
    let entries: PageDoc<AuditDoc> = serde_json::from_value(page.clone())?;
    context.out.either(&page, || table(&entries.data))?;
    Ok(Exit::Fine)
}

fn table(entries: &[AuditDoc]) -> String {
    if entries.is_empty() {
        return "nothing was ordered or reloaded yet".to_owned();
    }
    let row = |entry: &AuditDoc| {
        vec![
            show::moment(&entry.at),
            entry.actor.clone(),
            entry.action.clone(),
            entry.target.clone(),
            entry.until.as_deref().map_or_else(|| "-".to_owned(), show::moment),
            entry.reason.clone(),
            entry.detail.clone(),
        ]
    };
    out::table(&["when", "who", "what", "target", "until", "why", "with"], entries.iter().map(row).collect())
}
