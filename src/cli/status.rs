//! `tongdao status`: is it well? The figures that on-call looks at first, and what is wrong in words.
//!
//! Invariant: exit code 1 whenever a person should look: not ready, no channel open, paid and not delivered for two
//! minutes, a break open. The thresholds are those of the alerts.

use super::Context;
use super::documents::StatusDoc;
use super::exit::Exit;
use super::out::{Out, Tone};
use super::{channels, show};

/// Paid and not delivered for so long wakes a person.
const UNDELIVERED_MAX_MS: i64 = 120_000;

pub(crate) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let status = context.admin().load("/admin/v1/status").await?;
    let doc: StatusDoc = serde_json::from_value(status.clone())?;
    let troubles = troubles(&doc);
    context.out.either(&status, || board(&context.out, &doc, &troubles))?;
    Ok(if troubles.is_empty() { Exit::Fine } else { Exit::Problem })
}

/// What a person should look at, each with the command that shows more.
fn troubles(status: &StatusDoc) -> Vec<String> {
    let mut troubles: Vec<String> = status.not_ready.iter().map(|why| format!("not ready: {why}")).collect();
    let usable = status.channels.iter().any(|channel| matches!(channel.state.as_str(), "open" | "probing"));
    if !usable {
        troubles.push("no channel is open: payers cannot pay (tongdao channels)".to_owned());
    }
    if let Some(oldest) = &status.oldest_undelivered
        && undelivered_ms(status).unwrap_or_default() >= UNDELIVERED_MAX_MS
    {
        troubles.push(format!("paid and not delivered (tongdao charge trace {})", oldest.charge));
    }
    if status.open_breaks > 0 {
        troubles.push(format!("{}: a person is needed", show::count(status.open_breaks, "open break")));
    }
    troubles
}

fn undelivered_ms(status: &StatusDoc) -> Option<i64> {
    let oldest = status.oldest_undelivered.as_ref()?;
    Some(show::millis_of(&status.now)?.saturating_sub(show::millis_of(&oldest.paid_at)?))
}

fn board(out: &Out, status: &StatusDoc, troubles: &[String]) -> String {
    let up = show::millis_of(&status.now).zip(show::millis_of(&status.started_at));
    let up = up.map(|(now, from)| format!(", up {}", show::span(now.saturating_sub(from)))).unwrap_or_default();
    let verdict = if troubles.is_empty() {
        out.paint(Tone::Good, "√ all is well")
    } else {
        troubles.iter().map(|trouble| out.paint(Tone::Bad, &format!("× {trouble}"))).collect::<Vec<_>>().join("\n")
    };
    let count = |stage: &str| status.charges.get(stage).copied().unwrap_or_default();
    let oldest = undelivered_ms(status).map_or_else(|| "none".to_owned(), |ms| format!("for {}", show::span(ms)));
    let lines = [
        verdict,
        String::new(),
        format!("tongdao {}{up}, {}", status.version, status.configuration),
        format!(
            "charges    {} awaiting payment, {} delivering, {} need attention",
            count("awaiting_payment"),
            count("delivering"),
            count("attention")
        ),
        format!("oldest paid and undelivered    {oldest}"),
        format!("open breaks    {}", status.open_breaks),
        format!("writes that wait    {}", status.store_queue_depth),
        String::new(),
        channels::table(&status.channels),
    ];
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(changes: serde_json::Value) -> StatusDoc {
        let mut document = json!({
            "version": "0.1.0", "now": "2025-12-17T11:33:20.000Z", "started_at": "2025-12-17T09:28:20.000Z", "ready": true,
            "not_ready": [], "configuration": "the built-in configuration", "store_queue_depth": 0,
            "charges": {"awaiting_payment": 2, "delivering": 1, "attention": 0}, "oldest_undelivered": null,
            "open_breaks": 0, "channels": [{"id": "wechat-main", "provider": "wechatpay", "state": "open", "score": 0.95,
                "health": 0.98, "share": 1.0, "in_flight": 0, "capacity": {"max_in_flight": 64}, "fee_bps": 60,
                "latency_ms": {"mean": 120}}]
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_quiet_daemon_is_well() {
        let well = status(json!({}));
        assert!(troubles(&well).is_empty());
        insta::assert_snapshot!(board(&Out::plain(), &well, &[]));
    }

    #[test]
    fn what_needs_a_person_is_named_with_the_command_that_shows_more() {
        let sick = status(json!({
            "not_ready": ["the store takes nothing"], "open_breaks": 2, "channels": [],
            "oldest_undelivered": {"charge": "ch_1", "paid_at": "2025-12-17T11:30:00.000Z"}
        }));
        insta::assert_snapshot!(troubles(&sick).join("\n"));
    }

    #[test]
    fn a_delivery_under_way_is_no_trouble() {
        let young = status(json!({"oldest_undelivered": {"charge": "ch_1", "paid_at": "2025-12-17T11:33:00.000Z"}}));
        assert!(troubles(&young).is_empty());
    }
}
