//! One webhook try: at most 64 KiB of its answer are read, and a redirect is reported, never followed.
//!
//! Invariant: it sends once. Whether to try again, and what an answer means, is the flow's business.

use super::exact;
use super::sending::{MaybeSent, NotSent, TransportError, classify};
use crate::ports::{WebhookAnswer, WebhookCall, WebhookError};
use reqwest::{Client, Response};

/// What is read of an answer; the rest is not waited for.
const ANSWER_BYTES_MAX: usize = 64 << 10;

pub(super) async fn send(client: &Client, call: WebhookCall) -> Result<WebhookAnswer, WebhookError> {
    let url = reqwest::Url::parse(&call.url).map_err(|_| WebhookError::Blocked("is not an absolute URL".into()))?;
    // Unlike a provider's, a merchant's URL is not signed: its normal form is what is sent.
    let built = exact::request(client, reqwest::Method::POST, url.as_str(), &call.headers, call.body);
    let (request, mark) = built.map_err(|reason| webhook_error(TransportError::NotSent(reason)))?;
    let exchange = async {
        let response = client.execute(request).await.map_err(|error| webhook_error(classify(&error, &mark)))?;
        read_answer(response).await
    };
    match tokio::time::timeout(call.deadline, exchange).await {
        Ok(result) => result,
        Err(_) if mark.give_up() => Err(webhook_error(TransportError::NotSent(NotSent::Late))),
        Err(_) => Err(WebhookError::Timeout),
    }
}

async fn read_answer(mut response: Response) -> Result<WebhookAnswer, WebhookError> {
    let text = |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (content_type, location) = (text(reqwest::header::CONTENT_TYPE), text(reqwest::header::LOCATION));
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| broken())? {
        let room = ANSWER_BYTES_MAX.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if chunk.len() >= room {
            break;
        }
    }
    Ok(WebhookAnswer { status, content_type, location, body })
}

fn broken() -> WebhookError {
    WebhookError::Broken(MaybeSent::Broken.to_string())
}

fn webhook_error(error: TransportError) -> WebhookError {
    match error {
        TransportError::NotSent(reason @ NotSent::Tls) => WebhookError::Tls(reason.to_string()),
        TransportError::NotSent(reason @ (NotSent::Private | NotSent::BadUrl)) => {
            WebhookError::Blocked(reason.to_string())
        }
        TransportError::NotSent(
            reason @ (NotSent::UnknownChannel
            | NotSent::BadHeader
            | NotSent::Name
            | NotSent::Refused
            | NotSent::Connect
            | NotSent::Late),
        ) => WebhookError::Connect(reason.to_string()),
        TransportError::Limited => WebhookError::Connect(error.to_string()),
        TransportError::MaybeSent(MaybeSent::Late) => WebhookError::Timeout,
        TransportError::MaybeSent(reason @ (MaybeSent::Broken | MaybeSent::TooLarge)) => {
            WebhookError::Broken(reason.to_string())
        }
    }
}
