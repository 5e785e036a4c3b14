//! The page for people: open codes with a button each, and the latest payments.
//! Guards: everything a merchant wrote is escaped.
//! Must not know: how a scan works (it posts to `/scan`).

use std::fmt::Write;

use crate::ledger::{Book, Order, OrderState};

const ROWS_MAX: usize = 100;
const HEAD: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Tongdao sandbox</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:72rem}table{border-collapse:collapse;width:100%}
td,th{padding:.4rem .8rem;border-bottom:1px solid #ddd;text-align:left}td.n{text-align:right;font-variant-numeric:tabular-nums}
code{font-size:.8rem;word-break:break-all}button{font:inherit;padding:.3rem .8rem}</style>
<h1>Tongdao sandbox</h1><p>You are the payer. No real money moves.</p><p id="said" role="status"></p>
"#;
const SCRIPT: &str = r#"<script>
for (const b of document.querySelectorAll('button[data-order]')) b.onclick = async () => {
  const [provider, account, order_no] = JSON.parse(b.dataset.order);
  const r = await fetch('/scan', {method: 'POST', headers: {'content-type': 'application/json'},
    body: JSON.stringify({provider, account, order_no, pay: b.dataset.pay === '1'})});
  const j = await r.json();
  document.getElementById('said').textContent = r.ok ? (j.paid ? 'Paid: ' + j.trade_no : 'Scanned') : 'Refused: ' + j.reason;
  if (r.ok) setTimeout(() => location.reload(), 600);
};
</script></html>
"#;

/// Writes the whole page.
pub(super) fn render(book: &Book, now: i64) -> String {
    let mut open: Vec<&Order> = book.orders().filter(|order| is_open(order, now)).collect();
    open.sort_by_key(|order| std::cmp::Reverse(order.created_at));
    let mut paid: Vec<&Order> = book.orders().filter(|order| order.payment.is_some()).collect();
    paid.sort_by_key(|order| std::cmp::Reverse(order.payment.as_ref().map(|payment| payment.paid_at)));
    let mut html = String::from(HEAD);
    html.push_str("<h2>Open codes</h2>");
    table(&mut html, &open, |html, order| {
        cell(html, order.codes.last().map_or("", String::as_str), true);
        let named = serde_json::json!([order.key.provider, order.key.account, order.key.order_no]).to_string();
        for (pay, label) in [("1", "Scan and pay"), ("0", "Scan only")] {
            let written =
                write!(html, r#"<td><button data-pay="{pay}" data-order="{}">{label}</button></td>"#, escaped(&named));
            debug_assert!(written.is_ok());
        }
    });
    html.push_str("<h2>Paid</h2>");
    table(&mut html, &paid, |html, order| {
        cell(html, order.payment.as_ref().map_or("", |payment| payment.trade_no.as_str()), true);
        cell(html, &format!("refunded {}", yuan(book.refunded(&order.key))), false);
    });
    html.push_str(SCRIPT);
    html
}

fn is_open(order: &Order, now: i64) -> bool {
    matches!(order.state, OrderState::Open | OrderState::Coded) && order.expires_at.is_none_or(|at| now < at)
}

fn table(html: &mut String, orders: &[&Order], more: impl Fn(&mut String, &Order)) {
    if orders.is_empty() {
        html.push_str("<p>None yet.</p>");
        return;
    }
    html.push_str("<table>");
    for order in orders.iter().take(ROWS_MAX) {
        html.push_str("<tr>");
        cell(html, &order.key.provider.to_string(), false);
        cell(html, &order.key.account, false);
        cell(html, &order.key.order_no, true);
        cell(html, &order.subject, false);
        html.push_str(r#"<td class="n">"#);
        html.push_str(&yuan(order.amount));
        html.push_str("</td>");
        more(html, order);
        html.push_str("</tr>");
    }
    html.push_str("</table>");
}

fn cell(html: &mut String, text: &str, code: bool) {
    html.push_str(if code { "<td><code>" } else { "<td>" });
    html.push_str(&escaped(text));
    html.push_str(if code { "</code></td>" } else { "</td>" });
}

/// Fen as yuan.
fn yuan(fen: i64) -> String {
    format!("¥{}.{:02}", fen / 100, fen % 100)
}

/// Text made safe inside HTML and quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
