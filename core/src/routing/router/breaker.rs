//! What is out: a channel that was found dead waits, is tried with single charges, and comes back by degrees.
//!
//! Why it remembers its trips: a channel that flaps would be trusted anew each time; each trip doubles the wait, and
//! two quiet minutes halve what is remembered. Why it comes back by degrees: a channel that took a probe may not take
//! everything. Payers who can use no other channel go on using one that is out; what they meet is free evidence.
//! Probes are at most a tenth of payments (a twenty-fifth where each costs a payment): by the clock alone, a shop with one
//! payment a second would lose a quarter of them to probes (1.7 of its net value).
//! Left out, charges to dead channels rise more than sixfold (0.15 of net value).

use super::number::{faded, float, whole};
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

const TRIPS_HALF_LIFE_MS: f64 = 120_000.0;
const HOLD_MAX_MS: f64 = 60_000.0;
const CAUTION: f64 = 0.6;
const SHARE_FIRST: f64 = 0.1;
const WARY_MS: i64 = 30_000;

/// Whether a channel is in, out, or coming back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It takes its part of the traffic.
    In,
    /// It is out.
    Out,
    /// It is out, and due for a charge that shows whether it is well.
    ProbeDue,
    /// It is back with a part of the traffic.
    Returning,
}

impl Standing {
    /// All standings.
    pub const ALL: [Self; 4] = [Self::In, Self::Out, Self::ProbeDue, Self::Returning];

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::ProbeDue => "probe_due",
            Self::Returning => "returning",
        }
    }
}

/// Why a channel was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its calls fail.
    Calls,
    /// Its orders are not paid.
    Conversion,
    /// Our account there is wrong.
    Account,
}

impl Cause {
    /// What it is in words, for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "its calls fail",
            Self::Conversion => "its orders are not paid",
            Self::Account => "our account there is wrong",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum State {
    In,
    Out { cause: Cause, since: UnixMillis, hold_until: UnixMillis, probe_at: UnixMillis, gap_ms: f64, good: u32 },
    Returning { cause: Cause, since: UnixMillis },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Breaker {
    state: State,
    trips: f64,
    tripped_at: UnixMillis,
    hangs: bool,
    /// Payments that had a choice since the last probe.
    passed: f64,
    /// Another account of its provider went out: until it accepts a call, less evidence is enough.
    #[serde(skip)]
    wary_until: Option<UnixMillis>,
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self { state: State::In, trips: 0.0, tripped_at: UnixMillis(0), hangs: false, passed: 0.0, wary_until: None }
    }

    pub(super) fn standing(&self, now: UnixMillis) -> Standing {
        match self.state {
            State::In => Standing::In,
            State::Out { probe_at, cause, good, .. }
                if now >= probe_at && (good > 0 || self.passed + 1.0 >= probe_gap(cause)) =>
            {
                Standing::ProbeDue
            }
            State::Out { .. } => Standing::Out,
            State::Returning { .. } => Standing::Returning,
        }
    }

    pub(super) fn is_out(&self, now: UnixMillis) -> bool {
        matches!(self.standing(now), Standing::Out | Standing::ProbeDue)
    }

    /// Whether its failures take a whole time-out: a direct charge must not be its probe.
    pub(super) const fn hangs(&self) -> bool {
        self.hangs
    }

    /// The part of the traffic that it may have.
    pub(super) fn share(&self, now: UnixMillis) -> f64 {
        match self.state {
            State::In => 1.0,
            State::Out { .. } => 0.0,
            State::Returning { cause, since } => {
                let doublings = float(now.since_ms(since)) / double_ms(cause);
                SHARE_FIRST * doublings.floor().exp2()
            }
        }
    }

    /// How much of the usual evidence is enough.
    pub(super) fn caution(&self, now: UnixMillis) -> f64 {
        let wary = self.wary_until.is_some_and(|until| now < until);
        if wary || self.standing(now) == Standing::Returning { CAUTION } else { 1.0 }
    }

    /// What it is, whether or not a probe is due: it changes by events only.
    pub(super) const fn phase(&self) -> Standing {
        match self.state {
            State::In => Standing::In,
            State::Out { .. } => Standing::Out,
            State::Returning { .. } => Standing::Returning,
        }
    }

    /// Why it is out, or was before it came back.
    pub(super) const fn cause(&self) -> Option<Cause> {
        match self.state {
            State::In => None,
            State::Out { cause, .. } | State::Returning { cause, .. } => Some(cause),
        }
    }

    /// Whether its calls took it out since a moment.
    pub(super) fn tripped_since(&self, moment: UnixMillis) -> bool {
        matches!(self.state, State::Out { cause: Cause::Calls | Cause::Account, since, .. } if since >= moment)
    }

    /// Another account of its provider went out.
    pub(super) fn be_wary(&mut self, now: UnixMillis) {
        if self.state == State::In {
            self.wary_until = Some(now.plus_ms(WARY_MS));
        }
    }

    /// What took it out since a moment was no fault of its own; true when it was out for that.
    pub(super) fn let_in(&mut self, moment: UnixMillis) -> bool {
        let mistaken = self.tripped_since(moment);
        if mistaken {
            self.state = State::In;
            self.trips = (self.trips - 1.0).max(0.0);
        }
        mistaken
    }

    /// As it was kept, with times that a clock set back may have left in the future brought near.
    pub(super) fn recalled(mut self, now: UnixMillis) -> Self {
        let latest = now.plus_ms(whole(HOLD_MAX_MS));
        self.trips = if self.trips.is_finite() { self.trips.clamp(0.0, 10.0) } else { 0.0 };
        self.tripped_at = self.tripped_at.min(now);
        match &mut self.state {
            State::In => {}
            State::Out { since, hold_until, probe_at, gap_ms, .. } => {
                *since = (*since).min(now);
                *hold_until = (*hold_until).min(latest);
                *probe_at = (*probe_at).min(latest);
                *gap_ms = if gap_ms.is_finite() { gap_ms.clamp(100.0, HOLD_MAX_MS) } else { HOLD_MAX_MS };
            }
            State::Returning { since, .. } => *since = (*since).min(now),
        }
        self
    }

    pub(super) fn trip(&mut self, cause: Cause, now: UnixMillis) {
        if self.is_out(now) {
            return;
        }
        self.trips *= faded(now.since_ms(self.tripped_at), TRIPS_HALF_LIFE_MS);
        let hold_ms = (base_ms(cause) * self.trips.exp2()).min(HOLD_MAX_MS);
        self.trips += 1.0;
        self.tripped_at = now;
        let hold_until = now.plus_ms(whole(hold_ms));
        let gap_ms = first_gap_ms(cause);
        self.state = State::Out { cause, since: now, hold_until, probe_at: hold_until, gap_ms, good: 0 };
    }

    /// A payment with a choice went by.
    pub(super) fn passed(&mut self) {
        self.passed += 1.0;
    }

    /// A probe was sent: the next one comes later, and later still.
    pub(super) fn probed(&mut self, now: UnixMillis) {
        self.passed = 0.0;
        let gap_max_ms = if self.hangs { 10_000.0 } else { 4_000.0 };
        if let State::Out { probe_at, gap_ms, good, cause, .. } = &mut self.state {
            *probe_at = now.plus_ms(whole(*gap_ms));
            if *good == 0 && *cause != Cause::Account {
                *gap_ms = (*gap_ms * 1.6).min(gap_max_ms);
            }
        }
    }

    /// A probe met a quota and showed nothing: another may go at once.
    pub(super) fn unanswered(&mut self) {
        if let State::Out { probe_at, hold_until, .. } = &mut self.state {
            *probe_at = (*hold_until).max(probe_at.plus_ms(-100));
        }
    }

    /// A call was accepted; true when that brings the channel back.
    pub(super) fn accepted(&mut self, sent_at: UnixMillis, now: UnixMillis) -> bool {
        (self.hangs, self.wary_until) = (false, None);
        match self.state {
            State::Out { cause: Cause::Calls | Cause::Account, since, .. } if sent_at >= since => self.good(now),
            State::In | State::Out { .. } | State::Returning { .. } => false,
        }
    }

    /// An order was paid that was made at this time.
    /// True when that brings the channel back.
    pub(super) fn paid(&mut self, accepted_at: UnixMillis, now: UnixMillis) -> bool {
        match self.state {
            State::Out { cause: Cause::Conversion, since, .. } if accepted_at >= since => self.good(now),
            State::In | State::Out { .. } | State::Returning { .. } => false,
        }
    }

    pub(super) fn failed(&mut self, sent_at: UnixMillis, hung: bool) {
        self.hangs = hung;
        if let State::Out { cause: cause @ (Cause::Calls | Cause::Account), since, good, gap_ms, .. } = &mut self.state
            && sent_at >= *since
            && *good > 0
        {
            (*good, *gap_ms) = (0, first_gap_ms(*cause));
        }
    }

    /// True when a hold ended and the channel is back.
    pub(super) fn tick(&mut self, now: UnixMillis) -> bool {
        match self.state {
            State::Out { cause, hold_until, good, .. } if good >= enough(cause) && now >= hold_until => {
                self.state = State::Returning { cause, since: now };
                return true;
            }
            State::Returning { .. } if self.share(now) >= 1.0 => self.state = State::In,
            State::In | State::Out { .. } | State::Returning { .. } => {}
        }
        false
    }

    fn good(&mut self, now: UnixMillis) -> bool {
        let State::Out { cause, hold_until, probe_at, gap_ms, good, .. } = &mut self.state else { return false };
        *good = good.saturating_add(1);
        *gap_ms = if *cause == Cause::Conversion { 1_000.0 } else { 150.0 };
        *probe_at = (*probe_at).min(now.plus_ms(whole(*gap_ms))).max(*hold_until);
        let back = *good >= enough(*cause) && now >= *hold_until;
        if back {
            self.state = State::Returning { cause: *cause, since: now };
        }
        back
    }
}

const fn enough(cause: Cause) -> u32 {
    match cause {
        Cause::Calls | Cause::Account => 3,
        Cause::Conversion => 2,
    }
}

const fn base_ms(cause: Cause) -> f64 {
    match cause {
        Cause::Calls => 1_000.0,
        Cause::Conversion => 5_000.0,
        Cause::Account => 60_000.0,
    }
}

const fn first_gap_ms(cause: Cause) -> f64 {
    match cause {
        Cause::Calls => 500.0,
        Cause::Conversion => 2_000.0,
        Cause::Account => 60_000.0,
    }
}

const fn double_ms(cause: Cause) -> f64 {
    match cause {
        Cause::Calls | Cause::Account => 2_000.0,
        Cause::Conversion => 6_000.0,
    }
}

/// Payments between two probes: at one payment a second, a probe each four seconds would be a quarter of all.
const fn probe_gap(cause: Cause) -> f64 {
    match cause {
        Cause::Calls => 10.0,
        Cause::Conversion => 25.0,
        Cause::Account => 1.0,
    }
}
