//! What a payer's browser sees: the cashier of page, wap and app pay, the error page, and the way back
//! to the merchant's `return_url` with signed parameters.
//!
//! Invariants: an error is an HTML page in GBK that names the code, never JSON; the way back is for
//! display only and is signed like a notify (protocol notes 1 and 5). Must not know: how an order is made.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use super::{answer::Refusal, biz::yuan, sign};
use crate::{
    formats::{
        beijing,
        form::{self, Fields},
        page,
    },
    ledger::Order,
    world::World,
};

/// The cashier of an order: one button that pays.
pub(crate) fn cashier(order: &Order) -> Response<Body> {
    let html = page::Cashier {
        title: "支付宝收银台",
        subject: &order.subject,
        amount: &yuan(order.amount),
        action: "/cashier/pay",
        fields: &[("app_id", &order.key.account), ("out_trade_no", &order.key.order_no)],
    }
    .html();
    text("text/html;charset=utf-8", html.into_bytes())
}

/// A page that says one sentence.
pub(crate) fn message(sentence: &str) -> Response<Body> {
    let html = page::message("支付宝", sentence);
    text("text/html;charset=utf-8", html.into_bytes())
}

/// The error page of a front call.
pub(crate) fn error(refusal: &Refusal) -> Response<Body> {
    let sentence = format!("{} {}", refusal.sub_code, refusal.sub_msg);
    let html = page::message("支付宝", &sentence);
    let (bytes, _, _) = encoding_rs::GBK.encode(&html);
    text("text/html;charset=GBK", bytes.into_owned())
}

/// After the payment: back to the merchant, or a page when no address was given.
pub(crate) fn back(world: &World, order: &Order) -> Response<Body> {
    let address = Some(order.field("return_url")).filter(|url| !url.is_empty());
    let location = address.and_then(|url| {
        let separator = if url.contains('?') { '&' } else { '?' };
        HeaderValue::from_str(&format!("{url}{separator}{}", form::encode(&returned(world, order)?))).ok()
    });
    let Some(location) = location else {
        return message("付款成功");
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// An answer with status 200, as every answer of the gateway has.
pub(crate) fn text(content_type: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn returned(world: &World, order: &Order) -> Option<Fields> {
    let keys = world.keys.alipay(&order.key.account)?;
    let seller = world.accounts.alipay.iter().find(|account| account.app_id == order.key.account)?;
    let method = format!("alipay.trade.{}.pay.return", order.product);
    let fields = [
        ("charset", "utf-8"),
        ("out_trade_no", &order.key.order_no),
        ("method", &method),
        ("total_amount", &yuan(order.amount)),
        ("trade_no", order.field("trade_no")),
        ("auth_app_id", &order.key.account),
        ("version", "1.0"),
        ("app_id", &order.key.account),
        ("seller_id", &seller.seller_id),
        ("timestamp", &beijing::dashed(world.now())),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    Some(sign::sign_notify(fields, &keys.alipay))
}
