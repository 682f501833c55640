//! `/healthz`, `/readyz` and `/metrics` over plain HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Connections at a time: a scraper and a few probes.
const CONNECTIONS_MAX: usize = 64;
/// Time to send a request's head.
const HEAD_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// Format of Prometheus' text.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether this process is ready to work: it has reached the management API.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says so.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Answers probes and scrapes until `stop` is cancelled.
///
/// # Errors
/// When the listener fails, which ends it.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = accepted?;
        // Beyond the limit a connection is closed rather than kept waiting.
        let Ok(permit) = connections.clone().try_acquire_owned() else { continue };
        let (metrics, readiness, stop) = (metrics.clone(), readiness.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(stream, peer, metrics, readiness) => {}
            }
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, metrics: Arc<Metrics>, readiness: Readiness) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &metrics, &readiness);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%peer, %error, "a probe's connection ended early");
    }
}

fn answer(method: &Method, path: &str, metrics: &Metrics, readiness: &Readiness) -> Response<Full<Bytes>> {
    let text = |status: StatusCode, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response
    };
    if method != Method::GET && method != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match path {
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if readiness.get() => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "the API server was not reached yet\n".to_owned()),
        "/metrics" => {
            let mut response = text(StatusCode::OK, metrics.text());
            let value = http::HeaderValue::from_static(METRICS_TYPE);
            response.headers_mut().insert(http::header::CONTENT_TYPE, value);
            response
        }
        _ => text(StatusCode::NOT_FOUND, "not found\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, path: &str, readiness: &Readiness) -> u16 {
        answer(&method, path, &Metrics::new(), readiness).status().as_u16()
    }

    #[test]
    fn a_process_is_alive_before_it_is_ready() {
        let readiness = Readiness::default();
        assert_eq!(status(Method::GET, "/healthz", &readiness), 200);
        assert_eq!(status(Method::GET, "/readyz", &readiness), 503);
        readiness.set(true);
        assert_eq!(status(Method::GET, "/readyz", &readiness), 200);
        assert_eq!(status(Method::GET, "/", &readiness), 404);
        assert_eq!(status(Method::POST, "/healthz", &readiness), 405);
    }
}
