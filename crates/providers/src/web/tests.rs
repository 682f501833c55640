use std::sync::Arc;

use jiff::SignedDuration;
use okra_domain::analysis::Phase;
use okra_domain::analysis::substitute::Redactor;
use serde_json::json;

use super::*;
use crate::http::testing::{Reply, Server, local_client};
use crate::testing::{self, now};
use crate::{Conditions, NoSecrets, Place, Providers};

async fn measure(settings: serde_json::Value) -> Result<Measured, String> {
    testing::measure(Web::new(local_client()), settings).await
}

/// The measurement of a body with a path.
async fn of_body(body: &'static str, path: &str) -> Result<Measured, String> {
    let server = Server::start(move |_| Reply::ok(body)).await;
    measure(json!({"url": server.url("/"), "jsonPath": path})).await
}

#[tokio::test]
async fn json_gives_the_first_match_and_its_compact_text() {
    let body = r#"{"data": {"ok": true, "rate": 0.0006332, "big": 10, "list": [1, 2.5], "nil": null}}"#;
    for (path, text) in [
        ("{$.data.ok}", "true"),
        ("{$.data.rate}", "0.0006332"),
        ("{$.data.big}", "10"),
        ("{$.data.list}", "[1,2.5]"),
        ("{$.data.list[*]}", "1"),
        ("{$.data.nil}", "null"),
    ] {
        assert_eq!(of_body(body, path).await.unwrap().text, text, "{path}");
    }
    let whole = of_body(r#"{"a": "b"}"#, "").await.unwrap();
    assert_eq!(whole.text, r#"{"a":"b"}"#);
}

#[tokio::test]
async fn null_and_text_are_values_too() {
    let null = of_body("null", "").await.unwrap();
    assert!(matches!(null.result, Value::Nil));
    let text = of_body("ready\n", "{$.ignored}").await.unwrap();
    assert_eq!((text.text.as_str(), text.result.to_string()), ("ready\n", "\"ready\\n\"".to_owned()));
    assert_eq!(of_body("", "").await.unwrap().text, "");
    let html = of_body("<html>500</html>", "{$.a}").await.unwrap();
    assert!(matches!(html.result, Value::String(_)));
}

#[tokio::test]
async fn bytes_that_are_no_text_do_no_harm() {
    let server =
        Server::start(|_| Reply::Raw(b"HTTP/1.1 200 X\r\ncontent-length: 3\r\n\r\na\xff\xfe".to_vec())).await;
    assert_eq!(measure(json!({"url": server.url("/")})).await.unwrap().text, "a\u{fffd}\u{fffd}");
}

#[tokio::test]
async fn what_is_missing_is_an_error() {
    let missing = of_body(r#"{"a": 1}"#, "{$.b}").await.unwrap_err();
    assert!(
        missing.starts_with("Could not find JSONPath in body: b is not found (GET http://127."),
        "{missing}"
    );
    let nothing = of_body(r#"{"a": [1]}"#, "{$.a[?(@ > 5)]}").await.unwrap_err();
    assert!(nothing.starts_with("result of web metric produced no value (GET "), "{nothing}");
}

#[tokio::test]
async fn other_statuses_are_errors_with_their_number() {
    for status in [199 + 101, 400, 401, 404, 429, 500, 503] {
        let server = Server::start(move |_| Reply::status(status, "", "{}")).await;
        let message = measure(json!({"url": server.url("/")})).await.unwrap_err();
        let (url, expected) = (server.url("/"), format!("received non 2xx response code: {status}: {{}}"));
        assert_eq!(message, format!("{expected} (GET {url})"));
    }
    let server = Server::start(|_| Reply::status(204, "", "")).await;
    assert_eq!(measure(json!({"url": server.url("/")})).await.unwrap().text, "");
}

#[tokio::test]
async fn method_headers_and_body_are_sent() {
    let server = Server::start(|_| Reply::ok("1")).await;
    let headers = json!([{"key": "X-Scope", "value": "a\n"}]);
    let settings =
        json!({"url": server.url("/q"), "method": "POST", "headers": headers, "jsonBody": {"a": [1]}});
    measure(settings).await.unwrap();
    let text = json!({"url": server.url("/q"), "method": "PUT", "body": "plain"});
    measure(text).await.unwrap();
    let seen = server.seen();
    assert!(seen[0].starts_with("POST /q ") && seen[0].contains("x-scope: a\r\n"), "{}", seen[0]);
    assert!(seen[0].contains("content-type: application/json") && seen[0].ends_with(r#"{"a":[1]}"#));
    assert!(seen[1].starts_with("PUT /q ") && seen[1].ends_with("plain"));
}

#[test]
fn settings_that_cannot_work_are_refused_before_any_call() {
    let web = Web::new(local_client());
    let check = |settings: serde_json::Value| web.check(&settings).map_err(|error| error.to_string());
    assert_eq!(check(json!({"url": "http://h/{{x}}", "timeoutSeconds": -1})), Ok(()));
    let url = "http://h/";
    let rows = [
        (json!({}), "url needs http://"),
        (json!({"url": "h"}), "url needs http://"),
        (json!({"url": url, "method": "DELETE"}), "method must be GET, POST or PUT, got \"DELETE\""),
        (json!({"url": url, "body": "x"}), "need method POST or PUT"),
        (json!({"url": url, "method": "POST", "body": "x", "jsonBody": {}}), "both cannot exist"),
        (json!({"url": url, "jsonPath": "$.a"}), "jsonPath needs braces"),
        (
            json!({"url": url, "headers": [{"key": "a b", "value": ""}]}),
            "headers[0]: \"a b\" is no header name",
        ),
        (
            json!({"url": url, "headers": [{"key": "a", "value": "hun\u{7}ter2"}]}),
            "the value of a has a character",
        ),
        (json!({"url": url, "timeoutSeconds": "x"}), "invalid web settings"),
        (json!({"url": url, "authentication": {"oauth2": {"tokenUrl": url}}}), "clientId and clientSecret"),
    ];
    for (settings, part) in rows {
        let message = check(settings.clone()).unwrap_err();
        assert!(message.contains(part), "{settings}: {message}");
        assert!(!message.contains("ter2"), "{message}");
    }
}

#[tokio::test]
async fn tokens_are_asked_for_once_and_again_after_their_end() {
    let server = Server::start(|request| match request {
        request if request.starts_with("POST /token") => {
            Reply::ok(r#"{"access_token": "t0k", "token_type": "bearer", "expires_in": 60}"#)
        }
        _ => Reply::ok("1"),
    })
    .await;
    let oauth2 = json!({
        "tokenUrl": server.url("/token"), "clientId": "id:1", "clientSecret": "s e", "scopes": ["a", "b"],
    });
    let settings = json!({"url": server.url("/q"), "authentication": {"oauth2": oauth2}});
    let web = Arc::new(Web::new(local_client()));
    for seconds in [0, 49, 51] {
        let now = now() + SignedDuration::from_secs(seconds);
        testing::measure_as(web.clone(), &settings, Arc::new(NoSecrets), now).await.unwrap();
    }
    let seen = server.seen();
    let asked: Vec<_> = seen.iter().filter(|request| request.starts_with("POST /token")).collect();
    assert_eq!((asked.len(), seen.len()), (2, 5));
    // "id%3A1:s+e"
    assert!(asked[0].contains("authorization: Basic aWQlM0ExOnMrZQ=="), "{}", asked[0]);
    assert!(asked[0].ends_with("grant_type=client_credentials&scope=a+b"), "{}", asked[0]);
    assert!(seen[1].contains("authorization: Bearer t0k"));
}

#[tokio::test]
async fn a_token_server_that_wants_its_credentials_in_the_form_gets_them() {
    let server = Server::start(|request| match request {
        request if request.contains("client_secret=s") => Reply::ok(r#"{"access_token": "t"}"#),
        request if request.starts_with("POST /token") => Reply::status(401, "", ""),
        _ => Reply::ok("1"),
    })
    .await;
    let oauth2 = json!({"tokenUrl": server.url("/token"), "clientId": "i", "clientSecret": "s"});
    let settings = json!({"url": server.url("/q"), "authentication": {"oauth2": oauth2}});
    assert_eq!(measure(settings).await.unwrap().text, "1");
    let broken = Server::start(|_| Reply::ok(r#"{"token": "leak"}"#)).await;
    let oauth2 = json!({"tokenUrl": broken.url("/token"), "clientId": "i", "clientSecret": "s"});
    let settings = json!({"url": broken.url("/q"), "authentication": {"oauth2": oauth2}});
    let message = measure(settings).await.unwrap_err();
    assert!(message.starts_with("oauth2 token answer has no access_token (GET "), "{message}");
}

#[tokio::test]
async fn a_secret_in_the_address_is_in_no_message() {
    let providers = Providers::new().with("web", Arc::new(Web::new(local_client())));
    let redactor = Redactor::new(["hunter2"]);
    for url in ["http://hunter2.invalid/", "http://u:hunter2@127.0.0.1:1/?k=hunter2", "hunter2://x"] {
        let settings = json!({"url": url});
        let place = Place::default();
        let request =
            Request { settings: &settings, redactor: &redactor, now: now(), place: &place, retries: 0 };
        let message = providers.measure("web", &request).await.unwrap_err().to_string();
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[tokio::test]
async fn from_a_server_to_a_verdict() {
    let measured = of_body(r#"{"share": 0.07}"#, "{$.share}").await.unwrap();
    let conditions = Conditions::compile("result < 0.05", "").unwrap();
    let judged = conditions.judge(&measured.text, &measured.result, now());
    assert_eq!(judged.phase, Phase::Failed);
    assert_eq!(judged.message, "value 0.07: successCondition \"result < 0.05\" is false");
}
