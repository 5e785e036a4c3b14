//! What a payer's browser sees of a front order: the cashier, the error page, and after the payment the
//! form that carries the signed result to the merchant's `frontUrl`.
//!
//! Invariant: what goes through the browser is the notify's own message, for display only.
//! Must not know: how an order is made or signed.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Response, header},
};

use super::{codes::Code, message, notify, order};
use crate::{
    formats::page,
    ledger::Order,
    payers::{self, ScanRequest},
    serve,
    wire::Event,
    world::World,
};

/// The cashier of an order: one button that pays.
pub(crate) fn cashier(order: &Order) -> Response<Body> {
    html(
        page::Cashier {
            title: "银联在线支付",
            subject: &order.subject,
            amount: &yuan(order.amount),
            action: "/cashier/pay",
            fields: &[("merId", &order.key.account), ("orderId", &order.key.order_no)],
        }
        .html(),
    )
}

/// The page of a refused front request.
pub(crate) fn error(code: Code) -> Response<Body> {
    html(page::message("银联在线支付", &format!("{} {}", code.code, code.message())))
}

/// The payer presses the button.
pub(crate) async fn pay(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let body = serve::body_of(request.into_body()).await.unwrap_or_default();
    let asked = message::read(&String::from_utf8_lossy(&body));
    let key = match asked.and_then(|fields| order::key(&fields)) {
        Ok(key) => key,
        Err(code) => return error(code),
    };
    let scan = ScanRequest::order(key.provider, key.account.clone(), key.order_no.clone());
    if let Err(reason) = payers::scan(&world, &scan) {
        return html(page::message("银联在线支付", &format!("无法付款: {reason}")));
    }
    let order = world.ledger.read(|book| book.order(&key).cloned());
    let front_url = order.as_ref().map_or("", |order| order.field("frontUrl"));
    let told = notify::for_browser(&world, &Event::Paid(key)).filter(|_| !front_url.is_empty());
    let Some(told) = told else {
        return html(page::message("银联在线支付", "付款成功"));
    };
    let fields: Vec<(&str, &str)> = told.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let amount = yuan(order.as_ref().map_or(0, |order| order.amount));
    html(
        page::Cashier {
            title: "付款成功", subject: "返回商户", amount: &amount, action: front_url, fields: &fields
        }
        .html(),
    )
}

fn html(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("text/html;charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}
