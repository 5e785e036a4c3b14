//! For tests: a merchant's HTTP server that keeps what it is sent, a clock a test moves, and keys that
//! are made once for all tests.
//!
//! Must not know: providers.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use tokio::sync::watch;

use crate::formats::form::{self, Fields};
use crate::keys::Keys;
use crate::options::{Accounts, Options};
use crate::tasks::Tasks;
use crate::{Clock, Sandbox};

/// 2026-01-31 08:00:00 in Beijing.
pub(crate) const START: i64 = 1_769_817_600_000;

/// A sandbox on a clock that the test owns, and an inbox for its callbacks.
pub(crate) struct Bed {
    pub(crate) sandbox: Sandbox,
    pub(crate) inbox: Inbox,
    clock: Arc<AtomicI64>,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let hand = clock.clone();
        let mut options = Options::new(keys_dir());
        options.clock = Clock::new(move || hand.load(Ordering::SeqCst));
        options.callback_unit_ms = 0;
        Self { sandbox: Sandbox::start(options).await.unwrap(), inbox: Inbox::open().await, clock }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }
}

/// A key file of the default accounts.
pub(crate) fn key_file(name: &str) -> String {
    std::fs::read_to_string(keys_dir().join(name)).unwrap()
}

/// A client that follows no redirect.
pub(crate) fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.no_proxy().timeout(Duration::from_secs(5)).build().unwrap()
}

/// Where the keys of the default accounts lie, made once for all tests.
pub(crate) fn keys_dir() -> PathBuf {
    static MADE: LazyLock<PathBuf> = LazyLock::new(|| {
        let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/sandbox-test-keys"));
        Keys::open(&dir, &Accounts::default()).unwrap();
        dir
    });
    MADE.clone()
}

/// A merchant's callback address.
pub(crate) struct Inbox {
    pub(crate) url: String,
    shared: Arc<Shared>,
    _tasks: Tasks,
}

struct Shared {
    received: Mutex<Vec<Fields>>,
    answers: Mutex<VecDeque<&'static str>>,
    count: watch::Sender<usize>,
}

impl Inbox {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/callback", listener.local_addr().unwrap());
        let shared =
            Arc::new(Shared { received: Mutex::default(), answers: Mutex::default(), count: watch::Sender::new(0) });
        let router = Router::new().route("/callback", post(receive)).with_state(shared.clone());
        let tasks = Tasks::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, _tasks: tasks }
    }

    /// What is answered to the next callbacks; `success` afterwards.
    pub(crate) fn answer(&self, answers: &[&'static str]) {
        self.shared.answers.lock().unwrap().extend(answers);
    }

    /// Waits until `count` callbacks are here; all of them, oldest first.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Fields> {
        let mut changes = self.shared.count.subscribe();
        let enough = changes.wait_for(|have| *have >= count);
        tokio::time::timeout(Duration::from_secs(2), enough).await.expect("a callback").unwrap();
        self.shared.received.lock().unwrap().clone()
    }

    /// How many callbacks came so far.
    pub(crate) fn count(&self) -> usize {
        *self.shared.count.borrow()
    }
}

async fn receive(State(shared): State<Arc<Shared>>, body: String) -> &'static str {
    shared.received.lock().unwrap().push(form::decode(&body).unwrap());
    shared.count.send_modify(|count| *count += 1);
    shared.answers.lock().unwrap().pop_front().unwrap_or("success")
}
