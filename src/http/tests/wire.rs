//! The listener on a real socket: what must not be read in two ways, and answers that go on the wire whole.

use super::world::World;
use crate::http::server::serve;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn listen(world: &World) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    serve(listener, world.router.clone(), &world.tasks);
    at
}

async fn ask(at: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "no end of the answer to {:.60}", String::from_utf8_lossy(bytes));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_answered_with_400() {
    let world = World::start().await;
    let at = listen(&world).await;
    let close = "Host: t\r\nConnection: close\r\n";
    let rows = [
        format!("GET http://t/v1/charges HTTP/1.1\r\n{close}\r\n"),
        format!("CONNECT t:443 HTTP/1.1\r\n{close}\r\n"),
        format!("GET /openapi.json HTTP/1.1\r\nHost: u\r\n{close}\r\n"),
        format!(
            "POST /callbacks/good HTTP/1.1\r\n{close}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!(
            "POST /callbacks/good HTTP/1.1\r\n{close}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
        ),
        format!("POST /callbacks/good HTTP/1.1\r\n{close}Content-Length: 1, 2\r\n\r\nab"),
        format!("POST /callbacks/good HTTP/1.1\r\n{close}Content-Length: -1\r\n\r\n"),
        format!("GET /openapi.json HTTP/1.1\r\n{close}X: a\r\n b\r\n\r\n"),
        format!("GET /openapi.json HTTP/1.1\r\n{close}X : a\r\n\r\n"),
    ];
    for row in rows {
        let answer = ask(at, row.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{row} -> {answer}");
    }
    // Chunks are taken, and nothing behind them: what follows is not read as a request.
    let smuggled = "POST /callbacks/good HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
                    GET /openapi.json HTTP/1.1\r\nHost: t\r\n\r\n";
    let answer = ask(at, smuggled.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
    assert!(world.tasks.stop(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn an_unfinished_body_holds_up_nobody_else() {
    let world = World::start().await;
    let at = listen(&world).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(b"POST /v1/charges HTTP/1.1\r\nHost: t\r\nContent-Length: 60000\r\n\r\n{").await.unwrap();
        slow.push(stream);
    }
    let answer = ask(at, b"GET /openapi.json HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:.80}");
    drop(slow);
    assert!(world.tasks.stop(Duration::from_secs(1)).await);
}
