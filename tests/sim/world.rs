//! One world: virtual time, what is on its way, what is durable, and everybody around the process.

use crate::bank::Bank;
use crate::dice::Dice;
use crate::faults::{Counts, Fault};
use crate::order::Order;
use crate::plan::Plan;
use crate::store::Kept;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use tongdao::ports::{SendError, StoreError, WebhookAnswer, WebhookCall, WebhookError};
use tongdao_core::ids::ChargeId;
use tongdao_core::provider::HttpReply;
use tongdao_core::time::UnixMillis;

/// The moment at which every world begins.
pub(crate) const BIRTH_MS: i64 = 1_766_000_000_000;

/// What a commit comes to.
pub(crate) enum Crash {
    /// The process lives.
    No(Result<(), StoreError>),
    /// It is dead.
    Yes,
}

/// A value that arrives once.
pub(crate) struct Slot<T>(Arc<Mutex<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new((None, None))))
    }

    pub(crate) fn fill(&self, value: T) {
        let mut slot = self.0.lock().unwrap();
        slot.0.get_or_insert(value);
        if let Some(waker) = slot.1.take() {
            waker.wake();
        }
    }
}

impl<T> Future for Slot<T> {
    type Output = T;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.lock().unwrap();
        match slot.0.take() {
            Some(value) => Poll::Ready(value),
            None => {
                slot.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

pub(crate) type Replied = Slot<Result<HttpReply, SendError>>;
pub(crate) type Heard = Slot<Result<WebhookAnswer, WebhookError>>;

/// What is on its way.
pub(crate) enum Event {
    AtBank { bank: usize, operation: String, body: Vec<u8>, reply: Option<(Replied, i64, bool)> },
    Reply(Replied, Result<HttpReply, SendError>),
    AtShop { call: WebhookCall, mode: Option<Fault>, reply: Option<(Heard, i64)> },
    Heard(Heard, Result<WebhookAnswer, WebhookError>),
    Settle { bank: usize, no: String },
    RefundMoves { bank: usize, refund_no: String, to: &'static str },
    Callback { bank: usize, body: String, tries: usize, id: u64 },
    Open { order: usize },
    Pay { order: usize, code: usize },
    Retry { order: usize, number: u32 },
    Close { order: usize },
    Refund { order: usize, number: usize },
    Report { order: usize, tries: u32 },
    Notify { order: usize },
    Sync { order: usize },
    Operate(Fault),
    ClockStep(i64),
    BankDown { bank: usize, ms: i64 },
    OneWay { bank: usize, ms: i64 },
    RotateKey { bank: usize },
    Skew { bank: usize, ms: i64 },
    Crash,
    Keys,
    Heal,
}

/// What is to be asked of the process.
pub(crate) enum Deed {
    Nothing,
    Callback { bank: usize, body: String, id: u64 },
    Open { order: usize, twice: bool },
    Retry { order: usize, number: u32 },
    Close { order: usize },
    Refund { order: usize, number: usize, twice: bool },
    Report { order: usize },
    Notify { order: usize },
    Sync { order: usize },
    Operate(Fault),
    Keys,
    Over,
}

/// The world as it is.
pub(crate) struct Inner {
    pub(crate) now: i64,
    pub(crate) offset: i64,
    seq: u64,
    queue: BTreeMap<(i64, u64), Event>,
    sleepers: BTreeMap<(i64, u64), Slot<()>>,
    pub(crate) dice: Dice,
    pub(crate) draws: Dice,
    pub(crate) plan: Plan,
    pub(crate) kept: Kept,
    pub(crate) banks: Vec<Bank>,
    pub(crate) orders: Vec<Order>,
    pub(crate) of_charge: HashMap<ChargeId, usize>,
    pub(crate) counts: Counts,
    pub(crate) crashed_on: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) hash: u64,
    pub(crate) talk: Option<VecDeque<String>>,
    pub(crate) up: bool,
    pub(crate) dead: bool,
    pub(crate) poisoned: bool,
    pub(crate) healed_at: Option<i64>,
    pub(crate) clock_was_wrong: bool,
    pub(crate) secret: usize,
    pub(crate) violation: Option<String>,
    pub(crate) acknowledged: BTreeMap<u64, bool>,
}

/// The world, shared by everybody in it.
pub(crate) struct World(Mutex<Inner>);

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, talk: bool) -> Self {
        let inner = Inner {
            now: 0,
            offset: 0,
            seq: 0,
            queue: BTreeMap::new(),
            sleepers: BTreeMap::new(),
            dice: Dice::new(seed),
            draws: Dice::new(seed ^ 0xD1CE),
            plan,
            kept: Kept::default(),
            banks: (0..3).map(Bank::new).collect(),
            orders: Vec::new(),
            of_charge: HashMap::new(),
            counts: Counts::new(),
            crashed_on: BTreeMap::new(),
            hash: seed,
            talk: talk.then(VecDeque::new),
            up: false,
            dead: false,
            poisoned: false,
            healed_at: None,
            clock_was_wrong: false,
            secret: 0,
            violation: None,
            acknowledged: BTreeMap::new(),
        };
        Self(Mutex::new(inner))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits by the virtual clock.
    pub(crate) async fn pause_ms(&self, ms: i64) {
        if ms > 0 {
            let slot = self.lock().sleep(ms);
            slot.await;
        }
    }
}

impl Inner {
    /// The process's own clock.
    pub(crate) fn wall(&self) -> UnixMillis {
        UnixMillis(BIRTH_MS + self.now + self.offset)
    }

    /// The true time.
    pub(crate) fn true_time(&self) -> i64 {
        BIRTH_MS + self.now
    }

    pub(crate) fn after(&mut self, ms: i64, event: Event) {
        self.seq += 1;
        self.queue.insert((self.now + ms.max(0), self.seq), event);
    }

    /// A short wait of the process itself; it counts as an event, so that nothing else overtakes it by a lot.
    pub(crate) fn sleep(&mut self, ms: i64) -> Slot<()> {
        let slot = Slot::new();
        self.seq += 1;
        self.sleepers.insert((self.now + ms.max(0), self.seq), slot.clone());
        slot
    }

    pub(crate) fn fired(&mut self, fault: Fault) {
        self.counts.0[fault as usize] += 1;
        self.note(&[fault as u64], || format!("fault: {}", fault.words()));
    }

    /// A fault of so many in a thousand, while faults are allowed.
    pub(crate) fn strikes(&mut self, share: i64, fault: Fault) -> bool {
        let strikes = self.healed_at.is_none() && share > 0 && self.dice.per_mille(share);
        if strikes {
            self.fired(fault);
        }
        strikes
    }

    /// Takes a step into the trace.
    pub(crate) fn note(&mut self, numbers: &[u64], words: impl FnOnce() -> String) {
        for number in numbers.iter().chain([&(self.now as u64)]) {
            self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        }
        let now = self.now;
        if let Some(talk) = &mut self.talk {
            if talk.len() == 20_000 {
                talk.pop_front();
            }
            talk.push_back(format!("{:>12.3} s  {}", now as f64 / 1000.0, words()));
        }
    }

    pub(crate) fn fail(&mut self, rule: &str, words: String) {
        self.note(&[0xFA11], || format!("VIOLATION {rule}: {words}"));
        if self.violation.is_none() {
            self.violation = Some(format!("{rule}: {words}"));
        }
    }

    pub(crate) fn die(&mut self, fault: Fault) {
        self.fired(fault);
        self.dead = true;
    }

    /// Lets the next thing happen; the process is idle, or down.
    pub(crate) fn step(&mut self) -> Deed {
        let event_at = self.queue.first_key_value().map(|(key, _)| key.0);
        let sleeper_at = self.sleepers.first_key_value().map(|(key, _)| key.0);
        let timer = self.kept.next_due().map(|at| at.0 - BIRTH_MS - self.offset).filter(|_| self.up);
        // What polls each second is woken when something is there to be found, not each second of idle days.
        let near = |at: &i64| *at <= self.now + 250;
        let timer_at = match timer {
            Some(at) if at > self.now => Some(at),
            Some(_) => sleeper_at,
            None => None,
        };
        let next = [event_at, timer_at, sleeper_at.filter(near)].into_iter().flatten().min();
        let Some(next) = next else { return Deed::Over };
        if next > self.plan.end_ms {
            return Deed::Over;
        }
        self.now = self.now.max(next);
        tongdao::clock::play_monotonic(Some(std::time::Duration::from_millis(self.now as u64)));
        while let Some(first) = self.sleepers.first_entry().filter(|first| first.key().0 <= self.now) {
            first.remove().fill(());
        }
        match self.queue.first_entry().filter(|first| first.key().0 <= self.now) {
            Some(first) => {
                let event = first.remove();
                self.happen(event)
            }
            None => Deed::Nothing,
        }
    }

    /// The process is gone: whatever it waited for is too.
    pub(crate) fn bury(&mut self) {
        self.sleepers.clear();
        self.up = false;
        self.dead = false;
        self.poisoned = false;
    }
}
