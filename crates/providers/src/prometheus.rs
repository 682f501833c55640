//! The `prometheus` provider, also for what speaks its query API: Thanos, Mimir, VictoriaMetrics,
//! Amazon Managed Prometheus (`spec/analysis.md` 4.1).

mod answer;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use okra_aws::{Region, RequestSigner, Role, SignedRequest, SigningIdentity};
use okra_domain::analysis::parse_duration;
use okra_expr::{Program, TimeProgram};
use serde::Deserialize;

use crate::http::{Answer, Call, Client, form};
use crate::oauth2::{OAuth2, Tokens};
use crate::provider::{Measured, Provider, ProviderError, Request};
use crate::secrets::Secrets;
use crate::settings::{self, Authentication, Header, Sigv4, secret_header, within};

/// Seconds a measurement may take unless the metric says otherwise.
const DEFAULT_TIMEOUT_SECONDS: i64 = 30;

/// What an address must hold for requests to be signed: workspaces of Amazon Managed Prometheus.
const SIGNED_ADDRESSES: &str = "aps-workspaces";

/// The name of that service in signatures.
const SIGNED_SERVICE: &str = "aps";

/// Measures by a PromQL query.
pub struct Prometheus {
    client: Client,
    tokens: Tokens,
    signer: Option<Arc<dyn RequestSigner>>,
    default_address: Option<String>,
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prometheus").field("default_address", &self.default_address).finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings {
    address: String,
    query: String,
    timeout: Option<i64>,
    insecure: bool,
    headers: Vec<Header>,
    authentication: Authentication,
    range_query: Option<RangeQuery>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RangeQuery {
    start: String,
    end: String,
    step: String,
}

/// Settings that have been checked.
struct Query {
    address: String,
    query: String,
    range: Option<Range>,
    timeout: Duration,
    insecure: bool,
    headers: HeaderMap,
    /// What stands behind `Basic`.
    basic: Option<String>,
    oauth2: Option<OAuth2>,
    sigv4: Option<Sigv4>,
}

struct Range {
    start: TimeProgram,
    end: TimeProgram,
    step: SignedDuration,
}

impl Prometheus {
    /// The provider on a client.
    pub fn new(client: Client) -> Self {
        Self { client, tokens: Tokens::default(), signer: None, default_address: None }
    }

    /// The same with a signer for metrics that ask for `sigv4`.
    #[must_use]
    pub fn with_signer(mut self, signer: Arc<dyn RequestSigner>) -> Self {
        self.signer = Some(signer);
        self
    }

    /// The same with an address for metrics that name none.
    #[must_use]
    pub fn with_default_address(mut self, address: Option<String>) -> Self {
        self.default_address = address.filter(|address| !address.is_empty());
        self
    }

    fn query(&self, settings: &serde_json::Value) -> Result<Query, ProviderError> {
        let settings: Settings = settings::read("prometheus", settings)?;
        let address = Some(settings.address).filter(|address| !address.is_empty());
        let address = address.or_else(|| self.default_address.clone()).ok_or_else(|| {
            ProviderError::new("prometheus address is not configured: set prometheus.address")
        })?;
        Client::check_url(&address)?;
        if settings.query.trim().is_empty() {
            return Err(ProviderError::new("query must be set"));
        }
        let basic = settings.authentication.basic()?;
        let oauth2 = settings.authentication.oauth2()?;
        if basic.is_some() && oauth2.is_some() {
            return Err(ProviderError::new("authentication can be basicAuth or oauth2, not both"));
        }
        let signed = address.contains(SIGNED_ADDRESSES);
        let sigv4 = settings.authentication.sigv4().filter(|_| signed).cloned();
        if sigv4.as_ref().is_some_and(|sigv4| sigv4.region.is_empty()) {
            return Err(ProviderError::new("authentication.sigv4 needs a region"));
        }
        if sigv4.is_some() && (basic.is_some() || oauth2.is_some()) {
            return Err(ProviderError::new(
                "a request is signed by sigv4 or has other credentials, not both",
            ));
        }
        if sigv4.is_some() && self.signer.is_none() {
            return Err(ProviderError::new(
                "authentication.sigv4 needs an identity on AWS, and okra has none",
            ));
        }
        Ok(Query {
            address: address.trim_end_matches('/').to_owned(),
            query: settings.query,
            range: settings.range_query.as_ref().map(Range::read).transpose()?,
            timeout: settings::timeout(settings.timeout, DEFAULT_TIMEOUT_SECONDS)?,
            insecure: settings.insecure,
            headers: settings::headers(&settings.headers)?,
            basic,
            oauth2,
            sigv4,
        })
    }

    /// Asks by POST, and by GET where a server knows only that.
    async fn ask(
        &self,
        query: &Query,
        request: &Request<'_>,
        secrets: &Secrets,
    ) -> Result<Answer, ProviderError> {
        let form = form::encoded(&query.fields(request.now)?);
        let url = format!(
            "{}/api/v1/{}",
            query.address,
            if query.range.is_some() { "query_range" } else { "query" }
        );
        let mut headers = query.headers.clone();
        if let Some(authorization) = self.authorization(query, request.now, secrets).await? {
            headers.insert(AUTHORIZATION, authorization);
        }
        let call = |method, url, headers, body| {
            let Query { insecure, timeout, .. } = *query;
            Call { method, url, headers, body, insecure, timeout }
        };
        let mut posted = headers.clone();
        posted.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let post = call(Method::POST, url.clone(), posted, Bytes::from(form.clone()));
        let mut answer = self.client.call(&self.signed(query, post, request.now, secrets).await?).await?;
        if matches!(answer.code(), 405 | 501) {
            let get = call(Method::GET, format!("{url}?{form}"), headers, Bytes::new());
            answer = self.client.call(&self.signed(query, get, request.now, secrets).await?).await?;
        }
        if let (401, Some(oauth2)) = (answer.code(), &query.oauth2) {
            self.tokens.forget(oauth2);
        }
        Ok(answer)
    }

    async fn authorization(
        &self,
        query: &Query,
        now: Timestamp,
        secrets: &Secrets,
    ) -> Result<Option<HeaderValue>, ProviderError> {
        if let Some(oauth2) = &query.oauth2 {
            let Query { insecure, timeout, .. } = *query;
            let asking = self.tokens.header(&self.client, oauth2, insecure, timeout, now, secrets);
            return asking.await.map(Some);
        }
        let Some(basic) = &query.basic else { return Ok(None) };
        secrets.hide(basic);
        let header = secret_header(&format!("Basic {basic}"));
        header.map(Some).ok_or_else(|| ProviderError::new("basicAuth makes no header"))
    }

    /// The call with the headers that AWS wants, if the metric asks for them.
    async fn signed(
        &self,
        query: &Query,
        mut call: Call,
        now: Timestamp,
        secrets: &Secrets,
    ) -> Result<Call, ProviderError> {
        let (Some(sigv4), Some(signer)) = (&query.sigv4, &self.signer) else { return Ok(call) };
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let identity = SigningIdentity {
            region: Region::new(&sigv4.region),
            profile: filled(&sigv4.profile),
            role: filled(&sigv4.role_arn).map(Role::new),
        };
        let url = Client::sent_url(&call.url)?;
        let request = SignedRequest { method: call.method.as_str(), url: &url, body: &call.body };
        let added = signer.sign(&identity, SIGNED_SERVICE, &request, now).await;
        for (name, value) in
            added.map_err(|error| ProviderError::caused_by("request cannot be signed", error))?
        {
            // The session token is a secret; a signature is good for this request alone.
            secrets.hide(&value);
            let name = HeaderName::try_from(name);
            let name = name.map_err(|error| ProviderError::caused_by("signature makes no header", error))?;
            let value =
                secret_header(&value).ok_or_else(|| ProviderError::new("signature makes no header"))?;
            call.headers.insert(name, value);
        }
        Ok(call)
    }
}

#[async_trait]
impl Provider for Prometheus {
    fn check(&self, settings: &serde_json::Value) -> Result<(), ProviderError> {
        self.query(settings).map(|_| ())
    }

    fn asked(&self, settings: &serde_json::Value) -> Option<String> {
        settings["query"].as_str().map(|query| format!("query {query}"))
    }

    async fn measure(&self, request: &Request<'_>, secrets: &Secrets) -> Result<Measured, ProviderError> {
        let query = self.query(request.settings)?;
        let answer = within(query.timeout, self.ask(&query, request, secrets)).await?;
        Ok(answer::measured(&answer)?.fact("ResolvedPrometheusQuery", query.query))
    }
}

impl Query {
    /// The fields of the form, times in seconds.
    fn fields(&self, now: Timestamp) -> Result<Vec<(&'static str, String)>, ProviderError> {
        let query = ("query", self.query.clone());
        let Some(range) = &self.range else {
            return Ok(vec![query, ("time", seconds(now))]);
        };
        let time = |name, program: &TimeProgram| {
            let evaluated = program.evaluate(now);
            evaluated.map_err(|error| ProviderError::caused_by(format!("rangeQuery.{name}"), error))
        };
        let (start, end) = (time("start", &range.start)?, time("end", &range.end)?);
        let step = range.step.as_secs_f64();
        Ok(vec![query, ("start", seconds(start)), ("end", seconds(end)), ("step", step.to_string())])
    }
}

/// Unix seconds with milliseconds.
fn seconds(time: Timestamp) -> String {
    let milliseconds = time.as_millisecond();
    format!("{}.{:03}", milliseconds / 1_000, milliseconds.abs() % 1_000)
}

impl Range {
    fn read(settings: &RangeQuery) -> Result<Self, ProviderError> {
        let time = |name, text: &str| {
            let read = Program::compile_time(text);
            read.map_err(|error| ProviderError::caused_by(format!("rangeQuery.{name} {text:?}"), error))
        };
        let step = parse_duration(&settings.step);
        let step = step.map_err(|error| ProviderError::new(format!("rangeQuery.step: {error}")))?;
        if step <= SignedDuration::ZERO {
            return Err(ProviderError::new("rangeQuery.step must be longer than 0"));
        }
        Ok(Self { start: time("start", &settings.start)?, end: time("end", &settings.end)?, step })
    }
}

#[cfg(test)]
mod tests;
