//! Which days are to be reconciled, and when: memory, made anew at every start from what the store holds.
//!
//! Invariants: a channel's day stands here once; one day of a channel is at work at a time, so that neighbouring days
//! never judge each other half done; a day whose run dies is free again. Nothing here is told to anybody as a result.

use crate::spool::Spooled;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tongdao_core::day::Day;
use tongdao_core::ids::ChannelId;
use tongdao_core::time::UnixMillis;

/// Further runs of a day whose questions had no answer.
const REPEATS_MAX: u32 = 6;

/// A day that waits.
struct Waiting {
    at: UnixMillis,
    /// A file that a person handed in.
    file: Option<Spooled>,
}

#[derive(Default)]
struct Days {
    waiting: BTreeMap<(ChannelId, Day), Waiting>,
    at_work: BTreeMap<ChannelId, (Day, Arc<Progress>)>,
    repeats: BTreeMap<(ChannelId, Day), u32>,
}

/// How far a run has read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    lines: AtomicU64,
    of: AtomicU64,
}

/// The days that wait or are at work.
#[derive(Default)]
pub(crate) struct Agenda {
    days: Mutex<Days>,
    moved: Notify,
}

/// A day that is at work until this is dropped.
pub struct Turn {
    pub(super) channel: ChannelId,
    pub(super) day: Day,
    pub(super) file: Option<Spooled>,
    pub(super) progress: Arc<Progress>,
    agenda: Arc<Agenda>,
}

impl Progress {
    /// Lines put in their places so far, and lines in all.
    #[must_use]
    fn now(&self) -> (u64, u64) {
        (self.lines.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed))
    }

    pub(super) fn expect(&self, lines: u64) {
        self.lines.store(0, Ordering::Relaxed);
        self.of.store(lines, Ordering::Relaxed);
    }

    pub(super) fn add(&self, lines: usize) {
        self.lines.fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Agenda {
    /// Puts a day down for a moment, or for an earlier one than it stands for. A file takes the place of the provider's.
    pub(super) fn put(&self, channel: &ChannelId, day: Day, at: UnixMillis, file: Option<Spooled>) {
        let mut days = self.lock();
        let waiting = days.waiting.entry((channel.clone(), day)).or_insert_with(|| Waiting { at, file: None });
        waiting.at = waiting.at.min(at);
        if file.is_some() {
            waiting.file = file;
        }
        drop(days);
        self.moved.notify_one();
    }

    /// Whether a day that is done may be run once more for what had no answer: a handful of times in a process's life.
    pub(super) fn may_repeat(&self, channel: &ChannelId, day: Day) -> bool {
        let mut days = self.lock();
        let repeats = days.repeats.entry((channel.clone(), day)).or_default();
        *repeats = repeats.saturating_add(1);
        *repeats <= REPEATS_MAX
    }

    /// Whether a day waits or is at work.
    pub(super) fn knows(&self, channel: &ChannelId, day: Day) -> bool {
        let days = self.lock();
        let working = days.at_work.get(channel).is_some_and(|(at_work, _)| *at_work == day);
        working || days.waiting.contains_key(&(channel.clone(), day))
    }

    /// How far the run of a day is, while it is at work.
    pub(super) fn progress(&self, channel: &ChannelId, day: Day) -> Option<(u64, u64)> {
        let days = self.lock();
        days.at_work.get(channel).filter(|(at_work, _)| *at_work == day).map(|(_, progress)| progress.now())
    }

    /// The earliest day that is due, of a channel that is not at work.
    pub(super) fn take(self: &Arc<Self>, now: UnixMillis) -> Option<Turn> {
        let mut days = self.lock();
        let due = days
            .waiting
            .iter()
            .filter(|((channel, _), waiting)| waiting.at <= now && !days.at_work.contains_key(channel));
        // Days of a channel in their order: what is carried over is found by the next one.
        let (key, _) = due.min_by_key(|((_, day), waiting)| (*day, waiting.at))?;
        let (channel, day) = key.clone();
        let waiting = days.waiting.remove(&(channel.clone(), day))?;
        let progress = Arc::<Progress>::default();
        days.at_work.insert(channel.clone(), (day, progress.clone()));
        Some(Turn { channel, day, file: waiting.file, progress, agenda: self.clone() })
    }

    /// The moment of the next day that waits for one.
    pub(super) fn next_at(&self) -> Option<UnixMillis> {
        let days = self.lock();
        let free = days.waiting.iter().filter(|((channel, _), _)| !days.at_work.contains_key(channel));
        free.map(|(_, waiting)| waiting.at).min()
    }

    /// Completes when a day was put down or a run ended.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Days> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.agenda.lock().at_work.remove(&self.channel);
        self.agenda.moved.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(id: &str) -> ChannelId {
        id.parse().unwrap()
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_channel_works_on_one_day_at_a_time_and_on_the_oldest_first() {
        let (agenda, now) = (Arc::<Agenda>::default(), UnixMillis(1000));
        for text in ["2026-12-02", "2026-12-01"] {
            agenda.put(&channel("a"), day(text), now, None);
        }
        agenda.put(&channel("b"), day("2026-12-02"), now.plus_ms(1), None);
        let first = agenda.take(now).unwrap();
        assert_eq!((first.day, first.channel.as_str()), (day("2026-12-01"), "a"));
        assert!(agenda.take(now).is_none(), "b is not due and a is at work");
        assert_eq!(agenda.next_at(), Some(now.plus_ms(1)));
        assert!(agenda.knows(&channel("a"), day("2026-12-01")));
        drop(first);
        assert!(!agenda.knows(&channel("a"), day("2026-12-01")));
        assert_eq!(agenda.take(now).unwrap().day, day("2026-12-02"));
    }

    #[test]
    fn a_day_that_is_asked_for_again_comes_earlier_and_never_later() {
        let (agenda, now) = (Arc::<Agenda>::default(), UnixMillis(1000));
        agenda.put(&channel("a"), day("2026-12-01"), now.plus_ms(500), None);
        agenda.put(&channel("a"), day("2026-12-01"), now, None);
        agenda.put(&channel("a"), day("2026-12-01"), now.plus_ms(900), None);
        let turn = agenda.take(now).unwrap();
        turn.progress.expect(10);
        turn.progress.add(3);
        assert_eq!(agenda.progress(&channel("a"), day("2026-12-01")), Some((3, 10)));
        assert_eq!(agenda.progress(&channel("a"), day("2026-12-02")), None);
    }
}
