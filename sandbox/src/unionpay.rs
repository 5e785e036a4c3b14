//! The Unionpay server.

use std::sync::Arc;

use axum::Router;

use crate::ledger::Order;
use crate::options::ProviderName;
use crate::wire::{OutgoingCallback, Sending, Wire};
use crate::world::World;

/// The protocol, without state.
pub(crate) struct Unionpay;

impl Wire for Unionpay {
    fn provider(&self) -> ProviderName {
        ProviderName::Unionpay
    }

    fn router(&self, world: &Arc<World>) -> Router {
        Router::new().with_state(world.clone())
    }

    fn trade_no(&self, world: &World, _order: &Order) -> String {
        world.dice.digits(21)
    }

    fn payer(&self, _world: &World, _order: &Order) -> String {
        String::new()
    }

    fn retry_waits_s(&self) -> &'static [u64] {
        &[]
    }

    fn callback(&self, _world: &World, _sending: &Sending<'_>) -> Option<OutgoingCallback> {
        None
    }

    fn acknowledged(&self, _status: u16, _body: &[u8]) -> bool {
        true
    }
}
