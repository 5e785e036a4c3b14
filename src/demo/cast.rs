//! Who takes part: the providers, the platform's API client, the dice, and the tally of what happened so far.
//!
//! Invariant: the tally only counts; no decision of the books rests on it, so that a miscount here can never hide a
//! lost payment. Shares are read from what the API answered, not from the daemon's own view of them.

use super::dice::Dice;
use super::narrator::Narrator;
use super::scratch::CHANNELS;
use crate::client::MerchantClient;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tongdao_sandbox::Sandbox;

/// Strange answers beyond this many are counted but not kept.
const ODD_MAX: usize = 20;

/// Everybody but the daemon and the platform's door.
pub(crate) struct Cast {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: MerchantClient,
    pub(crate) narrator: Narrator,
    pub(crate) seed: u64,
    dice: Mutex<Dice>,
    tally: Mutex<Tally>,
    open: AtomicBool,
}

/// What happened so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Payers who came.
    pub(crate) payers: u64,
    /// Orders that were placed.
    pub(crate) orders: u64,
    /// When (ms) each code was shown, and on which channel.
    pub(crate) codes: Vec<(i64, String)>,
    /// Payments that payers made, second ones included.
    pub(crate) paid: u64,
    /// Payers who left without paying.
    pub(crate) abandoned: u64,
    /// Payers who wanted to pay and could not.
    pub(crate) turned_away: u64,
    /// Requests the platform had to repeat: an answer said "later".
    pub(crate) repeated: u64,
    /// Requests the platform had to repeat: nobody answered.
    pub(crate) unanswered: u64,
    /// Payers on their way.
    pub(crate) walking: u64,
    /// Answers nobody expected.
    pub(crate) odd: Vec<String>,
    /// What the story is waiting for.
    pub(crate) waiting_for: String,
    /// Payments confirmed by callbacks.
    pub(crate) by_callback: Counter,
    /// Payments confirmed by asking the provider.
    pub(crate) by_query: Counter,
}

/// A counter of a daemon that starts from nothing when it is started again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counter {
    earlier: u64,
    now: u64,
}

impl Counter {
    /// What it counted over all lives of the daemon.
    pub(crate) fn total(self) -> u64 {
        self.earlier.saturating_add(self.now)
    }

    /// Takes note of a reading.
    pub(crate) fn read(&mut self, now: u64) {
        if now < self.now {
            self.earlier = self.total();
        }
        self.now = now;
    }
}

impl Cast {
    pub(crate) fn new(sandbox: Sandbox, client: MerchantClient, narrator: Narrator, seed: u64) -> Self {
        let (dice, tally) = (Mutex::new(Dice::new(seed)), Mutex::default());
        Self { sandbox, client, narrator, seed, dice, tally, open: AtomicBool::new(true) }
    }

    pub(crate) fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names what the story is waiting for, for whoever has to stop it.
    pub(crate) fn waiting_for(&self, what: impl Into<String>) {
        self.tally().waiting_for = what.into();
    }

    /// Whether new payers come.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// No new payers from now on.
    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }
}

impl Tally {
    /// How many codes each channel gave from `start_ms` on and before `end_ms`, in the order of `CHANNELS`.
    pub(crate) fn codes_between(&self, start_ms: i64, end_ms: i64) -> [u64; 3] {
        CHANNELS.map(|channel| {
            let of_channel = |(at, id): &&(i64, String)| (start_ms..end_ms).contains(at) && id == channel.id;
            u64::try_from(self.codes.iter().filter(of_channel).count()).unwrap_or(u64::MAX)
        })
    }

    /// A payer came.
    pub(crate) fn came(&mut self) {
        self.payers = self.payers.saturating_add(1);
        self.walking = self.walking.saturating_add(1);
    }

    pub(crate) fn note_odd(&mut self, what: String) {
        if self.odd.len() < ODD_MAX {
            self.odd.push(what);
        }
    }
}

/// Shares in whole percent; all 0 where nothing came.
pub(crate) fn percent(counts: [u64; 3]) -> [u64; 3] {
    let all: u64 = counts.iter().sum();
    counts.map(|count| count.saturating_mul(100).saturating_add(all / 2).checked_div(all).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_goes_on_over_a_restart() {
        let mut counter = Counter::default();
        for reading in [3, 7, 2, 4] {
            counter.read(reading);
        }
        assert_eq!(counter.total(), 11);
    }

    #[test]
    fn shares_are_rounded_and_nothing_is_no_share() {
        assert_eq!(percent([1, 1, 1]), [33, 33, 33]);
        assert_eq!(percent([2, 0, 1]), [67, 0, 33]);
        assert_eq!(percent([0, 0, 0]), [0, 0, 0]);
    }

    #[test]
    fn codes_count_within_their_window() {
        let codes = vec![(5, "wechat-main".to_owned()), (10, "alipay-main".to_owned())];
        let tally = Tally { codes, ..Tally::default() };
        assert_eq!(tally.codes_between(0, 10), [1, 0, 0]);
        assert_eq!(tally.codes_between(5, 11), [1, 1, 0]);
    }
}
