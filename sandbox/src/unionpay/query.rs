//! The query (txnType 00): an order or a refund by `orderId` and `txnTime`, or by `queryId`.
//!
//! Invariants: `respCode` says whether the query worked and `origRespCode` what became of the money;
//! 34 until a payer opened a front or app order, and for whatever is unknown; what was not paid by
//! `payTimeout` has failed for good (protocol notes 7). Must not know: HTTP, signatures, faults.

use super::{
    codes::{self, Code},
    message::{self, need, one_of},
    order, refund,
    sign::Fields,
};
use crate::{
    ledger::{Book, Order, OrderState, Refund},
    options::ProviderName,
};

/// What a query found: the fields beyond the frame, `respCode` and `respMsg` included.
pub(crate) fn answer(book: &Book, asked: &Fields, now: i64) -> Result<Fields, Code> {
    one_of(asked, "txnSubType", &["00", "02"])?;
    one_of(asked, "bizType", &["000000", "000201"])?;
    let mer_id = need(asked, "merId")?;
    if let Some(query_id) = asked.get("queryId") {
        let found = book.order_by_trade_no(ProviderName::Unionpay, query_id);
        let order = found.filter(|order| order.key.account == mer_id).ok_or(codes::NOT_FOUND)?;
        return of_order(order, now);
    }
    let key = order::key(asked)?;
    let time = need(asked, "txnTime")?;
    if let Some(refund) = book.refund(&order::refund_key(&key)) {
        return if refund.fields.get("txnTime").is_some_and(|at| at == time) {
            Ok(of_refund(refund))
        } else {
            Err(codes::NOT_FOUND)
        };
    }
    let order = book.order(&key).filter(|order| order.field("txnTime") == time);
    of_order(order.ok_or(codes::NOT_FOUND)?, now)
}

fn of_order(order: &Order, now: i64) -> Result<Fields, Code> {
    let lapsed = order.expires_at.is_some_and(|end| now >= end);
    let outcome = match order.state {
        OrderState::Coded => return Err(codes::NOT_FOUND),
        OrderState::Paid if order::paid_too_late(order) => codes::PAID_TOO_LATE,
        OrderState::Paid => codes::SUCCESS,
        OrderState::Open if !lapsed => codes::IN_PROGRESS,
        OrderState::Open | OrderState::Closed => codes::TOO_LATE,
    };
    let mut fields = found(&order.fields, outcome);
    match &order.payment {
        None => {
            fields.insert("txnAmt".to_owned(), order.amount.to_string());
        }
        Some(payment) => {
            fields.extend(order::settlement(&payment.trade_no, payment.amount, payment.paid_at));
            fields.insert("accNo".to_owned(), payment.payer.clone());
            fields.insert("payCardType".to_owned(), "01".to_owned());
        }
    }
    Ok(fields)
}

fn of_refund(refund: &Refund) -> Fields {
    let mut fields = found(&refund.fields, refund::outcome(refund));
    let at = refund.ended_at.unwrap_or(refund.created_at);
    fields.extend(order::settlement(&refund.refund_trade_no, refund.amount, at));
    fields
}

/// The frame of what was found: its own txnType, never the query's.
fn found(original: &Fields, outcome: Code) -> Fields {
    const OWN: [&str; 10] = [
        "txnType",
        "txnSubType",
        "bizType",
        "accessType",
        "merId",
        "orderId",
        "txnTime",
        "reqReserved",
        "currencyCode",
        "origQryId",
    ];
    let mut fields = message::echo(original, &OWN, codes::SUCCESS);
    fields.insert("origRespCode".to_owned(), outcome.code.to_owned());
    fields.insert("origRespMsg".to_owned(), outcome.message());
    fields
}
