//! `tongdao charge …`: make a charge, find it by any number, follow its steps, and push it on.
//!
//! Invariant: a number that belongs to several charges is never acted on; the caller sees them and names one.

mod create;
mod show;
mod trace;

use super::client::AdminClient;
use super::documents::{ChargeDoc, EventDoc, PageDoc};
use super::exit::{Exit, Problem, Stop};
use super::{Context, out, show as write};
use clap::{Args, Subcommand};
pub(crate) use create::read_amount;
use serde_json::{Value, json};

/// The commands about one charge.
#[derive(Debug, Subcommand)]
pub(crate) enum ChargeCommand {
    /// Make a charge, signed with a merchant's key
    Create(Box<create::CreateArgs>),
    /// Show a charge; any number finds it: ours, the merchant's, the provider's
    #[command(after_help = "Example:\n  tongdao charge show ch_01K5ZJ8Q2M0000000000000000\n  \
                            tongdao charge show 4200002541202512170000000001   # WeChat Pay's number")]
    Show(Which),
    /// Print every step of a charge: time, since the start, step, what
    #[command(after_help = "Example:\n  tongdao charge trace order-20261217-1")]
    Trace(Which),
    /// Ask the providers about a charge now
    #[command(after_help = "Example:\n  tongdao charge sync order-20261217-1")]
    Sync(Change),
    /// Send a paid charge's webhook again now
    #[command(after_help = "Example:\n  tongdao charge redeliver order-20261217-1")]
    Redeliver(Change),
}

/// Which charge.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The charge's id, the merchant's order number, or a provider's order or trade number
    #[arg(value_name = "NUMBER")]
    number: String,
}

/// Which charge to push on.
#[derive(Debug, Args)]
pub(crate) struct Change {
    #[command(flatten)]
    which: Which,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(context: &Context, command: ChargeCommand) -> anyhow::Result<Exit> {
    match command {
        ChargeCommand::Create(args) => create::run(context, &args).await,
        ChargeCommand::Show(which) => {
            let found = find_all(&context.admin(), &which.number).await?;
            if let [charge] = found.as_slice() {
                let doc: ChargeDoc = serde_json::from_value(charge.clone())?;
                context.out.either(charge, || show::charge(&doc))?;
            } else {
                context.out.either(&json!({ "data": found }), || several(&found))?;
            }
            Ok(Exit::Fine)
        }
        ChargeCommand::Trace(which) => trace(context, &which.number).await,
        ChargeCommand::Sync(change) => sync(context, &change).await,
        ChargeCommand::Redeliver(change) => redeliver(context, &change).await,
    }
}

async fn trace(context: &Context, number: &str) -> anyhow::Result<Exit> {
    let admin = context.admin();
    let charge = find_one(&admin, number).await?;
    let doc: ChargeDoc = serde_json::from_value(charge)?;
    let events = load_events(&admin, &doc.id).await?;
    let parsed: Vec<EventDoc> =
        events.iter().map(|event| serde_json::from_value(event.clone())).collect::<Result<_, _>>()?;
    context.out.either(&json!({ "data": events }), || trace::timeline(&context.out, &doc, &parsed))?;
    Ok(Exit::Fine)
}

async fn load_events(admin: &AdminClient, id: &str) -> Result<Vec<Value>, Stop> {
    let mut events = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/admin/v1/charges/{id}/events?limit=200{cursor}");
        let page: PageDoc<Value> = read_page(admin.load(&path).await?)?;
        events.extend(page.data);
        let Some(next) = page.next_cursor else { return Ok(events) };
        cursor = format!("&cursor={}", encoded(&next));
    }
}

async fn sync(context: &Context, change: &Change) -> anyhow::Result<Exit> {
    let admin = context.admin();
    let before: ChargeDoc = serde_json::from_value(find_one(&admin, &change.which.number).await?)?;
    if change.dry_run {
        let asks = asks(&before);
        let about = if asks.is_empty() { "nothing: all is settled".to_owned() } else { asks.join(", ") };
        let said = format!("would ask about {about}\napply: tongdao charge sync {}", before.id);
        context.out.either(&json!({ "dry_run": true, "charge": before.id, "asks": asks }), || said)?;
        return Ok(Exit::Fine);
    }
    let after = admin.send(&format!("/admin/v1/charges/{}/sync", before.id), &json!({})).await?;
    let doc: ChargeDoc = serde_json::from_value(after.clone())?;
    context.out.either(&after, || {
        let changed = (&before.status, &before.stage) != (&doc.status, &doc.stage);
        let news = if changed {
            format!("{}, {} → {}, {}", before.status, before.stage, doc.status, doc.stage)
        } else {
            format!("nothing new: {}, {}", doc.status, doc.stage)
        };
        format!("{news}\n\n{}", show::charge(&doc))
    })?;
    Ok(Exit::Fine)
}

/// What a sync asks about: whatever is not settled, and while nothing is paid the ended attempts too.
fn asks(charge: &ChargeDoc) -> Vec<String> {
    let unpaid = charge.paid_at.is_none();
    let open = |status: &str| matches!(status, "creating" | "pending" | "unknown");
    let attempts = charge.attempts.iter().filter(|attempt| unpaid || open(&attempt.status));
    let attempts = attempts.map(|attempt| format!("attempt {} ({}, {})", attempt.seq, attempt.channel, attempt.status));
    let refunds = charge.refunds.iter().filter(|refund| refund.status == "pending");
    attempts.chain(refunds.map(|refund| format!("refund {}", refund.id))).collect()
}

async fn redeliver(context: &Context, change: &Change) -> anyhow::Result<Exit> {
    let admin = context.admin();
    let before: ChargeDoc = serde_json::from_value(find_one(&admin, &change.which.number).await?)?;
    if change.dry_run {
        let to = before.notify_url.clone().unwrap_or_else(|| "the merchant's notify_url".to_owned());
        let said = format!(
            "would send charge.paid to {to}\ndelivery now: {}, {} tries\napply: tongdao charge redeliver {}",
            before.delivery.status, before.delivery.tries, before.id
        );
        context.out.either(&json!({ "dry_run": true, "charge": before.id, "to": to }), || said)?;
        return Ok(Exit::Fine);
    }
    let after = admin.send(&format!("/admin/v1/charges/{}/redeliver", before.id), &json!({})).await?;
    let follow = format!("the webhook goes out now; follow it: tongdao charge trace {}", before.id);
    context.out.either(&after, || follow)?;
    Ok(Exit::Fine)
}

/// Every charge that the number belongs to; never empty.
async fn find_all(admin: &AdminClient, number: &str) -> Result<Vec<Value>, Stop> {
    if number.starts_with("ch_") {
        match admin.load(&format!("/admin/v1/charges/{}", encoded(number))).await {
            Ok(charge) => return Ok(vec![charge]),
            Err(Stop::Problem(problem)) if matches!(problem.status, 404 | 400 | 422) => {}
            Err(other) => return Err(other),
        }
    }
    let page = admin.load(&format!("/admin/v1/charges?find={}", encoded(number))).await?;
    let page: PageDoc<Value> = read_page(page)?;
    if page.data.is_empty() {
        return Err(Stop::problem(Problem {
            status: 404,
            code: "not_found".to_owned(),
            detail: Some(format!("no charge has the number {number}")),
            advice: Some(
                "try the merchant's order number, or the provider's from the payer's receipt (a QR payment without \
                 a charge here shows up as a break)"
                    .to_owned(),
            ),
            ..Problem::default()
        }));
    }
    Ok(page.data)
}

async fn find_one(admin: &AdminClient, number: &str) -> anyhow::Result<Value> {
    let mut found = find_all(admin, number).await?;
    if found.len() > 1 {
        return Err(Stop::Usage(format!(
            "{number} belongs to several charges; name one by its id:\n{}",
            several(&found)
        ))
        .into());
    }
    found.pop().ok_or_else(|| anyhow::anyhow!("no charge has the number {number}"))
}

fn several(charges: &[Value]) -> String {
    let rows = charges.iter().filter_map(|charge| serde_json::from_value::<ChargeDoc>(charge.clone()).ok());
    let rows = rows.map(|charge| {
        vec![
            charge.id.clone(),
            charge.merchant.clone(),
            charge.merchant_order_no.clone(),
            write::yuan(charge.amount),
            charge.status.clone(),
            charge.stage,
            write::moment(&charge.created_at),
        ]
    });
    out::table(&["charge", "merchant", "order", ">amount", "status", "stage", "created"], rows.collect())
}

fn read_page<T: serde::de::DeserializeOwned>(page: Value) -> Result<PageDoc<T>, Stop> {
    serde_json::from_value(page).map_err(|error| Stop::Unreachable(format!("its answer is no list: {error}")))
}

/// A number as part of a path or query: everything but letters, digits and `-._~` as `%XX`.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_asks_about_what_is_not_settled() {
        let charge = |paid_at: Value| -> ChargeDoc {
            serde_json::from_value(json!({ "id": "ch_1", "paid_at": paid_at, "attempts": [
                { "seq": 1, "channel": "a", "status": "closed" }, { "seq": 2, "channel": "b", "status": "unknown" },
            ], "refunds": [{ "id": "re_1", "status": "pending" }, { "id": "re_2", "status": "failed" }] }))
            .unwrap()
        };
        let of_unpaid = ["attempt 1 (a, closed)", "attempt 2 (b, unknown)", "refund re_1"];
        assert_eq!(asks(&charge(Value::Null)), of_unpaid);
        assert_eq!(asks(&charge(json!("2025-12-17T11:34:02.000Z"))), of_unpaid[1..]);
    }

    #[test]
    fn a_number_cannot_leave_its_place_in_the_path() {
        assert_eq!(encoded("a-1_b.~"), "a-1_b.~");
        assert_eq!(encoded("../x?y&z 中"), "..%2Fx%3Fy%26z%20%E4%B8%AD");
    }
}
