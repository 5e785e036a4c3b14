//! Tests of the sender against a server that misbehaves by script.

use super::server::{Script, TestServer, reply};
use super::*;
use crate::clock::SystemClock;
use crate::config::{Env, fake};
use std::net::SocketAddr;
use tongdao_core::provider::Method;

const CONFIG: &str = r#"
[server]
allow_private_webhook_targets = true
environment = "sandbox"

[[channels]]
id = "a"
provider = "fake"
capacity = { max_in_flight = 2, per_second = 1000 }
fake = { account = "1" }
"#;

fn config(text: &str) -> Config {
    Config::read("test.toml", text, &Env::new(), fake::REGISTRY).unwrap()
}

/// A transport whose names all have this address.
fn transport_with(text: &str, address: Option<SocketAddr>) -> (HttpTransport, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new(&[]).unwrap());
    let config = config(text);
    metrics.set_channels(config.channels.iter().map(|channel| (channel.id.clone(), channel.provider_id.clone())));
    let lookup: Lookup = Arc::new(move |_| Box::pin(async move { Ok(address.into_iter().collect()) }));
    let clock = Arc::new(SystemClock::new());
    (HttpTransport::with_lookup(&config, metrics.clone(), clock, lookup).unwrap(), metrics)
}

fn transport() -> HttpTransport {
    transport_with(CONFIG, None).0
}

fn channel() -> ChannelId {
    "a".parse().unwrap()
}

fn post(url: String) -> HttpCall {
    let headers = vec![("content-type".into(), "application/json".into()), ("x-sign".into(), "s1".into())];
    HttpCall { method: Method::Post, url, backup_url: None, headers, body: b"{\"a\":1}".to_vec() }
}

fn get(url: String) -> HttpCall {
    HttpCall { method: Method::Get, url, backup_url: None, headers: Vec::new(), body: Vec::new() }
}

fn webhook(url: String) -> WebhookCall {
    let headers = vec![("webhook-id".into(), "evt_1".into())];
    WebhookCall { url, headers, body: b"{}".to_vec(), deadline: Duration::from_secs(1) }
}

const SOON: Duration = Duration::from_millis(100);
const AMPLE: Duration = Duration::from_secs(2);

async fn create(transport: &HttpTransport, call: HttpCall, deadline: Duration) -> Result<HttpReply, TransportError> {
    transport.send_provider(&channel(), Operation::Create, call, deadline).await
}

/// An address where nobody listens.
async fn refusing() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_call_goes_out_byte_for_byte_and_its_reply_comes_whole() {
    let server = TestServer::answering("{\"code\":0}").await;
    let path = "/v3/x%2Fy?q=%7C&plus=a+b&space=a%20b&low=%e4";
    let reply = create(&transport(), post(server.url(path)), AMPLE).await.unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"{\"code\":0}"[..]));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let request = server.requests().remove(0);
    assert!(request.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{request}");
    assert!(request.contains("x-sign: s1\r\n") && request.contains("content-length: 7\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
    assert!(!request.to_ascii_lowercase().contains("transfer-encoding"), "{request}");
}

#[tokio::test]
async fn a_get_has_no_body_and_no_length() {
    let server = TestServer::answering("{}").await;
    let transport = transport();
    transport.send_provider(&channel(), Operation::Query, get(server.url("/q?a=1")), AMPLE).await.unwrap();
    let request = server.requests().remove(0);
    assert!(request.starts_with("GET /q?a=1 HTTP/1.1\r\n") && !request.contains("content-length"), "{request}");
}

#[tokio::test]
async fn what_was_not_sent_is_told_from_what_may_have_been() {
    let transport = transport();
    let refused = create(&transport, post(refusing().await), AMPLE).await;
    assert_eq!(refused, Err(TransportError::NotSent(NotSent::Refused)));
    let silent = TestServer::start(Script::Silent).await;
    let late = create(&transport, post(silent.url("/")), SOON).await;
    assert_eq!(late, Err(TransportError::MaybeSent(MaybeSent::Late)));
    let plain = TestServer::start(Script::Blurt(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let tls = create(&transport, post(plain.url("/").replace("http:", "https:")), AMPLE).await;
    assert_eq!(tls, Err(TransportError::NotSent(NotSent::Tls)));
    let unnamed = create(&transport, post("http://nothing.invalid/".into()), AMPLE).await;
    assert_eq!(unnamed, Err(TransportError::NotSent(NotSent::Name)));
    let cut =
        TestServer::start(Script::ReplyAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec())).await;
    assert_eq!(create(&transport, post(cut.url("/")), AMPLE).await, Err(TransportError::MaybeSent(MaybeSent::Broken)));
    let closed = TestServer::start(Script::ReplyAndClose(Vec::new())).await;
    assert_eq!(
        create(&transport, post(closed.url("/")), AMPLE).await,
        Err(TransportError::MaybeSent(MaybeSent::Broken))
    );
    let noise = TestServer::start(Script::ReplyAndClose(b"SSH-2.0-x\r\n".to_vec())).await;
    assert_eq!(
        create(&transport, post(noise.url("/")), AMPLE).await,
        Err(TransportError::MaybeSent(MaybeSent::Broken))
    );
    let foreign: ChannelId = "other".parse().unwrap();
    let unknown = transport.send_provider(&foreign, Operation::Create, post(plain.url("/")), AMPLE).await;
    assert_eq!(unknown, Err(TransportError::NotSent(NotSent::UnknownChannel)));
    assert!(plain.requests().is_empty());
}

#[tokio::test]
async fn a_deadline_before_the_connection_proves_that_nothing_was_sent() {
    // A TLS peer that never speaks: the connection stands, the request waits for it.
    let deaf = TestServer::start(Script::Deaf).await;
    let late = create(&transport(), post(deaf.url("/").replace("http:", "https:")), SOON).await;
    assert_eq!(late, Err(TransportError::NotSent(NotSent::Late)));
}

#[tokio::test]
async fn a_dripping_reply_meets_the_total_deadline_and_an_endless_one_the_cap() {
    let transport = transport();
    let drip = TestServer::start(Script::Drip).await;
    assert_eq!(create(&transport, post(drip.url("/")), SOON).await, Err(TransportError::MaybeSent(MaybeSent::Late)));
    let endless = TestServer::start(Script::Endless).await;
    let large = create(&transport, post(endless.url("/")), AMPLE).await;
    assert_eq!(large, Err(TransportError::MaybeSent(MaybeSent::TooLarge)));
}

#[tokio::test]
async fn the_backup_address_is_used_after_a_refused_connection_only() {
    let transport = transport();
    let backup = TestServer::answering("{}").await;
    let mut call = post(refusing().await);
    call.backup_url = Some(backup.url("/v3/backup"));
    assert!(create(&transport, call.clone(), AMPLE).await.is_ok());
    assert!(backup.requests().remove(0).starts_with("POST /v3/backup "));
    let silent = TestServer::start(Script::Silent).await;
    call.url = silent.url("/");
    assert!(create(&transport, call.clone(), SOON).await.is_err());
    call.url = TestServer::start(Script::Deaf).await.url("/").replace("http:", "https:");
    assert!(create(&transport, call, SOON).await.is_err());
    assert_eq!(backup.requests().len(), 1);
}

#[tokio::test]
async fn redirects_are_answers_and_cookies_are_forgotten() {
    let target = TestServer::answering("{}").await;
    let headers = format!("location: {}\r\nset-cookie: a=b\r\n", target.url("/"));
    let server = TestServer::start(Script::Reply(reply("302 Found", &headers, ""))).await;
    let transport = transport();
    for _ in 0..2 {
        assert_eq!(create(&transport, post(server.url("/")), AMPLE).await.unwrap().status, 302);
    }
    assert!(target.requests().is_empty());
    assert!(!server.requests()[1].to_ascii_lowercase().contains("cookie"));
}

#[tokio::test]
async fn calls_past_the_limit_are_refused_without_being_sent() {
    let transport = transport();
    let silent = TestServer::start(Script::Silent).await;
    let call = || create(&transport, post(silent.url("/")), SOON);
    let (first, second, third) = tokio::join!(call(), call(), call());
    assert_eq!(third, Err(TransportError::Limited));
    assert_eq!(
        (first, second),
        (Err(TransportError::MaybeSent(MaybeSent::Late)), Err(TransportError::MaybeSent(MaybeSent::Late)))
    );
    assert_eq!(silent.requests().len(), 2);
    assert!(transport.has_room(&channel()));
    assert_eq!(SendError::from(TransportError::Limited), SendError::Limited);
}

#[tokio::test]
async fn calls_are_measured_and_the_clock_is_compared() {
    let (transport, metrics) = transport_with(CONFIG, None);
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let server = TestServer::start(Script::Reply(reply("200 OK", date, "{}"))).await;
    create(&transport, post(server.url("/")), AMPLE).await.unwrap();
    let silent = TestServer::start(Script::Silent).await;
    create(&transport, post(silent.url("/")), SOON).await.unwrap_err();
    create(&transport, post(refusing().await), SOON).await.unwrap_err();
    transport.measure();
    let text = metrics.render();
    for line in [
        "tongdao_provider_call_duration_seconds_count{channel=\"a\",operation=\"create\"} 3",
        "tongdao_channel_in_flight{channel=\"a\"} 0",
        "tongdao_clock_offset_seconds{channel=\"a\"} -",
    ] {
        assert!(text.contains(line), "{line}");
    }
    assert!(!text.contains("tongdao_channel_limit_used_ratio{channel=\"a\",limit=\"per_second\"} 0\n"));
}

#[tokio::test]
async fn a_webhook_is_sent_once_and_its_answer_is_read_up_to_a_cap() {
    let transport = transport();
    let target = TestServer::answering("{\"status\":\"delivered\"}").await;
    let answer = transport.send_webhook(webhook(target.url("/n?x=1"))).await.unwrap();
    assert_eq!((answer.status, answer.content_type.as_deref()), (200, Some("application/json")));
    assert_eq!(answer.body, b"{\"status\":\"delivered\"}");
    assert!(
        target.requests()[0].starts_with("POST /n?x=1 HTTP/1.1\r\nwebhook-id: evt_1\r\n"),
        "{:?}",
        target.requests()
    );
    let endless = TestServer::start(Script::Endless).await;
    let answer = transport.send_webhook(webhook(endless.url("/"))).await.unwrap();
    assert_eq!(answer.body.len(), 64 << 10);
}

#[tokio::test]
async fn a_webhook_redirect_is_reported_and_not_followed() {
    let target = TestServer::answering("{}").await;
    let location = target.url("/meta-data");
    let moved = reply("301 Moved", &format!("location: {location}\r\n"), "");
    let server = TestServer::start(Script::Reply(moved)).await;
    let answer = transport().send_webhook(webhook(server.url("/"))).await.unwrap();
    assert_eq!((answer.status, answer.location), (301, Some(location)));
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn webhook_failures_say_whether_anything_may_have_arrived() {
    let transport = transport();
    let mut call = webhook(refusing().await);
    assert!(matches!(transport.send_webhook(call.clone()).await, Err(WebhookError::Connect(_))));
    let plain = TestServer::start(Script::Blurt(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    call.url = plain.url("/").replace("http:", "https:");
    assert!(matches!(transport.send_webhook(call.clone()).await, Err(WebhookError::Tls(_))));
    let silent = TestServer::start(Script::Silent).await;
    call.url = silent.url("/");
    call.deadline = SOON;
    assert_eq!(transport.send_webhook(call.clone()).await, Err(WebhookError::Timeout));
    let drip = TestServer::start(Script::Drip).await;
    call.url = drip.url("/");
    assert_eq!(transport.send_webhook(call.clone()).await, Err(WebhookError::Timeout));
    let closed = TestServer::start(Script::ReplyAndClose(Vec::new())).await;
    call.url = closed.url("/");
    assert!(matches!(transport.send_webhook(call.clone()).await, Err(WebhookError::Broken(_))));
    call.url = "http://unnamed.example:9000/".into();
    assert!(matches!(transport.send_webhook(call).await, Err(WebhookError::Connect(_))));
}

#[tokio::test]
async fn a_name_that_turns_private_after_it_was_saved_is_not_dialled() {
    let server = TestServer::answering("{}").await;
    let url = format!("http://shop.example:{}/n", server.address.port());
    // The control: where private targets are allowed the same name reaches the server.
    let (open, _) = transport_with(CONFIG, Some(server.address));
    assert_eq!(open.send_webhook(webhook(url.clone())).await.unwrap().status, 200);
    let guarded_config = CONFIG.replace("allow_private_webhook_targets = true", "");
    let (guarded, _) = transport_with(&guarded_config, Some(server.address));
    let https = url.replace("http:", "https:");
    assert_eq!(check_webhook_url(&https, false), Ok(()));
    let blocked = guarded.send_webhook(webhook(https.clone())).await;
    assert!(matches!(&blocked, Err(WebhookError::Blocked(reason)) if reason.contains("private")), "{blocked:?}");
    for mapped in ["[::ffff:127.0.0.1]:0", "[::1]:0", "169.254.169.254:0", "10.0.0.1:0", "[fd00::1]:0"] {
        let (guarded, _) = transport_with(&guarded_config, Some(mapped.parse().unwrap()));
        let blocked = guarded.send_webhook(webhook(https.clone())).await;
        assert!(matches!(blocked, Err(WebhookError::Blocked(_))), "{mapped}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_reload_closes_the_way_into_the_private_network_at_once() {
    let server = TestServer::answering("{}").await;
    let transport = transport();
    assert!(transport.send_webhook(webhook(server.url("/"))).await.is_ok());
    transport.apply(&config(&CONFIG.replace("allow_private_webhook_targets = true", "")));
    assert!(matches!(transport.send_webhook(webhook(server.url("/"))).await, Err(WebhookError::Blocked(_))));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn errors_never_repeat_what_was_sent() {
    let transport = transport();
    let mut call = post(format!("{}/pay?token=canary-q", refusing().await));
    call.headers.push(("authorization".into(), "canary-h".into()));
    call.body = b"canary-b".to_vec();
    let error = create(&transport, call.clone(), AMPLE).await.unwrap_err();
    call.headers.push(("x".into(), "canary\r\nx: y".into()));
    let header = create(&transport, call, AMPLE).await.unwrap_err();
    assert_eq!(header, TransportError::NotSent(NotSent::BadHeader));
    for shown in [format!("{error} {error:?}"), format!("{header} {header:?}"), SendError::from(error).to_string()] {
        assert!(!shown.contains("canary"), "{shown}");
    }
}

fn file(dir: &tempfile::TempDir, url: String, bytes_max: u64, deadline: Duration) -> Download {
    Download { call: get(url), to: dir.path().join("statement"), bytes_max, deadline }
}

#[tokio::test]
async fn a_file_goes_to_the_disk_whole_and_is_never_written_over() {
    let (dir, transport) = (tempfile::tempdir().unwrap(), transport());
    let server = TestServer::answering("a,b\n1,2\n").await;
    let asked = file(&dir, server.url("/file?token=secret"), 8, AMPLE);
    assert_eq!(transport.fetch(&channel(), &asked).await, Ok(Downloaded::Whole { bytes: 8 }));
    assert_eq!(std::fs::read_to_string(&asked.to).unwrap(), "a,b\n1,2\n");
    let again = transport.fetch(&channel(), &asked).await;
    assert!(matches!(again, Ok(Downloaded::Unfit(_))), "{again:?}");
    assert_eq!(std::fs::read_to_string(&asked.to).unwrap(), "a,b\n1,2\n");
}

#[tokio::test]
async fn half_a_file_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let cut =
        TestServer::start(Script::ReplyAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec())).await;
    let drip = TestServer::start(Script::Drip).await;
    let endless = TestServer::start(Script::Endless).await;
    let moved = TestServer::start(Script::Reply(reply("302 Found", "location: /elsewhere\r\n", ""))).await;
    let asks = [
        (cut.url("/"), AMPLE, Err(TransportError::MaybeSent(MaybeSent::Broken))),
        (drip.url("/"), SOON, Err(TransportError::MaybeSent(MaybeSent::Late))),
        (endless.url("/"), AMPLE, Ok(Downloaded::Unfit("it is larger than 100000 bytes".to_owned()))),
        (moved.url("/"), AMPLE, Ok(Downloaded::Refused { status: 302 })),
    ];
    for (url, deadline, expected) in asks {
        let asked = file(&dir, url.clone(), 100_000, deadline);
        assert_eq!(transport().fetch(&channel(), &asked).await, expected, "{url}");
        assert!(!asked.to.exists(), "{url}");
    }
    assert_eq!(moved.requests().len(), 1, "a redirect was followed");
}
