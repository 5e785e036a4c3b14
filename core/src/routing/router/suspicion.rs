//! Asking before believing silence: unpaid orders look the same whether nobody can pay or only the news is late.
//!
//! Why it asks: taking a well channel out because its callbacks are slow costs as much as staying on a dead one. Forty
//! queries tell the two apart at once. While news is late, orders are asked about at fixed ages instead; when callbacks
//! beat the questions two to one, that ends. Left out: 0.2 of net value, 1.5 where callbacks are late.

use super::number::{faded, float};
use crate::time::UnixMillis;

const ANSWERS_MS: i64 = 3_000;
const NEWS_HALF_LIFE_MS: f64 = 10_000.0;
const LATE_AT_LEAST_MS: i64 = 10_000;

/// What the answers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They are paid and we were not told.
    LateNews,
    /// They are not paid.
    Worse,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Asked {
    since: UnixMillis,
    at: UnixMillis,
    left: usize,
    paid: f64,
    expected: f64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Suspicion {
    asked: Option<Asked>,
    /// Since when news is late.
    late_since: Option<UnixMillis>,
    by_callback: f64,
    by_query: f64,
    noted_at: Option<UnixMillis>,
    over: bool,
}

impl Suspicion {
    pub(super) const fn is_open(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) const fn is_late(&self) -> bool {
        self.late_since.is_some()
    }

    /// True once, when news has stopped being late.
    pub(super) fn is_over(&mut self) -> bool {
        std::mem::take(&mut self.over)
    }

    pub(super) fn open(&mut self, since: UnixMillis, orders: usize, expected: f64, now: UnixMillis) {
        self.asked = Some(Asked { since, at: now, left: orders, paid: 0.0, expected });
    }

    pub(super) fn answered(&mut self, paid: bool) {
        if let Some(asked) = &mut self.asked {
            asked.left = asked.left.saturating_sub(1);
            asked.paid += if paid { 1.0 } else { 0.0 };
        }
    }

    /// The verdict, when all answers are there or were waited for long enough.
    pub(super) fn verdict(&mut self, now: UnixMillis) -> Option<(Verdict, UnixMillis)> {
        let asked = self.asked.filter(|asked| asked.left == 0 || now.since_ms(asked.at) >= ANSWERS_MS)?;
        self.asked = None;
        let late = asked.paid >= (0.35 * asked.expected).max(1.5);
        if !late {
            return Some((Verdict::Worse, asked.since));
        }
        if self.late_since.is_none() {
            (self.late_since, self.noted_at) = (Some(now), Some(now));
            (self.by_callback, self.by_query) = (0.0, 0.0);
        }
        Some((Verdict::LateNews, asked.since))
    }

    pub(super) fn told_by_callback(&mut self, now: UnixMillis) {
        self.fade(now);
        self.by_callback += 1.0;
    }

    pub(super) fn told_by_query(&mut self, now: UnixMillis) {
        self.fade(now);
        self.by_query += 1.0;
    }

    pub(super) fn tick(&mut self, now: UnixMillis) {
        let Some(since) = self.late_since else { return };
        self.fade(now);
        let prompt = self.by_callback + self.by_query > 3.0 && self.by_callback > 2.0 * self.by_query;
        if prompt && now.since_ms(since) > LATE_AT_LEAST_MS {
            self.late_since = None;
            self.over = true;
        }
    }

    fn fade(&mut self, now: UnixMillis) {
        let passed_ms = self.noted_at.map_or(0, |at| now.since_ms(at));
        let left = if float(passed_ms) > 0.0 { faded(passed_ms, NEWS_HALF_LIFE_MS) } else { 1.0 };
        (self.by_callback, self.by_query) = (self.by_callback * left, self.by_query * left);
        self.noted_at = Some(now);
    }
}
