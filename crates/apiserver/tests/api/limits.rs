//! Bounds on time and number (spec/apiserver.md 18).

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tower::Service;

use crate::common::{CONFIG_MAPS, config_map, get, post, send, server};
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

/// Large bodies under way at once.
const LARGE_BODIES: usize = 64;

#[tokio::test]
async fn many_large_bodies_wait_for_each_other_and_small_ones_for_none() {
    let (server, client, _clock) = with_clock().await;
    let started = |bytes: usize| {
        // It begins, and never ends.
        let begin = futures::stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; bytes])))]);
        let body = StreamBody::new(begin.chain(futures::stream::pending()));
        let request = Request::post(CONFIG_MAPS).header("content-type", JSON).body(body).unwrap();
        server.in_process().call(request)
    };
    let mut held: Vec<_> = (0..LARGE_BODIES).map(|_| started(100_000)).collect();
    for request in &mut held {
        assert!(futures::poll!(request).is_pending());
    }
    let large = |name: &str| config_map(name, json!({"text": "x".repeat(100_000)}));
    let body = large("late");
    let mut late = std::pin::pin!(post(&client, CONFIG_MAPS, &body));
    assert!(futures::poll!(&mut late).is_pending(), "there is no room for another large one");
    let (status, _) = post(&client, CONFIG_MAPS, &config_map("small", json!({}))).await;
    assert_eq!(status, StatusCode::CREATED);
    held.pop();
    assert_eq!(late.await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn answers_that_nobody_reads_are_bounded_in_memory() {
    let (server, client, clock) = with_clock().await;
    for number in 0..90 {
        let map = config_map(&format!("m{number:02}"), json!({"text": "x".repeat(200_000)}));
        assert_eq!(post(&client, CONFIG_MAPS, &map).await.0, StatusCode::CREATED);
    }
    // About 18 MB each, whole: a table is made before it is sent.
    let list = || {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let request = Request::get(format!("{CONFIG_MAPS}?includeObject=Object")).header("accept", table);
        server.in_process().call(request.body(http_body_util::Empty::<Bytes>::new()).unwrap())
    };
    let mut unread = Vec::new();
    let refused = loop {
        let mut next = std::pin::pin!(list());
        match futures::poll!(&mut next) {
            std::task::Poll::Ready(answer) => unread.push(answer.unwrap()),
            std::task::Poll::Pending => {
                clock.advance(Duration::from_secs(1));
                break next.await.unwrap();
            }
        }
        assert!(unread.len() < 100, "it goes on and on");
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!((10..=15).contains(&unread.len()), "{}", unread.len());
    assert_eq!(get(&client, &format!("{CONFIG_MAPS}/kube-root-ca.crt")).await.0, StatusCode::OK);
    let read = unread.pop().unwrap().into_body().collect().await.unwrap().to_bytes();
    assert!(read.len() > 17_000_000);
    assert_eq!(list().await.unwrap().status(), StatusCode::OK, "what was read makes room");
}
