//! The `web` provider: a value from any HTTP server (`spec/analysis.md` 4.4).

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use okra_expr::Value;
use serde::Deserialize;

use crate::http::{Answer, Call, Client};
use crate::jsonpath::JsonPath;
use crate::oauth2::{OAuth2, Tokens};
use crate::provider::{Measured, Provider, ProviderError, Request};

/// Seconds a call may take unless the metric says otherwise.
const DEFAULT_TIMEOUT_SECONDS: i64 = 10;

/// Seconds a call may take at most; a longer one is cut to this. Intervals are rarely longer.
const MAX_TIMEOUT_SECONDS: i64 = 300;

/// Measures by an HTTP call and a path into the JSON of its answer.
#[derive(Debug)]
pub struct Web {
    client: Client,
    tokens: Tokens,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    #[serde(default)]
    url: String,
    method: Option<String>,
    headers: Option<Vec<Header>>,
    body: Option<String>,
    json_body: Option<serde_json::Value>,
    timeout_seconds: Option<i64>,
    json_path: Option<String>,
    insecure: Option<bool>,
    authentication: Option<Authentication>,
}

#[derive(Debug, Deserialize)]
struct Header {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Debug, Deserialize)]
struct Authentication {
    oauth2: Option<OAuth2>,
}

/// Settings that have been checked.
struct Query {
    call: Call,
    path: JsonPath,
    oauth2: Option<OAuth2>,
}

impl Web {
    /// The provider on a client.
    pub fn new(client: Client) -> Self {
        Self { tokens: Tokens::default(), client }
    }

    async fn answer(&self, query: &mut Query, request: &Request<'_>) -> Result<Answer, ProviderError> {
        if let Some(oauth2) = &query.oauth2 {
            let insecure = query.call.insecure;
            let header = self.tokens.header(&self.client, oauth2, insecure, query.call.timeout, request.now);
            query.call.headers.insert(AUTHORIZATION, header.await?);
        }
        let answer = self.client.call(&query.call).await?;
        if let (401, Some(oauth2)) = (answer.status.as_u16(), &query.oauth2) {
            self.tokens.forget(oauth2);
        }
        Ok(answer)
    }
}

#[async_trait]
impl Provider for Web {
    fn check(&self, settings: &serde_json::Value) -> Result<(), ProviderError> {
        Query::read(settings).map(|_| ())
    }

    async fn measure(&self, request: Request<'_>) -> Result<Measured, ProviderError> {
        let mut query = Query::read(request.settings)?;
        let answer = self.answer(&mut query, &request).await?;
        let status = answer.status.as_u16();
        if !answer.status.is_success() {
            return Err(ProviderError::new(format!("received non 2xx response code: {status}")));
        }
        measured(&query.path, &answer.body)
    }
}

/// The value of a body: the first that the path leads to in JSON, the whole of anything else.
fn measured(path: &JsonPath, body: &[u8]) -> Result<Measured, ProviderError> {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        let text = String::from_utf8_lossy(body).into_owned();
        return Ok(Measured::new(text.clone(), Value::from(text)));
    };
    let found = path
        .first(&json)
        .map_err(|error| ProviderError::new(format!("Could not find JSONPath in body: {error}")))?;
    match found {
        Some(found) => {
            let value = Value::from(&found);
            Ok(Measured::new(value.to_string(), value))
        }
        None => Err(ProviderError::new("result of web metric produced no value")),
    }
}

impl Query {
    fn read(settings: &serde_json::Value) -> Result<Self, ProviderError> {
        let settings = Settings::deserialize(settings)
            .map_err(|error| ProviderError::new(format!("invalid web settings: {error}")))?;
        Client::check_url(&settings.url)?;
        let method = match settings.method.as_deref().unwrap_or_default() {
            "" | "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            other => {
                return Err(ProviderError::new(format!("method must be GET, POST or PUT, got {other:?}")));
            }
        };
        let mut headers = headers(settings.headers.unwrap_or_default())?;
        let body = body(&method, settings.body.as_deref(), settings.json_body.as_ref(), &mut headers)?;
        let seconds = settings.timeout_seconds.filter(|seconds| *seconds > 0);
        let seconds = seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS).min(MAX_TIMEOUT_SECONDS);
        let path = settings.json_path.filter(|path| !path.is_empty());
        let path = JsonPath::parse(path.as_deref().unwrap_or("{$}"))
            .map_err(|error| ProviderError::new(error.to_string()))?;
        let oauth2 = settings.authentication.and_then(|authentication| authentication.oauth2);
        let oauth2 = oauth2.filter(|oauth2| !oauth2.token_url.is_empty());
        if let Some(oauth2) = &oauth2 {
            oauth2.check()?;
        }
        let call = Call {
            method,
            url: settings.url,
            headers,
            body,
            insecure: settings.insecure.unwrap_or(false),
            timeout: Duration::from_secs(seconds.unsigned_abs()),
        };
        Ok(Self { call, path, oauth2 })
    }
}

/// The headers of a call. A message names a header, never its value.
fn headers(listed: Vec<Header>) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::new();
    for (place, Header { key, value }) in listed.into_iter().enumerate() {
        let invalid = |what| ProviderError::new(format!("headers[{place}]: {what}"));
        let name = HeaderName::from_str(&key).map_err(|_| invalid(format!("{key:?} is no header name")))?;
        // A secret from a file often ends with a line feed.
        let mut value = HeaderValue::from_str(value.trim())
            .map_err(|_| invalid(format!("the value of {key} has a character that a header may not have")))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn body(
    method: &Method,
    text: Option<&str>,
    json: Option<&serde_json::Value>,
    headers: &mut HeaderMap,
) -> Result<Bytes, ProviderError> {
    let text = text.filter(|text| !text.is_empty());
    let json = json.filter(|json| !json.is_null());
    if text.is_some() && json.is_some() {
        return Err(ProviderError::new("use either body or jsonBody; both cannot exist for web metric"));
    }
    if *method == Method::GET && (text.is_some() || json.is_some()) {
        return Err(ProviderError::new("body and jsonBody need method POST or PUT, not GET"));
    }
    match (text, json) {
        (Some(text), _) => Ok(Bytes::from(text.to_owned())),
        (None, Some(json)) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(Bytes::from(json.to_string()))
        }
        (None, None) => Ok(Bytes::new()),
    }
}

#[cfg(test)]
mod tests;
