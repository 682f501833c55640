//! Watches: positions, order, bookmarks, ends (spec/apiserver.md 8).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use http::{Method, Request, StatusCode};
use kube::Client;
use okra_apiserver::{Options, Server, Storage};
use serde_json::{Value, json};

use crate::common::{
    CONFIG_MAPS, GIZMOS, MovableClock, PATIENCE, config_map, delete, get, gizmo, gizmo_server, metadata,
    patch, post, server,
};

/// An open watch, read event by event.
pub(crate) struct Watch {
    events: futures::stream::BoxStream<'static, Value>,
}

impl Watch {
    pub(crate) async fn open(client: &Client, path: &str, accept: &str) -> Self {
        let request = Request::builder().method(Method::GET).uri(path).header("accept", accept);
        let request = request.body(Vec::new()).unwrap();
        let lines = client.request_stream(request).await.expect("a watch is answered with 200").lines();
        let events = lines
            .map_ok(|line| {
                serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line} is one JSON document"))
            })
            .filter_map(|event| async { event.ok() });
        Self { events: events.boxed() }
    }

    pub(crate) async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(PATIENCE, self.events.next()).await.expect("an event in time")
    }

    /// Type and name of the next event.
    pub(crate) async fn told(&mut self) -> (String, String) {
        let event = self.next().await.expect("the watch goes on");
        (event["type"].as_str().unwrap().to_owned(), metadata(&event["object"], "name").to_owned())
    }
}

pub(crate) fn told(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

async fn watch(client: &Client, query: &str) -> Watch {
    Watch::open(client, &format!("{GIZMOS}?watch=true&{query}"), "application/json").await
}

async fn create(client: &Client, name: &str) -> Value {
    let mut body = gizmo(name, json!({}));
    body["metadata"]["labels"] = json!({"show": "yes"});
    let (status, created) = post(client, GIZMOS, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    created
}

#[tokio::test]
async fn hc_13_hc_14_without_a_revision_the_present_comes_first() {
    let (_server, client) = gizmo_server().await;
    create(&client, "a").await;
    for query in ["", "resourceVersion=0", "resourceVersion=0&fieldSelector=metadata.name%3Da"] {
        let mut events = watch(&client, query).await;
        assert_eq!(events.told().await, told("ADDED", "a"), "{query}");
    }
}

#[tokio::test]
async fn live_events_come_once_and_in_order() {
    let (_server, client) = gizmo_server().await;
    let (_, list) = get(&client, GIZMOS).await;
    let mut events = watch(&client, &format!("resourceVersion={}", metadata(&list, "resourceVersion"))).await;
    create(&client, "a").await;
    create(&client, "b").await;
    patch(&client, &format!("{GIZMOS}/a"), "merge-patch+json", &json!({"spec": {"size": "large"}})).await;
    delete(&client, &format!("{GIZMOS}/b")).await;
    for wanted in [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")] {
        assert_eq!(events.told().await, told(wanted.0, wanted.1));
    }
}

#[tokio::test]
async fn hc_33_a_delete_has_its_own_revision_and_the_last_content() {
    let (_server, client) = gizmo_server().await;
    let created = create(&client, "a").await;
    let revision = metadata(&created, "resourceVersion").to_owned();
    let mut events = watch(&client, &format!("resourceVersion={revision}")).await;
    delete(&client, &format!("{GIZMOS}/a")).await;
    let event = events.next().await.unwrap();
    assert_eq!((event["type"].as_str(), &event["object"]["spec"]), (Some("DELETED"), &created["spec"]));
    let deleted: u64 = metadata(&event["object"], "resourceVersion").parse().unwrap();
    assert!(deleted > revision.parse().unwrap());
}

#[tokio::test]
async fn hc_15_an_object_that_leaves_the_selection_is_deleted_for_the_watcher() {
    let (_server, client) = gizmo_server().await;
    create(&client, "a").await;
    let mut events = watch(&client, "labelSelector=show%3Dyes").await;
    assert_eq!(events.told().await, told("ADDED", "a"));
    let hide = json!({"metadata": {"labels": {"show": "no"}}});
    let (_, hidden) = patch(&client, &format!("{GIZMOS}/a"), "merge-patch+json", &hide).await;
    let event = events.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["metadata"]["labels"]["show"], "yes", "the content while it belonged");
    assert_eq!(metadata(&event["object"], "resourceVersion"), metadata(&hidden, "resourceVersion"));
    let show = json!({"metadata": {"labels": {"show": "yes"}}});
    patch(&client, &format!("{GIZMOS}/a"), "merge-patch+json", &show).await;
    assert_eq!(events.told().await, told("ADDED", "a"));
}

#[tokio::test]
async fn hc_10_hc_11_a_streaming_list_ends_with_a_marked_bookmark() {
    let (_server, client) = gizmo_server().await;
    create(&client, "a").await;
    create(&client, "b").await;
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = watch(&client, query).await;
    assert_eq!(events.told().await, told("ADDED", "a"));
    assert_eq!(events.told().await, told("ADDED", "b"));
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "Gizmo");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let revision = metadata(&bookmark["object"], "resourceVersion").to_owned();
    create(&client, "c").await;
    assert_eq!(events.told().await, told("ADDED", "c"));
    let mut resumed = watch(&client, &format!("resourceVersion={revision}")).await;
    assert_eq!(resumed.told().await, told("ADDED", "c"));
}

#[tokio::test]
async fn hc_9_a_revision_that_is_too_old_is_an_error_event() {
    let clock = Arc::new(MovableClock::default());
    let options = Options { clock: clock.clone(), ..Options::new(Storage::Memory) };
    let server = Server::open(options).await.unwrap();
    let client = Client::new(server.in_process(), "default");
    let (_, list) = get(&client, CONFIG_MAPS).await;
    let old = metadata(&list, "resourceVersion").to_owned();
    post(&client, CONFIG_MAPS, &config_map("m", json!({}))).await;
    // The history keeps a thousand changes and five minutes, whichever is more.
    let path = format!("{CONFIG_MAPS}/m");
    for number in 0..1_100 {
        patch(&client, &path, "merge-patch+json", &json!({"data": {"n": number.to_string()}})).await;
    }
    clock.ahead.store(600, Ordering::Relaxed);
    patch(&client, &path, "merge-patch+json", &json!({"data": {"n": "last"}})).await;

    let from_old = format!("{CONFIG_MAPS}?watch=true&resourceVersion={old}");
    let mut events = Watch::open(&client, &from_old, "application/json").await;
    let event = events.next().await.unwrap();
    assert_eq!((event["type"].as_str(), &event["object"]["code"]), (Some("ERROR"), &json!(410)));
    assert_eq!((&event["object"]["kind"], &event["object"]["reason"]), (&json!("Status"), &json!("Expired")));
    assert!(
        event["object"]["message"].as_str().unwrap().starts_with("too old resource version: "),
        "{event}"
    );
    assert_eq!(events.next().await, None, "the stream ends");

    let exact = format!("{CONFIG_MAPS}?resourceVersion={old}&resourceVersionMatch=Exact");
    assert_eq!(get(&client, &exact).await.0, StatusCode::GONE);
}

#[tokio::test]
async fn a_streaming_list_of_the_future_is_an_error_event() {
    let (_server, client) = gizmo_server().await;
    let query = "resourceVersion=100000000&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let mut events = watch(&client, query).await;
    let event = events.next().await.unwrap();
    assert_eq!((event["type"].as_str(), &event["object"]["code"]), (Some("ERROR"), &json!(504)));
    assert_eq!(events.next().await, None, "the stream ends");
}

#[tokio::test]
async fn parameters_that_contradict_are_refused_before_the_stream() {
    let (_server, client) = gizmo_server().await;
    for query in [
        "sendInitialEvents=true",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersion=1&resourceVersionMatch=Exact",
        "continue=x",
    ] {
        let (status, answer) = get(&client, &format!("{GIZMOS}?watch=true&{query}")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}: {answer}");
    }
}

#[tokio::test]
async fn a_watch_ends_at_its_timeout_with_a_bookmark_shortly_before() {
    let (_server, client) = gizmo_server().await;
    let created = create(&client, "a").await;
    let revision = metadata(&created, "resourceVersion");
    let query = format!("resourceVersion={revision}&timeoutSeconds=3&allowWatchBookmarks=true");
    let mut events = watch(&client, &query).await;
    // A change of another kind: no event, but the bookmark moves past it.
    let (_, other) = post(&client, CONFIG_MAPS, &config_map("m", json!({}))).await;
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(metadata(&bookmark["object"], "resourceVersion"), metadata(&other, "resourceVersion"));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn hc_16_hc_17_a_table_watch_names_its_columns_once() {
    let (_server, client) = gizmo_server().await;
    create(&client, "a").await;
    create(&client, "b").await;
    let path = format!(
        "{GIZMOS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let mut events = Watch::open(&client, &path, "application/json;as=Table;v=v1;g=meta.k8s.io").await;
    let first = events.next().await.unwrap();
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    assert_eq!(first["object"]["rows"][0]["cells"][0], "a");
    let second = events.next().await.unwrap();
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
    let bookmark = events.next().await.unwrap();
    let row = &bookmark["object"]["rows"][0];
    assert_eq!((bookmark["type"].as_str(), row["cells"][0].as_str()), (Some("BOOKMARK"), Some("")));
    assert_eq!(row["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn a_shutdown_ends_watches_cleanly() {
    let (server, client) = server().await;
    let mut events = Watch::open(
        &client,
        &format!("{CONFIG_MAPS}?watch=true&resourceVersion=1000000"),
        "application/json",
    )
    .await;
    server.shutdown().await;
    assert_eq!(events.next().await, None);
}
