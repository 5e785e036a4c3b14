//! `tongdao serve`: the daemon in the foreground, until a signal or a failed store ends it.
//!
//! Invariants: the order is secrets, sandbox, configuration, daemon, because each makes what the next one reads; the
//! addresses are printed once everything listens; SIGHUP reloads, SIGINT and SIGTERM drain within the configured
//! deadline, and a second one ends at once. A store that failed ends the process with an error.

use super::Context;
use super::exit::Exit;
use super::out::Out;
use crate::clock::SystemClock;
use crate::config::{Config, ensure_demo_secrets};
use crate::daemon::{self, Running};
use crate::metrics::Metrics;
use crate::random::SystemRng;
use crate::reload::Reloader;
use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Where the built-in configuration's secrets are made.
pub(super) const DEMO_SECRETS: &str = "data/secrets";

/// The sandbox is the first to meet a daemon that runs here already.
const SANDBOX_STUCK: &str =
    "the sandbox providers did not start (`tongdao status` tells whether a daemon runs here already)";

/// The daemon takes everything from its configuration.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:\n  tongdao serve                                with the built-in configuration\n  \
                        tongdao serve --config /etc/tongdao.toml\n\n\
                        SIGHUP reads the configuration again; SIGINT and SIGTERM drain and stop.")]
pub(crate) struct ServeArgs {}

pub(crate) async fn run(context: &Context, _args: &ServeArgs) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let metrics = Arc::new(Metrics::new(&daemon::routes())?);
    crate::log::init(&context.env, metrics.log_messages())?;
    let path = context.config_path.as_deref();
    if path.is_none() {
        ensure_demo_secrets(Path::new(DEMO_SECRETS), &SystemRng)
            .with_context(|| format!("the demo's secrets cannot be made in {DEMO_SECRETS}"))?;
    }
    let sandbox = daemon::start_sandbox(path, &context.env).await.context(SANDBOX_STUCK)?;
    let config = Config::load(path, &context.env)?;
    for warning in &config.warnings {
        tracing::warn!(warning, "the configuration is allowed and unwise");
    }
    let control = sandbox.as_ref().map(|sandbox| sandbox.addresses().control.to_string());
    let running = daemon::start_with(config, SystemClock::new(), metrics).await?;
    announce(&context.out, &addresses(&running, control.as_deref()), path.is_none());
    wait(&running, &mut signals).await;
    let exit = stop(running, &mut signals).await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    Ok(exit)
}

/// Waits for a signal that ends the process, or for the store to fail.
async fn wait(running: &Running, signals: &mut Signals) {
    loop {
        tokio::select! {
            () = running.failed() => {
                tracing::error!("the store failed: the process ends, and a restart recovers it");
                return;
            }
            heard = signals.next() => match heard {
                Heard::End => return,
                Heard::Reload => reload(&running.reloader).await,
            },
        }
    }
}

async fn reload(reloader: &Reloader) {
    if let Err(error) = reloader.reload(false, "SIGHUP").await {
        tracing::error!(%error, "the configuration was not reloaded; the old one stays in force");
    }
}

async fn stop(running: Running, signals: &mut Signals) -> Exit {
    tracing::info!("stopping: no new requests, what runs may finish");
    let failure = running.failure();
    tokio::select! {
        in_time = running.stop() => {
            if !in_time {
                // What was cut off is taken up again from its timers.
                tracing::warn!("not everything ended within the deadline");
            }
            // The store may have failed in its last writes, too.
            if *failure.borrow() { Exit::Problem } else { Exit::Fine }
        }
        () = signals.end() => {
            tracing::warn!("asked twice: ending at once");
            Exit::Problem
        }
    }
}

/// The signals that a daemon heeds, from before anything is started.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.interrupt.recv() => Heard::End,
            _ = self.terminate.recv() => Heard::End,
            _ = self.hangup.recv() => Heard::Reload,
        }
    }

    async fn end(&mut self) {
        while self.next().await != Heard::End {}
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    End,
    Reload,
}

fn addresses(running: &Running, control: Option<&str>) -> Value {
    let config = running.flow.config();
    json!({
        "configuration": config.name,
        "public": format!("http://{}", running.public_addr),
        "admin": format!("http://{}", running.admin_addr),
        "admin_socket": config.server.admin_socket,
        "sandbox": control.map(|address| format!("http://{address}")),
    })
}

/// Nobody may be reading: that does not stop a daemon.
fn announce(out: &Out, addresses: &Value, built_in: bool) {
    if let Err(error) = out.either(addresses, || announcement(addresses, built_in, &program())) {
        tracing::debug!(%error, "the addresses could not be printed");
    }
}

/// As the reader's shell knows this program: `cargo run` puts it on nobody's path.
fn program() -> String {
    let called = std::env::args_os().next().map(|name| name.to_string_lossy().into_owned());
    called.filter(|name| !name.is_empty()).unwrap_or_else(|| "tongdao".to_owned())
}

fn announcement(addresses: &Value, built_in: bool, program: &str) -> String {
    let text = |name: &str| addresses.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut lines = vec![
        format!("tongdao {} is ready, with {}", env!("CARGO_PKG_VERSION"), text("configuration")),
        format!("  merchants, providers, payers   {}", text("public")),
        format!("  on-call, Prometheus            {}  (and {})", text("admin"), text("admin_socket")),
    ];
    if !text("sandbox").is_empty() {
        lines.push(format!("  sandbox: pay codes here        {}", text("sandbox")));
    }
    if built_in {
        lines.push("\nmake the first charge, from another terminal in this directory:".to_owned());
        lines.push(format!("  {program} charge create --amount 19.99 --subject 演示月卡"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_to_do_stands_below_the_addresses() {
        let addresses = json!({
            "configuration": "the built-in configuration", "public": "http://127.0.0.1:8080",
            "admin": "http://127.0.0.1:8081", "admin_socket": "data/admin.sock", "sandbox": "http://127.0.0.1:9100"
        });
        insta::assert_snapshot!(announcement(&addresses, true, "target/release/tongdao"));
    }
}
