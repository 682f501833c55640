use std::sync::Arc;

use okra_expr::Program;
use serde_json::json;

use super::*;
use crate::http::testing::{Reply, Server, local_client};
use crate::secrets::testing::Shelf;
use crate::testing::{measure_as, now};

fn shelf(server: &Server) -> Shelf {
    let url = server.url("/");
    let entries = |app| [("api-key", "4p1s3cret\n"), ("app-key", app), ("address", url.as_str())];
    Shelf::default().with("/datadog", &entries("4pps3cret")).with("shop/own", &entries("0wns3cret"))
}

async fn measure(server: &Server, settings: serde_json::Value) -> Result<Measured, String> {
    let datadog = Arc::new(Datadog::new(local_client(), None));
    measure_as(datadog, &settings, Arc::new(shelf(server)), now()).await
}

async fn v1(body: &'static str) -> Result<Measured, String> {
    let server = Server::start(move |_| Reply::ok(body)).await;
    measure(&server, json!({"query": "avg:errors{*}"})).await
}

async fn v2(body: &'static str) -> Result<Measured, String> {
    let server = Server::start(move |_| Reply::ok(body)).await;
    measure(&server, json!({"apiVersion": "v2", "query": "avg:errors{*}"})).await
}

fn holds(condition: &str, measured: &Measured) -> bool {
    Program::compile(condition).unwrap().evaluate(&measured.result, now()).unwrap()
}

#[tokio::test]
async fn version_1_asks_for_a_window_with_both_keys() {
    let server = Server::start(|_| Reply::ok(r#"{"series":[{"pointlist":[[1,0.1],[2,0.25]]}]}"#)).await;
    let measured =
        measure(&server, json!({"query": "avg:errors{env:prod}", "interval": "10m"})).await.unwrap();
    assert_eq!(measured.text, "0.25");
    assert_eq!(measured.facts["warning"], DEPRECATION);
    let seen = server.seen().remove(0);
    let line =
        "GET /api/v1/query?from=1795261800&query=avg%3Aerrors%7Benv%3Aprod%7D&to=1795262400 HTTP/1.1\r\n";
    assert!(seen.starts_with(line), "{seen}");
    for header in [
        "dd-api-key: 4p1s3cret\r\n",
        "dd-application-key: 4pps3cret\r\n",
        "content-type: application/json\r\n",
    ] {
        assert!(seen.contains(header), "{seen}");
    }
}

#[tokio::test]
async fn defect_08_a_null_point_of_datadog_is_not_zero() {
    let measured = v1(r#"{"series":[{"pointlist":[[1,0.3],[2,null]]}]}"#).await.unwrap();
    assert_eq!(measured.text, "0.3");
    for empty in [
        r#"{"series":[{"pointlist":[[1,null],[2,null]]}]}"#,
        r#"{"series":[{"pointlist":[]}]}"#,
        r#"{"series":[]}"#,
        "{}",
    ] {
        let measured = v1(empty).await.unwrap();
        assert_eq!(measured.text, "[]");
        assert!(holds("result == nil && default(result, 5) == 5", &measured), "{empty}");
    }
}

#[tokio::test]
async fn points_that_are_no_pairs_are_errors() {
    for body in [
        r#"{"series":[{"pointlist":[[1]]}]}"#,
        r#"{"series":[{"pointlist":[[1,2,3]]}]}"#,
        r#"{"series":[{"pointlist":[5]}]}"#,
        r#"{"series":[{"pointlist":[[1,"x"]]}]}"#,
    ] {
        assert!(v1(body).await.unwrap_err().contains("is no pair of time and value"), "{body}");
    }
    let message = v1(r#"{"status":"error","error":"Rule 'x' did not match"}"#).await.unwrap_err();
    assert_eq!(message, "There were errors in your query: Rule 'x' did not match (query avg:errors{*})");
}

#[tokio::test]
async fn version_2_sends_queries_formula_and_aggregator() {
    let answer = r#"{"data":{"attributes":{"columns":[{"name":"a/b","type":"number","values":[0.2]}]}}}"#;
    let server = Server::start(move |_| Reply::ok(answer)).await;
    let settings = json!({
        "apiVersion": "v2", "interval": "5m", "queries": {"b": "sum:all{*}", "a": "sum:bad{*}"},
        "formula": "a/b", "aggregator": "sum",
    });
    let measured = measure(&server, settings).await.unwrap();
    assert_eq!((measured.text.as_str(), measured.facts.len()), ("0.2", 0));
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("POST /api/v2/query/scalar HTTP/1.1\r\n"), "{seen}");
    let body: serde_json::Value = serde_json::from_str(seen.split_once("\r\n\r\n").unwrap().1).unwrap();
    let expected = json!({"data": {"type": "scalar_request", "attributes": {
        "from": 1_795_262_100_000_i64, "to": 1_795_262_400_000_i64,
        "queries": [
            {"aggregator": "sum", "data_source": "metrics", "name": "a", "query": "sum:bad{*}"},
            {"aggregator": "sum", "data_source": "metrics", "name": "b", "query": "sum:all{*}"},
        ],
        "formulas": [{"formula": "a/b"}],
    }}});
    assert_eq!(body, expected);
    measure(&server, json!({"apiVersion": "v2", "query": "sum:bad{*}"})).await.unwrap();
    let seen = server.seen().pop().unwrap();
    let body: serde_json::Value = serde_json::from_str(seen.split_once("\r\n\r\n").unwrap().1).unwrap();
    let attributes = &body["data"]["attributes"];
    assert_eq!((&attributes["queries"][0]["name"], &attributes["formulas"]), (&json!("query"), &json!([])));
    assert_eq!(attributes["queries"][0]["aggregator"], "last");
}

#[tokio::test]
async fn one_number_is_a_number_and_groups_are_a_list_even_if_there_is_one() {
    let lone =
        v2(r#"{"data":{"attributes":{"columns":[{"name":"q","values":[null,0.5,0.7]}]}}}"#).await.unwrap();
    assert_eq!((lone.text.as_str(), lone.result.type_name()), ("0.5", "float64"));
    let grouped = v2(r#"{"data":{"attributes":{"columns":[
            {"name":"region","type":"group","values":[["us"],["eu"],["ap"]]},
            {"name":"host","type":"group","values":[["a"],["b"],["c"]]},
            {"name":"q","type":"number","values":[0.2,null,0.4]}]}}}"#)
    .await
    .unwrap();
    assert_eq!(grouped.text, "[0.2,0.4]");
    assert_eq!(grouped.metadata["groups"], r#"[{"name":"us,a","value":0.2},{"name":"ap,c","value":0.4}]"#);
    let one = v2(r#"{"data":{"attributes":{"columns":[{"name":"env","type":"group","values":[["prod"]]},
            {"name":"q","type":"number","values":[1]}]}}}"#)
    .await
    .unwrap();
    assert!(holds("result[0] == 1 && len(result) == 1", &one));
}

#[tokio::test]
async fn nothing_measured_is_nil() {
    for body in [
        r#"{"data":{"attributes":{"columns":[]}}}"#,
        r#"{"data":{"attributes":{"columns":[{"name":"q","type":"number","values":[null]}]}}}"#,
        r#"{"data":{"attributes":{"columns":[{"name":"env","type":"group","values":[["a"]]},{"name":"q","values":[null]}]}}}"#,
    ] {
        let measured = v2(body).await.unwrap();
        assert_eq!(measured.text, "[]");
        assert!(holds("isNil(result)", &measured), "{body}");
    }
}

#[tokio::test]
async fn answers_that_cannot_be_read_are_errors() {
    for (body, part) in [
        (r#"{"data":{"attributes":{"columns":[{"name":"q","values":["x"]}]}}}"#, "which is no number"),
        (
            r#"{"data":{"attributes":{"columns":[{"name":"env","type":"group","values":[[]]},{"name":"q","values":[1]}]}}}"#,
            "has no label in column \"env\"",
        ),
        (
            r#"{"data":{"attributes":{"columns":[{"name":"env","type":"group","values":[]},{"name":"q","values":[1]}]}}}"#,
            "has no label",
        ),
        (r#"{"data":{"errors":"bad query"}}"#, "There were errors in your query: bad query"),
        (r#"{"errors":["Unauthorized"]}"#, "There were errors in your query: [\"Unauthorized\"]"),
        ("<html>", "Could not parse JSON body: "),
    ] {
        let message = v2(body).await.unwrap_err();
        assert!(message.contains(part) && message.ends_with("(query avg:errors{*})"), "{message}");
    }
}

#[tokio::test]
async fn refusals_say_their_status_and_never_a_key() {
    for (status, part) in [
        (401, "received authentication error response code: 401 keys ***** and *****"),
        (403, "received authentication error response code: 403"),
        (404, "received non 2xx response code: 404: keys ***** and *****"),
        (429, "received non 2xx response code: 429"),
        (500, "received non 2xx response code: 500"),
    ] {
        let server = Server::start(move |_| {
            Reply::status(status, "retry-after: 1\r\n", "keys 4p1s3cret and 4pps3cret")
        })
        .await;
        let message = measure(&server, json!({"query": "q"})).await.unwrap_err();
        assert!(message.starts_with(part), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
}

#[tokio::test]
async fn the_secret_that_a_metric_names_is_the_only_one() {
    let server = Server::start(|_| Reply::ok("{}")).await;
    let with = |reference: serde_json::Value| {
        let own = DatadogCredentials {
            address: server.url(""),
            api_key: "env".to_owned(),
            app_key: "env".to_owned(),
        };
        let datadog = Arc::new(Datadog::new(local_client(), Some(own)));
        let settings = json!({"query": "q", "secretRef": reference});
        let shelf = Arc::new(shelf(&server));
        async move { measure_as(datadog, &settings, shelf, now()).await }
    };
    with(json!(null)).await.unwrap();
    assert!(server.seen().pop().unwrap().contains("dd-api-key: env\r\n"));
    with(json!({"name": "own", "namespaced": true})).await.unwrap();
    assert!(server.seen().pop().unwrap().contains("dd-application-key: 0wns3cret\r\n"));
    with(json!({"name": "datadog"})).await.unwrap();
    assert!(server.seen().pop().unwrap().contains("dd-application-key: 4pps3cret\r\n"));
    let missing = with(json!({"name": "own"})).await.unwrap_err();
    assert!(missing.starts_with("failed to find the credentials for datadog metrics provider"), "{missing}");
}

#[test]
fn the_environment_counts_only_whole() {
    let of = |set: &[&str]| {
        DatadogCredentials::from_variables(|name| set.contains(&name).then(|| "x".to_owned())).is_some()
    };
    assert!(of(&["DD_API_KEY", "DD_APP_KEY", "DD_ADDRESS"]));
    assert!(!of(&["DD_API_KEY", "DD_APP_KEY"]) && !of(&[]));
}

#[test]
fn settings_that_cannot_work_are_refused_before_any_call() {
    let datadog = Datadog::new(local_client(), None);
    let check = |settings: serde_json::Value| datadog.check(&settings).map_err(|error| error.to_string());
    let two = json!({"a": "x", "b": "y"});
    assert_eq!(check(json!({"query": "q", "queries": null})), Ok(()));
    assert_eq!(check(json!({"apiVersion": "v2", "queries": {"a": "x"}})), Ok(()));
    assert_eq!(
        check(json!({"apiVersion": "v2", "queries": two, "formula": "a/b", "aggregator": "l2norm"})),
        Ok(())
    );
    let rows = [
        (json!({}), "Must have either a query or queries"),
        (
            json!({"apiVersion": "v2", "query": "q", "queries": {"a": "x"}}),
            "Cannot have both a query and queries",
        ),
        (json!({"apiVersion": "v3", "query": "q"}), "apiVersion must be v1 or v2"),
        (json!({"queries": {"a": "x"}}), "queries need apiVersion v2"),
        (json!({"query": "q", "aggregator": "avg"}), "Aggregator is not supported with apiVersion v1"),
        (
            json!({"apiVersion": "v2", "query": "q", "aggregator": "best"}),
            "aggregator \"best\" is none of avg",
        ),
        (
            json!({"apiVersion": "v2", "query": "q", "formula": "a"}),
            "Formula are only valid when queries are set",
        ),
        (json!({"apiVersion": "v2", "queries": two}), "you must include a formula"),
        (json!({"apiVersion": "v2", "queries": {"a": ""}}), "needs both a name and a query"),
        (json!({"query": "q", "interval": "5"}), "interval"),
        (json!({"query": "q", "interval": "-5m"}), "interval must be longer than 0"),
        (json!({"query": "q", "requestTimeout": "0s"}), "requestTimeout must be longer than 0"),
        (json!({"query": "q", "secretRef": {"namespaced": true}}), "secretRef.name is required"),
    ];
    for (settings, part) in rows {
        let message = check(settings.clone()).unwrap_err();
        assert!(message.contains(part), "{settings}: {message}");
    }
}
