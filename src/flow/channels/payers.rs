//! Which method each payer paid with last: a little bonus at the next choice.
//!
//! Invariant: it is bounded, forgets the payers that were not seen for longest, and never excludes a channel. Payers are
//! known by the merchant's own id of them; one merchant's payers say nothing about another's.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use tongdao_core::ids::{MerchantId, ProviderId};

/// Payers remembered in each of two halves.
const HALF_MAX: usize = 50_000;

/// The last method of each payer. Two halves: when the young one is full, the old one is forgotten.
#[derive(Default)]
pub(in crate::flow) struct Payers {
    keys: RandomState,
    young: HashMap<u64, ProviderId>,
    old: HashMap<u64, ProviderId>,
}

impl Payers {
    pub(in crate::flow) fn paid(&mut self, merchant: &MerchantId, payer: &str, method: &ProviderId) {
        if self.young.len() >= HALF_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(self.key(merchant, payer), method.clone());
    }

    pub(in crate::flow) fn last_used(&self, merchant: &MerchantId, payer: &str) -> Option<&ProviderId> {
        let key = self.key(merchant, payer);
        self.young.get(&key).or_else(|| self.old.get(&key))
    }

    fn key(&self, merchant: &MerchantId, payer: &str) -> u64 {
        self.keys.hash_one((merchant, payer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payer_is_known_to_his_merchant_only_and_by_his_last_method() {
        let (one, other): (MerchantId, MerchantId) = ("m1".parse().unwrap(), "m2".parse().unwrap());
        let (wechatpay, alipay): (ProviderId, ProviderId) = ("wechatpay".parse().unwrap(), "alipay".parse().unwrap());
        let mut payers = Payers::default();
        payers.paid(&one, "u1", &wechatpay);
        payers.paid(&one, "u1", &alipay);
        assert_eq!(payers.last_used(&one, "u1"), Some(&alipay));
        assert_eq!((payers.last_used(&one, "u2"), payers.last_used(&other, "u1")), (None, None));
    }

    #[test]
    fn however_many_payers_come_memory_is_bounded_and_the_newest_are_known() {
        let (merchant, method): (MerchantId, ProviderId) = ("m1".parse().unwrap(), "alipay".parse().unwrap());
        let mut payers = Payers::default();
        for payer in 0..3 * HALF_MAX {
            payers.paid(&merchant, &payer.to_string(), &method);
        }
        assert!(payers.young.len() + payers.old.len() <= 2 * HALF_MAX);
        assert!(payers.last_used(&merchant, &(3 * HALF_MAX - 1).to_string()).is_some());
        assert!(payers.last_used(&merchant, "0").is_none());
    }
}
