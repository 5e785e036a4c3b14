//! Runs one world: the process's lives, one after the other, over what is durable.

use crate::ask::ask;
use crate::config::config;
use crate::faults::Counts;
use crate::plan::Plan;
use crate::ports::Ports;
use crate::store::SimStore;
use crate::world::{Deed, Inner, World};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;
use tongdao::flow::{Flow, Parts};
use tongdao::http::ApiDocuments;
use tongdao::metrics::Metrics;
use tongdao::tasks::Tasks;
use tongdao_core::charge::Charge;

thread_local! {
    /// The last panic of this thread.
    pub(crate) static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static METRICS: Arc<Metrics> = {
        let metrics = Metrics::new(&tongdao::daemon::routes()).expect("metrics");
        let channels = config(0).channels.iter().map(|channel| (channel.id.clone(), channel.provider_id.clone())).collect::<Vec<_>>();
        metrics.set_channels(channels.into_iter());
        Arc::new(metrics)
    };
}

/// What came of a world.
pub(crate) struct Told {
    pub(crate) hash: u64,
    pub(crate) counts: Counts,
    pub(crate) crashed_on: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) violation: Option<String>,
    pub(crate) talk: Vec<String>,
    pub(crate) charges: i64,
}

/// Nothing is left to run at this moment.
#[derive(Default)]
struct Idle {
    is: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Idle {
    fn reached(&self) {
        self.is.store(true, Ordering::SeqCst);
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }

    async fn wait(&self) {
        std::future::poll_fn(|context| {
            if self.is.swap(false, Ordering::SeqCst) {
                return Poll::Ready(());
            }
            *self.waker.lock().unwrap() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Plays a whole world.
pub(crate) fn play(seed: u64, charges: i64, talk: bool) -> Told {
    PANIC.set(None);
    let plan = Plan::draw(seed, charges);
    let world = Arc::new(World::new(seed, plan, talk));
    world.lock().begin();
    let lives = || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| life(&world))).unwrap_or_default();
    while lives() {
        let mut inner = world.lock();
        inner.bury();
        reread(&mut inner);
        // Down for a moment, or for a while.
        let pause =
            if inner.dice.per_mille(800) { inner.dice.between(50, 3000) } else { inner.dice.between(3000, 90_000) };
        let up_at = inner.now + pause;
        while inner.now < up_at {
            if matches!(inner.step(), Deed::Over) {
                break;
            }
        }
    }
    tongdao::clock::play_monotonic(None);
    let mut inner = world.lock();
    if inner.violation.is_none() {
        inner.check_books();
    }
    if let Some(panic) = PANIC.take() {
        inner.fail("panic", panic);
    }
    Told {
        hash: inner.hash,
        counts: inner.counts.clone(),
        crashed_on: inner.crashed_on.clone(),
        violation: inner.violation.clone(),
        talk: inner.talk.take().map(Vec::from).unwrap_or_default(),
        charges,
    }
}

/// What survives a crash went through its stored form.
fn reread(inner: &mut Inner) {
    let Some((id, charge)) = inner.kept.charges.last_key_value() else { return };
    let (id, text) = (*id, serde_json::to_string(charge).expect("a charge as JSON"));
    let read: Charge = serde_json::from_str(&text).expect("a stored charge");
    if inner.kept.charges.get(&id) != Some(&read) {
        inner.fail("S15", format!("{id} is not read back as it was stored"));
    }
    inner.kept.charges.insert(id, read);
}

/// One life of the process. True when it crashed, and is to be started again.
fn life(world: &Arc<World>) -> bool {
    let idle = Arc::new(Idle::default());
    let parked = idle.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || parked.reached())
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let store = Arc::new(SimStore(world.clone()));
        let now = world.lock().now;
        tongdao::clock::play_monotonic(Some(Duration::from_millis(now as u64)));
        let version = world.lock().secret;
        let parts = Parts {
            store,
            outside: Arc::new(Ports(world.clone())),
            clock: Arc::new(Ports(world.clone())),
            rng: Arc::new(Ports(world.clone())),
            config: config(version),
            metrics: METRICS.with(Arc::clone),
            documents: Arc::new(ApiDocuments::new("https://pay.example".to_owned())),
        };
        let starting = tokio::spawn(Flow::start(parts));
        while !starting.is_finished() {
            idle.wait().await;
            let mut inner = world.lock();
            if inner.dead {
                return true;
            }
            if matches!(inner.step(), Deed::Over) {
                return false;
            }
        }
        let Ok(Ok(flow)) = starting.await else { return true };
        let flow = Arc::new(flow);
        let tasks = Tasks::new();
        tasks.spawn("timers", tongdao::worker::run_timers(flow.clone(), tasks.clone()));
        world.lock().up = true;
        loop {
            idle.wait().await;
            let deed = {
                let mut inner = world.lock();
                if let Some(panic) = PANIC.take() {
                    inner.fail("panic", panic);
                }
                if inner.violation.is_some() {
                    return false;
                }
                if inner.dead {
                    inner.note(&[0xDEAD], || "the process is dead".to_owned());
                    return true;
                }
                inner.step()
            };
            match deed {
                Deed::Nothing => {}
                Deed::Over => return false,
                deed => ask(world, &flow, deed),
            }
        }
    })
}
