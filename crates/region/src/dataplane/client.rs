//! A client's connection.
//!
//! One timer watches each connection, not one each request: it sleeps for the
//! idle timeout and, when it wakes, looks when a byte last moved.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::exchange::{self, MAX_HEAD};
use super::plane::Plane;
use super::statistics::Counter;
use crate::clock::Clock;

/// What requests, timer and the data plane share of one client connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    /// The listener it came through.
    pub(super) listener: SocketAddr,
    /// `X-Forwarded-For` and `-Port` of its requests.
    pub(super) forwarded: (HeaderValue, HeaderValue),
    clock: Arc<dyn Clock>,
    /// When a byte last moved, in microseconds of the monotonic clock.
    last_active: AtomicU64,
    /// A request waits for the head of a target's answer.
    waiting: AtomicBool,
    /// The body of the request is not yet whole.
    uploading: AtomicBool,
    /// The wait was too long.
    timed_out: AtomicBool,
    /// No further request is taken.
    closing: AtomicBool,
    /// Nothing is finished any more.
    aborted: AtomicBool,
    waker: AtomicWaker,
}

impl Client {
    fn new(peer: SocketAddr, listener: SocketAddr, clock: Arc<dyn Clock>) -> Self {
        let header =
            |text: String| HeaderValue::try_from(text).expect("addresses and ports are header values");
        let client = Self {
            peer,
            listener,
            forwarded: (header(peer.ip().to_canonical().to_string()), header(listener.port().to_string())),
            clock,
            last_active: AtomicU64::new(0),
            waiting: AtomicBool::new(false),
            uploading: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        };
        client.touch();
        client
    }

    pub(super) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// A byte has moved.
    pub(super) fn touch(&self) {
        self.last_active.store(micros(self.monotonic()), Ordering::Relaxed);
    }

    /// How long no byte has moved.
    pub(super) fn idle(&self) -> Duration {
        let last = Duration::from_micros(self.last_active.load(Ordering::Relaxed));
        self.monotonic().saturating_sub(last)
    }

    pub(super) fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
        self.timed_out.store(false, Ordering::Relaxed);
    }

    pub(super) fn set_uploading(&self, uploading: bool) {
        self.uploading.store(uploading, Ordering::Relaxed);
    }

    pub(super) fn is_uploading(&self) -> bool {
        self.uploading.load(Ordering::Relaxed)
    }

    pub(super) fn is_timed_out(&self) -> bool {
        self.timed_out.load(Ordering::Relaxed)
    }

    /// Looks at its flags again: a target has expired, say.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// Ends after the request in flight.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Ends at once.
    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    /// What the timer does when it wakes: sleep on for as long as returned, or
    /// end the connection.
    fn look(&self, idle_timeout: Duration) -> Option<Duration> {
        let idle = self.idle();
        if idle < idle_timeout {
            return Some(idle_timeout - idle);
        }
        // The request gets its answer, 504 or 408, and with it a byte moves.
        let first = !self.timed_out.swap(true, Ordering::Relaxed);
        (self.waiting.load(Ordering::Relaxed) && first).then_some(idle_timeout)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Serves one connection until it ends.
pub(super) async fn serve(plane: Arc<Plane>, stream: TcpStream, peer: SocketAddr, listener: SocketAddr) {
    // An error means that the peer has gone already; reading will find out.
    let _ = stream.set_nodelay(true);
    let client = Arc::new(Client::new(peer, listener, Arc::clone(&plane.clock)));
    let Some(_registration) = plane.clients.register(&client) else {
        plane.count(listener, Counter::RejectedConnections);
        return;
    };
    plane.count(listener, Counter::NewConnections);
    if !plane.serves(listener) {
        // It ended between accepting and registering, so nobody will say so.
        client.close();
    }
    let service = service_fn({
        let (plane, client) = (Arc::clone(&plane), Arc::clone(&client));
        move |request| exchange::serve(Arc::clone(&plane), Arc::clone(&client), request)
    });
    let io = TokioIo::new(Watched { stream, client: Arc::clone(&client) });
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut timer = plane.clock.sleep(plane.idle_timeout(listener));
    let mut closing = false;
    let ended = poll_fn(|cx| {
        client.waker.register(cx.waker());
        if client.aborted.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        if !closing && client.closing.load(Ordering::SeqCst) {
            closing = true;
            connection.as_mut().graceful_shutdown();
        }
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match client.look(plane.idle_timeout(listener)) {
                Some(longer) => timer = plane.clock.sleep(longer),
                None => return Poll::Ready(Ok(())),
            }
        }
    })
    .await;
    if ended.is_err_and(|error| error.is_parse()) {
        plane.count(listener, Counter::Elb4xx);
    }
}

/// A client's stream that tells when bytes move.
struct Watched {
    stream: TcpStream,
    client: Arc<Client>,
}

impl Watched {
    fn moved(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(polled, Poll::Ready(Ok(count)) if count > 0) {
            self.client.touch();
        }
        polled
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.client.touch();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.moved(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.moved(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
