//! The `newRelic` provider: NRQL by way of NerdGraph (`spec/analysis.md` 4.6).

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, HeaderName, Method};
use okra_expr::Value;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::http::{Call, Client};
use crate::provider::{Measured, Provider, ProviderError, Request};
use crate::secrets::{SecretScope, Secrets};
use crate::settings::{self, secret_header, within};

/// The Secret of a metric that names no profile.
const DEFAULT_PROFILE: &str = "newrelic";

/// Seconds for the query and for the whole request, unless the metric says otherwise.
const DEFAULT_TIMEOUT_SECONDS: i64 = 5;

/// Entries of the Secret that are no secrets.
const OPEN_ENTRIES: [&str; 4] = ["account-id", "region", "base-url-rest", "base-url-nerdgraph"];

/// The query of NerdGraph around the one of the metric.
const GRAPHQL: &str = "query($account: Int!, $query: Nrql!, $timeout: Seconds) \
    { actor { account(id: $account) { nrql(query: $query, timeout: $timeout) { results } } } }";

/// Measures by an NRQL query.
#[derive(Debug)]
pub struct NewRelic {
    client: Client,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    query: String,
    profile: String,
    timeout: Option<i64>,
}

/// What the Secret of a profile holds.
struct Profile {
    key: HeaderValue,
    account: i64,
    address: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response {
    data: Json,
    errors: Vec<Fault>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault {
    message: String,
}

impl NewRelic {
    /// The provider on a client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn rows(&self, settings: &Settings, secrets: &Secrets) -> Result<Vec<Json>, ProviderError> {
        let timeout = settings.timeout()?;
        let profile = profile(&settings.profile, secrets).await?;
        let variables =
            json!({"account": profile.account, "query": settings.query, "timeout": timeout.as_secs()});
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static("api-key"), profile.key);
        let call = Call {
            method: Method::POST,
            url: profile.address,
            headers,
            body: Bytes::from(json!({"query": GRAPHQL, "variables": variables}).to_string()),
            insecure: false,
            timeout,
        };
        let answer = self.client.call(&call).await?;
        if !answer.status.is_success() {
            return Err(answer.refusal());
        }
        let mut response: Response = answer.json()?;
        if !response.errors.is_empty() {
            let messages: Vec<String> = response.errors.into_iter().map(|fault| fault.message).collect();
            return Err(ProviderError::new(format!("NerdGraph: {}", messages.join("; "))));
        }
        let results = response.data.pointer_mut("/actor/account/nrql/results").map(Json::take);
        match results {
            Some(Json::Array(rows)) => Ok(rows),
            _ => Err(ProviderError::new("the answer of NerdGraph has no results")),
        }
    }
}

impl Settings {
    fn timeout(&self) -> Result<std::time::Duration, ProviderError> {
        settings::timeout(self.timeout, DEFAULT_TIMEOUT_SECONDS)
    }

    fn check(self) -> Result<Self, ProviderError> {
        self.timeout()?;
        if self.query.trim().is_empty() {
            return Err(ProviderError::new("query must be set"));
        }
        Ok(self)
    }
}

async fn profile(name: &str, secrets: &Secrets) -> Result<Profile, ProviderError> {
    let name = if name.is_empty() { DEFAULT_PROFILE } else { name };
    let entries = secrets.read(SecretScope::Controller, name, &OPEN_ENTRIES).await?;
    let entries =
        entries.ok_or_else(|| ProviderError::new(format!("there is no secret '{name}' of New Relic")))?;
    let missing = |key: &str| ProviderError::new(format!("secret '{name}' has no usable {key}"));
    let entry = |key: &str| filled(&entries, key).ok_or_else(|| missing(key));
    let account = entry("account-id")?.parse().map_err(|_| missing("account-id"))?;
    let address = match (filled(&entries, "base-url-nerdgraph"), filled(&entries, "region")) {
        (Some(address), _) => address.to_owned(),
        (None, None | Some("us" | "US")) => "https://api.newrelic.com/graphql".to_owned(),
        (None, Some("eu" | "EU")) => "https://api.eu.newrelic.com/graphql".to_owned(),
        (None, Some(_)) => return Err(missing("region (us or eu)")),
    };
    Client::check_url(&address)?;
    let key = secret_header(entry("personal-api-key")?).ok_or_else(|| missing("personal-api-key"))?;
    Ok(Profile { key, account, address })
}

fn filled<'a>(entries: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    entries.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
}

#[async_trait]
impl Provider for NewRelic {
    fn check(&self, settings: &Json) -> Result<(), ProviderError> {
        settings::read::<Settings>("newRelic", settings)?.check().map(|_| ())
    }

    fn asked(&self, settings: &Json) -> Option<String> {
        settings["query"].as_str().map(|query| format!("query {query}"))
    }

    async fn measure(&self, request: &Request<'_>, secrets: &Secrets) -> Result<Measured, ProviderError> {
        let settings = settings::read::<Settings>("newRelic", request.settings)?.check()?;
        let mut rows = within(settings.timeout()?, self.rows(&settings, secrets)).await?;
        // One row is a map, several are a list of maps.
        let result = match rows.len() {
            0 => return Err(ProviderError::no_data("no results returned from NRQL query")),
            1 => Value::from(&rows.remove(0)),
            _ => Value::from(&Json::Array(rows)),
        };
        Ok(Measured::of(result).fact("ResolvedNewRelicQuery", settings.query))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::http::testing::{Reply, Server, local_client};
    use crate::secrets::testing::Shelf;
    use crate::testing::{measure_as, now};

    fn answer(results: &str) -> Reply {
        Reply::ok(&format!(r#"{{"data":{{"actor":{{"account":{{"nrql":{{"results":{results}}}}}}}}}}}"#))
    }

    async fn measure(server: &Server, settings: Json, account: &str) -> Result<Measured, String> {
        let url = server.url("/graphql");
        let entries = [
            ("personal-api-key", "NRAK-s3cret"),
            ("account-id", account),
            ("base-url-nerdgraph", url.as_str()),
        ];
        let shelf = Shelf::default().with("/newrelic", &entries);
        let provider = Arc::new(NewRelic::new(local_client()));
        measure_as(provider, &settings, Arc::new(shelf), now()).await
    }

    async fn of(reply: Reply) -> Result<Measured, String> {
        let server = Server::start(move |_| reply.clone()).await;
        measure(&server, json!({"query": "SELECT 1"}), "42").await
    }

    #[tokio::test]
    async fn one_row_is_a_map_and_several_are_a_list() {
        let one = of(answer(r#"[{"percentile.duration": {"95": 1.5}}]"#)).await.unwrap();
        assert_eq!(one.text, r#"{"percentile.duration":{"95":1.5}}"#);
        assert_eq!(one.facts["ResolvedNewRelicQuery"], "SELECT 1");
        let several = of(answer(r#"[{"count": 10}, {"count": 20}]"#)).await.unwrap();
        assert_eq!(several.text, r#"[{"count":10},{"count":20}]"#);
    }

    #[tokio::test]
    async fn the_query_goes_to_the_account_with_the_key() {
        let server = Server::start(|_| answer(r#"[{"a":1}]"#)).await;
        measure(&server, json!({"query": "SELECT \"x\"", "timeout": 10}), "42").await.unwrap();
        let seen = server.seen().remove(0);
        assert!(
            seen.starts_with("POST /graphql HTTP/1.1\r\n") && seen.contains("api-key: NRAK-s3cret\r\n"),
            "{seen}"
        );
        let body: Json = serde_json::from_str(seen.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(body["variables"], json!({"account": 42, "query": "SELECT \"x\"", "timeout": 10}));
        assert!(body["query"].as_str().unwrap().contains("nrql(query: $query, timeout: $timeout)"));
    }

    #[tokio::test]
    async fn what_holds_no_value_is_an_error_that_names_the_query_and_no_key() {
        for (reply, part) in [
            (answer("[]"), "no results returned from NRQL query"),
            (answer("null"), "the answer of NerdGraph has no results"),
            (
                Reply::ok(r#"{"errors":[{"message":"NRQL Syntax Error near NRAK-s3cret"}]}"#),
                "NerdGraph: NRQL Syntax Error near *****",
            ),
            (Reply::status(401, "", "NRAK-s3cret?"), "received non 2xx response code: 401: *****?"),
            (Reply::ok("<html>"), "Could not parse JSON body"),
        ] {
            let message = of(reply).await.unwrap_err();
            assert!(message.starts_with(part) && message.ends_with("(query SELECT 1)"), "{message}");
        }
    }

    #[tokio::test]
    async fn a_secret_that_is_not_there_or_not_whole_is_named() {
        let server = Server::start(|_| answer("[]")).await;
        let message = measure(&server, json!({"query": "q", "profile": "other"}), "42").await.unwrap_err();
        assert_eq!(message, "there is no secret 'other' of New Relic (query q)");
        let message = measure(&server, json!({"query": "q"}), "x").await.unwrap_err();
        assert_eq!(message, "secret 'newrelic' has no usable account-id (query q)");
        let shelf = |region| Shelf::default().with("/newrelic", &[("account-id", "1"), ("region", region)]);
        for (region, part) in [("mars", "region (us or eu)"), ("eu", "personal-api-key")] {
            let provider = Arc::new(NewRelic::new(local_client()));
            let settings = json!({"query": "q"});
            let message = measure_as(provider, &settings, Arc::new(shelf(region)), now()).await.unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_before_any_call() {
        let check =
            |settings| NewRelic::new(local_client()).check(&settings).map_err(|error| error.to_string());
        assert_eq!(check(json!({"query": "q", "timeout": null})), Ok(()));
        assert_eq!(check(json!({"query": ""})).unwrap_err(), "query must be set");
        assert_eq!(
            check(json!({"query": "q", "timeout": -5})).unwrap_err(),
            "timeout must not be negative, got -5"
        );
    }
}
