//! Making something payable: the QR code of precreate, and the trade that begins when a payer opens
//! the cashier of page, wap or app pay or scans a code.
//!
//! Invariants: one `out_trade_no` is one order for ever: the identical request is answered again, a
//! different one is `ACQ.CONTEXT_INCONSISTENT`. A life span given as `timeout_express` begins at the
//! scan, an absolute `time_expire` stands as it is (protocol notes 7). Must not know: HTTP, faults.

use serde_json::Value;

use super::{
    answer::{Node, Refusal},
    biz::{self, Biz, Life},
    request::{Call, Method},
    trade,
};
use crate::{
    dice::Dice,
    formats::beijing,
    ledger::{Book, Order, OrderKey, OrderState},
};

/// Where and when an order is made.
pub(crate) struct Desk<'a> {
    pub(crate) dice: &'a Dice,
    pub(crate) now: i64,
    /// The payee's user number of the application.
    pub(crate) seller_id: &'a str,
}

/// `alipay.trade.precreate`; names the order when it is new.
pub(crate) fn precreate(book: &mut Book, call: &Call, desk: &Desk<'_>) -> Result<(Option<OrderKey>, Node), Refusal> {
    let biz = Biz::of(&call.biz, &PRECREATE_KEYS)?;
    product(&biz, &["QR_CODE_OFFLINE", "FACE_TO_FACE_PAYMENT"], true)?;
    let mut order = read_order(call, &biz, desk)?;
    if reenter(book, &order, desk.now)? {
        let known = book.order(&order.key);
        let code = known
            .filter(|known| known.code_expires_at.is_none_or(|end| desk.now < end))
            .and_then(|known| known.codes.last());
        // A code is issued once; a lapsed one is not issued again.
        let code = code.ok_or_else(|| Refusal::business("ACQ.APPLY_PC_MERCHANT_CODE_ERROR", "申请二维码失败"))?;
        return Ok((None, coded(&order, code)));
    }
    let life = biz.life("qr_code_timeout_express")?.unwrap_or(QR_LIFE);
    order.state = OrderState::Coded;
    order.code_expires_at = Some(life.end(desk.now));
    let code = format!("https://qr.alipay.com/bax{}", desk.dice.text(21).to_lowercase());
    order.codes = vec![code.clone()];
    let answer = (Some(order.key.clone()), coded(&order, &code));
    book.insert(order);
    Ok(answer)
}

/// A payer opens the cashier of a page, wap or app order: the trade begins. With it whether it is new.
pub(crate) fn visit(book: &mut Book, call: &Call, desk: &Desk<'_>) -> Result<(OrderKey, bool), Refusal> {
    let biz = Biz::of(&call.biz, &FRONT_KEYS)?;
    let (allowed, optional): (&[&str], bool) = match call.method {
        Method::PagePay => (&["FAST_INSTANT_TRADE_PAY"], false),
        Method::WapPay => (&["QUICK_WAP_WAY", "QUICK_WAP_PAY"], false),
        Method::AppPay => (&["QUICK_MSECURITY_PAY"], true),
        Method::Precreate
        | Method::Query
        | Method::Close
        | Method::Cancel
        | Method::Refund
        | Method::RefundQuery
        | Method::Statement => {
            return Err(biz::wrong("method"));
        }
    };
    product(&biz, allowed, optional)?;
    let order = read_order(call, &biz, desk)?;
    let key = order.key.clone();
    let known = reenter(book, &order, desk.now)?;
    if !known {
        book.insert(order);
        begin(book, &key, desk);
    }
    Ok((key, !known))
}

/// A payer scans a code: the trade begins, its number and its life too. Scanning again changes nothing.
pub(crate) fn begin(book: &mut Book, key: &OrderKey, desk: &Desk<'_>) {
    let number = new_trade_no(desk.dice, desk.now);
    let Some(order) = book.order_mut(key).filter(|order| order.field("trade_no").is_empty()) else {
        return;
    };
    if order.state == OrderState::Coded {
        order.state = OrderState::Open;
    }
    let life = Life::read(order.field("life")).unwrap_or(FRONT_LIFE);
    order.expires_at = order.expires_at.or_else(|| Some(life.end(desk.now)));
    let buyer = format!("2088{}", desk.dice.digits(12));
    let began = beijing::dashed(desk.now);
    for (name, value) in [("trade_no", &number), ("buyer_id", &buyer), ("gmt_create", &began)] {
        order.fields.insert(name.to_owned(), value.clone());
    }
    book.name_trade(key, &number);
}

/// 28 digits: the day and 20 more.
pub(crate) fn new_trade_no(dice: &Dice, now: i64) -> String {
    let day: String = beijing::compact(now).chars().take(8).collect();
    format!("{day}2200{}", dice.digits(16))
}

/// Completes an order that nobody made over HTTP; answers its trade number.
pub(crate) fn filled(order: &mut Order, dice: &Dice, at: i64) -> String {
    order.product = "precreate".to_owned();
    let number = format!("{}2200{:016}", beijing::compact_day(at), dice.below(10_000_000_000_000_000));
    let buyer = format!("2088{:012}", dice.below(1_000_000_000_000));
    for (name, value) in [("trade_no", number.clone()), ("buyer_id", buyer), ("gmt_create", beijing::dashed(at))] {
        order.fields.insert(name.to_owned(), value);
    }
    number
}

const QR_LIFE: Life = Life::Ms(2 * 3_600_000);
const FRONT_LIFE: Life = Life::Ms(15 * 86_400_000);
const PRECREATE_KEYS: [&str; 22] = [
    "out_trade_no",
    "total_amount",
    "subject",
    "product_code",
    "seller_id",
    "body",
    "goods_detail",
    "discountable_amount",
    "undiscountable_amount",
    "store_id",
    "operator_id",
    "terminal_id",
    "merchant_order_no",
    "timeout_express",
    "time_expire",
    "qr_code_timeout_express",
    "passback_params",
    "extend_params",
    "enable_pay_channels",
    "disable_pay_channels",
    "business_params",
    "query_options",
];
const FRONT_KEYS: [&str; 23] = [
    "out_trade_no",
    "total_amount",
    "subject",
    "product_code",
    "seller_id",
    "body",
    "goods_detail",
    "goods_type",
    "store_id",
    "merchant_order_no",
    "timeout_express",
    "time_expire",
    "passback_params",
    "extend_params",
    "enable_pay_channels",
    "disable_pay_channels",
    "business_params",
    "qr_pay_mode",
    "qrcode_width",
    "integration_type",
    "request_from_url",
    "quit_url",
    "promo_params",
];

fn product(biz: &Biz<'_>, allowed: &[&str], optional: bool) -> Result<(), Refusal> {
    match biz.text("product_code", 64)? {
        None if optional => Ok(()),
        Some(code) if allowed.contains(&code) => Ok(()),
        Some(_) | None => Err(biz::wrong("product_code")),
    }
}

fn read_order(call: &Call, biz: &Biz<'_>, desk: &Desk<'_>) -> Result<Order, Refusal> {
    let order_no = biz.number("out_trade_no")?.ok_or_else(|| biz::wrong("out_trade_no"))?;
    let subject = biz.need("subject", 256)?;
    if subject.contains(['/', '=', '&']) {
        return Err(biz::wrong("subject"));
    }
    if biz.text("seller_id", 28)?.is_some_and(|seller| seller != desk.seller_id) {
        return Err(Refusal::business("ACQ.SELLER_NOT_EXIST", "卖家不存在"));
    }
    let mut order = Order::new(trade::key(&call.app_id, order_no), biz.amount("total_amount")?, desk.now);
    order.subject = subject.to_owned();
    order.product = product_name(call.method).to_owned();
    order.notify_url = call.notify_url.clone();
    order.expires_at = biz.time("time_expire")?;
    if order.expires_at.is_some_and(|end| end <= desk.now) {
        return Err(Refusal::business("ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR", "当前时间已超过允许支付的时间"));
    }
    biz.life("timeout_express")?;
    let life = biz.text("timeout_express", 6)?.unwrap_or(match call.method {
        Method::Precreate => "3h",
        Method::PagePay | Method::WapPay | Method::AppPay => "15d",
        Method::Query | Method::Close | Method::Cancel | Method::Refund | Method::RefundQuery | Method::Statement => {
            "15d"
        }
    });
    let echoed = [
        ("life", Some(life)),
        ("body", biz.text("body", 128)?),
        ("passback_params", biz.text("passback_params", 512)?),
        ("return_url", call.return_url.as_deref()),
    ];
    for (name, value) in echoed {
        order.fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }
    order.fingerprint = format!("{} {}", order.product, Value::Object(call.biz.clone()));
    Ok(order)
}

fn product_name(method: Method) -> &'static str {
    match method {
        Method::Precreate => "precreate",
        Method::PagePay => "page",
        Method::WapPay => "wap",
        Method::AppPay => "app",
        Method::Query | Method::Close | Method::Cancel | Method::Refund | Method::RefundQuery | Method::Statement => {
            "none"
        }
    }
}

/// Whether the order is known already and may be answered again.
fn reenter(book: &Book, order: &Order, now: i64) -> Result<bool, Refusal> {
    let Some(known) = book.order(&order.key) else {
        return Ok(false);
    };
    if known.state == OrderState::Paid {
        return Err(Refusal::business("ACQ.TRADE_HAS_SUCCESS", "交易已被支付"));
    }
    if trade::status(book, known, now) == "TRADE_CLOSED" {
        return Err(Refusal::business("ACQ.TRADE_HAS_CLOSE", "交易已经关闭"));
    }
    if known.fingerprint != order.fingerprint {
        return Err(Refusal::business("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改"));
    }
    Ok(true)
}

fn coded(order: &Order, code: &str) -> Node {
    Node::success().with("out_trade_no", order.key.order_no.as_str()).with("qr_code", code)
}
