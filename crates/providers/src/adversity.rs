//! Every provider that speaks HTTP against servers that do not do as documented
//! (`spec/analysis.md` 9-7): the outcome is an error that names the query, in time, without a secret.

use std::sync::Arc;

use jiff::Timestamp;
use okra_domain::analysis::substitute::Redactor;
use serde_json::{Value as Json, json};

use crate::http::testing::{Reply, Server, local_client};
use crate::provider::{Place, Provider, Request};
use crate::registry::Providers;
use crate::secrets::testing::Shelf;
use crate::testing::now;
use crate::{Datadog, Graphite, InfluxDb, NewRelic, Prometheus, Web};

/// What is in every Secret and header, and may be in no message.
const SECRET: &str = "hunter2-s3cret";

/// A provider and its settings for a server.
struct Victim {
    name: &'static str,
    provider: Arc<dyn Provider>,
    settings: Json,
}

fn victims(url: &str) -> Vec<Victim> {
    let client = local_client;
    let victim = |name, provider: Arc<dyn Provider>, settings| Victim { name, provider, settings };
    let headers = json!([{"key": "x-token", "value": SECRET}]);
    vec![
        victim(
            "prometheus",
            Arc::new(Prometheus::new(client())),
            json!({"address": url, "query": "the-query", "headers": headers}),
        ),
        victim("datadog v1", Arc::new(Datadog::new(client(), None)), json!({"query": "the-query"})),
        victim(
            "datadog v2",
            Arc::new(Datadog::new(client(), None)),
            json!({"apiVersion": "v2", "query": "the-query"}),
        ),
        victim("newRelic", Arc::new(NewRelic::new(client())), json!({"query": "the-query"})),
        victim("influxdb", Arc::new(InfluxDb::new(client())), json!({"query": "the-query"})),
        victim(
            "graphite",
            Arc::new(Graphite::new(client())),
            json!({"address": url, "query": format!("target=the-query&k={SECRET}")}),
        ),
        victim(
            "web",
            Arc::new(Web::new(client())),
            json!({"url": format!("{url}/the-query"), "jsonPath": "{.a.b}", "headers": headers}),
        ),
    ]
}

fn shelf(url: &str) -> Shelf {
    Shelf::default()
        .with("/datadog", &[("api-key", SECRET), ("app-key", SECRET), ("address", url)])
        .with("/newrelic", &[("personal-api-key", SECRET), ("account-id", "1"), ("base-url-nerdgraph", url)])
        .with("/influxdb", &[("authToken", SECRET), ("org", "o"), ("address", url)])
}

/// What all victims say of a server, by name.
async fn messages(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Vec<(&'static str, String)> {
    let server = Server::start(reply).await;
    let url = server.url("");
    let mut messages = Vec::new();
    for Victim { name, provider, settings } in victims(&url) {
        let providers = Providers::new().with("tested", provider).with_secrets(Arc::new(shelf(&url)));
        let (redactor, place, now): (_, _, Timestamp) = (Redactor::new([SECRET]), Place::default(), now());
        let request = Request { settings: &settings, redactor: &redactor, now, place: &place, retries: 0 };
        let message = match providers.measure("tested", &request).await {
            Ok(outcome) => format!("measured {outcome:?}"),
            Err(error) => error.to_string(),
        };
        messages.push((name, message));
    }
    messages
}

fn assert_error(messages: &[(&str, String)], part: &str) {
    for (name, message) in messages {
        assert!(!message.starts_with("measured") && message.contains(part), "{name}: {message}");
        assert!(message.contains("the-query"), "{name} does not name the query: {message}");
        assert!(!message.contains(SECRET) && !message.contains("s3cret"), "{name}: {message}");
    }
}

#[tokio::test]
async fn refusals_are_errors_with_their_status() {
    for status in [400_u16, 401, 403, 404, 418, 429, 500, 502, 503, 504] {
        let headers = "retry-after: 1\r\ncontent-type: text/html\r\n";
        let body = format!("<html>you sent {SECRET}</html>");
        let said = messages(move |_| Reply::status(status, headers, &body)).await;
        assert_error(&said, &status.to_string());
        // The server's words are kept, without what it repeats.
        assert_error(&said, "you sent *****");
    }
}

#[tokio::test]
async fn bodies_that_are_no_answer_are_errors() {
    let kinds: [(&str, &[u8]); 8] = [
        ("nothing", b""),
        ("html", b"<!DOCTYPE html><html><body>please log in</body></html>"),
        ("half of JSON", b"{\"status\":\"success\",\"data\":{\"resultType\":"),
        ("no object", b"[1]"),
        ("a bare NaN", b"{\"a\":{\"c\":NaN}}"),
        ("bytes", b"\xff\xfe\x00\x01"),
        ("deep", &[b'['; 2_000]),
        ("another object", b"{\"unexpected\":true}"),
    ];
    for (kind, body) in kinds {
        let answer =
            [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        let said = messages(move |_| Reply::Raw(answer.clone())).await;
        // What is no JSON is a text to `web`, and an empty object has no data for `datadog`.
        let lenient = |name: &str| name == "web" || (name.starts_with("datadog") && kind == "another object");
        let strict: Vec<_> = said.into_iter().filter(|(name, _)| !lenient(name)).collect();
        assert!(strict.len() >= 4, "{kind}");
        for (name, message) in &strict {
            assert!(!message.starts_with("measured"), "{name} takes {kind} for an answer: {message}");
        }
        assert_error(&strict, "");
    }
}

#[tokio::test]
async fn a_body_without_end_is_an_error() {
    let chunk = format!("HTTP/1.1 200 OK\r\n\r\n{}", "[1,".repeat(1 << 14)).into_bytes();
    assert_error(&messages(move |_| Reply::Endless(chunk.clone())).await, "more than 8388608 bytes");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_goes_away_is_an_error() {
    assert_error(
        &messages(|_| Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n".to_vec())).await,
        "",
    );
    assert_error(&messages(|_| Reply::Raw(b"\x15\x03\x01\x00\x02\x02\x50".to_vec())).await, "");
}

#[tokio::test]
async fn no_one_is_sent_to_inner_addresses() {
    for target in
        ["http://169.254.169.254/latest/", "http://10.0.0.1/", "http://[fd00:ec2::254]/", "file:///etc"]
    {
        let said = messages(move |_| Reply::redirect(302, target)).await;
        for (name, message) in &said {
            assert!(message.contains("refused"), "{name} follows {target}: {message}");
        }
        assert_error(&said, "");
    }
}
