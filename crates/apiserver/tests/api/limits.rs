//! Bounds on time and number (spec/apiserver.md 18).

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tower::Service;

use crate::common::{CONFIG_MAPS, get, send, server};
use crate::streams::with_clock;
use crate::watches::Watch;

const JSON: &str = "application/json";

#[tokio::test]
async fn a_client_may_give_a_request_less_time() {
    let (_server, client) = server().await;
    let future = format!("{CONFIG_MAPS}?resourceVersion=1000000");
    let (status, answer) = get(&client, &format!("{future}&timeout=10ms")).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::GATEWAY_TIMEOUT, &json!("Timeout")));
    assert!(answer["message"].as_str().unwrap().contains("within requested timeout"), "{answer}");
    assert_eq!(get(&client, &format!("{CONFIG_MAPS}?timeout=abc")).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let (server, _client, clock) = with_clock().await;
    let body = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let request = Request::post(CONFIG_MAPS).header("content-type", JSON).body(body).unwrap();
    let (answer, ()) = tokio::join!(server.in_process().call(request), async {
        clock.advance(Duration::from_secs(61));
    });
    let (parts, body) = answer.unwrap().into_parts();
    let status: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!((parts.status, &status["reason"]), (StatusCode::GATEWAY_TIMEOUT, &json!("Timeout")));
}

#[tokio::test]
async fn hc_52_too_many_watches_are_refused_with_a_time_to_wait() {
    let (_server, client) = server().await;
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion=1");
    let mut held = Vec::new();
    for _ in 0..1_000 {
        held.push(Watch::open(&client, &path, JSON).await);
    }
    let request = Request::builder().uri(&path).body(kube::client::Body::empty()).unwrap();
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "1");
    let status: Value = serde_json::from_slice(&response.into_body().collect_bytes().await.unwrap()).unwrap();
    assert_eq!(
        (&status["reason"], &status["details"]["retryAfterSeconds"]),
        (&json!("TooManyRequests"), &json!(1))
    );
    held.pop();
    let (status, _) = send(&client, Method::GET, &format!("{path}&timeoutSeconds=-1"), &[], "").await;
    assert_eq!(status, StatusCode::OK, "one that ends makes room");
}

/// Reads under way at once (spec/apiserver.md 18).
const READS: usize = 400;

#[tokio::test]
async fn hc_52_a_request_that_finds_no_turn_is_sent_away_with_a_time_to_wait() {
    let (server, client, clock) = with_clock().await;
    let read = || {
        // Each waits for a revision that does not come.
        let path = format!("{CONFIG_MAPS}?resourceVersion=1000000");
        let request = Request::get(path).body(http_body_util::Empty::<Bytes>::new()).unwrap();
        server.in_process().call(request)
    };
    let mut waiting: Vec<_> = (0..READS).map(|_| read()).collect();
    for request in &mut waiting {
        assert!(futures::poll!(request).is_pending());
    }
    let mut another = read();
    assert!(futures::poll!(&mut another).is_pending(), "it waits for its turn");
    assert_eq!(get(&client, "/readyz").await.0, StatusCode::OK, "health needs no turn");
    clock.advance(Duration::from_secs(1));
    let (parts, body) = another.await.unwrap().into_parts();
    assert_eq!(parts.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(parts.headers["retry-after"], "1");
    let status: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(status["reason"], "TooManyRequests");
    waiting.clear();
    assert_eq!(get(&client, CONFIG_MAPS).await.0, StatusCode::OK, "there is room again");
}
