//! Below the API: requests with two readings, too much of them, too slow ones, too many.

use super::{Call, books, count, good_charge};
use crate::world::{Wishes, World};
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn address(world: &World) -> SocketAddr {
    world.daemon.as_ref().unwrap().public_addr
}

/// Sends bytes and answers all that comes back until the server closes.
async fn ask(at: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    // The server may answer and close before it has read everything.
    stream.write_all(bytes).await.ok();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "no end of the answer to {:.80}", String::from_utf8_lossy(bytes));
    String::from_utf8_lossy(&answer).into_owned()
}

/// How many requests were answered.
fn answers(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("HTTP/1.1 ") || line.contains("}HTTP/1.1 ")).count()
}

/// A rightly signed create as it goes over the wire, with other lines in its head.
fn raw(call: &Call, line: &str, more: &str) -> String {
    let body = String::from_utf8(call.body.clone()).unwrap();
    let head = format!("Host: t\r\nConnection: close\r\nContent-Type: application/json\r\n{more}");
    format!("{line} HTTP/1.1\r\n{head}Authorization: {}\r\n\r\n{body}", call.authorization())
}

#[tokio::test]
async fn a_request_that_two_servers_could_read_in_two_ways_is_refused() {
    let world = World::start().await;
    let at = address(&world);
    let before = books(&world).await;
    let call = Call::open(&world, good_charge());
    let length = format!("Content-Length: {}\r\n", call.body.len());
    let line = "POST /v1/charges";
    let rows = [
        (line, format!("{length}Transfer-Encoding: chunked\r\n")),
        (line, format!("Transfer-Encoding: chunked\r\n{length}")),
        (line, format!("{length}Transfer-Encoding: identity\r\n")),
        (line, format!("{length}Transfer-Encoding: xchunked\r\n")),
        (line, format!("{length}Content-Length: 0\r\n")),
        (line, "Content-Length: 1, 2\r\n".to_owned()),
        (line, "Content-Length: +5\r\n".to_owned()),
        (line, "Content-Length: 0x5\r\n".to_owned()),
        (line, format!("{length}Transfer-Encoding : chunked\r\n")),
        (line, format!("{length}X: a\r\n Transfer-Encoding: chunked\r\n")),
        (line, format!("{length}X: a\u{0}b\r\n")),
        (line, format!("{length}Host: other\r\n")),
        ("POST http://t/v1/charges", length.clone()),
        ("POST https://other.example/v1/charges", length.clone()),
        ("CONNECT t:443", length.clone()),
        ("POST  /v1/charges", length.clone()),
        ("P(ST /v1/charges", length.clone()),
        ("POST /v1/charges /v1", length.clone()),
    ];
    for (line, more) in rows {
        let answer = ask(at, raw(&call, line, &more).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{line} {more:?} -> {answer}");
        assert_eq!(answers(&answer), 1, "{line} {more:?} -> {answer}");
    }
    // What hides behind the body is never a request of its own.
    let hidden = format!("0\r\n\r\n{}", raw(&call, line, &length));
    for head in [
        format!(
            "POST /callbacks/wechat-main HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
            hidden.len()
        ),
        "POST /callbacks/wechat-main HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
    ] {
        let answer = ask(at, format!("{head}{hidden}").as_bytes()).await;
        assert!(answers(&answer) == 1 && !answer.contains(" 201 "), "{head:?} -> {answer}");
    }
    assert_eq!(books(&world).await, before);
    let answer = ask(at, raw(&call, line, &length).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

#[tokio::test]
async fn a_huge_head_costs_nothing_and_stops_nobody() {
    let world = World::start().await;
    let at = address(&world);
    let many = (0..100_000).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    let long = format!("X: {}\r\n", "a".repeat(5_000_000));
    let path = format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "a".repeat(1_000_000));
    let rows =
        [format!("GET /openapi.json HTTP/1.1\r\nHost: t\r\n{many}\r\n"), format!("GET / HTTP/1.1\r\n{long}\r\n"), path];
    for bytes in rows {
        let answer = ask(at, bytes.as_bytes()).await;
        // Its answer may be lost in the reset that follows unread bytes.
        let status = answer.split(' ').nth(1).unwrap_or("reset");
        assert!(["431", "414", "400", "reset"].contains(&status), "{:.40} -> {answer:.200}", bytes);
        assert_eq!(Call::open(&world, good_charge()).send(&world).await.status, 201);
    }
}

#[tokio::test]
async fn slow_callers_hold_up_nobody_else() {
    let world = World::start().await;
    let at = address(&world);
    let mut slow = Vec::new();
    for n in 0..300 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let part: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET /v1/charges HTTP/1.1\r\nHost: t\r\nX-A",
            _ => b"POST /v1/charges HTTP/1.1\r\nHost: t\r\nContent-Length: 60000\r\n\r\n{",
        };
        stream.write_all(part).await.unwrap();
        slow.push(stream);
    }
    for _ in 0..2 {
        let call = Call::open(&world, good_charge());
        let answer = tokio::time::timeout(Duration::from_secs(2), call.send(&world)).await;
        assert_eq!(answer.expect("slow callers held up another").status, 201);
        for stream in &mut slow {
            stream.write_all(b"a").await.unwrap();
        }
    }
    drop(slow);
}

#[tokio::test]
async fn a_merchant_over_its_rate_is_told_so_and_a_forger_uses_up_nothing() {
    let usual = "rate_limit = { per_second = 1000, burst = 1000 }";
    let instead = vec![(usual, "rate_limit = { per_second = 1, burst = 3 }".to_owned())];
    let world = World::with(Wishes { instead, ..Wishes::default() }).await;
    let list = || Call::new(&world, "GET", "/v1/charges?limit=1", "");
    let forged = (0..20).map(|_| async { Call { key: b"guess".to_vec(), ..list() }.send(&world).await.status });
    assert!(join_all(forged).await.iter().all(|status| *status == 401));
    let answers = join_all((0..30).map(|_| async { list().send(&world).await })).await;
    assert!(answers.iter().any(|answer| answer.status == 200), "the forger used up the budget");
    let over: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!over.is_empty());
    for answer in &over {
        assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limited"), "{}", answer.text);
        let text = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        assert!(text("retry-after").parse::<u64>().unwrap() >= 1);
        assert!(text("ratelimit").contains("r=0"), "{}", text("ratelimit"));
        assert!(text("ratelimit-policy").contains("q=3"), "{}", text("ratelimit-policy"));
    }
    let series = "tongdao_rate_limited_total{policy=\"merchant\"}";
    assert_eq!(count(&world, series).await, u64::try_from(over.len()).unwrap());
    let other = Call { key_id: "key_other".into(), key: super::OTHER_KEY.into(), ..list() };
    assert_eq!(other.send(&world).await.status, 200, "another merchant has its own budget");
}

#[tokio::test]
async fn a_wrong_method_or_path_reaches_nothing() {
    let world = World::start().await;
    let before = books(&world).await;
    let rows = [
        ("DELETE", "/v1/charges", 405, "method_not_allowed"),
        ("PUT", "/v1/charges", 405, "method_not_allowed"),
        ("GET", "/callbacks/wechat-main", 405, "method_not_allowed"),
        ("POST", "/callbacks/nobody", 404, "not_found"),
        ("POST", "/callbacks/..%2Fwechat-main", 404, "not_found"),
        ("GET", "/admin/v1/charges", 404, "not_found"),
        ("GET", "/metrics", 404, "not_found"),
        ("GET", "/v2/charges", 404, "not_found"),
        ("GET", "/v1/charges/%00", 404, "not_found"),
        ("GET", "/v1/charges/%ff%fe", 404, "not_found"),
    ];
    for (method, target, status, code) in rows {
        let answer = Call::new(&world, method, target, "").send(&world).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {target}: {}", answer.text);
    }
    assert_eq!(books(&world).await, before);
    assert_eq!(Call::open(&world, good_charge()).send(&world).await.status, 201);
}
