//! Reads the three books and the daemon's counters from outside, as anybody could.
//!
//! Invariants: the providers' book is their own ledger, the daemon's is its API, the platform's is what it shipped:
//! none is derived from another. Only a refund that has ended counts as money back.

use super::books::{Books, Claimed, ClaimedAttempt, Taken};
use super::cast::{Cast, Tally};
use super::payers::text;
use super::platform::Platform;
use super::scratch::CHANNELS;
use crate::client::MerchantClient;
use anyhow::{Context as _, bail};
use serde_json::Value;
use tongdao_sandbox::{LedgerView, ProviderName, RefundState};

/// Pages that are read at most: more charges than a run can make.
const PAGES_MAX: u32 = 200;

/// The three books at this moment.
pub(crate) async fn read_books(cast: &Cast, platform: &Platform) -> anyhow::Result<Books> {
    let daemon = claimed(&cast.client).await?;
    Ok(Books { providers: taken(&cast.sandbox.ledger()), daemon, platform: platform.shipped() })
}

/// Takes the daemon's own counters of how payments were confirmed from its metrics page.
pub(crate) fn read_confirmations(page: &str, tally: &mut Tally) {
    if page.is_empty() {
        return;
    }
    tally.by_callback.read(sum_of(page, "tongdao_payment_confirmations_total", r#"source="callback""#));
    tally.by_query.read(sum_of(page, "tongdao_payment_confirmations_total", r#"source="query""#));
}

fn sum_of(page: &str, metric: &str, label: &str) -> u64 {
    let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok());
    let lines = page.lines().filter(|line| line.starts_with(metric) && line.contains(label));
    lines.filter_map(value).fold(0, u64::saturating_add)
}

fn taken(ledger: &LedgerView) -> Vec<Taken> {
    let channel = |provider: ProviderName| {
        CHANNELS.iter().find(|channel| channel.provider == provider).map_or("", |channel| channel.id)
    };
    let returned = |provider: ProviderName, order_no: &str| {
        let of_order = ledger.refunds.iter().filter(|refund| {
            refund.provider == provider && refund.order_no == order_no && refund.state == RefundState::Success
        });
        of_order.fold(0_i64, |sum, refund| sum.saturating_add(refund.amount))
    };
    let taken = ledger.payments.iter().map(|payment| Taken {
        channel: channel(payment.provider).to_owned(),
        provider_order_no: payment.order_no.clone(),
        amount: payment.amount,
        returned: returned(payment.provider, &payment.order_no),
    });
    taken.collect()
}

async fn claimed(client: &MerchantClient) -> anyhow::Result<Vec<Claimed>> {
    let mut all = Vec::new();
    let mut path = "/v1/charges?limit=200".to_owned();
    for _ in 0..PAGES_MAX {
        let page = read(client, &path).await?;
        for charge in page.get("data").and_then(Value::as_array).context("a page without data")? {
            let refunds = if has_money_back(charge) { refunds_of(client, charge).await? } else { 0 };
            all.push(claim(charge, refunds).with_context(|| format!("a charge that cannot be read: {charge}"))?);
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(cursor) => path = format!("/v1/charges?limit=200&cursor={cursor}"),
            None => return Ok(all),
        }
    }
    bail!("the list of charges does not end")
}

/// A charge that may have refunds: asking about every other one would be a request a charge for nothing.
fn has_money_back(charge: &Value) -> bool {
    let attempts = charge.get("attempts").and_then(Value::as_array);
    let surplus =
        attempts.is_some_and(|attempts| attempts.iter().any(|attempt| text(attempt, "status") == "duplicate"));
    surplus || charge.get("amount_refunded").and_then(Value::as_i64) != Some(0)
}

/// All that went back of a charge, principal and surplus, in fen.
async fn refunds_of(client: &MerchantClient, charge: &Value) -> anyhow::Result<i64> {
    let page = read(client, &format!("/v1/refunds?charge={}&limit=200", text(charge, "id"))).await?;
    let refunds = page.get("data").and_then(Value::as_array).context("a page of refunds without data")?;
    let ended = refunds.iter().filter(|refund| text(refund, "status") == "succeeded");
    Ok(ended.filter_map(|refund| refund.get("amount")?.as_i64()).fold(0, i64::saturating_add))
}

/// What the API says was paid and given back by attempt: `amount_refunded` draws on the principal, the rest of the
/// refunds on the surplus payments.
fn claim(charge: &Value, refunds: i64) -> Option<Claimed> {
    let amount = charge.get("amount")?.as_i64()?;
    let principal_back = charge.get("amount_refunded")?.as_i64()?;
    let mut surplus_back = refunds.saturating_sub(principal_back);
    let mut attempts = Vec::new();
    for attempt in charge.get("attempts")?.as_array()? {
        let (amount, returned) = match text(attempt, "status") {
            "succeeded" => (amount, principal_back),
            "duplicate" => {
                let returned = amount.min(surplus_back);
                surplus_back = surplus_back.saturating_sub(returned);
                (amount, returned)
            }
            _ => (0, 0),
        };
        let channel = attempt.get("channel")?.as_str()?.to_owned();
        let provider_order_no = attempt.get("provider_order_no")?.as_str()?.to_owned();
        attempts.push(ClaimedAttempt { channel, provider_order_no, amount, returned });
    }
    Some(Claimed { merchant_order_no: charge.get("merchant_order_no")?.as_str()?.to_owned(), amount, attempts })
}

async fn read(client: &MerchantClient, path: &str) -> anyhow::Result<Value> {
    match client.get(path).await? {
        (200, page) => Ok(page),
        (status, problem) => bail!("GET {path}: {status} {problem}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counters_are_added_up_over_channels() {
        let page = "# TYPE tongdao_payment_confirmations_total counter\n\
            tongdao_payment_confirmations_total{channel=\"a\",source=\"query\"} 2\n\
            tongdao_payment_confirmations_total{channel=\"b\",source=\"query\"} 3\n\
            tongdao_payment_confirmations_total{channel=\"b\",source=\"callback\"} 40\n";
        let mut tally = Tally::default();
        read_confirmations(page, &mut tally);
        assert_eq!((tally.by_query.total(), tally.by_callback.total()), (5, 40));
    }

    #[test]
    fn a_surplus_refund_belongs_to_the_surplus_payment() {
        let attempt =
            |number: &str, status: &str| json!({ "channel": "c", "provider_order_no": number, "status": status });
        let charge = json!({ "merchant_order_no": "o", "amount": 500, "amount_refunded": 0,
            "attempts": [attempt("1", "duplicate"), attempt("2", "closed"), attempt("3", "succeeded")] });
        let claimed = claim(&charge, 500).unwrap();
        let sums: Vec<_> = claimed.attempts.iter().map(|a| (a.amount, a.returned)).collect();
        assert_eq!(sums, [(500, 500), (0, 0), (500, 0)]);
    }
}
