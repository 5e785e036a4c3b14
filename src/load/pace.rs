//! A fixed pace: requests are due at moments that do not depend on the answers, and latency counts from that moment.
//!
//! Invariant: a slow answer delays nobody's due moment (coordinated omission is accounted for). What a create's answer
//! says of the provider's part is taken off, so that the added time is ours.

use super::drive::refused;
use super::figures::{Figures, Mark};
use super::stage::{OrderNumbers, Stage};
use crate::client::MerchantClient;
use crate::clock::Stopwatch;
use crate::demo::payers::code_of;
use crate::tasks::Tasks;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tongdao_sandbox::ScanRequest;

/// What payers use, in turn.
const WALLETS: [&str; 3] = ["wechatpay", "alipay", "unionpay"];

/// So many at such a rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) rate: u32,
    pub(crate) count: u32,
}

/// How long they took.
pub(crate) struct Paced {
    pub(crate) latency_us: Histogram<u64>,
    errors: BTreeMap<String, u64>,
}

impl Paced {
    pub(crate) fn note(self, what: &str, figures: &mut Figures) {
        for (error, times) in self.errors {
            figures.trouble(format!("{what}: {error}"), times);
        }
    }
}

/// A moment at which something was due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DueAt(Stopwatch, Duration);

impl DueAt {
    /// How long ago it was due.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed().saturating_sub(self.1)
    }
}

impl Span {
    /// Starts each when it is due, whatever became of those before; `act` answers the latency to record.
    pub(crate) async fn run<F, R>(self, act: F) -> Paced
    where
        F: Fn(DueAt) -> R,
        R: Future<Output = Result<Duration, String>> + Send + 'static,
    {
        let paced = Paced { latency_us: latencies(), errors: BTreeMap::new() };
        let results = Arc::new(Mutex::new(paced));
        let (tasks, watch) = (Tasks::new(), Stopwatch::start());
        let (finish, mut finished) = tokio::sync::mpsc::channel::<()>(1);
        for number in 0..self.count {
            let due = Duration::from_secs(1).saturating_mul(number) / self.rate.max(1);
            tokio::time::sleep(due.saturating_sub(watch.elapsed())).await;
            let (running, results, finish) = (act(DueAt(watch, due)), results.clone(), finish.clone());
            tasks.spawn("paced", async move {
                let result = running.await;
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                match result {
                    Ok(took) => results.latency_us.saturating_record(micros(took)),
                    Err(error) => {
                        let times = results.errors.entry(error).or_default();
                        *times = times.saturating_add(1);
                    }
                }
                drop(finish);
            });
        }
        drop(finish);
        let _none = finished.recv().await;
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        Paced {
            latency_us: std::mem::replace(&mut results.latency_us, latencies()),
            errors: std::mem::take(&mut results.errors),
        }
    }
}

/// Whole lives at a rate: what a create adds to the provider's own answer.
pub(crate) async fn at_rate(stage: &Stage, rate: u32, length: Duration, figures: &mut Figures) -> anyhow::Result<()> {
    let (client, orders, sandbox) = (stage.client.clone(), stage.orders(), stage.sandbox.clone());
    let whole = Arc::new(Mutex::new(latencies()));
    let taken = whole.clone();
    let span = Span { rate, count: rate.saturating_mul(u32::try_from(length.as_secs())?) };
    let added = span
        .run(move |due| {
            let (client, sandbox, whole) = (client.clone(), sandbox.clone(), taken.clone());
            let order = order(&orders);
            async move {
                let placed = place(&client, &order).await?;
                let took = due.elapsed();
                whole.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros(took));
                let (code, _) = code_of(&placed.charge).ok_or("no code")?;
                sandbox.scan(&ScanRequest::code(code)).map_err(|refused| refused.to_string())?;
                Ok(took.saturating_sub(placed.provider))
            }
        })
        .await;
    let marks = if rate == 200 { [Some(Mark::AtMost(2.0)), Some(Mark::AtMost(10.0))] } else { [None, None] };
    figures.put_latency(&format!("create at {rate}/s, added"), &added.latency_us, marks);
    let whole = whole.lock().unwrap_or_else(PoisonError::into_inner).clone();
    figures.put_latency(&format!("create at {rate}/s, whole"), &whole, [None, None]);
    added.note(&format!("life at {rate}/s"), figures);
    Ok(())
}

/// A charge that was made.
pub(crate) struct Placed {
    pub(crate) charge: Value,
    /// The provider's part of the time, as the answer says.
    pub(crate) provider: Duration,
}

/// The next order.
pub(crate) fn order(orders: &OrderNumbers) -> Value {
    let number = orders.next();
    let wallet = usize::try_from(number).ok().and_then(|at| WALLETS.get(at % WALLETS.len()));
    json!({
        "merchant_order_no": format!("B{number:010}"), "amount": 1999, "subject": "礼品卡 Gift card",
        "payer": { "methods": [wallet], "preferred": wallet },
    })
}

/// Makes a charge; anything but a new one is an error.
pub(crate) async fn place(client: &MerchantClient, order: &Value) -> Result<Placed, String> {
    let answer = client.post_timed("/v1/charges", order).await.map_err(|error| error.to_string())?;
    refused(answer.status)?;
    Ok(Placed { provider: provider_part(&answer.server_timing), charge: answer.body })
}

/// `provider;dur=12.345` in milliseconds, of a `Server-Timing` header.
fn provider_part(header: &str) -> Duration {
    let spans = header.split(',').filter_map(|span| span.trim().strip_prefix("provider;dur="));
    let ms = spans.filter_map(|text| text.parse::<f64>().ok()).next().unwrap_or_default();
    Duration::from_secs_f64((ms / 1000.0).clamp(0.0, 60.0))
}

pub(crate) fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// From a microsecond to two minutes with three digits; what lies outside counts as the nearest end.
pub(crate) fn latencies() -> Histogram<u64> {
    let histogram = Histogram::new_with_bounds(1, 120_000_000, 3);
    assert!(histogram.is_ok(), "the bounds are constants that a histogram takes");
    histogram.unwrap_or_else(|_| std::process::abort())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_part_is_read_from_the_header() {
        let header = "route;dur=0.010, provider;dur=12.500, store;dur=1.0, total;dur=20.0";
        assert_eq!(provider_part(header), Duration::from_micros(12_500));
        assert_eq!(provider_part("total;dur=1"), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_stall_is_paid_for_by_everybody_who_was_due_in_it() {
        let gate = Arc::new(tokio::sync::Semaphore::new(1));
        let paced = Span { rate: 1000, count: 20 }
            .run(move |due| {
                let gate = gate.clone();
                async move {
                    let _held = gate.acquire().await.map_err(|error| error.to_string())?;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    Ok(due.elapsed())
                }
            })
            .await;
        assert_eq!(paced.latency_us.len(), 20);
        // The last was due 19 ms after the first and had to wait for all 19 before it.
        assert!(paced.latency_us.max() >= 150_000, "{}", paced.latency_us.max());
    }
}
