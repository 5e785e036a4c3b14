//! `tongdao breaks` and `tongdao break resolve`: what waits for a person, and the person's word.
//!
//! Invariants: a dry run changes nothing, says what would follow and prints the line that does it. A decision has an
//! author and a reason. One that does not fit is exit code 4; one that waits for a second person is 0 and says so.

use super::documents::{BreakDoc, ForetoldDoc, PageDoc};
use super::exit::{Exit, Stop};
use super::overrides::quoted;
use super::{Context, out, show};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

/// Which breaks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tongdao breaks\n  tongdao breaks --status resolved --limit 20")]
pub(crate) struct BreaksArgs {
    /// How far they are
    #[arg(long, value_enum, default_value_t = Status::Open)]
    status: Status,
    /// How many, newest first, at most 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
}

/// How far a break is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Open,
    Resolved,
    Repaired,
    All,
}

/// What is done about one break.
#[derive(Debug, Subcommand)]
pub(crate) enum BreakCommand {
    /// Decide: the goods go out, the money goes back, or the matter is closed
    Resolve(ResolveArgs),
}

/// A decision.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    tongdao break resolve brk_01J… --as refund --actor li --note \"shop sold out\" --dry-run\n  \
    tongdao break resolve brk_01J… --as write-off --actor li --note \"1 fen, not worth a call\"")]
pub(crate) struct ResolveArgs {
    /// The break
    #[arg(value_name = "ID")]
    id: String,
    /// What is decided
    #[arg(long = "as", value_enum, value_name = "DECISION")]
    decision: Decision,
    /// Who decides [default: $USER]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Why, for whoever reads the audit
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// Show what would follow and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Decision {
    /// The payment counts: the merchant is told to hand over
    Deliver,
    /// The money goes back
    Refund,
    /// All is right as it is: nothing moves
    Accept,
    /// The difference is borne: nothing moves
    #[value(alias = "write_off")]
    WriteOff,
}

impl Decision {
    const fn word(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Refund => "refund",
            Self::Accept => "accept",
            Self::WriteOff => "write_off",
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Refund => "refund",
            Self::Accept => "accept",
            Self::WriteOff => "write-off",
        }
    }
}

pub(crate) async fn list(context: &Context, args: &BreaksArgs) -> anyhow::Result<Exit> {
    let status = match args.status {
        Status::Open => "&status=open",
        Status::Resolved => "&status=resolved",
        Status::Repaired => "&status=repaired",
        Status::All => "",
    };
    let page = context.admin().load(&format!("/admin/v1/breaks?limit={}{status}", args.limit)).await?;
    let doc: PageDoc<BreakDoc> = serde_json::from_value(page.clone())?;
    context.out.either(&page, || table(&doc))?;
    Ok(Exit::Fine)
}

pub(crate) async fn run(context: &Context, command: BreakCommand) -> anyhow::Result<Exit> {
    match command {
        BreakCommand::Resolve(args) => resolve(context, &args).await,
    }
}

async fn resolve(context: &Context, args: &ResolveArgs) -> anyhow::Result<Exit> {
    let user = || context.env.get("USER").filter(|user| !user.is_empty()).cloned();
    let nobody = || Stop::Usage("who decides this? name yourself with --actor ($USER is empty)".to_owned());
    let actor = args.actor.clone().or_else(user).ok_or_else(nobody)?;
    let body = json!({
        "resolution": args.decision.word(), "actor": actor, "note": args.note, "dry_run": args.dry_run
    });
    let mut answer = context.admin().send(&format!("/admin/v1/breaks/{}/resolve", args.id), &body).await?;
    if args.dry_run {
        let doc: ForetoldDoc = serde_json::from_value(answer.clone())?;
        let apply = format!(
            "tongdao break resolve {} --as {} --actor {} --note {}",
            args.id,
            args.decision.flag(),
            quoted(&actor),
            quoted(&args.note)
        );
        if let Some(fields) = answer.as_object_mut() {
            fields.insert("apply".to_owned(), json!(apply));
        }
        context.out.either(&answer, || foretold(&doc, &apply))?;
        return Ok(Exit::Fine);
    }
    let doc: BreakDoc = serde_json::from_value(answer.clone())?;
    context.out.either(&answer, || settled(&doc))?;
    Ok(Exit::Fine)
}

fn foretold(doc: &ForetoldDoc, apply: &str) -> String {
    let mut said = format!("{}\nas {}:", line(&doc.of), doc.resolution);
    for follows in &doc.follows {
        said.push_str(&format!("\n  {follows}"));
    }
    if doc.awaits_second {
        said.push_str("\n‼ much is at stake: it waits until a second person says the same");
    }
    if let Some(proposal) = &doc.proposal {
        said.push_str(&format!("\nproposed by {}: {} ({})", proposal.actor, proposal.resolution, proposal.note));
    }
    said.push_str(&format!("\npossible: {}\napply: {apply}", doc.fitting.join(", ")));
    said
}

fn settled(doc: &BreakDoc) -> String {
    if doc.state == "awaiting confirmation" {
        return format!("{}\nawaiting confirmation: a second person has to say the same", line(doc));
    }
    let (resolution, actor) = (doc.resolution.as_deref().unwrap_or("-"), doc.actor.as_deref().unwrap_or("-"));
    format!("{}\nresolved: {resolution} by {actor}", line(doc))
}

fn line(doc: &BreakDoc) -> String {
    let of = [&doc.channel, &doc.charge, &doc.provider_trade_no].map(|part| part.as_deref().unwrap_or("-"));
    format!(
        "{} {} over {} {}: {}\n  {}",
        doc.kind,
        doc.id,
        show::yuan(doc.amount),
        doc.currency,
        of.join(" "),
        doc.evidence
    )
}

fn table(page: &PageDoc<BreakDoc>) -> String {
    if page.data.is_empty() {
        return "no such break".to_owned();
    }
    let row = |one: &BreakDoc| {
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            show::moment(&one.opened_at),
            one.kind.clone(),
            one.status.clone(),
            show::yuan(one.amount),
            dash(&one.channel),
            dash(&one.charge),
            one.id.clone(),
        ]
    };
    let rows = page.data.iter().map(row).collect();
    let more = if page.next_cursor.is_some() { "\nthere are more: --limit" } else { "" };
    format!("{}{more}", out::table(&["since", "kind", "status", "yuan", "channel", "charge", "id"], rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_what_follows_and_the_line_that_does_it() {
        let doc: ForetoldDoc = serde_json::from_value(json!({
            "dry_run": true, "resolution": "refund", "awaits_second": true, "fitting": ["refund", "accept"],
            "follows": ["19.99 CNY of payment 42 go back under the number ABC"],
            "proposal": {"resolution": "accept", "actor": "wang", "note": "fine", "at": "2025-12-17T19:33:20.000Z"},
            "break": {"id": "brk_1", "kind": "refund_differs", "amount": 1999, "currency": "CNY", "channel": "wechat-main",
                      "charge": "ch_1", "provider_trade_no": "42", "evidence": "it bounced"}
        }))
        .unwrap();
        insta::assert_snapshot!(foretold(&doc, "tongdao break resolve brk_1 --as refund"), @r"
        refund_differs brk_1 over 19.99 CNY: wechat-main ch_1 42
          it bounced
        as refund:
          19.99 CNY of payment 42 go back under the number ABC
        ‼ much is at stake: it waits until a second person says the same
        proposed by wang: accept (fine)
        possible: refund, accept
        apply: tongdao break resolve brk_1 --as refund
        ");
    }
}
