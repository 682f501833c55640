//! Watches over time: bookmarks, slow clients, ends (spec/apiserver.md 8.3 to 8.5).

use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use kube::Client;
use okra_apiserver::{Options, Server, Serving, Storage};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::{CONFIG_MAPS, PATIENCE, config_map, delete, get, metadata, patch, post, server};
use crate::support::clock::ManualClock;
use crate::support::door::{self, Door, Identity, Lines};
use crate::watches::{Watch, told};

const JSON: &str = "application/json";

/// More changes than a watch takes from the history at once.
const MANY: usize = 600;

pub(crate) async fn with_clock() -> (Server, Client, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let options = Options { clock: clock.clone(), ..Options::new(Storage::Memory) };
    let server = Server::open(options).await.unwrap();
    let client = Client::new(server.in_process(), "default");
    (server, client, clock)
}

async fn revision(client: &Client) -> u64 {
    number(&get(client, CONFIG_MAPS).await.1)
}

fn number(object: &Value) -> u64 {
    metadata(object, "resourceVersion").parse().unwrap()
}

async fn change(client: &Client, value: usize) -> u64 {
    let data = json!({"data": {"n": value.to_string(), "payload": "x".repeat(500)}});
    let (status, answer) = patch(client, &format!("{CONFIG_MAPS}/m"), "merge-patch+json", &data).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    number(&answer)
}

#[tokio::test]
async fn hc_12_no_bookmark_comes_before_an_event_it_covers() {
    let (_server, client, clock) = with_clock().await;
    post(&client, CONFIG_MAPS, &config_map("m", json!({}))).await;
    let from = revision(&client).await;
    let path = format!("{CONFIG_MAPS}?watch=true&allowWatchBookmarks=true&resourceVersion={from}");
    let mut events = Watch::open(&client, &path, JSON).await;
    let mut wanted = Vec::new();
    for value in 0..MANY {
        wanted.push(change(&client, value).await);
    }
    // A bookmark is due from now on, and more than one frame is to be told.
    clock.advance(Duration::from_secs(61));
    let mut seen = Vec::new();
    loop {
        let event = events.next().await.expect("the watch goes on");
        if event["type"] == "BOOKMARK" {
            assert_eq!(seen, wanted, "everything before the bookmark was told");
            assert!(number(&event["object"]) >= *wanted.last().unwrap());
            return;
        }
        seen.push(number(&event["object"]));
    }
}

#[tokio::test]
async fn bookmarks_come_once_a_minute_and_only_if_asked_for() {
    let (_server, client, clock) = with_clock().await;
    let from = revision(&client).await;
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}");
    let mut plain = Watch::open(&client, &path, JSON).await;
    let mut marked = Watch::open(&client, &format!("{path}&allowWatchBookmarks=true"), JSON).await;
    clock.advance(Duration::from_secs(59));
    post(&client, CONFIG_MAPS, &config_map("a", json!({}))).await;
    assert_eq!(marked.told().await, told("ADDED", "a"), "it is not due yet");
    clock.advance(Duration::from_secs(1));
    let bookmark = marked.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(
        (&bookmark["object"]["kind"], &bookmark["object"]["apiVersion"]),
        (&json!("ConfigMap"), &json!("v1"))
    );
    assert_eq!(bookmark["object"]["metadata"].get("annotations"), None);
    post(&client, CONFIG_MAPS, &config_map("b", json!({}))).await;
    for name in ["a", "b"] {
        assert_eq!(plain.told().await, told("ADDED", name), "no bookmark between them");
    }
    let resumed = format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", number(&bookmark["object"]));
    let mut resumed = Watch::open(&client, &resumed, JSON).await;
    assert_eq!(resumed.told().await, told("ADDED", "b"));
}

#[tokio::test]
async fn hc_18_a_watch_is_never_indented() {
    let (_server, client) = server().await;
    let request = Request::builder()
        .uri(format!("{CONFIG_MAPS}?watch=true&pretty=true"))
        .header("user-agent", "curl/8");
    let lines = client.request_stream(request.body(Vec::new()).unwrap()).await.unwrap();
    let mut first = String::new();
    let mut lines = std::pin::pin!(lines);
    futures::AsyncBufReadExt::read_line(&mut lines, &mut first).await.unwrap();
    let event: Value = serde_json::from_str(&first).expect("one line is one event");
    assert_eq!(
        (event["type"].as_str(), metadata(&event["object"], "name")),
        (Some("ADDED"), "kube-root-ca.crt")
    );
}

#[tokio::test]
async fn the_limit_of_a_list_means_nothing_to_a_watch() {
    let (_server, client) = server().await;
    for name in ["a", "b", "c"] {
        post(&client, CONFIG_MAPS, &config_map(name, json!({}))).await;
    }
    let mut events = Watch::open(&client, &format!("{CONFIG_MAPS}?watch=true&limit=1"), JSON).await;
    for name in ["a", "b", "c", "kube-root-ca.crt"] {
        assert_eq!(events.told().await, told("ADDED", name));
    }
}

#[tokio::test]
async fn a_watch_from_the_future_is_silent_until_then() {
    let (_server, client) = server().await;
    let next = revision(&client).await + 1;
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={next}");
    let mut events = Watch::open(&client, &path, JSON).await;
    post(&client, CONFIG_MAPS, &config_map("a", json!({}))).await;
    post(&client, CONFIG_MAPS, &config_map("b", json!({}))).await;
    assert_eq!(events.told().await, told("ADDED", "b"), "a was the revision asked for");
}

#[tokio::test]
async fn sending_no_initial_events_begins_now() {
    let (_server, client) = server().await;
    let query =
        "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = Watch::open(&client, &format!("{CONFIG_MAPS}?{query}"), JSON).await;
    post(&client, CONFIG_MAPS, &config_map("a", json!({}))).await;
    assert_eq!(events.told().await, told("ADDED", "a"));
}

#[tokio::test]
async fn hc_53_a_watcher_that_does_not_read_holds_up_nobody() {
    let (_server, client, clock) = with_clock().await;
    post(&client, CONFIG_MAPS, &config_map("m", json!({}))).await;
    let from = revision(&client).await;
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}");
    let mut slow = Watch::open(&client, &path, JSON).await;
    let mut wanted = Vec::new();
    for value in 0..MANY {
        wanted.push(change(&client, value).await);
    }
    // It reads a little, then the history moves past it.
    let begun = slow.next().await.unwrap();
    assert_eq!(number(&begun["object"]), wanted[0]);
    for value in 0..2 * MANY {
        change(&client, value).await;
    }
    clock.advance(Duration::from_secs(301));
    change(&client, MANY).await;
    let mut seen = vec![wanted[0]];
    loop {
        let event = slow.next().await.expect("it ends with an error event");
        if event["type"] == "ERROR" {
            assert_eq!(
                (&event["object"]["code"], &event["object"]["reason"]),
                (&json!(410), &json!("Expired"))
            );
            break;
        }
        seen.push(number(&event["object"]));
    }
    assert_eq!(seen, wanted[..seen.len()], "what it was told before has no gap");
    assert!(seen.len() < wanted.len());
    assert_eq!(slow.next().await, None);
}

pub(crate) async fn serve() -> (Server, Serving, Door) {
    let server = Server::open(Options::new(Storage::Memory)).await.unwrap();
    let serving = server.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let address = serving.local_address();
    let identity = Identity::from_kubeconfig(&server.kubeconfig(&format!("https://{address}"), "test"));
    let door = Door::connect(address, &identity).await.unwrap();
    (server, serving, door)
}

/// Reads a watch to its end, which must not be a broken connection.
async fn read_to_the_end(lines: &mut Lines) -> usize {
    let mut count = 0;
    loop {
        let line = tokio::time::timeout(PATIENCE, lines.next()).await.expect("a line or the end in time");
        match line.expect("the end is clean") {
            Some(_) => count += 1,
            None => return count,
        }
    }
}

#[tokio::test]
async fn hc_54_a_watch_ends_cleanly_at_its_time() {
    let (_server, _serving, mut door) = serve().await;
    let path = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1");
    let response = door.send(door::get(&path)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers().get("content-length"), None);
    assert_eq!(read_to_the_end(&mut Lines::new(response.into_body())).await, 1);
    // The connection is good for more.
    assert_eq!(door.ask(door::get("/readyz")).await.unwrap().0, 200);
}

#[tokio::test]
async fn hc_54_a_watch_ends_cleanly_when_the_server_stops() {
    let (server, serving, mut door) = serve().await;
    let response = door.send(door::get(&format!("{CONFIG_MAPS}?watch=true"))).await.unwrap();
    let mut lines = Lines::new(response.into_body());
    lines.next().await.unwrap().expect("the present comes first");
    let (count, ()) = tokio::join!(read_to_the_end(&mut lines), serving.stop());
    assert_eq!(count, 0);
    server.shutdown().await;
}

#[tokio::test]
async fn hc_11_nothing_comes_between_the_initial_objects_and_their_bookmark() {
    let (_server, client) = server().await;
    let name = |number: usize| format!("m{number:03}");
    for number in 0..200 {
        let mut map = config_map(&name(number), json!({"payload": "x".repeat(1_000)}));
        map["metadata"]["labels"] = json!({"test": "yes"});
        post(&client, CONFIG_MAPS, &map).await;
    }
    let path = format!(
        "{CONFIG_MAPS}?labelSelector=test&watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&\
         allowWatchBookmarks=true"
    );
    let mut events = Watch::open(&client, &path, JSON).await;
    assert_eq!(events.told().await, told("ADDED", "m000"));
    // One that was told already and one that was not.
    for gone in ["m000", "m199"] {
        delete(&client, &format!("{CONFIG_MAPS}/{gone}")).await;
    }
    for number in 1..200 {
        assert_eq!(events.told().await, told("ADDED", &name(number)));
    }
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    for gone in ["m000", "m199"] {
        let event = events.next().await.unwrap();
        assert_eq!((event["type"].as_str(), metadata(&event["object"], "name")), (Some("DELETED"), gone));
        assert!(number(&event["object"]) > number(&bookmark["object"]));
    }
}
