//! TLS listeners (spec/apiserver.md 2).

use std::convert::Infallible;
use std::fmt::Display;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulConnection;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::router;
use crate::tls::{self, CertificateError};
use crate::usage::{Held, Usage};

/// Streams of one HTTP/2 connection: client-go sends everything over one, and
/// a program with many informers holds one stream for each (spec/apiserver.md 2.1).
const STREAMS: u32 = 1_000;

/// Bytes of request headers (spec/apiserver.md 18); HTTP/1.1 also buffers no
/// more of a body than this.
const HEADER_BYTES: u32 = 64 * 1_024;

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long requests may take to end when a listener stops.
const DRAIN: Duration = Duration::from_secs(20);

/// Connections at once; each costs some tens of kilobytes before anybody has
/// proved who it is. Further ones wait with the system until one ends.
const CONNECTIONS: usize = 2_000;

/// How long a client may take from the handshake to its first question: until
/// then nobody knows who it is.
const FIRST: Duration = Duration::from_secs(10);

/// A connection on which nothing is asked any more for so long is closed, at the latest
/// after twice that time; upstream's server waits as long.
const IDLE: Duration = Duration::from_secs(90);

/// How long a connection on which nothing is open may take to end.
const GOODBYE: Duration = Duration::from_secs(5);

/// How often the other end of an HTTP/2 connection is asked whether it still
/// lives: half-open connections hold watches.
const PING: Duration = Duration::from_secs(30);

/// How long the answer to that may take.
const PONG: Duration = Duration::from_secs(20);

/// Bytes of one HTTP/2 stream that wait for their client: a thousand watches
/// that nobody reads must not fill the memory.
const STREAM_BYTES: usize = 64 * 1_024;

/// The pause after an accept that failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a listener could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener has no address.
    #[error("the listener cannot be used")]
    Listener(#[source] std::io::Error),
    /// The serving certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A listener being served.
pub struct Serving {
    local_address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Serving {
    pub(crate) fn start(
        api: Arc<Api>,
        listener: TcpListener,
        acceptor: TlsAcceptor,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, ServeError> {
        let local_address = listener.local_addr().map_err(ServeError::Listener)?;
        let stop = api.stopping.child_token();
        let front = Front { api, acceptor, verifier, stop: stop.clone() };
        let task = tokio::spawn(front.accept(listener));
        Ok(Self { local_address, stop, task })
    }

    /// The address that clients reach.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Stops accepting, ends this listener's watches and waits for its requests.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a listener ended badly");
        }
    }
}

#[derive(Clone)]
struct Front {
    api: Arc<Api>,
    acceptor: TlsAcceptor,
    verifier: Arc<dyn ClientCertVerifier>,
    stop: CancellationToken,
}

impl Front {
    async fn accept(self, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                accepted = accept(&listener, &room) => accepted,
            };
            match accepted {
                Ok((stream, place)) => {
                    let front = self.clone();
                    connections.spawn(async move {
                        front.connection(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.api.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        connections.close();
        tokio::select! {
            () = connections.wait() => {}
            () = self.api.clock.sleep(DRAIN) => tracing::warn!("requests were cut off at the stop of a listener"),
        }
    }

    async fn connection(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection could not be set up");
        }
        let shaken = tokio::select! {
            shaken = self.acceptor.accept(stream) => shaken,
            () = self.api.clock.sleep(HANDSHAKE) => return,
            () = self.stop.cancelled() => return,
        };
        let stream = match shaken {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                return;
            }
        };
        let certificates = stream.get_ref().1.peer_certificates();
        let peer = tls::peer(&*self.verifier, certificates, self.api.clock.now());
        let usage = Arc::new(Usage::default());
        let (api, stop, counted) = (self.api.clone(), self.stop.clone(), usage.clone());
        let service = service_fn(move |request| {
            let (api, peer, stop, open) = (api.clone(), peer.clone(), stop.clone(), counted.begin());
            async move {
                let answer = router::answer(api, peer, stop, request).await;
                Ok::<_, Infallible>(answer.map(|body| Held::new(body, open)))
            }
        });
        let builder = protocols();
        let connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        self.drive(connection, &usage).await;
    }

    /// Runs a connection until it ends, the listener stops, or nothing was asked on it for long.
    async fn drive<C>(&self, mut connection: Pin<&mut C>, usage: &Usage)
    where
        C: GracefulConnection,
        C::Error: Display,
    {
        let mut done = tokio::select! {
            done = connection.as_mut() => Some(done),
            () = self.stop.cancelled() => None,
            () = usage.idle(&*self.api.clock, FIRST, IDLE) => None,
        };
        if done.is_none() {
            connection.as_mut().graceful_shutdown();
            done = tokio::select! {
                done = connection => Some(done),
                () = usage.idle(&*self.api.clock, GOODBYE, GOODBYE) => None,
            };
        }
        if let Some(Err(error)) = done {
            tracing::debug!(%error, "a connection ended badly");
        }
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = room.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

fn protocols() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).max_buf_size(HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .max_send_buf_size(STREAM_BYTES)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder
}
