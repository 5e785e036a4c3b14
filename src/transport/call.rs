//! One call to a provider: its deadline, its size, its backup address, its duration.
//!
//! Invariant: one deadline spans connection, reply and body, the backup address included. What a call's outcome is
//! worth is counted by who reads the reply; here only how long it took is known.

use super::HttpTransport;
use super::exact;
use super::file;
use super::sending::{MaybeSent, NotSent, TransportError, classify};
use crate::clock::Stopwatch;
use crate::ports::{Download, Downloaded, Operation};
use jiff::fmt::rfc2822::DateTimeParser;
use std::time::Duration;
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::{HttpCall, HttpReply, Method};
use tongdao_core::time::UnixMillis;

/// The largest reply to anything but a statement.
const REPLY_BYTES_MAX: usize = 1 << 20;
/// The largest statement file.
const STATEMENT_BYTES_MAX: usize = 32 << 20;

static DATE: DateTimeParser = DateTimeParser::new();

impl HttpTransport {
    /// Sends a call that was admitted.
    pub(super) async fn call_provider(
        &self,
        channel: &ChannelId,
        operation: Operation,
        call: HttpCall,
        deadline: Duration,
    ) -> Result<HttpReply, TransportError> {
        let in_flight = self.metrics.call_started(channel);
        let watch = Stopwatch::start();
        let limit = reply_bytes_max(operation);
        let mut result = self.send_once(&call, &call.url, deadline, limit).await;
        if let (Err(TransportError::NotSent(NotSent::Refused)), Some(backup)) = (&result, &call.backup_url) {
            let left = deadline.saturating_sub(watch.elapsed());
            tracing::warn!(%channel, operation = operation.as_str(), "connection refused: trying the backup address");
            result = self.send_once(&call, backup, left, limit).await;
        }
        drop(in_flight);
        self.metrics.call_took(channel, operation, watch.elapsed());
        match &result {
            Ok(reply) => self.note_clock(channel, reply),
            Err(error) => {
                tracing::info!(%channel, operation = operation.as_str(), %error, "a call has no reply");
            }
        }
        result
    }

    async fn send_once(
        &self,
        call: &HttpCall,
        url: &str,
        deadline: Duration,
        limit: usize,
    ) -> Result<HttpReply, TransportError> {
        let built = exact::request(&self.providers, method_of(call), url, &call.headers, call.body.clone());
        let (request, mark) = built.map_err(TransportError::NotSent)?;
        let exchange = async {
            let mut response = self.providers.execute(request).await.map_err(|error| classify(&error, &mark))?;
            let body = read_body(&mut response, limit).await?;
            Ok(HttpReply { status: response.status().as_u16(), headers: headers_of(&response), body })
        };
        match tokio::time::timeout(deadline, exchange).await {
            Ok(result) => result,
            Err(_) if mark.give_up() => Err(TransportError::NotSent(NotSent::Late)),
            Err(_) => Err(TransportError::MaybeSent(MaybeSent::Late)),
        }
    }

    /// Fetches a file that was admitted.
    pub(super) async fn fetch_file(
        &self,
        channel: &ChannelId,
        download: &Download,
    ) -> Result<Downloaded, TransportError> {
        let in_flight = self.metrics.call_started(channel);
        let watch = Stopwatch::start();
        let result = self.fetch_within(download).await;
        drop(in_flight);
        self.metrics.call_took(channel, Operation::Statement, watch.elapsed());
        match &result {
            Ok(Downloaded::Whole { bytes }) => tracing::debug!(%channel, bytes, "a file came whole"),
            Ok(Downloaded::Refused { status }) => tracing::info!(%channel, status, "a file was refused"),
            Ok(Downloaded::Unfit(why)) => tracing::warn!(%channel, why, "a file was not taken"),
            Err(error) => tracing::info!(%channel, %error, "a file did not come"),
        }
        result
    }

    async fn fetch_within(&self, download: &Download) -> Result<Downloaded, TransportError> {
        let Download { call, to, bytes_max, deadline } = download;
        let built = exact::request(&self.providers, method_of(call), &call.url, &call.headers, call.body.clone());
        let (request, mark) = built.map_err(TransportError::NotSent)?;
        let exchange = async {
            let response = self.providers.execute(request).await.map_err(|error| classify(&error, &mark))?;
            match response.status().as_u16() {
                200 => file::fill(response, to, *bytes_max).await,
                status => Ok(Downloaded::Refused { status }),
            }
        };
        match tokio::time::timeout(*deadline, exchange).await {
            Ok(result) => result,
            Err(_) if mark.give_up() => Err(TransportError::NotSent(NotSent::Late)),
            Err(_) => Err(TransportError::MaybeSent(MaybeSent::Late)),
        }
    }

    /// Their clock minus ours, from a header that every provider sends; freshness checks hang on it.
    fn note_clock(&self, channel: &ChannelId, reply: &HttpReply) {
        if let Some(theirs) = reply.header("date").and_then(read_date) {
            self.metrics.clock_offset(channel, theirs.since_ms(self.clock.now()));
        }
    }
}

const fn method_of(call: &HttpCall) -> reqwest::Method {
    match call.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
    }
}

fn read_date(text: &str) -> Option<UnixMillis> {
    DATE.parse_timestamp(text).ok().map(|moment| UnixMillis(moment.as_millisecond()))
}

const fn reply_bytes_max(operation: Operation) -> usize {
    match operation {
        Operation::Statement => STATEMENT_BYTES_MAX,
        Operation::Create
        | Operation::Query
        | Operation::Close
        | Operation::Refund
        | Operation::RefundQuery
        | Operation::Keys => REPLY_BYTES_MAX,
    }
}

/// The whole body; a reply has begun, so the request was sent.
async fn read_body(response: &mut reqwest::Response, limit: usize) -> Result<Vec<u8>, TransportError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| TransportError::MaybeSent(MaybeSent::Broken))? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(TransportError::MaybeSent(MaybeSent::TooLarge));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(super) fn headers_of(response: &reqwest::Response) -> Vec<(String, String)> {
    let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
