//! The "transaction" of section 1.2: what a query answers and a payment callback carries.
//! Guards: fields of a payment are absent until it is paid; any refund that stands turns the state to REFUND, also a
//! partial one. Must not know: signatures.

use serde_json::{Value, json};

use crate::clock::rfc3339_beijing;
use crate::ledger::{Book, Order, OrderState, Payment, RefundState};

/// Writes an order as the provider tells it now.
pub(super) fn write(book: &Book, order: &Order) -> Value {
    let refunded = book.refunds_of(&order.key).iter().any(|refund| refund.state != RefundState::Closed);
    let (state, text) = match order.state {
        OrderState::Open | OrderState::Coded => ("NOTPAY", "订单未支付"),
        OrderState::Closed => ("CLOSED", "订单已关闭"),
        OrderState::Paid if refunded => ("REFUND", "订单发生过退款"),
        OrderState::Paid => ("SUCCESS", "支付成功"),
    };
    let mut told = json!({
        "appid": order.field("appid"),
        "mchid": order.key.account,
        "out_trade_no": order.key.order_no,
        "trade_state": state,
        "trade_state_desc": text,
    });
    if let (Some(payment), Some(object)) = (&order.payment, told.as_object_mut()) {
        add_payment(object, order, payment);
    }
    told
}

/// A payment as a callback tells it: always SUCCESS, whatever was refunded since.
pub(super) fn write_paid(order: &Order, payment: &Payment) -> Value {
    let mut told = json!({
        "appid": order.field("appid"),
        "mchid": order.key.account,
        "out_trade_no": order.key.order_no,
        "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功",
    });
    if let Some(object) = told.as_object_mut() {
        add_payment(object, order, payment);
    }
    told
}

fn add_payment(told: &mut serde_json::Map<String, Value>, order: &Order, payment: &Payment) {
    told.insert("transaction_id".into(), json!(payment.trade_no));
    told.insert("trade_type".into(), json!(order.field("trade_type")));
    told.insert("bank_type".into(), json!("OTHERS"));
    told.insert("attach".into(), json!(order.field("attach")));
    told.insert("success_time".into(), json!(rfc3339_beijing(payment.paid_at)));
    told.insert("payer".into(), json!({"openid": payment.payer}));
    told.insert("promotion_detail".into(), json!([]));
    let amount =
        json!({"total": payment.amount, "payer_total": payment.amount, "currency": "CNY", "payer_currency": "CNY"});
    told.insert("amount".into(), amount);
    if !order.field("device_id").is_empty() {
        told.insert("scene_info".into(), json!({"device_id": order.field("device_id")}));
    }
}
