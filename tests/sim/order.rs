//! The merchants' side: their orders, their payers, their shelves.

use crate::dice::Dice;
use std::collections::BTreeSet;
use tongdao_core::charge::{NewCharge, Policy};
use tongdao_core::ids::{ChargeId, MerchantId};
use tongdao_core::money::Money;
use tongdao_core::provider::{Payer, Scene};
use tongdao_core::time::UnixMillis;

/// One order of a merchant.
pub(crate) struct Order {
    pub(crate) no: String,
    pub(crate) shop: usize,
    pub(crate) amount: i64,
    pub(crate) expires_in_s: i64,
    pub(crate) deadline_s: i64,
    pub(crate) policy: Policy,
    /// The charge that was acknowledged.
    pub(crate) charge: Option<ChargeId>,
    pub(crate) opens: u32,
    /// Codes that the payer was shown: provider and number.
    pub(crate) codes: Vec<(usize, String)>,
    /// The provider's number of every code that was paid.
    pub(crate) shipped: u32,
    /// Whether it was told to hand over at all, and under which number.
    pub(crate) webhook_ids: BTreeSet<String>,
    pub(crate) refunds: Vec<i64>,
    pub(crate) refunds_acknowledged: BTreeSet<usize>,
    /// Reports later by `/delivery`.
    pub(crate) reports: bool,
}

pub(crate) const SHOPS: [&str; 2] = ["m1", "m2"];

impl Order {
    pub(crate) fn draw(index: i64, dice: &mut Dice) -> Self {
        let policy = Policy {
            refund_late: dice.per_mille(300),
            refund_overdue: dice.per_mille(400),
            wait_for_end: dice.per_mille(400),
        };
        Self {
            no: format!("N{index}"),
            shop: dice.below(2) as usize,
            amount: 100 * dice.between(1, 4),
            expires_in_s: [300, 600, 1800][dice.below(3) as usize],
            deadline_s: [60, 300, 900][dice.below(3) as usize],
            policy,
            charge: None,
            opens: 0,
            codes: Vec::new(),
            shipped: 0,
            webhook_ids: BTreeSet::new(),
            refunds: Vec::new(),
            refunds_acknowledged: BTreeSet::new(),
            reports: false,
        }
    }

    pub(crate) fn merchant(&self) -> MerchantId {
        SHOPS[self.shop].parse().expect("a merchant's name")
    }

    pub(crate) fn new_charge(&self, now: UnixMillis, id: u128, token: u128) -> NewCharge {
        NewCharge {
            id: ChargeId::new(now, id),
            merchant: self.merchant(),
            merchant_order_no: self.no.clone(),
            amount: Money::cny(self.amount),
            subject: "card".to_owned(),
            scene: Scene::Qr,
            payer: Payer::default(),
            pin: None,
            notify_url: format!("https://{}.example/n", SHOPS[self.shop]),
            return_url: None,
            metadata: std::collections::BTreeMap::new(),
            expires_in_s: self.expires_in_s,
            delivery_deadline_s: self.deadline_s,
            policy: self.policy,
            token: format!("{token:032x}"),
        }
    }
}
