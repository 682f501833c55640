//! Backends that do what a test needs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::topology::Target;

type Reply = Response<BoxBody<Bytes, hyper::Error>>;

/// A backend on a port of its own, until it is dropped.
pub(super) struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
    stopped: CancellationToken,
}

struct Shared {
    name: String,
    health: AtomicU16,
    checks: watch::Sender<usize>,
    /// Requests that wait at `/gate`.
    waiting: watch::Sender<usize>,
    open: watch::Sender<bool>,
    connections: AtomicUsize,
    /// Closes a connection after so many answers, without a word; 0 never.
    close_after: usize,
}

impl Backend {
    pub(super) async fn start(name: &str) -> Self {
        Self::closing_after(name, 0).await
    }

    pub(super) async fn closing_after(name: &str, answers: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            name: name.into(),
            health: AtomicU16::new(200),
            checks: watch::Sender::new(0),
            waiting: watch::Sender::new(0),
            open: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
            close_after: answers,
        });
        let stopped = CancellationToken::new();
        let accept = accept(listener, Arc::clone(&shared), stopped.clone());
        tokio::spawn(stopped.clone().run_until_cancelled_owned(accept));
        Self { address, shared, stopped }
    }

    /// A backend that answers every connection with these bytes and closes it.
    pub(super) async fn saying(bytes: &'static [u8]) -> Self {
        let backend = Self::start("raw").await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(bytes).await;
            }
        };
        tokio::spawn(backend.stopped.clone().run_until_cancelled_owned(answer));
        backend.at(address)
    }

    /// The same backend, said to be elsewhere.
    pub(super) fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    pub(super) fn target(&self) -> Target {
        Target { ip: self.address.ip(), port: self.address.port() }
    }

    pub(super) fn answer_checks_with(&self, code: u16) {
        self.shared.health.store(code, Ordering::SeqCst);
    }

    pub(super) fn checks(&self) -> usize {
        *self.shared.checks.borrow()
    }

    pub(super) async fn wait_for_checks(&self, count: usize) {
        let mut checks = self.shared.checks.subscribe();
        let reached = checks.wait_for(|seen| *seen >= count);
        tokio::time::timeout(super::BOUND, reached).await.expect("not checked").unwrap();
    }

    /// Waits until so many requests stand at `/gate`.
    pub(super) async fn wait_for_requests(&self, count: usize) {
        let mut waiting = self.shared.waiting.subscribe();
        let reached = waiting.wait_for(|seen| *seen >= count);
        tokio::time::timeout(super::BOUND, reached).await.expect("no request").unwrap();
    }

    pub(super) fn open_gate(&self) {
        self.shared.open.send_replace(true);
    }

    /// Connections accepted so far, checks included.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stopped: CancellationToken) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let connection = connection(stream, Arc::clone(&shared));
        tokio::spawn(stopped.clone().run_until_cancelled_owned(connection));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let answered = Arc::new(AtomicUsize::new(0));
    let service = service_fn(|request| {
        let (shared, answered) = (Arc::clone(&shared), Arc::clone(&answered));
        async move {
            let reply = answer(&shared, request).await;
            answered.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(reply)
        }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    // Ends between two polls, so after an answer is written and perhaps just as
    // the next request is on its way: the race that kept connections have.
    std::future::poll_fn(|cx| {
        let polled = serving.as_mut().poll(cx);
        let enough = shared.close_after > 0 && answered.load(Ordering::SeqCst) >= shared.close_after;
        if polled.is_ready() || enough { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

async fn answer(shared: &Arc<Shared>, mut request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    let mut reply = match path.as_str() {
        "/healthz" => {
            shared.checks.send_modify(|checks| *checks += 1);
            let mut reply = text(String::new());
            *reply.status_mut() = StatusCode::from_u16(shared.health.load(Ordering::SeqCst)).unwrap();
            reply
        }
        "/gate" => {
            shared.waiting.send_modify(|waiting| *waiting += 1);
            shared.open.subscribe().wait_for(|open| *open).await.unwrap();
            text("through".into())
        }
        "/half" => half(shared),
        "/echo" => Response::new(request.into_body().boxed()),
        "/big" => big(),
        "/upgrade" => upgrade(&mut request),
        "/fail" => {
            let mut reply = text("failed".into());
            *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            reply
        }
        _ => text(format!("{} {}\n{:#?}", request.method(), request.uri(), request.headers())),
    };
    reply.headers_mut().insert("x-backend", shared.name.parse().unwrap());
    reply
}

fn text(text: String) -> Reply {
    Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed())
}

/// Bytes of the answer to `/big`.
pub(super) const BIG: usize = 64 * 1024 * 1024;

fn big() -> Reply {
    const PIECE: usize = 64 * 1024;
    let pieces = (0..BIG / PIECE).map(|_| Ok(Frame::data(Bytes::from_static(&[b'x'; PIECE]))));
    Response::new(BodyExt::boxed(StreamBody::new(futures::stream::iter(pieces))))
}

/// One piece at once, another when the gate opens.
fn half(shared: &Arc<Shared>) -> Reply {
    let shared = Arc::clone(shared);
    let pieces = futures::stream::unfold(0, move |place| {
        let shared = Arc::clone(&shared);
        async move {
            if place == 1 {
                shared.waiting.send_modify(|waiting| *waiting += 1);
                shared.open.subscribe().wait_for(|open| *open).await.unwrap();
            }
            (place < 2).then(|| (Ok(Frame::data(Bytes::from_static(b"half"))), place + 1))
        }
    });
    Response::new(BodyExt::boxed(StreamBody::new(pieces)))
}

/// Greets in the new protocol, then says back in capitals what it hears.
fn upgrade(request: &mut Request<Incoming>) -> Reply {
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgraded.await.unwrap());
        stream.write_all(b"hello ").await.unwrap();
        let mut heard = [0; 1024];
        while let Ok(count @ 1..) = stream.read(&mut heard).await {
            stream.write_all(&heard[..count].to_ascii_uppercase()).await.unwrap();
        }
    });
    let mut reply = text(String::new());
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    reply.headers_mut().insert("connection", "upgrade".parse().unwrap());
    reply.headers_mut().insert("upgrade", "capitals".parse().unwrap());
    reply
}
