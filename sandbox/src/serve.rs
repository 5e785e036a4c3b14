//! Sockets and the fault gate every provider answer passes.
//! `listen` serves a router on its own socket and closes it for as long as a whole provider refuses connections; `answer`
//! runs a handler's work under the fault drawn for it. Guards: "before commit" faults never run the work, "after commit"
//! faults always do. Must not know: how a provider words an error (the caller brings `refusal`).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::faults::{Drawn, FaultKind, Scope};
use crate::options::ProviderName;
use crate::world::World;

/// How often a refusing socket looks whether its fault has run out.
const REFUSAL_CHECK: Duration = Duration::from_millis(20);
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Binds a socket and serves the router on it until the sandbox stops; answers the address bound.
pub(crate) async fn listen(
    world: &Arc<World>,
    provider: Option<ProviderName>,
    address: SocketAddr,
    router: Router,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let server = Server { world: world.clone(), provider, bound, router };
    world.spawn(server.run(listener));
    Ok(bound)
}

/// Runs a handler's work under the fault drawn for its scope. `refusal` words the provider's own errors.
pub(crate) async fn answer(
    world: &World,
    scope: &Scope<'_>,
    refusal: impl FnOnce(FaultKind) -> Response<Body>,
    work: impl FnOnce(&Drawn) -> Response<Body>,
) -> Response<Body> {
    let drawn = world.faults.draw(scope, &world.dice, world.now());
    if drawn.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(drawn.latency_ms)).await;
    }
    let Some(kind) = drawn.kind else {
        return work(&drawn);
    };
    let hang = Duration::from_millis(drawn.hang_ms);
    match kind {
        FaultKind::RefuseConnection => cut(),
        FaultKind::HangBeforeCommit => {
            tokio::time::sleep(hang).await;
            cut()
        }
        FaultKind::HangAfterCommit => {
            drop(work(&drawn));
            tokio::time::sleep(hang).await;
            cut()
        }
        FaultKind::ErrorAfterCommit => {
            drop(work(&drawn));
            refusal(kind)
        }
        FaultKind::Html502 => proxy_page(),
        FaultKind::Truncated => truncated(work(&drawn)).await,
        FaultKind::Congested
        | FaultKind::ServerError
        | FaultKind::Declined
        | FaultKind::NoAuth
        | FaultKind::NotEnough
        | FaultKind::Accepted => refusal(kind),
        FaultKind::BadSignature | FaultKind::NotFoundLag | FaultKind::PaidMeanwhile => work(&drawn),
    }
}

/// Marks an answer that is never written: the connection is cut instead.
#[derive(Clone, Copy, Debug)]
struct CutMark;

/// An answer that cuts the connection without a byte.
pub(crate) fn cut() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(CutMark);
    response
}

/// Reads a whole request body of at most 1 MiB.
pub(crate) async fn body_of(body: Body) -> Option<Vec<u8>> {
    axum::body::to_bytes(body, 1 << 20).await.ok().map(|bytes| bytes.to_vec())
}

fn proxy_page() -> Response<Body> {
    let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html"));
    response
}

async fn truncated(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let mut bytes = axum::body::to_bytes(body, usize::MAX).await.map(|bytes| bytes.to_vec()).unwrap_or_default();
    bytes.truncate(bytes.len() / 2);
    Response::from_parts(head, Body::from(bytes))
}

/// One socket of one provider (or of the control server, which has none and no faults).
struct Server {
    world: Arc<World>,
    provider: Option<ProviderName>,
    bound: SocketAddr,
    router: Router,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        let mut listening = Some(listener);
        let mut changes = self.world.faults.changes();
        loop {
            if self.refuses() {
                listening = None;
                tokio::time::sleep(REFUSAL_CHECK).await;
                continue;
            }
            let Some(listener) = listening.as_ref() else {
                listening = self.bind_again().await;
                continue;
            };
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        self.take(stream);
                    }
                }
                _ = changes.changed() => {}
            }
        }
    }

    fn refuses(&self) -> bool {
        self.provider.is_some_and(|provider| self.world.faults.refuses(provider, self.world.now()))
    }

    async fn bind_again(&self) -> Option<TcpListener> {
        let bound = TcpListener::bind(self.bound).await;
        if bound.is_err() {
            tokio::time::sleep(REFUSAL_CHECK).await;
        }
        bound.ok()
    }

    fn take(&self, stream: TcpStream) {
        let (world, provider, router) = (self.world.clone(), self.provider, self.router.clone());
        self.world.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| reply(router.clone(), request));
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let mut changes = world.faults.changes();
            loop {
                tokio::select! {
                    ended = connection.as_mut() => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "sandbox connection ended");
                        }
                        return;
                    }
                    _ = changes.changed() => {
                        if provider.is_some_and(|provider| world.faults.refuses(provider, world.now())) {
                            return;
                        }
                    }
                }
            }
        });
    }
}

/// The connection was cut by a fault.
#[derive(Debug, thiserror::Error)]
#[error("connection cut by a fault")]
struct Cut;

async fn reply(router: Router, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let answered: Result<Response<Body>, Infallible> = router.oneshot(request.map(Body::new)).await;
    let Ok(response) = answered;
    if response.extensions().get::<CutMark>().is_some() { Err(Cut) } else { Ok(response) }
}
