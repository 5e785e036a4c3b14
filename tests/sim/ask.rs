//! What merchants, providers and operators ask of the process, and what its answers are worth.

use crate::config::config;
use crate::faults::Fault;
use crate::provider::REGISTRY;
use crate::world::{Deed, Inner, World};
use std::sync::Arc;
use std::time::Duration;
use tongdao::flow::{AskedRefund, Flow, FlowError, OpenCharge, Opened, Order as Ordered, Restore, Retried, RetryAsk};
use tongdao_core::charge::Charge;
use tongdao_core::delivery::{DeliveryStatus, Report};
use tongdao_core::overrides::{Action, Terms};
use tongdao_core::provider::{CallbackRequest, PayKind};

pub(crate) fn ask(world: &Arc<World>, flow: &Arc<Flow>, deed: Deed) {
    let (world, flow) = (world.clone(), flow.clone());
    match deed {
        Deed::Open { order, twice } => {
            if twice {
                drop(tokio::spawn(open(world.clone(), flow.clone(), order)));
            }
            drop(tokio::spawn(open(world, flow, order)));
        }
        Deed::Refund { order, number, twice } => {
            if twice {
                drop(tokio::spawn(refund(world.clone(), flow.clone(), order, number)));
            }
            drop(tokio::spawn(refund(world, flow, order, number)));
        }
        Deed::Callback { bank, body, id } => drop(tokio::spawn(callback(world, flow, bank, (body, id)))),
        Deed::Retry { order, number } => drop(tokio::spawn(retry(world, flow, order, number))),
        Deed::Operate(fault) => drop(tokio::spawn(operate(world, flow, fault))),
        Deed::Keys => drop(tokio::spawn(async move {
            flow.refresh_all_keys().await;
            let now = world.lock().wall();
            drop(flow.channels().save(flow.store(), now).await);
            for question in flow.pulse() {
                drop(flow.ask_for_router(question).await);
            }
        })),
        Deed::Close { order } => drop(tokio::spawn(async move {
            let Some(id) = charge_of(&world, order) else { return };
            drop(flow.close(id).await);
        })),
        Deed::Report { order } => drop(tokio::spawn(report(world, flow, order))),
        Deed::Notify { order } => drop(tokio::spawn(async move {
            let Some(id) = charge_of(&world, order) else { return };
            drop(flow.notify(id).await);
        })),
        Deed::Sync { order } => drop(tokio::spawn(async move {
            let Some(id) = charge_of(&world, order) else { return };
            drop(flow.sync(id).await);
        })),
        Deed::Nothing | Deed::Over => {}
    }
}

fn charge_of(world: &World, order: usize) -> Option<tongdao_core::ids::ChargeId> {
    world.lock().orders[order].charge
}

async fn open(world: Arc<World>, flow: Arc<Flow>, order: usize) {
    let asked = {
        let mut inner = world.lock();
        let bits = |inner: &mut Inner| (u128::from(inner.draws.bits()) << 64) | u128::from(inner.draws.bits());
        let (id, token) = (bits(&mut inner), bits(&mut inner));
        let now = inner.wall();
        let known = &inner.orders[order];
        OpenCharge {
            new: known.new_charge(now, id, token),
            request_hash: format!("hash of {}", known.no),
            idempotency_key: Some(known.no.clone()),
        }
    };
    let opened = flow.open_charge(asked).await;
    let mut inner = world.lock();
    if inner.dead {
        return;
    }
    match opened {
        Ok(Opened { charge, .. }) => inner.acknowledged_charge(order, &charge),
        Err(FlowError::NoChannel(charge) | FlowError::ChannelRejected(charge)) => {
            inner.acknowledged_charge(order, &charge)
        }
        Err(FlowError::Conflict) => {
            let no = inner.orders[order].no.clone();
            inner.fail("S9", format!("the same request for {no} is a conflict"));
        }
        Err(FlowError::NotFound | FlowError::Refused(_) | FlowError::InProgress { .. } | FlowError::Store(_)) => {}
    }
}

impl Inner {
    /// The merchant got a charge: it has it for ever.
    fn acknowledged_charge(&mut self, order: usize, charge: &Charge) {
        let no = self.orders[order].no.clone();
        match self.orders[order].charge {
            Some(known) if known != charge.id => self.fail("S9", format!("{no} is {known} and {}", charge.id)),
            _ => self.orders[order].charge = Some(charge.id),
        }
        if charge.merchant_order_no != no || charge.merchant.as_str() != crate::order::SHOPS[self.orders[order].shop] {
            self.fail("S17", format!("{no} was answered with {}", charge.merchant_order_no));
        }
        if !self.kept.charges.contains_key(&charge.id) {
            self.fail("S12", format!("{no} was acknowledged and is not durable"));
        }
        for attempt in charge.attempts.iter().filter(|attempt| attempt.is_payable()) {
            let Some(PayKind::QrCode { url }) = attempt.pay.as_ref().map(|pay| &pay.kind) else { continue };
            let (bank, url) = (crate::ports::bank_of(attempt.channel.as_str()), url.clone());
            self.shown(order, bank, &url);
        }
    }
}

async fn retry(world: Arc<World>, flow: Arc<Flow>, order: usize, number: u32) {
    let Some(id) = charge_of(&world, order) else { return };
    let idempotency_key = Some((format!("{order}-{}", number / 2), "again".to_owned()));
    let provider = (number % 2 == 1).then(|| REGISTRY[order % 3].id.to_owned());
    let ask = RetryAsk { provider, idempotency_key, ..RetryAsk::default() };
    let ask = if number > 1 { RetryAsk { provider: None, ..ask } } else { ask };
    let tried = flow.retry(id, ask).await;
    let mut inner = world.lock();
    if inner.dead {
        return;
    }
    if let Ok(Retried::Opened(charge) | Retried::Unchanged(charge)) = tried {
        inner.acknowledged_charge(order, &charge);
    }
}

async fn refund(world: Arc<World>, flow: Arc<Flow>, order: usize, number: usize) {
    let Some(id) = charge_of(&world, order) else { return };
    let amount = world.lock().orders[order].refunds[number];
    let asked = AskedRefund {
        charge: id,
        refund_no: format!("R{order}-{number}"),
        amount,
        reason: "asked".to_owned(),
        request_hash: format!("{amount}"),
    };
    let opened = flow.open_refund(asked).await;
    let mut inner = world.lock();
    if inner.dead {
        return;
    }
    match opened {
        Ok(opened) => {
            inner.orders[order].refunds_acknowledged.insert(number);
            let same = |refund: &&tongdao_core::refund::Refund| {
                refund.refund_no.as_deref() == Some(&*format!("R{order}-{number}"))
            };
            let count = opened.charge.refunds.iter().filter(same).count();
            if count != 1 {
                inner.fail("S9", format!("refund R{order}-{number} was made {count} times"));
            }
            let durable = inner.kept.charges.get(&id).is_some_and(|charge| charge.refund(opened.refund).is_some());
            if !durable {
                inner.fail("S12", format!("refund R{order}-{number} was acknowledged and is not durable"));
            }
        }
        Err(FlowError::Refused(tongdao_core::charge::Refused::ExceedsRefundable)) => {
            inner.orders[order].refunds_acknowledged.insert(number);
        }
        Err(_) => {}
    }
}

async fn report(world: Arc<World>, flow: Arc<Flow>, order: usize) {
    let Some(id) = charge_of(&world, order) else { return };
    let told = flow.report_delivery(id, Report::Delivered(Some("card 1".to_owned()))).await;
    let mut inner = world.lock();
    if inner.dead {
        return;
    }
    if let Ok(charge) = told {
        if charge.delivery.status() != DeliveryStatus::Delivered || charge.delivery.fenced {
            inner.fail("S14", format!("{} was told to hand over behind the fence", charge.merchant_order_no));
        }
        if inner.orders[order].shipped == 0 {
            inner.ship(order);
        }
        inner.orders[order].reports = false;
    }
}

async fn callback(world: Arc<World>, flow: Arc<Flow>, bank: usize, told: (String, u64)) {
    let (body, id) = told;
    let channel = format!("c{bank}").parse().expect("a channel's name");
    let request = CallbackRequest { headers: Vec::new(), query: String::new(), body: body.clone().into_bytes() };
    let reply = flow.callback(&channel, request).await;
    let mut inner = world.lock();
    if inner.dead {
        return;
    }
    let Some(reply) = reply else { return };
    inner.note(&[u64::from(reply.status), id], || format!("callback answered {}", reply.status));
    inner.check_acknowledged(bank, &body, &reply);
    if reply.status == 200 && id != 0 {
        inner.acknowledged.insert(id, true);
    }
}

async fn operate(world: Arc<World>, flow: Arc<Flow>, fault: Fault) {
    let order = |action| Ordered {
        action,
        target: flow.override_target("c1").expect("a channel"),
        lasts: Duration::from_secs(600),
        reason: "simulated".to_owned(),
        actor: "op".to_owned(),
    };
    let terms = Terms { if_version: None, even_if_last: true };
    match fault {
        Fault::Drain => drop(flow.place_override(order(Action::Drain), terms).await),
        Fault::Force => drop(flow.place_override(order(Action::Force), terms).await),
        Fault::Restore => {
            if let Ok(placed) = flow.place_override(order(Action::Drain), terms).await {
                let ask = Restore {
                    id: placed.order.id,
                    actor: "op".to_owned(),
                    reason: "simulated".to_owned(),
                    if_version: None,
                };
                drop(flow.restore_override(ask).await);
            }
        }
        _ => {
            let version = {
                let mut inner = world.lock();
                inner.secret += 1;
                inner.secret
            };
            flow.set_config(config(version));
        }
    }
}
