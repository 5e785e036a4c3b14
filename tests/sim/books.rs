//! At the end three books must agree: the providers' truth, ours, and what the merchants handed over.

use crate::faults::Fault;
use crate::ports::bank_of;
use crate::provider::Rules;
use crate::world::Inner;
use tongdao::ports::{BreakStatus, Reference};
use tongdao_core::attempt::AttemptStatus;
use tongdao_core::charge::{Charge, ChargeStatus};
use tongdao_core::delivery::DeliveryStatus;
use tongdao_core::effect::BreakKind;
use tongdao_core::refund::RefundKind;

impl Inner {
    pub(crate) fn check_books(&mut self) {
        let banks: Vec<(usize, String)> = self
            .banks
            .iter()
            .enumerate()
            .flat_map(|(bank, known)| known.txs.keys().map(move |tx| (bank, tx.clone())))
            .collect();
        for (bank, tx) in banks {
            self.check_payment(bank, &tx);
        }
        let charges: Vec<Charge> = self.kept.charges.values().cloned().collect();
        for charge in &charges {
            self.check_charge(charge);
        }
        for order in 0..self.orders.len() {
            if let Some(id) = self.orders[order].charge.filter(|id| !self.kept.charges.contains_key(id)) {
                self.fail("S12", format!("acknowledged {id} is gone"));
            }
        }
        if self.plan.calm {
            self.check_waits();
        }
    }

    /// L1, S8 and the sum: whatever was captured was delivered, went back, or has a name.
    fn check_payment(&mut self, bank: usize, tx: &str) {
        let known = &self.banks[bank];
        let (no, amount) = (known.txs[tx].order.clone(), known.txs[tx].amount);
        let back = known.refunded(tx);
        let elsewhere = known.txs[tx].refunded_elsewhere;
        let provider = crate::provider::REGISTRY[bank].id.parse().expect("a provider's name");
        let owner = self.kept.owners.get(&Reference::ProviderOrder(provider, known.account.clone(), no.clone()));
        let Some(charge) = owner.and_then(|owner| self.kept.charges.get(&owner.charge())) else {
            self.fail("S11", format!("{tx} was paid for {no}, which is not durable"));
            return;
        };
        let merchant_no = charge.merchant_order_no.clone();
        let open = self.kept.breaks.values().filter(|held| held.status == BreakStatus::Open);
        let named = open.clone().any(|held| held.provider_trade_no.as_deref() == Some(tx))
            || open.clone().any(|held| {
                held.charge == Some(charge.id) && matches!(held.kind, BreakKind::Undelivered | BreakKind::Undeliverable)
            });
        let attempt = charge.attempts.iter().find(|attempt| attempt.provider_order_no == no);
        let principal = charge.principal.is_some_and(|id| {
            attempt.is_some_and(|attempt| attempt.id == id && attempt.provider_trade_no.as_deref() == Some(tx))
        });
        let delivered = principal && charge.delivery.status() == DeliveryStatus::Delivered;
        let stuck = charge.refunds.iter().any(|refund| refund.stuck);
        // A code that was paid is asked about no more: its other payment is known by callback, or by the statement.
        let unseen = known.orders[&no].txs.len() > 1;
        let counted = principal || charge.surplus.iter().any(|(_, of)| of == tx);
        let explained = delivered || back >= amount || named || stuck || elsewhere > 0;
        // Our clock ran ahead, so an end was held proved that was none, and the callback never came: the statement's work.
        let by_time = self.clock_was_wrong && known.rules != Rules::Closing && known.txs[tx].lost;
        let left = [(by_time, Fault::LeftToStatement), (unseen, Fault::PaidTwiceUnseen)];
        if let Some((_, fault)) = left.into_iter().find(|(left, _)| *left && !explained && !counted) {
            self.fired(fault);
            return;
        }
        if !explained {
            let words = format!(
                "{merchant_no}: {amount} captured by {tx} ({no}) is neither delivered nor back ({back}) nor a break; \
                 principal {principal}, {:?}, delivery {:?}",
                charge.status(),
                charge.delivery.status()
            );
            self.fail("books", words);
        }
        if back > amount {
            self.fail("S13", format!("{tx}: {back} of {amount} went back"));
        }
    }

    fn check_charge(&mut self, charge: &Charge) {
        let no = charge.merchant_order_no.clone();
        let order = self.of_charge.get(&charge.id).copied();
        let shipped = order.map_or(0, |order| self.orders[order].shipped);
        let held = |kind: BreakKind| charge.breaks.iter().any(|(open, _)| *open == kind);
        if charge.delivery.status() == DeliveryStatus::Delivered && shipped == 0 {
            self.fail("books", format!("{no} is delivered here and was never handed over"));
        }
        let by_itself = charge.refunds.iter().any(|refund| {
            matches!(refund.kind, RefundKind::Undelivered | RefundKind::Late) && refund.ended_at.is_some()
        });
        if by_itself && shipped > 0 && !held(BreakKind::DeliveredAfterRefund) {
            self.fail("books", format!("{no} was handed over and refunded by itself"));
        }
        if let Some(attempt) = charge.attempts.iter().find(|attempt| attempt.status().is_open()) {
            let asked = charge.is_disputed() || charge.judged.iter().any(|(kind, _)| *kind == BreakKind::Duplicate);
            if !asked {
                self.fail(
                    "L3",
                    format!("{no}: attempt {} is {:?} at the end", attempt.provider_order_no, attempt.status()),
                );
            }
        }
        if charge.status() == ChargeStatus::Open
            && !charge.is_disputed()
            && charge.attempts.iter().all(|a| !a.status().is_open())
        {
            self.fail("L4", format!("{no} is open at the end and nothing of it is"));
        }
        let unsettled = charge.refunds.iter().find(|refund| refund.ended_at.is_none() && !refund.stuck);
        if let Some(refund) =
            unsettled.filter(|refund| self.wall().since_ms(refund.created_at) > 86_400_000 + 3_600_000)
        {
            self.fail("L5", format!("{no}: refund {} is pending and nobody is told", refund.provider_refund_no));
        }
        let owed = charge.delivery.is_owed() && charge.status() >= ChargeStatus::Paid;
        if owed && !held(BreakKind::Undelivered) && !held(BreakKind::Undeliverable) && !held(BreakKind::RefundDiffers) {
            self.fail("L2", format!("{no} is paid, not delivered, and nobody is told"));
        }
        self.check_surplus(charge);
    }

    /// S8: each surplus payment has one refund, or a name.
    fn check_surplus(&mut self, charge: &Charge) {
        for (attempt, tx) in &charge.surplus {
            let of_tx = charge.refunds.iter().filter(|refund| refund.provider_trade_no == *tx);
            let count = of_tx.filter(|refund| refund.kind == RefundKind::Surplus).count();
            let named = charge.breaks.iter().any(|(_, of)| of == tx) || charge.refunded_outside.contains_key(tx);
            if count != 1 && !named {
                self.fail("S8", format!("{}: surplus {tx} has {count} refunds", charge.merchant_order_no));
            }
            let paid = charge
                .attempt(*attempt)
                .map(|attempt| self.banks[bank_of(attempt.channel.as_str())].txs.contains_key(tx));
            if paid != Some(true) {
                self.fail("S8", format!("surplus {tx} was never paid"));
            }
        }
        let doubled = charge.attempts.iter().filter(|attempt| attempt.status() == AttemptStatus::Succeeded).count();
        if doubled > 1 {
            self.fail("S2", format!("{} has {doubled} principals", charge.merchant_order_no));
        }
    }

    /// L1 and L2 to the second, where nothing was wrong but lost callbacks.
    fn check_waits(&mut self) {
        let charges: Vec<Charge> = self.kept.charges.values().cloned().collect();
        for charge in charges {
            let tx = charge.current_attempt().and_then(|attempt| attempt.provider_trade_no.clone());
            let Some(paid_at) = charge.paid_at else { continue };
            let truth = tx.and_then(|tx| self.banks.iter().find_map(|bank| bank.txs.get(&tx).map(|tx| tx.at)));
            let waited_ms = paid_at.0 - truth.unwrap_or(paid_at.0);
            if waited_ms > 160_000 {
                self.fail("L1", format!("{} was paid {waited_ms} ms before we knew", charge.merchant_order_no));
            }
            let delivered = charge.delivery.delivered_at.map(|at| at.since_ms(paid_at));
            let slow_shop = self.of_charge.get(&charge.id).is_some_and(|order| matches!(order % 20, 7 | 8));
            if !slow_shop && charge.refunds.is_empty() && delivered.is_none_or(|ms| ms > 10_000) {
                self.fail("L2", format!("{} waited {delivered:?} ms for its goods", charge.merchant_order_no));
            }
        }
    }
}
