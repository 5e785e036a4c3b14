//! `tongdao journal verify` and `export`, and `tongdao store rebuild`: the store's commands that work with the daemon dead.
//!
//! Invariant: verifying changes nothing; rebuilding puts the old index aside, never touches the journal, and is
//! refused while a daemon has the store.

use super::Context;
use super::exit::{Exit, Stop};
use super::show::count;
use crate::config::StoreUrl;
use crate::store::offline::{ExportError, OpenError, export, rebuild, verify};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// The commands about the journal.
#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Read the whole journal and check every record and the chain of hashes
    #[command(after_help = "Examples:\n  tongdao journal verify\n  tongdao journal verify --dir /backup/store")]
    Verify(DirArgs),
    /// Write the whole journal as lines of JSON to standard output: the audit trail
    #[command(after_help = "Example:\n  tongdao journal export --dir /backup/store > journal.jsonl")]
    Export(DirArgs),
}

/// The commands about the store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Make the index anew from the journal; the old one is put aside
    #[command(after_help = "Example (with the daemon stopped):\n  tongdao store rebuild")]
    Rebuild(RebuildArgs),
}

/// Which store.
#[derive(Debug, Args)]
pub(crate) struct DirArgs {
    /// The store's directory [default: the configuration's]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Which store, and whether at all.
#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    #[command(flatten)]
    store: DirArgs,
    /// Verify the journal, say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn journal(context: &Context, command: JournalCommand) -> anyhow::Result<Exit> {
    let args = match command {
        JournalCommand::Verify(args) => args,
        JournalCommand::Export(args) => return export_journal(context, args),
    };
    let dir = directory(context, args)?;
    let report = verify(&dir)?;
    let hash = hex(&report.hash);
    let document = json!({
        "directory": dir, "segments": report.segments, "records": report.records, "last_record": report.last_seq,
        "hash": hash, "torn_bytes": report.torn_bytes, "checkpoint": report.checkpoint_seq
    });
    context.out.either(&document, || {
        let torn = match report.torn_bytes {
            0 => String::new(),
            bytes => format!(
                "\n‼ {bytes} bytes of a record that was never acknowledged at the end; the next start cuts them"
            ),
        };
        format!(
            "√ {}: {} in {}, all intact\n  last record {}, hash {hash}{torn}",
            dir.display(),
            count(report.records, "record"),
            count(report.segments, "segment"),
            report.last_seq
        )
    })?;
    Ok(Exit::Fine)
}

fn export_journal(context: &Context, args: DirArgs) -> anyhow::Result<Exit> {
    let dir = directory(context, args)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match export(&dir, &mut out) {
        Ok(_) => Ok(Exit::Fine),
        // Whoever reads has enough.
        Err(ExportError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Fine),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn store(context: &Context, command: StoreCommand) -> anyhow::Result<Exit> {
    let StoreCommand::Rebuild(args) = command;
    let dir = directory(context, args.store)?;
    if args.dry_run {
        let report = verify(&dir)?;
        let said = format!(
            "would make the index anew from {}\napply: tongdao store rebuild --dir {}",
            count(report.records, "record"),
            dir.display()
        );
        context.out.either(&json!({ "dry_run": true, "directory": dir, "records": report.records }), || said)?;
        return Ok(Exit::Fine);
    }
    let report = match rebuild(&dir) {
        Err(error @ OpenError::Locked { .. }) => {
            context.out.remark(&format!("× {error}"))?;
            return Ok(Exit::Refused);
        }
        other => other?,
    };
    let document = json!({
        "directory": dir, "replayed": report.replayed, "records": report.records, "timers": report.timers,
        "old_index": report.quarantined
    });
    context.out.either(&document, || {
        let old = report.quarantined.as_ref();
        let old = old.map(|path| format!("\n  the old index is in {}", path.display())).unwrap_or_default();
        format!(
            "√ {} of the journal give {} and {} in the index{old}",
            count(report.replayed, "record"),
            count(report.records, "record"),
            count(report.timers, "timer")
        )
    })?;
    Ok(Exit::Fine)
}

fn directory(context: &Context, args: DirArgs) -> Result<PathBuf, Stop> {
    let dir = match args.dir {
        Some(dir) => dir,
        None => match context.load_config()?.store.url {
            StoreUrl::Embedded(dir) => dir,
            StoreUrl::Memory => return Err(Stop::Usage("the configured store keeps nothing on disk".to_owned())),
            StoreUrl::Postgres(_) => return Err(Stop::Usage("the configured store is no directory".to_owned())),
        },
    };
    // A store would be made where there is none, and an empty journal verifies well.
    if dir.join("journal").is_dir() {
        Ok(dir)
    } else {
        Err(Stop::Usage(format!("there is no store in {}", dir.display())))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
