//! Calls with a limit on everything: time, size, redirects, addresses.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::connector::{Connector, Resolver, SystemResolver};
use super::{redirect, tls, url};
use crate::address::{AddressPolicy, Origin};
use crate::provider::ProviderError;

/// Bytes of a body. An answer to a query has some kilobytes.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// Idle connections kept for one server, and for how long: a metric is measured every few seconds
/// to minutes.
const MAX_IDLE_PER_HOST: usize = 4;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

type Pool = legacy::Client<HttpsConnector<Connector>, Full<Bytes>>;

/// A call to be made.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether any certificate is believed.
    pub(crate) insecure: bool,
    /// Time for everything: connecting, redirects, the last byte of the body.
    pub(crate) timeout: Duration,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// The client of all providers. Connections are pooled by server and by whether its certificate is
/// checked; credentials belong to calls, never to connections.
#[derive(Debug, Clone)]
pub struct Client {
    pools: Arc<Pools>,
}

#[derive(Debug)]
struct Pools {
    verified: PoolPair,
    unverified: PoolPair,
}

/// Connections that a redirect led to are kept apart: more addresses are refused to them.
#[derive(Debug)]
struct PoolPair {
    template: Pool,
    redirect: Pool,
}

impl Client {
    /// A client that connects to what the policy allows.
    pub fn new(policy: AddressPolicy) -> Self {
        Self::with(policy, Arc::new(SystemResolver), &[])
    }

    /// The same with its own resolver and, if there are any, root certificates instead of those of
    /// the machine.
    pub fn with(
        policy: AddressPolicy,
        resolver: Arc<dyn Resolver>,
        roots: &[CertificateDer<'static>],
    ) -> Self {
        let policy = Arc::new(policy);
        let pair = |config: &ClientConfig| {
            let pool = |origin| {
                let connector = Connector { resolver: resolver.clone(), policy: policy.clone(), origin };
                pool(config.clone(), connector)
            };
            PoolPair { template: pool(Origin::Template), redirect: pool(Origin::Redirect) }
        };
        let pools = Pools { verified: pair(&tls::verified(roots)), unverified: pair(&tls::unverified()) };
        Self { pools: Arc::new(pools) }
    }

    /// Whether an address can be called, as far as its text says.
    pub(crate) fn check_url(text: &str) -> Result<(), ProviderError> {
        url::parse(text).map(|_| ()).map_err(|error| ProviderError::new(error.to_string()))
    }

    /// Makes a call and reads its whole answer, whatever its status.
    pub(crate) async fn call(&self, call: &Call) -> Result<Answer, ProviderError> {
        match tokio::time::timeout(call.timeout, self.follow(call)).await {
            Ok(answer) => answer,
            Err(_) => {
                let seconds = call.timeout.as_secs_f64();
                Err(ProviderError::new(format!("no complete answer within {seconds} s")))
            }
        }
    }

    async fn follow(&self, call: &Call) -> Result<Answer, ProviderError> {
        let mut target = url::parse(&call.url).map_err(|error| ProviderError::new(error.to_string()))?;
        let mut headers = call.headers.clone();
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("okra"));
        if let Some(authorization) = target.authorization.take() {
            headers.entry(AUTHORIZATION).or_insert(authorization);
        }
        let (mut method, mut body) = (call.method.clone(), call.body.clone());
        let mut origin = Origin::Template;
        for _ in 0..=redirect::MAX_REDIRECTS {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = target.uri.clone();
            *request.headers_mut() = headers.clone();
            let answer = self.pool(call.insecure, origin).request(request).await;
            let (parts, stream) = answer.map_err(failed)?.into_parts();
            let has_body = !body.is_empty();
            let next = redirect::next(&target.uri, &method, &headers, has_body, parts.status, &parts.headers)
                .map_err(ProviderError::new)?;
            // Also the body of a redirect is read, or its connection could not be used again.
            let read = read(stream).await?;
            let Some(next) = next else { return Ok(Answer { status: parts.status, body: read }) };
            if !next.same_origin {
                origin = Origin::Redirect;
            }
            if !next.keep_body {
                body = Bytes::new();
                headers.remove(http::header::CONTENT_TYPE);
            }
            (target, method) = (next.target, next.method);
        }
        Err(ProviderError::new(format!("more than {} redirects", redirect::MAX_REDIRECTS)))
    }

    fn pool(&self, insecure: bool, origin: Origin) -> &Pool {
        let pair = if insecure { &self.pools.unverified } else { &self.pools.verified };
        match origin {
            Origin::Template => &pair.template,
            Origin::Redirect => &pair.redirect,
        }
    }
}

fn pool(config: ClientConfig, connector: Connector) -> Pool {
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .build(https)
}

fn failed(error: legacy::Error) -> ProviderError {
    ProviderError::caused_by("request failed", error)
}

async fn read(body: hyper::body::Incoming) -> Result<Bytes, ProviderError> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ProviderError::new(format!("response body has more than {MAX_BODY_BYTES} bytes")))
        }
        Err(error) => Err(ProviderError::caused_by("response body broke off", error)),
    }
}
