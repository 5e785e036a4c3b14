//! Brings accepted refunds to their end after a while, and announces it.
//! Guards: a refund ends once; only an ended one is announced.
//! Must not know: wire formats.

use std::sync::Arc;

use crate::callbacks;
use crate::faults::Drawn;
use crate::ledger::{RefundKey, RefundState};
use crate::wire::Event;
use crate::world::World;

/// The provider's seconds a refund takes unless a fault says otherwise.
const REFUND_SECONDS: u64 = 1;

/// Lets a refund that was just booked as pending run to its end in the background.
pub(crate) fn settle(world: &Arc<World>, key: RefundKey, drawn: &Drawn) {
    let state = drawn.refund_state.unwrap_or(RefundState::Success);
    let seconds = drawn.refund_delay_s.unwrap_or(REFUND_SECONDS);
    if state == RefundState::Pending {
        return;
    }
    let walker = world.clone();
    world.spawn(async move {
        walker.provider_seconds(seconds).await;
        finish(&walker, key, state);
    });
}

/// Changes a refund's state whatever it was, and announces it.
pub(crate) fn turn(world: &Arc<World>, key: RefundKey, state: RefundState) -> bool {
    let now = world.now();
    let turned = world.ledger.change(|book| book.turn_refund(&key, state, now));
    if turned {
        callbacks::announce(world, Event::Refunded(key));
    }
    turned
}

/// Ends a pending refund now; false when it is not pending.
pub(crate) fn finish(world: &Arc<World>, key: RefundKey, state: RefundState) -> bool {
    let now = world.now();
    let ended = world.ledger.change(|book| book.end_refund(&key, state, now));
    if ended {
        callbacks::announce(world, Event::Refunded(key));
    }
    ended
}
