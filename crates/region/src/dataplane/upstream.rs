//! Connections to targets.
//!
//! A connection is a value: whoever holds it also drives it, in the task of
//! the client that waits for it. Nothing is handed from task to task for a
//! request, and a connection in a pool costs no task. The price is that
//! nobody watches a pooled connection: it is looked at when it is taken, and
//! once a second by [`Pool::sweep`].

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::{DownloadError, Upload};
use super::client::Client;
use super::shard::{SHARDS, shard};
use super::target::InFlight;
use crate::clock::Clock;

/// Idle connections kept for a target, by each of the [`SHARDS`]: as many as
/// a rehearsal has clients; a busier target gets new ones.
const IDLE_PER_SHARD: usize = 64;
/// How long one is kept unused: below the 75 s at which common servers close.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// How long a target may take to accept (an Application Load Balancer: 10 s).
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of an answer, in bytes (an Application Load Balancer: 32 K);
/// over it, 502.
const MAX_ANSWER_HEAD: usize = 32 * 1024;

/// A connection to a target, held by one request or by the pool.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Upload>,
    driver: Driver,
    reused: bool,
    idle_since: Duration,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(super) struct SendFailure {
    /// The request, if not a byte of it was written.
    pub(super) unsent: Option<Request<Upload>>,
    /// The cause.
    pub(super) error: hyper::Error,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(address: SocketAddr, clock: &dyn Clock) -> io::Result<Box<Self>> {
        let connect = async || -> io::Result<_> {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut builder = http1::Builder::new();
            let handshake = builder.max_header_size(MAX_ANSWER_HEAD).handshake(TokioIo::new(stream));
            let (sender, driver) = handshake.await.map_err(io::Error::other)?;
            Ok((sender, driver))
        };
        let (sender, driver) = tokio::select! {
            connected = connect() => connected?,
            () = clock.sleep(CONNECT_TIMEOUT) => return Err(io::ErrorKind::TimedOut.into()),
        };
        let driver = Driver { connection: driver, ended: false };
        Ok(Box::new(Self { sender, driver, reused: false, idle_since: Duration::ZERO }))
    }

    /// Whether it has served a request before, so that its end may have passed
    /// our request on the way.
    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Sends a request and waits for the head of the answer, or for
    /// `interrupted` to be true when this task is woken.
    pub(super) async fn send(
        &mut self,
        request: Request<Upload>,
        interrupted: impl Fn() -> bool,
    ) -> Option<Result<Response<Incoming>, SendFailure>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        poll_fn(|cx| {
            driver.poll(cx);
            match answer.as_mut().poll(cx) {
                Poll::Ready(Ok(answer)) => Poll::Ready(Some(Ok(answer))),
                Poll::Ready(Err(mut failure)) => {
                    let unsent = failure.take_message();
                    Poll::Ready(Some(Err(SendFailure { unsent, error: failure.into_error() })))
                }
                Poll::Pending if interrupted() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// The stream of a connection that has changed its protocol, and what the
    /// target has already said in the new one.
    pub(super) async fn into_stream(mut self) -> (TcpStream, Bytes) {
        poll_fn(|cx| {
            self.driver.poll(cx);
            if self.driver.ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = self.driver.connection.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }

    /// Whether it is open and has nothing left to do.
    fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        self.driver.poll(cx);
        !self.driver.ended && self.sender.is_ready()
    }
}

/// What moves the bytes of a connection.
#[derive(Debug)]
struct Driver {
    connection: http1::Connection<TokioIo<TcpStream>, Upload>,
    /// A future that has ended must not be polled again.
    ended: bool,
}

impl Driver {
    /// Moves what can be moved. An error reaches whoever waits for the answer.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut self.connection).poll(cx).is_ready();
        }
    }
}

/// Idle connections, the last used one last; boxed, since a connection is large
/// and goes in and out for every request.
type Idle = Vec<Box<Connection>>;

/// Idle connections to one target.
#[derive(Debug)]
pub(super) struct Pool {
    shards: [Mutex<Idle>; SHARDS],
    /// Set when the target leaves: nothing is taken or kept any more.
    closed: AtomicBool,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), closed: AtomicBool::new(false) }
    }

    /// An idle connection that is still open, the last used first; other
    /// threads' ones only when this thread has none.
    pub(super) async fn take(&self) -> Option<Box<Connection>> {
        poll_fn(|cx| Poll::Ready(self.take_now(cx))).await
    }

    fn take_now(&self, cx: &mut Context<'_>) -> Option<Box<Connection>> {
        let first = shard();
        for offset in 0..SHARDS {
            // Popped before it is looked at: no lock is held while it is driven.
            while let Some(mut connection) = self.pop((first + offset) % SHARDS) {
                if connection.is_idle(cx) {
                    connection.reused = true;
                    return Some(connection);
                }
            }
        }
        None
    }

    fn pop(&self, shard: usize) -> Option<Box<Connection>> {
        lock(&self.shards[shard]).pop()
    }

    /// Keeps a connection that has nothing left to do.
    fn put(&self, mut connection: Box<Connection>, now: Duration) {
        connection.idle_since = now;
        let mut idle = lock(&self.shards[shard()]);
        if idle.len() < IDLE_PER_SHARD && !self.closed.load(Ordering::SeqCst) {
            idle.push(connection);
        }
    }

    /// Closes what the target has closed or nobody has used for long.
    pub(super) fn sweep(&self, now: Duration) {
        let mut cx = Context::from_waker(Waker::noop());
        for shard in &self.shards {
            lock(shard).retain_mut(|connection| {
                now.saturating_sub(connection.idle_since) < IDLE_TIME && connection.is_idle(&mut cx)
            });
        }
    }

    /// Closes all and keeps none from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for shard in &self.shards {
            lock(shard).clear();
        }
    }

    /// Keeps connections again: the target has come back.
    pub(super) fn reopen(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }
}

fn lock(shard: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The body of a target's answer, with all that it holds until its end.
#[derive(Debug)]
pub(super) struct Download {
    body: Incoming,
    lease: Option<Lease>,
}

/// What an answer holds: the connection that it comes from and its place among
/// the target's requests in flight.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) connection: Box<Connection>,
    pub(super) in_flight: InFlight,
    pub(super) client: Arc<Client>,
}

impl Lease {
    /// Gives the connection back if the answer left it in order.
    fn end(mut self, cx: &mut Context<'_>) {
        if self.connection.is_idle(cx) {
            self.in_flight.target().pool().put(self.connection, self.client.monotonic());
        }
    }
}

impl Download {
    /// Takes over an answer whose head has come.
    pub(super) async fn new(body: Incoming, lease: Lease) -> Self {
        let mut lease = Some(lease);
        if body.is_end_stream() {
            poll_fn(|cx| {
                if let Some(lease) = lease.take() {
                    lease.end(cx);
                }
                Poll::Ready(())
            })
            .await;
        }
        Self { body, lease }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending()
            && let Some(lease) = &mut self.lease
        {
            if lease.in_flight.target().is_expired() {
                self.lease = None;
                return Poll::Ready(Some(Err(DownloadError::Deregistered)));
            }
            lease.connection.driver.poll(cx);
            polled = Pin::new(&mut self.body).poll_frame(cx);
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(lease) = &self.lease {
                    lease.client.touch();
                }
                if self.body.is_end_stream() {
                    self.finish(cx);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.finish(cx);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                self.lease = None;
                Poll::Ready(Some(Err(DownloadError::Target(error))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn finish(&mut self, cx: &mut Context<'_>) {
        if let Some(lease) = self.lease.take() {
            lease.end(cx);
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
