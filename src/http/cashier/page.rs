//! The payer's page as text.
//!
//! Invariant: what comes from anybody else goes through `escape`. The words never say that a payment failed once money
//! is in.

use super::qr;
use crate::http::problem::for_payer_zh;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tongdao_core::attempt::Attempt;
use tongdao_core::charge::{Charge, ChargeStatus, Stage};
use tongdao_core::provider::{Pay, PayKind};
use tongdao_core::time::UnixMillis;

const STYLE: &str = "\
body{margin:0;background:#f4f5f7;color:#1c1e21;font:16px/1.6 system-ui,sans-serif}\
main{max-width:24rem;margin:2rem auto;padding:1.5rem;background:#fff;border-radius:.75rem;text-align:center}\
h1{margin:0;font-size:1rem;font-weight:500}\
.sum{margin:.5rem 0;font-size:2.25rem;font-weight:600}\
.say{font-size:1.125rem;font-weight:600}\
.qr{width:15rem;max-width:100%;background:#fff}\
.act{display:block;width:100%;box-sizing:border-box;padding:.75rem;border:0;border-radius:.5rem;background:#0a6cff;\
color:#fff;font:inherit;text-decoration:none}\
ol{display:flex;justify-content:space-between;margin:1.5rem 0 0;padding:0;list-style:none;color:#5a6069;font-size:.875rem}\
[aria-current]{color:#0a6cff;font-weight:600}\
@media(prefers-color-scheme:dark){body{background:#101214;color:#e8eaed}main{background:#1b1e22}ol{color:#a3a9b2}\
[aria-current]{color:#6cabff}}";

/// Seconds after which the page looks again.
const REFRESH_S: u32 = 5;

/// The hash under which the content policy lets the style in.
pub(super) fn style_hash() -> String {
    STANDARD.encode(Sha256::digest(STYLE))
}

/// The page of a charge.
pub(super) fn of_charge(charge: &Charge, merchant: &str, now: UnixMillis) -> String {
    let stage = charge.stage();
    let body = format!(
        "<h1>{merchant}</h1><p class=\"sum\">¥{sum}</p><p>{subject}</p>\
         <p class=\"say\" role=\"status\">{say}</p>{pay}{back}{steps}",
        merchant = escape(merchant),
        sum = charge.amount.yuan(),
        subject = escape(&charge.subject),
        say = escape(&say(charge, stage)),
        pay = if stage == Stage::AwaitingPayment { pay_with(charge, now) } else { String::new() },
        back = way_back(charge, stage),
        steps = steps(stage),
    );
    let final_page = matches!(stage, Stage::Completed | Stage::Refunded);
    page(&body, !final_page)
}

/// A page without a charge.
pub(super) fn of_nothing(say: &str) -> String {
    page(&format!("<p class=\"say\">{}</p>", escape(say)), false)
}

fn page(body: &str, refresh: bool) -> String {
    let refresh =
        if refresh { format!("<meta http-equiv=\"refresh\" content=\"{REFRESH_S}\">") } else { String::new() };
    format!(
        "<!doctype html><html lang=\"zh-CN\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">{refresh}\
         <title>收银台</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )
}

fn say(charge: &Charge, stage: Stage) -> String {
    let paid = charge.status() >= ChargeStatus::Paid;
    let words = match stage {
        Stage::AwaitingPayment if payable(charge).is_some() => "请付款",
        Stage::AwaitingPayment => {
            let failure = charge.failure.as_ref();
            return failure
                .map_or_else(|| "正在准备付款码".to_owned(), |failure| for_payer_zh(failure.class).to_owned());
        }
        Stage::Delivering if charge.late => "收到迟到付款，正在处理，请勿重复付款",
        Stage::Delivering => "付款成功，正在发放权益，请勿重复付款",
        Stage::Completed => "已完成",
        Stage::Closed => "订单已过期，未扣款",
        Stage::Refunded => "已退款",
        Stage::Attention if paid => "已付款，发放遇到问题，商家已收到通知",
        Stage::Attention => "处理中，请勿重复付款",
    };
    words.to_owned()
}

fn payable(charge: &Charge) -> Option<&Attempt> {
    charge.current_attempt().filter(|attempt| attempt.is_payable() && !attempt.end_wanted)
}

fn pay_with(charge: &Charge, now: UnixMillis) -> String {
    let pay = payable(charge).and_then(|attempt| attempt.pay.as_ref()).filter(|pay| now < pay.expires_at);
    pay.map(draw).unwrap_or_default()
}

fn draw(pay: &Pay) -> String {
    match &pay.kind {
        PayKind::QrCode { url } => qr::svg(url).unwrap_or_else(|| link(url)),
        PayKind::Redirect { url } => link(url),
        PayKind::Form { action, fields } => {
            let hidden = |(name, value): (&String, &String)| {
                format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value))
            };
            let inputs: String = fields.iter().map(hidden).collect();
            let action = escape(action);
            format!("<form method=\"post\" action=\"{action}\">{inputs}<button class=\"act\">去付款</button></form>")
        }
        PayKind::Jsapi { .. } | PayKind::App { .. } => "<p>请在商户的应用或页面内完成付款</p>".to_owned(),
    }
}

/// Only pages and wallets are linked to, never scripts.
fn link(url: &str) -> String {
    let safe = ["https://", "http://", "weixin://", "alipays://"].iter().any(|scheme| url.starts_with(scheme));
    if safe { format!("<a class=\"act\" href=\"{}\">去付款</a>", escape(url)) } else { String::new() }
}

fn way_back(charge: &Charge, stage: Stage) -> String {
    let over = matches!(stage, Stage::Completed | Stage::Closed | Stage::Refunded);
    let url = charge.return_url.as_deref().filter(|_| over);
    url.map(|url| format!("<p><a href=\"{}\">返回商家</a></p>", escape(url))).unwrap_or_default()
}

fn steps(stage: Stage) -> String {
    let current = match stage {
        Stage::AwaitingPayment => 0,
        Stage::Delivering => 1,
        Stage::Completed => 2,
        Stage::Closed | Stage::Refunded | Stage::Attention => return String::new(),
    };
    let item = |(at, name): (usize, &&str)| {
        let mark = if at == current { " aria-current=\"step\"" } else { "" };
        format!("<li{mark}>{name}</li>")
    };
    let items: String = ["支付中", "权益发放中", "已完成"].iter().enumerate().map(item).collect();
    format!("<ol>{items}</ol>")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_text_becomes_markup() {
        assert_eq!(escape("<script>\"'&"), "&lt;script&gt;&quot;&#39;&amp;");
        assert_eq!(link("javascript:alert(1)"), "");
        assert!(link("https://a.example/?a=1&b=\"").contains("a=1&amp;b=&quot;"));
    }
}
