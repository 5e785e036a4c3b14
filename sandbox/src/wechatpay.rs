//! The WeChat Pay API v3 server: direct merchants, native, h5, jsapi and app orders, refunds, certificates, callbacks.
//! Written from wechatpay.md (sections named in the submodules). Guards: nothing is answered 2xx unsigned, nothing but 2xx
//! is signed; a request is judged by its raw bytes. Must not know: the other providers, sockets.

mod admit;
mod callback;
mod certificates;
mod close;
mod create;
mod fields;
mod query;
mod refund;
mod refusal;
mod reply;
mod statement;
mod statement_rows;
mod transaction;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::clock::beijing;
use crate::formats::beijing::compact_day;
use crate::ledger::{Order, Payment, Refund};
use crate::options::ProviderName;
use crate::wire::{OutgoingCallback, Sending, Wire};
use crate::world::World;

/// Seconds before each further sending of a callback: 15 retries in 24 h 4 m (section 3.4).
const RETRY_WAITS_S: [u64; 15] =
    [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600];

/// The protocol, without state.
pub(crate) struct Wechatpay;

impl Wire for Wechatpay {
    fn provider(&self) -> ProviderName {
        ProviderName::Wechatpay
    }

    fn router(&self, world: &Arc<World>) -> Router {
        Router::new()
            .route("/v3/pay/transactions/native", post(create::native))
            .route("/v3/pay/transactions/h5", post(create::h5))
            .route("/v3/pay/transactions/jsapi", post(create::jsapi))
            .route("/v3/pay/transactions/app", post(create::app))
            .route("/v3/pay/transactions/out-trade-no/{out_trade_no}", get(query::by_out_trade_no))
            .route("/v3/pay/transactions/id/{transaction_id}", get(query::by_transaction_id))
            .route("/v3/pay/transactions/out-trade-no/{out_trade_no}/close", post(close::close))
            .route("/v3/refund/domestic/refunds", post(refund::create))
            .route("/v3/refund/domestic/refunds/{out_refund_no}", get(refund::query))
            .route("/v3/certificates", get(certificates::list))
            .route("/v3/bill/tradebill", get(statement::announce))
            .route("/v3/billdownload/file", get(statement::download))
            .with_state(world.clone())
    }

    /// 28 digits, the day in the middle.
    fn trade_no(&self, world: &World, _order: &Order) -> String {
        let day = beijing(world.now(), "%Y%m%d");
        format!("4200{}{day}{}", world.dice.digits(6), world.dice.digits(10))
    }

    /// The openid the order was made for, or a new one.
    fn payer(&self, world: &World, order: &Order) -> String {
        match order.field("openid") {
            "" => format!("oUpF8u{}", world.dice.text(22)),
            openid => openid.to_owned(),
        }
    }

    fn filled(&self, world: &World, order: &mut Order, at: i64) -> Payment {
        order.product = "native".to_owned();
        for (name, value) in [("trade_type", "NATIVE"), ("mode", "certificate")] {
            order.fields.insert(name.to_owned(), value.to_owned());
        }
        let accounts = &world.accounts.wechatpay;
        if let Some(account) = accounts.iter().find(|account| account.mch_id == order.key.account) {
            order.fields.insert("appid".to_owned(), account.app_id.clone());
        }
        let (day, low, high) = (compact_day(at), world.dice.below(1_000_000), world.dice.below(10_000_000_000));
        let payer = format!("oUpF8u{:022}", world.dice.roll());
        Payment { trade_no: format!("4200{low:06}{day}{high:010}"), amount: order.amount, paid_at: at, payer }
    }

    fn filled_refund(&self, world: &World, refund: &mut Refund, at: i64) {
        let (day, low, high) = (compact_day(at), world.dice.below(1_000_000), world.dice.below(100_000_000_000));
        refund.refund_trade_no = format!("5030{low:06}{day}{high:011}");
        refund.fields = [("mode", "certificate"), ("funds_account", "UNSETTLED")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    }

    fn retry_waits_s(&self) -> &'static [u64] {
        &RETRY_WAITS_S
    }

    fn callback(&self, world: &World, sending: &Sending<'_>) -> Option<OutgoingCallback> {
        callback::write(world, sending)
    }

    /// 200 or 204, whatever the body (section 3.4).
    fn acknowledged(&self, status: u16, _body: &[u8]) -> bool {
        status == 200 || status == 204
    }
}

#[cfg(test)]
pub(crate) mod tests;
