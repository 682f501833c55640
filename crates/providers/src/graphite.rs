//! The `graphite` provider: Graphite's render API (`spec/analysis.md` 4.6).

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use okra_expr::Value;
use serde::Deserialize;

use crate::http::{Call, Client};
use crate::provider::{Measured, Provider, ProviderError, Request};
use crate::secrets::Secrets;
use crate::settings;

/// Time for the whole request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Measures by a query of the render API.
#[derive(Debug)]
pub struct Graphite {
    client: Client,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    address: String,
    /// As in an address: `target=…&from=-5min`.
    query: String,
}

#[derive(Deserialize)]
struct Target {
    #[serde(default)]
    datapoints: Vec<(Option<f64>, serde_json::Value)>,
}

impl Graphite {
    /// The provider on a client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Settings {
    /// The address to be called. White space in a query is for people.
    fn url(self) -> Result<String, ProviderError> {
        let query: String = self.query.split_whitespace().collect();
        if query.is_empty() {
            return Err(ProviderError::new("query must be set"));
        }
        let url = format!("{}/render?{query}&format=json", self.address.trim_end_matches('/'));
        Client::check_url(&url)?;
        Ok(url)
    }
}

#[async_trait]
impl Provider for Graphite {
    fn check(&self, settings: &serde_json::Value) -> Result<(), ProviderError> {
        settings::read::<Settings>("graphite", settings)?.url().map(|_| ())
    }

    fn asked(&self, settings: &serde_json::Value) -> Option<String> {
        settings["query"].as_str().map(|query| format!("query {query}"))
    }

    async fn measure(&self, request: &Request<'_>, _: &Secrets) -> Result<Measured, ProviderError> {
        let url = settings::read::<Settings>("graphite", request.settings)?.url()?;
        let call = Call {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            insecure: false,
            timeout: TIMEOUT,
        };
        let answer = self.client.call(&call).await?;
        if !answer.status.is_success() {
            return Err(answer.refusal());
        }
        let targets: Vec<Target> = answer.json()?;
        let Some(first) = targets.first() else {
            return Err(ProviderError::no_data("no series found"));
        };
        let values: Vec<Value> =
            first.datapoints.iter().filter_map(|(value, _)| *value).map(Value::Float).collect();
        if values.is_empty() {
            return Err(ProviderError::no_data("no datapoints found"));
        }
        Ok(Measured::of(Value::array(values)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Reply, Server, local_client};
    use crate::testing::measure;

    async fn of(reply: Reply) -> Result<Measured, String> {
        let server = Server::start(move |_| reply.clone()).await;
        measure(Graphite::new(local_client()), json!({"address": server.url(""), "query": "target=a"})).await
    }

    #[tokio::test]
    async fn the_first_target_without_its_nulls_is_the_value() {
        let body =
            r#"[{"target":"a","datapoints":[[null,1],[0.5,2],[10,3]]},{"target":"b","datapoints":[[9,1]]}]"#;
        assert_eq!(of(Reply::ok(body)).await.unwrap().text, "[0.5,10]");
    }

    #[tokio::test]
    async fn the_query_is_sent_without_white_space() {
        let server = Server::start(|_| Reply::ok(r#"[{"datapoints":[[1,1]]}]"#)).await;
        let query = "target=summarize(\n  a.{b,c}, '5min')\n&from=-5min";
        let settings = json!({"address": server.url("/g/"), "query": query});
        measure(Graphite::new(local_client()), settings).await.unwrap();
        let seen = server.seen().remove(0);
        let line = "GET /g/render?target=summarize(a.%7Bb,c%7D,'5min')&from=-5min&format=json HTTP/1.1\r\n";
        assert!(seen.starts_with(line), "{seen}");
    }

    #[tokio::test]
    async fn what_holds_no_value_is_an_error() {
        for (reply, expected) in [
            (Reply::ok("[]"), "no series found (query target=a)"),
            (
                Reply::ok(r#"[{"target":"a","datapoints":[[null,1]]}]"#),
                "no datapoints found (query target=a)",
            ),
            (Reply::ok(r#"[{"target":"a","datapoints":[]}]"#), "no datapoints found (query target=a)"),
            (
                Reply::status(400, "", "bad target"),
                "received non 2xx response code: 400: bad target (query target=a)",
            ),
        ] {
            assert_eq!(of(reply).await.unwrap_err(), expected);
        }
        for body in ["<html>", "{}", r#"[{"datapoints":[["x",1]]}]"#, r#"[{"datapoints":[[1]]}]"#] {
            assert!(
                of(Reply::ok(body)).await.unwrap_err().starts_with("Could not parse JSON body"),
                "{body}"
            );
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_before_any_call() {
        let check =
            |settings| Graphite::new(local_client()).check(&settings).map_err(|error| error.to_string());
        assert_eq!(check(json!({"address": "http://h", "query": "target=a"})), Ok(()));
        assert!(
            check(json!({"address": "h", "query": "target=a"})).unwrap_err().contains("url needs http://")
        );
        assert_eq!(check(json!({"address": "http://h", "query": " "})).unwrap_err(), "query must be set");
    }
}
