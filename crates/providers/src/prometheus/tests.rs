use std::sync::Mutex;

use okra_aws::AwsError;
use serde_json::json;

use super::*;
use crate::http::testing::{Reply, Server, local_client};
use crate::testing::{measure as measured_by, measure_as, now};
use crate::{Conditions, NoSecrets};

/// Answers as a server of 2.42 gave them.
const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
    {"metric":{"__name__":"up","instance":"a:9090"},"value":[1732190400.123,"0.97"]},
    {"metric":{"__name__":"up","instance":"b:9090"},"value":[1732190400.123,"1"]}]}}"#;
const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
    {"metric":{"job":"a"},"values":[[1732190280,"1"],[1732190340,"2.5"]]},
    {"metric":{"job":"b"},"values":[[1732190340,"3"]]}]}}"#;
const SCALAR: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1732190400.123,"10"]}}"#;
const STRING: &str = r#"{"status":"success","data":{"resultType":"string","result":[1732190400.123,"x"]}}"#;
const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
const BAD_DATA: &str = r#"{"status":"error","errorType":"bad_data",
    "error":"invalid parameter \"query\": 1:5: parse error: unexpected end of input"}"#;
const HISTOGRAM: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
    {"metric":{},"histogram":[1732190400,{"count":"6","sum":"18.4","buckets":[]}]}]}}"#;

async fn of(body: &'static str) -> Result<Measured, String> {
    with(Reply::ok(body)).await
}

async fn with(reply: Reply) -> Result<Measured, String> {
    let server = Server::start(move |_| reply.clone()).await;
    measured_by(Prometheus::new(local_client()), json!({"address": server.url("/prom/"), "query": "up"}))
        .await
}

#[tokio::test]
async fn a_scalar_is_a_number_and_a_vector_a_list_in_the_order_of_the_server() {
    let scalar = of(SCALAR).await.unwrap();
    assert_eq!((scalar.text.as_str(), scalar.result.type_name()), ("10", "float64"));
    assert_eq!(scalar.facts["ResolvedPrometheusQuery"], "up");
    let vector = of(VECTOR).await.unwrap();
    assert_eq!(vector.text, "[0.97,1]");
    assert!(
        vector.metadata["series"]
            .starts_with(r#"[{"metric":{"__name__":"up","instance":"a:9090"},"value":0.97}"#)
    );
    let condition = Program::compile("len(result) == 2 && result[0] == 0.97 && result[1] == 1").unwrap();
    assert!(condition.evaluate(&vector.result, now()).unwrap());
}

#[tokio::test]
async fn a_matrix_is_one_flat_list_and_its_newest_samples_are_noted() {
    let matrix = of(MATRIX).await.unwrap();
    assert_eq!(matrix.text, "[1,2.5,3]");
    let expected = r#"[{"metric":{"job":"a"},"value":2.5},{"metric":{"job":"b"},"value":3.0}]"#;
    assert_eq!(matrix.metadata["series"], expected);
}

#[tokio::test]
async fn values_that_are_no_finite_numbers_stay_what_they_are() {
    let body = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{},"value":[1,"NaN"]},{"metric":{},"value":[1,"+Inf"]},{"metric":{},"value":[1,"-Inf"]}]}}"#;
    let measured = of(body).await.unwrap();
    assert_eq!(measured.text, "[NaN,+Inf,-Inf]");
    assert!(measured.metadata["series"].contains(r#""value":"NaN""#));
    let conditions = Conditions::compile("result[0] < 1", "result[0] >= 1").unwrap();
    let judged = conditions.judge(&measured.text, &measured.result, now());
    assert_eq!(judged.phase, okra_domain::analysis::Phase::Inconclusive);
}

#[tokio::test]
async fn no_series_are_an_empty_list() {
    let empty = of(EMPTY).await.unwrap();
    assert_eq!(empty.text, "[]");
    assert!(empty.result.is_nil_or_empty() && !empty.metadata.contains_key("series"));
}

#[tokio::test]
async fn what_is_no_number_is_an_error() {
    assert_eq!(of(STRING).await.unwrap_err(), "Prometheus metric type not supported: \"string\" (query up)");
    assert!(of(HISTOGRAM).await.unwrap_err().contains("native histograms"));
    for body in [
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1]}]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":{}}}"#,
        r#"{"status":"success","data":{"resultType":"scalar","result":null}}"#,
        r#"{"status":"success"}"#,
    ] {
        assert!(of(body).await.is_err(), "{body}");
    }
}

#[tokio::test]
async fn errors_of_the_server_are_messages_that_name_the_query() {
    let message = with(Reply::status(400, "", BAD_DATA)).await.unwrap_err();
    let expected =
        "bad_data: invalid parameter \"query\": 1:5: parse error: unexpected end of input (query up)";
    assert_eq!(message, expected);
    for status in [301, 400, 401, 403, 404, 422, 429, 500, 502, 503] {
        let message = with(Reply::status(status, "", "<html>no</html>")).await.unwrap_err();
        assert_eq!(message, format!("received non 2xx response code: {status}: <html>no</html> (query up)"));
    }
    let html = with(Reply::status(200, "content-type: text/html\r\n", "<html>")).await.unwrap_err();
    assert!(html.contains("Could not parse JSON body") && html.contains("text/html"), "{html}");
    for garbage in ["", "{", "[]", "nonsense", "\u{7}"] {
        assert!(with(Reply::ok(garbage)).await.is_err(), "{garbage:?}");
    }
}

#[tokio::test]
async fn warnings_are_noted() {
    let body = r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["w1","w2"]}"#;
    assert_eq!(of(body).await.unwrap().metadata["warnings"], r#""w1", "w2""#);
}

#[tokio::test]
async fn the_query_goes_in_a_form_with_headers() {
    let server = Server::start(|_| Reply::ok(EMPTY)).await;
    let settings = json!({
        "address": server.url("/prom"), "query": "rate(x{a=\"b\"}[5m]) > 1",
        "headers": [{"key": "X-Scope-OrgID", "value": "tenant"}],
    });
    measured_by(Prometheus::new(local_client()), settings).await.unwrap();
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("POST /prom/api/v1/query HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-scope-orgid: tenant\r\n"));
    assert!(seen.contains("content-type: application/x-www-form-urlencoded\r\n"));
    let form = "query=rate%28x%7Ba%3D%22b%22%7D%5B5m%5D%29+%3E+1&time=1795262400.000";
    assert!(seen.ends_with(form), "{seen}");
}

#[tokio::test]
async fn a_range_query_sends_its_ends_and_step() {
    let server = Server::start(|_| Reply::ok(MATRIX)).await;
    let range = json!({"start": "now() - duration(\"5m\")", "end": "now()", "step": "1m30s"});
    let settings = json!({"address": server.url(""), "query": "up", "rangeQuery": range});
    measured_by(Prometheus::new(local_client()), settings).await.unwrap();
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("POST /api/v1/query_range "), "{seen}");
    assert!(seen.ends_with("query=up&start=1795262100.000&end=1795262400.000&step=90"), "{seen}");
}

#[tokio::test]
async fn a_server_without_post_is_asked_by_get() {
    for status in [405, 501] {
        let server = Server::start(move |request| match request {
            request if request.starts_with("POST") => Reply::status(status, "", ""),
            _ => Reply::ok(SCALAR),
        })
        .await;
        let settings = json!({"address": server.url(""), "query": "a b"});
        assert_eq!(measured_by(Prometheus::new(local_client()), settings).await.unwrap().text, "10");
        let last = server.seen().pop().unwrap();
        assert!(last.starts_with("GET /api/v1/query?query=a+b&time=1795262400.000 HTTP"), "{last}");
    }
}

#[tokio::test]
async fn basic_credentials_are_sent_and_in_no_message_even_if_the_server_repeats_them() {
    let server = Server::start(|request| {
        let line = request.lines().find(|line| line.starts_with("authorization")).unwrap_or_default();
        Reply::status(403, "", &format!("not with {line}"))
    })
    .await;
    let basic = json!({"username": "u", "password": "hunter2"});
    let settings = json!({"address": server.url(""), "query": "up", "authentication": {"basicAuth": basic}});
    let message = measured_by(Prometheus::new(local_client()), settings).await.unwrap_err();
    assert!(server.seen()[0].contains("authorization: Basic dTpodW50ZXIy\r\n"));
    assert!(message.contains("not with authorization: Basic *****"), "{message}");
}

#[tokio::test]
async fn a_token_is_asked_for_and_in_no_message() {
    let server = Server::start(|request| match request {
        request if request.starts_with("POST /token") => Reply::ok(r#"{"access_token": "t0ken"}"#),
        _ => Reply::status(401, "", "t0ken is not known"),
    })
    .await;
    let oauth2 = json!({"tokenUrl": server.url("/token"), "clientId": "i", "clientSecret": "s"});
    let settings = json!({"address": server.url(""), "query": "up", "authentication": {"oauth2": oauth2}});
    let prometheus = Arc::new(Prometheus::new(local_client()));
    for _ in 0..2 {
        let store = Arc::new(NoSecrets);
        let message = measure_as(prometheus.clone(), &settings, store, now()).await.unwrap_err();
        assert_eq!(message, "received non 2xx response code: 401: ***** is not known (query up)");
    }
    // A token that was not accepted is not used again.
    let asked = server.seen().iter().filter(|request| request.starts_with("POST /token")).count();
    assert_eq!(asked, 2);
    assert!(server.seen()[1].contains("authorization: Bearer t0ken\r\n"));
}

/// Signs with what it was asked to sign.
struct Notary {
    asked: Mutex<Vec<(SigningIdentity, String)>>,
}

#[async_trait]
impl RequestSigner for Notary {
    async fn sign(
        &self,
        identity: &SigningIdentity,
        service: &str,
        request: &SignedRequest<'_>,
        _: Timestamp,
    ) -> Result<Vec<(String, String)>, AwsError> {
        let body = String::from_utf8_lossy(request.body);
        let text = format!("{service} {} {} {body}", request.method, request.url);
        self.asked.lock().unwrap().push((identity.clone(), text));
        Ok(vec![("x-amz-security-token".to_owned(), "hunter2".to_owned())])
    }
}

#[tokio::test]
async fn requests_to_a_workspace_of_aws_are_signed_as_they_are_sent() {
    let server = Server::start(|_| Reply::status(403, "", "hunter2 is not allowed")).await;
    let notary = Arc::new(Notary { asked: Mutex::default() });
    let sigv4 = json!({"region": "eu-west-1", "profile": "metrics", "roleArn": "arn:aws:iam::1:role/r"});
    let signed = |address: String| {
        let prometheus = Prometheus::new(local_client()).with_signer(notary.clone());
        let settings = json!({"address": address, "query": "up", "authentication": {"sigv4": sigv4}});
        measured_by(prometheus, settings)
    };
    let message = signed(server.url("/aps-workspaces/ws-1")).await.unwrap_err();
    assert!(message.contains("***** is not allowed"), "{message}");
    assert!(server.seen()[0].contains("x-amz-security-token: hunter2"));
    let asked = notary.asked.lock().unwrap().remove(0);
    let expected =
        format!("aps POST {} query=up&time=1795262400.000", server.url("/aps-workspaces/ws-1/api/v1/query"));
    assert_eq!(
        (asked.0.region.as_str(), asked.0.profile.as_deref(), asked.1),
        ("eu-west-1", Some("metrics"), expected)
    );
    assert_eq!(asked.0.role.unwrap().arn, "arn:aws:iam::1:role/r");
    // Elsewhere nothing is signed, as the field is meant for workspaces alone.
    signed(server.url("/")).await.unwrap_err();
    assert!(notary.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_is_silent_or_endless_costs_the_timeout_at_most() {
    let hang =
        Server::start(|_| Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec())).await;
    let settings = json!({"address": hang.url(""), "query": "up", "timeout": 1});
    let message = measured_by(Prometheus::new(local_client()), settings).await.unwrap_err();
    assert_eq!(message, "no complete answer within 1 s (query up)");
    let chunk = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 16)).into_bytes();
    let endless = Server::start(move |_| Reply::Endless(chunk.clone())).await;
    let settings = json!({"address": endless.url(""), "query": "up"});
    let message = measured_by(Prometheus::new(local_client()), settings).await.unwrap_err();
    assert!(message.starts_with("response body has more than 8388608 bytes"), "{message}");
}

#[tokio::test]
async fn the_default_address_serves_metrics_that_name_none() {
    let server = Server::start(|_| Reply::ok(SCALAR)).await;
    let prometheus = || Prometheus::new(local_client()).with_default_address(Some(server.url("")));
    assert_eq!(measured_by(prometheus(), json!({"query": "up"})).await.unwrap().text, "10");
    let refused = Prometheus::new(local_client()).check(&json!({"query": "up"})).unwrap_err();
    assert_eq!(refused.to_string(), "prometheus address is not configured: set prometheus.address");
}

#[test]
fn settings_that_cannot_work_are_refused_before_any_call() {
    let prometheus = Prometheus::new(local_client());
    let check = |change: serde_json::Value| {
        let mut settings = json!({"address": "http://h/", "query": "up"});
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        prometheus.check(&settings).map_err(|error| error.chain())
    };
    let range =
        |start: &str, step: &str| json!({"rangeQuery": {"start": start, "end": "now()", "step": step}});
    let authentication = |settings: serde_json::Value| json!({"authentication": settings});
    let basic = json!({"username": "u", "password": "p"});
    let oauth2 = json!({"tokenUrl": "http://h/", "clientId": "i", "clientSecret": "s"});
    assert_eq!(check(json!({"timeout": null, "headers": null})), Ok(()));
    assert_eq!(check(range("now() - duration(\"5m\")", "1m")), Ok(()));
    // Without the address of a workspace there is nothing to sign.
    assert_eq!(check(authentication(json!({"sigv4": {"region": ""}}))), Ok(()));
    let workspace = json!({"address": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/",
        "authentication": {"sigv4": {"region": "eu-west-1"}}});
    let rows = [
        (json!({"address": "prom:9090"}), "url needs http:// or https:// and a host"),
        (json!({"query": " "}), "query must be set"),
        (json!({"timeout": -1}), "timeout must not be negative, got -1"),
        (json!({"timeout": "5s"}), "invalid prometheus settings"),
        (range("now(", "1m"), "rangeQuery.start \"now(\""),
        (range("reslt", "1m"), "unknown name reslt"),
        (range("now()", "60"), "rangeQuery.step"),
        (range("now()", "0s"), "rangeQuery.step must be longer than 0"),
        (authentication(json!({"basicAuth": {"username": "u"}})), "both username and password"),
        (authentication(json!({"oauth2": {"tokenUrl": "http://h/"}})), "clientId and clientSecret"),
        (authentication(json!({"basicAuth": basic, "oauth2": oauth2})), "basicAuth or oauth2, not both"),
        (workspace, "sigv4 needs an identity on AWS"),
        (json!({"headers": [{"key": "a b"}]}), "headers[0]: \"a b\" is no header name"),
    ];
    for (change, part) in rows {
        let message = check(change.clone()).unwrap_err();
        assert!(message.contains(part), "{change}: {message}");
    }
}

#[tokio::test]
async fn an_end_of_a_range_that_is_no_time_is_an_error() {
    let range = json!({"start": "\"5m\"", "end": "now()", "step": "1m"});
    let settings = json!({"address": "http://h/", "query": "up", "rangeQuery": range});
    let message = measured_by(Prometheus::new(local_client()), settings).await.unwrap_err();
    assert_eq!(message, "rangeQuery.start: expected time.Time, but got string (query up)");
}
