//! Calls with a limit on everything: time, size, redirects, addresses.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::answer::Answer;
use super::connector::{Connector, Resolver, SystemResolver};
use super::proxy::Proxies;
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

/// The client of all providers. Connections are pooled by server and by whether its certificate is
/// checked; credentials belong to calls, never to connections.
#[derive(Debug, Clone)]
pub struct Client {
    pools: Arc<Pools>,
    proxies: Proxies,
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
    /// A client that connects to what the policy allows, without a proxy.
    pub fn new(policy: AddressPolicy) -> Self {
        Self::with(policy, Arc::new(SystemResolver), Proxies::none(), &[])
    }

    /// The same with the proxies of the operator.
    pub fn through(policy: AddressPolicy, proxies: Proxies) -> Self {
        Self::with(policy, Arc::new(SystemResolver), proxies, &[])
    }

    /// The same with its own resolver and, if there are any, root certificates instead of those of
    /// the machine.
    pub fn with(
        policy: AddressPolicy,
        resolver: Arc<dyn Resolver>,
        proxies: Proxies,
        roots: &[CertificateDer<'static>],
    ) -> Self {
        let policy = Arc::new(policy);
        let pair = |config: &ClientConfig| {
            let pool = |origin| {
                let (resolver, policy, proxies) = (resolver.clone(), policy.clone(), proxies.clone());
                pool(config.clone(), Connector { resolver, policy, proxies, origin })
            };
            PoolPair { template: pool(Origin::Template), redirect: pool(Origin::Redirect) }
        };
        let pools = Pools { verified: pair(&tls::verified(roots)), unverified: pair(&tls::unverified()) };
        Self { pools: Arc::new(pools), proxies }
    }

    /// Whether an address can be called, as far as its text says.
    pub(crate) fn check_url(text: &str) -> Result<(), ProviderError> {
        url::parse(text).map(|_| ()).map_err(|error| ProviderError::new(error.to_string()))
    }

    /// An address as a message may show it: without user and password.
    pub(crate) fn without_user(text: &str) -> String {
        url::without_user_text(text)
    }

    /// An address as it is sent, for what is signed.
    pub(crate) fn sent_url(text: &str) -> Result<String, ProviderError> {
        let target = url::parse(text).map_err(|error| ProviderError::new(error.to_string()))?;
        Ok(target.uri.to_string())
    }

    /// Makes a call and reads its whole answer, whatever its status.
    pub(crate) async fn call(&self, call: &Call) -> Result<Answer, ProviderError> {
        match tokio::time::timeout(call.timeout, self.follow(call)).await {
            Ok(answer) => answer,
            Err(_) => {
                let seconds = call.timeout.as_secs_f64();
                let error = ProviderError::new(format!("no complete answer within {seconds} s"));
                Err(error.passing(Duration::ZERO))
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
            *request.headers_mut() = self.sent_headers(&headers, &target.uri);
            let answer = self.pool(call.insecure, origin).request(request).await;
            let (parts, stream) = answer.map_err(failed)?.into_parts();
            let has_body = !body.is_empty();
            let next = redirect::next(&target.uri, &method, &headers, has_body, parts.status, &parts.headers)
                .map_err(ProviderError::new)?;
            // Also the body of a redirect is read, or its connection could not be used again.
            let read = read(stream).await?;
            let Some(next) = next else {
                return Ok(Answer { status: parts.status, headers: parts.headers, body: read });
            };
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

    /// A proxy that is asked in the open learns who asks; one that only carries bytes is told when
    /// the connection is made.
    fn sent_headers(&self, headers: &HeaderMap, uri: &http::Uri) -> HeaderMap {
        let mut headers = headers.clone();
        if uri.scheme_str() == Some("http") {
            let authorization = self.proxies.of(uri).and_then(|proxy| proxy.authorization);
            headers.extend(authorization.map(|authorization| (PROXY_AUTHORIZATION, authorization)));
        }
        headers
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

/// A server that cannot be reached may be reached later, unless it is okra that refuses to.
fn failed(error: legacy::Error) -> ProviderError {
    let refused = forbidden(&error);
    let failed = ProviderError::caused_by("request failed", error);
    if refused { failed } else { failed.passing(Duration::ZERO) }
}

fn forbidden(error: &legacy::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<crate::address::Refusal>() || error.is::<rustls::Error>() {
            return true;
        }
        // An error of the system hides what it was made of behind its own sources.
        if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && (inner.is::<crate::address::Refusal>() || inner.is::<rustls::Error>())
        {
            return true;
        }
        cause = error.source();
    }
    false
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
