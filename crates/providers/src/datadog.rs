//! The `datadog` provider, for both versions of its query API (`spec/analysis.md` 4.2).

mod credentials;
mod scalar;
mod timeseries;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use okra_domain::analysis::parse_duration;
use serde::Deserialize;

use crate::http::{Answer, Call, Client};
use crate::provider::{Measured, Provider, ProviderError, Request};
use crate::secrets::Secrets;
use crate::settings::{self, MAX_TIMEOUT_SECONDS, secret_header, within};

pub use credentials::DatadogCredentials;
use credentials::SecretReference;

/// The window unless the metric says otherwise.
const DEFAULT_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

/// Time for the whole request unless the metric says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What makes one number of a series, as the API names it.
const AGGREGATORS: [&str; 9] = ["avg", "min", "max", "sum", "last", "percentile", "mean", "l2norm", "area"];

/// What becomes of a series when the metric does not say.
const DEFAULT_AGGREGATOR: &str = "last";

/// The name of a query that stands alone.
const LONE_QUERY: &str = "query";

/// A fact about metrics that use the old version of the API.
const DEPRECATION: &str = "apiVersion v1 is deprecated by Datadog: use v2";

/// Measures by a Datadog query.
#[derive(Debug)]
pub struct Datadog {
    client: Client,
    own: Option<DatadogCredentials>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings {
    api_version: String,
    interval: String,
    query: String,
    queries: BTreeMap<String, String>,
    formula: String,
    aggregator: String,
    secret_ref: SecretReference,
    request_timeout: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// Settings that have been checked.
struct Query {
    version: Version,
    interval: SignedDuration,
    /// By name; one named `query` if it stands alone.
    queries: BTreeMap<String, String>,
    formula: Option<String>,
    aggregator: String,
    secret: SecretReference,
    timeout: Duration,
}

/// The time that a query looks at.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Timestamp,
    to: Timestamp,
}

impl Datadog {
    /// The provider on a client. `own` are the credentials of okra's environment, for metrics that
    /// name no Secret.
    pub fn new(client: Client, own: Option<DatadogCredentials>) -> Self {
        Self { client, own }
    }

    async fn ask(
        &self,
        query: &Query,
        request: &Request<'_>,
        secrets: &Secrets,
    ) -> Result<Answer, ProviderError> {
        let credentials = credentials::find(&query.secret, self.own.as_ref(), request.place, secrets).await?;
        let from = request.now.saturating_sub(query.interval).unwrap_or(Timestamp::MIN);
        let window = Window { from, to: request.now };
        let (method, path, body) = match query.version {
            Version::V1 => timeseries::request(query, window),
            Version::V2 => scalar::request(query, window),
        };
        let url = format!("{}{path}", credentials.address().trim_end_matches('/'));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in
            [("dd-api-key", &credentials.api_key), ("dd-application-key", &credentials.app_key)]
        {
            let value = secret_header(value);
            let value =
                value.ok_or_else(|| ProviderError::new(format!("the value for {name} makes no header")))?;
            headers.insert(name, value);
        }
        let call = Call { method, url, headers, body, insecure: false, timeout: query.timeout };
        self.client.call(&call).await
    }
}

#[async_trait]
impl Provider for Datadog {
    fn check(&self, settings: &serde_json::Value) -> Result<(), ProviderError> {
        Query::read(settings).map(|_| ())
    }

    fn asked(&self, settings: &serde_json::Value) -> Option<String> {
        let query = Query::read(settings).ok()?;
        let named = query.queries.iter().map(|(name, text)| format!("{name} {text}"));
        let formula = query.formula.map(|formula| format!("formula {formula}"));
        Some(named.chain(formula).collect::<Vec<_>>().join("; "))
    }

    async fn measure(&self, request: &Request<'_>, secrets: &Secrets) -> Result<Measured, ProviderError> {
        let query = Query::read(request.settings)?;
        let answer = within(query.timeout, self.ask(&query, request, secrets)).await?;
        match answer.code() {
            200 => {}
            code @ (401 | 403) => {
                let excerpt = answer.excerpt();
                return Err(
                    answer.error(format!("received authentication error response code: {code} {excerpt}"))
                );
            }
            _ => return Err(answer.refusal()),
        }
        match query.version {
            Version::V1 => Ok(timeseries::measured(&answer)?.fact("warning", DEPRECATION)),
            Version::V2 => scalar::measured(&answer),
        }
    }
}

impl Query {
    fn read(settings: &serde_json::Value) -> Result<Self, ProviderError> {
        let settings: Settings = settings::read("datadog", settings)?;
        let version = match settings.api_version.to_ascii_lowercase().as_str() {
            "" | "v1" => Version::V1,
            "v2" => Version::V2,
            _ => {
                return Err(ProviderError::new(format!(
                    "apiVersion must be v1 or v2, got {:?}",
                    settings.api_version
                )));
            }
        };
        settings.check_combination(version)?;
        let positive = |field, text: &str, default: SignedDuration| match text {
            "" => Ok(default),
            text => match parse_duration(text) {
                Ok(duration) if duration > SignedDuration::ZERO => Ok(duration),
                Ok(_) => Err(ProviderError::new(format!("{field} must be longer than 0, got {text:?}"))),
                Err(error) => Err(ProviderError::new(format!("{field}: {error}"))),
            },
        };
        let default_timeout = SignedDuration::try_from(DEFAULT_TIMEOUT).unwrap_or(SignedDuration::ZERO);
        let timeout = positive("requestTimeout", &settings.request_timeout, default_timeout)?;
        let timeout = timeout.min(SignedDuration::from_secs(MAX_TIMEOUT_SECONDS));
        let lone = Some(settings.query).filter(|query| !query.is_empty());
        let aggregator = Some(settings.aggregator).filter(|aggregator| !aggregator.is_empty());
        Ok(Self {
            version,
            interval: positive("interval", &settings.interval, DEFAULT_INTERVAL)?,
            queries: match lone {
                Some(query) => BTreeMap::from([(LONE_QUERY.to_owned(), query)]),
                None => settings.queries,
            },
            formula: Some(settings.formula).filter(|formula| !formula.is_empty()),
            aggregator: aggregator.unwrap_or_else(|| DEFAULT_AGGREGATOR.to_owned()),
            secret: settings.secret_ref.checked()?,
            timeout: Duration::try_from(timeout).unwrap_or(DEFAULT_TIMEOUT),
        })
    }
}

impl Settings {
    fn check_combination(&self, version: Version) -> Result<(), ProviderError> {
        let refused = |message: &str| Err(ProviderError::new(message));
        let (lone, several) = (!self.query.is_empty(), !self.queries.is_empty());
        match (lone, several) {
            (true, true) => {
                return refused("Cannot have both a query and queries. Please review the Analysis Template");
            }
            (false, false) => {
                return refused("Must have either a query or queries. Please review the Analysis Template");
            }
            _ => {}
        }
        if version == Version::V1 && several {
            return refused("Query is required for apiVersion v1: queries need apiVersion v2");
        }
        if version == Version::V1 && !self.aggregator.is_empty() {
            return refused("Aggregator is not supported with apiVersion v1");
        }
        if !self.formula.is_empty() && !several {
            return refused("Formula are only valid when queries are set");
        }
        if self.formula.is_empty() && self.queries.len() > 1 {
            return refused("When multiple queries are provided you must include a formula");
        }
        if let Some((name, _)) = self.queries.iter().find(|(name, query)| name.is_empty() || query.is_empty())
        {
            return Err(ProviderError::new(format!("queries: {name:?} needs both a name and a query")));
        }
        if !self.aggregator.is_empty() && !AGGREGATORS.contains(&self.aggregator.as_str()) {
            let known = AGGREGATORS.join(", ");
            return Err(ProviderError::new(format!("aggregator {:?} is none of {known}", self.aggregator)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
