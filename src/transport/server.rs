//! A scripted HTTP server on a free port, for tests of what a network does.
//!
//! It records requests byte for byte and answers by script, well or badly; it knows no protocol above HTTP.

use crate::tasks::Tasks;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request it has read.
#[derive(Clone)]
pub(crate) enum Script {
    /// Sends these bytes and keeps the connection.
    Reply(Vec<u8>),
    /// Sends these bytes and closes the connection.
    ReplyAndClose(Vec<u8>),
    /// Reads and never answers.
    Silent,
    /// Sends a head, then a byte every few milliseconds without an end.
    Drip,
    /// Sends a head and then bytes without an end.
    Endless,
    /// Takes the connection and never reads.
    Deaf,
    /// Sends these bytes unasked, whatever comes.
    Blurt(&'static [u8]),
}

/// The server; it stops when dropped with its runtime.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: Tasks,
}

impl TestServer {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let tasks = Tasks::new();
        let (seen, inner) = (requests.clone(), tasks.clone());
        tasks.spawn("test server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                inner.spawn("test connection", serve(stream, script.clone(), seen.clone()));
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    /// A 200 with this body.
    pub(crate) async fn answering(body: &str) -> Self {
        Self::start(Script::Reply(reply("200 OK", "content-type: application/json\r\n", body))).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A whole reply.
pub(crate) fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn serve(mut stream: TcpStream, script: Script, seen: Arc<Mutex<Vec<String>>>) {
    if matches!(script, Script::Deaf) {
        return std::future::pending().await;
    }
    if let Script::Blurt(bytes) = script {
        drop(stream.write_all(bytes).await);
        return drop(stream.read(&mut [0; 512]).await);
    }
    while let Some(request) = read_request(&mut stream).await {
        seen.lock().unwrap().push(request);
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        match &script {
            Script::Reply(bytes) => {
                if stream.write_all(bytes).await.is_err() {
                    return;
                }
            }
            Script::ReplyAndClose(bytes) => return drop(stream.write_all(bytes).await),
            Script::Silent | Script::Deaf | Script::Blurt(_) => return std::future::pending().await,
            Script::Drip => {
                let mut sent = stream.write_all(head).await;
                while sent.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    sent = stream.write_all(b"1\r\nx\r\n").await;
                }
            }
            Script::Endless => {
                let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
                let mut sent = stream.write_all(head).await;
                while sent.is_ok() {
                    sent = stream.write_all(chunk.as_bytes()).await;
                }
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => read.extend_from_slice(&chunk[..count]),
        }
    }
}
