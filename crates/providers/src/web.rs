//! The `web` provider: a value from any HTTP server (`spec/analysis.md` 4.4).

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use okra_expr::Value;
use serde::Deserialize;

use crate::http::{Answer, Call, Client};
use crate::jsonpath::JsonPath;
use crate::oauth2::{OAuth2, Tokens};
use crate::provider::{Measured, Provider, ProviderError, Request};
use crate::secrets::Secrets;
use crate::settings::{self, Authentication, Header, within};

/// Seconds a call may take unless the metric says otherwise.
const DEFAULT_TIMEOUT_SECONDS: i64 = 10;

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

    async fn answer(
        &self,
        query: &mut Query,
        request: &Request<'_>,
        secrets: &Secrets,
    ) -> Result<Answer, ProviderError> {
        if let Some(oauth2) = &query.oauth2 {
            let Call { insecure, timeout, .. } = query.call;
            let asking = self.tokens.header(&self.client, oauth2, insecure, timeout, request.now, secrets);
            query.call.headers.insert(AUTHORIZATION, asking.await?);
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

    fn asked(&self, settings: &serde_json::Value) -> Option<String> {
        let method = settings["method"].as_str().filter(|method| !method.is_empty()).unwrap_or("GET");
        Some(format!("{method} {}", Client::without_user(settings["url"].as_str()?)))
    }

    async fn measure(&self, request: &Request<'_>, secrets: &Secrets) -> Result<Measured, ProviderError> {
        let mut query = Query::read(request.settings)?;
        let timeout = query.call.timeout;
        let answer = within(timeout, self.answer(&mut query, request, secrets)).await?;
        if !answer.status.is_success() {
            return Err(answer.refusal());
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
        let mut headers = settings::headers(&settings.headers.unwrap_or_default())?;
        let body = body(&method, settings.body.as_deref(), settings.json_body.as_ref(), &mut headers)?;
        let seconds = settings.timeout_seconds.filter(|seconds| *seconds > 0);
        let timeout = settings::timeout(seconds, DEFAULT_TIMEOUT_SECONDS)?;
        let path = settings.json_path.filter(|path| !path.is_empty());
        let path = JsonPath::parse(path.as_deref().unwrap_or("{$}"))
            .map_err(|error| ProviderError::new(error.to_string()))?;
        let oauth2 = settings.authentication.unwrap_or_default().oauth2()?;
        let call = Call {
            method,
            url: settings.url,
            headers,
            body,
            insecure: settings.insecure.unwrap_or(false),
            timeout,
        };
        Ok(Self { call, path, oauth2 })
    }
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
