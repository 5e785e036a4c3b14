//! Closing an unpaid order (section 1.3): 204, empty and signed.
//! Closing what is closed, or what never existed, is answered 204 too, as merchants report of the live host: 204 proves
//! nothing and must be followed by a query. Guards: a paid order is refused. Must not know: refunds.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use serde_json::Value;

use super::admit::{Admitted, Family, admit};
use super::fields::{self, Field, Shape, need, text};
use super::query::check_number;
use super::refusal::Refusal;
use crate::faults::{Drawn, FaultKind, Operation};
use crate::options::ProviderName;
use crate::payers::{self, ScanRequest};
use crate::world::World;

const FIELDS: [Field; 1] = [need("mchid", Shape::Text(32))];

pub(super) async fn close(
    State(world): State<Arc<World>>,
    Path(out_trade_no): Path<String>,
    request: Request,
) -> Response<Body> {
    let admitted = match admit(&world, Family::Transactions, request).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let work = |drawn: &Drawn| shut(&admitted, drawn, &out_trade_no).map(|()| None);
    admitted.answer(Operation::Close, work).await
}

fn shut(admitted: &Admitted, drawn: &Drawn, out_trade_no: &str) -> Result<(), Refusal> {
    check_number(out_trade_no)?;
    let body = admitted.json()?;
    fields::check(&body, &FIELDS)?;
    if text(&body, "/mchid") != admitted.account.mch_id {
        return Err(Refusal::parameter(
            "/body/mchid",
            &Value::from(text(&body, "/mchid")),
            "与签名的商户号不一致",
            "body",
        ));
    }
    if drawn.is(FaultKind::NotFoundLag) {
        return Err(Refusal::order_not_exist());
    }
    let world = admitted.world();
    if drawn.is(FaultKind::PaidMeanwhile) {
        let race = ScanRequest::order(ProviderName::Wechatpay, admitted.account.mch_id.clone(), out_trade_no);
        if let Err(reason) = payers::scan(world, &race) {
            tracing::debug!(%reason, "nobody could pay before the close");
        }
    }
    let (key, now) = (admitted.order_key(out_trade_no), world.now());
    world.ledger.change(|book| {
        if book.order(&key).is_none() || book.close(&key, now) { Ok(()) } else { Err(Refusal::order_paid()) }
    })
}
