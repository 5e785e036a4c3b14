//! The request that is being answered: its id, and where its time goes.
//!
//! Invariant: a span is only ever added to the request in whose task it was measured; outside of a request nothing is
//! measured and nothing fails. Flows and ports may note a span; who reads them, and how, is the HTTP front's business.

mod timed;

pub use timed::{TimedOutside, TimedStore};

use crate::clock::Stopwatch;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

tokio::task_local! {
    static CURRENT: Arc<RequestScope>;
}

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The choice of a channel.
    Route,
    /// A provider's answer.
    Provider,
    /// The store.
    Store,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 3] = [Self::Route, Self::Provider, Self::Store];

    /// The word in `Server-Timing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Provider => "provider",
            Self::Store => "store",
        }
    }
}

/// One request.
#[derive(Debug, Default)]
pub struct RequestScope {
    id: String,
    route_ns: AtomicU64,
    provider_ns: AtomicU64,
    store_ns: AtomicU64,
}

impl RequestScope {
    /// A request of that id.
    #[must_use]
    pub fn new(id: String) -> Arc<Self> {
        Arc::new(Self { id, ..Self::default() })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What a part has taken so far.
    #[must_use]
    pub fn spent(&self, part: Part) -> Duration {
        Duration::from_nanos(self.cell(part).load(Ordering::Relaxed))
    }

    /// Runs a future as part of this request.
    pub async fn run<F: Future>(self: Arc<Self>, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// The request in whose task this is called.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    const fn cell(&self, part: Part) -> &AtomicU64 {
        match part {
            Part::Route => &self.route_ns,
            Part::Provider => &self.provider_ns,
            Part::Store => &self.store_ns,
        }
    }
}

/// The present request's id; empty outside of a request.
#[must_use]
pub fn current_id() -> String {
    RequestScope::current().map(|scope| scope.id.clone()).unwrap_or_default()
}

/// Adds a span to the present request, if there is one.
pub fn note(part: Part, took: Duration) {
    if let Some(scope) = RequestScope::current() {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        scope.cell(part).fetch_add(ns, Ordering::Relaxed);
    }
}

/// Runs a future and adds what it took to the present request.
pub async fn measured<F: Future>(part: Part, future: F) -> F::Output {
    let took = Stopwatch::start();
    let output = future.await;
    note(part, took.elapsed());
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn spans_add_up_in_their_own_request_only() {
        let (one, other) = (RequestScope::new("one".into()), RequestScope::new("other".into()));
        note(Part::Store, Duration::from_secs(9));
        let ids = tokio::join!(
            one.clone().run(async {
                note(Part::Store, Duration::from_millis(2));
                tokio::task::yield_now().await;
                note(Part::Store, Duration::from_millis(3));
                current_id()
            }),
            other.clone().run(async { current_id() }),
        );
        assert_eq!(ids, ("one".to_owned(), "other".to_owned()));
        assert_eq!(one.spent(Part::Store), Duration::from_millis(5));
        assert_eq!((one.spent(Part::Route), other.spent(Part::Store)), (Duration::ZERO, Duration::ZERO));
        assert_eq!(current_id(), "");
    }

    #[tokio::test]
    async fn a_measured_future_hands_on_its_output() {
        let scope = RequestScope::new("r".into());
        assert_eq!(scope.clone().run(measured(Part::Provider, async { 7 })).await, 7);
        assert!(scope.spent(Part::Provider) > Duration::ZERO);
    }
}
