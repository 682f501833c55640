//! A store on a disk that fails, and copies of one (spec/apiserver.md 19.1).

use std::path::Path;

use http::StatusCode;
use kube::Client;
use okra_apiserver::{OpenError, Options, Server, Storage};
use serde_json::{Value, json};

use crate::common::{CONFIG_MAPS, config_map, get, metadata, post};
use crate::watches::Watch;

async fn open(folder: &Path) -> Result<(Server, Client), OpenError> {
    let server = Server::open(Options::new(Storage::Directory(folder.to_owned()))).await?;
    let client = Client::new(server.in_process(), "default");
    Ok((server, client))
}

fn number(object: &Value) -> u64 {
    metadata(object, "resourceVersion").parse().unwrap()
}

#[tokio::test]
async fn a_database_that_fails_is_said_at_once_and_never_served_as_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (server, client) = open(folder.path()).await.unwrap();
    post(&client, CONFIG_MAPS, &config_map("a", json!({}))).await;
    assert_eq!(get(&client, "/readyz").await.0, StatusCode::OK);
    let database = rusqlite::Connection::open(folder.path().join("objects.sqlite")).unwrap();
    database.execute_batch("DROP TABLE log").unwrap();
    for name in ["b", "c"] {
        let (status, answer) = post(&client, CONFIG_MAPS, &config_map(name, json!({}))).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        assert_eq!(
            (&answer["reason"], &answer["details"]["retryAfterSeconds"]),
            (&json!("ServiceUnavailable"), &json!(1))
        );
        assert!(!answer.to_string().contains("SELECT") && !answer.to_string().contains("table"), "{answer}");
        assert_eq!(get(&client, &format!("{CONFIG_MAPS}/{name}")).await.0, StatusCode::NOT_FOUND);
    }
    for (path, status) in [("/readyz", 500), ("/readyz/store", 500), ("/readyz/ping", 200), ("/livez", 200)] {
        assert_eq!(get(&client, path).await.0.as_u16(), status, "{path}");
    }
    assert_eq!(
        get(&client, &format!("{CONFIG_MAPS}/a")).await.0,
        StatusCode::OK,
        "what was acknowledged is shown"
    );
    server.shutdown().await;
    drop(database);
    let refused = open(folder.path()).await.map(drop).expect_err("it is not opened as if it were empty");
    assert!(matches!(refused, OpenError::Store(_)), "{refused}");
}

#[tokio::test]
async fn a_copy_is_taken_while_clients_write_and_old_watchers_must_begin_anew() {
    let (folder, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, client) = open(folder.path()).await.unwrap();
    let (_, before) = post(&client, CONFIG_MAPS, &config_map("before", json!({}))).await;
    let file = restored.path().join("objects.sqlite");
    let meanwhile = config_map("meanwhile", json!({}));
    let (copied, _) = tokio::join!(server.back_up(&file), post(&client, CONFIG_MAPS, &meanwhile));
    copied.unwrap();
    let (_, after) = post(&client, CONFIG_MAPS, &config_map("after", json!({}))).await;
    server.shutdown().await;

    let (server, client) = open(restored.path()).await.unwrap();
    assert_eq!(get(&client, &format!("{CONFIG_MAPS}/before")).await.1, before);
    assert_eq!(get(&client, &format!("{CONFIG_MAPS}/after")).await.0, StatusCode::NOT_FOUND);
    let (_, next) = post(&client, CONFIG_MAPS, &config_map("next", json!({}))).await;
    assert!(number(&next) > number(&after), "a revision is never used for two states");
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", number(&after));
    let event = Watch::open(&client, &path, "application/json").await.next().await.unwrap();
    assert_eq!((event["type"].as_str(), &event["object"]["code"]), (Some("ERROR"), &json!(410)));
    server.shutdown().await;
}
