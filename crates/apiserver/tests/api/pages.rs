//! Pages: tokens, snapshots that are gone, counts (spec/apiserver.md 7.3).

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use kube::Client;
use okra_apiserver::{Options, Server, Storage};
use serde_json::{Value, json};

use crate::common::{CONFIG_MAPS, config_map, delete, get, metadata, patch, post, send, server};
use crate::support::clock::ManualClock;

/// Changes after which, with time, the history forgets what was before.
const LONG_HISTORY: usize = 1_100;

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| metadata(item, "name")).collect()
}

async fn create(client: &Client, names: &[&str]) {
    for name in names {
        let mut map = config_map(name, json!({}));
        map["metadata"]["labels"] = json!({"test": "yes"});
        let (status, answer) = post(client, CONFIG_MAPS, &map).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }
}

/// Makes the history forget everything up to now.
async fn outlive(client: &Client, clock: &ManualClock) {
    let path = format!("{CONFIG_MAPS}/a");
    for number in 0..LONG_HISTORY {
        patch(client, &path, "merge-patch+json", &json!({"data": {"n": number.to_string()}})).await;
    }
    clock.advance(Duration::from_secs(301));
    patch(client, &path, "merge-patch+json", &json!({"data": {"n": "last"}})).await;
}

#[tokio::test]
async fn hc_20_an_expired_token_comes_with_one_for_an_inconsistent_rest() {
    let clock = Arc::new(ManualClock::default());
    let options = Options { clock: clock.clone(), ..Options::new(Storage::Memory) };
    let server = Server::open(options).await.unwrap();
    let client = Client::new(server.in_process(), "default");
    create(&client, &["a", "b", "c", "d"]).await;
    let pages = format!("{CONFIG_MAPS}?labelSelector=test%3Dyes&limit=1");
    let (_, first) = get(&client, &pages).await;
    assert_eq!(names(&first), ["a"]);
    outlive(&client, &clock).await;
    delete(&client, &format!("{CONFIG_MAPS}/c")).await;

    let token = metadata(&first, "continue");
    let (status, gone) = get(&client, &format!("{pages}&continue={token}")).await;
    assert_eq!((status, &gone["reason"]), (StatusCode::GONE, &json!("Expired")));
    let begin = "The provided continue parameter is too old to display a consistent list result.";
    assert!(gone["message"].as_str().unwrap().starts_with(begin), "{gone}");

    let token = metadata(&gone, "continue");
    let (status, rest) = get(&client, &format!("{pages}&continue={token}")).await;
    assert_eq!((status, names(&rest)), (StatusCode::OK, vec!["b"]));
    let number = |list: &Value| metadata(list, "resourceVersion").parse::<u64>().unwrap();
    assert!(number(&rest) > number(&first), "it is a list of its own");
    let token = metadata(&rest, "continue");
    create(&client, &["e"]).await;
    let (_, last) = get(&client, &format!("{pages}&continue={token}")).await;
    assert_eq!((names(&last), number(&last)), (vec!["d"], number(&rest)), "and consistent from here on");

    let exact = format!("{CONFIG_MAPS}?resourceVersion={}&resourceVersionMatch=Exact", number(&first));
    let (status, answer) = get(&client, &exact).await;
    assert_eq!(status, StatusCode::GONE);
    assert_eq!(answer["message"], "The resourceVersion for the provided list is too old.");
    let newer = format!("{CONFIG_MAPS}?resourceVersion={}&resourceVersionMatch=NotOlderThan", number(&first));
    assert_eq!(get(&client, &newer).await.0, StatusCode::OK, "also when it is compacted");
}

#[tokio::test]
async fn a_token_stands_alone() {
    let (_server, client) = server().await;
    create(&client, &["a", "b", "c"]).await;
    let pages = format!("{CONFIG_MAPS}?labelSelector=test%3Dyes&limit=1");
    let token = metadata(&get(&client, &pages).await.1, "continue").to_owned();
    for (query, code, text) in [
        ("resourceVersion=5", 400, "specifying resource version is not allowed when using continue"),
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            422,
            "resourceVersionMatch is forbidden when continue",
        ),
        ("resourceVersionMatch=NotOlderThan", 422, "resourceVersionMatch is forbidden when continue"),
    ] {
        let (status, answer) = get(&client, &format!("{pages}&continue={token}&{query}")).await;
        assert_eq!(status.as_u16(), code, "{query}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(text), "{query}: {answer}");
    }
    let (status, _) = get(&client, &format!("{pages}&continue={token}&resourceVersion=0")).await;
    assert_eq!(status, StatusCode::OK);
    for query in ["", "&limit=0", "&limit=-1"] {
        let path = format!("{CONFIG_MAPS}?labelSelector=test%3Dyes&continue={token}{query}");
        assert_eq!(names(&get(&client, &path).await.1), ["b", "c"], "without a limit comes the whole rest");
    }
}

#[tokio::test]
async fn a_token_of_a_future_revision_is_not_answered_with_the_present() {
    use base64::Engine;
    let (_server, client) = server().await;
    let token = json!({"v": "meta.k8s.io/v1", "rv": 1_000_000, "start": "default/a\u{0}"}).to_string();
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token);
    let (status, answer) = get(&client, &format!("{CONFIG_MAPS}?continue={token}")).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{answer}");
}

#[tokio::test]
async fn the_rest_is_counted_only_where_nothing_is_selected() {
    let (_server, client) = server().await;
    create(&client, &["a", "b", "c"]).await;
    let (_, all) = get(&client, &format!("{CONFIG_MAPS}?limit=1")).await;
    // The server's own ConfigMap is one of four.
    assert_eq!(all["metadata"]["remainingItemCount"], 3);
    for selector in ["labelSelector=test", "fieldSelector=metadata.name!%3Db"] {
        let (_, some) = get(&client, &format!("{CONFIG_MAPS}?limit=1&{selector}")).await;
        assert_ne!(metadata(&some, "continue"), "");
        assert_eq!(some["metadata"].get("remainingItemCount"), None, "{selector}");
    }
    let (_, whole) = get(&client, &format!("{CONFIG_MAPS}?limit=4")).await;
    assert_eq!(
        (whole["metadata"].get("continue"), whole["metadata"].get("remainingItemCount")),
        (None, None)
    );
}

#[tokio::test]
async fn a_long_list_comes_in_pieces_and_whole() {
    let (_server, client) = server().await;
    let wanted: Vec<String> = (0..200).map(|number| format!("m{number:03}")).collect();
    for name in &wanted {
        let mut map = config_map(name, json!({"payload": "x".repeat(1_000)}));
        map["metadata"]["labels"] = json!({"test": "yes"});
        post(&client, CONFIG_MAPS, &map).await;
    }
    let path = format!("{CONFIG_MAPS}?labelSelector=test");
    let (_, list) = get(&client, &path).await;
    assert_eq!(names(&list), wanted);
    assert_eq!((&list["kind"], list["items"][199].get("kind")), (&json!("ConfigMapList"), None));
    let pretty = send(&client, http::Method::GET, &format!("{path}&pretty=1"), &[], "").await.1;
    assert_eq!(pretty, list, "the same in every form");
}
