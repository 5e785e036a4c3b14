//! `tongdao drain`, `force`, `restore`, `overrides`: orders over the channels, for somebody who was just woken.
//!
//! Invariants: a dry run changes nothing, shows what would follow and prints the exact line that does it, guarded by
//! the version that was seen; whatever was done prints the line that undoes it. Refused by the safety rule is exit
//! code 4, changed since the dry run is 5.

use super::charge::encoded;
use super::documents::{OverrideDoc, OverridesDoc, StandingDoc};
use super::exit::{Exit, Stop};
use super::{Context, out, show};
use crate::config::read_duration;
use clap::Args;
use serde_json::{Value, json};

/// What both kinds of order take.
#[derive(Debug, Args)]
struct OrderArgs {
    /// A channel, or a provider for all its channels
    #[arg(value_name = "CHANNEL|PROVIDER")]
    target: String,
    /// How long it holds: 90s, 15m, 2h; it ends by itself
    #[arg(long = "for", value_name = "DURATION", value_parser = checked_duration)]
    lasts: String,
    /// Why, for whoever reads the audit
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    guard: GuardArgs,
}

/// Who, and on what condition.
#[derive(Debug, Args)]
struct GuardArgs {
    /// Who orders it [default: $USER]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only if nothing changed since this version (the dry run prints it)
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    /// Show what would follow and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What to drain.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tongdao drain wechat-main --for 15m --reason \"5xx since 03:10\" --dry-run\n  \
                        tongdao drain wechat-main --for 15m --reason \"5xx since 03:10\"")]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// Also if a payment method is left without a channel
    #[arg(long)]
    even_if_last: bool,
}

/// What to force.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tongdao force alipay-main --for 30m --reason \"bank maintenance at WeChat Pay\"")]
pub(crate) struct ForceArgs {
    #[command(flatten)]
    order: OrderArgs,
}

/// What to restore.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tongdao restore wechat-main")]
pub(crate) struct RestoreArgs {
    /// The channel or provider that was drained or forced, or one override's id
    #[arg(value_name = "CHANNEL|PROVIDER|ID")]
    target: String,
    /// Why, for whoever reads the audit
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    guard: GuardArgs,
}

pub(crate) async fn drain(context: &Context, args: &DrainArgs) -> anyhow::Result<Exit> {
    order(context, "drain", &args.order, args.even_if_last).await
}

pub(crate) async fn force(context: &Context, args: &ForceArgs) -> anyhow::Result<Exit> {
    order(context, "force", &args.order, false).await
}

pub(crate) async fn list(context: &Context) -> anyhow::Result<Exit> {
    let all = context.admin().load("/admin/v1/overrides").await?;
    let doc: OverridesDoc = serde_json::from_value(all.clone())?;
    context.out.either(&all, || table(&doc.data))?;
    Ok(Exit::Fine)
}

pub(crate) async fn restore(context: &Context, args: &RestoreArgs) -> anyhow::Result<Exit> {
    let admin = context.admin();
    let all: OverridesDoc = serde_json::from_value(admin.load("/admin/v1/overrides").await?)?;
    let named = |one: &&OverrideDoc| one.target == args.target || one.id == args.target;
    let found: Vec<&OverrideDoc> = all.data.iter().filter(named).collect();
    if found.is_empty() {
        return Err(Stop::Usage(format!("nothing is ordered about {}\n{}", args.target, table(&all.data))).into());
    }
    if args.guard.dry_run {
        let apply = format!("tongdao restore {}{}", args.target, guards(&args.guard, all.version));
        let document = json!({ "dry_run": true, "version": all.version, "ends": found.iter().map(|one| &one.id).collect::<Vec<_>>(), "apply": apply });
        let ended: Vec<String> = found.iter().map(|one| format!("would end: {}", line(one))).collect();
        context.out.either(&document, || format!("{}\napply: {apply}", ended.join("\n")))?;
        return Ok(Exit::Fine);
    }
    let actor = actor(context, &args.guard)?;
    let mut guard = args.guard.if_version;
    let (mut documents, mut said) = (Vec::new(), Vec::new());
    for one in found {
        let reason = args.reason.as_ref().map(|reason| format!("&reason={}", encoded(reason))).unwrap_or_default();
        let version = guard.map(|version| format!("&if_version={version}")).unwrap_or_default();
        let path = format!("/admin/v1/overrides/{}?actor={}{reason}{version}", one.id, encoded(&actor));
        let document = admin.remove(&path).await?;
        let ended: OverrideDoc = serde_json::from_value(document.clone())?;
        guard = guard.map(|_| ended.now_at_version);
        said.push(format!("ended: {}\nundo: {}", line(&ended), again(&ended)));
        documents.push(document);
    }
    context.out.either(&json!({ "data": documents }), || said.join("\n"))?;
    Ok(Exit::Fine)
}

async fn order(context: &Context, action: &str, args: &OrderArgs, even_if_last: bool) -> anyhow::Result<Exit> {
    let actor = actor(context, &args.guard)?;
    let body = json!({
        "action": action, "target": args.target, "for": args.lasts, "reason": args.reason, "actor": actor,
        "if_version": args.guard.if_version, "dry_run": args.guard.dry_run, "even_if_last": even_if_last
    });
    let mut answer = context.admin().send("/admin/v1/overrides", &body).await?;
    let doc: OverrideDoc = serde_json::from_value(answer.clone())?;
    let insists = if even_if_last || doc.refused.is_some() { " --even-if-last" } else { "" };
    if !args.guard.dry_run {
        let undo = format!("tongdao restore {}", doc.target);
        add(&mut answer, "undo", &undo);
        context.out.either(&answer, || format!("{}\n{}\nundo: {undo}", line(&doc), followed(&doc)))?;
        return Ok(Exit::Fine);
    }
    let apply = format!(
        "tongdao {action} {} --for {} --reason {}{insists}{}",
        args.target,
        args.lasts,
        quoted(&args.reason),
        guards(&args.guard, doc.version)
    );
    add(&mut answer, "apply", &apply);
    context.out.either(&answer, || foretold(&doc, &apply))?;
    Ok(if doc.refused.is_some() && !even_if_last { Exit::Refused } else { Exit::Fine })
}

fn add(document: &mut Value, name: &str, text: &str) {
    if let Some(fields) = document.as_object_mut() {
        fields.insert(name.to_owned(), json!(text));
    }
}

/// What a dry run says.
fn foretold(doc: &OverrideDoc, apply: &str) -> String {
    let does = match doc.action.as_str() {
        "drain" => "would take no new charges",
        _ => "would be tried first",
    };
    let stranded = &doc.consequence.stranded;
    let warning = if stranded.is_empty() {
        String::new()
    } else {
        format!("\n× no channel would be left for {}: refused without --even-if-last", stranded.join(", "))
    };
    let (target, until) = (&doc.target, show::moment(&doc.ends_at));
    format!("{target} {does} until {until}\n{}{warning}\napply: {apply}", followed(doc))
}

/// What follows from an order.
fn followed(doc: &OverrideDoc) -> String {
    let seen = &doc.consequence;
    let names: Vec<&str> = seen.channels.iter().map(|channel| channel.id.as_str()).collect();
    let flight = show::count(u64::try_from(seen.charges_in_flight).unwrap_or(0), "charge");
    let mut said = format!("in flight at {}: {flight}, watched to their end", names.join(", "));
    let shown = if doc.action == "drain" { &seen.elsewhere } else { &seen.channels };
    let heading = if doc.action == "drain" { "left elsewhere" } else { "room there" };
    said.push_str(&format!("\n{heading}:"));
    if shown.is_empty() {
        said.push_str(" nothing");
    }
    for channel in shown {
        said.push_str(&format!("\n  {}", room(channel)));
    }
    if let Some(replaced) = &seen.replaces {
        said.push_str(&format!("\nreplaces {replaced}, which does not come back"));
    }
    said
}

fn room(channel: &StandingDoc) -> String {
    let amount = channel.day_amount_left.map(|left| format!("{} yuan", show::yuan(left)));
    let count = channel.day_count_left.map(|left| format!("{left} payments"));
    let left: Vec<String> = amount.into_iter().chain(count).collect();
    let left = if left.is_empty() { "no daily limit".to_owned() } else { format!("{} left today", left.join(", ")) };
    format!(
        "{} ({}): {} at once, {} a second, {left}",
        channel.id, channel.provider, channel.max_in_flight, channel.per_second
    )
}

fn line(one: &OverrideDoc) -> String {
    let until = show::moment(&one.ends_at);
    format!("{} {} until {until} by {}: {} ({})", one.action, one.target, one.actor, one.reason, one.id)
}

/// The line that brings back what was ended, for the time that it had left.
fn again(one: &OverrideDoc) -> String {
    let left_ms = show::millis_of(&one.ends_at).zip(show::millis_of(&one.restored_at)).map(|(end, now)| end - now);
    let left_s = left_ms.map_or(1, |ms| ms.div_euclid(1000)).max(1);
    format!("tongdao {} {} --for {left_s}s --reason {}", one.action, one.target, quoted(&one.reason))
}

fn table(orders: &[OverrideDoc]) -> String {
    if orders.is_empty() {
        return "no override is in force".to_owned();
    }
    let row = |one: &OverrideDoc| {
        vec![
            one.action.clone(),
            one.target.clone(),
            show::moment(&one.ends_at),
            one.actor.clone(),
            one.reason.clone(),
            show::moment(&one.created_at),
            one.id.clone(),
        ]
    };
    out::table(&["what", "target", "until", "who", "why", "since", "id"], orders.iter().map(row).collect())
}

fn guards(guard: &GuardArgs, version: u64) -> String {
    let actor = guard.actor.as_ref().map(|actor| format!(" --actor {}", quoted(actor))).unwrap_or_default();
    format!("{actor} --if-version {version}")
}

/// Whoever is named, or logged in: an order has an author.
fn actor(context: &Context, guard: &GuardArgs) -> Result<String, Stop> {
    let user = || context.env.get("USER").filter(|user| !user.is_empty()).cloned();
    let nobody = || Stop::Usage("who orders this? name yourself with --actor ($USER is empty)".to_owned());
    guard.actor.clone().or_else(user).ok_or_else(nobody)
}

/// The text as given, so that it stands in the body as it was typed.
fn checked_duration(text: &str) -> Result<String, &'static str> {
    read_duration(text).map(|_| text.to_owned())
}

/// Text as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    if text.chars().any(|c| "\"$`\\!".contains(c)) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc() -> OverrideDoc {
        serde_json::from_value(json!({
            "dry_run": true, "action": "drain", "target": "wechat-main", "ends_at": "2025-12-17T19:33:20.000Z",
            "version": 3, "refused": "would_leave_no_channel",
            "consequence": {
                "charges_in_flight": 12, "stranded": ["wechatpay"],
                "channels": [{"id": "wechat-main", "provider": "wechatpay"}],
                "elsewhere": [
                    {"id": "alipay-main", "provider": "alipay", "max_in_flight": 64, "per_second": 300,
                     "day_amount_left": 1_234_500, "day_count_left": 80},
                    {"id": "unionpay-main", "provider": "unionpay", "max_in_flight": 8, "per_second": 20}
                ]
            }
        }))
        .unwrap()
    }

    #[test]
    fn a_dry_run_shows_what_follows_and_the_line_that_does_it() {
        let apply = "tongdao drain wechat-main --for 15m --reason \"5xx\" --even-if-last --if-version 3";
        insta::assert_snapshot!(foretold(&doc(), apply), @r#"
        wechat-main would take no new charges until 12-18 03:33:20
        in flight at wechat-main: 12 charges, watched to their end
        left elsewhere:
          alipay-main (alipay): 64 at once, 300 a second, 12345.00 yuan, 80 payments left today
          unionpay-main (unionpay): 8 at once, 20 a second, no daily limit
        × no channel would be left for wechatpay: refused without --even-if-last
        apply: tongdao drain wechat-main --for 15m --reason "5xx" --even-if-last --if-version 3
        "#);
    }

    #[test]
    fn a_reason_is_one_word_for_a_shell() {
        assert_eq!(quoted("5xx since 03:10"), "\"5xx since 03:10\"");
        assert_eq!(quoted("cost $5 `now` it's"), r"'cost $5 `now` it'\''s'");
    }

    #[test]
    fn what_was_ended_can_be_ordered_again_for_the_rest_of_its_time() {
        let ended = OverrideDoc {
            action: "force".into(),
            target: "alipay".into(),
            reason: "bank".into(),
            ends_at: "2025-12-17T19:33:20.000Z".into(),
            restored_at: "2025-12-17T19:30:00.000Z".into(),
            ..OverrideDoc::default()
        };
        assert_eq!(again(&ended), "tongdao force alipay --for 200s --reason \"bank\"");
    }
}
