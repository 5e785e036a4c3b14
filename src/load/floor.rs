//! The floors: what this machine could do if there were nothing but the part that nobody can save.
//!
//! Invariant: each floor uses the same client, the same disk and the same library as the daemon, so that a ratio to it
//! tells of the daemon alone.

use super::drive::{Lanes, closed_loop};
use super::figures::Figures;
use crate::clock::Stopwatch;
use crate::tasks::Tasks;
use anyhow::Context as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use axum::Router;
use axum::routing::post;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// About what one change of a charge takes in the journal.
const RECORD_BYTES: usize = 3 << 10;
/// Waiting submitters share one sync.
const GROUP: usize = 64;
const FILE_BYTES: usize = 64 << 20;

/// Takes all floors.
pub(crate) async fn measure(dir: &Path, lanes: u32, length: Duration, figures: &mut Figures) -> anyhow::Result<()> {
    let signature = tokio::task::spawn_blocking(move || sign(length / 2)).await??;
    figures.put("RSA-2048 signature", signature.as_secs_f64() * 1e6, "us");
    let served = serve(lanes, length).await?;
    figures.put("floor: bare HTTP answers", served, "/s");
    let dir = dir.to_path_buf();
    let appended = tokio::task::spawn_blocking(move || append(&dir, length / 2)).await??;
    figures.put("floor: append + fdatasync, groups of 64", appended, "records/s");
    Ok(())
}

/// What one signature takes of one core.
fn sign(length: Duration) -> anyhow::Result<Duration> {
    let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow::anyhow!("no RSA key could be made"))?;
    let (rng, mut out) = (SystemRandom::new(), vec![0; key.public_modulus_len()]);
    let (took, mut count) = (Stopwatch::start(), 0_u32);
    while took.elapsed() < length {
        key.sign(&RSA_PKCS1_SHA256, &rng, b"POST\n/v3/pay\n1766000000\nnonce\n{}\n", &mut out)
            .map_err(|_| anyhow::anyhow!("a signature failed"))?;
        count = count.saturating_add(1);
    }
    took.elapsed().checked_div(count).context("no signature was made")
}

/// Answers of a server that does nothing, asked by the same client.
async fn serve(lanes: u32, length: Duration) -> anyhow::Result<f64> {
    let (tasks, listener) = (Tasks::new(), TcpListener::bind("127.0.0.1:0").await?);
    let address = listener.local_addr()?;
    let router = Router::new().route("/", post(|| async { "{}" }));
    let door = tasks.clone();
    tasks.spawn("bare", async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { door.stopped().await });
        if let Err(error) = served.await {
            tracing::error!(%error, "the bare server stopped");
        }
    });
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = Arc::new(format!("http://{address}/"));
    let done = closed_loop(Lanes { lanes, length }, move |_| {
        let (http, url) = (http.clone(), url.clone());
        async move {
            let reply = http.post(url.as_str()).body("{}").send().await.map_err(|error| error.to_string())?;
            reply.bytes().await.map(|_| ()).map_err(|error| error.to_string())
        }
    })
    .await;
    tasks.stop(Duration::from_millis(300)).await;
    Ok(done.rate())
}

/// Records a second of one thread that appends and syncs groups.
fn append(dir: &Path, length: Duration) -> anyhow::Result<f64> {
    let mut file = tempfile_in(dir)?;
    file.write_all(&vec![0; FILE_BYTES])?;
    file.sync_all()?;
    let group = vec![0x5A; RECORD_BYTES * GROUP];
    let (took, mut records, mut at) = (Stopwatch::start(), 0_u32, FILE_BYTES);
    while took.elapsed() < length {
        if at.saturating_add(group.len()) > FILE_BYTES {
            file.seek(SeekFrom::Start(0))?;
            at = 0;
        }
        file.write_all(&group)?;
        file.sync_data()?;
        at = at.saturating_add(group.len());
        records = records.saturating_add(u32::try_from(GROUP)?);
    }
    Ok(f64::from(records) / took.elapsed().as_secs_f64())
}

/// A file that has no name, so nothing is left of it whatever happens.
fn tempfile_in(dir: &Path) -> anyhow::Result<std::fs::File> {
    let path = dir.join(format!(".tongdao-bench-{}", std::process::id()));
    let file = std::fs::File::create(&path).with_context(|| format!("cannot write in {}", dir.display()))?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
