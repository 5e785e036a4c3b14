//! A charge for a person: the money first, then the goods, then every attempt and refund.
//!
//! Invariant: what is wrong stands where it is looked for, with its reason; nothing is shown that the document does
//! not say.

use crate::cli::documents::{AttemptDoc, ChargeDoc, RefundDoc};
use crate::cli::{out, show};

/// The whole charge.
pub(super) fn charge(charge: &ChargeDoc) -> String {
    let mut lines = vec![heading(charge), String::new()];
    let of = if charge.merchant.is_empty() { String::new() } else { format!(" of {}", charge.merchant) };
    lines.push(fact("order", &format!("{}{of}", charge.merchant_order_no)));
    lines.push(fact("subject", &format!("{} ({})", charge.subject, charge.scene)));
    lines.push(fact(
        "created",
        &format!("{}, expires {}", show::moment(&charge.created_at), show::moment(&charge.expires_at)),
    ));
    if let Some(at) = &charge.paid_at {
        let late = if charge.late { ", after it had closed" } else { "" };
        lines.push(fact("paid", &format!("{}{late}", show::moment(at))));
    }
    if let Some(at) = &charge.closed_at {
        lines.push(fact("closed", &show::moment(at)));
    }
    if charge.amount_refunded > 0 {
        lines.push(fact(
            "refunded",
            &format!("{} of {}", show::yuan(charge.amount_refunded), show::yuan(charge.amount)),
        ));
    }
    if charge.paid_at.is_some() {
        lines.push(fact("delivery", &delivery(charge)));
    }
    if let Some(failure) = &charge.failure {
        lines.push(fact("failure", &format!("{}: {}", failure.code, failure.detail)));
    }
    if !charge.open_breaks.is_empty() {
        lines.push(fact("breaks", &format!("{}: a person is needed", charge.open_breaks.join(", "))));
    }
    if let Some(url) = charge.cashier_url.as_ref().filter(|_| charge.status == "open") {
        lines.push(fact("cashier", url));
    }
    lines.push(String::new());
    lines.push(attempts(&charge.attempts));
    if !charge.refunds.is_empty() {
        lines.push(String::new());
        lines.push(refunds(&charge.refunds));
    }
    lines.push(format!("\nsteps: tongdao charge trace {}", charge.id));
    lines.join("\n")
}

fn heading(charge: &ChargeDoc) -> String {
    let zh = show::stage_zh(&charge.stage);
    format!(
        "{}  {} {}  {}, {} {zh}",
        charge.id,
        show::yuan(charge.amount),
        charge.currency,
        charge.status,
        charge.stage
    )
}

fn fact(name: &str, value: &str) -> String {
    format!("  {name:<9} {value}")
}

fn delivery(charge: &ChargeDoc) -> String {
    let delivery = &charge.delivery;
    let mut said = delivery.status.clone();
    if let Some(at) = &delivery.delivered_at {
        said.push_str(&format!(" {}", show::moment(at)));
    } else if let Some(at) = &delivery.deadline_at {
        said.push_str(&format!(", due {}", show::moment(at)));
    }
    if delivery.overdue {
        said.push_str(", overdue");
    }
    if delivery.tries > 0 {
        said.push_str(&format!(", tries {}", delivery.tries));
    }
    if let Some(error) = &delivery.last_error {
        said.push_str(&format!(", last: {error}"));
    }
    said
}

fn attempts(attempts: &[AttemptDoc]) -> String {
    let row = |attempt: &AttemptDoc| {
        let error = attempt.error.as_ref();
        let error = error.map(|error| format!("{} {}: {}", error.class, error.provider_code, error.detail));
        vec![
            attempt.seq.to_string(),
            attempt.channel.clone(),
            attempt.status.clone(),
            attempt.route.chosen_because.clone(),
            attempt.provider_order_no.clone(),
            attempt.provider_trade_no.clone().unwrap_or_default(),
            error.unwrap_or_default(),
        ]
    };
    if attempts.is_empty() {
        return "no attempt was made".to_owned();
    }
    let heading = [">#", "channel", "status", "because", "our number", "provider's number", "error"];
    out::table(&heading, attempts.iter().map(row).collect())
}

fn refunds(refunds: &[RefundDoc]) -> String {
    let row = |refund: &RefundDoc| {
        vec![
            refund.id.clone(),
            refund.refund_no.clone().unwrap_or_else(|| "(by itself)".to_owned()),
            show::yuan(refund.amount),
            refund.status.clone(),
            show::moment(&refund.created_at),
            refund.reason.clone().unwrap_or_default(),
        ]
    };
    out::table(&["refund", "number", ">amount", "status", "ordered", "reason"], refunds.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_charge_is_shown_with_its_money_its_goods_and_its_attempts() {
        let document = json!({
            "id": "ch_01", "merchant": "m_demo", "merchant_order_no": "order-1", "amount": 1999, "currency": "CNY",
            "subject": "演示月卡", "scene": "qr", "status": "paid", "stage": "delivering", "late": false,
            "created_at": "2025-12-17T11:33:20.000Z", "expires_at": "2025-12-17T12:03:20.000Z",
            "paid_at": "2025-12-17T11:34:02.000Z", "cashier_url": "http://x/pay/t",
            "delivery": {"status": "pending", "overdue": true, "tries": 3, "last_error": "HTTP 500",
                         "deadline_at": "2025-12-17T11:39:02.000Z"},
            "attempts": [
                {"seq": 1, "channel": "wechat-main", "status": "failed", "provider_order_no": "A1",
                 "route": {"chosen_because": "score"},
                 "error": {"class": "congested", "provider_code": "FREQUENCY_LIMITED", "detail": "too many calls"}},
                {"seq": 2, "channel": "alipay-main", "status": "succeeded", "provider_order_no": "A2",
                 "provider_trade_no": "2025000001", "route": {"chosen_because": "failover"}}
            ]
        });
        let doc: ChargeDoc = serde_json::from_value(document).unwrap();
        insta::assert_snapshot!(charge(&doc));
    }

    #[test]
    fn a_charge_that_no_channel_took_says_why() {
        let document = json!({
            "id": "ch_02", "merchant": "m_demo", "merchant_order_no": "order-2", "amount": 1, "currency": "CNY",
            "subject": "x", "scene": "qr", "status": "open", "stage": "awaiting_payment",
            "created_at": "2025-12-17T11:33:20.000Z", "expires_at": "2025-12-17T12:03:20.000Z",
            "failure": {"code": "no_channel", "detail": "no channel can take this charge now"},
            "cashier_url": "http://x/pay/t", "attempts": []
        });
        let doc: ChargeDoc = serde_json::from_value(document).unwrap();
        insta::assert_snapshot!(charge(&doc));
    }
}
