//! Serves a router on a TCP or Unix socket, within bounds that a hostile peer cannot stretch.
//!
//! Invariants: at most `CONNECTIONS_MAX` connections are open on a listener, each has 10 s for a request's head and no
//! more than some 64 KiB or 100 lines of it are read, so slow or huge peers cost a fixed sum. On stop no new connection
//! is taken, requests in flight are answered, and idle connections close at once.

mod head_watch;

use self::head_watch::Watched;
use crate::tasks::Tasks;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

/// Connections open at once on one listener.
pub const CONNECTIONS_MAX: usize = 1024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_LINES_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// A failing accept (no file descriptors left) is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where requests come from.
enum Listener {
    Tcp(TcpListener),
    /// Its mode says who may call.
    Unix(UnixListener),
}

/// Who is at the other end; `None` on a Unix socket. An address proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub Option<SocketAddr>);

/// Marks a request whose head states its length twice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ambiguous;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

impl Listener {
    async fn accept(&self) -> io::Result<(Box<dyn Socket>, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Peer(Some(from))))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer(None)))
            }
        }
    }
}

/// Serves a TCP port until the tasks are told to stop. Connections are tasks of the same set, so its `stop` waits for
/// them.
pub fn serve(listener: TcpListener, router: Router, tasks: &Tasks) {
    tasks.spawn("listener", accept_all(Listener::Tcp(listener), router, tasks.clone()));
}

/// Serves a Unix socket in the same way.
pub fn serve_unix(listener: UnixListener, router: Router, tasks: &Tasks) {
    tasks.spawn("socket", accept_all(Listener::Unix(listener), router, tasks.clone()));
}

async fn accept_all(listener: Listener, router: Router, tasks: Tasks) {
    let open = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = tasks.stopped() => return,
            accepted = accept(&listener, &open) => accepted,
        };
        let Some((socket, peer, permit)) = accepted else { continue };
        let connection = connection(socket, peer, router.clone(), tasks.clone());
        tasks.spawn("connection", async move {
            connection.await;
            drop(permit);
        });
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &Listener, open: &Arc<Semaphore>) -> Option<(Box<dyn Socket>, Peer, OwnedSemaphorePermit)> {
    let permit = open.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((socket, peer)) => Some((socket, peer, permit)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(socket: Box<dyn Socket>, peer: Peer, router: Router, tasks: Tasks) {
    let (socket, two_lengths) = Watched::new(socket);
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        if two_lengths.seen() {
            request.extensions_mut().insert(Ambiguous);
        }
        router.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEAD_LINES_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = tasks.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    fn router() -> Router {
        Router::new()
            .route(
                "/slow",
                get(|| async {
                    tokio::time::sleep(Duration::from_millis(150)).await;
                    "slow"
                }),
            )
            .route(
                "/peer",
                get(|request: Request| async move {
                    let peer = request.extensions().get::<Peer>().copied();
                    peer.map_or("none", |peer| if peer.0.is_some() { "tcp" } else { "unix" })
                }),
            )
            .route("/echo", post(|body: String| async move { body }))
    }

    async fn start() -> (SocketAddr, Tasks) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, tasks) = (listener.local_addr().unwrap(), Tasks::new());
        serve(listener, router(), &tasks);
        (at, tasks)
    }

    async fn ask(at: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        // The server may answer and close before it has read everything.
        stream.write_all(bytes).await.ok();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "no end of the answer to {} bytes", bytes.len());
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn a_request_in_flight_is_answered_while_the_server_stops() {
        let (at, tasks) = start().await;
        let asked = ask(at, b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n");
        let stopped = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            tasks.stop(Duration::from_secs(2)).await
        };
        let (answer, in_time) = tokio::join!(asked, stopped);
        assert!(answer.ends_with("slow") && in_time, "{answer}");
        assert!(TcpStream::connect(at).await.is_err(), "nothing listens any more");
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_hold_up_the_stop() {
        let (at, tasks) = start().await;
        let idle = TcpStream::connect(at).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(tasks.stop(Duration::from_secs(1)).await);
        drop(idle);
    }

    #[tokio::test]
    async fn what_is_no_http_or_too_much_of_it_is_refused() {
        let (at, tasks) = start().await;
        let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
        let huge = "a".repeat(1_000_000);
        let rows = [
            ("GET /slow\u{1} HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(), " 400 "),
            ("GET /slow HTTP/1.1\r\nHost: t\r\nX: a\u{0}b\r\n\r\n".to_owned(), " 400 "),
            ("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(), " 400 "),
            ("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), " 400 "),
            (format!("GET /slow HTTP/1.1\r\nHost: t\r\n{many}\r\n"), " 431 "),
            (format!("GET /slow HTTP/1.1\r\nHost: t\r\nX: {huge}\r\n\r\n"), " 431 "),
        ];
        for (bytes, status) in rows {
            let answer = ask(at, bytes.as_bytes()).await;
            // A reset in the middle of a huge head is a refusal too.
            let refused = answer.is_empty() && bytes.len() > HEAD_BYTES_MAX;
            assert!(refused || answer.lines().next().unwrap_or_default().contains(status), "{bytes:.80} -> {answer}");
        }
        assert!(tasks.stop(Duration::from_secs(1)).await);
    }

    #[tokio::test]
    async fn a_unix_socket_serves_the_same_router() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let tasks = Tasks::new();
        let listener = UnixListener::bind(&path).unwrap();
        serve_unix(listener, router(), &tasks);
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"GET /peer HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("unix"), "{answer}");
        assert!(tasks.stop(Duration::from_secs(1)).await);
    }
}
