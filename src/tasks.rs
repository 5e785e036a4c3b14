//! The only place that spawns: every background task has a name, and none dies silently.
//!
//! Invariant: when a task panics it is logged at ERROR with its name; tasks end together when the set is stopped,
//! within the deadline that the caller gives.
#![allow(clippy::disallowed_methods)]

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A named set of background tasks that share one stop signal.
#[derive(Clone)]
pub struct Tasks {
    stop: Arc<watch::Sender<bool>>,
    set: Arc<Mutex<JoinSet<()>>>,
}

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self { stop: Arc::new(watch::Sender::new(false)), set: Arc::default() }
    }

    /// Runs a future to its end in the background.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn(async move {
            let inner = tokio::spawn(future);
            let abort = AbortOnDrop(inner.abort_handle());
            if let Err(error) = inner.await
                && error.is_panic()
            {
                tracing::error!(task = name, "a task panicked");
            }
            drop(abort);
        });
    }

    /// A receiver that turns true when the set is told to stop.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Completes once the set is told to stop.
    pub async fn stopped(&self) {
        let mut stopping = self.stop.subscribe();
        if stopping.wait_for(|stop| *stop).await.is_err() {
            tracing::debug!("the task set was dropped");
        }
    }

    /// Tells every task to stop, waits up to `deadline` for them, then aborts the rest. True when all ended by
    /// themselves.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.stop.send_replace(true);
        let mut set = std::mem::take(&mut *self.set.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = tokio::time::timeout(deadline, async { while set.join_next().await.is_some() {} }).await.is_ok();
        set.shutdown().await;
        ended
    }
}

/// Stops two sets at the same time, so that both together take no longer than one deadline. True when all ended by
/// themselves.
pub async fn stop_together(one: &Tasks, other: &Tasks, deadline: Duration) -> bool {
    let (one, other) = tokio::join!(one.stop(deadline), other.stop(deadline));
    one && other
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_heeds_the_signal_ends_before_the_deadline() {
        let tasks = Tasks::new();
        let waiting = tasks.clone();
        tasks.spawn("waiter", async move { waiting.stopped().await });
        assert!(tasks.stop(Duration::from_secs(1)).await);
    }

    #[tokio::test]
    async fn two_deaf_sets_take_one_deadline() {
        let (one, other) = (Tasks::new(), Tasks::new());
        one.spawn("deaf", std::future::pending());
        other.spawn("deaf", std::future::pending());
        let deadline = Duration::from_millis(800);
        let began = std::time::Instant::now();
        assert!(!stop_together(&one, &other, deadline).await);
        assert!((deadline..2 * deadline).contains(&began.elapsed()));
    }

    #[tokio::test]
    async fn a_task_that_does_not_heed_it_is_aborted() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending());
        assert!(!tasks.stop(Duration::from_millis(20)).await);
    }
}
