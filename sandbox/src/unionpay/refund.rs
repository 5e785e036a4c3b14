//! Refunds (txnType 04): accepted first, settled later, told by a notify of their own.
//!
//! Invariants: `00` means accepted, never done; the sum of refunds stays within the payment; a refund
//! has its own `orderId` and `txnTime` (protocol notes 5). Must not know: HTTP, signatures, faults.

use super::{
    codes::{self, Code},
    message::{self, need, one_of},
    order,
    sign::Fields,
};
use crate::{
    dice::Dice,
    ledger::{Book, Order, Refund, RefundAdded, RefundKey, RefundState},
    options::ProviderName,
};

/// Books a refund as pending; answers its key and UnionPay's number for it.
pub(crate) fn accept(book: &mut Book, asked: &Fields, (dice, now): (&Dice, i64)) -> Result<(RefundKey, String), Code> {
    one_of(asked, "txnSubType", &["00"])?;
    one_of(asked, "bizType", &["000201", "000000"])?;
    one_of(asked, "channelType", &["07", "08"])?;
    let key = order::key(asked)?;
    let amount = message::amount(asked)?;
    order::fresh_time(asked, now)?;
    if order::number_used(book, &key) {
        return Err(codes::DUPLICATE);
    }
    let original = original(book, asked)?.clone();
    let paid = original.payment.as_ref().filter(|_| !order::paid_too_late(&original)).ok_or(codes::ORIGINAL_STATE)?;
    let gone = book.refunded(&original.key) >= paid.amount;
    let refund = Refund {
        key: order::refund_key(&key),
        order: original.key.clone(),
        refund_trade_no: order::new_query_id(dice, now),
        amount,
        notify_url: asked.get("backUrl").cloned(),
        state: RefundState::Pending,
        created_at: now,
        ended_at: None,
        fingerprint: amount.to_string(),
        fields: asked.clone(),
    };
    let accepted = (refund.key.clone(), refund.refund_trade_no.clone());
    match book.add_refund(refund) {
        RefundAdded::New => Ok(accepted),
        RefundAdded::Same(_) | RefundAdded::Differs => Err(codes::DUPLICATE),
        RefundAdded::NotPaid => Err(codes::ORIGINAL_STATE),
        RefundAdded::TooMuch if gone => Err(codes::ALREADY_REFUNDED),
        RefundAdded::TooMuch => Err(codes::AMOUNT),
    }
}

/// What a query says of a refund.
pub(crate) fn outcome(refund: &Refund) -> Code {
    match refund.state {
        RefundState::Pending => codes::IN_PROGRESS,
        RefundState::Success => codes::SUCCESS,
        RefundState::Closed => codes::NOT_PASSED,
        RefundState::Abnormal => codes::UNCLEAR,
    }
}

/// Books the automatic refund of a payment that came after `payTimeout`.
pub(crate) fn of_late_payment(book: &mut Book, paid: &Order, (dice, now): (&Dice, i64)) {
    let Some(payment) = &paid.payment else {
        return;
    };
    let mut key = order::refund_key(&paid.key);
    key.refund_no = format!("{}/payTimeout", paid.key.order_no);
    let refund = Refund {
        key: key.clone(),
        order: paid.key.clone(),
        refund_trade_no: order::new_query_id(dice, now),
        amount: payment.amount,
        notify_url: None,
        state: RefundState::Pending,
        created_at: now,
        ended_at: None,
        fingerprint: String::new(),
        fields: Fields::new(),
    };
    if matches!(book.add_refund(refund), RefundAdded::New) {
        assert!(book.end_refund(&key, RefundState::Success, now), "it was pending");
    }
}

/// The payment a refund names, by `origQryId` or by `origOrderId` with `origTxnTime`.
fn original<'a>(book: &'a Book, asked: &Fields) -> Result<&'a Order, Code> {
    let mer_id = need(asked, "merId")?;
    let found = match asked.get("origQryId") {
        Some(query_id) => book.order_by_trade_no(ProviderName::Unionpay, query_id),
        None => {
            let key = crate::ledger::OrderKey {
                provider: ProviderName::Unionpay,
                account: mer_id.to_owned(),
                order_no: need(asked, "origOrderId")?.to_owned(),
            };
            let time = need(asked, "origTxnTime")?;
            book.order(&key).filter(|order| order.field("txnTime") == time)
        }
    };
    found.filter(|order| order.key.account == mer_id).ok_or(codes::NOT_FOUND)
}
