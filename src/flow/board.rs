//! What is open right now: the figures that on-call looks at first.
//!
//! Invariant: 掉单 (paid, not delivered) is visible the moment it begins, and its age is the age of the oldest such
//! charge. It is memory, rebuilt at start from the charges that have timers and those that wait for a person.

use super::open_breaks::OpenBreaks;
use crate::ports::{Break, BreakStatus, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use tongdao_core::attempt::AttemptStatus;
use tongdao_core::charge::{Charge, ChargeStatus, Stage};
use tongdao_core::delivery::DeliveryStatus;
use tongdao_core::ids::{ChannelId, ChargeId};
use tongdao_core::time::UnixMillis;

const BREAKS_AT_ONCE: usize = 200;

/// What one charge adds to the board.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    stage: Stage,
    undelivered_since: Option<UnixMillis>,
    unknown: Vec<(ChannelId, UnixMillis)>,
    /// The channels of attempts whose end is not proved.
    open: Vec<ChannelId>,
    /// The channels of refunds that a person must look at.
    stuck: Vec<ChannelId>,
}

#[derive(Default)]
struct Sums {
    lines: BTreeMap<ChargeId, Line>,
    undelivered: BTreeSet<(UnixMillis, ChargeId)>,
    stages: BTreeMap<Stage, i64>,
}

/// The open charges, by what matters about them.
#[derive(Default)]
pub struct Board {
    sums: Mutex<Sums>,
    breaks: OpenBreaks,
}

impl Board {
    pub(super) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let board = Self::default();
        let due = store.due(UnixMillis(i64::MAX), usize::MAX).await?;
        let mut charges: BTreeSet<ChargeId> = due.iter().map(|due| due.charge).collect();
        charges.extend(broken(store, &board.breaks).await?);
        for id in charges {
            if let Some(charge) = store.charge(id).await? {
                board.note(&charge);
            }
        }
        Ok(board)
    }

    /// Takes note of a charge as it is now.
    pub(super) fn note(&self, charge: &Charge) {
        let mut sums = self.lock();
        if let Some(old) = sums.lines.remove(&charge.id) {
            if let Some(since) = old.undelivered_since {
                sums.undelivered.remove(&(since, charge.id));
            }
            *sums.stages.entry(old.stage).or_default() -= 1;
        }
        let Some(line) = line_of(charge) else { return };
        if let Some(since) = line.undelivered_since {
            sums.undelivered.insert((since, charge.id));
        }
        *sums.stages.entry(line.stage).or_default() += 1;
        sums.lines.insert(charge.id, line);
    }

    /// The breaks that wait for a person.
    #[must_use]
    pub const fn open_breaks(&self) -> &OpenBreaks {
        &self.breaks
    }

    /// Takes note of breaks as they are now.
    pub(super) fn note_breaks(&self, breaks: &[Break]) {
        for breach in breaks {
            self.breaks.note(breach);
        }
    }

    /// A channel's refunds that are stuck.
    #[must_use]
    pub fn stuck_refunds(&self, channel: &ChannelId) -> i64 {
        let sums = self.lock();
        let stuck = sums.lines.values().flat_map(|line| &line.stuck).filter(|of| *of == channel);
        i64::try_from(stuck.count()).unwrap_or(i64::MAX)
    }

    /// When the oldest paid and undelivered charge was paid.
    #[must_use]
    pub fn oldest_undelivered(&self) -> Option<(UnixMillis, ChargeId)> {
        self.lock().undelivered.first().copied()
    }

    /// The oldest attempt of a channel of which nobody knows whether the provider has it.
    #[must_use]
    pub fn oldest_unknown(&self, channel: &ChannelId) -> Option<UnixMillis> {
        let sums = self.lock();
        let unknown = sums.lines.values().flat_map(|line| &line.unknown);
        unknown.filter(|(of, _)| of == channel).map(|(_, at)| *at).min()
    }

    /// A channel's attempts whose end is not proved.
    #[must_use]
    pub fn open_attempts(&self, channel: &ChannelId) -> i64 {
        let sums = self.lock();
        let open = sums.lines.values().flat_map(|line| &line.open).filter(|of| *of == channel);
        i64::try_from(open.count()).unwrap_or(i64::MAX)
    }

    /// How many charges that are not over stand at a stage.
    #[must_use]
    pub fn count(&self, stage: Stage) -> i64 {
        self.lock().stages.get(&stage).copied().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The charges of open breaks: what waits for a person may have no timer.
async fn broken(store: &dyn Store, breaks: &OpenBreaks) -> Result<Vec<ChargeId>, StoreError> {
    let (mut charges, mut before) = (Vec::new(), None);
    loop {
        let read = store.breaks(before, BREAKS_AT_ONCE).await?;
        before = read.last().map(|last| last.id);
        for breach in &read {
            breaks.note(breach);
        }
        let open = read.iter().filter(|one| one.status == BreakStatus::Open);
        charges.extend(open.filter_map(|one| one.charge));
        if read.len() < BREAKS_AT_ONCE {
            return Ok(charges);
        }
    }
}

/// A charge that is over has no line.
fn line_of(charge: &Charge) -> Option<Line> {
    let unknown: Vec<_> = charge
        .attempts
        .iter()
        .filter(|attempt| attempt.status() == AttemptStatus::Unknown)
        .map(|attempt| (attempt.channel.clone(), attempt.created_at))
        .collect();
    let open: Vec<ChannelId> = charge
        .attempts
        .iter()
        .filter(|attempt| attempt.status().is_open())
        .map(|attempt| attempt.channel.clone())
        .collect();
    let owed = matches!(charge.status(), ChargeStatus::Paid | ChargeStatus::PartiallyRefunded)
        && charge.delivery.status() != DeliveryStatus::Delivered
        && !charge.delivery.fenced
        && !charge.delivery.settled;
    let stuck: Vec<ChannelId> = charge
        .refunds
        .iter()
        .filter(|refund| refund.stuck)
        .filter_map(|refund| charge.attempt(refund.attempt))
        .map(|attempt| attempt.channel.clone())
        .collect();
    let stage = charge.stage();
    let over = matches!(stage, Stage::Completed | Stage::Closed | Stage::Refunded) && unknown.is_empty();
    (!over).then(|| Line { stage, undelivered_since: owed.then_some(charge.paid_at).flatten(), unknown, open, stuck })
}
