//! `tongdao channels`: how every channel stands, one line each; `tongdao channel X`: one of them at length.
//!
//! It draws what the daemon says and judges nothing; exit code 1 tells a script that no channel, or not this one, takes
//! charges.

use super::Context;
use super::documents::{ChannelDoc, PageDoc};
use super::exit::{Exit, Stop};
use super::{out, show};
use clap::Args;
use serde_json::Value;

/// Which channel.
#[derive(Debug, Args)]
pub(crate) struct ChannelArgs {
    /// Its name in the configuration
    #[arg(value_name = "CHANNEL")]
    channel: String,
}

pub(crate) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let page = context.admin().load("/admin/v1/channels").await?;
    let channels: PageDoc<ChannelDoc> = serde_json::from_value(page.clone())?;
    context.out.either(&page, || table(&channels.data))?;
    let usable = channels.data.iter().any(|channel| matches!(channel.state.as_str(), "open" | "probing"));
    Ok(if usable { Exit::Fine } else { Exit::Problem })
}

/// One channel at length.
pub(crate) async fn one(context: &Context, args: &ChannelArgs) -> anyhow::Result<Exit> {
    let page: PageDoc<Value> = serde_json::from_value(context.admin().load("/admin/v1/channels").await?)?;
    let named = |document: &&Value| document.get("id").and_then(Value::as_str) == Some(&args.channel);
    let Some(document) = page.data.iter().find(named) else {
        let names: Vec<&str> = page.data.iter().filter_map(|one| one.get("id")?.as_str()).collect();
        return Err(
            Stop::Usage(format!("no channel is called {}; there are {}", args.channel, names.join(", "))).into()
        );
    };
    let channel: ChannelDoc = serde_json::from_value(document.clone())?;
    context.out.either(document, || at_length(&channel))?;
    Ok(if matches!(channel.state.as_str(), "open" | "probing") { Exit::Fine } else { Exit::Problem })
}

fn at_length(channel: &ChannelDoc) -> String {
    let ordered = channel.ordered.as_ref().map_or_else(
        || "no override".to_owned(),
        |order| {
            let until = show::moment(&order.ends_at);
            let over = if order.target == channel.id { String::new() } else { format!(" (all of {})", order.target) };
            let undo = format!("tongdao restore {}", order.target);
            format!("{}{over} until {until} by {}: {}\n  undo: {undo}", order.action, order.actor, order.reason)
        },
    );
    let limit = [("amount", channel.limits.day_amount_used), ("payments", channel.limits.day_count_used)];
    let limit: Vec<String> =
        limit.iter().filter_map(|(what, used)| Some(format!("{what} {}", show::percent((*used)?)))).collect();
    let limit = if limit.is_empty() { "none".to_owned() } else { limit.join(", ") };
    let late = if channel.news_is_late { "\nits callbacks are late: its orders are asked about" } else { "" };
    let mut said = format!(
        "{} ({} {}): {}\n{ordered}\nscenes: {}\nscore {:.4}, accepts {}, converts {}, latency {}, room {}, today's share {}{late}\nlimit used: {limit}",
        channel.id,
        channel.provider,
        channel.account,
        channel
            .excluded
            .as_ref()
            .filter(|why| **why != channel.state)
            .map_or_else(|| channel.state.clone(), |why| format!("{}, out: {why}", channel.state)),
        channel.scenes.join(", "),
        channel.score,
        show::percent(channel.health),
        converts(channel),
        latency(channel),
        channel.tokens.map_or_else(|| "-".to_owned(), |tokens| tokens.to_string()),
        show::percent(channel.share),
    );
    for error in &channel.last_errors {
        said.push_str(&format!("\n  {} {}", show::moment(&error.at), error.detail));
    }
    said
}

/// The channels as a table.
pub(crate) fn table(channels: &[ChannelDoc]) -> String {
    let heading = [
        "channel",
        "provider",
        "state",
        ">score",
        ">accepts",
        ">converts",
        ">share",
        ">latency",
        ">in flight",
        ">fee",
        ">limit",
        "last error",
    ];
    out::table(&heading, channels.iter().map(row).collect())
}

fn row(channel: &ChannelDoc) -> Vec<String> {
    let limit = [channel.limits.day_amount_used, channel.limits.day_count_used];
    let limit = limit.into_iter().flatten().reduce(f64::max);
    let error = channel.last_errors.last();
    vec![
        channel.id.clone(),
        channel.provider.clone(),
        state(channel),
        format!("{:.4}", channel.score),
        show::percent(channel.health),
        converts(channel),
        show::percent(channel.share),
        latency(channel),
        channel.in_flight.map_or_else(|| "-".to_owned(), |now| format!("{now}/{}", channel.capacity.max_in_flight)),
        format!("{}.{:02} %", channel.fee_bps.div_euclid(100), channel.fee_bps.rem_euclid(100)),
        limit.map_or_else(|| "-".to_owned(), show::percent),
        error.map_or_else(String::new, |error| format!("{} {}", show::moment(&error.at), error.detail)),
    ]
}

/// The state, and until when an order holds.
fn state(channel: &ChannelDoc) -> String {
    match &channel.ordered {
        None => channel.state.clone(),
        Some(order) => {
            let word =
                if order.action == "force" { format!("{}, forced", channel.state) } else { channel.state.clone() };
            format!("{word} until {}", show::moment(&order.ends_at))
        }
    }
}

fn converts(channel: &ChannelDoc) -> String {
    channel.converts.map_or_else(|| "-".to_owned(), show::percent)
}

fn latency(channel: &ChannelDoc) -> String {
    match (channel.latency_ms.p50, channel.latency_ms.p99, channel.latency_ms.mean) {
        (Some(p50), Some(p99), _) => format!("{p50}/{p99} ms"),
        (_, _, Some(mean)) => format!("{mean} ms"),
        (_, _, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn channels_stand_in_straight_columns_with_what_is_wrong() {
        let channels: Vec<ChannelDoc> = serde_json::from_value(json!([
            {"id": "wechat-main", "provider": "wechatpay", "state": "open", "score": 0.951, "health": 0.9871, "converts": 0.912, "standing": "in", "tokens": 60, "share": 0.6,
             "in_flight": 3, "capacity": {"max_in_flight": 64, "per_second": 300}, "fee_bps": 60,
             "latency_ms": {"mean": 120, "p50": 100, "p99": 300}, "limits": {"day_amount_used": 0.123, "day_count_used": 0.01},
             "last_errors": []},
            {"id": "备用通道", "provider": "alipay", "state": "ejected", "score": 0, "health": 0.42, "share": 0.4,
             "in_flight": null, "capacity": {"max_in_flight": 8, "per_second": 30}, "fee_bps": 38,
             "latency_ms": {"mean": 900, "p50": null, "p99": null}, "limits": {},
             "last_errors": [{"at": "2025-12-17T11:33:20.000Z", "detail": "failed after 3000 ms"}]},
            {"id": "unionpay-main", "provider": "unionpay", "state": "drained", "health": 0.9, "fee_bps": 50,
             "override": {"action": "drain", "target": "unionpay", "ends_at": "2025-12-17T12:00:00.000Z"}}
        ]))
        .unwrap();
        insta::assert_snapshot!(table(&channels));
    }
}
