//! The `influxdb` provider: Flux queries of InfluxDB 2 (`spec/analysis.md` 4.6).

mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use okra_expr::Value;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::http::{Call, Client, form};
use crate::provider::{Measured, Provider, ProviderError, Request};
use crate::secrets::{SecretScope, Secrets};
use crate::settings::{self, secret_header, within};

/// The Secret of a metric that names no profile.
const DEFAULT_PROFILE: &str = "influxdb";

/// Time for the whole request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Entries of the Secret that are no secrets.
const OPEN_ENTRIES: [&str; 2] = ["address", "org"];

/// Measures by a Flux query.
#[derive(Debug)]
pub struct InfluxDb {
    client: Client,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    query: String,
    profile: String,
}

impl InfluxDb {
    /// The provider on a client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn values(&self, settings: &Settings, secrets: &Secrets) -> Result<Vec<Value>, ProviderError> {
        let name = if settings.profile.is_empty() { DEFAULT_PROFILE } else { &settings.profile };
        let entries = secrets.read(SecretScope::Controller, name, &OPEN_ENTRIES).await?;
        let entries =
            entries.ok_or_else(|| ProviderError::new(format!("there is no secret '{name}' of InfluxDB")))?;
        let call = call(&entries, &settings.query)
            .map_err(|key| ProviderError::new(format!("secret '{name}' has no usable {key}")))?;
        let answer = self.client.call(&call).await?;
        if !answer.status.is_success() {
            return Err(answer.refusal());
        }
        table::values(&answer.body).map_err(ProviderError::new)
    }
}

/// The call that a Secret and a query make; the entry that is missing, if one is.
fn call(entries: &BTreeMap<String, String>, query: &str) -> Result<Call, &'static str> {
    let entry = |key: &'static str| {
        entries.get(key).map(|value| value.trim()).filter(|value| !value.is_empty()).ok_or(key)
    };
    let address = entry("address")?.trim_end_matches('/');
    Client::check_url(address).map_err(|_| "address")?;
    let token = secret_header(&format!("Token {}", entry("authToken")?)).ok_or("authToken")?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, token);
    headers.insert(ACCEPT, HeaderValue::from_static("application/csv"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let dialect = json!({"annotations": table::ANNOTATIONS, "delimiter": ",", "header": true});
    Ok(Call {
        method: Method::POST,
        url: format!("{address}/api/v2/query?org={}", form::value(entry("org")?)),
        headers,
        body: Bytes::from(json!({"query": query, "type": "flux", "dialect": dialect}).to_string()),
        insecure: false,
        timeout: TIMEOUT,
    })
}

impl Settings {
    fn check(self) -> Result<Self, ProviderError> {
        if self.query.trim().is_empty() {
            return Err(ProviderError::new("query must be set"));
        }
        Ok(self)
    }
}

#[async_trait]
impl Provider for InfluxDb {
    fn check(&self, settings: &Json) -> Result<(), ProviderError> {
        settings::read::<Settings>("influxdb", settings)?.check().map(|_| ())
    }

    fn asked(&self, settings: &Json) -> Option<String> {
        settings["query"].as_str().map(|query| format!("query {query}"))
    }

    async fn measure(&self, request: &Request<'_>, secrets: &Secrets) -> Result<Measured, ProviderError> {
        let settings = settings::read::<Settings>("influxdb", request.settings)?.check()?;
        let values = within(TIMEOUT, self.values(&settings, secrets)).await?;
        if values.is_empty() {
            return Err(ProviderError::no_data("no results returned from query"));
        }
        Ok(Measured::of(Value::array(values)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::http::testing::{Reply, Server, local_client};
    use crate::secrets::testing::Shelf;
    use crate::testing::{measure_as, now};

    /// As InfluxDB 2.7 answers.
    const ANSWER: &str = "#datatype,string,long,dateTime:RFC3339,double,string\r\n\
        #group,false,false,false,false,true\r\n#default,_result,,,,\r\n\
        ,result,table,_time,_value,_field\r\n,,0,2026-11-21T12:00:00Z,0.25,errors\r\n\
        ,,0,2026-11-21T12:01:00Z,10,errors\r\n\r\n";

    async fn of(reply: Reply) -> Result<Measured, String> {
        let server = Server::start(move |_| reply.clone()).await;
        measure(&server, json!({"query": "from(bucket: \"b\")"})).await
    }

    async fn measure(server: &Server, settings: Json) -> Result<Measured, String> {
        let url = server.url("/");
        let entries = [("address", url.as_str()), ("authToken", "t0ks3cret\n"), ("org", "my org")];
        let shelf = Shelf::default().with("/influxdb", &entries).with("/half", &entries[..1]);
        measure_as(Arc::new(InfluxDb::new(local_client())), &settings, Arc::new(shelf), now()).await
    }

    #[tokio::test]
    async fn the_values_of_all_records_are_a_list() {
        let server = Server::start(|_| Reply::ok(ANSWER)).await;
        let measured = measure(&server, json!({"query": "from(bucket: \"b\")"})).await.unwrap();
        assert_eq!(measured.text, "[0.25,10]");
        let seen = server.seen().remove(0);
        assert!(seen.starts_with("POST /api/v2/query?org=my+org HTTP/1.1\r\n"), "{seen}");
        assert!(
            seen.contains("authorization: Token t0ks3cret\r\n")
                && seen.contains("accept: application/csv\r\n")
        );
        let body: Json = serde_json::from_str(seen.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!((&body["query"], &body["type"]), (&json!("from(bucket: \"b\")"), &json!("flux")));
    }

    #[tokio::test]
    async fn what_holds_no_value_is_an_error_that_names_the_query_and_no_token() {
        for (reply, part) in [
            (Reply::ok("\r\n"), "no results returned from query"),
            (
                Reply::status(401, "", r#"{"code":"unauthorized","message":"t0ks3cret"}"#),
                "received non 2xx response code: 401: {\"code\":\"unauthorized\",\"message\":\"*****\"}",
            ),
            (Reply::status(503, "retry-after: 3\r\n", ""), "received non 2xx response code: 503"),
            (Reply::ok("<html>\n<body>"), "the answer is no annotated CSV"),
        ] {
            let message = of(reply).await.unwrap_err();
            assert!(
                message.starts_with(part) && message.ends_with("(query from(bucket: \"b\"))"),
                "{message}"
            );
        }
    }

    #[tokio::test]
    async fn a_secret_that_is_not_there_or_not_whole_is_named() {
        let server = Server::start(|_| Reply::ok(ANSWER)).await;
        let message = measure(&server, json!({"query": "q", "profile": "none"})).await.unwrap_err();
        assert_eq!(message, "there is no secret 'none' of InfluxDB (query q)");
        let message = measure(&server, json!({"query": "q", "profile": "half"})).await.unwrap_err();
        assert_eq!(message, "secret 'half' has no usable authToken (query q)");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_before_any_call() {
        let check =
            |settings| InfluxDb::new(local_client()).check(&settings).map_err(|error| error.to_string());
        assert_eq!(check(json!({"query": "q", "profile": null})), Ok(()));
        assert_eq!(check(json!({})).unwrap_err(), "query must be set");
    }
}
