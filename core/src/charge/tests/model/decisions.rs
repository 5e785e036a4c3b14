//! What persons' decisions and bounced refunds mean to the model.

use super::super::*;
use super::Model;

impl Model {
    /// What a person's decision makes of a payment.
    pub(super) fn decisions(&mut self, before: &Charge, input: &Input) {
        let Input::Resolve { kind, key, resolution, sending } = input else { return };
        *self.seen.entry(resolution.as_str()).or_default() += 1;
        let undelivered = matches!(kind, BreakKind::Undelivered | BreakKind::Undeliverable);
        if undelivered && *resolution == Resolution::Refund {
            assert!(!sending, "money goes back while a try is in flight");
        }
        if *kind != BreakKind::AmountDiffers || resolution.moves_nothing() {
            return;
        }
        let (attempt, sum) = self.differing[key];
        let counts = self.principal.iter().chain(self.surplus.keys()).any(|(_, tx)| tx == key);
        assert!(!counts, "S2: a payment that counts already is moved again");
        if *resolution == Resolution::Deliver {
            assert!(before.principal.is_none(), "S2: a second principal");
            self.principal = Some((attempt, key.clone()));
            self.taken = Some(sum);
        } else {
            self.returned.insert(key.clone(), attempt);
            *self.seen.entry("returned").or_default() += 1;
        }
    }

    pub(super) fn bounces(&mut self, before: &Charge, input: &Input) {
        let said = if let Input::RefundReported { refund, outcome } = input {
            Some((*refund, None, outcome))
        } else if let Input::RefundNoticed { refund, provider_refund_no, outcome } = input {
            Some((*refund, Some(provider_refund_no), outcome))
        } else {
            None
        };
        let Some((id, number, outcome)) = said else { return };
        let Some(refund) = before.refund(id).filter(|refund| refund.status() == RefundStatus::Succeeded) else {
            return;
        };
        let about_it = number.is_none_or(|number| *number == refund.provider_refund_no);
        let against = matches!(outcome, RefundOutcome::Ended(_) | RefundOutcome::Refused(_) | RefundOutcome::Stuck(_));
        if about_it && against {
            self.bounced.insert(id);
            *self.seen.entry("bounced").or_default() += 1;
        }
    }
}
