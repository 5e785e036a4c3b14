//! The daemon as a program of its own: started from this very binary, killed without warning, started again.
//!
//! Invariant: it never outlives the demo. What it prints goes to a log file in the scratch directory; when it ends by
//! itself its last lines say why.

use super::scratch::Scratch;
use crate::clock::Stopwatch;
use anyhow::{Context as _, bail};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tongdao_core::secret::Secret;

/// A start that takes longer has failed.
const START_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The daemon.
pub(crate) struct Daemon {
    binary: Option<PathBuf>,
    config: PathBuf,
    log: PathBuf,
    admin: SocketAddr,
    token: Secret,
    http: reqwest::Client,
    child: Option<Child>,
}

impl Daemon {
    /// A daemon that is not running yet.
    pub(crate) fn new(scratch: &Scratch, config: PathBuf, admin: SocketAddr) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let (log, token) = (scratch.path("daemon.log"), scratch.secret("admin-token")?);
        Ok(Self { binary: None, config, log, admin, token, http, child: None })
    }

    /// The same daemon by another program.
    pub(crate) fn of(self, binary: PathBuf) -> Self {
        Self { binary: Some(binary), ..self }
    }

    /// Starts it and waits until it takes requests; answers how long that took, in ms.
    pub(crate) async fn start(&mut self) -> anyhow::Result<i64> {
        let took = Stopwatch::start();
        let own = || std::env::current_exe().context("this program's own file is not known");
        let binary = self.binary.clone().map_or_else(own, Ok)?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(&self.config).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Settings of the caller's shell would change the demo's daemon.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TONGDAO")) {
            command.env_remove(name);
        }
        self.child = Some(command.spawn().context("the daemon could not be started")?);
        self.ready(took).await?;
        Ok(took.elapsed_ms())
    }

    /// `kill -9`: no goodbye, no flush.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill().await.context("the daemon could not be killed")
    }

    /// Its id among the machine's programs.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap_or(0)
    }

    /// The text of a page of its admin side; empty when it does not answer.
    pub(crate) async fn page(&self, path: &str) -> String {
        let request = self.http.get(format!("http://{}{path}", self.admin));
        let request = request.bearer_auth(self.token.text().unwrap_or_default());
        match request.send().await {
            Ok(reply) if reply.status().is_success() => reply.text().await.unwrap_or_default(),
            Ok(_) | Err(_) => String::new(),
        }
    }

    /// The last lines of its log.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(12)).copied().collect::<Vec<_>>().join("\n")
    }

    async fn ready(&mut self, took: Stopwatch) -> anyhow::Result<()> {
        loop {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                bail!("the daemon ended at once ({status}):\n{}", self.last_words());
            }
            let asked = self.http.get(format!("http://{}/readyz", self.admin)).send().await;
            if asked.is_ok_and(|reply| reply.status().is_success()) {
                return Ok(());
            }
            if took.elapsed() > START_MAX {
                bail!("the daemon is not ready after {} s:\n{}", START_MAX.as_secs(), self.last_words());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
