//! Refunds and their query (section 1.4).
//! Guards: one `out_refund_no` is one refund; the same number with the same parameters answers the refund as it stands;
//! refunds never exceed the payment. 200 means accepted: the money arrives later. Must not know: callbacks' content.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::admit::{Admitted, Family, admit};
use super::create::check_url;
use super::fields::{self, Field, Shape, integer, is_number, may, need, text};
use super::refusal::Refusal;
use crate::clock::{beijing, rfc3339_beijing};
use crate::faults::{Drawn, FaultKind, Operation};
use crate::ledger::{Book, Order, OrderState, Payment, Refund, RefundAdded, RefundKey, RefundState};
use crate::options::ProviderName;
use crate::refunds;
use crate::world::World;

const REFUNDS_MAX: usize = 50;
const REFUND_AGE_MAX_MS: i64 = 365 * 24 * 3_600_000;

pub(super) async fn create(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let admitted = match admit(&world, Family::Others, request).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    admitted.answer(Operation::Refund, |drawn: &Drawn| book_refund(&admitted, drawn).map(Some)).await
}

pub(super) async fn query(
    State(world): State<Arc<World>>,
    Path(out_refund_no): Path<String>,
    request: Request,
) -> Response<Body> {
    let admitted = match admit(&world, Family::Others, request).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let work = |drawn: &Drawn| {
        if !is_number(&out_refund_no, 1, 64, REFUND_NO_EXTRA) {
            return Err(Refusal::parameter(
                "/uri_template/out_refund_no",
                &Value::from(out_refund_no.as_str()),
                "商户退款单号不符合要求",
                "uri_template",
            ));
        }
        if drawn.is(FaultKind::NotFoundLag) {
            return Err(Refusal::resource_not_exists("退款单不存在"));
        }
        let key = admitted.refund_key(&out_refund_no);
        let told = world.ledger.read(|book| book.refund(&key).map(|refund| tell(book, refund)));
        told.map(Some).ok_or_else(|| Refusal::resource_not_exists("退款单不存在"))
    };
    admitted.answer(Operation::RefundQuery, work).await
}

impl Admitted {
    fn refund_key(&self, out_refund_no: &str) -> RefundKey {
        RefundKey {
            provider: ProviderName::Wechatpay,
            account: self.account.mch_id.clone(),
            refund_no: out_refund_no.to_owned(),
        }
    }
}

fn book_refund(admitted: &Admitted, drawn: &Drawn) -> Result<Value, Refusal> {
    let body = admitted.json()?;
    check_body(&body)?;
    let world = admitted.world();
    let now = world.now();
    let trade_no = format!("5030{}{}{}", world.dice.digits(6), beijing(now, "%Y%m%d"), world.dice.digits(11));
    let (key, new, told) = world.ledger.change(|book| {
        let order = find(book, admitted, &body)?;
        let key = admitted.refund_key(text(&body, "/out_refund_no"));
        let refund = written(admitted, &body, order, trade_no, now);
        if book.refund(&key).is_none() {
            check_order(book, order, &body, now)?;
        }
        let booked = match book.add_refund(refund) {
            RefundAdded::New => None,
            RefundAdded::Same(earlier) => Some(tell(book, &earlier)),
            RefundAdded::Differs => {
                return Err(Refusal::invalid_request("商户退款单号已使用，且参数与原请求不一致"));
            }
            RefundAdded::NotPaid => {
                return Err(Refusal::resource_not_exists("订单不存在或未支付"));
            }
            RefundAdded::TooMuch => {
                return Err(Refusal::invalid_request("订单可退金额不足"));
            }
        };
        let new = booked.is_none();
        let told = booked.or_else(|| book.refund(&key).map(|refund| tell(book, refund)));
        Ok((key, new, told.unwrap_or_default()))
    })?;
    if new {
        refunds::settle(world, key, drawn);
    }
    Ok(told)
}

fn check_body(body: &Value) -> Result<(), Refusal> {
    fields::check(body, &FIELDS)?;
    if body.get("notify_url").is_some() {
        check_url(body, "notify_url")?;
    }
    if body.get("transaction_id").is_some() == body.get("out_trade_no").is_some() {
        return Err(Refusal::parameter(
            "/body/out_trade_no",
            &Value::from(text(body, "/out_trade_no")),
            "transaction_id与out_trade_no二选一",
            "body",
        ));
    }
    if integer(body, "/amount/refund") > integer(body, "/amount/total") {
        let value = Value::from(integer(body, "/amount/refund"));
        return Err(Refusal::parameter("/body/amount/refund", &value, "退款金额大于订单金额", "body"));
    }
    Ok(())
}

/// The paid order a refund names; an unpaid one is as if it did not exist.
fn find<'a>(book: &'a Book, admitted: &Admitted, body: &Value) -> Result<&'a Order, Refusal> {
    let order = match text(body, "/transaction_id") {
        "" => book.order(&admitted.order_key(text(body, "/out_trade_no"))),
        transaction_id => book.order_by_trade_no(ProviderName::Wechatpay, transaction_id),
    };
    let order = order.filter(|order| order.key.account == admitted.account.mch_id && order.state == OrderState::Paid);
    order.ok_or_else(|| Refusal::resource_not_exists("订单不存在或未支付"))
}

fn check_order(book: &Book, order: &Order, body: &Value, now: i64) -> Result<(), Refusal> {
    let Some(payment) = &order.payment else {
        return Err(Refusal::resource_not_exists("订单未支付"));
    };
    if integer(body, "/amount/total") != payment.amount {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "REFUND_FEE_MISMATCH", "订单金额与原订单不一致"));
    }
    if now.saturating_sub(payment.paid_at) > REFUND_AGE_MAX_MS {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "TRADE_OVERDUE", "订单已超过退款期限"));
    }
    if book.refunds_of(&order.key).len() >= REFUNDS_MAX {
        return Err(Refusal::invalid_request("部分退款次数超过50次"));
    }
    Ok(())
}

fn written(admitted: &Admitted, body: &Value, order: &Order, refund_trade_no: String, now: i64) -> Refund {
    let account = match text(body, "/funds_account") {
        "" => "UNSETTLED",
        account => account,
    };
    let notify_url = text(body, "/notify_url");
    Refund {
        key: admitted.refund_key(text(body, "/out_refund_no")),
        order: order.key.clone(),
        refund_trade_no,
        amount: integer(body, "/amount/refund"),
        notify_url: (!notify_url.is_empty()).then(|| notify_url.to_owned()),
        state: RefundState::Pending,
        created_at: now,
        ended_at: None,
        fingerprint: fields::fingerprint(body),
        fields: BTreeMap::from([
            ("mode".to_owned(), admitted.mode.name().to_owned()),
            ("funds_account".to_owned(), account.to_owned()),
        ]),
    }
}

/// The "refund" of section 1.4.
fn tell(book: &Book, refund: &Refund) -> Value {
    let payment: Option<&Payment> = book.order(&refund.order).and_then(|order| order.payment.as_ref());
    let total = payment.map_or(0, |payment| payment.amount);
    let mut told = json!({
        "refund_id": refund.refund_trade_no,
        "out_refund_no": refund.key.refund_no,
        "transaction_id": payment.map_or("", |payment| payment.trade_no.as_str()),
        "out_trade_no": refund.order.order_no,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": rfc3339_beijing(refund.created_at),
        "status": status(refund.state),
        "funds_account": refund.fields.get("funds_account"),
        "amount": {
            "total": total, "refund": refund.amount, "from": [], "payer_total": total, "payer_refund": refund.amount,
            "settlement_total": total, "settlement_refund": refund.amount, "discount_refund": 0, "currency": "CNY", "refund_fee": 0,
        },
        "promotion_detail": [],
    });
    let success_at = refund.ended_at.filter(|_| refund.state == RefundState::Success);
    if let (Some(at), Some(object)) = (success_at, told.as_object_mut()) {
        object.insert("success_time".into(), json!(rfc3339_beijing(at)));
    }
    told
}

/// The provider's word for a refund's state.
pub(super) fn status(state: RefundState) -> &'static str {
    match state {
        RefundState::Pending => "PROCESSING",
        RefundState::Success => "SUCCESS",
        RefundState::Closed => "CLOSED",
        RefundState::Abnormal => "ABNORMAL",
    }
}

const REFUND_NO_EXTRA: &str = "_-|*@";
const FROM: Shape =
    Shape::Object(&[need("account", Shape::Word(&["AVAILABLE", "UNAVAILABLE"])), need("amount", Shape::Integer(1))]);
const AMOUNT: Shape = Shape::Object(&[
    need("refund", Shape::Integer(1)),
    need("total", Shape::Integer(1)),
    need("currency", Shape::Word(&["CNY"])),
    may("from", Shape::List(&FROM)),
]);
const GOODS: Shape = Shape::Object(&[
    need("merchant_goods_id", Shape::Text(32)),
    may("wechatpay_goods_id", Shape::Text(32)),
    may("goods_name", Shape::Text(256)),
    need("unit_price", Shape::Integer(0)),
    need("refund_amount", Shape::Integer(0)),
    need("refund_quantity", Shape::Integer(1)),
]);
const FIELDS: [Field; 8] = [
    may("transaction_id", Shape::Text(32)),
    may("out_trade_no", Shape::Number { from: 6, to: 32, extra: "_-|*" }),
    need("out_refund_no", Shape::Number { from: 1, to: 64, extra: REFUND_NO_EXTRA }),
    may("reason", Shape::Bytes(80)),
    may("notify_url", Shape::Text(256)),
    may("funds_account", Shape::Word(&["AVAILABLE", "UNSETTLED"])),
    need("amount", AMOUNT),
    may("goods_detail", Shape::List(&GOODS)),
];
