//! Saturation: so many lanes, each doing one thing after another as fast as it is answered.
//!
//! Invariant: a rate counts what was finished inside the window, and processor time is that of the same window. What
//! was begun is finished and checked before the measurement ends: nothing acknowledged may be missing.

use super::figures::{Figures, Mark};
use super::pace::{Span, latencies, micros, order, place};
use super::probe::Reading;
use super::stage::Stage;
use crate::clock::Stopwatch;
use crate::demo::narrator::Tone;
use crate::demo::payers::code_of;
use futures_util::stream::{self, StreamExt as _};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tongdao_sandbox::{PreparedCallback, ScanRequest};

/// Webhooks of everything paid have come by then.
const DRAIN_MAX: Duration = Duration::from_secs(120);
/// More paid and undelivered than this at once, and payers wait.
const UNDELIVERED_MAX: u64 = 512;
const LOOK_EVERY: Duration = Duration::from_millis(5);
const CALLBACK_RATE: u32 = 500;

/// How many lanes, for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes {
    pub(crate) lanes: u32,
    pub(crate) length: Duration,
}

/// What the lanes did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) count: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) took: Duration,
    pub(crate) latency_us: Histogram<u64>,
}

impl Done {
    fn new() -> Self {
        Self { count: 0, errors: BTreeMap::new(), took: Duration::ZERO, latency_us: latencies() }
    }

    /// Finished a second.
    pub(crate) fn rate(&self) -> f64 {
        float(self.count) / self.took.as_secs_f64().max(1e-9)
    }

    fn note(self, what: &str, figures: &mut Figures) {
        for (error, times) in self.errors {
            figures.trouble(format!("{what}: {error}"), times);
        }
    }
}

/// Runs lanes until the time is up; each lane finishes what it began.
pub(crate) async fn closed_loop<F, R>(plan: Lanes, act: F) -> Done
where
    F: Fn(u64) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<(), String>> + Send + 'static,
{
    let (watch, number) = (Stopwatch::start(), Arc::new(AtomicU64::new(0)));
    let results = Arc::new(Mutex::new(Done::new()));
    let tasks = crate::tasks::Tasks::new();
    let (finish, mut finished) = tokio::sync::mpsc::channel::<()>(1);
    for _ in 0..plan.lanes {
        let (act, number, results, finish) = (act.clone(), number.clone(), results.clone(), finish.clone());
        tasks.spawn("lane", async move {
            while watch.elapsed() < plan.length {
                let took = Stopwatch::start();
                let result = act(number.fetch_add(1, Ordering::Relaxed)).await;
                note(&results, result, took.elapsed());
            }
            drop(finish);
        });
    }
    drop(finish);
    // Completes when the last lane let go of its end.
    let _none = finished.recv().await;
    let done = std::mem::replace(&mut *results.lock().unwrap_or_else(PoisonError::into_inner), Done::new());
    Done { took: watch.elapsed(), ..done }
}

fn note(results: &Mutex<Done>, result: Result<(), String>, took: Duration) {
    let mut done = results.lock().unwrap_or_else(PoisonError::into_inner);
    done.latency_us.saturating_record(micros(took));
    match result {
        Ok(()) => done.count = done.count.saturating_add(1),
        Err(error) => {
            let times = done.errors.entry(error).or_default();
            *times = times.saturating_add(1);
        }
    }
}

/// Opens connections, fills caches; errors are let pass.
pub(crate) async fn warm_up(stage: &Stage, lanes: u32) -> anyhow::Result<()> {
    let (client, orders) = (stage.client.clone(), stage.orders());
    let length = Duration::from_secs(2);
    closed_loop(Lanes { lanes, length }, move |_| {
        let (client, orders) = (client.clone(), orders.clone());
        async move { place(&client, &order(&orders)).await.map(|_| ()) }
    })
    .await;
    Ok(())
}

/// Creates alone.
pub(crate) async fn creates(stage: &Stage, lanes: u32, length: Duration, figures: &mut Figures) -> anyhow::Result<()> {
    let (client, orders) = (stage.client.clone(), stage.orders());
    let before = stage.reading()?;
    let done = closed_loop(Lanes { lanes, length }, move |_| {
        let (client, orders) = (client.clone(), orders.clone());
        async move { place(&client, &order(&orders)).await.map(|_| ()) }
    })
    .await;
    let cpu = stage.reading()?.cpu_since(&before);
    figures.put("creates at saturation", done.rate(), "/s");
    figures.put_latency("create at saturation", &done.latency_us, [None, None]);
    put_cpu(figures, "daemon CPU per create", cpu, done.count, Mark::AtMost(2.0));
    done.note("create", figures);
    Ok(())
}

/// Whole lives: create, pay, callback, webhook, delivered.
pub(crate) async fn lives(stage: &Stage, lanes: u32, length: Duration, figures: &mut Figures) -> anyhow::Result<()> {
    let (client, orders, sandbox) = (stage.client.clone(), stage.orders(), stage.sandbox.clone());
    let (platform, paid) = (stage.platform.clone(), Arc::new(AtomicU64::new(0)));
    let shipped_before = count(stage.platform.counts().shipped);
    let before = (stage.reading()?, Reading::own()?);
    let told = paid.clone();
    let done = closed_loop(Lanes { lanes, length }, move |_| {
        let (client, orders, sandbox) = (client.clone(), orders.clone(), sandbox.clone());
        let (platform, paid) = (platform.clone(), told.clone());
        async move {
            while paid.load(Ordering::Relaxed).saturating_sub(count(platform.counts().shipped)) > UNDELIVERED_MAX {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let placed = place(&client, &order(&orders)).await?;
            let (code, _) = code_of(&placed.charge).ok_or("no code")?;
            sandbox.scan(&ScanRequest::code(code)).map_err(|refused| refused.to_string())?;
            paid.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    })
    .await;
    let inside = count(stage.platform.counts().shipped).saturating_sub(shipped_before);
    let after = (stage.reading()?, Reading::own()?);
    let rate = float(inside) / done.took.as_secs_f64();
    let (daemon, others) = (after.0.cpu_since(&before.0), after.1.cpu_since(&before.1));
    figures.put("whole lives at saturation", rate, "/s");
    put_cpu(figures, "daemon CPU per whole life", daemon, inside, Mark::AtMost(3.5));
    let all = daemon.saturating_add(others);
    figures.put("CPU of all processes per whole life", all.as_secs_f64() * 1e6 / float(inside.max(1)), "us");
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let bound = f64::from(cores) * float(inside.max(1)) / all.as_secs_f64().max(1e-9);
    figures.put_marked("whole lives, of what the cores allow", 100.0 * rate / bound, "%", Mark::AtLeast(80.0));
    let written = after.0.written_bytes.saturating_sub(before.0.written_bytes);
    let kib = float(written) / 1024.0 / float(inside.max(1));
    figures.put_marked("written per whole life", kib, "KiB", Mark::AtMost(12.0));
    let missing = drained(stage, shipped_before.saturating_add(paid.load(Ordering::Relaxed)), figures).await;
    figures.trouble("paid and not delivered", missing);
    let reading = stage.reading()?;
    figures.put("daemon RSS", float(reading.rss_kib) / 1024.0, "MiB");
    figures.put("daemon RSS, peak", float(reading.rss_peak_kib) / 1024.0, "MiB");
    done.note("life", figures);
    Ok(())
}

/// Callbacks of prepared charges: at a fixed rate, then as fast as they are answered.
pub(crate) async fn callbacks(stage: &Stage, charges: u32, lanes: u32, figures: &mut Figures) -> anyhow::Result<()> {
    let shipped_before = count(stage.platform.counts().shipped);
    let prepared = prepare(stage, charges, lanes).await?;
    let all = count(prepared.len());
    figures.trouble("charges that could not be prepared", u64::from(charges).saturating_sub(all));
    let paced = prepared.len().min(usize::try_from(CALLBACK_RATE)?.saturating_mul(5)) / 2;
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(256).build()?;
    let queue = Arc::new(Mutex::new(prepared));
    let take = {
        let queue = queue.clone();
        move || queue.lock().unwrap_or_else(PoisonError::into_inner).pop()
    };
    stage.narrator.say(Tone::Plain, &format!("{paced} at {CALLBACK_RATE}/s"));
    let span = Span { rate: CALLBACK_RATE, count: u32::try_from(paced)? };
    let sender = (http.clone(), take.clone());
    let open = span.run(move |due| {
        let (http, take) = sender.clone();
        async move {
            let Some(callback) = take() else { return Ok(due.elapsed()) };
            acknowledge(&http, callback).await.map(|()| due.elapsed())
        }
    });
    let open = open.await;
    figures.put_latency("callback at 500/s", &open.latency_us, [None, Some(Mark::AtMost(20.0))]);
    open.note("callback", figures);
    let before = stage.reading()?;
    let rest = queue.lock().unwrap_or_else(PoisonError::into_inner).len();
    let watch = Stopwatch::start();
    let mut errors = BTreeMap::<String, u64>::new();
    let mut sending = stream::iter(std::iter::from_fn(|| take().map(|callback| acknowledge(&http, callback))))
        .buffer_unordered(usize::try_from(lanes)?);
    while let Some(result) = sending.next().await {
        if let Err(error) = result {
            let times = errors.entry(error).or_default();
            *times = times.saturating_add(1);
        }
    }
    let took = watch.elapsed();
    figures.put_marked("callbacks acknowledged", float(count(rest)) / took.as_secs_f64(), "/s", Mark::AtLeast(5000.0));
    let cpu = stage.reading()?.cpu_since(&before);
    figures.put("daemon CPU per callback", cpu.as_secs_f64() * 1e6 / float(count(rest).max(1)), "us");
    for (error, times) in errors {
        figures.trouble(format!("callback: {error}"), times);
    }
    let watch = Stopwatch::start();
    let missing = drained(stage, shipped_before.saturating_add(all), figures).await;
    figures.trouble("paid and not delivered", missing);
    figures.put("their webhooks drained in", watch.elapsed().as_secs_f64(), "s");
    Ok(())
}

async fn prepare(stage: &Stage, charges: u32, lanes: u32) -> anyhow::Result<Vec<PreparedCallback>> {
    let (client, orders, sandbox) = (stage.client.clone(), stage.orders(), stage.sandbox.clone());
    let numbers = 0..charges;
    let made = stream::iter(numbers.map(|_| {
        let (client, orders, sandbox) = (client.clone(), orders.clone(), sandbox.clone());
        async move {
            let placed = place(&client, &order(&orders)).await.ok()?;
            let (code, _) = code_of(&placed.charge)?;
            tokio::task::spawn_blocking(move || sandbox.pay_and_prepare(&ScanRequest::code(code)).ok()).await.ok()?
        }
    }))
    .buffer_unordered(usize::try_from(lanes)?);
    Ok(made.filter_map(std::future::ready).collect().await)
}

async fn acknowledge(http: &reqwest::Client, callback: PreparedCallback) -> Result<(), String> {
    let mut request = http.post(&callback.url).header("content-type", callback.content_type).body(callback.body);
    for (name, value) in callback.headers {
        request = request.header(name, value);
    }
    let reply = request.send().await.map_err(|error| error.to_string())?;
    if reply.status().is_success() { Ok(()) } else { Err(format!("status {}", reply.status().as_u16())) }
}

/// Waits for the shop to have shipped so many; answers how many are missing.
async fn drained(stage: &Stage, wanted: u64, figures: &mut Figures) -> u64 {
    let watch = Stopwatch::start();
    loop {
        let counts = stage.platform.counts();
        let missing = wanted.saturating_sub(count(counts.shipped));
        if missing == 0 || watch.elapsed() > DRAIN_MAX {
            figures.trouble("webhooks with a wrong signature", counts.forged);
            return missing;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn put_cpu(figures: &mut Figures, name: &str, cpu: Duration, times: u64, mark: Mark) {
    let each = cpu.as_secs_f64() * 1e6 / float(times.max(1));
    figures.put(name, each, "us");
    if let Some(signature) = figures.value("RSA-2048 signature") {
        figures.put_marked(format!("{name}, in RSA signatures"), each / signature, "", mark);
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Counts here stay far below what a float holds exactly.
pub(crate) fn float(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

/// An answer of the daemon to a create.
pub(crate) fn refused(status: u16) -> Result<(), String> {
    if status == 201 { Ok(()) } else { Err(format!("status {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lanes_finish_what_they_began_and_count_errors_apart() {
        let plan = Lanes { lanes: 3, length: Duration::from_millis(30) };
        let done = closed_loop(plan, |number| async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            if number == 0 { Err("first".to_owned()) } else { Ok(()) }
        })
        .await;
        assert!(done.count > 3 && done.took >= plan.length);
        assert_eq!(done.errors, BTreeMap::from([("first".to_owned(), 1)]));
        assert_eq!(done.latency_us.len(), done.count + 1);
    }
}
