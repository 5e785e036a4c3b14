//! The open breaks by channel and kind: what the gauges and the status board count.
//!
//! Invariant: every break that is open is counted, however many there are; it is memory, rebuilt at start from the
//! store, and follows each durable change. Nothing here decides anything.

use crate::ports::{Break, BreakStatus};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tongdao_core::effect::BreakKind;
use tongdao_core::ids::{BreakId, ChannelId};
use tongdao_core::time::UnixMillis;

struct Line {
    kind: BreakKind,
    channel: Option<ChannelId>,
    amount: i64,
    opened_at: UnixMillis,
}

/// The open breaks.
#[derive(Default)]
pub struct OpenBreaks(Mutex<BTreeMap<BreakId, Line>>);

impl OpenBreaks {
    /// Takes note of a break as it is now.
    pub(crate) fn note(&self, breach: &Break) {
        let mut lines = self.lines();
        if breach.status == BreakStatus::Open {
            let Break { kind, channel, amount, opened_at, .. } = breach.clone();
            lines.insert(breach.id, Line { kind, channel, amount: amount.amount, opened_at });
        } else {
            lines.remove(&breach.id);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lines().len()
    }

    /// How many of a channel there are, by kind.
    #[must_use]
    pub fn count_of(&self, channel: &ChannelId) -> BTreeMap<BreakKind, i64> {
        let mut counts = BTreeMap::new();
        for line in self.lines().values().filter(|line| line.channel.as_ref() == Some(channel)) {
            let count: &mut i64 = counts.entry(line.kind).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }

    /// The minor units at stake in each kind.
    #[must_use]
    pub fn amounts(&self) -> BTreeMap<BreakKind, i64> {
        let mut amounts = BTreeMap::new();
        for line in self.lines().values() {
            let amount: &mut i64 = amounts.entry(line.kind).or_default();
            *amount = amount.saturating_add(line.amount);
        }
        amounts
    }

    /// When a channel's oldest one was opened.
    #[must_use]
    pub fn oldest_of(&self, channel: &ChannelId) -> Option<UnixMillis> {
        let lines = self.lines();
        lines.values().filter(|line| line.channel.as_ref() == Some(channel)).map(|line| line.opened_at).min()
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<BreakId, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongdao_core::money::Money;

    fn breach(n: u128, kind: BreakKind, channel: &str, status: BreakStatus) -> Break {
        Break {
            id: BreakId::new(UnixMillis(1_000), n),
            kind,
            status,
            channel: Some(channel.parse().unwrap()),
            charge: None,
            attempt: None,
            merchant_order_no: None,
            provider_order_no: None,
            provider_trade_no: None,
            amount: Money::cny(100),
            opened_at: UnixMillis(1_000 + i64::try_from(n).unwrap()),
            resolved_at: None,
            resolution: None,
            actor: None,
            evidence: String::new(),
        }
    }

    #[test]
    fn thousands_are_counted_to_the_last_one_and_a_settled_one_is_not() {
        let open = OpenBreaks::default();
        for n in 0..3_000 {
            open.note(&breach(n, BreakKind::MissingHere, "a", BreakStatus::Open));
        }
        open.note(&breach(1, BreakKind::MissingHere, "a", BreakStatus::Open));
        open.note(&breach(5_000, BreakKind::Undelivered, "b", BreakStatus::Open));
        assert_eq!(open.count(), 3_001);
        open.note(&breach(0, BreakKind::MissingHere, "a", BreakStatus::Resolved));
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert_eq!(open.count_of(&a), BTreeMap::from([(BreakKind::MissingHere, 2_999)]));
        assert_eq!(open.amounts()[&BreakKind::MissingHere], 299_900);
        assert_eq!((open.oldest_of(&a), open.oldest_of(&b)), (Some(UnixMillis(1_001)), Some(UnixMillis(6_000))));
    }
}
