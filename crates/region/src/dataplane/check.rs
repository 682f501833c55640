//! Asking a target how it is.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Request, Uri};

use super::body::Upload;
use super::health::CheckOutcome;
use super::topology::{HealthCheck, Target};
use super::upstream::Connection;
use crate::clock::Clock;

/// How the health checks of an Application Load Balancer name themselves.
const CHECKER: HeaderValue = HeaderValue::from_static("ELB-HealthChecker/2.0");

/// One check, on a connection of its own.
pub(super) async fn check(target: Target, settings: &HealthCheck, clock: &Arc<dyn Clock>) -> CheckOutcome {
    let address = SocketAddr::new(target.ip, settings.port.unwrap_or(target.port));
    tokio::select! {
        outcome = ask(address, settings, &**clock) => outcome,
        () = clock.sleep(settings.timeout) => CheckOutcome::TimedOut,
    }
}

async fn ask(address: SocketAddr, settings: &HealthCheck, clock: &dyn Clock) -> CheckOutcome {
    let Some(request) = request(address, &settings.path) else { return CheckOutcome::Failed };
    let Ok(mut connection) = Connection::open(address, clock).await else { return CheckOutcome::Failed };
    match connection.send(request, || false).await {
        Some(Ok(answer)) if settings.matcher.contains(answer.status().as_u16()) => CheckOutcome::Passed,
        Some(Ok(answer)) => CheckOutcome::WrongCode(answer.status().as_u16()),
        Some(Err(_)) | None => CheckOutcome::Failed,
    }
}

/// `None` for a path that is none.
fn request(address: SocketAddr, path: &str) -> Option<Request<Upload>> {
    let mut request = Request::new(Upload::Empty);
    *request.uri_mut() = path.parse::<Uri>().ok()?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::try_from(address.to_string()).ok()?);
    headers.insert(USER_AGENT, CHECKER);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Some(request)
}
