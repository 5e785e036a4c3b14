//! Sends the providers' callbacks: at once, then again by the provider's own schedule until the merchant acknowledges.
//! Each sending is built and signed afresh; what was sent and answered is kept for tests. Guards: no event is announced
//! without an entry here; an unacknowledged callback is repeated to the end of the schedule. Must not know: its content.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::faults::{DrawnCallback, Operation, Scope};
use crate::ledger::OrderKey;
use crate::options::ProviderName;
use crate::wire::{Event, OutgoingCallback, Sending, Twist};
use crate::world::World;

/// A merchant must answer within this, or the sending counts as failed (wechatpay.md 3.4).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const RECORDS_MAX: usize = 20_000;
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// One sending of a callback, as kept for tests and people.
#[derive(Clone, Debug, Serialize)]
pub struct CallbackView {
    /// The provider.
    pub provider: ProviderName,
    /// `mchid`, `app_id` or `merId`.
    pub account: String,
    /// The order's number, or the refund's.
    pub number: String,
    /// `paid`, `closed` or `refunded`.
    pub event: &'static str,
    /// 1 for the first sending.
    pub sending: u64,
    /// Where to.
    pub url: String,
    /// Unix ms.
    pub sent_at: i64,
    /// HTTP status of the answer; none when lost or unanswered.
    pub status: Option<u16>,
    /// Whether the answer ended the retries.
    pub acknowledged: bool,
}

/// A signed callback that its holder sends.
#[derive(Clone, Debug)]
pub struct PreparedCallback {
    /// Where to.
    pub url: String,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its other headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// The sender and its records.
#[derive(Debug)]
pub(crate) struct Callbacks {
    client: reqwest::Client,
    records: Mutex<VecDeque<CallbackView>>,
    sent: tokio::sync::watch::Sender<u64>,
}

impl Callbacks {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client =
            reqwest::Client::builder().timeout(ANSWER_TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy();
        Ok(Self {
            client: client.build()?,
            records: Mutex::new(VecDeque::new()),
            sent: tokio::sync::watch::Sender::new(0),
        })
    }

    /// Everything sent so far, oldest first.
    pub(crate) fn records(&self) -> Vec<CallbackView> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn keep(&self, record: CallbackView) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= RECORDS_MAX {
            records.pop_front();
        }
        records.push_back(record);
        drop(records);
        self.sent.send_modify(|count| *count = count.wrapping_add(1));
    }

    async fn post(&self, callback: OutgoingCallback) -> Option<(u16, Vec<u8>)> {
        let mut request =
            self.client.post(&callback.url).header("content-type", callback.content_type).body(callback.body);
        for (name, value) in callback.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let mut body = response.bytes().await.ok()?.to_vec();
        body.truncate(ANSWER_BYTES_MAX);
        Some((status, body))
    }
}

/// Tells the merchant of an event, in the background, until it is acknowledged or the schedule ends.
pub(crate) fn announce(world: &Arc<World>, event: Event) {
    let scope = place(&event);
    let scope = Scope { provider: scope.0, account: &scope.1, operation: Operation::Callback };
    let drawn = world.faults.draw_callback(&scope, world.now());
    let copies = if drawn.doubled { 2 } else { 1 };
    let id = format!("{:016x}{:016x}", world.dice.roll(), world.dice.roll());
    for _ in 0..copies {
        let delivery =
            Delivery { world: world.clone(), event: event.clone(), id: id.clone(), announced_at: world.now(), drawn };
        world.spawn(delivery.run());
    }
}

/// The callback of a payment that nobody was told of, signed now and not sent; none when no address was given.
pub(crate) fn prepare(world: &World, key: &OrderKey) -> Option<PreparedCallback> {
    let event = Event::Paid(key.clone());
    let id = format!("{:016x}{:016x}", world.dice.roll(), world.dice.roll());
    let sending = Sending { id: &id, event: &event, announced_at: world.now(), twist: Twist::default() };
    let written = world.wire(key.provider).callback(world, &sending)?;
    let OutgoingCallback { url, content_type, headers, body } = written;
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Some(PreparedCallback { url, content_type, headers, body })
}

/// Announces the payment of a paid order once more; false when it is not paid.
pub(crate) fn resend(world: &Arc<World>, key: &OrderKey) -> bool {
    let paid = world.ledger.read(|book| book.order(key).is_some_and(|order| order.payment.is_some()));
    if paid {
        announce(world, Event::Paid(key.clone()));
    }
    paid
}

/// Waits until the event was sent once, at most as long as a merchant may take to answer.
pub(crate) async fn first_sending(world: &World, event: &Event) {
    let mut sent = world.callbacks.sent.subscribe();
    let (provider, account) = place(event);
    let (name, number) = label(event);
    let wait = sent.wait_for(|_| {
        let records = world.callbacks.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().any(|record| {
            record.provider == provider && record.account == account && record.event == name && record.number == number
        })
    });
    if tokio::time::timeout(ANSWER_TIMEOUT, wait).await.is_err() {
        tracing::debug!(number, "no callback was sent before the reply");
    }
}

/// One event on its way to one merchant.
struct Delivery {
    world: Arc<World>,
    event: Event,
    id: String,
    announced_at: i64,
    drawn: DrawnCallback,
}

impl Delivery {
    async fn run(self) {
        tokio::time::sleep(Duration::from_millis(self.drawn.delay_ms)).await;
        let waits = self.world.wire(place(&self.event).0).retry_waits_s();
        let mut sending = 1;
        if self.send(sending).await {
            return;
        }
        for wait_s in waits {
            self.world.provider_seconds(*wait_s).await;
            sending += 1;
            if self.send(sending).await {
                return;
            }
        }
        tracing::warn!(number = label(&self.event).1, "a callback was never acknowledged");
    }

    /// One sending; true ends the retries.
    async fn send(&self, sending: u64) -> bool {
        let (provider, account) = place(&self.event);
        let wire = self.world.wire(provider);
        let mut twist = self.drawn.twist;
        // Probes with a garbage signature are followed by the properly signed callback (wechatpay.md 2.3).
        twist.bad_signature &= sending == 1;
        let content = Sending { id: &self.id, event: &self.event, announced_at: self.announced_at, twist };
        let Some(callback) = wire.callback(&self.world, &content) else {
            return true;
        };
        let scope = Scope { provider, account: &account, operation: Operation::Callback };
        let lost = self.world.faults.loses(&scope, &self.world.dice, self.world.now());
        let (sent_at, url) = (self.world.now(), callback.url.clone());
        let answer = if lost { None } else { self.world.callbacks.post(callback).await };
        let acknowledged = answer.as_ref().is_some_and(|(status, body)| wire.acknowledged(*status, body));
        let (event, number) = label(&self.event);
        let status = answer.map(|(status, _)| status);
        self.world.callbacks.keep(CallbackView {
            provider,
            account: account.clone(),
            number: number.to_owned(),
            event,
            sending,
            url,
            sent_at,
            status,
            acknowledged,
        });
        acknowledged
    }
}

fn place(event: &Event) -> (ProviderName, String) {
    match event {
        Event::Paid(key) | Event::Closed(key) => (key.provider, key.account.clone()),
        Event::Refunded(key) => (key.provider, key.account.clone()),
    }
}

fn label(event: &Event) -> (&'static str, &str) {
    match event {
        Event::Paid(key) => ("paid", &key.order_no),
        Event::Closed(key) => ("closed", &key.order_no),
        Event::Refunded(key) => ("refunded", &key.refund_no),
    }
}
