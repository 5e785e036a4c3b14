//! `POST /v1/charges`: accept a charge once, and find a channel that gives a code.
//!
//! Invariants: S9 (one number, one charge; the same request again is answered with the charge as it is now, another
//! request is a conflict), S11 (charge and first attempt are durable before any provider is asked). A charge without
//! a code is tried again by the same request, which is then no replay.

use super::busy::collecting;
use super::try_channels::{Plan, Start};
use super::{Flow, FlowError};
use crate::clock::Stopwatch;
use crate::ports::{Claim, Owner, Reference, StoreError};
use std::sync::atomic::Ordering;
use tongdao_core::charge::{Charge, ChargeStatus, NewCharge};
use tongdao_core::effect::Step;
use tongdao_core::ids::MerchantId;
use tongdao_core::planted::{Defect, planted};

const ROUTE: &str = "charges";

/// A checked request for a charge.
#[derive(Debug, Clone)]
pub struct OpenCharge {
    /// The charge to be made.
    pub new: NewCharge,
    /// The hash of the request, parsed and with its defaults filled in.
    pub request_hash: String,
    /// The caller's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
}

/// A charge that was accepted, now or before.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The charge.
    pub charge: Charge,
    /// Whether this was a repeat.
    pub replayed: bool,
}

impl Flow {
    /// Accepts a charge.
    ///
    /// # Errors
    /// `Conflict`, `InProgress`, `NoChannel`, `ChannelRejected`, or the store's.
    pub async fn open_charge(&self, asked: OpenCharge) -> Result<Opened, FlowError> {
        let took = Stopwatch::start();
        if self.disk_scarce.load(Ordering::Relaxed) {
            // What is left of the disk belongs to callbacks and deliveries.
            return Err(StoreError::Overloaded.into());
        }
        let number = Reference::MerchantOrder(asked.new.merchant.clone(), asked.new.merchant_order_no.clone());
        let name = format!("opening {} {}", asked.new.merchant, asked.new.merchant_order_no);
        let Some(_held) = self.busy.hold(name) else { return Err(FlowError::InProgress { retry_after_s: 1 }) };
        self.check_key(&asked).await?;
        match self.store.find(&number).await? {
            Some(Owner::Request(hash, id)) => {
                if hash != asked.request_hash {
                    return Err(FlowError::Conflict);
                }
                let charge = self.charge(id).await?;
                self.repeat(charge, took).await
            }
            Some(_) => Err(FlowError::Conflict),
            None => self.first(asked, number, took).await,
        }
    }

    async fn first(&self, asked: OpenCharge, number: Reference, took: Stopwatch) -> Result<Opened, FlowError> {
        let owner = Owner::Request(asked.request_hash.clone(), asked.new.id);
        let mut claims = vec![Claim { reference: number, owner: owner.clone() }];
        let key = key_reference(&asked.new.merchant, asked.idempotency_key.as_deref());
        claims.extend(key.map(|reference| Claim { reference, owner }));
        if planted(Defect::OrderNumberUnclaimed) {
            claims.clear();
        }
        let Some(_held) = self.busy.hold(collecting(asked.new.id)) else {
            return Err(FlowError::InProgress { retry_after_s: 1 });
        };
        let (scene, pin) = (asked.new.scene, asked.new.pin.clone());
        let step = Charge::open(asked.new, self.clock.now());
        let start = Start { before: None, step, claims };
        let plan = Plan { scene, pin: pin.as_ref(), provider: None, overlap: false, took };
        match self.try_channels(start, &plan).await {
            Ok(charge) => Ok(Opened { charge, replayed: false }),
            // Another node was faster with this number.
            Err(FlowError::Store(StoreError::Taken { .. })) => Err(FlowError::InProgress { retry_after_s: 1 }),
            Err(error) => Err(error),
        }
    }

    async fn repeat(&self, charge: Charge, took: Stopwatch) -> Result<Opened, FlowError> {
        let collecting_now = self.busy.is_held(&collecting(charge.id));
        if collecting_now {
            return Err(FlowError::InProgress { retry_after_s: 1 });
        }
        if !self.wants_code(&charge) {
            return Ok(Opened { charge, replayed: true });
        }
        let Some(_held) = self.busy.hold(collecting(charge.id)) else {
            return Err(FlowError::InProgress { retry_after_s: 1 });
        };
        let (scene, pin) = (charge.scene, charge.pin.clone());
        let step = Step { next: charge.clone(), events: Vec::new(), effects: Vec::new() };
        let start = Start { before: Some(charge), step, claims: Vec::new() };
        let plan = Plan { scene, pin: pin.as_ref(), provider: None, overlap: false, took };
        let charge = self.try_channels(start, &plan).await?;
        Ok(Opened { charge, replayed: false })
    }

    /// Open, not ending, and no attempt that a payer could pay: the last try found no channel (or died).
    fn wants_code(&self, charge: &Charge) -> bool {
        charge.status() == ChargeStatus::Open
            && !charge.ending
            && charge.breaks.is_empty()
            && self.clock.now() < charge.expires_at
            && !charge.attempts.iter().any(tongdao_core::attempt::Attempt::is_payable)
    }

    async fn check_key(&self, asked: &OpenCharge) -> Result<(), FlowError> {
        let Some(reference) = key_reference(&asked.new.merchant, asked.idempotency_key.as_deref()) else {
            return Ok(());
        };
        match self.store.find(&reference).await? {
            None => Ok(()),
            Some(Owner::Request(hash, _)) if hash == asked.request_hash => Ok(()),
            Some(_) => Err(FlowError::Conflict),
        }
    }
}

fn key_reference(merchant: &MerchantId, key: Option<&str>) -> Option<Reference> {
    key.map(|key| Reference::Idempotency(merchant.clone(), ROUTE, key.to_owned()))
}
