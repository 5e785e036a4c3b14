//! The process's clock, randomness and network, played by the world.

use crate::faults::Fault;
use crate::world::{Event, Inner, Replied, World};
use std::sync::Arc;
use std::time::Duration;
use tongdao::ports::{
    Clock, Download, Downloaded, Io, Operation, Outside, Rng, SendError, WebhookAnswer, WebhookCall, WebhookError,
};
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::{HttpCall, HttpReply};
use tongdao_core::time::UnixMillis;

/// All three ports.
pub(crate) struct Ports(pub(crate) Arc<World>);

impl Clock for Ports {
    fn now(&self) -> UnixMillis {
        self.0.lock().wall()
    }

    fn sleep_until(&self, at: UnixMillis) -> Io<'_, ()> {
        let left_ms = at.since_ms(self.now());
        Box::pin(async move { self.0.pause_ms(left_ms).await })
    }
}

impl Rng for Ports {
    fn draw(&self) -> u128 {
        let mut inner = self.0.lock();
        (u128::from(inner.draws.bits()) << 64) | u128::from(inner.draws.bits())
    }
}

/// The provider behind a channel.
pub(crate) fn bank_of(channel: &str) -> usize {
    channel.trim_start_matches('c').parse().unwrap_or_default()
}

impl Outside for Ports {
    fn call<'a>(
        &'a self,
        channel: &'a ChannelId,
        operation: Operation,
        call: HttpCall,
        deadline: Duration,
    ) -> Io<'a, Result<HttpReply, SendError>> {
        Box::pin(async move {
            let slot = {
                let mut inner = self.0.lock();
                if inner.dead { None } else { inner.leave(bank_of(channel.as_str()), operation, call, deadline) }
            };
            match slot {
                Some(slot) => slot.await,
                None => std::future::pending().await,
            }
        })
    }

    fn download<'a>(&'a self, _: &'a ChannelId, _: Download) -> Io<'a, Result<Downloaded, SendError>> {
        Box::pin(async { Err(SendError::NotSent("no statements in this world".to_owned())) })
    }

    fn has_room(&self, _: &ChannelId) -> bool {
        true
    }

    fn webhook(&self, call: WebhookCall) -> Io<'_, Result<WebhookAnswer, WebhookError>> {
        Box::pin(async move {
            let slot = {
                let mut inner = self.0.lock();
                if inner.dead || inner.dies_before_call() { None } else { Some(inner.webhook_leaves(&call)) }
            };
            match slot {
                Some(slot) => slot.await,
                None => std::future::pending().await,
            }
        })
    }
}

impl Inner {
    fn dies_before_call(&mut self) -> bool {
        let crash = self.plan.crash;
        let dies = self.healed_at.is_none() && crash > 0 && self.dice.per_mille(crash / 2);
        if dies {
            self.die(Fault::CrashBeforeCall);
        }
        dies
    }

    /// A call leaves for a provider; `None` when the process dies first.
    fn leave(&mut self, bank: usize, operation: Operation, call: HttpCall, deadline: Duration) -> Option<Replied> {
        if self.dies_before_call() {
            return None;
        }
        self.check_intent(bank, operation, &call);
        let slot = Replied::new();
        let deadline_ms = i64::try_from(deadline.as_millis()).unwrap_or(60_000);
        let share = self.plan.network;
        let (out, back) = (self.dice.between(2, 120), self.dice.between(2, 120));
        if self.strikes(share / 8, Fault::OwnLimit) {
            self.after(0, Event::Reply(slot.clone(), Err(SendError::Limited)));
            return Some(slot);
        }
        if self.strikes(share / 4, Fault::Refused) {
            self.after(out, Event::Reply(slot.clone(), Self::not_sent("connection refused")));
            return Some(slot);
        }
        if self.strikes(share / 8, Fault::ConnectTimeout) {
            self.after(deadline_ms, Event::Reply(slot.clone(), Self::not_sent("connect timeout")));
            return Some(slot);
        }
        let operation = operation.as_str().to_owned();
        if self.strikes(share / 4, Fault::Doubled) {
            let (operation, body) = (operation.clone(), call.body.clone());
            let late = self.dice.between(10, 60_000);
            self.after(out + late, Event::AtBank { bank, operation, body, reply: None });
        }
        let one_way = self.now < self.banks[bank].one_way_until;
        let lost = self.strikes(share / 3, Fault::ReplyLost);
        let reset = self.strikes(share / 6, Fault::ReplyReset);
        let late = self.strikes(share / 6, Fault::ReplyLate);
        let cut = self.strikes(share / 6, Fault::Truncated);
        if one_way {
            self.fired(Fault::OneWay);
        }
        let body = call.body;
        if one_way || lost || reset || late || out + back > deadline_ms {
            let wait = if reset { out + back } else { deadline_ms };
            self.after(wait, Event::Reply(slot.clone(), Err(SendError::MaybeSent("no answer".to_owned()))));
            // Some requests never arrive, and some take their time.
            let arrives = if lost && self.dice.per_mille(300) { None } else { Some(()) };
            let slow = if late { self.dice.between(0, 90_000) } else { 0 };
            if arrives.is_some() {
                self.after(out + slow, Event::AtBank { bank, operation, body, reply: None });
            }
            return Some(slot);
        }
        self.after(out, Event::AtBank { bank, operation, body, reply: Some((slot.clone(), back, cut)) });
        Some(slot)
    }
}
