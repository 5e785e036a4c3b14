//! `tongdao route`: the decision that would be taken now, with every candidate and its reason; and what the router
//! earns on recorded troubles (`replay`).
//!
//! Nothing is reserved and nothing is sent; asking changes no channel.

mod marks;
mod replay;

use super::Context;
use super::charge::read_amount;
use super::documents::DecisionDoc;
use super::exit::Exit;
use super::{out, show};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// The commands about routing.
#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// Show which channel a charge would get now, and why
    Explain(ExplainArgs),
    /// Replay recorded troubles and show what a router earns in them
    Replay(replay::ReplayArgs),
}

/// The charge in question.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tongdao route explain --amount 18.80\n  \
                        tongdao route explain --amount 18.80 --scene h5 --method wechatpay --method alipay")]
pub(crate) struct ExplainArgs {
    /// Yuan, with at most two decimals: 18.80
    #[arg(long, value_name = "YUAN", value_parser = read_amount)]
    amount: i64,
    /// Where the payer stands: qr, h5, web, jsapi, app
    #[arg(long, default_value = "qr")]
    scene: String,
    /// What the payer can use: wechatpay, alipay, unionpay; may be repeated [default: all]
    #[arg(long, value_name = "METHOD")]
    method: Vec<String>,
    /// What the payer would rather use
    #[arg(long, value_name = "METHOD")]
    preferred: Option<String>,
}

pub(crate) async fn run(context: &Context, command: RouteCommand) -> anyhow::Result<Exit> {
    match command {
        RouteCommand::Explain(args) => explain(context, args).await,
        RouteCommand::Replay(args) => replay::run(context, &args),
    }
}

async fn explain(context: &Context, args: ExplainArgs) -> anyhow::Result<Exit> {
    let methods = if args.method.is_empty() { Value::Null } else { json!(args.method) };
    let payer = json!({ "methods": methods, "preferred": args.preferred });
    let ask = json!({ "amount": args.amount, "scene": args.scene, "payer": payer });
    let decision = context.admin().send("/admin/v1/routes/explain", &ask).await?;
    let doc: DecisionDoc = serde_json::from_value(decision.clone())?;
    context.out.either(&decision, || explained(&doc))?;
    Ok(if doc.channel.is_some() { Exit::Fine } else { Exit::Problem })
}

fn explained(decision: &DecisionDoc) -> String {
    let rows = decision.candidates.iter().map(|candidate| {
        let chosen = decision.channel.as_ref() == Some(&candidate.channel);
        let excluded = candidate.excluded.as_deref();
        vec![
            if chosen { "→".to_owned() } else { String::new() },
            candidate.channel.clone(),
            excluded.map_or_else(|| format!("{:.4}", candidate.score), |_| "-".to_owned()),
            show::percent(candidate.health),
            candidate.converts.map_or_else(|| "-".to_owned(), show::percent),
            format!("{} ms", candidate.latency_ms),
            format!("{}.{:02} %", candidate.fee_bps.div_euclid(100), candidate.fee_bps.rem_euclid(100)),
            candidate.tokens.map_or_else(|| "-".to_owned(), |tokens| tokens.to_string()),
            candidate.standing.as_deref().map_or_else(String::new, |word| standing(word).to_owned()),
            excluded.map_or_else(String::new, |reason| format!("out: {}", reason_of(reason))),
        ]
    });
    let heading = ["", "channel", ">score", ">accepts", ">converts", ">latency", ">fee", ">room", "standing", ""];
    let table = out::table(&heading, rows.collect());
    let verdict = match &decision.channel {
        Some(channel) => format!("{channel}: {}", why(decision)),
        None => "no channel can take this charge now".to_owned(),
    };
    format!("{verdict}\n\n{table}")
}

/// A decision in one line: why, and what each channel was worth.
pub(super) fn in_short(decision: &DecisionDoc) -> String {
    let worth = |candidate: &super::documents::CandidateDoc| match &candidate.excluded {
        None => format!("{} {:.4}", candidate.channel, candidate.score),
        Some(reason) => format!("{} out: {}", candidate.channel, reason_of(reason)),
    };
    let candidates: Vec<String> = decision.candidates.iter().map(worth).collect();
    format!("{} [{}]", why(decision), candidates.join("; "))
}

/// Why this channel, in words: what the house calls it, and how the router came to it where that says more.
pub(super) fn why(decision: &DecisionDoc) -> String {
    let because = match decision.chosen_because.as_str() {
        "score" => "the best score",
        "pinned" => "the charge names it",
        "forced" => "an operator forces it",
        "failover" => "an earlier channel gave no code",
        "probe" => "it was sick and gets one charge to show that it is well",
        "only_one" => "the only one left",
        other => other,
    };
    let reason = match decision.reason.as_deref().unwrap_or_default() {
        "tie" => "so close to the best that they share the traffic",
        "preferred" => "the payer's liking made the difference",
        "spill" => "a better one has no room",
        "explore" => "nobody looked at it for a while",
        "fallback" => "none has room, it has the most",
        _ => "",
    };
    match (decision.chosen_because.as_str(), reason) {
        (_, "") => because.to_owned(),
        ("score", reason) => reason.to_owned(),
        (_, reason) => format!("{because}; {reason}"),
    }
}

/// Whether a channel is in, out, or coming back, in words.
pub(super) fn standing(word: &str) -> &str {
    match word {
        "in" => "in",
        "out" => "out, waits",
        "probe_due" => "out, due for a probe",
        "returning" => "coming back",
        other => other,
    }
}

fn reason_of(word: &str) -> &str {
    match word {
        "disabled" => "switched off by the configuration",
        "drained" => "drained by an operator",
        "scene" => "cannot serve this scene",
        "method" => "the payer cannot use it",
        "amount" => "the sum is outside its range",
        "daily_limit" => "its limit of the day is used up",
        "capacity" => "it has no room",
        "ejected" => "sick, waits for its probe",
        "tried" => "tried already",
        "not_pinned" => "the charge names another",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_explained_with_every_candidate() {
        let decision: DecisionDoc = serde_json::from_value(json!({
            "channel": "wechat-main", "chosen_because": "score", "candidates": [
                {"channel": "wechat-main", "score": 0.95, "health": 0.98, "converts": 0.91, "latency_ms": 120, "fee_bps": 60,
                 "standing": "in", "tokens": 60, "excluded": null},
                {"channel": "alipay-main", "score": 0.94, "health": 0.975, "converts": 0.9, "latency_ms": 140, "fee_bps": 60,
                 "standing": "returning", "tokens": null, "excluded": null},
                {"channel": "unionpay-main", "score": 0, "health": 0.2, "converts": 0.88, "latency_ms": 3000, "fee_bps": 50,
                 "standing": "out", "tokens": 60, "excluded": "ejected"}
            ]
        }))
        .unwrap();
        insta::assert_snapshot!(explained(&decision));
        assert_eq!(
            in_short(&decision),
            "the best score [wechat-main 0.9500; alipay-main 0.9400; unionpay-main out: sick, waits for its probe]"
        );
    }

    #[test]
    fn the_routers_own_reason_is_told_where_it_says_more() {
        let told = |because: &str, reason: &str| {
            why(&serde_json::from_value(json!({ "chosen_because": because, "reason": reason })).unwrap())
        };
        assert_eq!(told("score", "best"), "the best score");
        assert_eq!(told("score", "spill"), "a better one has no room");
        assert_eq!(told("failover", "fallback"), "an earlier channel gave no code; none has room, it has the most");
    }
}
