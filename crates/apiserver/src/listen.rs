//! TLS listeners (spec/apiserver.md 2).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::router;
use crate::tls::{self, CertificateError};

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
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(self.clone().connection(stream, graceful.watcher()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.api.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        tokio::select! {
            () = graceful.shutdown() => {}
            () = self.api.clock.sleep(DRAIN) => tracing::warn!("requests were cut off at the stop of a listener"),
        }
    }

    async fn connection(self, stream: TcpStream, watcher: hyper_util::server::graceful::Watcher) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection could not be set up");
        }
        let shaken = tokio::select! {
            shaken = self.acceptor.accept(stream) => shaken,
            () = self.api.clock.sleep(HANDSHAKE) => return,
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
        let service = service_fn(move |request| {
            let (api, peer, stop) = (self.api.clone(), peer.clone(), self.stop.clone());
            async move { Ok::<_, Infallible>(router::answer(api, peer, stop, request).await) }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).max_buf_size(HEADER_BYTES as usize);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADER_BYTES);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection.into_owned()).await {
            tracing::debug!(%error, "a connection ended badly");
        }
    }
}
