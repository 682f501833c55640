//! The application of the demo: an HTTP server that says which version it is.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Header that names the version which answered.
pub const VERSION_HEADER: &str = "x-okra-version";
/// Header of an error that was asked for (`spec/okra.md` 8).
pub const FAULT_HEADER: &str = "x-okra-fault";
/// Path of the health check; it never fails on purpose.
pub const HEALTH_PATH: &str = "/healthz";

/// What a backend answers.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// The version it announces.
    pub version: String,
    /// Percent of requests answered with 500 on purpose, 0 to 100.
    pub fault_percent: u8,
}

/// A running backend; stops when dropped.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Backend {
    /// Starts a backend on a free loopback port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        tokio::spawn(accept(
            listener,
            Arc::new(Application { behaviour, served: AtomicU64::new(0) }),
            stop.clone(),
        ));
        Ok(Self { address, stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Application {
    behaviour: Behaviour,
    served: AtomicU64,
}

impl Application {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from_static(b"ok\n")));
        if let Ok(version) = self.behaviour.version.parse() {
            response.headers_mut().insert(VERSION_HEADER, version);
        }
        if request.uri().path() != HEALTH_PATH && self.is_faulty() {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response.headers_mut().insert(FAULT_HEADER, http::HeaderValue::from_static("injected"));
        }
        response
    }

    /// Spreads the faults evenly: of any hundred requests exactly
    /// `fault_percent` fail, so that a small sample shows the share too.
    fn is_faulty(&self) -> bool {
        let share = u64::from(self.behaviour.fault_percent);
        let before = self.served.fetch_add(1, Ordering::Relaxed);
        (before + 1) * share / 100 != before * share / 100
    }
}

async fn accept(listener: TcpListener, application: Arc<Application>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let Ok((stream, _)) = accepted else { continue };
        // Without this, answers on kept connections wait for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(stream, application.clone(), stop.clone()));
    }
}

async fn serve(stream: tokio::net::TcpStream, application: Arc<Application>, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let response = application.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_share_fails() {
        let behaviour = Behaviour { version: "2.0.0".into(), fault_percent: 20 };
        let application = Application { behaviour, served: AtomicU64::new(0) };
        let failed = (0..1000).filter(|_| application.is_faulty()).count();
        assert_eq!(failed, 200);
        let good = Application {
            behaviour: Behaviour { version: "1.0.0".into(), fault_percent: 0 },
            served: AtomicU64::new(0),
        };
        assert!((0..1000).all(|_| !good.is_faulty()));
    }
}
