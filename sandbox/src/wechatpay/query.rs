//! Asking for an order, by the merchant's number or, once paid, by the provider's (section 1.2).
//! Guards: the query names the merchant and is part of the signed target.
//! Must not know: how the answer is written.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use serde_json::Value;

use super::admit::{Admitted, Family, admit};
use super::create::EXPIRE_DEFAULT_MS;
use super::fields::is_number;
use super::refusal::Refusal;
use super::transaction;
use crate::faults::{Drawn, FaultKind, Operation};
use crate::ledger::{Book, OrderKey, OrderState};
use crate::options::ProviderName;
use crate::world::World;

pub(super) async fn by_out_trade_no(
    State(world): State<Arc<World>>,
    Path(out_trade_no): Path<String>,
    request: Request,
) -> Response<Body> {
    let admitted = match admit(&world, Family::Transactions, request).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let work = |drawn: &Drawn| {
        admitted.require_mchid_in_query()?;
        check_number(&out_trade_no)?;
        tell(&admitted, drawn, |_| Some(admitted.order_key(&out_trade_no)))
    };
    admitted.answer(Operation::Query, work).await
}

pub(super) async fn by_transaction_id(
    State(world): State<Arc<World>>,
    Path(transaction_id): Path<String>,
    request: Request,
) -> Response<Body> {
    let admitted = match admit(&world, Family::Transactions, request).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let work = |drawn: &Drawn| {
        admitted.require_mchid_in_query()?;
        let find = |book: &Book| {
            book.order_by_trade_no(ProviderName::Wechatpay, &transaction_id).map(|order| order.key.clone())
        };
        tell(&admitted, drawn, find)
    };
    admitted.answer(Operation::Query, work).await
}

impl Admitted {
    /// This merchant's order of a number.
    pub(super) fn order_key(&self, out_trade_no: &str) -> OrderKey {
        OrderKey {
            provider: ProviderName::Wechatpay,
            account: self.account.mch_id.clone(),
            order_no: out_trade_no.to_owned(),
        }
    }
}

/// Refuses a number no order can have.
pub(super) fn check_number(out_trade_no: &str) -> Result<(), Refusal> {
    if is_number(out_trade_no, 6, 32, "_-|*") {
        return Ok(());
    }
    Err(Refusal::parameter(
        "/uri_template/out_trade_no",
        &Value::from(out_trade_no),
        "商户订单号不符合要求",
        "uri_template",
    ))
}

fn tell(
    admitted: &Admitted,
    drawn: &Drawn,
    find: impl FnOnce(&Book) -> Option<OrderKey>,
) -> Result<Option<Value>, Refusal> {
    if drawn.is(FaultKind::NotFoundLag) {
        return Err(Refusal::order_not_exist());
    }
    let now = admitted.world().now();
    admitted.world().ledger.change(|book| {
        let key =
            find(book).filter(|key| key.account == admitted.account.mch_id).ok_or_else(Refusal::order_not_exist)?;
        close_forgotten(book, &key, now);
        let order = book.order(&key).ok_or_else(Refusal::order_not_exist)?;
        Ok(Some(transaction::write(book, order)))
    })
}

/// Orders nobody closed are closed by the provider after seven days (section 4).
fn close_forgotten(book: &mut Book, key: &OrderKey, now: i64) {
    let forgotten = book.order(key).is_some_and(|order| {
        order.state == OrderState::Open && now >= order.created_at.saturating_add(EXPIRE_DEFAULT_MS)
    });
    if forgotten {
        book.close(key, now);
    }
}
