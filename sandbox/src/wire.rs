//! What the shell asks of a provider's protocol: its routes, its numbers, and its callbacks.
//! A provider module owns its messages and signatures; the shell owns sockets, time, the ledger, faults and retries.
//! Guards: the shell never reads or writes a provider's message.

use std::sync::Arc;

use crate::callbacks;
use crate::ledger::{Book, Order, OrderKey, Payment, Refund, RefundKey};
use crate::options::ProviderName;
use crate::world::World;

/// One provider's protocol. Values are stateless; everything mutable is in `World`.
pub(crate) trait Wire: Send + Sync {
    fn provider(&self) -> ProviderName;

    /// The provider's HTTP paths. Handlers answer through `serve::answer`, so that faults apply.
    fn router(&self, world: &Arc<World>) -> axum::Router;

    /// A new number of the provider's own for a payment (`transaction_id`, `trade_no`, `queryId`).
    fn trade_no(&self, world: &World, order: &Order) -> String;

    /// Who pays: the provider's user number (`openid`, `buyer_id`, card).
    fn payer(&self, world: &World, order: &Order) -> String;

    /// Waits, in the provider's seconds, before the second, third, … sending of a callback.
    fn retry_waits_s(&self) -> &'static [u64];

    /// Writes the callback, freshly signed at this sending. None: the provider sends none (no address given).
    fn callback(&self, world: &World, sending: &Sending<'_>) -> Option<OutgoingCallback>;

    /// Whether the merchant's answer ends the retries.
    fn acknowledged(&self, status: u16, body: &[u8]) -> bool;

    /// The order behind what a payer opens when it is no code the book knows (an order string for an app, the
    /// address or form of a cashier); opening it may make the order. None: not this provider's, or refused.
    fn visit(&self, _world: &World, _opened: &str) -> Option<OrderKey> {
        None
    }

    /// A payer reached the order, before any payment: here a provider makes its trade, where it does so at the scan.
    fn scanned(&self, _world: &World, _book: &mut Book, _key: &OrderKey) {}

    /// Completes an order that is booked as created and paid at this time, without any message; answers its payment.
    fn filled(&self, world: &World, order: &mut Order, at: i64) -> Payment;

    /// The same for a refund: its fields and the provider's own number for it.
    fn filled_refund(&self, world: &World, refund: &mut Refund, at: i64);

    /// A payment was booked. Every provider tells the merchant, unless the payment itself was wrong.
    fn paid(&self, world: &Arc<World>, key: &OrderKey) {
        callbacks::announce(world, Event::Paid(key.clone()));
    }
}

/// What happened, that a callback tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An order was paid.
    Paid(OrderKey),
    /// An order was closed (sent by Alipay alone, where it is asked for).
    Closed(OrderKey),
    /// A refund reached its end.
    Refunded(RefundKey),
}

/// One sending of one callback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending<'a> {
    /// The same in every sending of one event (Alipay `notify_id`, WeChat `id`).
    pub(crate) id: &'a str,
    pub(crate) event: &'a Event,
    /// When the event was announced, Unix ms.
    pub(crate) announced_at: i64,
    pub(crate) twist: Twist,
}

/// Faults to work into the content or the signature of a callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Twist {
    /// An amount other than the payment's, signed correctly.
    pub(crate) wrong_amount: bool,
    /// Another merchant's or application's number, signed correctly.
    pub(crate) wrong_account: bool,
    /// Signed by a stranger's key (`keys.stranger()`).
    pub(crate) wrong_key: bool,
    /// A signature time outside the window, where the protocol has one.
    pub(crate) stale: bool,
    /// A signature that is garbage (WeChat SIGNTEST).
    pub(crate) bad_signature: bool,
    /// A key name nobody knows, where the protocol names keys.
    pub(crate) unknown_serial: bool,
}

/// An HTTP POST to the merchant.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingCallback {
    pub(crate) url: String,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}
