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
            format!("{} ms", candidate.latency_ms),
            format!("{}.{:02} %", candidate.fee_bps.div_euclid(100), candidate.fee_bps.rem_euclid(100)),
            excluded.map_or_else(String::new, |reason| format!("out: {}", reason_of(reason))),
        ]
    });
    let table = out::table(&["", "channel", ">score", ">health", ">latency", ">fee", ""], rows.collect());
    let verdict = match &decision.channel {
        Some(channel) => format!("{channel}: {}", because(&decision.chosen_because)),
        None => "no channel can take this charge now".to_owned(),
    };
    format!("{verdict}\n\n{table}")
}

fn because(word: &str) -> &str {
    match word {
        "score" => "the best score (channels within a near-tie share the traffic)",
        "pinned" => "the charge names it",
        "forced" => "an operator forces it",
        "failover" => "an earlier channel gave no code",
        "probe" => "it was sick and gets one charge to show that it is well",
        "only_one" => "the only one left",
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
        "capacity" => "our own limit for it is reached",
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
                {"channel": "wechat-main", "score": 0.95, "health": 0.98, "latency_ms": 120, "fee_bps": 60, "excluded": null},
                {"channel": "alipay-main", "score": 0.94, "health": 0.975, "latency_ms": 140, "fee_bps": 60, "excluded": null},
                {"channel": "unionpay-main", "score": 0, "health": 0.2, "latency_ms": 3000, "fee_bps": 50, "excluded": "ejected"}
            ]
        }))
        .unwrap();
        insta::assert_snapshot!(explained(&decision));
    }
}
