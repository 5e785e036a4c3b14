//! The composition root: configuration → parts → supervised tasks → drain within a deadline. The only file that names
//! concrete adapters.
//!
//! Invariants: nothing listens before the store is open and recovered; a store that failed ends the process (the
//! caller watches `Running::failed`); a stop takes no new requests, lets what runs finish, then writes what waits.

mod sandboxed;

pub use sandboxed::start_sandbox;

use crate::clock::SystemClock;
use crate::config::{Config, StoreUrl};
use crate::flow::{Flow, Parts};
use crate::http::admin::{self, Entrance};
use crate::http::{self, Api, ApiDocuments};
use crate::metrics::{Metrics, MetricsError};
use crate::ports::{Outside, Store, StoreError};
use crate::random::SystemRng;
use crate::reload::Reloader;
use crate::request_scope::{TimedOutside, TimedStore};
use crate::store::RecordStore;
use crate::store::embedded::{EmbeddedEngine, EmbeddedOptions, OpenError};
use crate::store::memory::MemoryEngine;
use crate::tasks::{Tasks, stop_together};
use crate::transport::{HttpTransport, TransportStartError};
use crate::worker;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

const MEASURE_EVERY: Duration = Duration::from_secs(2);

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store did not open.
    #[error("the store did not open: {0}")]
    Store(#[from] OpenError),
    /// What it keeps could not be read.
    #[error("the store could not be read: {0}")]
    Unreadable(#[from] StoreError),
    /// The store's kind is not in this release.
    #[error("[store] url: {0} is not supported by this release; use embedded:DIRECTORY")]
    UnsupportedStore(String),
    /// A listener did not open.
    #[error("cannot listen on {at}: {source}")]
    Listen {
        /// Where.
        at: String,
        /// Why not.
        source: std::io::Error,
    },
    /// HTTP to the outside could not be set up.
    #[error("HTTP could not be set up: {0}")]
    Transport(#[from] TransportStartError),
    /// The metrics clash.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A thread that opens the store died.
    #[error("the store's opening was interrupted")]
    Interrupted,
}

/// A daemon at work.
pub struct Running {
    /// The use cases.
    pub flow: Arc<Flow>,
    /// Where merchants, providers and payers call.
    pub public_addr: SocketAddr,
    /// Where on-call calls.
    pub admin_addr: SocketAddr,
    /// Puts the configuration file in force again.
    pub reloader: Arc<Reloader>,
    poisoned: watch::Receiver<bool>,
    listeners: Tasks,
    tasks: Tasks,
    drain: Duration,
    admin_socket: PathBuf,
}

/// Starts the daemon.
///
/// # Errors
/// The first thing that stood in the way; nothing is left running.
pub async fn start(config: Config, clock: SystemClock) -> Result<Running, StartError> {
    let metrics = Arc::new(Metrics::new(&routes())?);
    start_with(config, clock, metrics).await
}

/// Every route of both listeners, as they stand in metrics.
#[must_use]
pub fn routes() -> Vec<crate::metrics::Route> {
    [http::ROUTES, admin::ROUTES].concat()
}

/// Starts the daemon with metrics that the log already feeds.
///
/// # Errors
/// As `start`.
pub async fn start_with(config: Config, clock: SystemClock, metrics: Arc<Metrics>) -> Result<Running, StartError> {
    let config = Arc::new(config);
    metrics.set_channels(config.channels.iter().map(|channel| (channel.id.clone(), channel.provider_id.clone())));
    let clock: Arc<SystemClock> = Arc::new(clock);
    let transport = Arc::new(HttpTransport::new(&config, metrics.clone(), clock.clone())?);
    let (store, poisoned) = open_store(&config, metrics.clone()).await?;
    let documents = Arc::new(ApiDocuments::new(config.server.public_url.clone()));
    let outside: Arc<dyn Outside> = transport.clone();
    let parts = Parts {
        store: Arc::new(TimedStore(store)),
        outside: Arc::new(TimedOutside(outside)),
        clock,
        rng: Arc::new(SystemRng),
        config: config.clone(),
        metrics,
        documents,
    };
    let flow = Arc::new(Flow::start(parts).await?);
    let (tasks, listeners) = (Tasks::new(), Tasks::new());
    let applied = transport.clone();
    let apply = move |config: &Config| applied.apply(config);
    let reloader = Arc::new(Reloader::new(flow.clone(), tongdao_providers::REGISTRY, apply));
    let (public_addr, admin_addr) = listen(&flow, &reloader, &config, &listeners).await?;
    tasks.spawn("timers", worker::run_timers(flow.clone(), tasks.clone()));
    tasks.spawn("measure", measure(transport.clone(), tasks.clone()));
    tasks.spawn("reconciler", worker::run_reconciliations(flow.clone(), tasks.clone()));
    tasks.spawn("pulse", worker::pulse(flow.clone(), tasks.clone()));
    tasks.spawn("upkeep", worker::upkeep(flow.clone(), tasks.clone()));
    Ok(Running {
        flow,
        reloader,
        public_addr,
        admin_addr,
        poisoned,
        listeners,
        tasks,
        drain: config.server.shutdown_deadline,
        admin_socket: config.server.admin_socket.clone(),
    })
}

impl Running {
    /// Completes when the store failed: the process must then end with an error and be started again.
    pub async fn failed(&self) {
        let mut poisoned = self.poisoned.clone();
        if poisoned.wait_for(|failed| *failed).await.is_err() {
            // The store was closed in order: there is nothing to fail any more.
            std::future::pending::<()>().await;
        }
    }

    /// Turns true when the store failed; it can be read after the stop.
    #[must_use]
    pub fn failure(&self) -> watch::Receiver<bool> {
        self.poisoned.clone()
    }

    /// Stops accepting, lets what runs finish within the deadline, writes what waits. True when all ended in time.
    pub async fn stop(self) -> bool {
        let done = stop_together(&self.listeners, &self.tasks, self.drain).await;
        if done && let Err(error) = self.flow.stopped_in_order().await {
            tracing::warn!(%error, "the orderly stop could not be noted; the next start doubts what was in flight");
        }
        self.flow.store().close().await;
        remove_socket(&self.admin_socket);
        done
    }
}

/// Tells now and then how much of each channel's calls a second is used.
async fn measure(transport: Arc<HttpTransport>, tasks: Tasks) {
    loop {
        tokio::select! {
            () = tasks.stopped() => return,
            () = tokio::time::sleep(MEASURE_EVERY) => transport.measure(),
        }
    }
}

async fn open_store(
    config: &Config,
    metrics: Arc<Metrics>,
) -> Result<(Arc<dyn Store>, watch::Receiver<bool>), StartError> {
    match &config.store.url {
        StoreUrl::Memory => {
            let (never, poisoned) = watch::channel(false);
            // The memory store cannot fail: a signal whose sender is gone never turns.
            drop(never);
            Ok((Arc::new(RecordStore::new(MemoryEngine::new())), poisoned))
        }
        StoreUrl::Embedded(dir) => {
            let (dir, cache_bytes) = (dir.clone(), config.store.cache_capacity);
            let options = EmbeddedOptions {
                cache_bytes,
                observer: Arc::new(CommitMetrics(metrics)),
                ..EmbeddedOptions::default()
            };
            let opened = tokio::task::spawn_blocking(move || EmbeddedEngine::open(&dir, options)).await;
            let engine = opened.map_err(|_join| StartError::Interrupted)??;
            tracing::info!(report = ?engine.report(), "the store is open");
            let poisoned = engine.poisoned();
            Ok((Arc::new(RecordStore::new(engine)), poisoned))
        }
        StoreUrl::Postgres(_) => Err(StartError::UnsupportedStore("postgres".to_owned())),
    }
}

struct CommitMetrics(Arc<Metrics>);

impl crate::store::engine::CommitObserver for CommitMetrics {
    fn committed(&self, batch_size: usize, took: Duration) {
        self.0.committed(took, batch_size);
    }

    fn failed(&self) {
        self.0.store_failed();
    }
}

async fn listen(
    flow: &Arc<Flow>,
    reloader: &Arc<Reloader>,
    config: &Config,
    tasks: &Tasks,
) -> Result<(SocketAddr, SocketAddr), StartError> {
    let (public, public_addr) = bind(config.server.public_listen).await?;
    let (admin, admin_addr) = bind(config.server.admin_listen).await?;
    let socket = bind_socket(&config.server.admin_socket)?;
    let api = http::router(Api::new(flow.clone(), tasks.clone()));
    let admin_router = |entrance| admin::router(reloader.clone(), flow.clone(), tasks.clone(), entrance);
    http::serve(public, api, tasks);
    http::serve(admin, admin_router(Entrance::Token), tasks);
    http::serve_unix(socket, admin_router(Entrance::Open), tasks);
    Ok((public_addr, admin_addr))
}

async fn bind(at: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let error = |source| StartError::Listen { at: at.to_string(), source };
    let listener = TcpListener::bind(at).await.map_err(error)?;
    let addr = listener.local_addr().map_err(error)?;
    Ok((listener, addr))
}

/// The socket's directory may be new; a socket that a dead daemon left is removed (the store's lock says it is dead).
fn bind_socket(path: &Path) -> Result<UnixListener, StartError> {
    use std::os::unix::fs::PermissionsExt as _;
    let error = |source| StartError::Listen { at: path.display().to_string(), source };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(error)?;
    }
    remove_socket(path);
    let listener = UnixListener::bind(path).map_err(error)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(error)?;
    Ok(listener)
}

fn remove_socket(path: &Path) {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "the old admin socket could not be removed"),
    }
}
