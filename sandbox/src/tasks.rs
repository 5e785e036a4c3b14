//! The only place that starts tasks: listeners, connections, callback deliveries and simulated payers.
//! Guards: when the sandbox stops or is dropped, every task it started ends with it, so no socket or timer outlives it.
//! Must not know: what the tasks do.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// The tasks of one sandbox, bound to the runtime it was started in.
#[derive(Debug)]
pub(crate) struct Tasks {
    runtime: Handle,
    running: Mutex<Option<JoinSet<()>>>,
}

impl Tasks {
    /// Binds to the current runtime.
    pub(crate) fn new() -> Self {
        Self { runtime: Handle::current(), running: Mutex::new(Some(JoinSet::new())) }
    }

    /// Starts a task; after `stop` it is dropped unrun.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(set) = running.as_mut() else { return };
        while set.try_join_next().is_some() {}
        set.spawn_on(task, &self.runtime);
    }

    /// Ends every task; they are gone at their next await point.
    pub(crate) fn stop(&self) {
        let set = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(set);
    }

    /// Ends every task and waits until they are gone, so their sockets are closed.
    pub(crate) async fn stopped(&self) {
        let set = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut set) = set {
            set.shutdown().await;
        }
    }
}
