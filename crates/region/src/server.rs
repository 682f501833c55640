//! The port on which all services answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::protocol::Answer;
use crate::world::World;
use crate::{calls, own};

/// Largest body of a request as sent; see also the limit after decompression.
const LARGEST_BODY: usize = 2 * 1024 * 1024;

/// Connections at a time: a controller, a demo, a user's tools and their
/// connection pools need a few dozen.
const MOST_CONNECTIONS: usize = 512;

/// How long a client may take to send the head of a request. Idle connections
/// end with it as well: longer than the pools of the SDKs keep theirs (90 s),
/// so that a connection is never closed under a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(300);

/// Pause after a failed accept, as when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the world stops, then lets requests in flight finish.
pub(crate) async fn run(world: Arc<World>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = tokio::select! {
            () = world.stop.cancelled() => return,
            place = places.clone().acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = world.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let this = world.clone();
                world.tasks.spawn(async move {
                    connection(this, stream).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                world.options.clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(world: Arc<World>, stream: TcpStream) {
    // Answers are written whole; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let this = world.clone();
    let service = service_fn(move |request| answer(this.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = world.stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn answer(world: Arc<World>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let message =
                format!("the body could not be read or is larger than {LARGEST_BODY} bytes: {error}");
            return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
    };
    if parts.uri.path().starts_with(own::PREFIX) {
        return Ok(own::serve(&world, &parts, &body));
    }
    // On a task of its own: a client that goes away must not stop a call
    // between storing a change and showing it.
    let this = world.clone();
    let called = world.tasks.spawn(async move { calls::serve(&this, parts, body).await });
    Ok(called.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a call failed");
        plain(StatusCode::INTERNAL_SERVER_ERROR, "the call failed inside the region".into())
    }))
}

pub(crate) fn plain(status: StatusCode, message: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(message)));
    *answer.status_mut() = status;
    answer
}
